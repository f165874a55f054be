-- What becomes of a sink in whose maintenance an error arises
SET timezone = 'UTC';
\set VERBOSITY terse
CREATE TABLE tr_source (id int PRIMARY KEY, g int, x int, t text);
INSERT INTO tr_source SELECT i, i % 3, i, i::text FROM generate_series(1, 30) i;
SELECT freshet.create_sink('tr_good', 'SELECT g, count(*) FROM tr_source GROUP BY g');
SELECT freshet.create_sink('tr_key', 'SELECT 60 / x AS q, count(*) FROM tr_source GROUP BY 1');
SELECT freshet.create_sink('tr_arg', 'SELECT g, sum(60 / x) FROM tr_source GROUP BY g');
SELECT freshet.create_sink('tr_copy', 'SELECT id, t::int AS n FROM tr_source');
SELECT freshet.create_sink('tr_bag', 'SELECT 60 / x AS q FROM tr_source');
SELECT freshet.create_sink('tr_refresh', 'SELECT DISTINCT 60 / x AS q FROM tr_source ORDER BY q LIMIT 1000');
SELECT freshet.create_sink('tr_over', 'SELECT sum(count) FROM tr_key');
CREATE VIEW tr_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'tr\_%' ORDER BY relid;
SELECT * FROM tr_check;
-- a row version that no snapshot has
BEGIN;
INSERT INTO tr_source VALUES (100, 1, 0, 'none'), (101, 1, 0, 'none');
UPDATE tr_source SET x = 5, t = '5' WHERE id = 100;
DELETE FROM tr_source WHERE id = 101;
COMMIT;
SELECT * FROM tr_check;
-- a row that stays: the query itself fails
INSERT INTO tr_source VALUES (200, 1, 0, 'none');
SELECT * FROM tr_check;
-- mended: a rebuild, and it goes on
UPDATE tr_source SET x = 3, t = '3' WHERE id = 200;
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE state = 'failed' AND sink::text LIKE 'tr\_%' ORDER BY sink::text;
SELECT * FROM tr_check;
-- an error that looks as if it would pass holds up no other sink
CREATE FUNCTION tr_serialize(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF x = 7000 THEN
		RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001';
	END IF;
	RETURN x;
END $$;
SELECT freshet.create_sink('tr_pass', 'SELECT tr_serialize(x) AS x, count(*) FROM tr_source GROUP BY 1');
SELECT freshet.create_sink('tr_pass2', 'SELECT id, tr_serialize(x) AS x FROM tr_source');
SELECT check_sink('tr_pass'), check_sink('tr_pass2');
INSERT INTO tr_source VALUES (300, 1, 7000, '1');
SELECT check_sink('tr_good'), sink_state('tr_pass'), sink_state('tr_pass2');
INSERT INTO tr_source VALUES (301, 1, 1, '1');
SELECT check_sink('tr_good'), sink_state('tr_pass'), sink_state('tr_pass2');
-- it is tried again on its own, and heals
DELETE FROM tr_source WHERE id = 300;
SELECT freshet.wait('tr_pass', '60 s') IS NOT NULL AS live, freshet.wait('tr_pass2', '60 s') IS NOT NULL AS live;
SELECT * FROM tr_check;
DROP VIEW tr_check;
SET client_min_messages = warning;
DROP TABLE tr_source CASCADE;
DROP FUNCTION tr_serialize(int);
