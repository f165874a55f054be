-- Transactions of all kinds
\set VERBOSITY terse
CREATE TABLE tx_source (id int PRIMARY KEY, g int, x int);
ALTER TABLE tx_source REPLICA IDENTITY FULL;
SELECT freshet.create_sink('tx_sum', 'SELECT g, count(*), sum(x), min(x), max(x) FROM tx_source GROUP BY g');
SELECT freshet.create_sink('tx_total', 'SELECT count(*), sum(x), avg(x) FROM tx_source');
SELECT freshet.create_sink('tx_copy', 'SELECT id, g, x FROM tx_source WHERE x % 2 = 0');
CREATE VIEW tx_check AS SELECT sink, check_sink(sink) FROM unnest('{tx_sum, tx_total, tx_copy}'::regclass[]) sink;
INSERT INTO tx_source SELECT i, i % 5, i FROM generate_series(1, 50) i;
SELECT * FROM tx_check;
-- rolled back as a whole
BEGIN;
INSERT INTO tx_source VALUES (1000, 1, 1);
UPDATE tx_source SET x = 0;
DELETE FROM tx_source WHERE id < 20;
ROLLBACK;
SELECT * FROM tx_check;
-- savepoints
BEGIN;
UPDATE tx_source SET x = x + 1 WHERE id < 10;
SAVEPOINT a;
UPDATE tx_source SET x = x + 100 WHERE id < 10;
SAVEPOINT b;
DELETE FROM tx_source WHERE id < 5;
ROLLBACK TO b;
UPDATE tx_source SET g = 9 WHERE id = 1;
ROLLBACK TO a;
INSERT INTO tx_source VALUES (100, 2, 2);
SAVEPOINT c;
INSERT INTO tx_source VALUES (101, 2, 2);
RELEASE c;
SAVEPOINT d;
INSERT INTO tx_source VALUES (102, 2, 2);
ROLLBACK TO d;
COMMIT;
SELECT * FROM tx_check;
SELECT id, g, x FROM tx_copy WHERE id BETWEEN 100 AND 199 OR id = 1 ORDER BY id;
-- many subtransactions, half of them undone
DO $$
BEGIN
	FOR k IN 1..200 LOOP
		BEGIN
			UPDATE tx_source SET x = x + k, g = (g + k) % 7 WHERE id % 50 = k % 50;
			IF k % 2 = 0 THEN RAISE EXCEPTION 'undo'; END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END
$$;
SELECT * FROM tx_check;
-- one row, many times
BEGIN;
INSERT INTO tx_source VALUES (200, 1, 1);
UPDATE tx_source SET x = 2 WHERE id = 200;
UPDATE tx_source SET x = 3, g = 2 WHERE id = 200;
DELETE FROM tx_source WHERE id = 200;
INSERT INTO tx_source VALUES (200, 3, 4);
UPDATE tx_source SET id = 201 WHERE id = 200;
DELETE FROM tx_source WHERE id = 201;
INSERT INTO tx_source VALUES (200, 3, 6);
COMMIT;
SELECT * FROM tx_check;
-- updates that change nothing
UPDATE tx_source SET x = x;
SELECT * FROM tx_check;
-- INSERT ... ON CONFLICT
INSERT INTO tx_source SELECT i, 6, i FROM generate_series(40, 60) i
ON CONFLICT (id) DO UPDATE SET x = tx_source.x + excluded.x, g = excluded.g;
INSERT INTO tx_source SELECT i, 6, i FROM generate_series(50, 70) i ON CONFLICT DO NOTHING;
SELECT * FROM tx_check;
-- MERGE
MERGE INTO tx_source t USING (SELECT i AS id, i * 3 AS x FROM generate_series(60, 90) i) s ON s.id = t.id
WHEN MATCHED AND s.id % 2 = 0 THEN DELETE
WHEN MATCHED THEN UPDATE SET x = s.x
WHEN NOT MATCHED THEN INSERT VALUES (s.id, 8, s.x);
SELECT * FROM tx_check;
-- WITH: several changes of one table in a statement
WITH d AS (DELETE FROM tx_source WHERE g = 8 RETURNING *)
INSERT INTO tx_source SELECT id + 10000, 7, x FROM d;
SELECT * FROM tx_check;
-- COPY
COPY tx_source FROM stdin;
301	1	11
302	\N	12
303	1	\N
\.
SELECT * FROM tx_check;
-- a large one
INSERT INTO tx_source SELECT i, i % 1000, i FROM generate_series(100000, 150000) i;
SELECT * FROM tx_check;
BEGIN;
UPDATE tx_source SET x = x + 1, g = g + 1 WHERE id >= 100000;
DELETE FROM tx_source WHERE id % 3 = 0;
COMMIT;
SELECT * FROM tx_check;
BEGIN;
DELETE FROM tx_source;
ROLLBACK;
DELETE FROM tx_source WHERE id >= 100000;
SELECT * FROM tx_check;
-- asynchronous commit
SET synchronous_commit = off;
INSERT INTO tx_source VALUES (500, 1, 4);
SELECT * FROM tx_check;
RESET synchronous_commit;
-- isolation levels; constraint triggers; a trigger that changes the row
CREATE FUNCTION tx_trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.x := NEW.x * 10; RETURN NEW; END$$;
CREATE TRIGGER tx_trigger BEFORE INSERT OR UPDATE ON tx_source FOR EACH ROW EXECUTE FUNCTION tx_trigger();
BEGIN ISOLATION LEVEL SERIALIZABLE;
UPDATE tx_source SET x = 7 WHERE g = 1;
INSERT INTO tx_source VALUES (501, 1, 5);
COMMIT;
SELECT * FROM tx_check;
-- what a replica writes counts as well
SET session_replication_role = replica;
INSERT INTO tx_source VALUES (502, 1, 5);
RESET session_replication_role;
SELECT pg_replication_origin_create('regress_freshet_origin') IS NOT NULL AS made;
SELECT pg_replication_origin_session_setup('regress_freshet_origin');
INSERT INTO tx_source VALUES (503, 1, 5);
SELECT pg_replication_origin_session_reset();
SELECT pg_replication_origin_drop('regress_freshet_origin');
SELECT * FROM tx_check;
DROP VIEW tx_check;
DROP TABLE tx_source CASCADE;
DROP FUNCTION tx_trigger;
