-- What the executor does not evaluate, a sink does not: the argument of an
-- aggregate whose FILTER rejects the row, and anything of a row that WHERE rejects
\set VERBOSITY terse
CREATE TABLE guard_source (id int PRIMARY KEY, g int, v int, t text);
ALTER TABLE guard_source REPLICA IDENTITY FULL;
CREATE FUNCTION guard_inverse(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE COST 1000 AS $$
BEGIN
	RETURN 100 / x;
END
$$;
CREATE FUNCTION guard_is_number(t text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE COST 1000 AS $$
BEGIN
	RETURN t ~ '^[0-9]+$';
END
$$;
-- there from the beginning: rows on which the expressions fail
INSERT INTO guard_source VALUES (1, 1, 5, '5'), (2, 1, 0, 'none'), (3, 2, 0, ''), (4, 3, NULL, NULL);
SELECT freshet.create_sink('guard_sum', $$
	SELECT g, sum(100 / v) FILTER (WHERE v <> 0) AS s, count(*) FROM guard_source GROUP BY g $$);
SELECT freshet.create_sink('guard_all', $$
	SELECT g, sum(t::int) FILTER (WHERE guard_is_number(t)) AS s,
		avg(100 / v) FILTER (WHERE v <> 0) AS a, count(100 / v) FILTER (WHERE v <> 0) AS c,
		min(100 / v) FILTER (WHERE v > 0) AS lo, max(guard_inverse(v)) FILTER (WHERE v > 0) AS hi,
		sum(v) FILTER (WHERE v > 3) AS plain, sum(v) AS v, count(*) FILTER (WHERE v = 0) AS zero
	FROM guard_source GROUP BY g $$);
SELECT freshet.create_sink('guard_total', $$
	SELECT sum(100 / v) FILTER (WHERE v <> 0) AS s, max(t::int) FILTER (WHERE guard_is_number(t)) AS hi
	FROM guard_source $$);
SELECT freshet.create_sink('guard_case', $$
	SELECT CASE WHEN v <> 0 THEN 100 / v END AS k, sum(CASE WHEN v = 0 THEN 0 ELSE 100 / v END) AS s
	FROM guard_source GROUP BY 1 $$);
-- a dear condition is tested after a cheap one, wherever it stands
SELECT freshet.create_sink('guard_where', $$
	SELECT 100 / v AS k, count(*), sum(guard_inverse(v)) FROM guard_source
	WHERE guard_inverse(v) > 0 AND v <> 0 GROUP BY 1 $$);
SELECT freshet.create_sink('guard_copy', $$
	SELECT id, 100 / v AS k, t::int AS n FROM guard_source
	WHERE guard_inverse(v) > 0 AND guard_is_number(t) AND v <> 0 $$);
-- the call in FROM is joined to the rows that the other conditions leave
SELECT freshet.create_sink('guard_tumble', $$
	SELECT window_start, count(*), sum(100 / v) FILTER (WHERE v > 0)
	FROM guard_source, freshet.tumble(to_timestamp(6000 / v), interval '1 minute')
	WHERE v <> 0 GROUP BY 1 $$);
SELECT freshet.create_sink('guard_hop', $$
	SELECT id, window_start, v FROM guard_source,
		freshet.hop(to_timestamp(6000 / v), interval '1 minute', interval '3 minutes')
	WHERE window_start > to_timestamp(600) AND v <> 0 $$);
CREATE VIEW guard_check AS SELECT sink, check_sink(sink)
FROM unnest('{guard_sum, guard_all, guard_total, guard_case, guard_where, guard_copy, guard_tumble,
	guard_hop}'::regclass[]) sink;
SELECT * FROM guard_check;
-- others come, go, and pass to and fro
INSERT INTO guard_source VALUES (5, 1, 0, 'x'), (6, 2, 4, '7'), (7, 3, 0, 'y'), (8, 3, -2, '-');
SELECT * FROM guard_check;
UPDATE guard_source SET v = CASE WHEN v = 0 THEN 10 ELSE 0 END, t = CASE WHEN t ~ '^[0-9]+$' THEN 'z' ELSE id::text END;
SELECT * FROM guard_check;
UPDATE guard_source SET v = 0 WHERE id % 2 = 0;
DELETE FROM guard_source WHERE id IN (1, 5);
SELECT * FROM guard_check;
SELECT g, s, a, c, lo, hi, plain, v, zero FROM guard_all ORDER BY g;
SELECT s, hi FROM guard_total;
-- all together, with the extremes retracted
UPDATE guard_source SET v = 0, t = '';
SELECT * FROM guard_check;
SELECT g, s, a, c, lo, hi, plain, v, zero FROM guard_all ORDER BY g;
SET client_min_messages = warning;
DROP VIEW guard_check;
DROP TABLE guard_source CASCADE;
SELECT check_sink('kept');
