-- DDL on sources and sinks that live
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE ddl_source (junk text, id int PRIMARY KEY, g text, x int, y int, gone int, unused int);
ALTER TABLE ddl_source DROP COLUMN junk;
INSERT INTO ddl_source SELECT i, 'g' || i % 4, i, i * 2, i, i FROM generate_series(1, 40) i;
SELECT freshet.create_sink('ddl_rollup', 'SELECT g, count(*), sum(x), max(y) FROM ddl_source WHERE y <> 14 GROUP BY g');
SELECT freshet.create_sink('ddl_copy', 'SELECT id, x + y AS xy, g FROM ddl_source');
SELECT freshet.create_sink('ddl_star', 'SELECT * FROM ddl_source');
CREATE VIEW ddl_check AS SELECT sink, check_sink(sink) FROM unnest('{ddl_rollup, ddl_copy}'::regclass[]) sink;
SELECT * FROM ddl_check;
SELECT check_sink('ddl_star');
SELECT freshet.drop_sink('ddl_star');

-- columns come and go
ALTER TABLE ddl_source ADD COLUMN extra text DEFAULT 'e';
INSERT INTO ddl_source VALUES (41, 'g1', 1, 1, 1, 1, 'z');
UPDATE ddl_source SET extra = 'f', x = x + 1 WHERE id % 2 = 0;
SELECT * FROM ddl_check;
ALTER TABLE ddl_source DROP COLUMN gone;
UPDATE ddl_source SET x = x + 1 WHERE id % 3 = 0;
INSERT INTO ddl_source VALUES (42, 'g2', 1, 1, 1, 'z');
SELECT * FROM ddl_check;
ALTER TABLE ddl_source DROP COLUMN x;
ALTER TABLE ddl_source ALTER COLUMN x TYPE bigint;
-- in the middle of a transaction that changes rows before and after
BEGIN;
UPDATE ddl_source SET x = x + 1 WHERE id < 10;
ALTER TABLE ddl_source ADD COLUMN more int DEFAULT 5;
UPDATE ddl_source SET x = x + 1, more = 6 WHERE id < 20;
ALTER TABLE ddl_source DROP COLUMN extra;
DELETE FROM ddl_source WHERE id % 5 = 0;
INSERT INTO ddl_source (id, g, x, y) SELECT i, 'g' || i % 6, i, i FROM generate_series(50, 60) i;
COMMIT;
SELECT * FROM ddl_check;
-- the type of an unused column: the table is written anew
BEGIN;
UPDATE ddl_source SET y = y + 1 WHERE id < 10;
ALTER TABLE ddl_source ALTER COLUMN unused TYPE numeric USING unused / 3.0;
UPDATE ddl_source SET y = y + 1 WHERE id < 15;
COMMIT;
SELECT * FROM ddl_check;
ALTER TABLE ddl_source ALTER COLUMN unused TYPE text;
UPDATE ddl_source SET g = 'g9' WHERE id % 7 = 0;
DELETE FROM ddl_source WHERE id = 8;
SELECT * FROM ddl_check;
BEGIN;
DELETE FROM ddl_source WHERE id = 9;
ALTER TABLE ddl_source ALTER COLUMN unused TYPE int USING NULL;
INSERT INTO ddl_source (id, g, x, y) VALUES (9, 'g1', 4, 4);
ROLLBACK;
INSERT INTO ddl_source (id, g, x, y) VALUES (70, 'g1', 4, 4);
SELECT * FROM ddl_check;
-- other rewrites
ALTER TABLE ddl_source ADD COLUMN rnd float8 DEFAULT random();
CLUSTER ddl_source USING ddl_source_pkey;
VACUUM FULL ddl_source;
UPDATE ddl_source SET x = x - 1 WHERE id > 30;
SELECT * FROM ddl_check;
-- names
ALTER TABLE ddl_source RENAME COLUMN x TO ex;
ALTER TABLE ddl_source RENAME TO ddl_renamed;
UPDATE ddl_renamed SET ex = ex + 1;
SELECT * FROM ddl_check;
CREATE SCHEMA ddl_schema;
ALTER TABLE ddl_renamed SET SCHEMA ddl_schema;
INSERT INTO ddl_schema.ddl_renamed (id, g, ex, y) VALUES (80, 'g3', 4, 4);
SELECT * FROM ddl_check;
ALTER TABLE ddl_rollup RENAME TO ddl_sink;
ALTER TABLE ddl_sink SET SCHEMA ddl_schema;
ALTER TABLE ddl_schema.ddl_sink RENAME COLUMN sum TO total;
UPDATE ddl_schema.ddl_renamed SET ex = ex + 1 WHERE id % 2 = 0;
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT * FROM freshet.verify_sink('ddl_schema.ddl_sink');
SELECT state FROM freshet.status WHERE sink = 'ddl_schema.ddl_sink'::regclass;
SELECT g, count, total, max FROM ddl_schema.ddl_sink
EXCEPT ALL SELECT g, count(*), sum(ex), max(y) FROM ddl_schema.ddl_renamed WHERE y <> 14 GROUP BY g;
ALTER TABLE ddl_schema.ddl_sink RENAME COLUMN total TO sum;
-- ALTER TABLE ... OWNER, columns and indexes added to the sink
CREATE ROLE regress_freshet_ddl;
GRANT SELECT ON ddl_schema.ddl_renamed TO regress_freshet_ddl;
GRANT USAGE ON SCHEMA ddl_schema TO regress_freshet_ddl;
ALTER TABLE ddl_schema.ddl_sink ADD COLUMN note text;
ALTER TABLE ddl_schema.ddl_sink ADD COLUMN note2 text NOT NULL DEFAULT 'n';
ALTER TABLE ddl_schema.ddl_sink ADD COLUMN twice numeric GENERATED ALWAYS AS (sum * 2) STORED;
CREATE INDEX ON ddl_schema.ddl_sink (count);
CREATE INDEX ON ddl_schema.ddl_sink ((sum * 2)) WHERE count > 1;
ANALYZE ddl_schema.ddl_sink;
UPDATE ddl_schema.ddl_renamed SET ex = ex + 1 WHERE id % 3 = 0;
INSERT INTO ddl_schema.ddl_renamed (id, g, ex, y) VALUES (90, 'new', 4, 4);
SELECT check_sink('ddl_schema.ddl_sink');
SELECT g, note, note2, twice FROM ddl_schema.ddl_sink WHERE g = 'new';
SET enable_seqscan = off;
SELECT g FROM ddl_schema.ddl_sink WHERE sum * 2 = 8 AND count > 1;
RESET enable_seqscan;
ALTER TABLE ddl_schema.ddl_sink OWNER TO regress_freshet_ddl;
UPDATE ddl_schema.ddl_renamed SET ex = ex + 1 WHERE id % 3 = 0;
SELECT check_sink('ddl_schema.ddl_sink');
-- DROP COLUMN of the sink
ALTER TABLE ddl_schema.ddl_sink DROP COLUMN note;
UPDATE ddl_schema.ddl_renamed SET ex = ex + 1 WHERE id % 3 = 1;
SELECT check_sink('ddl_schema.ddl_sink');
ALTER TABLE ddl_schema.ddl_sink DROP COLUMN max;
UPDATE ddl_schema.ddl_renamed SET ex = ex + 1 WHERE id % 3 = 1;
SELECT sink_state('ddl_schema.ddl_sink'), check_sink('ddl_copy');
SELECT freshet.drop_sink('ddl_schema.ddl_sink');

-- The key's index
SELECT freshet.create_sink('ddl_keyless', 'SELECT g, count(*) FROM ddl_schema.ddl_renamed GROUP BY g');
SELECT check_sink('ddl_keyless');
DROP INDEX ddl_keyless_g_idx;
REINDEX INDEX CONCURRENTLY ddl_keyless_g_idx;
DROP INDEX ddl_keyless_g_idx;
DROP INDEX ddl_keyless_g_idx CASCADE;
-- as it is after a restore; without a write to the sink
DELETE FROM pg_depend WHERE refobjid = 'ddl_keyless_g_idx'::regclass AND classid = 'pg_trigger'::regclass;
DROP INDEX ddl_keyless_g_idx;
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT sink_state('ddl_keyless');
UPDATE ddl_schema.ddl_renamed SET g = 'q' WHERE id % 3 = 1;
SELECT sink_state('ddl_keyless'), check_sink('ddl_copy');
CREATE UNIQUE INDEX ON ddl_keyless (g) NULLS NOT DISTINCT;
SELECT freshet.rebuild_sink('ddl_keyless');
SELECT check_sink('ddl_keyless');
REINDEX TABLE ddl_keyless;
VACUUM FULL ddl_keyless;
UPDATE ddl_schema.ddl_renamed SET g = 'r' WHERE id % 3 = 1;
SELECT check_sink('ddl_keyless');
-- the definition cannot be changed or dropped for itself
DO $$
BEGIN
	EXECUTE format('DROP VIEW %s', (SELECT definition FROM freshet.sink WHERE relid = 'ddl_keyless'::regclass));
EXCEPTION WHEN dependent_objects_still_exist THEN
	RAISE NOTICE 'refused';
END
$$;
-- the source's primary key and replica identity
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY DEFAULT;
INSERT INTO ddl_schema.ddl_renamed (id, g, ex, y) VALUES (91, 'i', 4, 4);
SELECT sink_state('ddl_keyless') AS keyless, sink_state('ddl_copy') AS copy;
UPDATE ddl_schema.ddl_renamed SET g = 's' WHERE id = 1;
SELECT sink_state('ddl_keyless') AS keyless, sink_state('ddl_copy') AS copy;
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY FULL;
SELECT freshet.rebuild_sink('ddl_keyless'), freshet.rebuild_sink('ddl_copy');
SELECT check_sink('ddl_keyless'), check_sink('ddl_copy');
-- an old row that is not in the log, though all is well again afterwards
BEGIN;
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY NOTHING;
UPDATE ddl_schema.ddl_renamed SET g = 't', ex = 5 WHERE id = 1;
DELETE FROM ddl_schema.ddl_renamed WHERE id = 2;
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY FULL;
COMMIT;
SELECT sink_state('ddl_keyless') ~ '^failed: a row of ddl_schema.ddl_renamed was changed while' AS keyless,
	sink_state('ddl_copy') ~ '^failed: a row of ddl_schema.ddl_renamed was changed while' AS copy;
SELECT freshet.rebuild_sink('ddl_keyless'), freshet.rebuild_sink('ddl_copy');
SELECT check_sink('ddl_keyless'), check_sink('ddl_copy');
BEGIN;
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY DEFAULT;
UPDATE ddl_schema.ddl_renamed SET g = 'u', ex = 5 WHERE id = 1;
DELETE FROM ddl_schema.ddl_renamed WHERE id = 3;
ALTER TABLE ddl_schema.ddl_renamed REPLICA IDENTITY FULL;
COMMIT;
SELECT sink_state('ddl_keyless') ~ '^failed: a row of ddl_schema.ddl_renamed was changed while' AS keyless,
	sink_state('ddl_copy') ~ '^failed: a row of ddl_schema.ddl_renamed was changed while' AS copy;
SELECT freshet.rebuild_sink('ddl_keyless'), freshet.rebuild_sink('ddl_copy');
SELECT check_sink('ddl_keyless'), check_sink('ddl_copy');
ALTER TABLE ddl_schema.ddl_renamed DROP CONSTRAINT ddl_source_pkey;
INSERT INTO ddl_schema.ddl_renamed (id, g, ex, y) VALUES (92, 'i', 4, 4);
SELECT check_sink('ddl_keyless'), sink_state('ddl_copy');
-- now a key occurs twice
INSERT INTO ddl_schema.ddl_renamed (id, g, ex, y) VALUES (92, 'i', 4, 4);
SELECT check_sink('ddl_keyless');
SELECT sink_state('ddl_copy') LIKE 'failed%' AS failed;
DELETE FROM ddl_schema.ddl_renamed WHERE id = 92;
ALTER TABLE ddl_schema.ddl_renamed ADD PRIMARY KEY (id);
SELECT freshet.rebuild_sink('ddl_copy');
SELECT check_sink('ddl_keyless'), check_sink('ddl_copy');
ALTER TABLE ddl_schema.ddl_renamed SET UNLOGGED;
SELECT sink_state('ddl_keyless');
ALTER TABLE ddl_schema.ddl_renamed SET LOGGED;
SELECT freshet.rebuild_sink('ddl_keyless'), freshet.rebuild_sink('ddl_copy');
SELECT check_sink('ddl_keyless'), check_sink('ddl_copy');

-- DROP of the source and of the sink
DROP VIEW ddl_check;
DROP TABLE ddl_schema.ddl_renamed;
DROP TABLE ddl_keyless;
SELECT count(*) FROM freshet.sink WHERE relid::text LIKE '%ddl%';
DROP TABLE ddl_schema.ddl_renamed CASCADE;
SELECT count(*), to_regclass('ddl_copy') FROM freshet.sink WHERE relid::text LIKE '%ddl%';
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT count(*) FROM freshet.sink_state WHERE relid <> 'kept'::regclass;
DROP SCHEMA ddl_schema CASCADE;
DROP ROLE regress_freshet_ddl;
-- a schema with source and sink
CREATE SCHEMA ddl_both;
CREATE TABLE ddl_both.t (id int PRIMARY KEY);
SELECT freshet.create_sink('ddl_both.s', 'SELECT count(*) FROM ddl_both.t');
SELECT freshet.create_sink('ddl_both.s2', 'SELECT id FROM ddl_both.t');
INSERT INTO ddl_both.t VALUES (1);
SELECT check_sink('ddl_both.s');
SET client_min_messages = warning;
DROP SCHEMA ddl_both CASCADE;
RESET client_min_messages;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;

-- Generated columns; dropped ones; identity columns
CREATE TABLE ddl_gen (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, dropme int, a int, b int GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO ddl_gen (a) SELECT i FROM generate_series(1, 10) i;
ALTER TABLE ddl_gen DROP COLUMN dropme;
SELECT freshet.create_sink('ddl_gen_sum', 'SELECT b % 4 AS k, sum(b), count(*) FROM ddl_gen GROUP BY 1');
SELECT freshet.create_sink('ddl_gen_copy', 'SELECT id, b FROM ddl_gen WHERE b > 6');
SELECT check_sink('ddl_gen_sum'), check_sink('ddl_gen_copy');
UPDATE ddl_gen SET a = a + 1;
DELETE FROM ddl_gen WHERE id = 3;
INSERT INTO ddl_gen (a) VALUES (100);
SELECT check_sink('ddl_gen_sum'), check_sink('ddl_gen_copy');
DROP TABLE ddl_gen CASCADE;

-- Inheritance that comes later
CREATE TABLE ddl_parent (id int PRIMARY KEY, v int);
SELECT freshet.create_sink('ddl_parent_sink', 'SELECT count(*), sum(v) FROM ddl_parent');
INSERT INTO ddl_parent VALUES (1, 1);
SELECT check_sink('ddl_parent_sink');
CREATE TABLE ddl_child () INHERITS (ddl_parent);
INSERT INTO ddl_child VALUES (2, 2);
INSERT INTO ddl_parent VALUES (3, 3);
SELECT sink_state('ddl_parent_sink');
DROP TABLE ddl_child;
SELECT freshet.rebuild_sink('ddl_parent_sink');
SELECT check_sink('ddl_parent_sink');
CREATE TABLE ddl_child () INHERITS (ddl_parent);
SELECT freshet.create_sink('ddl_only', 'SELECT count(*), sum(v) FROM ONLY ddl_parent');
INSERT INTO ddl_child VALUES (2, 2);
INSERT INTO ddl_parent VALUES (4, 3);
SELECT check_sink('ddl_only');
DROP TABLE ddl_parent CASCADE;
