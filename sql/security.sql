-- Rights
\set VERBOSITY terse
CREATE ROLE regress_freshet_owner;
CREATE ROLE regress_freshet_reader;
CREATE ROLE regress_freshet_other;
CREATE ROLE regress_freshet_group;
CREATE SCHEMA sec AUTHORIZATION regress_freshet_owner;
GRANT USAGE ON SCHEMA sec TO PUBLIC;

-- One who is no superuser uses all of it with what is his own.
SET SESSION AUTHORIZATION regress_freshet_owner;
CREATE TABLE sec.source (id int PRIMARY KEY, g int, x int, secret text);
INSERT INTO sec.source SELECT i, i % 3, i, 's' FROM generate_series(1, 20) i;
SELECT freshet.create_sink('sec.sink', 'SELECT g, count(*), sum(x), max(x) FROM sec.source GROUP BY g');
SELECT freshet.create_sink('sec.copy', 'SELECT id, secret FROM sec.source');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT freshet.wait('sec.sink', '30 s') IS NOT NULL AS waited;
SELECT * FROM freshet.verify_sink('sec.sink');
SELECT g, count, sum FROM sec.sink ORDER BY g;
DELETE FROM sec.source WHERE id = 20;
INSERT INTO sec.source VALUES (21, 1, 100, 't');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT g, count, sum FROM sec.sink ORDER BY g;
SELECT freshet.pause_sink('sec.sink'), freshet.resume_sink('sec.sink'), freshet.rebuild_sink('sec.sink');
SELECT freshet.wait('sec.sink', '30 s') IS NOT NULL AS waited;
SELECT * FROM freshet.verify_sink('sec.sink');
SELECT freshet.explain('SELECT g, count(*) FROM sec.source GROUP BY g');
SELECT sink, state, rows, error FROM freshet.status WHERE sink::text LIKE 'sec.%' ORDER BY 1;
SELECT count(*) FROM freshet.worker;
-- the catalogue is not his
SELECT * FROM freshet.sink;
SELECT * FROM freshet.sink_state;
SELECT * FROM freshet.applied;
UPDATE freshet.sink SET paused = true;
CREATE TABLE freshet.mine (i int);
CREATE VIEW freshet_def.mine AS SELECT 1;
SELECT freshet.create_sink('freshet_def.mine', 'SELECT count(*) FROM sec.source');
SELECT freshet.create_sink('public.sink', 'SELECT count(*) FROM sec.source');
CREATE INDEX ON sec.sink (count);
CREATE INDEX ON sec.sink ((sum * 2));
GRANT SELECT ON sec.sink TO regress_freshet_reader;
-- columns of freshet's own are not hidden from one who may read the sink, nor can he write
INSERT INTO sec.sink VALUES (1, 2, 3);
RESET SESSION AUTHORIZATION;

-- Others: nothing without ownership, SELECT, CREATE
SET SESSION AUTHORIZATION regress_freshet_reader;
SELECT g, count FROM sec.sink ORDER BY g LIMIT 1;
SELECT id FROM sec.copy;
SELECT freshet.pause_sink('sec.sink');
SELECT freshet.resume_sink('sec.sink');
SELECT freshet.rebuild_sink('sec.sink');
SELECT freshet.drop_sink('sec.sink');
SELECT freshet.verify_sink('sec.sink');
SELECT freshet.wait('sec.sink', '10 s') IS NOT NULL AS waited;
SELECT freshet.wait('10 s') IS NOT NULL AS waited;
SELECT freshet.create_sink('sec.mine', 'SELECT count(*) FROM sec.source');
CREATE TEMP TABLE only_temp (i int);
SELECT freshet.create_sink('mine', 'SELECT count(*) FROM sec.source');
SELECT freshet.explain('SELECT count(*) FROM sec.source');
SELECT sink, state, rows, error FROM freshet.status WHERE sink::text LIKE 'sec.%' ORDER BY 1;
SELECT last_error FROM freshet.worker;
RESET SESSION AUTHORIZATION;

-- SELECT on columns is enough; a foreign table's identity is not changed
CREATE SCHEMA sec2 AUTHORIZATION regress_freshet_other;
GRANT SELECT (id, g) ON sec.source TO regress_freshet_other;
ALTER TABLE sec.source REPLICA IDENTITY DEFAULT;
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT freshet.create_sink('sec2.sink', 'SELECT g, count(*) FROM sec.source GROUP BY g');
\set VERBOSITY default
SELECT freshet.create_sink('sec2.sink', 'SELECT g, count(*) FROM sec.source GROUP BY g');
\set VERBOSITY terse
SELECT freshet.create_sink('sec2.secret', 'SELECT secret, count(*) FROM sec.source GROUP BY secret');
SELECT freshet.create_sink('sec2.star', 'SELECT * FROM sec.source');
-- the identity is enough for this
SELECT freshet.create_sink('sec2.ids', 'SELECT id FROM sec.source');
SELECT freshet.explain('SELECT g, count(*) FROM sec.source GROUP BY g');
RESET SESSION AUTHORIZATION;
ALTER TABLE sec.source REPLICA IDENTITY FULL;
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT freshet.create_sink('sec2.sink', 'SELECT g, count(*) FROM sec.source GROUP BY g');
RESET SESSION AUTHORIZATION;
SELECT check_sink('sec2.sink'), check_sink('sec2.ids'), check_sink('sec.sink'), check_sink('sec.copy');
-- the right to read is taken away
REVOKE SELECT (g) ON sec.source FROM regress_freshet_other;
SELECT freshet.rebuild_sink('sec.sink');
INSERT INTO sec.source VALUES (30, 1, 1, 'x');
SELECT sink_state('sec2.sink'), check_sink('sec.sink');
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT freshet.rebuild_sink('sec2.sink');
RESET SESSION AUTHORIZATION;
SELECT sink_state('sec2.sink'), check_sink('sec.sink');
GRANT SELECT (g) ON sec.source TO regress_freshet_other;
SELECT freshet.rebuild_sink('sec2.sink');
SELECT check_sink('sec2.sink');
-- an error is for the owner's eyes: it can hold data
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_sink('sec.casts', 'SELECT secret::int AS k, count(*) FROM sec.source GROUP BY 1');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT state, error FROM freshet.status WHERE sink = 'sec.casts'::regclass;
SELECT freshet.wait('sec.casts', '1 s');
RESET SESSION AUTHORIZATION;
\set VERBOSITY default
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT state, error FROM freshet.status WHERE sink = 'sec.casts'::regclass;
SELECT freshet.wait('sec.casts', '1 s');
SELECT freshet.verify_sink('sec.casts');
SELECT last_error FROM freshet.worker;
RESET SESSION AUTHORIZATION;
GRANT pg_read_all_stats TO regress_freshet_other;
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT state, error FROM freshet.status WHERE sink = 'sec.casts'::regclass;
RESET SESSION AUTHORIZATION;
REVOKE pg_read_all_stats FROM regress_freshet_other;
\set VERBOSITY terse
SELECT freshet.drop_sink('sec.casts');
-- a member of the owning role owns, too
GRANT regress_freshet_group TO regress_freshet_reader;
GRANT SELECT ON sec.source TO regress_freshet_group;
ALTER TABLE sec.sink OWNER TO regress_freshet_group;
SET SESSION AUTHORIZATION regress_freshet_reader;
SELECT freshet.rebuild_sink('sec.sink');
SELECT freshet.wait('sec.sink', '30 s') IS NOT NULL AS waited;
RESET SESSION AUTHORIZATION;
SELECT check_sink('sec.sink');
ALTER TABLE sec.sink OWNER TO regress_freshet_owner;

-- Row-level security
CREATE TABLE sec2.rls (id int PRIMARY KEY, who text, x int);
ALTER TABLE sec2.rls REPLICA IDENTITY FULL;
INSERT INTO sec2.rls VALUES (1, 'regress_freshet_owner', 1), (2, 'regress_freshet_other', 2);
GRANT SELECT ON sec2.rls TO regress_freshet_owner;
GRANT USAGE ON SCHEMA sec2 TO regress_freshet_owner;
ALTER TABLE sec2.rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON sec2.rls USING (who = current_user);
SET SESSION AUTHORIZATION regress_freshet_owner;
\set VERBOSITY default
SELECT freshet.create_sink('sec.rls', 'SELECT count(*), sum(x) FROM sec2.rls');
\set VERBOSITY terse
RESET SESSION AUTHORIZATION;
ALTER TABLE sec2.rls DISABLE ROW LEVEL SECURITY;
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_sink('sec.rls', 'SELECT count(*), sum(x) FROM sec2.rls');
RESET SESSION AUTHORIZATION;
SELECT check_sink('sec.rls');
ALTER TABLE sec2.rls ENABLE ROW LEVEL SECURITY;
INSERT INTO sec2.rls VALUES (3, 'regress_freshet_other', 4);
SELECT sink_state('sec.rls') ~ '^failed' AS failed;
SELECT freshet.drop_sink('sec.rls');
-- not in force for the table's owner, who therefore may
SELECT freshet.create_sink('sec2.rls_super', 'SELECT count(*), sum(x) FROM sec2.rls');
SELECT check_sink('sec2.rls_super');

-- A function in a definition tries to gain the worker's rights.
CREATE TABLE sec.loot (what text);
GRANT INSERT, SELECT ON sec.loot TO PUBLIC;
SET SESSION AUTHORIZATION regress_freshet_owner;
CREATE TABLE sec.evil_log (msg text);
CREATE SEQUENCE sec.evil_seq;
CREATE FUNCTION sec.evil(kind text, x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	CASE kind
		WHEN 'whoami' THEN
			IF current_user <> 'regress_freshet_owner' THEN RAISE EXCEPTION 'I am %', current_user; END IF;
		WHEN 'super' THEN
			EXECUTE 'ALTER ROLE regress_freshet_owner SUPERUSER';
		WHEN 'role' THEN
			EXECUTE 'SET ROLE postgres';
		WHEN 'reset' THEN
			EXECUTE 'RESET ROLE';
		WHEN 'session' THEN
			EXECUTE 'RESET SESSION AUTHORIZATION';
			EXECUTE 'ALTER ROLE regress_freshet_owner SUPERUSER';
		WHEN 'setting' THEN
			PERFORM set_config('role', 'postgres', true);
		WHEN 'session_setting' THEN
			PERFORM set_config('session_authorization', 'postgres', false);
		WHEN 'copy' THEN
			EXECUTE 'COPY (SELECT 1) TO PROGRAM ''true''';
		WHEN 'create' THEN
			EXECUTE 'CREATE TABLE sec.created (i int)';
		WHEN 'temp' THEN
			EXECUTE 'CREATE TEMP TABLE created (i int)';
		WHEN 'catalog' THEN
			EXECUTE 'UPDATE freshet.sink SET paused = true';
		WHEN 'secret' THEN
			EXECUTE 'SELECT count(*) FROM pg_authid' INTO x;
		WHEN 'write' THEN
			EXECUTE 'INSERT INTO sec.evil_log VALUES (''written'')';
		WHEN 'commit' THEN
			EXECUTE 'COMMIT';
		WHEN 'api' THEN
			PERFORM freshet.create_sink('sec.nested', 'SELECT count(*) FROM sec.source');
		WHEN 'listen' THEN
			EXECUTE 'LISTEN evil';
		WHEN 'cursor' THEN
			EXECUTE 'DECLARE c CURSOR WITH HOLD FOR SELECT 1';
		WHEN 'setlocal' THEN
			PERFORM set_config('search_path', 'sec', true);
			PERFORM set_config('TimeZone', 'Asia/Tokyo', false);
		WHEN 'advisory' THEN
			PERFORM pg_advisory_lock(4711);
		ELSE
			IF kind LIKE 'do %' THEN
				-- by way of a volatile function
				PERFORM sec.evil_volatile(substr(kind, 4));
			END IF;
	END CASE;
	RETURN x;
END
$$;
CREATE FUNCTION sec.evil_volatile(command text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	RETURN 1;
END
$$;
CREATE TABLE sec.evil_source (id int PRIMARY KEY, kind text);
SELECT freshet.create_sink('sec.evil_arg', 'SELECT count(*), sum(sec.evil(kind, 1)) FROM sec.evil_source');
RESET SESSION AUTHORIZATION;
CREATE PROCEDURE sec_try(kind text) LANGUAGE plpgsql AS $$
DECLARE
	result text;
BEGIN
	DELETE FROM sec.evil_source;
	COMMIT;
	PERFORM freshet.rebuild_sink('sec.evil_arg');
	COMMIT;
	result := sink_state('sec.evil_arg');
	IF result <> 'live' THEN RAISE WARNING '% before: %', kind, result; END IF;
	INSERT INTO sec.evil_source VALUES (1, kind);
	COMMIT;
	result := sink_state('sec.evil_arg');
	RAISE NOTICE '%: %', kind, result;
	ASSERT NOT (SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_freshet_owner');
	ASSERT to_regclass('sec.created') IS NULL AND to_regclass('sec.nested') IS NULL;
END
$$;
CALL sec_try('nothing');
CALL sec_try('whoami');
CALL sec_try('super');
CALL sec_try('role');
CALL sec_try('reset');
CALL sec_try('session');
CALL sec_try('setting');
CALL sec_try('session_setting');
CALL sec_try('copy');
CALL sec_try('create');
CALL sec_try('temp');
CALL sec_try('catalog');
CALL sec_try('secret');
CALL sec_try('write');
CALL sec_try('commit');
CALL sec_try('api');
CALL sec_try('listen');
CALL sec_try('cursor');
CALL sec_try('setlocal');
CALL sec_try('advisory');
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711;
CALL sec_try('do INSERT INTO sec.evil_log VALUES (''written'')');
CALL sec_try('do ALTER ROLE regress_freshet_owner SUPERUSER');
CALL sec_try('do SET ROLE postgres');
CALL sec_try('do RESET SESSION AUTHORIZATION');
CALL sec_try('do CREATE TABLE sec.created (i int)');
CALL sec_try('do CREATE TEMP TABLE created (i int)');
CALL sec_try('do DROP TABLE sec.evil_source CASCADE');
CALL sec_try('do TRUNCATE sec.source');
CALL sec_try('do COPY (SELECT 1) TO PROGRAM ''true''');
CALL sec_try('do SET transaction_read_only = off');
CALL sec_try('do LISTEN evil');
CALL sec_try('do SAVEPOINT a');
CALL sec_try('do SELECT freshet.drop_sink(''sec.copy'')');
CALL sec_try('do SELECT freshet.pause_sink(''sec.copy'')');
CALL sec_try('do SELECT freshet.wait(''1 s'')');
CALL sec_try('do SELECT nextval(''sec.evil_seq'')');
CALL sec_try('nothing');
SELECT count(*) FROM sec.evil_log;
SELECT check_sink('sec.sink');
-- The same from verify_sink() and from a first fill by a superuser's hand
INSERT INTO sec.evil_source VALUES (2, 'whoami');
SELECT sink_state('sec.evil_arg');
SELECT * FROM freshet.verify_sink('sec.evil_arg');
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_sink('sec.evil_key', 'SELECT sec.evil(kind, id) AS k, count(*) FROM sec.evil_source WHERE sec.evil(kind, id) > 0 GROUP BY 1');
SELECT freshet.create_sink('sec.evil_copy', 'SELECT id, sec.evil(kind, id) AS k FROM sec.evil_source');
SELECT freshet.create_sink('sec.evil_window', 'SELECT window_start, count(*) FROM sec.evil_source, freshet.tumble(to_timestamp(sec.evil(kind, id)), ''1 hour'') GROUP BY 1');
SELECT freshet.create_sink('sec.evil_max', 'SELECT max(sec.evil(kind, id)) FROM sec.evil_source');
-- constants, computed when the plan is made
SELECT freshet.create_sink('sec.evil_const', 'SELECT count(*) FILTER (WHERE sec.evil(''whoami'', 1) = 1) FROM sec.evil_source WHERE sec.evil(''whoami'', 2) = 2');
RESET SESSION AUTHORIZATION;
SELECT bool_and(freshet.wait(relid, '30 s') IS NOT NULL) AS filled FROM freshet.sink WHERE relid::text LIKE 'sec.evil%';
SELECT relid, sink_state(relid), v.* FROM freshet.sink, freshet.verify_sink(relid) v WHERE relid::text LIKE 'sec.evil%' ORDER BY relid;
INSERT INTO sec.evil_source VALUES (3, 'super');
SELECT sink_state(sink) FROM unnest('{sec.evil_key, sec.evil_copy, sec.evil_window, sec.evil_max}'::regclass[]) sink;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_freshet_owner';
DELETE FROM sec.evil_source WHERE id = 3;

-- An index expression, a trigger, a check constraint on the sink by its owner
SET SESSION AUTHORIZATION regress_freshet_owner;
CREATE FUNCTION sec.evil_index(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> 'regress_freshet_owner' THEN
		INSERT INTO sec.loot VALUES ('index as ' || current_user);
	END IF;
	RETURN $1;
END
$$;
CREATE FUNCTION sec.evil_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO sec.loot VALUES ('trigger as ' || current_user);
	RETURN NEW;
END
$$;
CREATE INDEX evil_index ON sec.sink (sec.evil_index(count)) WHERE sec.evil_index(count) > 0;
CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON sec.sink FOR EACH ROW EXECUTE FUNCTION sec.evil_trigger();
ALTER TABLE sec.sink ENABLE ALWAYS TRIGGER evil;
ALTER TABLE sec.sink ADD CHECK (sec.evil_index(count) IS NOT NULL);
RESET SESSION AUTHORIZATION;
UPDATE sec.source SET g = g + 1;
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT sink_state('sec.sink');
SELECT DISTINCT what FROM sec.loot WHERE what NOT LIKE '%regress_freshet_owner';
SELECT freshet.rebuild_sink('sec.sink');
SELECT sink_state('sec.sink');
SELECT DISTINCT what FROM sec.loot WHERE what NOT LIKE '%regress_freshet_owner';
TRUNCATE sec.loot;
SET SESSION AUTHORIZATION regress_freshet_owner;
DROP TRIGGER evil ON sec.sink;
SELECT freshet.rebuild_sink('sec.sink');
SELECT freshet.wait('sec.sink', '30 s') IS NOT NULL AS waited;
SELECT * FROM freshet.verify_sink('sec.sink');
-- not even the owner may drop the trigger that refuses writes
ALTER TABLE sec.sink DISABLE TRIGGER ALL;
DROP TRIGGER _freshet_refuse_write ON sec.sink;
RESET SESSION AUTHORIZATION;
-- a search_path of the owner's does not lead astray
SET SESSION AUTHORIZATION regress_freshet_owner;
CREATE FUNCTION sec.lower(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT ''shadow''';
SET search_path = sec, pg_catalog;
SELECT freshet.create_sink('shadow', 'SELECT lower(secret) AS l, pg_catalog.lower(secret) AS l2, count(*) FROM source GROUP BY 1, 2');
RESET search_path;
SELECT freshet.wait('sec.shadow', '30 s') IS NOT NULL AS waited;
SELECT DISTINCT l FROM sec.shadow;
RESET SESSION AUTHORIZATION;
SELECT check_sink('sec.shadow');

-- DROP OWNED, REASSIGN OWNED
REASSIGN OWNED BY regress_freshet_other TO regress_freshet_owner;
INSERT INTO sec.source VALUES (40, 1, 1, 'x');
SELECT check_sink('sec2.sink');
SET client_min_messages = warning;
DROP OWNED BY regress_freshet_owner CASCADE;
DROP OWNED BY regress_freshet_other, regress_freshet_reader, regress_freshet_group CASCADE;
DROP SCHEMA IF EXISTS sec, sec2 CASCADE;
DROP PROCEDURE sec_try;
DROP ROLE regress_freshet_owner, regress_freshet_other, regress_freshet_reader, regress_freshet_group;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;
SELECT check_sink('kept');
