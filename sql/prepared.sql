-- Two-phase commit
\set VERBOSITY terse
SELECT current_setting('max_prepared_transactions')::int = 0 AS skip \gset
\if :skip
\quit
\endif
CREATE TABLE tx_source (id int PRIMARY KEY, g int, x int);
ALTER TABLE tx_source REPLICA IDENTITY FULL;
SELECT freshet.create_sink('tx_sum', 'SELECT g, count(*), sum(x), min(x), max(x) FROM tx_source GROUP BY g');
SELECT freshet.create_sink('tx_copy', 'SELECT id, g, x FROM tx_source WHERE x % 2 = 0');
CREATE VIEW tx_check AS SELECT sink, check_sink(sink) FROM unnest('{tx_sum, tx_copy}'::regclass[]) sink;
INSERT INTO tx_source SELECT i, i % 5, i FROM generate_series(1, 50) i;
BEGIN;
UPDATE tx_source SET x = x + 1 WHERE g = 1;
INSERT INTO tx_source VALUES (400, 1, 4);
PREPARE TRANSACTION 'regress_freshet_1';
BEGIN;
INSERT INTO tx_source VALUES (401, 1, 4);
SAVEPOINT a;
INSERT INTO tx_source VALUES (402, 1, 4);
ROLLBACK TO a;
PREPARE TRANSACTION 'regress_freshet_2';
INSERT INTO tx_source VALUES (403, 1, 4);
SELECT * FROM tx_check;
SELECT id FROM tx_copy WHERE id BETWEEN 400 AND 499 ORDER BY id;
COMMIT PREPARED 'regress_freshet_1';
SELECT * FROM tx_check;
SELECT id FROM tx_copy WHERE id BETWEEN 400 AND 499 ORDER BY id;
ROLLBACK PREPARED 'regress_freshet_2';
SELECT * FROM tx_check;
SELECT id FROM tx_copy WHERE id BETWEEN 400 AND 499 ORDER BY id;
-- a sink made while a transaction is prepared
BEGIN;
INSERT INTO tx_source VALUES (404, 1, 4);
DELETE FROM tx_source WHERE id = 403;
PREPARE TRANSACTION 'regress_freshet_3';
SELECT freshet.create_sink('tx_late', 'SELECT id, x FROM tx_source WHERE id BETWEEN 400 AND 499');
SELECT check_sink('tx_late');
SELECT id FROM tx_late ORDER BY id;
COMMIT PREPARED 'regress_freshet_3';
SELECT check_sink('tx_late');
SELECT id FROM tx_late ORDER BY id;
SELECT * FROM tx_check;
-- a TRUNCATE that is prepared
BEGIN;
UPDATE tx_source SET x = 1 WHERE id = 1;
TRUNCATE tx_source;
INSERT INTO tx_source VALUES (1, 1, 2);
PREPARE TRANSACTION 'regress_freshet_4';
SELECT freshet.wait('10 s') IS NOT NULL AS waited;
COMMIT PREPARED 'regress_freshet_4';
SELECT * FROM tx_check;
-- create_sink and drop_sink, prepared
BEGIN;
SELECT freshet.create_sink('tx_prepared', 'SELECT count(*) FROM tx_source');
PREPARE TRANSACTION 'regress_freshet_5';
INSERT INTO tx_source VALUES (2, 1, 2);
SELECT check_sink('tx_sum');
COMMIT PREPARED 'regress_freshet_5';
SELECT check_sink('tx_prepared');
BEGIN;
SELECT freshet.drop_sink('tx_prepared');
PREPARE TRANSACTION 'regress_freshet_6';
COMMIT PREPARED 'regress_freshet_6';
INSERT INTO tx_source VALUES (3, 1, 2);
SELECT * FROM tx_check;
DROP VIEW tx_check;
DROP TABLE tx_source CASCADE;
