-- The change stream: transactions streamed before their end
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_streaming', 'freshet');
SET logical_decoding_work_mem = '64kB';
CREATE TABLE st_large (id int PRIMARY KEY, t text);
CREATE TABLE st_small (id int PRIMARY KEY, t text);
-- the lines of a kind that follow each other, as one
CREATE FUNCTION st_summary(VARIADIC options text[]) RETURNS TABLE (op text, is_streamed boolean, sub boolean, ids text)
LANGUAGE sql AS $$
SELECT d->>'op', (d->>'streamed')::boolean, d ? 'subxid',
	coalesce(min((d #>> '{key,id}')::int) || '..' || max((d #>> '{key,id}')::int), '')
FROM (SELECT n, d, sum(new) OVER (ORDER BY n) AS g
	FROM (SELECT n, d, CASE WHEN concat_ws(' ', d->>'op', d->>'streamed', d->>'subxid')
				IS DISTINCT FROM lag(concat_ws(' ', d->>'op', d->>'streamed', d->>'subxid')) OVER (ORDER BY n) THEN 1 ELSE 0 END AS new
		FROM (SELECT row_number() OVER () AS n, data::jsonb AS d
			FROM pg_logical_slot_peek_changes('regress_freshet_streaming', NULL, NULL, VARIADIC options)) x
		-- how many blocks there are depends on the server
		WHERE d->>'op' NOT IN ('stream_start', 'stream_stop')) y) z
GROUP BY g, d->>'op', (d->>'streamed')::boolean, d ? 'subxid' ORDER BY g
$$;
BEGIN;
INSERT INTO st_large SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i;
SAVEPOINT a;
INSERT INTO st_large SELECT i, repeat('y', 100) FROM generate_series(2001, 4000) i;
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO st_large SELECT i, repeat('z', 100) FROM generate_series(4001, 6000) i;
RELEASE b;
DELETE FROM st_large WHERE id = 1;
COMMIT;
INSERT INTO st_small VALUES (1, 'small');
BEGIN;
INSERT INTO st_large SELECT i, repeat('x', 100) FROM generate_series(10001, 12000) i;
ROLLBACK;
BEGIN;
INSERT INTO st_large SELECT i, repeat('x', 100) FROM generate_series(20001, 22000) i;
TRUNCATE st_small;
COMMIT;
-- in whole
SELECT * FROM st_summary('tables', 'st_*', 'transactions', 'on');
SELECT count(*) FILTER (WHERE data::jsonb ? 'last') AS last, count(*) FILTER (WHERE data::jsonb ? 'commit_time') AS commit_time, count(*)
FROM pg_logical_slot_peek_changes('regress_freshet_streaming', NULL, NULL, 'tables', 'st_*');
-- in blocks: who applies what is not aborted ends with the same
CREATE TEMP TABLE st_lines AS SELECT row_number() OVER () AS n, data::jsonb AS d
FROM pg_logical_slot_peek_changes('regress_freshet_streaming', NULL, NULL, 'tables', 'st_*', 'stream', 'on', 'transactions', 'on');
SELECT d->>'op' AS op, d ? 'streamed' AS streamed, d ? 'commit_time' AS commit_time, d ? 'end_lsn' AS end_lsn, count(*) > 1 AS many
FROM st_lines GROUP BY 1, 2, 3, 4 ORDER BY 1, 2;
-- blocks do not overlap, and have all their changes between start and stop
SELECT count(*) FILTER (WHERE d->>'op' = 'stream_start') = count(*) FILTER (WHERE d->>'op' = 'stream_stop') AS closed,
	bool_and(open = CASE WHEN d->>'op' = 'stream_stop' OR d->>'op' LIKE '%commit' OR d->>'op' = 'stream_abort' OR NOT d ? 'streamed' THEN 0 ELSE 1 END) AS nested
FROM (SELECT d, sum(CASE d->>'op' WHEN 'stream_start' THEN 1 WHEN 'stream_stop' THEN -1 ELSE 0 END) OVER (ORDER BY n) AS open FROM st_lines) x;
CREATE TEMP TABLE st_committed AS SELECT d->'xid' AS xid FROM st_lines WHERE d->>'op' = 'stream_commit';
CREATE TEMP TABLE st_aborted AS SELECT n, d->'xid' AS xid, d->'subxid' AS subxid FROM st_lines WHERE d->>'op' = 'stream_abort';
SELECT l.d #>> '{key,id}' = '1' AS deleted, count(DISTINCT l.d #>> '{key,id}')
FROM st_lines l JOIN st_committed c ON c.xid = l.d->'xid'
	LEFT JOIN st_aborted a ON a.xid = l.d->'xid' AND a.n > l.n AND (a.subxid IS NULL OR a.subxid = l.d->'subxid')
WHERE l.d->>'table' = 'st_large' AND l.d->>'op' = 'insert' AND a.n IS NULL
GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM st_large;
-- nothing of it is wanted: no line
SELECT * FROM st_summary('tables', 'st_small', 'operations', 'insert', 'stream', 'on', 'transactions', 'on');
SELECT * FROM st_summary('tables', 'st_none', 'stream', 'on', 'transactions', 'on');
DROP TABLE st_large, st_small;
DROP FUNCTION st_summary;
SELECT pg_drop_replication_slot('regress_freshet_streaming');
