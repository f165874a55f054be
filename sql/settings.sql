-- A sink is computed under the settings recorded when it was made.
SET timezone = 'Asia/Tokyo';
SET datestyle = 'ISO, DMY';
SET intervalstyle = 'iso_8601';
\set VERBOSITY terse
CREATE TABLE set_source (id int PRIMARY KEY, ts timestamptz, d date, iv interval, t text, n numeric, f float8, by bytea);
ALTER TABLE set_source REPLICA IDENTITY FULL;
INSERT INTO set_source SELECT i, '2020-03-07 20:00Z'::timestamptz + i * interval '1 hour', '2020-12-30'::date + i, i * interval '90 min',
	'0' || 1 + i % 3 || '-02-2020', i * 1000.5, 1 / i::float8, decode(md5(i::text), 'hex') FROM generate_series(1, 60) i;
SELECT freshet.create_sink('set_day', 'SELECT date_trunc(''day'', ts) AS day, count(*), max(ts) FROM set_source GROUP BY 1');
SELECT freshet.create_sink('set_hour', 'SELECT extract(hour FROM ts) AS h, extract(dow FROM ts) AS dow, count(*) FROM set_source GROUP BY 1, 2');
SELECT freshet.create_sink('set_char', 'SELECT to_char(ts, ''YYYY-MM-DD HH24 TZ'') AS c, count(*), sum(n) FROM set_source GROUP BY 1');
SELECT freshet.create_sink('set_casts', 'SELECT ts::date AS d, ts::time AS tm, ts::text AS tt, iv::text AS ivt, d::text AS dt, count(*) FROM set_source GROUP BY 1, 2, 3, 4, 5');
SELECT freshet.create_sink('set_where', 'SELECT count(*), sum(n) FROM set_source WHERE ts >= ''2020-03-08''::date AND ts < ''2020-03-09''::timestamp');
SELECT freshet.create_sink('set_copy', $$
	SELECT id, ts::text AS ts, ts + interval '1 day' AS next, to_timestamp(t, 'DD-MM-YYYY') AS t, f::text AS f, by::text AS by,
		to_jsonb(ts) AS j, concat(ts, '|', iv, '|', d) AS c, format('%s', ts) AS fm, array_to_string(ARRAY[ts], ',') AS arr FROM set_source$$);
SELECT freshet.create_sink('set_literal', 'SELECT id FROM set_source WHERE ts > ''09-03-2020 05:00'' AND d > ''01-02-2021''');
SELECT freshet.explain('SELECT date_trunc(''day'', ts) AS day, count(*), max(ts) FROM set_source GROUP BY 1');
SELECT freshet.explain('SELECT count(*) FROM set_source');
SELECT relid, s FROM freshet.sink, unnest(settings) s WHERE relid = 'set_day'::regclass ORDER BY 2;
CREATE VIEW set_check AS SELECT sink, check_sink(sink) FROM unnest('{set_day, set_hour, set_char, set_casts, set_where, set_copy, set_literal}'::regclass[]) sink;
SELECT * FROM set_check;
SELECT day, count FROM set_day ORDER BY 1;
SELECT c, count FROM set_char ORDER BY 1 LIMIT 3;
-- Another session with other settings
\c
\set VERBOSITY terse
SET timezone = 'America/New_York';
SET datestyle = 'German';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = 0;
SET bytea_output = 'escape';
SELECT * FROM set_check;
INSERT INTO set_source SELECT i, '2020-03-07 20:00Z'::timestamptz + i * interval '1 hour', '2020-12-30'::date + i, i * interval '90 min',
	'0' || 1 + i % 3 || '-02-2020', i * 1000.5, 1 / i::float8, decode(md5(i::text), 'hex') FROM generate_series(61, 100) i;
UPDATE set_source SET ts = ts - interval '3 hours' WHERE id % 3 = 0;
DELETE FROM set_source WHERE id % 5 = 0;
SELECT * FROM set_check;
SELECT day AT TIME ZONE 'Asia/Tokyo' AS tokyo, count FROM set_day ORDER BY 1;
SELECT c, count FROM set_char ORDER BY 1 LIMIT 3;
SELECT * FROM set_copy WHERE id = 1 \gx
SELECT freshet.rebuild_sink('set_day'), freshet.rebuild_sink('set_copy');
SELECT * FROM set_check;
-- around a change to summer time
SET datestyle = 'ISO';
SELECT freshet.create_sink('set_summer', 'SELECT date_trunc(''day'', ts) AS day, date_trunc(''hour'', ts) AS hour, count(*) FROM set_source GROUP BY 1, 2');
SET timezone = 'UTC';
SELECT check_sink('set_summer');
UPDATE set_source SET ts = ts + interval '30 min';
SELECT check_sink('set_summer');
DROP VIEW set_check;
DROP TABLE set_source CASCADE;
