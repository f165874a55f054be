-- CREATE EXTENSION, and the use of it, with a schema on the path in which others have put operators, functions,
-- types and tables that fit better, or stand before the system's
\set VERBOSITY terse
SET client_min_messages = warning;
SELECT current_database() AS regress_database \gset
CREATE DATABASE regress_freshet_hostile TEMPLATE template0;
CREATE ROLE regress_freshet_hostile;
\c regress_freshet_hostile
SET client_min_messages = warning;
GRANT CREATE ON SCHEMA public TO regress_freshet_hostile;
SET ROLE regress_freshet_hostile;
-- Operators between all of these types, also those that the system has
DO $$
DECLARE
	types text[] := '{oid,regclass,text,name,int2,int4,int8,numeric,float8,bool,timestamptz,interval,pg_lsn,char,oid[],xid}';
	l text;
	r text;
	op text;
BEGIN
	FOREACH l IN ARRAY types LOOP
		FOREACH r IN ARRAY types LOOP
			EXECUTE format('CREATE FUNCTION public.hostile(%s, %s) RETURNS bool LANGUAGE plpgsql AS
				''BEGIN RAISE ''''a hostile operator was called by %%'''', current_user; END''', l, r);
			FOREACH op IN ARRAY '{=,<>,<,>,<=,>=,*,/,+,-,||,~~}'::text[] LOOP
				EXECUTE format('CREATE OPERATOR public.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = public.hostile)', op, l, r);
			END LOOP;
		END LOOP;
	END LOOP;
END
$$;
-- Functions of the names that freshet uses
DO $$
DECLARE
	f text;
BEGIN
	FOREACH f IN ARRAY ARRAY[
		'array_position(oid[], oid)', 'array_position(anyarray, anyelement)', 'array_position(oid[], regclass)',
		'pg_has_role(oid, text)', 'pg_has_role(name, text)',
		'round(numeric, int)', 'round(numeric, bigint)', 'round(numeric)', 'now()', 'clock_timestamp()',
		'current_database()', 'pg_wal_lsn_diff(pg_lsn, pg_lsn)', 'pg_is_in_recovery()', 'pg_current_wal_lsn()',
		'pg_last_wal_replay_lsn()', 'to_jsonb(anyelement)', 'to_jsonb(record)', 'hashtext(text)', 'unnest(oid[])',
		'pg_event_trigger_dropped_objects()', 'pg_event_trigger_ddl_commands()', 'pg_partition_tree(regclass)',
		'pg_partition_tree(oid)', 'pg_partition_ancestors(oid)', 'pg_extension_config_dump(regclass, text)',
		'pg_extension_config_dump(text, text)', 'row_hash(int)',
		'text(regclass)', 'int8(numeric)', 'format_type(oid, int)'] LOOP
		BEGIN
			EXECUTE format('CREATE FUNCTION public.%s RETURNS int LANGUAGE plpgsql AS
				''BEGIN RAISE ''''a hostile function was called by %%'''', current_user; END''', f);
		EXCEPTION WHEN undefined_object OR invalid_function_definition THEN
			RAISE WARNING '%: %', f, sqlerrm;
		END;
	END LOOP;
END
$$;
-- Types and tables
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{regclass,oid,int8,int2,text,name,pg_lsn,interval,timestamptz,xid,record,trigger,event_trigger}'::text[] LOOP
		EXECUTE format('CREATE DOMAIN public.%I AS pg_catalog.int4 CHECK (false)', t);
	END LOOP;
	FOREACH t IN ARRAY '{pg_class,pg_database,pg_replication_slots,pg_inherits,pg_depend,pg_rewrite,sink,sink_state,applied}'::text[] LOOP
		EXECUTE format('CREATE TABLE public.%I (oid pg_catalog.int4, relid pg_catalog.int4, lsn pg_catalog.int4)', t);
	END LOOP;
END
$$;
RESET ROLE;

SET search_path = public;
CREATE EXTENSION freshet;
SHOW search_path;
-- Nothing of the extension's is tied to anything of theirs
SET search_path = pg_catalog;
SELECT pg_describe_object(d.classid, d.objid, d.objsubid), pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_depend d, pg_identify_object(d.refclassid, d.refobjid, 0) theirs, pg_identify_object(d.classid, d.objid, 0) ours
WHERE theirs.schema = 'public' AND ours.schema IS DISTINCT FROM 'public' AND d.classid <> 'pg_type'::regclass
	AND theirs.name <> 'public'
	AND NOT EXISTS (SELECT FROM pg_depend i WHERE (i.classid, i.objid) = (d.classid, d.objid) AND i.deptype = 'i'
		AND (SELECT relnamespace FROM pg_class WHERE oid = i.refobjid) = 'public'::regnamespace)
ORDER BY 1, 2;
SELECT count(*) > 40 AS made FROM pg_depend WHERE refobjid = (SELECT oid FROM pg_extension WHERE extname = 'freshet') AND deptype = 'e';

-- Nor does the use of it meet them, though they stand before the system's
CREATE SCHEMA hostile_app;
CREATE TABLE hostile_app.source (id int PRIMARY KEY, k int, v numeric, f float8, p int);
CREATE TABLE hostile_app.child (id int PRIMARY KEY, source_id int, name text);
CREATE TABLE hostile_app.part (id int, k int) PARTITION BY LIST (k);
INSERT INTO hostile_app.source SELECT i, i % 3, i, i / 10.0, i FROM generate_series(1, 20) i;
INSERT INTO hostile_app.child SELECT i, i % 20, 'c' FROM generate_series(1, 20) i;
SET search_path = public, pg_catalog;
SELECT freshet.create_sink('hostile_app.rollup', 'SELECT k, count(*) AS n, sum(v) AS v, avg(f) AS f, max(p) AS p FROM hostile_app.source GROUP BY k');
SELECT freshet.create_sink('hostile_app.copy', 'SELECT id, v FROM hostile_app.source');
SELECT freshet.create_sink('hostile_app.bag', 'SELECT k, v FROM hostile_app.source');
SELECT freshet.create_sink('hostile_app.query', 'SELECT DISTINCT k FROM hostile_app.source');
SELECT freshet.create_sink('hostile_app.parted', 'SELECT k, count(*) AS n FROM hostile_app.part GROUP BY k');
SELECT freshet.create_wide_view('hostile_app.wide', 'hostile_app.source',
	'[{"table": "hostile_app.child", "path": "c", "type": "array", "relation": [["id", "source_id"]]}]', create_indexes => true);
CREATE TABLE hostile_app.part1 PARTITION OF hostile_app.part FOR VALUES IN (1);
INSERT INTO hostile_app.part VALUES (1, 1);
SELECT freshet.explain('SELECT k, count(*) AS n FROM hostile_app.source GROUP BY k');
SELECT freshet.wait('hostile_app.wide', '1 minute') IS NULL AS filled;
SET search_path = pg_catalog;
INSERT INTO hostile_app.source VALUES (21, 1, 1, 1, 1);
DELETE FROM hostile_app.source WHERE id IN (1, 20);
UPDATE hostile_app.source SET k = 5 WHERE id IN (2);
DELETE FROM hostile_app.child WHERE id IN (3);
SELECT count(freshet.wait(relid, '1 minute')) FROM freshet.sink;
SET search_path = public, pg_catalog;
SELECT freshet.wait() IS NULL AS waited;
SELECT freshet.pause_sink('hostile_app.copy'), freshet.resume_sink('hostile_app.copy'), freshet.rebuild_sink('hostile_app.rollup');
SELECT freshet.wait('hostile_app.copy', '1 minute') IS NULL AS waited;
SELECT freshet.wait('hostile_app.rollup', '1 minute') IS NULL AS waited;
SELECT * FROM freshet.verify_sink('hostile_app.rollup');
SELECT * FROM freshet.verify_sink('hostile_app.copy');
SELECT * FROM freshet.verify_sink('hostile_app.bag');
SELECT * FROM freshet.verify_sink('hostile_app.query');
SELECT * FROM freshet.verify_sink('hostile_app.parted');
SELECT * FROM freshet.verify_sink('hostile_app.wide');
SELECT state, rows, error FROM freshet.status ORDER BY 1, 2;
SELECT count(*) FROM freshet.progress;
SELECT count(*) FROM freshet.worker;
SELECT count(*) FROM freshet.consumers;
SELECT k, n, v, f, p FROM hostile_app.rollup ORDER BY k;
ALTER TABLE hostile_app.rollup OWNER TO regress_freshet_hostile;
SELECT freshet.drop_sink('hostile_app.rollup');
DROP TABLE hostile_app.source CASCADE;
SELECT count(*) FROM freshet.status;

\c :regress_database
SET client_min_messages = warning;
DROP DATABASE regress_freshet_hostile;
DROP ROLE regress_freshet_hostile;
