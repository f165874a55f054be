-- min and max
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
CREATE TYPE mm_level AS ENUM ('low', 'middle', 'high');
CREATE DOMAIN mm_pos AS int CHECK (VALUE > 0);
CREATE TABLE mm_source (
	id int PRIMARY KEY, g int, i int, n numeric, t text, c varchar(20), bp char(5), d date,
	ts timestamptz, f float8, e mm_level, ip inet, iv interval, o oid, a int[], m money,
	tm time, td tid, p mm_pos, by bit(3));
SELECT freshet.create_sink('mm', $$
	SELECT g, min(i) AS mi, max(i) AS ma, min(n) AS mn, max(n) AS mx, min(t) AS mt, max(t) AS xt,
		min(c) AS mc, max(c) AS xc, min(bp) AS mbp, max(bp) AS xbp, min(d) AS md, max(ts) AS xts, min(f) AS mf,
		max(f) AS xf, min(e) AS me, max(e) AS xe, min(ip) AS mip, max(iv) AS xiv, min(o) AS mo,
		max(a) AS xa, min(m) AS mm, max(tm) AS xtm, min(p) AS mp, max(p) AS xp
	FROM mm_source GROUP BY g$$);
SELECT check_types('mm');
INSERT INTO mm_source
SELECT x, x % 4, x * 37 % 101, x * 31 % 97 / 10.0, chr(65 + x % 26) || x, 'v' || x, chr(97 + x % 13), '2020-01-01'::date + x,
	'2020-01-01 00:00Z'::timestamptz + x * interval '1 min',
	CASE x % 10 WHEN 1 THEN 'NaN' WHEN 2 THEN '-Infinity' ELSE x / 3.0 END,
	(enum_range(NULL::mm_level))[1 + x % 3], ('10.0.0.' || x % 250)::inet, x * interval '1 h', x,
	ARRAY[x % 5, x], x::money, make_time(x % 24, x % 60, 0), NULL, 1 + x % 50
FROM generate_series(1, 300) x;
SELECT check_sink('mm');
SELECT * FROM mm WHERE g = 1 \gx

-- The extremes go away, one by one.
DO $$
BEGIN
	FOR k IN 1..8 LOOP
		DELETE FROM mm_source s USING (SELECT g, min(i) AS lo, max(n) AS hi FROM mm_source GROUP BY g) x
		WHERE s.g = x.g AND (s.i = x.lo OR s.n = x.hi);
		COMMIT;
	END LOOP;
END
$$;
SELECT check_sink('mm');
UPDATE mm_source SET i = -i, n = -n, t = lower(t), d = d - 1000;
SELECT check_sink('mm');
UPDATE mm_source SET i = NULL, t = NULL, e = NULL, f = NULL WHERE g = 2;
SELECT check_sink('mm');
SELECT mi, mt, me, mf, mn IS NULL AS mn FROM mm WHERE g = 2;
-- groups that lose their extreme to another group
UPDATE mm_source s SET g = (g + 1) % 4 WHERE i = (SELECT min(i) FROM mm_source x WHERE x.g = s.g);
SELECT check_sink('mm');
DELETE FROM mm_source WHERE g = 3;
SELECT check_sink('mm');
TRUNCATE mm_source;

-- Duplicates of the extreme: it goes with the last.
INSERT INTO mm_source (id, g, i) VALUES (1, 1, 5), (2, 1, 5), (3, 1, 7), (4, 1, 9), (5, 1, 9);
SELECT check_sink('mm');
SELECT mi, ma FROM mm;
DELETE FROM mm_source WHERE id IN (1, 4);
SELECT check_sink('mm');
SELECT mi, ma FROM mm;
DELETE FROM mm_source WHERE id IN (2, 5);
SELECT check_sink('mm');
SELECT mi, ma FROM mm;
-- taken away and put back within one transaction
BEGIN;
DELETE FROM mm_source WHERE id = 3;
INSERT INTO mm_source (id, g, i) VALUES (3, 1, 7);
UPDATE mm_source SET i = 1 WHERE id = 3;
UPDATE mm_source SET i = 20 WHERE id = 3;
UPDATE mm_source SET i = 8 WHERE id = 3;
COMMIT;
SELECT check_sink('mm');
SELECT mi, ma FROM mm;
-- the only row goes, another comes
BEGIN;
DELETE FROM mm_source;
INSERT INTO mm_source (id, g, i) VALUES (9, 1, 3);
COMMIT;
SELECT check_sink('mm');
SELECT mi, ma FROM mm;
DROP TABLE mm_source CASCADE;

-- Equal by the operator, different to look at
CREATE TABLE mm_equal (id int PRIMARY KEY, n numeric, f float8, iv interval);
SELECT freshet.create_sink('mm_equal_sink', 'SELECT min(n) AS mn, max(n) AS mx, min(f) AS mf, max(iv) AS xiv FROM mm_equal');
INSERT INTO mm_equal VALUES (1, 1.0, 0, '1 day'), (2, 1.00, -0.0, '24 hours');
SELECT check_sink('mm_equal_sink', exact => false);
DELETE FROM mm_equal WHERE id = 1;
SELECT check_sink('mm_equal_sink', exact => false);
DELETE FROM mm_equal;
SELECT check_sink('mm_equal_sink');
DROP TABLE mm_equal CASCADE;

-- Collations order text each in its way.
CREATE COLLATION mm_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE mm_text (id int PRIMARY KEY, g int, t text, u text COLLATE "und-x-icu", v text COLLATE mm_nocase);
INSERT INTO mm_text VALUES (1, 1, 'b', 'b', 'b'), (2, 1, 'B', 'B', 'B'), (3, 1, 'a', 'a', 'a'), (4, 1, 'C', 'C', 'C');
SELECT freshet.create_sink('mm_collations', $$
	SELECT g, min(t) AS t, min(t COLLATE "und-x-icu") AS ti, max(t COLLATE "C") AS tc, min(u) AS u,
		max(u) AS xu, min(u COLLATE "C") AS uc, max(v) AS v
	FROM mm_text GROUP BY g$$);
SELECT check_sink('mm_collations');
SELECT t, ti, tc, u, xu, uc, v FROM mm_collations;
SELECT t, ti, tc, u, xu, uc, v FROM mm_collations;
DELETE FROM mm_text WHERE id = 4;
SELECT check_sink('mm_collations');
SELECT t, ti, tc, u, xu, uc FROM mm_collations;
DELETE FROM mm_text WHERE id = 3;
SELECT check_sink('mm_collations', exact => false);
INSERT INTO mm_text VALUES (5, 1, 'ä', 'ä', 'ä'), (6, 1, 'z', 'z', 'z');
SELECT check_sink('mm_collations', exact => false);
DELETE FROM mm_text WHERE id < 3;
SELECT check_sink('mm_collations');
DROP TABLE mm_text CASCADE;

-- With an index that serves the recomputation, and without; windowed; over
-- expressions, with a condition
CREATE TABLE mm_index (id int PRIMARY KEY, g text, x int, ts timestamptz NOT NULL);
CREATE INDEX ON mm_index (g, x);
INSERT INTO mm_index SELECT i, 'g' || i % 10, i * 7919 % 1009, '2021-01-01Z'::timestamptz + i * interval '7 s'
FROM generate_series(1, 1000) i;
INSERT INTO mm_index VALUES (0, NULL, -5, '2021-01-01Z'), (-1, NULL, 5000, '2021-01-02Z');
SELECT freshet.create_sink('mm_indexed', 'SELECT g, min(x), max(x), max(x) - min(x) AS span FROM mm_index WHERE x <> 13 GROUP BY g');
SELECT freshet.create_sink('mm_windows', $$
	SELECT window_start, window_end, g, min(x), max(x) FILTER (WHERE x % 2 = 0) AS even
	FROM mm_index, freshet.tumble(ts, '10 min') GROUP BY 1, 2, 3$$);
SELECT freshet.create_sink('mm_hops', $$
	SELECT window_start, min(x), max(x), max(ts) AS last
	FROM mm_index, freshet.hop(ts, '5 min', '20 min') GROUP BY window_start$$);
SELECT freshet.create_sink('mm_expr', $$
	SELECT x % 10 AS k, min(abs(x - 500)) AS near, max(g || x) AS label FROM mm_index GROUP BY x % 10$$);
SELECT check_sink('mm_indexed'), check_sink('mm_windows'), check_sink('mm_hops'), check_sink('mm_expr');
DO $$
BEGIN
	FOR k IN 1..20 LOOP
		DELETE FROM mm_index s WHERE x = (SELECT min(x) FROM mm_index i WHERE i.g IS NOT DISTINCT FROM s.g) OR id % 97 = k;
		UPDATE mm_index SET x = x + 3, ts = ts + interval '11 min' WHERE id % 53 = k;
		UPDATE mm_index SET g = NULL WHERE id % 101 = k;
		COMMIT;
	END LOOP;
END
$$;
SELECT check_sink('mm_indexed'), check_sink('mm_windows'), check_sink('mm_hops'), check_sink('mm_expr');
SELECT g, min, max, span FROM mm_indexed WHERE g IS NULL;
DELETE FROM mm_index WHERE g IS NULL;
SELECT check_sink('mm_indexed'), check_sink('mm_windows'), check_sink('mm_hops'), check_sink('mm_expr');
DELETE FROM mm_index WHERE id % 3 > 0;
SELECT check_sink('mm_indexed'), check_sink('mm_windows'), check_sink('mm_hops'), check_sink('mm_expr');
DROP TABLE mm_index CASCADE;

-- bool_and and bool_or are extremes, too.
CREATE TABLE mm_bool (id int PRIMARY KEY, b boolean);
SELECT freshet.create_sink('mm_bools', 'SELECT bool_and(b), bool_or(b), every(b) FROM mm_bool');
INSERT INTO mm_bool VALUES (1, true), (2, false), (3, NULL);
SELECT check_sink('mm_bools');
DELETE FROM mm_bool WHERE id = 2;
SELECT check_sink('mm_bools');
SELECT bool_and, bool_or, every FROM mm_bools;
DELETE FROM mm_bool WHERE id = 1;
SELECT check_sink('mm_bools');
SELECT bool_and, bool_or, every FROM mm_bools;
DROP TABLE mm_bool CASCADE;
DROP TYPE mm_level;
DROP DOMAIN mm_pos;
DROP COLLATION mm_nocase;
