-- The change stream: options, and what is refused
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_options', 'freshet');
\set SHOW_CONTEXT never
CREATE TABLE st_options (id int PRIMARY KEY);
INSERT INTO st_options VALUES (1), (2);
CREATE FUNCTION st_try(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
SELECT count(*) || ' lines' FROM pg_logical_slot_peek_changes('regress_freshet_options', NULL, NULL, VARIADIC options)
$$;
\pset format unaligned
\pset tuples_only on
SELECT st_try();
SELECT st_try('no_such', 'x');
SELECT st_try('Format', 'json');
SELECT st_try('', 'json');
SELECT st_try('format', 'json');
SELECT st_try('format', 'debezium');
SELECT st_try('format', 'xml');
SELECT st_try('format', '');
SELECT st_try('format', 'json', 'format', 'json');
SELECT st_try('tables', '');
SELECT st_try('tables', 'a,,b');
SELECT st_try('tables', 'a.b.c');
SELECT st_try('tables', '.b');
SELECT st_try('tables', 'a\');
SELECT st_try('sinks', 'a.');
SELECT st_try('columns', 'a.b.c.d');
SELECT st_try('columns', 'a.b.c');
SELECT st_try('exclude_columns', ' , ');
SELECT st_try('exclude_columns', 'no_such_column');
SELECT st_try('operations', 'insert,merge');
SELECT st_try('operations', '');
SELECT st_try('operations', 'INSERT');
SELECT st_try('origin', 'local');
SELECT st_try('publish_via_root', 'maybe');
SELECT st_try('transactions', 'yes');
SELECT st_try('transactions', '2');
SELECT st_try('batches', 'off');
SELECT st_try('batches', '');
SELECT st_try('stream', 'parallel');
SELECT st_try('two_phase', 'x');
SELECT st_try('server_name', '', 'format', 'debezium');
SELECT st_try('server_name', 'x');
SELECT st_try('server_name', 'x', 'format', 'debezium');
SELECT st_try('format', 'debezium', 'stream', 'on');
SELECT st_try('format', 'debezium', 'two_phase', 'on');
SELECT st_try('format', 'debezium', 'two_phase', 'off', 'stream', 'off');
-- a refusal changes nothing
SELECT stream_lines('regress_freshet_options', 'tables', 'st_*');
-- all transaction lines
INSERT INTO st_options VALUES (3);
SELECT stream_lines('regress_freshet_options', 'tables', 'st_*', 'transactions', 'true');
-- what each kind of line has
INSERT INTO st_options VALUES (4);
SELECT d->>'op', (SELECT string_agg(k, ' ') FROM jsonb_object_keys(d) k),
	d->>'lsn' ~ '^[0-9A-F]+/[0-9A-F]+$', jsonb_typeof(d->'xid'), (d->>'commit_time')::timestamptz BETWEEN now() - interval '1 minute' AND now(),
	d->>'commit_time' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00$', (d->>'xid')::bigint = xid::text::bigint
FROM (SELECT xid, data::jsonb AS d FROM pg_logical_slot_get_changes('regress_freshet_options', NULL, NULL, 'tables', 'st_*', 'transactions', 'on')) x;
-- positions rise, and the last line of a transaction has the end of its commit
INSERT INTO st_options VALUES (5), (6), (7);
SELECT d->>'op', lsn >= lag(lsn) OVER (), d ? 'last', lsn = (d->>'lsn')::pg_lsn,
	lsn = max((d->>'end_lsn')::pg_lsn) OVER (), d->>'end_lsn' IS NOT NULL
FROM (SELECT lsn, data::jsonb AS d FROM pg_logical_slot_get_changes('regress_freshet_options', NULL, NULL, 'tables', 'st_*', 'transactions', 'on')) x;
INSERT INTO st_options VALUES (8), (9);
SELECT lsn > lag(lsn) OVER (), d ? 'last', lsn > (d->>'lsn')::pg_lsn
FROM (SELECT lsn, data::jsonb AS d FROM pg_logical_slot_get_changes('regress_freshet_options', NULL, NULL, 'tables', 'st_*')) x;
DROP FUNCTION st_try;
DROP TABLE st_options;
SELECT pg_drop_replication_slot('regress_freshet_options');
