-- A sink that fails; the others live
\set VERBOSITY terse
CREATE TABLE fail_source (id int PRIMARY KEY, g int, x int, t text);
ALTER TABLE fail_source REPLICA IDENTITY FULL;
INSERT INTO fail_source SELECT i, i % 3, i, i::text FROM generate_series(1, 12) i;
SELECT freshet.create_sink('fail_key', 'SELECT 100 / x AS k, count(*) FROM fail_source GROUP BY 1');
SELECT freshet.create_sink('fail_arg', 'SELECT g, sum(100 / x) FROM fail_source GROUP BY g');
SELECT freshet.create_sink('fail_where', 'SELECT count(*) FROM fail_source WHERE 100 / x > 5');
SELECT freshet.create_sink('fail_output', 'SELECT g, 100 / sum(x) AS per FROM fail_source GROUP BY g');
SELECT freshet.create_sink('fail_cast', 'SELECT id, t::int AS t FROM fail_source');
SELECT freshet.create_sink('fail_not', 'SELECT g, count(*), sum(x) FROM fail_source GROUP BY g');
SELECT freshet.create_sink('fail_chain', 'SELECT count(*), sum(t) FROM fail_cast');
CREATE VIEW fail_check AS SELECT sink, check_sink(sink)
FROM unnest('{fail_key, fail_arg, fail_where, fail_output, fail_cast, fail_not, fail_chain}'::regclass[]) sink;
SELECT * FROM fail_check;
INSERT INTO fail_source VALUES (100, 77, 0, 'no number');
SELECT * FROM fail_check;
SELECT state, error IS NULL AS no_error FROM freshet.status WHERE sink = 'fail_not'::regclass;
SELECT freshet.wait('fail_key', '5 s');
SELECT freshet.verify_sink('fail_key');
-- a failed sink stays as it was, and readable
SELECT count(*) FROM fail_where;
INSERT INTO fail_source VALUES (101, 1, 5, '5');
UPDATE fail_source SET x = x + 1 WHERE id = 101;
SELECT * FROM fail_check;
-- a rebuild before the data is mended
SELECT freshet.rebuild_sink('fail_key');
SELECT sink_state('fail_key'), check_sink('fail_not');
-- mended
UPDATE fail_source SET x = 7, t = '7' WHERE id = 100;
SELECT * FROM fail_check;
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed' ORDER BY sink::text;
SELECT * FROM fail_check;
-- the row that fails comes and goes in one transaction, and one after the other
BEGIN;
INSERT INTO fail_source VALUES (200, 1, 0, 'x');
UPDATE fail_source SET x = 1, t = '1' WHERE id = 200;
COMMIT;
SELECT * FROM fail_check;
-- pause a failed sink, and resume it
INSERT INTO fail_source VALUES (201, 1, 0, 'x');
SELECT sink_state('fail_key');
SELECT freshet.pause_sink('fail_key');
SELECT sink_state('fail_key');
SELECT freshet.resume_sink('fail_key');
SELECT sink_state('fail_key');
DELETE FROM fail_source WHERE id = 201;
SELECT freshet.resume_sink('fail_key');
SELECT sink_state('fail_key');
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed';
SELECT * FROM fail_check;
-- made of data that fails
INSERT INTO fail_source VALUES (300, 1, 0, 'x');
SELECT freshet.create_sink('fail_born', 'SELECT 1 / x AS k, count(*) FROM fail_source GROUP BY 1');
SELECT sink_state('fail_born');
DELETE FROM fail_source WHERE id = 300;
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed';
SELECT * FROM fail_check;
SELECT check_sink('fail_born');
-- a trigger or constraint that somebody put on a sink
ALTER TABLE fail_not ADD CHECK (count < 100);
INSERT INTO fail_source SELECT i, 1, 1, '1' FROM generate_series(1000, 1200) i;
SELECT sink_state('fail_not');
SELECT check_sink('fail_arg');
ALTER TABLE fail_not DROP CONSTRAINT fail_not_count_check;
SELECT freshet.rebuild_sink('fail_not');
SELECT check_sink('fail_not');
CREATE UNIQUE INDEX fail_unique ON fail_not (sum);
INSERT INTO fail_source VALUES (350, 80, 12345, '1'), (351, 81, 12345, '1');
SELECT sink_state('fail_not');
DROP INDEX fail_unique;
SELECT freshet.rebuild_sink('fail_not');
SELECT check_sink('fail_not');
-- overflow
INSERT INTO fail_source VALUES (400, 500, 2147483647, '1'), (401, 500, 2147483647, '1');
SELECT freshet.create_sink('fail_overflow', 'SELECT g, sum(x)::int AS s FROM fail_source GROUP BY g');
SELECT sink_state('fail_overflow');
SELECT freshet.drop_sink('fail_overflow');
SELECT freshet.create_sink('fail_double', 'SELECT g, sum(x * 1e300::float8) AS s FROM fail_source GROUP BY g');
SELECT sink_state('fail_double') IS NOT NULL;
SELECT freshet.drop_sink('fail_double');
DELETE FROM fail_source WHERE g = 500;
-- a function that changes its mind
CREATE FUNCTION fail_fn(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
SELECT freshet.create_sink('fail_function', 'SELECT g, sum(fail_fn(x)) FROM fail_source GROUP BY g');
SELECT check_sink('fail_function');
DROP FUNCTION fail_fn(int);
CREATE OR REPLACE FUNCTION fail_fn(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today, %'', $1; END';
INSERT INTO fail_source VALUES (402, 1, 1, '1');
SELECT sink_state('fail_function');
CREATE OR REPLACE FUNCTION fail_fn(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 3';
SELECT freshet.rebuild_sink('fail_function');
SELECT check_sink('fail_function');
-- many failures, the worker is the same
SELECT pid FROM freshet.worker \gset
DO $$
BEGIN
	FOR k IN 1..5 LOOP
		INSERT INTO fail_source VALUES (500, 1, 0, 'x');
		COMMIT;
		PERFORM freshet.wait('30 s');
		DELETE FROM fail_source WHERE id = 500;
		PERFORM freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed';
		COMMIT;
		PERFORM freshet.wait('30 s');
	END LOOP;
END
$$;
SELECT pid = :pid AS same FROM freshet.worker;
SELECT * FROM fail_check;
DROP VIEW fail_check;
DROP TABLE fail_source CASCADE;
DROP FUNCTION fail_fn;
