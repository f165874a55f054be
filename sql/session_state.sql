-- What one sink's functions do to the session is nothing to another's
\set VERBOSITY terse
CREATE ROLE regress_freshet_left;
CREATE ROLE regress_freshet_right;
CREATE SCHEMA lft AUTHORIZATION regress_freshet_left;
CREATE SCHEMA rgt AUTHORIZATION regress_freshet_right;
GRANT USAGE ON SCHEMA lft, rgt TO PUBLIC;

-- What the left one leaves behind, in spite of the restricted operation.
SET SESSION AUTHORIZATION regress_freshet_left;
CREATE TABLE lft.secret (t text);
INSERT INTO lft.secret VALUES ('a secret');
CREATE TABLE lft.source (id int PRIMARY KEY, lo oid);
CREATE FUNCTION lft.f(id int, lo oid) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN lft.g(id, lo);
END
$$;
CREATE FUNCTION lft.g(id int, lo oid) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	c refcursor := 'cursor';
	r refcursor := 'fetched';
	t text;
BEGIN
	OPEN c FOR SELECT secret.t FROM lft.secret;
	OPEN r SCROLL FOR EXECUTE 'SELECT t FROM lft.secret';
	FETCH r INTO t;
	PERFORM lo_open(lo, x'40000'::int);
	PERFORM pg_advisory_lock(4712), pg_advisory_xact_lock(4713), pg_advisory_lock_shared(47, 14);
	PERFORM set_config('lft.secret', 'a setting', false), set_config('TimeZone', 'Asia/Tokyo', false),
		set_config('search_path', 'lft', false), set_config('extra_float_digits', '-15', true);
	PERFORM setseed(0.25);
	EXECUTE 'SET CONSTRAINTS ALL DEFERRED';
	RETURN id;
END
$$;
RESET SESSION AUTHORIZATION;

-- What the right one finds.
SET SESSION AUTHORIZATION regress_freshet_right;
CREATE TABLE rgt.source (id int PRIMARY KEY);
CREATE FUNCTION rgt.f(id int) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN rgt.g(id);
END
$$;
CREATE FUNCTION rgt.g(id int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	found text[];
	name text;
	t text;
	r double precision;
BEGIN
	FOREACH name IN ARRAY '{cursor, fetched}'::text[] LOOP
		DECLARE
			c refcursor := name;
		BEGIN
			FETCH FIRST FROM c INTO t;
			found := found || (name || ' ' || t);
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	found := found || ARRAY(SELECT 'portal ' || p.name FROM pg_cursors p WHERE p.name !~ '^<unnamed' AND p.name <> '');
	FOR fd IN 0..3 LOOP
		BEGIN
			found := found || ('large object ' || convert_from(loread(fd, 100), 'UTF8'));
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
	END LOOP;
	found := found || ARRAY(SELECT concat_ws(' ', 'lock', classid, objid) FROM pg_locks
		WHERE locktype = 'advisory' AND pid = pg_backend_pid());
	found := found || ARRAY(SELECT 'prepared ' || p.name FROM pg_prepared_statements p);
	t := current_setting('lft.secret', true);
	IF t <> '' THEN found := found || t; END IF;
	IF current_setting('TimeZone') = 'Asia/Tokyo' THEN found := found || 'time zone'::text; END IF;
	IF current_setting('search_path') ~ 'lft' THEN found := found || 'search_path'::text; END IF;
	IF current_setting('extra_float_digits') = '-15' THEN found := found || 'digits'::text; END IF;
	r := random();
	PERFORM setseed(0.25);
	IF r = random() THEN found := found || 'seed'::text; END IF;
	RETURN coalesce(array_to_string(found, ', '), '');
END
$$;
RESET SESSION AUTHORIZATION;
SELECT lo_from_bytea(0, 'bytes') AS lo \gset
ALTER LARGE OBJECT :lo OWNER TO regress_freshet_left;

-- The probe works: in one session, without a sandbox, it finds it all.
BEGIN;
SELECT lft.f(1, :lo);
SELECT rgt.f(1);
ROLLBACK;
SELECT pg_advisory_unlock_all();

SET SESSION AUTHORIZATION regress_freshet_left;
SELECT freshet.create_sink('lft.sink', 'SELECT id, lft.f(id, lo) AS r FROM lft.source');
RESET SESSION AUTHORIZATION;
SET SESSION AUTHORIZATION regress_freshet_right;
SELECT freshet.create_sink('rgt.sink', 'SELECT id, rgt.f(id) AS r FROM rgt.source');
SELECT freshet.create_sink('rgt.rollup', 'SELECT rgt.f(id) AS r, count(*) AS n FROM rgt.source GROUP BY 1');
RESET SESSION AUTHORIZATION;
SELECT freshet.wait(s, '60 s') IS NOT NULL AS live FROM unnest('{lft.sink, rgt.sink, rgt.rollup}'::regclass[]) s;
-- one batch has both; first the left one
BEGIN;
INSERT INTO lft.source VALUES (1, :lo);
INSERT INTO rgt.source VALUES (1);
COMMIT;
SELECT sink_state(s) FROM unnest('{lft.sink, rgt.sink, rgt.rollup}'::regclass[]) s;
SELECT 'sink' AS sink, * FROM rgt.sink UNION ALL SELECT 'rollup', n, r FROM rgt.rollup ORDER BY 1;
BEGIN;
SELECT freshet.rebuild_sink(s) FROM unnest('{lft.sink, rgt.sink, rgt.rollup}'::regclass[]) s;
COMMIT;
SELECT sink_state(s) FROM unnest('{lft.sink, rgt.sink, rgt.rollup}'::regclass[]) s;
SELECT 'sink' AS sink, * FROM rgt.sink UNION ALL SELECT 'rollup', n, r FROM rgt.rollup ORDER BY 1;
-- no cursor and no setting is left in a session that verifies them
BEGIN;
SELECT * FROM freshet.verify_sink('lft.sink');
SELECT name FROM pg_cursors WHERE name <> '';
SELECT nullif(current_setting('lft.secret', true), ''), current_setting('search_path');
COMMIT;
\c -
SELECT * FROM freshet.verify_sink('rgt.sink');

SET client_min_messages = warning;
DROP SCHEMA lft, rgt CASCADE;
SELECT lo_unlink(:lo);
DROP ROLE regress_freshet_left, regress_freshet_right;
SELECT check_sink('kept');
