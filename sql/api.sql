-- The functions: arguments, errors, states
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE TABLE api_source (id int PRIMARY KEY, g int, x int);
INSERT INTO api_source SELECT i, i % 3, i FROM generate_series(1, 30) i;

-- create_sink: what is wrong with the arguments
SELECT freshet.create_sink(NULL, 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('api_sink', NULL);
SELECT freshet.create_sink('', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('a.b.c.d', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('no_such_schema.api_sink', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('pg_temp.api_sink', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('pg_catalog.api_sink', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('freshet_def.api_sink', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('freshet.api_sink', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('api_source', 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('api_sink', 'SELECT count(*) FROM api_source', '1 minute');
SELECT freshet.create_sink('api_sink', 'SELECT count(*) FROM api_sink');
SELECT freshet.create_sink('api_sink', 'this is no query');
BEGIN READ ONLY;
SELECT freshet.create_sink('api_sink', 'SELECT count(*) FROM api_source');
ROLLBACK;
SELECT count(*) FROM freshet.sink WHERE relid::text LIKE 'api%';
SELECT relreplident FROM pg_class WHERE oid = 'api_source'::regclass;

-- The NOTICE says what was changed, once.
SELECT freshet.create_sink('api_sink', 'SELECT g, count(*), sum(x) FROM api_source GROUP BY g');
SELECT freshet.create_sink('api_total', 'SELECT count(*), sum(x) FROM api_source');
SELECT relreplident FROM pg_class WHERE oid = 'api_source'::regclass;
SELECT freshet.create_sink('api_sink', 'SELECT count(*) FROM api_source');
SELECT check_sink('api_sink'), check_sink('api_total');
-- names that need quotes; a long one; a schema
CREATE SCHEMA "Api Schema";
SELECT freshet.create_sink('"Api Schema"."The ""Sink"""', 'SELECT g AS "Group By", count(*) AS "a""b", max(x) AS "select" FROM api_source GROUP BY 1');
SELECT freshet.create_sink('"Api Schema".' || repeat('n', 63), 'SELECT count(*) FROM api_source');
SELECT freshet.create_sink('"Api Schema".' || repeat('n', 64), 'SELECT count(*) FROM api_source');
SELECT check_sink('"Api Schema"."The ""Sink"""');
SELECT "Group By", "a""b", "select" FROM "Api Schema"."The ""Sink""" ORDER BY 1;
SELECT check_sink(('"Api Schema".' || repeat('n', 63))::regclass);
DROP SCHEMA "Api Schema" CASCADE;
-- many columns
SELECT freshet.create_sink('api_wide', 'SELECT g, ' || string_agg(format('sum(x + %s) AS s%s', i, i), ', ' ORDER BY i) || ' FROM api_source GROUP BY g') FROM generate_series(1, 300) i;
SELECT check_sink('api_wide');
UPDATE api_source SET x = x + 1 WHERE id = 1;
SELECT check_sink('api_wide');
SELECT freshet.drop_sink('api_wide');

-- with_data: nothing until resume_sink
SELECT freshet.create_sink('api_later', 'SELECT g, count(*) FROM api_source GROUP BY g', with_data => false);
SELECT sink_state('api_later'), (SELECT count(*) FROM api_later);
SELECT freshet.wait('api_later', '10 s');
INSERT INTO api_source VALUES (100, 9, 1);
SELECT freshet.wait('60 s') IS NOT NULL AS waited;
SELECT count(*) FROM api_later;
SELECT freshet.resume_sink('api_later');
SELECT check_sink('api_later');
SELECT freshet.wait('api_later', '10 s') IS NOT NULL AS waited;

-- pause and resume
SELECT freshet.pause_sink('api_sink');
SELECT freshet.pause_sink('api_sink');
SELECT sink_state('api_sink');
INSERT INTO api_source VALUES (101, 1, 5);
UPDATE api_source SET g = 7 WHERE id = 1;
DELETE FROM api_source WHERE id = 2;
SELECT check_sink('api_total'), sink_state('api_sink');
SELECT g, count FROM api_sink ORDER BY g;
SELECT * FROM freshet.verify_sink('api_sink');
SELECT freshet.wait('api_sink', '10 s');
SELECT freshet.resume_sink('api_sink');
SELECT freshet.resume_sink('api_sink');
SELECT check_sink('api_sink');
SELECT g, count FROM api_sink ORDER BY g;
-- both within one transaction; and undone
BEGIN;
SELECT freshet.pause_sink('api_sink');
INSERT INTO api_source VALUES (102, 1, 5);
SELECT freshet.resume_sink('api_sink');
COMMIT;
SELECT check_sink('api_sink');
BEGIN;
SELECT freshet.pause_sink('api_sink');
INSERT INTO api_source VALUES (103, 1, 5);
ROLLBACK;
INSERT INTO api_source VALUES (104, 1, 5);
SELECT check_sink('api_sink');

-- rebuild
SELECT freshet.rebuild_sink('api_sink');
SELECT check_sink('api_sink');
SELECT freshet.rebuild_sink('api_sink'), freshet.rebuild_sink('api_total'), freshet.rebuild_sink('api_sink');
INSERT INTO api_source VALUES (105, 2, 6);
SELECT check_sink('api_sink'), check_sink('api_total');

-- What was spoiled behind freshet's back is seen and mended.
CALL spoil_sink('api_sink', 'UPDATE api_sink SET sum = sum + 1 WHERE g = 1', 'DELETE FROM api_sink WHERE g = 2',
	'INSERT INTO api_sink (g, count) VALUES (77, 1)');
SELECT * FROM freshet.verify_sink('api_sink');
SELECT freshet.rebuild_sink('api_sink');
SELECT check_sink('api_sink');

-- Not a sink
SELECT freshet.drop_sink('api_source');
SELECT freshet.pause_sink('api_source');
SELECT freshet.resume_sink('api_source');
SELECT freshet.rebuild_sink('api_source');
SELECT freshet.verify_sink('api_source');
SELECT freshet.wait('api_source', '1 s');
SELECT freshet.drop_sink('no_such_sink');
SELECT freshet.drop_sink(0);
SELECT freshet.pause_sink(NULL), freshet.drop_sink(NULL), freshet.rebuild_sink(NULL), freshet.verify_sink(NULL);

-- Users do not write to sinks.
INSERT INTO api_sink VALUES (1, 2, 3);
UPDATE api_sink SET count = 0;
UPDATE api_sink SET count = 0 WHERE false;
DELETE FROM api_sink;
TRUNCATE api_sink;
COPY api_sink FROM stdin;
\.
MERGE INTO api_sink USING (SELECT 1 AS g) q ON q.g = api_sink.g WHEN MATCHED THEN DELETE;
INSERT INTO api_sink (g) VALUES (1) ON CONFLICT DO NOTHING;
SELECT check_sink('api_sink');

-- wait
\set VERBOSITY terse
SELECT freshet.wait('-1 s');
\set VERBOSITY default
SELECT freshet.wait(NULL);
SELECT pg_typeof(freshet.wait());

-- A text is the name of a sink or a time.
SELECT freshet.wait('api_sink') IS NOT NULL AS waited;
SELECT freshet.wait('public.api_sink') IS NOT NULL AS waited;
SELECT freshet.wait('api_sink'::regclass) IS NOT NULL AS waited;
SELECT freshet.wait('20 s') IS NOT NULL AS waited, freshet.wait('PT20S') IS NOT NULL AS waited;
SELECT freshet.wait(timeout => '20 s') IS NOT NULL AS waited;
SELECT freshet.wait(sink => 'api_sink') IS NOT NULL AS waited;
SELECT freshet.wait('no_such_sink');
SELECT freshet.wait('no_such_schema.no_such_sink');
SELECT freshet.wait('api_source');
CREATE TABLE "20 s" (g int);
SELECT freshet.create_sink('"1 day"', 'SELECT count(*) FROM "20 s"');
SELECT freshet.wait('"1 day"') IS NOT NULL AS waited;
SELECT count FROM "1 day";
DROP TABLE "20 s" CASCADE;

-- Whoever has made a sink waits for it after the commit.
BEGIN;
SELECT freshet.create_sink('api_own', 'SELECT count(*) FROM api_source');
SELECT freshet.wait('api_own');
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT freshet.create_sink('api_own', 'SELECT count(*) FROM api_source');
RELEASE a;
SELECT freshet.wait();
ROLLBACK;
BEGIN;
SELECT freshet.rebuild_sink('api_sink');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT freshet.wait('api_sink', '10 s');
ROLLBACK;
BEGIN;
SAVEPOINT a;
SELECT freshet.create_sink('api_own', 'SELECT count(*) FROM api_source');
ROLLBACK TO a;
SELECT freshet.wait() IS NOT NULL AS waited;
ROLLBACK;
BEGIN;
INSERT INTO api_source VALUES (106, 2, 6);
SELECT freshet.wait('10 s') IS NOT NULL AS waited;
SELECT sum(count) FROM api_sink;
COMMIT;
SELECT check_sink('api_sink');
SELECT sum(count) FROM api_sink;

-- create, use and drop within one transaction; create undone; drop undone
BEGIN;
SELECT freshet.create_sink('api_brief', 'SELECT count(*) FROM api_source');
INSERT INTO api_source VALUES (107, 2, 6);
SELECT freshet.drop_sink('api_brief');
COMMIT;
BEGIN;
SELECT freshet.create_sink('api_brief', 'SELECT count(*) FROM api_source');
ROLLBACK;
SELECT freshet.create_sink('api_brief', 'SELECT count(*) FROM api_source');
BEGIN;
SELECT freshet.drop_sink('api_brief');
ROLLBACK;
INSERT INTO api_source VALUES (108, 2, 6);
SELECT check_sink('api_brief');
BEGIN;
SELECT freshet.create_sink('api_brief2', 'SELECT count(*) FROM api_source');
INSERT INTO api_source VALUES (109, 2, 6);
CREATE TABLE api_new (id int PRIMARY KEY, v int);
SELECT freshet.create_sink('api_new_sink', 'SELECT id, v FROM api_new');
INSERT INTO api_new VALUES (1, 1);
COMMIT;
SELECT check_sink('api_brief2'), check_sink('api_new_sink');

-- drop_sink: what depends on it stands in its way
CREATE VIEW api_view AS SELECT * FROM api_brief;
SELECT freshet.drop_sink('api_brief');
SELECT freshet.drop_sink('api_brief', cascade => true);
SELECT to_regclass('api_brief'), to_regclass('api_view');
SELECT freshet.drop_sink('api_brief2'), freshet.drop_sink('api_new_sink');
SELECT freshet.drop_sink('api_sink'), freshet.drop_sink('api_total'), freshet.drop_sink('api_later');
SELECT count(*) FROM freshet.sink WHERE relid::text LIKE '%api%';
SELECT count(*) FROM pg_class WHERE relnamespace = 'freshet_def'::regnamespace AND relname LIKE 'api%';
-- the sources are as they were
SELECT count(*) FROM api_source;
DROP TABLE api_source, api_new;
