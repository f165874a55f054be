-- Queries to which single changes cannot be applied: run anew, what differs is written
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE rf_item (id int PRIMARY KEY, grp text, v numeric, f float8, at timestamptz, doc jsonb) WITH (autovacuum_enabled = off);
CREATE TABLE rf_bag (x int, y text);
CREATE TABLE rf_part (k int, x int, PRIMARY KEY (k)) PARTITION BY RANGE (k);
CREATE TABLE rf_part1 PARTITION OF rf_part FOR VALUES FROM (0) TO (100);
CREATE TABLE rf_part2 PARTITION OF rf_part FOR VALUES FROM (100) TO (200);
INSERT INTO rf_item SELECT i, 'g' || i % 6, i / 3.0, i / 7.0, '2022-01-01Z'::timestamptz + i * interval '7 min',
	jsonb_build_object('n', i) FROM generate_series(1, 120) i;
INSERT INTO rf_bag SELECT i % 8, 'y' || i % 3 FROM generate_series(1, 40) i;
INSERT INTO rf_bag VALUES (NULL, NULL), (NULL, NULL), (1, NULL);
INSERT INTO rf_part SELECT i, i % 8 FROM generate_series(0, 199) i;
CREATE VIEW rf_view (g, n, total) AS SELECT grp, count(*), sum(v) FROM rf_item GROUP BY grp;
CREATE VIEW rf_outer AS SELECT g, total FROM rf_view WHERE n > 3;
CREATE VIEW rf_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'rf%' ORDER BY relid;

SELECT freshet.create_sink('rf_rows', 'SELECT x, y FROM rf_bag UNION ALL SELECT k, NULL FROM rf_part WHERE k < 0');
SELECT freshet.create_sink('rf_join', 'SELECT i.id, i.grp, b.y FROM rf_item i LEFT JOIN rf_bag b ON b.x = i.id % 8 AND i.id < 40 WHERE b.x IS NOT NULL');
SELECT freshet.create_sink('rf_left', 'SELECT b.x, b.y, p.k FROM rf_bag b LEFT JOIN rf_part p USING (x)');
SELECT freshet.create_sink('rf_full', 'SELECT coalesce(b.x, p.x) AS x, count(b.y) AS ys, count(p.k) AS ks FROM rf_bag b FULL JOIN (SELECT * FROM rf_part WHERE x > 5) p ON b.x = p.x GROUP BY 1');
SELECT freshet.create_sink('rf_self', 'SELECT a.x, b.y AS other FROM rf_bag a LEFT JOIN rf_bag b ON a.x = b.x + 1 WHERE b.x IS NOT NULL');
SELECT freshet.create_sink('rf_not_in', 'SELECT id FROM rf_item WHERE id NOT IN (SELECT x FROM rf_bag WHERE x IS NOT NULL)');
SELECT freshet.create_sink('rf_exists', 'SELECT id FROM rf_item i WHERE EXISTS (SELECT FROM rf_bag b WHERE b.x = i.id)');
SELECT freshet.create_sink('rf_having', 'SELECT grp, array_agg(id ORDER BY id) AS ids, string_agg(id::text, '','' ORDER BY id) FROM rf_item GROUP BY grp HAVING sum(v) > 100');
SELECT freshet.create_sink('rf_distinct', 'SELECT DISTINCT grp, at::date AS day FROM rf_item');
SELECT freshet.create_sink('rf_distinct_on', 'SELECT DISTINCT ON (grp) grp, id, v FROM rf_item ORDER BY grp, v DESC, id');
SELECT freshet.create_sink('rf_windows', 'SELECT id, grp, row_number() OVER w, sum(v) OVER w AS running FROM rf_item WINDOW w AS (PARTITION BY grp ORDER BY id)');
SELECT freshet.create_sink('rf_top', 'SELECT id, v FROM rf_item ORDER BY v DESC, id LIMIT 7 OFFSET 2');
SELECT freshet.create_sink('rf_except', 'SELECT x FROM rf_part EXCEPT ALL SELECT x FROM rf_bag');
SELECT freshet.create_sink('rf_union', 'SELECT x::numeric AS n FROM rf_bag UNION SELECT v FROM rf_item WHERE id < 10');
SELECT freshet.create_sink('rf_sets', 'SELECT grp, at::date AS day, grouping(grp, at::date) AS level, count(*), count(DISTINCT v) AS vs FROM rf_item GROUP BY ROLLUP (grp, at::date)');
SELECT freshet.create_sink('rf_above', 'SELECT id, v FROM rf_item WHERE v > (SELECT avg(v) FROM rf_item)');
SELECT freshet.create_sink('rf_recursive', 'WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < (SELECT count(*) FROM rf_bag)) SELECT n FROM r');
SELECT freshet.create_sink('rf_srf', 'SELECT id, generate_series(1, id % 4) AS n FROM rf_item');
SELECT freshet.create_sink('rf_lateral', 'SELECT g.grp, l.id FROM (SELECT DISTINCT grp FROM rf_item) g, LATERAL (SELECT id FROM rf_item i WHERE i.grp = g.grp ORDER BY id DESC LIMIT 2) l');
SELECT freshet.create_sink('rf_views', 'SELECT o.g, o.total, v.n FROM rf_outer o JOIN rf_view v USING (g)');
SELECT freshet.create_sink('rf_values', 'SELECT c.name, count(i.id) FROM (VALUES (''a'', 1), (''b'', 2)) c (name, x) LEFT JOIN rf_item i ON i.id % 3 = c.x GROUP BY 1');
SELECT freshet.create_sink('rf_floats', 'SELECT grp, stddev(f), corr(f, v::float8), percentile_cont(0.5) WITHIN GROUP (ORDER BY f) FROM rf_item GROUP BY grp');
SELECT freshet.create_sink('rf_total', 'SELECT count(*), max(x) FROM rf_rows r WHERE r.y IS NOT NULL HAVING count(*) > 0');
SELECT freshet.create_sink('rf_constant', 'SELECT n, n * n AS square FROM generate_series(1, 4) n');
SELECT freshet.create_sink('rf_listed', 'VALUES (1, ''one''), (2, NULL)');
SELECT freshet.create_sink('rf_read', 'SELECT i.id, r.n, r.t FROM rf_item i, jsonb_to_recordset(jsonb_build_array(i.doc)) AS r (n numeric(9, 1), t text)');
SELECT freshet.create_sink('rf_printed', 'SELECT q.grp, jsonb_agg(q ORDER BY q.id) AS rows, min(row_to_json(q)::text) FROM (SELECT id, grp, v, at FROM rf_item) q GROUP BY q.grp');
SELECT freshet.create_sink('rf_ordered', 'SELECT id, v FROM rf_item ORDER BY v');
-- sinks over it, of this strategy and of others
SELECT freshet.create_sink('rf_over', 'SELECT y, count(*), sum(x) FROM rf_rows GROUP BY y');
SELECT freshet.create_sink('rf_over2', 'SELECT r.y, o.count FROM rf_rows r LEFT JOIN rf_over o ON r.y IS NOT DISTINCT FROM o.y');
SELECT * FROM rf_check;
SELECT sink, kind, strategy FROM freshet.status WHERE sink::text IN ('rf_rows', 'rf_ordered', 'rf_constant') ORDER BY 1;
SELECT * FROM rf_total;
SELECT * FROM rf_constant ORDER BY 1;
SELECT * FROM rf_listed ORDER BY 1;

-- which of equal values it shows depends on its plan: that is no difference
CREATE TABLE rf_look (id int PRIMARY KEY, n numeric);
INSERT INTO rf_look VALUES (2, 1.00), (1, 1.0);
CREATE INDEX ON rf_look (n, id);
SELECT freshet.create_sink('rf_looks', 'SELECT DISTINCT n FROM rf_look');
SELECT freshet.wait() IS NOT NULL AS waited;
SET enable_seqscan = off;
SET enable_hashagg = off;
SET enable_sort = off;
SELECT DISTINCT n FROM rf_look;
RESET enable_seqscan;
TABLE rf_looks;
SET enable_seqscan = off;
SELECT * FROM freshet.verify_sink('rf_looks');
RESET enable_seqscan;
RESET enable_hashagg;
RESET enable_sort;
DROP TABLE rf_look CASCADE;

INSERT INTO rf_bag VALUES (1, 'y1'), (1, 'y1'), (NULL, 'new'), (300, NULL);
UPDATE rf_item SET v = v * 3, grp = 'g1' WHERE id % 9 = 0;
SELECT * FROM rf_check;
-- without a replica identity: all that is needed is that a row changed
DELETE FROM rf_bag WHERE x = 2;
UPDATE rf_bag SET y = 'z' WHERE x = 3;
SELECT relreplident FROM pg_class WHERE relname = 'rf_bag';
SELECT * FROM rf_check;
-- both sides at once, rows that come and go, an emptied group
BEGIN;
DELETE FROM rf_item WHERE id % 8 = 1;
DELETE FROM rf_bag WHERE x = 1;
INSERT INTO rf_item VALUES (1000, 'gone', 0, 0, '2023-01-01Z', NULL);
UPDATE rf_item SET v = 1 WHERE id = 1000;
DELETE FROM rf_item WHERE id = 1000;
UPDATE rf_part SET x = 7 - x;
DELETE FROM rf_item WHERE grp = 'g5';
COMMIT;
SELECT * FROM rf_check;
-- partitions
CREATE TABLE rf_part3 (k int NOT NULL PRIMARY KEY, x int);
INSERT INTO rf_part3 VALUES (200, 1), (201, 6);
ALTER TABLE rf_part ATTACH PARTITION rf_part3 FOR VALUES FROM (200) TO (300);
SELECT check_sink('rf_left'), check_sink('rf_full'), check_sink('rf_except');
ALTER TABLE rf_part DETACH PARTITION rf_part1;
SELECT check_sink('rf_left'), check_sink('rf_full'), check_sink('rf_except');
TRUNCATE rf_part2;
SELECT check_sink('rf_left'), check_sink('rf_full'), check_sink('rf_except');
-- what the query uses is replaced
CREATE OR REPLACE VIEW rf_view (g, n, total) AS SELECT grp, count(*) * 2, sum(v) + 1 FROM rf_item GROUP BY grp;
SELECT check_sink('rf_views');
CREATE FUNCTION rf_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
SELECT freshet.create_sink('rf_function', 'SELECT DISTINCT rf_f(x) AS x FROM rf_bag ORDER BY x LIMIT 1000');
SELECT check_sink('rf_function');
CREATE OR REPLACE FUNCTION rf_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 2; END';
SELECT check_sink('rf_function');
DROP VIEW rf_outer;
-- the owner's columns have their defaults in new rows
ALTER TABLE rf_distinct ADD COLUMN note text DEFAULT 'n';
INSERT INTO rf_item VALUES (2000, 'late', 1, 1, '2024-01-01Z', '{}');
SELECT check_sink('rf_distinct');
SELECT * FROM rf_distinct WHERE grp = 'late';
SELECT freshet.rebuild_sink('rf_top');
SELECT freshet.pause_sink('rf_join');
SELECT freshet.wait() IS NOT NULL AS waited;
DELETE FROM rf_item WHERE id < 20;
SELECT freshet.resume_sink('rf_join');
TRUNCATE rf_bag, rf_item;
SELECT * FROM rf_check;

-- types without an equality, equal values that look different, values out of line
CREATE TABLE rf_types (id int PRIMARY KEY, j json, p point, n numeric, b text);
INSERT INTO rf_types VALUES (1, '{"a": 1}', '(1,2)', 1.0, repeat('a', 10)), (2, NULL, NULL, 1.00, NULL),
	(3, '[1,2]', '(0,0)', 1.0, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 500) i));
SELECT freshet.create_sink('rf_looks', 'SELECT j, p, n, b FROM rf_types');
SELECT check_sink('rf_looks');
UPDATE rf_types SET n = 1.00 WHERE id = 1;
UPDATE rf_types SET j = '{"a":1}' WHERE id = 1;
SELECT check_sink('rf_looks');
SELECT j, p, n, length(b) FROM rf_looks ORDER BY p::text;
UPDATE rf_types SET b = b || 'x' WHERE id = 3;
SELECT check_sink('rf_looks');
SELECT max(length(b)) FROM rf_looks;
-- how a value looks is verified, and a rebuild puts it right
CALL spoil_sink('rf_looks', $$UPDATE rf_looks SET n = 1.000 WHERE p IS NULL$$);
SELECT * FROM freshet.verify_sink('rf_looks');
SELECT freshet.rebuild_sink('rf_looks');
SELECT check_sink('rf_looks');
SELECT n FROM rf_looks WHERE p IS NULL;

-- rights: those of the definer and of the owners of views; no policy
CREATE ROLE rf_user;
GRANT CREATE ON SCHEMA public TO rf_user;
CREATE TABLE rf_secret (id int PRIMARY KEY, s text);
INSERT INTO rf_secret VALUES (1, 'a'), (2, 'b');
CREATE VIEW rf_shown AS SELECT id FROM rf_secret;
CREATE VIEW rf_barrier WITH (security_barrier) AS SELECT id, s FROM rf_secret WHERE id > 1;
CREATE VIEW rf_invoker WITH (security_invoker) AS SELECT id FROM rf_secret;
GRANT SELECT ON rf_shown, rf_barrier, rf_invoker TO rf_user;
SET ROLE rf_user;
SELECT freshet.create_sink('rf_u1', 'SELECT id FROM rf_shown');
SELECT freshet.create_sink('rf_u2', 'SELECT id, s FROM rf_barrier');
SELECT freshet.create_sink('rf_u3', 'SELECT id FROM rf_invoker');
SELECT freshet.create_sink('rf_u4', 'SELECT count(*) FROM rf_secret HAVING true');
RESET ROLE;
SELECT check_sink('rf_u1'), check_sink('rf_u2');
INSERT INTO rf_secret VALUES (3, 'c');
SELECT check_sink('rf_u1'), check_sink('rf_u2');
REVOKE SELECT ON rf_barrier FROM rf_user;
INSERT INTO rf_secret VALUES (4, 'd');
SELECT check_sink('rf_u1'), check_sink('rf_u2');
CREATE TABLE rf_policy (id int PRIMARY KEY);
ALTER TABLE rf_policy ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON rf_policy TO rf_user;
SET ROLE rf_user;
SELECT freshet.create_sink('rf_u5', 'SELECT DISTINCT id FROM rf_policy');
RESET ROLE;
DROP OWNED BY rf_user CASCADE;
DROP ROLE rf_user;

-- notices, what cannot be, what costs too much
RESET client_min_messages;
\set VERBOSITY default
SELECT freshet.create_sink('rf_n1', 'SELECT id FROM rf_item ORDER BY v');
SELECT freshet.create_sink('rf_n2', 'SELECT DISTINCT grp FROM rf_item ORDER BY grp LIMIT 1000');
SELECT freshet.explain('SELECT i.grp, b.y FROM rf_item i LEFT JOIN rf_bag b ON b.x < i.id');
SELECT freshet.create_sink('rf_n3', 'SELECT grp, random() FROM rf_item GROUP BY grp');
SELECT freshet.create_sink('rf_n3', 'SELECT DISTINCT grp, now() FROM rf_item');
SELECT freshet.create_sink('rf_n3', 'SELECT DISTINCT ctid::text AS c FROM rf_item');
SELECT freshet.create_sink('rf_n3', 'WITH d AS (DELETE FROM rf_item RETURNING id) SELECT id FROM d');
SELECT freshet.create_sink('rf_n3', 'SELECT id FROM (SELECT id FROM rf_item FOR UPDATE) x');
SELECT freshet.create_sink('rf_n3', 'SELECT DISTINCT relname FROM pg_class');
SELECT freshet.create_sink('rf_n3', 'SELECT DISTINCT grp FROM rf_item ORDER BY grp LIMIT 1000', '1 minute');
SET freshet.refresh_cost_limit = 1;
SELECT freshet.create_sink('rf_n3', 'SELECT DISTINCT grp FROM rf_item ORDER BY grp LIMIT 1000');
RESET freshet.refresh_cost_limit;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP VIEW rf_check;
DROP TABLE rf_item, rf_bag, rf_part, rf_part1, rf_types, rf_secret, rf_policy, rf_constant, rf_listed CASCADE;
