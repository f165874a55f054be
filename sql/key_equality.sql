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

-- Equal values that look different: what is shown, and computed from, is of a row that is there
CREATE COLLATION eq_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TYPE eq_mix AS (a int, x numeric);
CREATE TYPE eq_numbers AS RANGE (subtype = numeric);
CREATE TABLE eq_looks (id int PRIMARY KEY, n numeric, t text COLLATE eq_nocase, j jsonb, f float8, i interval, b bpchar, a numeric[],
	m eq_mix, r eq_numbers, v int);
ALTER TABLE eq_looks REPLICA IDENTITY FULL;
-- kept equal as text: what of a group is shown is one of its rows'
CREATE FUNCTION eq_look(sink regclass, key text, OUT ok boolean, OUT looks text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.wait('60 s');
	EXECUTE format('SELECT NOT EXISTS (SELECT FROM %s s WHERE NOT EXISTS (SELECT FROM eq_looks l
			WHERE format(''%%L'', l.%2$I) = format(''%%L'', s.%2$I))) AND bool_and(look = format(''%%s'', %2$I)),
		string_agg(concat_ws(''*'', look, c), '' '' ORDER BY look COLLATE "C") FROM %1$s', sink, key) INTO ok, looks;
	ok := ok AND (SELECT missing + unexpected = 0 FROM freshet.verify_sink(sink));
END
$$;
SELECT freshet.create_sink('eq_look_' || k, format('SELECT %1$I, format(''%%s'', %1$I) AS look, count(*) AS c, sum(v), max(id) FROM eq_looks GROUP BY %1$I', k))
FROM unnest('{n,t,j,f,i,b,a,m,r}'::text[]) k;
SELECT freshet.create_sink('eq_look_two', 'SELECT n, t, n::text || t AS look, count(*) AS n2 FROM eq_looks GROUP BY n, t');
SELECT freshet.create_sink('eq_look_hidden', 'SELECT scale(n) AS places, sum(v) FROM eq_looks GROUP BY n');
SELECT freshet.create_sink('eq_look_above', 'SELECT look, count(*) FROM eq_look_n GROUP BY look');
CREATE VIEW eq_shown AS SELECT k, (eq_look(('eq_look_' || k)::regclass, k)).* FROM unnest('{n,t,j,f,i,b,a,m,r}'::text[]) k;
INSERT INTO eq_looks VALUES
	(1, 1.0, 'bob', '{"p": 1.0}', '-0', '1 month', 'x', '{1.0}', (1, 2.0), '[1.0,2)', 1),
	(2, 1.00, 'Bob', '{"p": 1.00}', 0, '30 days', 'x ', '{1.00}', (1, 2.00), '[1.00,2)', 2),
	(3, 1.000, 'BOB', '{"p": 1}', '-0', '720 hours', 'x  ', '{1.000}', (1, 2.000), '[1,2.0)', 4),
	(4, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 8);
SELECT * FROM eq_shown;
SELECT n, t, look, n2 FROM eq_look_two ORDER BY n;
-- the row goes that was shown
DELETE FROM eq_looks WHERE id = 1;
SELECT * FROM eq_shown;
-- the one that is left is changed, to what is equal
DELETE FROM eq_looks WHERE id = 2;
UPDATE eq_looks SET n = 1, t = 'bOB', j = '{"p": 1.000}', f = 0, i = '1 mon', b = 'x', a = '{1}', m = (1, 2), r = '[1,2)' WHERE id = 3;
SELECT * FROM eq_shown;
SELECT n, t, look, n2 FROM eq_look_two ORDER BY n;
SELECT * FROM eq_look_hidden;
SELECT look, count FROM eq_look_above ORDER BY look;
-- others come, and a row of those shown is changed in another column: nothing need be shown anew, nor after a rebuild
INSERT INTO eq_looks VALUES (5, 1.0, 'bob', '{"p": 1.0}', '-0', '1 month', 'x', '{1.0}', (1, 2.0), '[1.0,2)', 1);
UPDATE eq_looks SET v = v + 1;
SELECT * FROM eq_shown;
UPDATE eq_looks SET id = 0 WHERE id = 5;
VACUUM FULL eq_looks;
CREATE TABLE eq_before AS SELECT * FROM eq_shown;
SELECT freshet.rebuild_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'eq\_look%';
SELECT count(*), bool_and(ok) FROM eq_shown NATURAL JOIN eq_before;
SELECT relid, missing, unexpected FROM freshet.sink, freshet.verify_sink(relid) WHERE relid::text LIKE 'eq\_look%' ORDER BY relid::text;
-- more variants than a group counts
INSERT INTO eq_looks (id, n, v) SELECT 100 + i, ('1.' || repeat('0', i))::numeric, 1 FROM generate_series(1, 90) i;
SELECT * FROM eq_shown WHERE k = 'n';
DELETE FROM eq_looks WHERE id <= 170 AND n = 1;
SELECT * FROM eq_shown WHERE k = 'n';
DELETE FROM eq_looks WHERE id <= 180;
SELECT * FROM eq_shown WHERE k = 'n';
UPDATE eq_looks SET n = 2.0 WHERE id > 185;
SELECT * FROM eq_shown WHERE k = 'n';
-- verify_sink() sees a look that no row has, and what does not go with it
CALL spoil_sink('eq_look_n', 'UPDATE eq_look_n SET n = 2.00 WHERE n = 2');
SELECT * FROM freshet.verify_sink('eq_look_n');
CALL spoil_sink('eq_look_n', $$UPDATE eq_look_n SET n = 2.0, look = '2.00' WHERE n = 2$$);
SELECT * FROM freshet.verify_sink('eq_look_n');
CALL spoil_sink('eq_look_n', $$UPDATE eq_look_n SET look = '2.0' WHERE n = 2$$);
SELECT * FROM freshet.verify_sink('eq_look_n');
DROP TABLE eq_looks, eq_before CASCADE;
DROP FUNCTION eq_look CASCADE;
DROP TYPE eq_mix, eq_numbers;
DROP COLLATION eq_nocase;

DROP TABLE eq_unhashed, eq_nulls CASCADE;
DROP TYPE eq_part, eq_span, eq_pair CASCADE;
SELECT count(*) FROM freshet.sink;
