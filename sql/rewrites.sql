-- Rows that never reach the log: tables that are unlogged for a while
SET timezone = 'UTC';
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE rewritten (id int PRIMARY KEY, g int, v int, unused int);
ALTER TABLE rewritten REPLICA IDENTITY FULL;
INSERT INTO rewritten SELECT i, i % 3, i FROM generate_series(1, 9) i;
SELECT freshet.create_sink('rewritten_rollup', 'SELECT g, count(*) AS n, sum(v) AS v, max(v) AS high FROM rewritten GROUP BY g');
SELECT freshet.create_sink('rewritten_copy', 'SELECT id, v FROM rewritten');
SELECT freshet.create_sink('rewritten_over', 'SELECT count(*) AS n, max(v) AS v FROM rewritten_copy');
CREATE VIEW rewritten_check AS
SELECT sink, check_sink(sink) FROM unnest('{rewritten_rollup, rewritten_copy, rewritten_over}'::regclass[]) sink;
SELECT * FROM rewritten_check;
-- loaded
BEGIN;
ALTER TABLE rewritten SET UNLOGGED;
INSERT INTO rewritten SELECT i, i % 4, i FROM generate_series(10, 14) i;
ALTER TABLE rewritten SET LOGGED;
COMMIT;
SELECT * FROM rewritten_check;
-- changed, then logged changes
BEGIN;
UPDATE rewritten SET v = v + 1;
ALTER TABLE rewritten SET UNLOGGED;
UPDATE rewritten SET v = v + 10, g = g + 1 WHERE id % 2 = 0;
DELETE FROM rewritten WHERE id = 3;
ALTER TABLE rewritten SET LOGGED;
UPDATE rewritten SET v = v + 100 WHERE id % 3 = 0;
COMMIT;
UPDATE rewritten SET v = v + 1 WHERE id = 5;
SELECT * FROM rewritten_check;
-- emptied, so that there is nothing to write when it is logged again
BEGIN;
ALTER TABLE rewritten SET UNLOGGED;
DELETE FROM rewritten;
ALTER TABLE rewritten SET LOGGED;
INSERT INTO rewritten SELECT i, i % 3, i FROM generate_series(20, 22) i;
COMMIT;
SELECT * FROM rewritten_check;
SELECT * FROM rewritten_copy ORDER BY id;
-- in a subtransaction, and in one that is taken back
BEGIN;
SAVEPOINT a;
ALTER TABLE rewritten SET UNLOGGED;
SAVEPOINT b;
INSERT INTO rewritten VALUES (30, 1, 30);
ROLLBACK TO b;
INSERT INTO rewritten VALUES (31, 1, 31);
RELEASE a;
SAVEPOINT c;
ALTER TABLE rewritten SET LOGGED;
RELEASE c;
COMMIT;
SELECT * FROM rewritten_check;
BEGIN;
SAVEPOINT a;
ALTER TABLE rewritten SET UNLOGGED;
INSERT INTO rewritten VALUES (40, 1, 40);
ROLLBACK TO a;
INSERT INTO rewritten VALUES (41, 1, 41);
COMMIT;
SELECT * FROM rewritten_check;
BEGIN;
ALTER TABLE rewritten SET UNLOGGED;
INSERT INTO rewritten VALUES (42, 1, 42);
ROLLBACK;
SELECT * FROM rewritten_check;
-- prepared
BEGIN;
ALTER TABLE rewritten SET UNLOGGED;
INSERT INTO rewritten VALUES (43, 1, 43);
ALTER TABLE rewritten SET LOGGED;
PREPARE TRANSACTION 'rewritten';
COMMIT PREPARED 'rewritten';
SELECT * FROM rewritten_check;
-- unlogged at the end of a batch
ALTER TABLE rewritten SET UNLOGGED;
SELECT sink_state('rewritten_rollup');
INSERT INTO rewritten VALUES (50, 1, 50);
ALTER TABLE rewritten SET LOGGED;
SELECT sink_state('rewritten_copy');
SELECT freshet.rebuild_sink('rewritten_rollup'), freshet.rebuild_sink('rewritten_copy');
SELECT * FROM rewritten_check;

-- Rewrites that change nothing build nothing anew: rows that a fill writes get the
-- new default.
ALTER TABLE rewritten_copy ADD COLUMN mark text DEFAULT 'kept';
ALTER TABLE rewritten_copy ALTER COLUMN mark SET DEFAULT 'new';
VACUUM FULL rewritten;
CLUSTER rewritten USING rewritten_pkey;
ALTER TABLE rewritten ALTER COLUMN unused TYPE text;
ALTER TABLE rewritten ADD COLUMN random float8 DEFAULT random();
CREATE UNLOGGED TABLE rewritten_other (id int PRIMARY KEY);
BEGIN;
CREATE UNLOGGED TABLE rewritten_more (id int PRIMARY KEY);
UPDATE rewritten SET v = v + 1 WHERE id = 50;
COMMIT;
SELECT * FROM rewritten_check;
SELECT mark, count(*) FROM rewritten_copy GROUP BY mark ORDER BY mark;
-- the values of a generated column may change (PostgreSQL 17: SET EXPRESSION)
ALTER TABLE rewritten ADD COLUMN doubled int GENERATED ALWAYS AS (v * 2) STORED;
SELECT check_sink('rewritten_copy');
ALTER TABLE rewritten ALTER COLUMN unused TYPE int USING 1;
SELECT * FROM rewritten_check;
SELECT mark, count(*) FROM rewritten_copy GROUP BY mark ORDER BY mark;

-- Partitions
CREATE TABLE rewritten_root (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
CREATE TABLE rewritten_1 PARTITION OF rewritten_root FOR VALUES IN (1);
CREATE TABLE rewritten_b PARTITION OF rewritten_root FOR VALUES IN (2, 3) PARTITION BY LIST (g);
CREATE TABLE rewritten_2 PARTITION OF rewritten_b FOR VALUES IN (2);
INSERT INTO rewritten_root SELECT i, 1 + i % 2, i FROM generate_series(1, 6) i;
SELECT freshet.create_sink('root_rollup', 'SELECT g, count(*) AS n, sum(v) AS v FROM rewritten_root GROUP BY g');
SELECT freshet.create_sink('leaf_rollup', 'SELECT count(*) AS n, sum(v) AS v FROM rewritten_2');
SELECT check_sink('root_rollup'), check_sink('leaf_rollup');
BEGIN;
ALTER TABLE rewritten_2 SET UNLOGGED;
INSERT INTO rewritten_root VALUES (7, 2, 7);
DELETE FROM rewritten_root WHERE id IN (1, 2);
ALTER TABLE rewritten_2 SET LOGGED;
COMMIT;
SELECT check_sink('root_rollup'), check_sink('leaf_rollup');
-- made unlogged, in its place
BEGIN;
CREATE UNLOGGED TABLE rewritten_3 PARTITION OF rewritten_b FOR VALUES IN (3);
INSERT INTO rewritten_root VALUES (8, 3, 8), (9, 3, 9);
ALTER TABLE rewritten_3 SET LOGGED;
INSERT INTO rewritten_root VALUES (10, 3, 10);
DELETE FROM rewritten_root WHERE id = 8;
COMMIT;
SELECT check_sink('root_rollup');
-- loaded unlogged, then attached
CREATE UNLOGGED TABLE rewritten_4 (LIKE rewritten_root INCLUDING ALL);
INSERT INTO rewritten_4 VALUES (11, 4, 11), (12, 4, 12);
BEGIN;
ALTER TABLE rewritten_root ATTACH PARTITION rewritten_4 FOR VALUES IN (4);
UPDATE rewritten_root SET v = v + 1 WHERE id = 11;
ALTER TABLE rewritten_4 SET LOGGED;
UPDATE rewritten_root SET v = v + 1 WHERE g = 4;
COMMIT;
SELECT check_sink('root_rollup');
SELECT g, n, v FROM root_rollup ORDER BY g;
DROP TABLE rewritten, rewritten_root, rewritten_other, rewritten_more CASCADE;
