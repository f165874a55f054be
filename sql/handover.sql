-- A sink is read, checked and written as its present owner
\set VERBOSITY terse
CREATE ROLE regress_freshet_giver SUPERUSER;
CREATE ROLE regress_freshet_heir;
CREATE ROLE regress_freshet_readers;
CREATE SCHEMA heir AUTHORIZATION regress_freshet_heir;
GRANT USAGE ON SCHEMA heir TO PUBLIC;

-- Whatever of his is evaluated says so if it runs as somebody else, or could
-- become somebody else.
SET SESSION AUTHORIZATION regress_freshet_heir;
CREATE FUNCTION heir.check_user() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	IF current_user <> 'regress_freshet_heir' THEN
		RAISE EXCEPTION 'evaluated as %', current_user;
	END IF;
	RETURN true;
END
$$;
CREATE FUNCTION heir.mine(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM heir.check_user();
	RETURN $1;
END
$$;
CREATE FUNCTION heir.seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM heir.check_user();
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	RETURN NEW;
END
$$;
CREATE DOMAIN heir.d AS int CHECK (heir.mine(VALUE) = VALUE);
CREATE TYPE heir.pair AS ENUM ('one', 'two');
CREATE FUNCTION heir.pair_json(heir.pair) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM heir.check_user();
	RETURN json_build_object('pair', $1::text);
END
$$;
RESET SESSION AUTHORIZATION;

SET SESSION AUTHORIZATION regress_freshet_giver;
CREATE TABLE heir.source (id int PRIMARY KEY, k int, v int);
ALTER TABLE heir.source REPLICA IDENTITY FULL;
CREATE TABLE heir.child (id int PRIMARY KEY, source_id int, p heir.pair);
CREATE INDEX ON heir.child (source_id);
INSERT INTO heir.source SELECT i, i % 3, i FROM generate_series(1, 9) i;
INSERT INTO heir.child SELECT i, 1 + i % 9, 'one' FROM generate_series(1, 18) i;
CREATE CAST (heir.pair AS json) WITH FUNCTION heir.pair_json(heir.pair);
SELECT freshet.create_sink('heir.rollup', 'SELECT k, count(*) AS n, sum(v) AS s, max(v) AS m FROM heir.source GROUP BY k');
SELECT freshet.create_sink('heir.copy', 'SELECT id, v FROM heir.source');
SELECT freshet.create_wide_view('heir.wide', 'heir.source', '[{"table": "heir.child", "path": "children", "type": "array", "relation": [["id", "source_id"]], "columns": ["id"]}]');
SELECT check_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
ALTER TABLE heir.rollup OWNER TO regress_freshet_heir;
ALTER TABLE heir.copy OWNER TO regress_freshet_heir;
ALTER TABLE heir.wide OWNER TO regress_freshet_heir;
RESET SESSION AUTHORIZATION;
-- the definition follows, and he may not read what it reads
SELECT regexp_replace(relname, '_.*', '') AS definition, relowner::regrole FROM pg_class WHERE oid IN
	(SELECT definition FROM freshet.sink WHERE relid::text LIKE 'heir.%') ORDER BY 1;
SELECT sink_state(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
SELECT freshet.verify_sink('heir.copy');
GRANT regress_freshet_readers TO regress_freshet_heir;
GRANT SELECT ON heir.source, heir.child TO regress_freshet_readers;
SET SESSION AUTHORIZATION regress_freshet_heir;
SELECT freshet.rebuild_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
RESET SESSION AUTHORIZATION;
SELECT check_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
-- his right comes from a role that he leaves, and from column privileges
REVOKE regress_freshet_readers FROM regress_freshet_heir;
INSERT INTO heir.source VALUES (10, 1, 1);
SELECT sink_state(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
GRANT SELECT (id, k, v) ON heir.source TO regress_freshet_heir;
GRANT SELECT (id, source_id) ON heir.child TO regress_freshet_heir;
SELECT freshet.rebuild_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
SELECT check_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
REVOKE SELECT (v) ON heir.source FROM regress_freshet_heir;
SELECT sink_state(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
GRANT SELECT ON heir.source, heir.child TO regress_freshet_heir;
SELECT freshet.rebuild_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
SELECT check_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
-- row-level security that is switched on later, for one who does not bypass it
ALTER ROLE regress_freshet_heir BYPASSRLS;
ALTER TABLE heir.child ENABLE ROW LEVEL SECURITY;
SELECT check_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
ALTER ROLE regress_freshet_heir NOBYPASSRLS;
SELECT sink_state(s) FROM unnest('{heir.rollup, heir.copy, heir.wide}'::regclass[]) s;
ALTER TABLE heir.child DISABLE ROW LEVEL SECURITY;
SELECT freshet.rebuild_sink('heir.wide');
SELECT check_sink('heir.wide');

-- All that an owner can put on a sink, with constants that the planner folds
SET SESSION AUTHORIZATION regress_freshet_heir;
CREATE PROCEDURE heir.adorn(sink regclass, key text) LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	FOREACH command IN ARRAY ARRAY[
		'ALTER TABLE %1$s ADD c1 int DEFAULT heir.mine(1)',
		'ALTER TABLE %1$s ADD c2 heir.d DEFAULT heir.mine(%3$s)',
		'ALTER TABLE %1$s ADD c3 int GENERATED ALWAYS AS (heir.mine(%2$I) + heir.mine(1)) STORED',
		'ALTER TABLE %1$s ADD CHECK (heir.mine(%2$I) = %2$I AND heir.mine(2) = 2)',
		'CREATE INDEX ON %1$s (heir.mine(%2$I)) WHERE heir.mine(3) = 3',
		'CREATE INDEX ON %1$s (heir.mine(%2$I), heir.mine(5)) WHERE heir.mine(%2$I) > 0',
		'CREATE STATISTICS %1$s_stats ON heir.mine(%2$I), %2$I FROM %1$s',
		'CREATE TRIGGER b BEFORE INSERT OR UPDATE OR DELETE ON %1$s FOR EACH ROW WHEN (heir.mine(6) = 6) EXECUTE FUNCTION heir.seen()',
		'CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE ON %1$s FOR EACH ROW WHEN (heir.mine(7) = 7) EXECUTE FUNCTION heir.seen()',
		'CREATE CONSTRAINT TRIGGER c AFTER INSERT OR UPDATE ON %1$s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (heir.mine(NEW.%2$I) = NEW.%2$I) EXECUTE FUNCTION heir.seen()',
		'ALTER TABLE %1$s ENABLE ALWAYS TRIGGER a',
		'ALTER TABLE %1$s ENABLE REPLICA TRIGGER b',
		'ALTER TABLE %1$s ENABLE ALWAYS TRIGGER c']
	LOOP
		EXECUTE format(command, sink, key, 4);
	END LOOP;
END
$$;
CALL heir.adorn('heir.rollup', 'k');
CALL heir.adorn('heir.copy', 'id');
CALL heir.adorn('heir.wide', 'id');
-- his own queries, with keys, conditions and documents of his
SELECT freshet.create_sink('heir.key', 'SELECT heir.mine(k) AS k, sum(heir.mine(v)) FILTER (WHERE heir.mine(1) = 1) AS s, min(heir.mine(v)) AS m FROM heir.source WHERE heir.mine(v) > 0 AND heir.mine(8) = 8 GROUP BY 1');
SELECT freshet.create_wide_view('heir.documents', 'heir.source', '[{"table": "heir.child", "path": "children", "type": "array", "relation": [["id", "source_id"]], "columns": ["id", "p"]}]');
RESET SESSION AUTHORIZATION;
CREATE FUNCTION heir_check() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' ', s, sink_state(s), (SELECT v FROM freshet.verify_sink(s) v WHERE sink_state(s) = 'live')) FROM unnest('{heir.rollup, heir.copy, heir.wide, heir.key, heir.documents}'::regclass[]) s
$$;
SELECT freshet.wait('heir.key', '60 s') IS NOT NULL AS key, freshet.wait('heir.documents', '60 s') IS NOT NULL AS documents;
SELECT heir_check();
INSERT INTO heir.source VALUES (11, 4, 4);
INSERT INTO heir.child VALUES (20, 11, 'two');
UPDATE heir.source SET k = k + 1, v = v - 1 WHERE v > 1;
DELETE FROM heir.source WHERE id < 3;
SELECT heir_check();
SET SESSION AUTHORIZATION regress_freshet_heir;
SELECT c1, c2, c3 = id + 1 AS c3 FROM heir.copy WHERE id = 11;
RESET SESSION AUTHORIZATION;
SELECT freshet.rebuild_sink(s) FROM unnest('{heir.rollup, heir.copy, heir.wide, heir.key, heir.documents}'::regclass[]) s;
SELECT heir_check();
TRUNCATE heir.source;
SELECT heir_check();
INSERT INTO heir.source SELECT i, i % 3, i FROM generate_series(1, 9) i;
ANALYZE heir.copy, heir.rollup;
SELECT heir_check();
SELECT doc -> 'children' -> 0 AS child FROM heir.documents WHERE id = 1;
-- the other way: what is a superuser's own runs as he
ALTER TABLE heir.key OWNER TO regress_freshet_giver;
SELECT sink_state('heir.key');

-- Somebody who goes around the event trigger
ALTER EVENT TRIGGER freshet_on_ddl_end DISABLE;
ALTER TABLE heir.copy OWNER TO regress_freshet_giver;
ALTER EVENT TRIGGER freshet_on_ddl_end ENABLE;
SELECT sink_state('heir.copy');
ALTER TABLE heir.copy OWNER TO regress_freshet_heir;
SELECT freshet.rebuild_sink('heir.copy');
SELECT heir_check();

-- REASSIGN OWNED takes all along; who has given all away can be dropped
REASSIGN OWNED BY regress_freshet_giver TO regress_freshet_heir;
DROP OWNED BY regress_freshet_giver;
DROP ROLE regress_freshet_giver;
SELECT freshet.rebuild_sink('heir.key');
SELECT heir_check();
-- and DROP OWNED drops them
SET client_min_messages = warning;
DROP OWNED BY regress_freshet_heir, regress_freshet_readers CASCADE;
DROP FUNCTION heir_check();
DROP ROLE regress_freshet_heir, regress_freshet_readers;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;
SELECT check_sink('kept');
