-- create_sink: what it makes, what it refuses
CREATE TABLE cs_source (id int PRIMARY KEY, k text, v float8);
INSERT INTO cs_source SELECT i, 'k' || i % 3, i FROM generate_series(1, 10) i;

-- the table, its key, its trigger; the replica identity of the source
SELECT freshet.create_sink('cs_rollup',
	'SELECT k, count(*) AS n, sum(v) AS total FROM cs_source GROUP BY k');
SELECT freshet.wait('cs_rollup', '1 minute') IS NOT NULL AS live;
SELECT attname, format_type(atttypid, atttypmod)
FROM pg_attribute WHERE attrelid = 'cs_rollup'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'cs_rollup'::regclass;
SELECT relname, relreplident, reloptions FROM pg_class
WHERE oid IN ('cs_rollup'::regclass, 'cs_source'::regclass) ORDER BY 1;
SELECT kind, strategy, state, rows, error FROM freshet.status WHERE sink = 'cs_rollup'::regclass;
SELECT k, n, total FROM cs_rollup ORDER BY k;

-- NULL is a key as others are, and the sink follows
INSERT INTO cs_source VALUES (11, NULL, 1.5), (12, NULL, 'NaN'), (13, 'k1', -0.5);
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT k, n, total FROM cs_rollup ORDER BY k;
DELETE FROM cs_source WHERE id = 12;
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT k, n, total FROM cs_rollup ORDER BY k;

-- names: schemas, quotes, a name that is taken, temporary tables
CREATE SCHEMA "cs Schema";
SELECT freshet.create_sink('"cs Schema"."a ""sink"""',
	'SELECT id, k, v * 2 AS twice FROM cs_source WHERE v > 8');
SELECT freshet.wait('"cs Schema"."a ""sink"""', '1 minute') IS NOT NULL AS live;
SELECT * FROM "cs Schema"."a ""sink""" ORDER BY id;
SELECT freshet.verify_sink('"cs Schema"."a ""sink"""');
SELECT freshet.create_sink('cs_rollup', 'SELECT count(*) FROM cs_source');
SELECT freshet.create_sink('pg_temp.cs_x', 'SELECT count(*) FROM cs_source');
SELECT freshet.create_sink('no_such_schema.cs_x', 'SELECT count(*) FROM cs_source');
SELECT freshet.create_sink('a.b.c.d', 'SELECT count(*) FROM cs_source');

-- arguments
SELECT freshet.create_sink(NULL, 'SELECT count(*) FROM cs_source');
SELECT freshet.create_sink('cs_x', NULL);
SELECT freshet.create_sink('cs_x', 'SELECT count(*) FROM cs_source', refresh_every => '1 s');
BEGIN READ ONLY;
SELECT freshet.create_sink('cs_x', 'SELECT count(*) FROM cs_source');
ROLLBACK;

-- in a transaction: undone with it; dropped in it
BEGIN;
SELECT freshet.create_sink('cs_x', 'SELECT count(*) FROM cs_source');
ROLLBACK;
BEGIN;
SELECT freshet.create_sink('cs_x', 'SELECT count(*) FROM cs_source');
SELECT freshet.drop_sink('cs_x');
COMMIT;
SELECT relid FROM freshet.sink WHERE relid <> 'kept'::regclass ORDER BY relid::text;

-- without data, until it is resumed
SELECT freshet.create_sink('cs_later', 'SELECT count(*) FROM cs_source', with_data => false);
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT state FROM freshet.status WHERE sink = 'cs_later'::regclass;
SELECT count FROM cs_later;
SELECT freshet.resume_sink('cs_later');
SELECT freshet.wait('cs_later', '1 minute') IS NOT NULL AS live;
SELECT count FROM cs_later;

-- a user's writes are refused
INSERT INTO cs_rollup VALUES ('x', 1, 1);
UPDATE cs_rollup SET n = 0;
DELETE FROM cs_rollup;
TRUNCATE cs_rollup;

-- what depends on what
SELECT freshet.create_sink('cs_on_sink', 'SELECT n, count(*) AS groups FROM cs_rollup GROUP BY n');
SELECT freshet.wait('cs_on_sink', '1 minute') IS NOT NULL AS live;
SELECT n, groups FROM cs_on_sink ORDER BY n;
SELECT freshet.drop_sink('cs_rollup');
\set VERBOSITY terse
SELECT freshet.drop_sink('cs_rollup', cascade => true);
ALTER TABLE cs_source DROP COLUMN v;
DROP TABLE cs_source;
SET client_min_messages = warning;
DROP TABLE cs_source CASCADE;
RESET client_min_messages;
SELECT relid FROM freshet.sink WHERE relid <> 'kept'::regclass;
DROP SCHEMA "cs Schema";
