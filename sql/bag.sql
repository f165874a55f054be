-- Copies of rows without a key
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE bag_source (x int, y text, n numeric, p point, j json, wide text);
INSERT INTO bag_source SELECT i % 5, 'y' || i % 3, (i % 2) * 1.0, point(i % 2, 0), '{"a": 1}' FROM generate_series(1, 60) i;
INSERT INTO bag_source VALUES (NULL, NULL, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL, NULL), (1, 'y1', 1.00, NULL, '{"a":1}', (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 300) i));
SELECT freshet.create_sink('bag_all', 'SELECT * FROM bag_source');
SELECT freshet.create_sink('bag_some', 'SELECT x + 1 AS x1, upper(y) AS y FROM bag_source WHERE x > 1 ORDER BY n');
SELECT freshet.create_sink('bag_one', 'SELECT n FROM bag_source');
SELECT freshet.create_sink('bag_over', 'SELECT y, n FROM bag_all WHERE x IS NOT NULL');
SELECT freshet.create_sink('bag_counts', 'SELECT y, count(*), sum(n) FROM bag_over GROUP BY y');
CREATE VIEW bag_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'bag%' ORDER BY relid;
SELECT * FROM bag_check;
SELECT sink, kind, strategy FROM freshet.status WHERE sink::text LIKE 'bag%' ORDER BY 1;
SELECT * FROM freshet.explain('SELECT y FROM bag_source');
-- copies come and go
INSERT INTO bag_source SELECT * FROM bag_source;
SELECT * FROM bag_check;
DELETE FROM bag_source WHERE ctid IN (SELECT ctid FROM bag_source WHERE x = 1 LIMIT 5);
SELECT * FROM bag_check;
UPDATE bag_source SET x = 6 - x;
SELECT * FROM bag_check;
-- equal values that look different are different rows
UPDATE bag_source SET n = n + 0.00 WHERE x = 2;
SELECT freshet.wait('60 s') IS NOT NULL AS applied;
SELECT n, count(*) FROM bag_one GROUP BY n, n::text ORDER BY n::text COLLATE "C";
SELECT * FROM bag_check;
-- what came and went, rows that swap, a value out of line
BEGIN;
INSERT INTO bag_source VALUES (77, 'new');
UPDATE bag_source SET y = 'newer' WHERE x = 77;
DELETE FROM bag_source WHERE x = 77;
UPDATE bag_source SET x = CASE x WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE x END;
UPDATE bag_source SET wide = wide || 'x' WHERE wide IS NOT NULL;
COMMIT;
SELECT * FROM bag_check;
SELECT count(*), max(length(wide)) FROM bag_all;
-- a trigger sees no row that no snapshot has; deletions come first
CREATE UNIQUE INDEX ON bag_one ((n::text)) WHERE n = 17;
INSERT INTO bag_source VALUES (1, 'u', 17);
SELECT * FROM bag_check WHERE sink::text = 'bag_one';
BEGIN;
INSERT INTO bag_source VALUES (2, 'u', 17);
DELETE FROM bag_source WHERE n = 17 AND x = 1;
COMMIT;
SELECT * FROM bag_check WHERE sink::text = 'bag_one';
-- a key that comes later changes nothing
ALTER TABLE bag_source ADD COLUMN id serial PRIMARY KEY;
INSERT INTO bag_source (x, y) VALUES (1, 'keyed');
SELECT * FROM bag_check;
SELECT freshet.rebuild_sink('bag_all');
SELECT * FROM bag_check;
TRUNCATE bag_source;
INSERT INTO bag_source (x, y) VALUES (1, 'last'), (1, 'last');
SELECT * FROM bag_check;
SELECT x, y, n FROM bag_all;
-- windows without their start
CREATE TABLE bag_event (id int PRIMARY KEY, at timestamptz);
INSERT INTO bag_event SELECT i, '2022-01-01Z'::timestamptz + i * interval '20 min' FROM generate_series(1, 12) i;
SELECT freshet.create_sink('bag_hop', 'SELECT id FROM bag_event, freshet.hop(at, ''1 hour'', ''2 hours'')');
SELECT check_sink('bag_hop');
UPDATE bag_event SET at = at + interval '2 hours', id = id + 100 WHERE id % 3 = 0;
SELECT check_sink('bag_hop');
-- partitions
CREATE TABLE bag_part (k int, v text) PARTITION BY LIST (k);
CREATE TABLE bag_part1 PARTITION OF bag_part FOR VALUES IN (1);
CREATE TABLE bag_part2 PARTITION OF bag_part FOR VALUES IN (2);
ALTER TABLE bag_part1 REPLICA IDENTITY FULL;
INSERT INTO bag_part VALUES (1, 'a'), (1, 'a'), (2, 'b');
SELECT freshet.create_sink('bag_parts', 'SELECT v, k FROM bag_part');
UPDATE bag_part SET k = 3 - k;
DELETE FROM bag_part WHERE v = 'b';
SELECT check_sink('bag_parts');
-- more columns than a function takes
SELECT format('CREATE TABLE bag_wide (%s)', string_agg('c' || i || ' int', ', ')) FROM generate_series(1, 150) i \gexec
INSERT INTO bag_wide (c1, c150) SELECT 1, i % 3 FROM generate_series(1, 9) i;
SELECT freshet.create_sink('bag_wide_sink', 'SELECT * FROM bag_wide');
UPDATE bag_wide SET c150 = 5 WHERE c150 = 1;
SELECT check_sink('bag_wide_sink');
SELECT c150, count(*) FROM bag_wide_sink GROUP BY 1 ORDER BY 1;
-- a function that is not what it was declared: an error, nothing worse
CREATE FUNCTION bag_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 1; END';
CREATE TABLE bag_liar (x int);
INSERT INTO bag_liar VALUES (1), (2);
SELECT freshet.create_sink('bag_lied', 'SELECT bag_f(x) AS f FROM bag_liar');
SELECT check_sink('bag_lied');
CREATE OR REPLACE FUNCTION bag_f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + 5; END';
DELETE FROM bag_liar WHERE x = 1;
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT freshet.rebuild_sink('bag_lied');
SELECT check_sink('bag_lied');
DROP VIEW bag_check;
SET client_min_messages = warning;
DROP TABLE bag_source, bag_event, bag_part, bag_wide, bag_liar CASCADE;
DROP FUNCTION bag_f(int);
