-- The change stream: sinks
\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_sinks', 'freshet');
CREATE TABLE st_source (id int PRIMARY KEY, g int, x numeric);
SELECT freshet.create_sink('st_groups', 'SELECT g, count(*) AS n, sum(x) AS sum, avg(x) AS avg FROM st_source GROUP BY g');
SELECT freshet.create_sink('st_total', 'SELECT count(*) AS n FROM st_source');
SELECT freshet.create_sink('st_copy', 'SELECT id, x FROM st_source WHERE g = 1');
SELECT freshet.wait(sink, '60 s') IS NOT NULL FROM unnest('{st_groups, st_total, st_copy}'::regclass[]) sink;
-- The worker's commits are not flushed at once, and only what is flushed is
-- decoded; hence the messages, whose commits are.
-- there are no columns but those of the query; nor are states streamed
SELECT attname FROM pg_attribute WHERE attrelid = 'st_groups'::regclass AND attname LIKE '\_freshet%' ORDER BY 1;
INSERT INTO st_source VALUES (1, 1, 1.50), (2, NULL, 2);
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
UPDATE st_source SET x = 3 WHERE id = 1;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
DELETE FROM st_source WHERE id = 2;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
CREATE FUNCTION st_changes(VARIADIC options text[] DEFAULT '{}') RETURNS SETOF text LANGUAGE sql AS $$
SELECT concat_ws(' ', d->>'op', d->>'table', 'key', d->>'key', 'before', d->>'before', 'after', d->>'after')
FROM (SELECT row_number() OVER () AS n, data::jsonb AS d
	FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, VARIADIC options)) x
WHERE d ? 'table' ORDER BY d->>'table', n
$$;
SELECT st_changes('sinks', '*');
SELECT st_changes('sinks', 'st_t*', 'tables', 'st_source');
-- a sink is not a table, nor the reverse
SELECT st_changes('sinks', 'st_source', 'tables', 'st_groups,st_total,st_copy');
SELECT count(*) FROM st_changes('tables', '*') c WHERE c ~ 'st_(groups|total|copy)';
-- without options, everything
SELECT DISTINCT split_part(c, ' ', 2) FROM st_changes() c ORDER BY 1;
SELECT DISTINCT split_part(c, ' ', 2) FROM st_changes('sinks', '*', 'tables', '*', 'origin', 'none') c ORDER BY 1;
-- all sinks change in one transaction of the worker: the state after each is that of a snapshot
SELECT bool_and(total = groups) FROM (
	SELECT sum(CASE WHEN d->>'table' = 'st_total' THEN coalesce((d #>> '{after,n}')::int, 0) - coalesce((d #>> '{before,n}')::int, 0) ELSE 0 END) AS total,
		sum(CASE WHEN d->>'table' = 'st_groups' THEN coalesce((d #>> '{after,n}')::int, 0) - coalesce((d #>> '{before,n}')::int, 0) ELSE 0 END) AS groups
	FROM (SELECT data::jsonb AS d FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, 'sinks', '*')) x
	GROUP BY d->>'xid') y;
-- the worker says last what it has applied; its transactions have times of their own
SELECT count(*) >= 3, bool_and((d->>'aligned')::boolean), bool_and((d->>'applied_lsn')::pg_lsn <= (d->>'lsn')::pg_lsn),
	bool_and((d->>'commit_time')::timestamptz - (d->>'applied_commit_time')::timestamptz BETWEEN '0 s' AND '60 s'),
	bool_and(clock_timestamp() - (d->>'commit_time')::timestamptz BETWEEN '0 s' AND '60 s'),
	count(DISTINCT d->>'commit_time') = count(*)
FROM (SELECT data::jsonb AS d FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, 'sinks', '*')) x
WHERE d->>'op' = 'batch';
-- a sink that is rebuilt, by whatever process, and one that is dropped
SELECT pg_replication_slot_advance('regress_freshet_sinks', pg_current_wal_lsn()) IS NOT NULL;
SELECT freshet.rebuild_sink('st_copy');
SELECT freshet.wait('st_copy', '60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
UPDATE st_source SET x = 4;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT freshet.drop_sink('st_total');
SELECT DISTINCT split_part(c, ' ', 2) FROM st_changes('sinks', '*') c ORDER BY 1;
SELECT st_changes('sinks', 'st_total');

-- The batch's line is the last, and has the end of the commit.
SELECT pg_replication_slot_advance('regress_freshet_sinks', pg_current_wal_lsn()) IS NOT NULL;
UPDATE st_source SET x = 5 WHERE g = 1;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT d->>'op', lsn > max((d->>'lsn')::pg_lsn) OVER (PARTITION BY d->>'xid') FROM (SELECT lsn, data::jsonb AS d
	FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, 'sinks', 'st_groups')) x ORDER BY lsn;
SELECT d->>'op', d->'message'->>'prefix', convert_from(decode(d->'message'->>'content', 'base64'), 'UTF8')::json->'aligned' AS aligned, d->'source'->>'table', d ? 'before'
FROM (SELECT data::jsonb AS d FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, 'sinks', 'st_groups', 'format', 'debezium')) x
ORDER BY 1;
SELECT split_part(line, ',', 1) FROM stream_lines('regress_freshet_sinks', 'sinks', 'st_groups', 'transactions', 'on') line;
UPDATE st_source SET x = 6 WHERE g = 1;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT split_part(line, ',', 1) FROM stream_lines('regress_freshet_sinks', 'sinks', 'st_groups', 'batches', 'off') line;
-- not without a line of a sink
DELETE FROM st_source WHERE id = 1;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT split_part(line, ',', 1) FROM stream_lines('regress_freshet_sinks', 'sinks', 'none', 'tables', 'st_source') line;
-- early streaming
SET logical_decoding_work_mem = '64kB';
INSERT INTO st_source SELECT i, i FROM generate_series(100, 2000) i;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT string_agg(DISTINCT split_part(line, '"', 4), ' ') FROM stream_lines('regress_freshet_sinks', 'sinks', '*', 'tables', 'none', 'stream', 'on') line;

-- Only the worker changes sinks.  What others write, into one whose guards a
-- superuser goes around or into a table that looks like one, is a change of a table; and a
-- message of theirs is no batch, be it in such a transaction, or sent by a
-- function of a sink in the midst of the worker's.
CREATE TABLE st_fake (id int PRIMARY KEY, _freshet_rows int);
CREATE TABLE st_fakes (id int) PARTITION BY LIST (id);
CREATE TABLE st_fake_part PARTITION OF st_fakes DEFAULT;
CREATE TRIGGER _freshet_refuse_write BEFORE INSERT ON st_fake FOR EACH STATEMENT EXECUTE FUNCTION freshet.refuse_write();
ALTER TABLE st_fake DISABLE TRIGGER _freshet_refuse_write;
CREATE TRIGGER _freshet_refuse_write BEFORE INSERT ON st_fake_part FOR EACH STATEMENT EXECUTE FUNCTION freshet.refuse_write();
CREATE FUNCTION st_forge(content text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_logical_emit_message(true, 'freshet', content);
	INSERT INTO st_fake VALUES (1, 1) ON CONFLICT DO NOTHING;
	UPDATE st_fake SET _freshet_rows = _freshet_rows + 1;
	INSERT INTO st_fakes VALUES (1);
	UPDATE st_groups SET n = n + 1 WHERE g = 100;
	PERFORM pg_logical_emit_message(true, 'freshet', content), pg_logical_emit_message(false, 'freshet', content);
END
$$;
CALL spoil_sink('st_groups', $$SELECT st_forge('{"applied_lsn":"FF/1","applied_commit_time":"2026-01-01T00:00:00+00:00","aligned":true}')$$);
CALL spoil_sink('st_groups', $$SELECT st_forge('{"op":"insert","schema":"public","table":"st_copy","after":{"id":1},"applied_lsn":"FF/FFFFFFFF"}')$$);
SELECT stream_lines FROM stream_lines('regress_freshet_sinks', 'sinks', '*', 'tables', 'none', 'transactions', 'on');
CALL spoil_sink('st_groups', $$SELECT st_forge('{"applied_lsn":"FF/FFFFFFFF"}')$$);
SELECT string_agg(concat_ws(' ', d->>'op', d->>'table'), ', ' ORDER BY n) FROM (SELECT row_number() OVER () AS n, data::jsonb AS d
	FROM pg_logical_slot_peek_changes('regress_freshet_sinks', NULL, NULL, 'sinks', '*', 'tables', 'none', 'format', 'debezium')) x;
SELECT string_agg(concat_ws(' ', d->>'op', d->>'table', d->'after'->>'_freshet_rows'), ', ' ORDER BY n) FROM (SELECT row_number() OVER () AS n, data::jsonb AS d
	FROM pg_logical_slot_get_changes('regress_freshet_sinks', NULL, NULL, 'tables', 'st_*')) x;
CREATE FUNCTION st_send(int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_logical_emit_message(true, 'freshet', '{"applied_lsn":"FF/FFFFFFFF"}');
	PERFORM pg_logical_emit_message(true, 'freshet', '{"op":"insert","table":"st_copy"}');
	RETURN $1;
END
$$;
CREATE FUNCTION st_lie(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN st_send($1); END';
CREATE TABLE st_lies (id int PRIMARY KEY);
ALTER FUNCTION st_lie SET search_path = public;
SELECT freshet.create_sink('st_liar', 'SELECT st_lie(id) AS k, count(*) AS n FROM st_lies GROUP BY 1');
SELECT freshet.wait('st_liar', '60 s') IS NOT NULL;
INSERT INTO st_lies VALUES (1), (2);
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SELECT d->>'op', d->>'table', (d->>'applied_lsn')::pg_lsn < 'FF/0' FROM (SELECT row_number() OVER () AS n, data::jsonb AS d
	FROM pg_logical_slot_get_changes('regress_freshet_sinks', NULL, NULL, 'sinks', 'st_liar')) x ORDER BY n;
DROP FUNCTION st_lie, st_send, st_forge CASCADE;
DROP TABLE st_fake, st_fakes, st_lies CASCADE;
DROP FUNCTION st_changes;
DROP TABLE st_source CASCADE;
SELECT pg_drop_replication_slot('regress_freshet_sinks');
