-- Queries that are recomputed by key: outer joins, EXISTS and IN, groups with any aggregate
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE kq_a (id int PRIMARY KEY, k numeric, x int);
CREATE TABLE kq_b (id int PRIMARY KEY, k numeric, y int NOT NULL);
CREATE TABLE kq_c (k numeric, z text);
CREATE TABLE kq_p (id int, k int, x int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
CREATE TABLE kq_p1 PARTITION OF kq_p FOR VALUES IN (0, 1);
CREATE TABLE kq_p2 PARTITION OF kq_p DEFAULT;
INSERT INTO kq_a SELECT i, nullif(i % 7, 0), i % 5 FROM generate_series(1, 24) i;
INSERT INTO kq_b SELECT i, nullif(i % 8, 0) + 0.0, i % 4 FROM generate_series(1, 20) i;
INSERT INTO kq_c SELECT i % 9, 'z' || i % 3 FROM generate_series(1, 20) i;
INSERT INTO kq_p SELECT i, i % 4, i % 6 FROM generate_series(1, 20) i;

CREATE TABLE kq_query (name text, query text);
INSERT INTO kq_query VALUES
	('left', 'SELECT a.id, a.x, b.id AS b, b.y FROM kq_a a LEFT JOIN kq_b b ON b.k = a.k'),
	('right', 'SELECT b.id, a.x, c.z FROM kq_a a JOIN kq_c c ON c.k = a.k RIGHT JOIN kq_b b ON b.k = a.k AND b.y > 1'),
	('full', 'SELECT a.id, b.id AS b, a.k AS ak, b.k AS bk FROM kq_a a FULL JOIN kq_b b ON a.k = b.k'),
	('merged', 'SELECT k, a.x, b.y FROM kq_a a FULL JOIN kq_b b USING (k)'),
	('nested', 'SELECT a.id, b.id AS b, c.z FROM kq_a a LEFT JOIN (kq_b b JOIN kq_c c ON c.k = b.k) ON b.y = a.x AND a.id < 15'),
	('chain', 'SELECT a.id, b.y, c.z FROM kq_a a LEFT JOIN kq_b b ON b.id = a.x LEFT JOIN kq_c c ON c.k = b.k'),
	('three', 'SELECT c.k, c.z, a.id, b.id AS b FROM kq_c c LEFT JOIN (kq_a a LEFT JOIN kq_b b ON a.x = b.y) ON a.k = c.k'),
	('anti', 'SELECT a.id FROM kq_a a LEFT JOIN kq_b b ON b.k = a.k WHERE b.id IS NULL'),
	('exists', 'SELECT id, k FROM kq_a a WHERE EXISTS (SELECT FROM kq_b b WHERE b.k = a.k AND b.y = 2)'),
	('no_exists', 'SELECT id, k FROM kq_a a WHERE NOT EXISTS (SELECT FROM kq_b b JOIN kq_c c ON c.k = b.k WHERE b.id = a.x)'),
	('in', 'SELECT id, x FROM kq_a WHERE k IN (SELECT k FROM kq_c WHERE z <> ''z1'')'),
	('not_in', 'SELECT id, k FROM kq_b WHERE y NOT IN (SELECT id FROM kq_a WHERE x > 2)'),
	('not_in_null', 'SELECT id, x FROM kq_a WHERE k NOT IN (SELECT k FROM kq_b WHERE y = 3)'),
	('scalar', 'SELECT id, (SELECT count(*) FROM kq_b b WHERE b.k = a.k) AS n, (SELECT max(z) FROM kq_c c WHERE c.k = a.x) AS z FROM kq_a a'),
	('lateral', 'SELECT a.id, t.id AS b, t.y FROM kq_a a, LATERAL (SELECT * FROM kq_b b WHERE b.k = a.k ORDER BY y DESC, id LIMIT 1) t'),
	('arrays', 'SELECT k, array_agg(id ORDER BY id), string_agg(x::text, '','' ORDER BY id) FROM kq_a GROUP BY k'),
	('left_groups', 'SELECT b.y, count(*), array_agg(a.id ORDER BY a.id) FROM kq_a a LEFT JOIN kq_b b ON b.id = a.x GROUP BY b.y'),
	('having', 'SELECT k, count(DISTINCT x) FROM kq_a GROUP BY k HAVING count(*) > 3'),
	('distinct', 'SELECT DISTINCT a.x, c.z FROM kq_a a JOIN kq_c c USING (k)'),
	('distinct_on', 'SELECT DISTINCT ON (k) k, id, y FROM kq_b ORDER BY k, y DESC, id'),
	('windows', 'SELECT k, id, row_number() OVER (PARTITION BY k ORDER BY id), sum(x) OVER (PARTITION BY k, x) FROM kq_a'),
	('top', 'SELECT * FROM (SELECT k, id, rank() OVER (PARTITION BY k ORDER BY x DESC) AS r FROM kq_a) t WHERE r <= 2'),
	('grouped_sub', 'SELECT a.id, g.n FROM kq_a a LEFT JOIN (SELECT k, count(*) AS n FROM kq_b GROUP BY k) g ON g.k = a.k'),
	('with', 'WITH g AS (SELECT y, array_agg(id ORDER BY id) AS ids FROM kq_b GROUP BY y) SELECT a.id, g.ids FROM kq_a a JOIN g ON g.y = a.x'),
	('parts', 'SELECT p.id, p.k, q.id AS q FROM kq_p p LEFT JOIN kq_p q ON q.k = p.x AND q.id = p.id'),
	('guarded', 'SELECT 12 / x AS twelfth, array_agg(id ORDER BY id) FROM kq_a WHERE x <> 0 GROUP BY 12 / x'),
	('bag', 'SELECT c.z, b.y FROM kq_c c LEFT JOIN kq_b b ON b.k = c.k'),
	('own', 'SELECT b.id, s.x FROM kq_b b LEFT JOIN kq_left s ON s.b = b.id AND s.id < 10'),
	('over', 'SELECT y, count(*), sum(x) FROM kq_left GROUP BY y');
SET client_min_messages = warning;
SELECT freshet.create_sink('kq_' || name, query) FROM kq_query WHERE name NOT IN ('own', 'over');
SELECT freshet.create_sink('kq_' || name, query) FROM kq_query WHERE name IN ('own', 'over');
RESET client_min_messages;
SELECT freshet.wait('kq_own'), freshet.wait('kq_over') \g /dev/null
SELECT sink, strategy, kind FROM freshet.status WHERE sink::text LIKE 'kq\_%' AND strategy <> 'keyed' ORDER BY sink::text;
-- which of two values that are equal groups show is the query's choice
CREATE FUNCTION kq_compare(OUT wrong text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	s record;
	as_text boolean;
	n bigint;
BEGIN
	PERFORM freshet.wait('60 s');
	FOR s IN SELECT st.sink, st.state, k.definition FROM freshet.status st JOIN freshet.sink k ON k.relid = st.sink
		WHERE st.sink::text LIKE 'kq\_%' ORDER BY 1
	LOOP
		as_text := s.sink::text NOT IN ('kq_arrays', 'kq_having');
		EXECUTE format('SELECT count(*) FROM ((SELECT %1$s FROM %2$s r EXCEPT ALL SELECT %1$s FROM %3$s r)
			UNION ALL (SELECT %1$s FROM %3$s r EXCEPT ALL SELECT %1$s FROM %2$s r)) x',
			CASE WHEN as_text THEN 'r::text' ELSE '*' END, s.definition, s.sink) INTO n;
		IF n > 0 OR s.state <> 'live' THEN
			wrong := format('%s: %s, %s rows differ', s.sink, s.state, n);
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;
CREATE VIEW kq_wrong AS SELECT kq_compare AS wrong FROM kq_compare();
CREATE VIEW kq_verified AS SELECT count(*), sum(missing + unexpected) AS wrong FROM freshet.sink, freshet.verify_sink(relid)
	WHERE relid::text LIKE 'kq\_%';
SELECT * FROM kq_verified;
SELECT * FROM kq_wrong;
-- both sides of a pair: changed, deleted, moved, swapped
BEGIN;
UPDATE kq_a SET k = 5, x = 9 WHERE id = 3;
UPDATE kq_b SET k = 5.00, y = 2 WHERE id = 3;
COMMIT;
SELECT * FROM kq_wrong;
BEGIN;
DELETE FROM kq_a WHERE k = 2;
DELETE FROM kq_b WHERE k = 2;
DELETE FROM kq_c WHERE k = 2;
COMMIT;
SELECT * FROM kq_wrong;
BEGIN;
UPDATE kq_a SET k = 7 - k;
UPDATE kq_b SET k = 7 - k;
COMMIT;
SELECT * FROM kq_wrong;
BEGIN;
UPDATE kq_a SET id = -id;
UPDATE kq_b SET id = 100 - id;
COMMIT;
SELECT * FROM kq_wrong;
BEGIN;
UPDATE kq_a SET id = -id;
UPDATE kq_b SET id = 100 - id;
COMMIT;
SELECT * FROM kq_wrong;
-- a row extended by NULLs that comes and goes within the batch; a column set to NULL and back
BEGIN;
UPDATE kq_b SET k = NULL;
UPDATE kq_b SET k = id % 8;
COMMIT;
SELECT * FROM kq_wrong;
UPDATE kq_a SET k = NULL WHERE id % 3 = 0;
SELECT * FROM kq_wrong;
UPDATE kq_a SET k = id % 7 WHERE k IS NULL;
SELECT * FROM kq_wrong;
-- EXISTS whose right side changes while its left row goes; a NULL in what NOT IN reads
BEGIN;
DELETE FROM kq_b WHERE y = 2;
DELETE FROM kq_a WHERE id IN (5, 6);
INSERT INTO kq_b VALUES (50, 6, 2);
COMMIT;
SELECT * FROM kq_wrong;
INSERT INTO kq_b VALUES (51, NULL, 3), (52, NULL, 2);
SELECT * FROM kq_wrong;
DELETE FROM kq_b WHERE k IS NULL;
SELECT * FROM kq_wrong;
-- groups that empty and refill; keys that are equal and look different
DELETE FROM kq_a WHERE k = 4;
SELECT * FROM kq_wrong;
INSERT INTO kq_a VALUES (60, 4.0, 0), (61, 4.00, 1);
SELECT * FROM kq_wrong;
UPDATE kq_a SET k = k * 1.000;
SELECT * FROM kq_wrong;
-- each side emptied and refilled
TRUNCATE kq_c;
SELECT * FROM kq_wrong;
INSERT INTO kq_c SELECT i % 5, 'z' || i % 3 FROM generate_series(1, 9) i;
BEGIN;
CREATE TEMP TABLE kept AS TABLE kq_b;
TRUNCATE kq_b;
INSERT INTO kq_b SELECT * FROM kept WHERE id % 2 = 0;
COMMIT;
SELECT * FROM kq_wrong;
SELECT * FROM kq_verified;
-- partitions
UPDATE kq_p SET k = (k + 1) % 5, x = id % 4;
SELECT * FROM kq_wrong;
-- not freshet's to set back while it is no partition: when it does, nobody can say
ALTER TABLE kq_p1 REPLICA IDENTITY FULL;
ALTER TABLE kq_p DETACH PARTITION kq_p1;
SELECT * FROM kq_wrong;
ALTER TABLE kq_p ATTACH PARTITION kq_p1 FOR VALUES IN (0, 1);
SELECT * FROM kq_wrong;
-- DDL on each side
ALTER TABLE kq_a ADD COLUMN extra int DEFAULT 3;
ALTER TABLE kq_b ADD COLUMN more text;
ALTER TABLE kq_b RENAME COLUMN k TO key;
UPDATE kq_b SET key = key + 1;
ALTER TABLE kq_b RENAME COLUMN key TO k;
UPDATE kq_a SET x = x + 1, extra = 4 WHERE id < 9;
SELECT * FROM kq_wrong;
-- more keys than fit the memory at a time
ALTER SYSTEM SET freshet.work_mem = '64kB';
SELECT pg_reload_conf();
INSERT INTO kq_a SELECT i, i % 900, i % 5 FROM generate_series(1000, 2200) i;
INSERT INTO kq_b SELECT i, i % 900, i % 4 FROM generate_series(1000, 1300) i;
SELECT * FROM kq_wrong;
UPDATE kq_a SET k = k + 1 WHERE id >= 1000;
SELECT * FROM kq_wrong;
DELETE FROM kq_a WHERE id >= 1000;
DELETE FROM kq_b WHERE id >= 1000;
SELECT * FROM kq_wrong;
ALTER SYSTEM RESET freshet.work_mem;
SELECT pg_reload_conf();
-- anything
CREATE PROCEDURE kq_change(n int) LANGUAGE plpgsql AS $$
DECLARE
	t text;
	i int;
BEGIN
	FOR j IN 1 .. n LOOP
		t := (ARRAY['kq_a', 'kq_b', 'kq_c'])[1 + random() * 2.98 - 0.49];
		i := random() * 24;
		CASE (random() * 5)::int
			WHEN 0, 1 THEN
				IF t = 'kq_a' THEN INSERT INTO kq_a VALUES (i, nullif((random() * 7)::int, 0), random() * 5) ON CONFLICT (id) DO UPDATE SET k = NULL;
				ELSIF t = 'kq_b' THEN INSERT INTO kq_b VALUES (i, nullif((random() * 8)::int, 0), random() * 4) ON CONFLICT (id) DO UPDATE SET y = 2;
				ELSE INSERT INTO kq_c VALUES (nullif((random() * 8)::int, 0), 'z' || (random() * 3)::int); END IF;
			WHEN 2 THEN EXECUTE format('DELETE FROM %I WHERE k = $1', t) USING i % 9;
			WHEN 3 THEN EXECUTE format('UPDATE %I SET k = $1 WHERE k = $2', t) USING nullif((random() * 7)::int, 0), i % 9;
			WHEN 4 THEN UPDATE kq_a SET x = i % 6 WHERE id BETWEEN i AND i + 2;
			ELSE UPDATE kq_b SET y = i % 4, k = k WHERE id BETWEEN i AND i + 2;
		END CASE;
	END LOOP;
END $$;
SELECT setseed(0.3);
DO $$
DECLARE
	wrong text;
BEGIN
	FOR i IN 1 .. 6 LOOP
		CALL kq_change(1 + i);
		COMMIT;
		SELECT string_agg(w.wrong, '; ') INTO wrong FROM kq_wrong w;
		COMMIT;
		IF wrong IS NOT NULL THEN
			RAISE EXCEPTION 'round %: %', i, wrong;
		END IF;
	END LOOP;
END $$;
SELECT * FROM kq_verified;
-- a row that changes stays the row that it was: what the owner added keeps its value
ALTER TABLE kq_scalar ADD COLUMN made timestamptz DEFAULT clock_timestamp();
CREATE TEMP TABLE made AS SELECT id, made FROM kq_scalar;
INSERT INTO kq_b SELECT 200 + id, k, 1 FROM kq_a WHERE k IS NOT NULL;
SELECT freshet.wait() \g /dev/null
SELECT count(*) > 0 AS changed, count(*) FILTER (WHERE s.made <> m.made) AS lost FROM kq_scalar s JOIN made m USING (id) WHERE s.n > 0;
ALTER TABLE kq_scalar DROP COLUMN made;
DELETE FROM kq_b WHERE id > 200;
SELECT * FROM kq_wrong;
-- how it is said
SELECT freshet.explain('SELECT a.id, b.id AS b, c.z FROM kq_a a LEFT JOIN (kq_b b JOIN kq_c c ON c.k = b.k) ON b.y = a.x');
SELECT freshet.explain('SELECT a.id, b.id AS b FROM kq_a a LEFT JOIN kq_b b ON b.y < a.x');
SELECT freshet.explain('SELECT count(DISTINCT x) FROM kq_a');
SELECT freshet.explain('SELECT id, (SELECT max(y) FROM kq_b) AS y FROM kq_a');
SELECT freshet.create_sink('kq_advised', 'SELECT c.z, a.id FROM kq_c c LEFT JOIN kq_a a ON a.k = c.k', create_indexes => true);
-- keys of any length
CREATE TABLE kq_long (name text, v int);
INSERT INTO kq_long SELECT repeat(md5(i::text), 400), i FROM generate_series(1, 5) i;
SELECT freshet.create_sink('kq_long_keys', 'SELECT name, array_agg(v ORDER BY v) FROM kq_long GROUP BY name');
SELECT check_sink('kq_long_keys');
INSERT INTO kq_long SELECT name, v + 10 FROM kq_long;
DELETE FROM kq_long WHERE v = 3;
SELECT check_sink('kq_long_keys');
-- a function that is replaced
CREATE FUNCTION kq_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
SELECT freshet.create_sink('kq_function', $$SELECT x, kq_f(x) AS f, string_agg(id::text, ',' ORDER BY id) AS ids FROM kq_a GROUP BY x$$);
SELECT check_sink('kq_function');
CREATE OR REPLACE FUNCTION kq_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 2; END';
SELECT freshet.wait('kq_function') \g /dev/null
SELECT check_sink('kq_function');
-- a table that loses its key
ALTER TABLE kq_b DROP CONSTRAINT kq_b_pkey;
INSERT INTO kq_b VALUES (1, 1, 1), (1, 2, 3);
SELECT * FROM kq_wrong;
-- rights: those of the query, not on what a view hides
CREATE ROLE kq_reader;
GRANT CREATE ON SCHEMA public TO kq_reader;
GRANT USAGE ON SCHEMA freshet TO kq_reader;
CREATE VIEW kq_view AS SELECT id, x FROM kq_a WHERE k > 2;
GRANT SELECT ON kq_view, kq_c TO kq_reader;
SET ROLE kq_reader;
SELECT freshet.create_sink('kq_hidden', 'SELECT a.id, b.y FROM kq_a a LEFT JOIN kq_b b ON b.id = a.id');
SELECT freshet.create_sink('kq_seen', 'SELECT v.id, c.z FROM kq_view v LEFT JOIN kq_c c ON c.k = v.x');
RESET ROLE;
UPDATE kq_a SET k = k + 1;
UPDATE kq_c SET z = 'y' WHERE k = 2;
SELECT check_sink('kq_seen');
REVOKE SELECT ON kq_c FROM kq_reader;
INSERT INTO kq_c VALUES (1, 'secret');
SELECT freshet.wait() \g /dev/null
SELECT state, error FROM freshet.status WHERE sink = 'kq_seen'::regclass;
SELECT count(freshet.drop_sink(relid)) FROM freshet.sink WHERE relid::text IN ('kq_own', 'kq_over');
SELECT count(freshet.drop_sink(relid)) FROM freshet.sink WHERE relid::text LIKE 'kq\_%';
DROP VIEW kq_wrong, kq_verified, kq_view;
DROP TABLE kq_a, kq_b, kq_c, kq_p, kq_query, kq_long, kept, made;
DROP FUNCTION kq_f(int), kq_compare();
DROP PROCEDURE kq_change(int);
DROP OWNED BY kq_reader;
DROP ROLE kq_reader;
