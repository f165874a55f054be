-- Which keys are one: as GROUP BY sees it
\set VERBOSITY terse
SET client_min_messages = warning;

-- Types that can be sorted and not hashed, inside others
CREATE TYPE eq_part AS (a int, flags bit(3));
CREATE TYPE eq_span AS RANGE (subtype = money);
CREATE DOMAIN eq_list AS money[];
CREATE TABLE eq_unhashed (id int PRIMARY KEY, c eq_part, m money[], b bit(3), v varbit, r eq_span, d eq_list, cc eq_part[], n int);
SELECT freshet.create_sink('eq_by_' || k, format('SELECT %s AS k, count(*), sum(n), max(n) FROM eq_unhashed GROUP BY 1', k))
FROM unnest('{c,m,b,v,r,d,cc}'::text[]) k;
SELECT freshet.create_sink('eq_by_all', 'SELECT c, m, b, v, r, d, cc, sum(n) FROM eq_unhashed GROUP BY 1, 2, 3, 4, 5, 6, 7');
INSERT INTO eq_unhashed
SELECT i, (nullif(i % 3, 0), (i % 2)::bit(3))::eq_part, ARRAY[i % 2, i % 3]::money[], (i % 3)::bit(3),
	nullif((i % 4)::bit(4)::varbit, B'0001'), eq_span((i % 2)::money, 3::money), ARRAY[i % 2]::eq_list,
	ARRAY[(i % 2, (i % 3)::bit(3))]::eq_part[], i
FROM generate_series(1, 60) i;
SELECT relid, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'eq\_by\_%' ORDER BY relid::text;
UPDATE eq_unhashed SET c = (3, B'111'), m = m || 4::money, b = ~b, r = NULL, n = n + 1 WHERE id % 4 = 0;
DELETE FROM eq_unhashed WHERE id % 5 = 0 OR m[1] = 1::money;
INSERT INTO eq_unhashed VALUES (100, NULL), (101, (NULL, NULL));
SELECT relid, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'eq\_by\_%' ORDER BY relid::text;
SELECT k, count FROM eq_by_c ORDER BY k, count;
SELECT k, count, sum, max FROM eq_by_r ORDER BY k;

-- NULL and a row of NULLs are two groups, though SQL's IS NULL holds of both
CREATE TYPE eq_pair AS (a int, b int);
CREATE TABLE eq_nulls (id int PRIMARY KEY, k eq_pair, n int);
SELECT freshet.create_sink('eq_pairs', 'SELECT k, count(*), max(n) FROM eq_nulls GROUP BY k');
SELECT freshet.create_wide_view('eq_documents', 'eq_pairs');
INSERT INTO eq_nulls VALUES (1, NULL, 1), (2, ROW(NULL, NULL), 2), (3, NULL, 3), (4, ROW(NULL, NULL), 4), (5, (1, NULL), 5);
SELECT check_sink('eq_pairs'), check_sink('eq_documents');
SELECT k, count, max FROM eq_pairs ORDER BY count, max;
SELECT freshet.pause_sink('eq_documents');
DELETE FROM eq_nulls WHERE id IN (1, 3);
SELECT freshet.wait() IS NOT NULL;
SELECT freshet.resume_sink('eq_documents');
SELECT check_sink('eq_pairs'), check_sink('eq_documents');
SELECT k, doc FROM eq_documents ORDER BY doc::text;
-- the extremes of each go
INSERT INTO eq_nulls VALUES (6, NULL, 6), (7, NULL, 7);
SELECT check_sink('eq_pairs'), check_sink('eq_documents');
DELETE FROM eq_nulls WHERE id IN (4, 7);
SELECT check_sink('eq_pairs'), check_sink('eq_documents');
SELECT k, count, max FROM eq_pairs ORDER BY count, max;
DELETE FROM eq_nulls WHERE id = 2;
SELECT check_sink('eq_pairs'), check_sink('eq_documents');
SELECT k, doc FROM eq_documents ORDER BY doc::text;

DROP TABLE eq_unhashed, eq_nulls CASCADE;
DROP TYPE eq_part, eq_span, eq_pair CASCADE;
SELECT count(*) FROM freshet.sink;
