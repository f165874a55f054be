-- Expressions over aggregates and keys
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE out_source (id int PRIMARY KEY, g int, t text, a int, b numeric, p float8);
ALTER TABLE out_source REPLICA IDENTITY FULL;
INSERT INTO out_source SELECT i, i % 4, chr(65 + i % 3), nullif(i % 10, 0), nullif(i % 7, 0) / 3.0, i / 4.0 FROM generate_series(1, 60) i;
CREATE FUNCTION out_label(n bigint, what text DEFAULT 'rows') RETURNS text IMMUTABLE LANGUAGE plpgsql AS
	$$BEGIN RETURN n || ' ' || what; END$$;
CREATE TYPE out_pair AS (n bigint, s numeric);

SELECT freshet.create_sink('out_expr', $$
	SELECT g, round(avg(b), 2) AS ab, sum(a) / nullif(count(*), 0) AS per, count(*) - count(a) AS nulls,
		coalesce(sum(a) FILTER (WHERE a > 100), 0) AS none, (sum(p) * 2)::int AS p2,
		CASE WHEN count(*) > 10 THEN 'many' WHEN bool_or(a > 8) THEN 'big' ELSE 'few' END AS size,
		out_label(count(*)), out_label(what => t, n => sum(a)) AS label, max(a) > min(a) AS differ, ARRAY[min(a), max(a)] AS range,
		greatest(avg(b), 1.5), t || '/' || count(a) AS tc, count(*) AS n1, count(*) AS n2, sum(a) AS s1, sum(a + 1) AS s2,
		jsonb_build_object('n', count(*), 's', sum(b)) AS doc, round(avg(p)::numeric, 3) AS ap,
		avg(a) BETWEEN 3 AND 5 AS mid, count(*) IN (3, 5, 7) AS odd, (count(*), sum(b))::out_pair AS pair,
		sum(a) IS DISTINCT FROM sum(g) AS dist, g * 10 + count(*) AS gg, abs(g - sum(a)) AS ga
	FROM out_source GROUP BY g, t$$);
SELECT freshet.create_sink('out_total', $$
	SELECT sum(a) / nullif(count(*), 0) AS per, round(avg(b), 2) AS ab, coalesce(sum(a), 0) AS s, count(*) = 0 AS empty, 'total'::text AS name, 42 AS answer
	FROM out_source$$);
SELECT freshet.create_sink('out_typmod', $$
	SELECT t::varchar(5) AS t, avg(b)::numeric(6, 2) AS ab, max(t)::char(3) AS c, sum(a)::int2 AS s FROM out_source GROUP BY t::varchar(5)$$);
SELECT freshet.create_sink('out_collate', $$
	SELECT t COLLATE "C" AS c, max(t) COLLATE "und-x-icu" AS m, count(*) FROM out_source GROUP BY 1$$);
CREATE VIEW out_check AS SELECT sink, check_sink(sink) FROM unnest('{out_expr, out_total, out_typmod, out_collate}'::regclass[]) sink;
SELECT * FROM out_check;
SELECT sink, check_types(sink) FROM unnest('{out_expr, out_total, out_typmod, out_collate}'::regclass[]) sink;
SELECT * FROM out_expr WHERE g = 1 AND label LIKE '%B' \gx
UPDATE out_source SET a = a * 2, b = -b, p = p + 100 WHERE id % 3 = 0;
UPDATE out_source SET a = NULL WHERE id % 11 = 0;
SELECT * FROM out_check;
DELETE FROM out_source WHERE id % 4 < 2;
SELECT * FROM out_check;
UPDATE out_source SET a = NULL, b = NULL;
SELECT * FROM out_check;
DELETE FROM out_source;
SELECT * FROM out_check;
SELECT per, ab, s, empty, name, answer FROM out_total;
-- domains, arrays, ranges and composites as inputs
CREATE DOMAIN out_money AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE TABLE out_types (id int PRIMARY KEY, d out_money, p out_pair, r int4range, xs int[]);
SELECT freshet.create_sink('out_types_sink', $$
	SELECT (p).n AS pn, sum(d) AS sd, avg(d) AS ad, min(d) AS md, max((p).s) AS ms, sum(upper(r)) AS su, sum(xs[1]) AS sx, max(xs) AS mx
	FROM out_types GROUP BY (p).n$$);
SELECT check_types('out_types_sink');
INSERT INTO out_types VALUES (1, 1.5, (1, 2.5), '[1,5)', '{1,2}'), (2, 2, (1, 3.25), '[3,9)', '{4}'), (3, NULL, NULL, NULL, NULL), (4, 0, (NULL, NULL), 'empty', '{}');
SELECT check_sink('out_types_sink');
SELECT pn, sd, ad, md, ms, su, sx, mx FROM out_types_sink ORDER BY pn;
UPDATE out_types SET d = d + 1, p.s = 9, xs = array_prepend(7, xs);
SELECT check_sink('out_types_sink');
DELETE FROM out_types WHERE id < 3;
SELECT check_sink('out_types_sink');
DROP VIEW out_check;
DROP TABLE out_source, out_types CASCADE;
DROP TYPE out_pair CASCADE;
DROP FUNCTION out_label;
DROP DOMAIN out_money;
