-- GROUP BY all kinds of things
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
CREATE TYPE key_mood AS ENUM ('sad', 'ok', 'happy');
CREATE TABLE key_source (
	id int PRIMARY KEY, i int, b bigint, t text, n numeric, d date, ts timestamptz, e key_mood,
	u uuid, j jsonb, f float8, m money, a int[], bo boolean, ip inet, r int4range, bt bytea,
	v varchar(10), bp char(6), iv interval, bit bit(4), x numeric(10, 2));
INSERT INTO key_source
SELECT k, nullif(k % 5, 0), nullif(k % 4, 0) * 10000000000, nullif(chr(65 + k % 6), 'C'), nullif(k % 3, 0) / 2.0,
	'2020-02-27'::date + k % 4, '2020-01-01Z'::timestamptz + (k % 3) * interval '1 day',
	(enum_range(NULL::key_mood))[1 + k % 4], ('00000000-0000-0000-0000-00000000000' || k % 7)::uuid,
	jsonb_build_object('a', jsonb_build_object('b', k % 3), 'c', k % 2), nullif(k % 4, 0) / 4.0, (k % 4)::money,
	ARRAY[k % 2, k % 3], nullif(k % 3, 0) = 1, ('10.0.0.' || k % 3)::inet, int4range(k % 3, k % 3 + 5),
	decode(to_hex(16 + k % 5), 'hex'), 'v' || k % 4, 'c' || k % 4, (k % 3) * interval '1 day', (k % 4)::bit(4), k % 3
FROM generate_series(1, 120) k;

CREATE TABLE key_sinks (n serial, key text);
INSERT INTO key_sinks (key) VALUES
	('i'), ('b'), ('t'), ('n'), ('d'), ('ts'), ('e'), ('u'), ('j'), ('f'), ('m'), ('a'), ('bo'), ('ip'),
	('r'), ('bt'), ('v'), ('bp'), ('iv'), ('bit'), ('x'),
	('j->''a''->>''b'''), ('j #> ''{a,b}'''), ('(j->>''c'')::int'), ('lower(t)'), ('coalesce(t, ''none'')'), ('i % 2'), ('i + b'),
	('t COLLATE "und-x-icu"'), ('(ts AT TIME ZONE ''Asia/Tokyo'')::date'), ('extract(year FROM d)'), ('t IS NULL'),
	('CASE WHEN i > 2 THEN ''many'' ELSE ''few'' END'), ('upper(r)'), ('a[1]'), ('md5(t)'), ('n::int'), ('date_bin(''2 days'', ts, ''2000-01-01Z'')');
-- The same identity notice only once
ALTER TABLE key_source REPLICA IDENTITY FULL;
SELECT freshet.create_sink('key_' || n, format('SELECT %s AS k, count(*), sum(i) AS s, max(b) FROM key_source GROUP BY 1', key))
FROM key_sinks ORDER BY n;
-- none, many, hidden, twice the same
SELECT freshet.create_sink('key_none', 'SELECT count(*) FROM key_source');
SELECT freshet.create_sink('key_many', 'SELECT i, t, bo, e, d, count(*) FROM key_source GROUP BY 1, 2, 3, 4, 5');
SELECT freshet.create_sink('key_hidden', 'SELECT count(*), sum(i) FROM key_source GROUP BY t, bo');
SELECT freshet.create_sink('key_half_hidden', 'SELECT i + 1 AS i1, t, avg(b) FROM key_source GROUP BY i, t, n');
SELECT freshet.create_sink('key_twice', 'SELECT t, t AS t2, i, count(*) FROM key_source GROUP BY t, t, i, 1, 2');
SELECT freshet.create_sink('key_only', 'SELECT t, bo FROM key_source GROUP BY t, bo');
SELECT freshet.create_sink('key_constant', 'SELECT count(*) FROM key_source GROUP BY ''x''::text');
SELECT freshet.create_sink('key_constant_where', 'SELECT ''x''::text AS x, count(*) FROM key_source WHERE i = 3 GROUP BY 1');
SELECT freshet.create_sink('key_id', 'SELECT id, count(*), max(t) FROM key_source GROUP BY id');

CREATE VIEW key_bad AS
SELECT relid AS sink, coalesce((SELECT key FROM key_sinks WHERE 'key_' || n = relid::text), '') AS key,
	check_sink(relid) AS result
FROM freshet.sink WHERE relid::text LIKE 'key\_%';
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
SELECT k, count, s, max FROM key_3 ORDER BY k;
SELECT count, sum FROM key_hidden ORDER BY count, sum;
SELECT attname FROM pg_attribute WHERE attrelid = 'key_half_hidden'::regclass AND attnum > 0 ORDER BY attnum;

-- Rows move between groups, in all sinks.
UPDATE key_source SET i = nullif((id + 1) % 5, 0), b = nullif((id + 1) % 4, 0) * 10000000000, t = chr(65 + (id + 3) % 6),
	n = (id % 4) / 2.0, d = d + 1, ts = ts + interval '1 day', e = 'ok', j = jsonb_build_object('a', NULL, 'c', id % 3),
	f = -f, m = m * 2, a = a || 1, bo = NOT bo, u = NULL, v = 'w', iv = NULL
WHERE id % 3 = 0;
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
DELETE FROM key_source WHERE id % 4 = 1;
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
-- back and forth within one transaction
BEGIN;
UPDATE key_source SET t = 'tmp', i = 99 WHERE id % 2 = 0;
UPDATE key_source SET t = NULL, i = NULL WHERE id % 2 = 0;
UPDATE key_source SET t = 'A', i = 1 WHERE id % 2 = 0;
COMMIT;
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
SELECT t, count FROM key_twice WHERE t = 'tmp';
-- groups end and begin again
DELETE FROM key_source WHERE t = 'A';
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
INSERT INTO key_source (id) VALUES (1000), (1001);
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
SELECT i, t, bo, e, d, count FROM key_many WHERE t IS NULL ORDER BY 1, 2, 3, 4, 5;
DELETE FROM key_source;
SELECT * FROM key_bad WHERE result NOT LIKE 'ok%' ORDER BY sink::text;
SELECT count FROM key_none;
DROP VIEW key_bad;
DROP TABLE key_source CASCADE;
DROP TYPE key_mood;

-- Equal keys that look different are one group.
CREATE COLLATION key_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE key_equal (id int PRIMARY KEY, n numeric, f float8, c char(10), t text COLLATE key_nocase, iv interval, x int);
ALTER TABLE key_equal REPLICA IDENTITY FULL;
SELECT freshet.create_sink('key_eq_n', 'SELECT n, count(*), sum(x) FROM key_equal GROUP BY n');
SELECT freshet.create_sink('key_eq_f', 'SELECT f, count(*), sum(x) FROM key_equal GROUP BY f');
SELECT freshet.create_sink('key_eq_c', 'SELECT c, count(*), sum(x) FROM key_equal GROUP BY c');
SELECT freshet.create_sink('key_eq_t', 'SELECT t, count(*), sum(x) FROM key_equal GROUP BY t');
SELECT freshet.create_sink('key_eq_iv', 'SELECT iv, count(*), sum(x) FROM key_equal GROUP BY iv');
CREATE VIEW key_check AS SELECT sink, check_sink(sink, exact => false)
FROM unnest('{key_eq_n, key_eq_f, key_eq_c, key_eq_t, key_eq_iv}'::regclass[]) sink;
INSERT INTO key_equal VALUES (1, 1.0, 0, 'a', 'abc', '1 day', 1), (2, 1.00, -0.0, 'a ', 'ABC', '24 hours', 2),
	(3, 'NaN', 'NaN', '', 'Abc', '86400 s', 3), (4, 'NaN', 'NaN', '  ', 'aBC', '1 day', 4);
SELECT * FROM key_check;
INSERT INTO key_equal VALUES (5, 1, 0, 'a  ', 'abC', '23:59:60', 5);
SELECT * FROM key_check;
DELETE FROM key_equal WHERE id = 1;
SELECT * FROM key_check;
UPDATE key_equal SET n = 1.000, f = -f, t = 'abc' WHERE id = 2;
SELECT * FROM key_check;
SELECT n, count, sum FROM key_eq_n ORDER BY n;
SELECT lower(t), count, sum FROM key_eq_t;
DELETE FROM key_equal WHERE id IN (2, 5);
SELECT * FROM key_check;
DROP VIEW key_check;
DROP TABLE key_equal CASCADE;
DROP COLLATION key_nocase;

-- Wide keys
CREATE TABLE key_wide (id int PRIMARY KEY, t text, x int);
SELECT freshet.create_sink('key_wide_sink', 'SELECT t, count(*), sum(x) FROM key_wide GROUP BY t');
INSERT INTO key_wide SELECT i, repeat(chr(65 + i % 3), 2000) || i % 3, i FROM generate_series(1, 30) i;
SELECT check_sink('key_wide_sink');
UPDATE key_wide SET x = x + 1;
SELECT check_sink('key_wide_sink');
UPDATE key_wide SET t = repeat('Z', 2500) WHERE id % 3 = 0;
SELECT check_sink('key_wide_sink');
DROP TABLE key_wide CASCADE;

-- Many groups
CREATE TABLE key_groups (id int PRIMARY KEY, k int, x int);
SELECT freshet.create_sink('key_groups_sink', 'SELECT k, count(*), sum(x), max(x) FROM key_groups GROUP BY k');
INSERT INTO key_groups SELECT i, i / 2, i FROM generate_series(1, 20000) i;
SELECT check_sink('key_groups_sink');
UPDATE key_groups SET k = k + 1 WHERE id % 3 = 0;
SELECT check_sink('key_groups_sink');
DELETE FROM key_groups WHERE id % 7 < 5;
SELECT check_sink('key_groups_sink');
DROP TABLE key_groups CASCADE;
