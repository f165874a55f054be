-- What the other tests use.

-- Everything that differs between two queries, as text.
CREATE FUNCTION f12(x float8) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
SELECT CASE
	WHEN x IN (0, 'NaN', 'Infinity', '-Infinity') THEN x::text
	ELSE to_char(x, '9.99999999999EEEE')
END
$$;

/*
 * Waits, and compares a sink with its query in two ways: freshet.verify_sink(),
 * and EXCEPT ALL both ways, of values as text unless exact is false.  The query
 * is the one given, else the definition under the settings recorded with it.
 */
CREATE FUNCTION check_sink(sink regclass, query text DEFAULT NULL, exact boolean DEFAULT true)
RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	s record;
	v record;
	cols text;
	missing bigint;
	unexpected bigint;
	total bigint;
	setting text;
BEGIN
	PERFORM freshet.wait('60 s');
	SELECT state, error INTO s FROM freshet.status st WHERE st.sink = check_sink.sink;
	IF s.state IS DISTINCT FROM 'live' THEN
		RETURN format('%s: %s', s.state, s.error);
	END IF;
	SELECT * INTO v FROM freshet.verify_sink(check_sink.sink);
	SELECT k.definition, k.settings INTO STRICT s FROM freshet.sink k WHERE k.relid = check_sink.sink;
	SELECT string_agg(CASE
			WHEN t.typcategory = 'N' AND t.typname LIKE 'float_' THEN format('f12(%I)', a.attname)
			WHEN exact OR NOT EXISTS (SELECT FROM pg_opclass o WHERE o.opcintype = a.atttypid
				AND o.opcdefault AND o.opcmethod = (SELECT oid FROM pg_am WHERE amname = 'btree'))
				THEN format('%I::text COLLATE "C"', a.attname)
			ELSE format('%I', a.attname)
		END, ', ' ORDER BY a.attnum)
	INTO cols
	FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attrelid = s.definition AND a.attnum > 0 AND NOT a.attisdropped;
	IF query IS NULL THEN
		query := format('SELECT * FROM %s', s.definition);
		FOREACH setting IN ARRAY s.settings LOOP
			PERFORM set_config(split_part(setting, '=', 1),
				substr(setting, strpos(setting, '=') + 1), true);
		END LOOP;
	END IF;
	EXECUTE format('SELECT count(*) FROM (SELECT %1$s FROM (%2$s) q EXCEPT ALL SELECT %1$s FROM %3$s) x',
		cols, query, sink) INTO missing;
	EXECUTE format('SELECT count(*) FROM (SELECT %1$s FROM %3$s EXCEPT ALL SELECT %1$s FROM (%2$s) q) x',
		cols, query, sink) INTO unexpected;
	EXECUTE format('SELECT count(*) FROM %s', sink) INTO total;
	IF v.missing = 0 AND v.unexpected = 0 AND missing = 0 AND unexpected = 0 THEN
		RETURN format('ok, %s rows', total);
	END IF;
	RETURN format('verify_sink: %s missing, %s unexpected; EXCEPT: %s missing, %s unexpected; %s rows',
		v.missing, v.unexpected, missing, unexpected, total);
END
$$;

-- Error and state of a sink, once the worker has seen what is committed.
CREATE FUNCTION sink_state(sink regclass) RETURNS text
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.wait('60 s');
	RETURN (SELECT concat_ws(': ', state, error) FROM freshet.status st
		WHERE st.sink = sink_state.sink);
END
$$;

-- Do the columns of a sink have the types that CREATE TABLE AS gives them?
CREATE FUNCTION check_types(sink regclass) RETURNS SETOF text
LANGUAGE sql AS $$
SELECT format('%s: %s %s, not %s %s', a.attname, format_type(a.atttypid, a.atttypmod),
	a.attcollation::regcollation, format_type(b.atttypid, b.atttypmod), b.attcollation::regcollation)
FROM freshet.sink s
	JOIN pg_attribute b ON b.attrelid = s.definition
	LEFT JOIN pg_attribute a ON a.attrelid = s.relid AND a.attname = b.attname
WHERE s.relid = check_types.sink AND b.attnum > 0
	AND (a.atttypid, a.atttypmod, a.attcollation) IS DISTINCT FROM
		(b.atttypid, b.atttypmod, b.attcollation)
ORDER BY b.attnum
$$;

-- A wide view against its definition, and against the view NAME_oracle, which is
-- written by hand.  If they differ, the first key whose document does.
CREATE FUNCTION check_wide(sink regclass) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text := check_sink(sink, format('SELECT * FROM %s_oracle', sink));
	first text;
BEGIN
	IF result !~ '^ok' THEN
		EXECUTE format('WITH s AS (SELECT (to_jsonb(x) - ''doc'')::text AS key, doc::text FROM %1$s x),
			o AS (SELECT (to_jsonb(x) - ''doc'')::text AS key, doc::text FROM %1$s_oracle x)
			SELECT format(''%%s: %%s, not %%s'', key, s.doc, o.doc) FROM s FULL JOIN o USING (key)
			WHERE s.doc COLLATE "C" IS DISTINCT FROM o.doc ORDER BY key LIMIT 1', sink) INTO first;
	END IF;
	RETURN concat_ws('; ', result, first);
END
$$;

-- Keys of the rows of a wide view that were written since the last call: new
-- ones with +, deleted ones with -.
CREATE TABLE wide_seen (sink regclass, key text, version text);
CREATE FUNCTION wide_touched(sink regclass) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	keys text[];
BEGIN
	PERFORM freshet.wait('60 s');
	EXECUTE format('WITH now AS (
			SELECT coalesce((SELECT string_agg(value, '','') FROM jsonb_each_text(to_jsonb(s) - ''doc'')), ''null'') AS key,
				s.ctid::text || s.xmin AS version
			FROM %s s),
		before AS (DELETE FROM wide_seen w WHERE w.sink = $1 RETURNING w.key, w.version),
		written AS (INSERT INTO wide_seen SELECT $1, key, version FROM now)
		SELECT array_agg(CASE WHEN b.version IS NULL THEN ''+'' WHEN n.version IS NULL THEN ''-'' ELSE '''' END || key
			ORDER BY key COLLATE "C")
		FROM before b FULL JOIN now n USING (key) WHERE b.version IS DISTINCT FROM n.version', sink)
	INTO keys USING sink;
	RETURN CASE
		WHEN cardinality(keys) > 12 THEN cardinality(keys) || ' rows'
		ELSE coalesce(array_to_string(keys, ' '), 'none')
	END;
END
$$;

SELECT extversion FROM pg_extension WHERE extname = 'freshet';

-- The worker stays as long as there is a sink.
CREATE TABLE kept_source (id int PRIMARY KEY);
SELECT freshet.create_sink('kept', 'SELECT count(*) FROM kept_source');
SELECT check_sink('kept');
-- What the change stream has for a slot, and now gives away: each line must be
-- JSON; positions, transaction ids and times are taken out.
CREATE FUNCTION stream_lines(slot name, VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN SELECT data FROM pg_logical_slot_get_changes(slot, NULL, NULL, VARIADIC options) LOOP
		IF jsonb_typeof(line::jsonb) <> 'object' OR line ~ '[\n\r]' THEN
			RAISE 'not an object on one line: %', line;
		END IF;
		RETURN NEXT regexp_replace(line,
			',"(lsn|end_lsn|xid|subxid|commit_time)":("[^"]*"|\d+)', '', 'g');
	END LOOP;
END
$$;

-- Write to a sink in spite of its guards, as only a superuser can.
CREATE PROCEDURE spoil_sink(sink regclass, VARIADIC commands text[]) LANGUAGE plpgsql AS $$
DECLARE
	command text;
BEGIN
	PERFORM set_config('allow_system_table_mods', 'on', true);
	UPDATE pg_trigger SET tgenabled = 'D' WHERE tgrelid = sink AND tgname = '_freshet_refuse_write';
	-- so that the session notices
	UPDATE pg_class SET relname = relname WHERE oid = sink;
	FOREACH command IN ARRAY commands LOOP
		EXECUTE command;
	END LOOP;
	UPDATE pg_trigger SET tgenabled = 'A' WHERE tgrelid = sink AND tgname = '_freshet_refuse_write';
	UPDATE pg_class SET relname = relname WHERE oid = sink;
	PERFORM set_config('allow_system_table_mods', 'off', true);
END
$$;
