-- count, sum and avg, of all types
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse
SELECT setseed(0.4);

CREATE TABLE agg_source (
	id int PRIMARY KEY, g int, i2 int2, i4 int4, i8 int8, n numeric, n3 numeric(12, 3),
	f4 float4, f8 float8, iv interval, m money, b boolean);
INSERT INTO agg_source
SELECT i, nullif(i % 5, 0),
	CASE WHEN i % 7 > 0 THEN i % 100 - 50 END,
	CASE WHEN i % 6 > 0 THEN i * 7 - 500 END,
	CASE WHEN i % 9 > 0 THEN i * 10000000000000000 END,
	CASE WHEN i % 4 > 0 THEN i / 10 ^ (i % 6)::numeric END,
	CASE WHEN i % 8 > 0 THEN i / 8.0 END,
	CASE WHEN i % 7 > 1 THEN i / 8.0 END,
	CASE WHEN i % 6 > 1 THEN i / 16.0 END,
	CASE WHEN i % 5 > 1 THEN make_interval(months => i % 20, days => i % 45, secs => i * 1000.5) END,
	CASE WHEN i % 4 > 1 THEN i * 1.25::money END,
	nullif(i % 3, 0) = 1
FROM generate_series(1, 200) i;

-- One replica identity for all: create_sink says that it sets it.
SELECT freshet.create_sink('agg_counts', $$
	SELECT g, count(*), count(i4) AS c4, count(b) FILTER (WHERE b) AS ct,
		count(*) FILTER (WHERE i2 > 0) AS cp, count(*) FILTER (WHERE NULL) AS cn
	FROM agg_source GROUP BY g$$);
SELECT freshet.create_sink('agg_sums', $$
	SELECT g, sum(i2) AS s2, sum(i4) AS s4, sum(i8) AS s8, sum(n) AS sn, sum(n3) AS sn3,
		sum(f4) AS sf4, sum(f8) AS sf8, sum(iv) AS siv, sum(m) AS sm
	FROM agg_source GROUP BY g$$);
SELECT freshet.create_sink('agg_avgs', $$
	SELECT g, avg(i2) AS a2, avg(i4) AS a4, avg(i8) AS a8, avg(n) AS an, avg(n3) AS an3,
		avg(f4) AS af4, avg(f8) AS af8, avg(iv) AS aiv
	FROM agg_source GROUP BY g$$);
SELECT freshet.create_sink('agg_filters', $$
	SELECT g, sum(i4) FILTER (WHERE b) AS s4, avg(n) FILTER (WHERE i2 > 10) AS an,
		sum(f8) FILTER (WHERE b IS NULL) AS sf8, avg(iv) FILTER (WHERE NOT b) AS aiv,
		sum(m) FILTER (WHERE false) AS sm, sum(i4) AS s4_all, min(i4) FILTER (WHERE b) AS mi,
		max(n) FILTER (WHERE i2 > 10) AS ma
	FROM agg_source GROUP BY g$$);
SELECT freshet.create_sink('agg_total', $$
	SELECT count(*), sum(i2) AS s2, sum(i4) AS s4, sum(i8) AS s8, sum(n) AS sn, sum(n3) AS sn3,
		sum(f4) AS sf4, sum(f8) AS sf8, sum(iv) AS siv, sum(m) AS sm, avg(i8) AS a8, avg(n) AS an,
		avg(f8) AS af8, avg(iv) AS aiv, min(m) AS mim, max(iv) AS maiv
	FROM agg_source$$);

CREATE VIEW agg_check AS
SELECT sink, check_sink(sink)
FROM unnest('{agg_counts, agg_sums, agg_avgs, agg_filters, agg_total}'::regclass[]) sink;

SELECT * FROM agg_check;
SELECT sink, check_types(sink) FROM unnest('{agg_counts, agg_sums, agg_avgs, agg_filters, agg_total}'::regclass[]) sink;
SELECT a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_attribute a WHERE attrelid = 'agg_sums'::regclass AND attnum > 0
	AND attname NOT LIKE '\_freshet%' ORDER BY attnum;
SELECT g, s2, s4, s8, sn, sn3, sf4, sf8, siv, sm FROM agg_sums ORDER BY g;
SELECT g, a2, a4, a8, an, an3, af4, af8, aiv FROM agg_avgs ORDER BY g;

-- Changes of every kind
UPDATE agg_source SET i2 = i2 + 1, i4 = -i4, n = n * 1.001, f8 = -f8 WHERE id % 3 = 0;
SELECT * FROM agg_check;
UPDATE agg_source SET g = (id * 13) % 7 WHERE id % 4 = 0;
SELECT * FROM agg_check;
DELETE FROM agg_source WHERE id % 5 = 0;
SELECT * FROM agg_check;
INSERT INTO agg_source (id, g) SELECT i, 100 FROM generate_series(201, 205) i;
SELECT * FROM agg_check;
SELECT s2, s4, s8, sn, sf8, siv, sm FROM agg_sums WHERE g = 100;

-- All inputs become NULL: the sums do, too.
UPDATE agg_source SET i2 = NULL, i4 = NULL, i8 = NULL, n = NULL, n3 = NULL, f4 = NULL, f8 = NULL,
	iv = NULL, m = NULL, b = NULL WHERE g = 1;
SELECT * FROM agg_check;
SELECT g, s2, s4, s8, sn, sn3, sf4, sf8, siv, sm FROM agg_sums WHERE g = 1;

-- Nothing is left; the total is one row all the same.
DELETE FROM agg_source;
SELECT * FROM agg_check;
SELECT count, s2, sn, sf8, siv, sm, mim FROM agg_total;

-- Numeric scale: the largest of what is there, no more.
INSERT INTO agg_source (id, g, n) VALUES (1, 1, 1.5), (2, 1, 2.25), (3, 1, 3.00000);
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn FROM agg_sums;
DELETE FROM agg_source WHERE id = 3;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn FROM agg_sums;
DELETE FROM agg_source WHERE id = 2;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn FROM agg_sums;
UPDATE agg_source SET n = 0.000;
SELECT check_sink('agg_sums');
SELECT sn FROM agg_sums;
UPDATE agg_source SET n = -0.0;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn FROM agg_sums;
-- wide ones
UPDATE agg_source SET n = 10::numeric ^ 1000 + 1e-100;
SELECT check_sink('agg_sums'), check_sink('agg_avgs'), check_sink('agg_total');
INSERT INTO agg_source (id, g, n) VALUES (4, 1, -(10::numeric ^ 1000)), (5, 1, 1);
SELECT check_sink('agg_sums'), check_sink('agg_avgs'), check_sink('agg_total');
DELETE FROM agg_source WHERE id = 5;
SELECT check_sink('agg_sums'), check_sink('agg_avgs'), check_sink('agg_total');
SELECT sn FROM agg_sums;
TRUNCATE agg_source;

-- NaN and infinities come and go.
INSERT INTO agg_source (id, g, n, f4, f8) VALUES (1, 1, 1, 1, 1), (2, 1, 'NaN', 'NaN', 'NaN');
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn, sf4, sf8 FROM agg_sums;
INSERT INTO agg_source (id, g, n, f4, f8) VALUES (3, 1, 'Infinity', 'Infinity', 'Infinity');
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
DELETE FROM agg_source WHERE id = 2;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn, sf4, sf8 FROM agg_sums;
INSERT INTO agg_source (id, g, n, f4, f8) VALUES (4, 1, '-Infinity', '-Infinity', '-Infinity');
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn, sf4, sf8 FROM agg_sums;
DELETE FROM agg_source WHERE id = 3;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn, sf4, sf8 FROM agg_sums;
DELETE FROM agg_source WHERE id = 4;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sn, sf4, sf8 FROM agg_sums;

-- Great and small: what cancels leaves nothing behind.
INSERT INTO agg_source (id, g, f4, f8) VALUES (5, 1, 1e15, 1e150), (6, 1, 1e-30, 1e-300), (7, 1, -0.0, -0.0);
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
DELETE FROM agg_source WHERE id = 5;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
DELETE FROM agg_source WHERE id = 1;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sf8 = 1e-300 AS exact FROM agg_sums;
DELETE FROM agg_source WHERE id = 6;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sf4, sf8 FROM agg_sums;
-- denormals
UPDATE agg_source SET f4 = 1e-45, f8 = 5e-324;
SELECT check_sink('agg_sums'), check_sink('agg_avgs');
SELECT sf4 = 1e-45::float4, sf8 = 5e-324 FROM agg_sums;
TRUNCATE agg_source;

-- Random values added and taken away thousands of times: no drift.
CREATE TABLE drift_source (id int PRIMARY KEY, g int NOT NULL, x float8, y float4);
SELECT freshet.create_sink('drift', $$
	SELECT g, count(*), sum(x) AS s, avg(x) AS a FROM drift_source GROUP BY g$$);
-- PostgreSQL's own sum of real is rounded at every step: verify_sink() allows for that.
SELECT freshet.create_sink('drift4', 'SELECT g, sum(y) AS s, avg(y) AS a FROM drift_source GROUP BY g');
INSERT INTO drift_source
SELECT i, i % 10, (random() - 0.5) * 10 ^ (random() * 30 - 15)::int, random() * 1000
FROM generate_series(1, 2000) i;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');
DO $$
BEGIN
	FOR k IN 1..30 LOOP
		UPDATE drift_source SET x = (random() - 0.5) * 10 ^ (random() * 30 - 15)::int,
			y = (random() - 0.5) * 1000, g = (g + k) % 10
		WHERE id % 7 = k % 7;
		COMMIT;
	END LOOP;
END
$$;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');
-- the sum is the exact one, rounded once
SELECT d.g, d.s = e.s AS s, abs(d.a - e.a) <= abs(e.a) * 1e-13 AS a
FROM drift d JOIN (SELECT g, sum(x::text::numeric)::float8 AS s, avg(x::text::numeric)::float8 AS a
	FROM (SELECT g, x FROM drift_source) q GROUP BY g) e USING (g)
WHERE (abs(d.s - e.s) <= abs(e.s) * 1e-13 AND abs(d.a - e.a) <= abs(e.a) * 1e-13) IS NOT TRUE
ORDER BY g;
DELETE FROM drift_source WHERE id > 20;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');
UPDATE drift_source SET x = 0.1, y = 0.1;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');
SELECT g, count, s, a FROM drift ORDER BY g;
DELETE FROM drift_source WHERE id > 10;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');
SELECT d.g, d.count, d.s, d4.s AS s4 FROM drift d JOIN drift4 d4 USING (g) WHERE d.g = 1;
DELETE FROM drift_source;
SELECT check_sink('drift');
SELECT * FROM freshet.verify_sink('drift4');

-- The same values in another order give the same sum.
CREATE TABLE order_source2 (id int PRIMARY KEY, g int, x float8);
SELECT freshet.create_sink('order_sums', 'SELECT g, sum(x) AS s FROM order_source2 GROUP BY g');
CREATE TEMP TABLE order_values AS
SELECT i, (random() - 0.5) * 10 ^ (i % 20) AS x FROM generate_series(1, 500) i;
INSERT INTO order_source2 SELECT i, 1, x FROM order_values ORDER BY i;
INSERT INTO order_source2 SELECT 1000 + i, 2, x FROM order_values ORDER BY x;
INSERT INTO order_source2 SELECT 2000 + i, 3, x FROM order_values ORDER BY abs(x);
INSERT INTO order_source2 SELECT 3000 + i, 4, x FROM order_values ORDER BY -i;
SELECT check_sink('order_sums');
SELECT count(DISTINCT s) FROM order_sums;

-- Intervals of parts that do not mix
CREATE TABLE iv_source (id int PRIMARY KEY, iv interval);
SELECT freshet.create_sink('iv_total', 'SELECT sum(iv) AS s, avg(iv) AS a, min(iv) AS mi, max(iv) AS ma FROM iv_source');
INSERT INTO iv_source VALUES (1, '1 month'), (2, '-30 days'), (3, '24 hours'), (4, '1 day'),
	(5, '-1 year 2 months -3 days 04:05:06.789');
SELECT check_sink('iv_total', exact => false);
SELECT s, a FROM iv_total;
DELETE FROM iv_source WHERE id IN (1, 4);
SELECT check_sink('iv_total', exact => false);
SELECT s, a FROM iv_total;

DROP VIEW agg_check;
DROP TABLE agg_source, drift_source, order_source2, iv_source CASCADE;
