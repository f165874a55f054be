-- What is between two snapshots is not judged: rows that are corrected or withdrawn before anybody
-- sees them, by whatever the sink has that may fail
\set VERBOSITY terse
CREATE TABLE between_source (id int PRIMARY KEY, g int, v int, t text);
ALTER TABLE between_source REPLICA IDENTITY FULL;
INSERT INTO between_source SELECT i, i % 3, 1 + i % 4, i::text FROM generate_series(1, 12) i;
SELECT freshet.create_sink('between_arg', 'SELECT g, sum(100 / v) AS x, max(t::int) AS hi FROM between_source GROUP BY g');
SELECT freshet.create_sink('between_key', 'SELECT 100 / v AS k, count(*) FROM between_source GROUP BY 1');
SELECT freshet.create_sink('between_where', 'SELECT count(*) FROM between_source WHERE 100 / v > 30');
SELECT freshet.create_sink('between_filter', 'SELECT count(*) FILTER (WHERE 100 / v > 30) AS n FROM between_source');
SELECT freshet.create_sink('between_window', $$
	SELECT window_start, count(*) FROM between_source, freshet.tumble(to_timestamp(6000 / v), interval '1 minute') GROUP BY 1 $$);
SELECT freshet.create_sink('between_copy', 'SELECT id, t::int AS n FROM between_source');
SELECT freshet.create_sink('between_bag', 'SELECT t::int % 2 AS n, 100 / v AS x FROM between_source');
SELECT freshet.create_sink('between_check', 'SELECT id, v, g FROM between_source');
SELECT freshet.create_sink('between_above', 'SELECT sum(100 / v) AS x FROM between_check');
SELECT freshet.create_wide_view('between_wide', 'between_source', '[]');
CREATE VIEW between_all AS SELECT sink, check_sink(sink)
FROM unnest('{between_arg, between_key, between_where, between_filter, between_window, between_copy, between_bag,
	between_check, between_above, between_wide}'::regclass[]) sink;
SELECT * FROM between_all;
-- a CHECK, a domain of the owner's own, a trigger, an expression of an index, a default
ALTER TABLE between_check ADD CHECK (v > 0);
CREATE INDEX ON between_check ((100 / v));
CREATE FUNCTION between_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.v <= 0 THEN
		RAISE EXCEPTION 'the trigger has seen %', NEW.v;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON between_check FOR EACH ROW EXECUTE FUNCTION between_refuse();
ALTER TABLE between_check ENABLE ALWAYS TRIGGER refuse;
ALTER TABLE between_wide ADD CHECK ((doc->>'v')::int > 0);

-- inserted and corrected
BEGIN;
INSERT INTO between_source VALUES (100, 1, 0, ''), (101, 2, 0, 'none');
UPDATE between_source SET v = 5, t = '5' WHERE id IN (100, 101);
COMMIT;
SELECT * FROM between_all;
-- inserted and withdrawn
BEGIN;
INSERT INTO between_source VALUES (102, 1, 0, 'none'), (103, 7, 0, '');
DELETE FROM between_source WHERE id IN (102, 103);
COMMIT;
SELECT * FROM between_all;
-- there and back, and elsewhere
BEGIN;
UPDATE between_source SET v = 0, t = 'x' || t WHERE id < 8;
SAVEPOINT s;
DELETE FROM between_source WHERE id < 8;
ROLLBACK TO SAVEPOINT s;
UPDATE between_source SET v = 1 + id % 5, t = substr(t, 2), g = g + 1 WHERE id < 6;
UPDATE between_source SET v = 1 + (id - 1) % 4, t = id WHERE id IN (6, 7);
COMMIT;
SELECT * FROM between_all;
-- deleted and inserted again, by another key
BEGIN;
UPDATE between_source SET v = 0 WHERE id = 3;
UPDATE between_source SET id = 300 WHERE id = 3;
UPDATE between_source SET v = 3 WHERE id = 300;
DELETE FROM between_source WHERE id = 4;
INSERT INTO between_source VALUES (4, 0, 0, '');
UPDATE between_source SET v = 9, t = '9' WHERE id = 4;
COMMIT;
SELECT * FROM between_all;
-- before a truncation
BEGIN;
INSERT INTO between_source VALUES (200, 1, 0, '');
CREATE TEMP TABLE between_kept AS SELECT * FROM between_source WHERE id < 200;
TRUNCATE between_source;
INSERT INTO between_source VALUES (201, 1, 0, '');
INSERT INTO between_source SELECT * FROM between_kept;
UPDATE between_source SET v = 2, t = '2' WHERE id = 201;
COMMIT;
SELECT * FROM between_all;

-- an old row on which the definition fails by now
CREATE FUNCTION between_f(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN v; END';
SELECT freshet.create_sink('between_function', 'SELECT g, sum(between_f(v)) AS x FROM between_source GROUP BY g');
SELECT check_sink('between_function');
CREATE OR REPLACE FUNCTION between_f(v int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN CASE WHEN v = 5 THEN 1 / (v - 5) ELSE v END; END';
UPDATE between_source SET v = 6 WHERE v = 5;
SELECT check_sink('between_function');

-- rows that exchange what the owner made unique
UPDATE between_source SET t = id;
SELECT freshet.wait('60 s') IS NOT NULL AS waited;
CREATE UNIQUE INDEX ON between_copy (n);
CREATE UNIQUE INDEX ON between_arg (hi);
CREATE UNIQUE INDEX ON between_wide ((doc->>'t'));
SELECT id, t FROM between_source WHERE id IN (5, 8, 9, 10) ORDER BY id;
BEGIN;
UPDATE between_source SET t = '5000' WHERE id = 8;
UPDATE between_source SET t = '8' WHERE id = 5;
UPDATE between_source SET t = '5' WHERE id = 8;
COMMIT;
SELECT * FROM between_all;
BEGIN;
DELETE FROM between_source WHERE id = 9;
INSERT INTO between_source VALUES (900, 8, 1, '9'), (-900, 9, 1, '901');
UPDATE between_source SET t = '900' WHERE id = 10;
COMMIT;
SELECT * FROM between_all;
UPDATE between_source SET g = CASE g WHEN 0 THEN 1 WHEN 1 THEN 0 ELSE g END;
SELECT * FROM between_all;
-- only what S has fails a sink
INSERT INTO between_source VALUES (1000, 1, 0, '1000');
SELECT sink_state('between_arg'), sink_state('between_check'), check_sink('between_copy');
DELETE FROM between_source WHERE id = 1000;
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed' AND sink::text LIKE 'between%' ORDER BY sink::text;
SELECT * FROM between_all;
SET client_min_messages = warning;
DROP VIEW between_all;
DROP TABLE between_source CASCADE;
SELECT check_sink('kept');
