-- The change stream: the envelope of Debezium
\pset format unaligned
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_debezium', 'freshet');
-- what changes from run to run is put as its kind
CREATE FUNCTION st_events(VARIADIC options text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	d jsonb;
	now_ms numeric := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
	FOR line IN SELECT data FROM pg_logical_slot_get_changes('regress_freshet_debezium', NULL, NULL, VARIADIC ARRAY['format', 'debezium'] || options) LOOP
		d := line::jsonb;
		IF abs((d->>'ts_ms')::numeric - now_ms) > 600000 OR abs(coalesce(d #>> '{source,ts_ms}', d->>'ts_ms')::numeric - now_ms) > 600000 THEN
			RAISE 'wrong time: %', line;
		END IF;
		IF d ? 'source' AND (d #> '{source,sequence}' #>> '{}')::jsonb ->> 1 <> d #>> '{source,lsn}' THEN
			RAISE 'wrong sequence: %', line;
		END IF;
		line := regexp_replace(line, '"(ts_ms|txId|lsn)":\d+', '"\1":N', 'g');
		line := regexp_replace(line, '"sequence":"[^ ]*?\]"', '"sequence":S');
		RETURN NEXT regexp_replace(line, '"id":"\d+:\d+"', '"id":"X:L"');
	END LOOP;
END
$$;
CREATE TABLE st_events (id int PRIMARY KEY, t text, n numeric(10,2), ts timestamptz, big text);
CREATE TABLE st_full (id int PRIMARY KEY, t text);
ALTER TABLE st_full REPLICA IDENTITY FULL;
BEGIN;
INSERT INTO st_events VALUES (1, 'a "b"', 1.10, '2026-01-01 00:00+00', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100) i));
INSERT INTO st_full VALUES (1, 'x'), (2, 'y');
COMMIT;
UPDATE st_events SET t = 'b';
UPDATE st_full SET t = 'z' WHERE id = 1;
-- a change of the key
UPDATE st_full SET id = 3 WHERE id = 1;
DELETE FROM st_full WHERE id = 2;
DELETE FROM st_events;
TRUNCATE st_events, st_full;
SELECT regexp_replace(st_events('tables', 'st_*'), '[0-9a-f]{200,}', '<hex>');
INSERT INTO st_full VALUES (1, 'x'), (2, 'y');
BEGIN;
INSERT INTO st_full VALUES (3, 'x');
INSERT INTO st_events VALUES (3);
UPDATE st_full SET id = 4 WHERE id = 3;
COMMIT;
SELECT st_events('tables', 'st_*', 'transactions', 'on', 'server_name', 'my "server"');
-- the identifier of a transaction is one for all its events
INSERT INTO st_full VALUES (5, 'x'), (6, 'y');
SELECT count(*), count(DISTINCT coalesce(d->>'id', d #>> '{transaction,id}'))
FROM (SELECT data::jsonb AS d FROM pg_logical_slot_get_changes('regress_freshet_debezium', NULL, NULL, 'format', 'debezium', 'transactions', 'on', 'tables', 'st_*')) x;
-- partitions under one name are counted as one
CREATE TABLE st_part (id int) PARTITION BY LIST (id);
CREATE TABLE st_part_1 PARTITION OF st_part FOR VALUES IN (1);
CREATE TABLE st_part_2 PARTITION OF st_part FOR VALUES IN (2);
INSERT INTO st_part VALUES (1), (2), (1);
SELECT st_events('tables', 'st_*', 'transactions', 'on', 'publish_via_root', 'on');
-- An update of the key is "d" and "c", also when the log lacks a value out of line
-- that the update did not change: the new row has it where the old one has.
CREATE TABLE st_toast (id int, k text, note text, v int, PRIMARY KEY (id, k));
ALTER TABLE st_toast ALTER k SET STORAGE EXTERNAL, ALTER note SET STORAGE EXTERNAL;
CREATE FUNCTION st_short(VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws(' ', d->>'op', 'before', regexp_replace(d->>'before', '(.)\1{100,}', '\1...', 'g'),
	'after', regexp_replace(d->>'after', '(.)\1{100,}', '\1...', 'g'))
FROM (SELECT data::jsonb AS d FROM pg_logical_slot_get_changes('regress_freshet_debezium', NULL, NULL, 'format', 'debezium', 'tables', 'st_toast')) x
$$;
INSERT INTO st_toast VALUES (1, 'a', repeat('n', 4000), 1), (2, repeat('k', 2200), repeat('n', 4000), 2), (3, 'c', NULL, 3);
SELECT count(*) FROM st_short();
UPDATE st_toast SET id = id + 10;
UPDATE st_toast SET v = v + 1;
UPDATE st_toast SET k = k || 'x';
SELECT * FROM st_short();
ALTER TABLE st_toast REPLICA IDENTITY FULL;
UPDATE st_toast SET id = id + 10;
UPDATE st_toast SET v = v + 1;
UPDATE st_toast SET id = id + 10, note = 'new';
SELECT * FROM st_short();
UPDATE st_toast SET note = repeat('n', 4000);
CREATE UNIQUE INDEX st_toast_index ON st_toast (id);
ALTER TABLE st_toast REPLICA IDENTITY USING INDEX st_toast_index;
SELECT count(*) FROM st_short();
-- the old row lacks a part of the primary key
UPDATE st_toast SET id = id + 10;
SELECT * FROM st_short();
ALTER TABLE st_toast DROP CONSTRAINT st_toast_pkey;
UPDATE st_toast SET id = id + 10;
SELECT * FROM st_short();
DROP TABLE st_toast;
DROP FUNCTION st_short;
DROP TABLE st_events, st_full, st_part;
DROP FUNCTION st_events;
SELECT pg_drop_replication_slot('regress_freshet_debezium');
