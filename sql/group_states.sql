-- What a sink is maintained from is not in the sink
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE ROLE regress_freshet_states;
CREATE ROLE regress_freshet_others;
CREATE SCHEMA gs;
GRANT ALL ON SCHEMA gs TO regress_freshet_states, regress_freshet_others;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO regress_freshet_states;
SET ROLE regress_freshet_states;
CREATE TABLE gs.source (id int PRIMARY KEY, g int, h text, x float8, n numeric, t text);
INSERT INTO gs.source SELECT i, i % 3, chr(65 + i % 4), i / 7.0, i / 10.0, 't' || i FROM generate_series(1, 60) i;
SELECT freshet.create_sink('gs.sums', 'SELECT g, sum(x) AS sx, avg(n) AS an, max(t) || ''!'' AS mt FROM gs.source GROUP BY g');
SELECT freshet.create_sink('gs.hidden', 'SELECT h, count(*), sum(n) FROM gs.source GROUP BY g, h');
SELECT freshet.create_sink('gs.total', 'SELECT sum(x), count(*) FROM gs.source');
SELECT freshet.create_sink('gs.shown', 'SELECT g, count(*), min(x), max(t) FROM gs.source GROUP BY g');
SELECT freshet.create_sink('gs.copy', 'SELECT id, g FROM gs.source');
SELECT freshet.create_sink('gs.above', 'SELECT count(*), sum(sx) FROM gs.sums');
RESET ROLE;
CREATE VIEW gs.checks AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'gs.%' ORDER BY relid::text;
SELECT * FROM gs.checks;
SELECT * FROM gs.sums WHERE g = 1;
SELECT * FROM gs.hidden ORDER BY h, count, sum LIMIT 1;
SELECT attrelid::regclass, string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute
WHERE attrelid = ANY ('{gs.sums,gs.hidden,gs.total,gs.shown,gs.copy}'::regclass[]) AND attnum > 0 GROUP BY 1 ORDER BY 1::text;

-- where it is: for whom, and whose
CREATE VIEW gs.states AS
SELECT s.relid AS sink, c.oid AS states, c.relacl IS NULL AS owner_only,
	c.relowner = (SELECT nspowner FROM pg_namespace WHERE nspname = 'freshet_stage') AS of_the_extension,
	EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'freshet')) AS member,
	obj_description(c.oid) AS comment
FROM pg_class c LEFT JOIN freshet.sink s ON c.relname = 'groups_' || s.relid::oid
WHERE c.relnamespace = 'freshet_stage'::regnamespace AND c.relkind = 'r' AND s.relid IS DISTINCT FROM 'kept'::regclass;
SELECT sink, owner_only, of_the_extension, member, comment FROM gs.states ORDER BY sink::text;
SELECT has_schema_privilege('regress_freshet_states', 'freshet_stage', 'usage'), has_schema_privilege('public', 'freshet_stage', 'usage');
SELECT format('freshet_stage.groups_%s', 'gs.sums'::regclass::oid) AS states \gset
SET ROLE regress_freshet_states;
SELECT * FROM :states;
UPDATE :states SET state = '\x00';
DELETE FROM :states;
DROP TABLE :states;
ALTER TABLE :states DISABLE TRIGGER ALL;
CREATE TABLE freshet_stage.mine (i int);
SELECT freshet.create_sink('freshet_stage.mine', 'SELECT count(*) FROM gs.source');
-- a column by the name of what once was the state is a column
ALTER TABLE gs.sums ADD _freshet_state bytea DEFAULT '\x0002ff';
INSERT INTO gs.source VALUES (61, 1, 'A', 1, 1, 'u');
RESET ROLE;
SELECT * FROM gs.checks;
SELECT DISTINCT _freshet_state FROM gs.sums;
\set VERBOSITY sqlstate
DROP TABLE :states;
SELECT freshet.create_sink('freshet_stage.mine', 'SELECT count(*) FROM gs.source');
SELECT freshet.create_sink('gs.bad', format('SELECT count(*) FROM %s', :'states'));
\set VERBOSITY terse

-- renamed, moved, given away; rewritten, so that its rows are elsewhere
GRANT SELECT ON gs.source TO regress_freshet_others;
ALTER TABLE gs.sums RENAME TO sums2;
ALTER TABLE gs.sums2 OWNER TO regress_freshet_others;
UPDATE gs.source SET x = x + 1 WHERE id = 7;
SELECT sink_state('gs.sums2');
ALTER TABLE gs.sums2 RENAME TO sums;
ALTER TABLE gs.sums OWNER TO regress_freshet_states;
SELECT freshet.rebuild_sink('gs.above');
SELECT freshet.wait('gs.above', '60 s') IS NOT NULL;
VACUUM FULL gs.sums;
VACUUM FULL gs.hidden;
VACUUM FULL gs.total;
VACUUM FULL gs.shown;
UPDATE gs.source SET x = x + 1, h = 'B', n = n + 1 WHERE id % 4 = 0;
SELECT * FROM gs.checks;
DELETE FROM gs.source WHERE g = 2;
SELECT * FROM gs.checks;
INSERT INTO gs.source SELECT i, 2, 'Z', 1, 1, 'z' FROM generate_series(70, 75) i;
SELECT relname AS key FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'gs.sums'::regclass \gset
CLUSTER gs.sums USING :key;
ALTER TABLE gs.hidden ADD added int DEFAULT random() * 10;
UPDATE gs.source SET g = 1 WHERE id = 70;
SELECT * FROM gs.checks;
SELECT freshet.rebuild_sink(relid) FROM freshet.sink WHERE relid IN ('gs.sums'::regclass, 'gs.hidden'::regclass, 'gs.total'::regclass);
SELECT * FROM gs.checks;
DELETE FROM gs.source WHERE id > 70;
SELECT * FROM gs.checks;
TRUNCATE gs.source;
SELECT * FROM gs.checks;
INSERT INTO gs.source SELECT i, i % 3, chr(65 + i % 4), i / 7.0, i / 10.0, 't' || i FROM generate_series(1, 60) i;
SELECT * FROM gs.checks;

-- what a superuser damages is noticed, as far as memory goes, and repaired by a rebuild
UPDATE :states SET state = set_byte(state, length(state) - 1, 255) || '\x00' WHERE k1 = 1;
INSERT INTO gs.source VALUES (62, 1, 'A', 1, 1, 'v');
SELECT sink_state('gs.sums');
SELECT freshet.rebuild_sink('gs.sums');
SELECT freshet.wait('gs.sums', '60 s') IS NOT NULL;
UPDATE :states SET state = '\x' WHERE k1 = 1;
INSERT INTO gs.source VALUES (63, 1, 'A', 1, 1, 'v');
SELECT sink_state('gs.sums');
SELECT freshet.rebuild_sink('gs.sums');
SELECT freshet.wait('gs.sums', '60 s') IS NOT NULL;
-- the place of another's row, and of none
UPDATE :states a SET row = (SELECT row FROM :states b WHERE b.k1 = 0) WHERE a.k1 = 1;
UPDATE :states SET row = '(0,200)' WHERE k1 = 2;
INSERT INTO gs.source VALUES (64, 1, 'A', 1, 1, 'v'), (65, 2, 'A', 1, 1, 'v');
SELECT * FROM gs.checks;
-- all of it gone: the sink is filled anew
SELECT format('freshet_stage.groups_%s', 'gs.hidden'::regclass::oid) AS hidden_states \gset
ALTER EXTENSION freshet DROP TABLE :hidden_states;
DROP TABLE :hidden_states;
INSERT INTO gs.source VALUES (66, 1, 'A', 1, 1, 'v');
SELECT * FROM gs.checks;

-- dropped with the sink, whatever way it goes
SELECT freshet.drop_sink('gs.above');
SELECT freshet.drop_sink('gs.total');
SELECT sink, member FROM gs.states ORDER BY sink::text;
SET ROLE regress_freshet_states;
DROP TABLE gs.hidden CASCADE;
RESET ROLE;
SELECT sink FROM gs.states ORDER BY sink::text;
SET ROLE regress_freshet_others;
CREATE TABLE gs.theirs (g int PRIMARY KEY, x float8);
SELECT freshet.create_sink('gs.other_sum', 'SELECT sum(x) FROM gs.theirs');
SELECT freshet.wait('gs.other_sum', '60 s') IS NOT NULL;
RESET ROLE;
SELECT sink FROM gs.states ORDER BY sink::text;
DROP OWNED BY regress_freshet_others CASCADE;
SELECT sink FROM gs.states ORDER BY sink::text;
CREATE TABLE gs_source (g int PRIMARY KEY, x float8);
SELECT freshet.create_sink('gs_sum', 'SELECT sum(x) FROM gs_source');
SELECT freshet.wait('gs_sum', '60 s') IS NOT NULL;
BEGIN;
DROP TABLE gs_sum;
SELECT count(*) FROM gs.states;
ROLLBACK;
INSERT INTO gs_source VALUES (1, 1);
SELECT check_sink('gs_sum');
DROP SCHEMA gs CASCADE;
-- event triggers may be off: the worker clears up
SET session_replication_role = replica;
DROP TABLE gs_sum;
RESET session_replication_role;
DELETE FROM freshet.sink s WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = s.relid::oid);
SELECT freshet.create_sink('gs_sum', 'SELECT sum(x) FROM gs_source');
SELECT check_sink('gs_sum');
DROP TABLE gs_source CASCADE;
SELECT count(*) FROM pg_class c WHERE relnamespace = 'freshet_stage'::regnamespace AND relkind = 'r'
	AND NOT EXISTS (SELECT FROM freshet.sink s WHERE c.relname = 'groups_' || s.relid::oid);
ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM regress_freshet_states;
DROP OWNED BY regress_freshet_states;
DROP ROLE regress_freshet_states, regress_freshet_others;
