-- Literals that are read by the clock ('yesterday') are refused by name; other texts are what they are
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA words;
SET search_path = words, public;
CREATE TYPE pair AS (word text, d date);
CREATE TYPE nested AS (n int, p pair, ps pair[]);
CREATE DOMAIN day AS date CHECK (VALUE > '2000-01-01');
CREATE DOMAIN days AS date[];
CREATE TYPE day_range AS RANGE (SUBTYPE = date);
CREATE TYPE mood AS ENUM ('today', 'now');
CREATE TABLE t (id int PRIMARY KEY, at timestamptz, ts timestamp, d date, tm time, tz timetz, v int, w text, m mood,
	r tstzrange, a date[], p pair, j jsonb, dd day, i interval);
CREATE FUNCTION refused(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	plan text;
BEGIN
	SELECT string_agg(l, '; ') INTO plan FROM freshet.explain(query) l WHERE l ~ 'not supported|^strategy';
	RETURN substring(plan from '^strategy: \w+');
EXCEPTION WHEN feature_not_supported THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN sqlerrm || CASE WHEN hint LIKE 'Its meaning moves with the clock%' THEN '' ELSE ' (' || hint || ')' END;
END
$$;
\set QUIET on
\pset tuples_only on
\pset format unaligned
-- Every type, every way to write it
SELECT q, '	' || refused(q) FROM unnest(ARRAY[
	$$SELECT id FROM t WHERE at > 'yesterday'$$,
	$$SELECT id FROM t WHERE 'yesterday' < at$$,
	$$SELECT id FROM t WHERE d > date 'today' - 7$$,
	$$SELECT id FROM t WHERE at > 'now'::timestamptz - interval '7 days'$$,
	$$SELECT id FROM t WHERE at > cast(' NOW ' AS timestamptz)$$,
	$$SELECT id FROM t WHERE at > timestamptz('now')$$,
	$$SELECT id FROM t WHERE at > timestamptz(3) 'now'$$,
	$$SELECT id FROM t WHERE ts < timestamp without time zone 'Tomorrow'$$,
	$$SELECT id FROM t WHERE ts < 'tomorrow 12:30'$$,
	$$SELECT id FROM t WHERE at < 'today America/New_York'$$,
	$$SELECT id FROM t WHERE at < 'allballs today'$$,
	$$SELECT id FROM t WHERE tm < 'now'$$,
	$$SELECT id FROM t WHERE tz < 'now'$$,
	$$SELECT id FROM t WHERE at < E'\x6eow'$$,
	$$SELECT id FROM t WHERE at < U&'\006eow'$$,
	'SELECT id FROM t WHERE at < $q$now$q$',
	$$SELECT id FROM t WHERE at < 'n'
		'ow'$$,
	$$SELECT id, v FROM t WHERE d IN ('2026-01-01', 'tomorrow')$$,
	$$SELECT id FROM t WHERE d BETWEEN '2026-01-01' AND 'today'$$,
	$$SELECT id FROM t WHERE d = ANY ('{2026-01-01,today}')$$,
	$$SELECT id FROM t WHERE d = ANY (ARRAY['2026-01-01', 'today']::date[])$$,
	$$SELECT id FROM t WHERE a && '{{2026-01-01},{"today"}}'$$,
	$$SELECT id FROM t WHERE a = '{yesterday}'::days$$,
	$$SELECT id FROM t WHERE dd > 'yesterday'::day$$,
	$$SELECT id FROM t WHERE dd > day 'yesterday'$$,
	$$SELECT id FROM t WHERE r && '[yesterday,today)'$$,
	$$SELECT id FROM t WHERE r && '["2026-01-01 00:00","today 12:00")'$$,
	$$SELECT id FROM t WHERE r && '{[2026-01-01,2026-01-02), (now,)}'::tstzmultirange$$,
	$$SELECT id FROM t WHERE d <@ '[today,]'::day_range$$,
	$$SELECT id FROM t WHERE p = '(now,today)'::pair$$,
	$$SELECT id FROM t WHERE p = '(now,)'::pair OR '(1,"(x,2026-01-01)","{""(x,tomorrow)""}")'::nested IS NULL$$,
	$$SELECT id FROM t WHERE (id, d) > (1, 'today')$$,
	$$SELECT id, coalesce(d, 'today') AS d FROM t$$,
	$$SELECT id, greatest(at, 'now') AS at FROM t$$,
	$$SELECT id, CASE WHEN v > 1 THEN d ELSE 'today' END AS d FROM t$$,
	$$SELECT id, nullif(d, 'today') AS d FROM t$$,
	$$SELECT id, 'now' AT TIME ZONE 'UTC' AS at FROM t$$,
	$$SELECT id, date_trunc('day', timestamptz 'now') AS at FROM t$$,
	$$SELECT id, extract(year FROM date 'today') AS y FROM t$$,
	$$SELECT date_trunc('day', at) AS day, count(*) FROM t WHERE at > 'yesterday' GROUP BY 1$$,
	$$SELECT count(*) FILTER (WHERE ts < timestamp 'TODAY') AS n FROM t$$,
	$$SELECT max(coalesce(at, 'now')) AS n FROM t$$,
	$$SELECT id, window_start FROM t, freshet.tumble(at, '1 h', 'today')$$,
	-- where the query is run anew
	$$SELECT d FROM t UNION SELECT 'today'$$,
	$$SELECT d FROM t UNION ALL VALUES (date '2026-01-01'), ('today')$$,
	$$WITH x AS (SELECT id FROM t WHERE d > 'today') SELECT count(*) FROM x$$,
	$$SELECT id FROM t WHERE EXISTS (SELECT FROM t t2 WHERE t2.d > 'today')$$,
	$$SELECT t.id FROM t JOIN t t2 ON t2.d > 'today'$$,
	$$SELECT v, count(*) FROM t GROUP BY v HAVING max(d) > 'today'$$,
	$$SELECT id, lag(d, 1, 'today') OVER (ORDER BY id) AS d FROM t$$,
	$$SELECT d FROM t ORDER BY d < 'today' LIMIT 3$$,
	$$SELECT g FROM t, generate_series(at, 'now', '1 h') g$$]) q;
-- Words that do not move, and texts that are no times
SELECT q, '	' || refused(q) FROM unnest(ARRAY[
	$$SELECT id FROM t WHERE at > '2026-01-01'$$,
	$$SELECT id FROM t WHERE at > 'epoch' AND d < 'infinity' AND ts > '-infinity'$$,
	$$SELECT id FROM t WHERE tm > 'allballs' AND tz > 'allballs'$$,
	$$SELECT id FROM t WHERE tz > '10:00' OR tz > '10:00+02' OR tz > '2026-07-01 10:00 Europe/Berlin'$$,
	$$SELECT id, 'today' AS word FROM t$$,
	$$SELECT id, 'today'::text AS word FROM t WHERE w = 'now' OR w IN ('yesterday', 'tomorrow')$$,
	$$SELECT id FROM t WHERE w = ANY ('{now,today}') OR m = 'today'$$,
	$$SELECT id FROM t WHERE p = '(today,2026-01-01)'::pair AND p <> '("now ",)'::pair$$,
	$$SELECT id FROM t WHERE '(1,"(now,2026-01-01)","{""(today,2026-01-02)""}")'::nested IS NOT NULL$$,
	$$SELECT id FROM t WHERE j @> '{"today": "now"}' AND j ->> 'now' = 'yesterday'$$,
	$$SELECT id FROM t WHERE a = '{}' OR a = '{NULL}' OR r = 'empty' OR r && '[,)' OR d <@ '[2026-01-01,infinity)'::day_range$$,
	$$SELECT id FROM t WHERE at > timestamptz '2026-01-01' + interval '1 day' AND i > '1 day'$$,
	$$SELECT id, 'now' || w AS w, format('today %s', v) AS f FROM t$$]) q;
-- Summer time decides what a time with time zone without a date is
SET timezone = 'America/New_York';
SELECT q, '	' || refused(q) FROM unnest(ARRAY[
	$$SELECT id FROM t WHERE tz > '10:00'$$,
	$$SELECT id FROM t WHERE tz > '2026-07-01 10:00 Europe/Berlin' OR tz > '2026-07-01 10:00'$$,
	$$SELECT id FROM t WHERE tz > '10:00-04' OR tz > '10:00 UTC' OR tz > '10:00 EST' OR tm > '10:00'$$]) q;
RESET timezone;
\pset tuples_only off
\pset format aligned
\set QUIET off
\set VERBOSITY default
SELECT freshet.create_sink('words.refused', $$SELECT id FROM t WHERE at > 'yesterday'$$);
\set VERBOSITY terse
SELECT to_regclass('words.refused');
-- A view was folded when it was made: it is a constant, for the sink as for everybody
CREATE VIEW v AS SELECT id FROM t WHERE at > timestamptz '2026-01-01' AND at < '2026-02-01' AND 'now'::timestamptz IS NOT NULL;
SELECT freshet.create_sink('words.over_view', 'SELECT id FROM v');
INSERT INTO t (id, at) VALUES (1, '2026-01-02'), (2, '2026-02-02');
SELECT check_sink('words.over_view');
-- 5,000 literals are looked at quickly
SELECT refused('SELECT id FROM t WHERE d IN (' || string_agg(quote_literal(date '2000-01-01' + i), ', ') || ')') FROM generate_series(1, 5000) i;
SELECT refused('SELECT id FROM t WHERE d IN (' || string_agg(quote_literal(date '2000-01-01' + i), ', ') || ', ''today'')') FROM generate_series(1, 5000) i;
SET client_min_messages = warning;
RESET search_path;
DROP SCHEMA words CASCADE;
SELECT check_sink('kept');
