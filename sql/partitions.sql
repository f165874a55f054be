-- Partitioned sources
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE part_source (id int, k int, t text, x numeric, PRIMARY KEY (id, k)) PARTITION BY RANGE (k);
CREATE TABLE part_1 PARTITION OF part_source FOR VALUES FROM (0) TO (100);
-- other columns in another order, one dropped
CREATE TABLE part_2 (gone int, x numeric, t text, k int NOT NULL, gone2 text, id int NOT NULL);
ALTER TABLE part_2 DROP COLUMN gone, DROP COLUMN gone2;
ALTER TABLE part_source ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
-- partitions of a partition
CREATE TABLE part_3 PARTITION OF part_source FOR VALUES FROM (200) TO (300) PARTITION BY LIST (k);
CREATE TABLE part_3a (t text, id int NOT NULL, x numeric, k int NOT NULL);
ALTER TABLE part_3 ATTACH PARTITION part_3a FOR VALUES IN (200, 201, 202);
CREATE TABLE part_3d PARTITION OF part_3 DEFAULT;
INSERT INTO part_source SELECT i, i * 7 % 300, 't' || i % 5, i / 4.0 FROM generate_series(1, 120) i;
SELECT freshet.explain('SELECT t, count(*), sum(x), min(k), max(x) FROM part_source GROUP BY t');
SET client_min_messages = warning;
SELECT freshet.create_sink('part_rollup', 'SELECT t, count(*), sum(x), min(k), max(x) FROM part_source GROUP BY t');
RESET client_min_messages;
SELECT relname, relreplident FROM pg_class WHERE relname LIKE 'part\__' OR relname LIKE 'part\___' ORDER BY 1;
SELECT freshet.create_sink('part_copy', 'SELECT k, id, upper(t) AS t, x FROM part_source WHERE x > 2');
SELECT freshet.create_sink('part_leaf', 'SELECT t, count(*), sum(x) FROM part_2 GROUP BY t');
SELECT freshet.create_sink('part_branch', 'SELECT k / 50 AS k, count(*) FROM part_3 GROUP BY 1');
CREATE VIEW part_check AS SELECT sink, check_sink(sink) FROM unnest('{part_rollup, part_copy, part_leaf, part_branch}'::regclass[]) sink;
SELECT * FROM part_check;
-- through the root and through leaves
UPDATE part_source SET x = x + 1 WHERE id % 3 = 0;
INSERT INTO part_2 (id, k, t, x) VALUES (500, 150, 't1', 8);
UPDATE part_3a SET x = x * 2;
DELETE FROM part_1 WHERE id % 4 = 0;
SELECT * FROM part_check;
-- rows that move between partitions
UPDATE part_source SET k = (k + 100) % 300 WHERE id % 5 = 0;
SELECT * FROM part_check;
UPDATE part_source SET k = 201, t = 'moved' WHERE id % 7 = 0;
SELECT * FROM part_check;
BEGIN;
UPDATE part_source SET k = 50 WHERE t = 'moved';
UPDATE part_source SET k = 150 WHERE t = 'moved';
UPDATE part_source SET k = 250, t = 'again' WHERE t = 'moved';
COMMIT;
SELECT * FROM part_check;
-- a new partition, empty
CREATE TABLE part_4 PARTITION OF part_source FOR VALUES FROM (300) TO (400);
SELECT * FROM part_check;
INSERT INTO part_source VALUES (600, 350, 't1', 3), (601, 351, 't2', 4);
SELECT * FROM part_check;
UPDATE part_source SET x = 9 WHERE id = 600;
DELETE FROM part_source WHERE id = 601;
SELECT * FROM part_check;
-- ATTACH and DETACH bring and take rows
CREATE TABLE part_5 (LIKE part_source);
INSERT INTO part_5 SELECT i, 400 + i, 'five', i FROM generate_series(1, 10) i;
ALTER TABLE part_source ATTACH PARTITION part_5 FOR VALUES FROM (400) TO (500);
SELECT * FROM part_check;
SELECT t, count, sum FROM part_rollup WHERE t = 'five';
UPDATE part_5 SET x = x + 1;
SELECT * FROM part_check;
-- not freshet's to set back while it is no partition: when it does, nobody can say
ALTER TABLE part_2 REPLICA IDENTITY FULL;
ALTER TABLE part_5 REPLICA IDENTITY FULL;
ALTER TABLE part_source DETACH PARTITION part_2;
SELECT * FROM part_check;
INSERT INTO part_2 (id, k, t, x) VALUES (501, 151, 't1', 8);
SELECT * FROM part_check;
ALTER TABLE part_source ATTACH PARTITION part_2 FOR VALUES FROM (100) TO (200);
SELECT * FROM part_check;
-- both within a transaction, with changes around them
BEGIN;
UPDATE part_source SET x = x + 1 WHERE id % 2 = 0;
ALTER TABLE part_source DETACH PARTITION part_5;
UPDATE part_5 SET x = 1000;
UPDATE part_source SET x = x + 1 WHERE id % 3 = 0;
ALTER TABLE part_source ATTACH PARTITION part_5 FOR VALUES FROM (400) TO (500);
UPDATE part_source SET x = x + 1 WHERE id % 4 = 0;
COMMIT;
SELECT * FROM part_check;
BEGIN;
ALTER TABLE part_source DETACH PARTITION part_5;
UPDATE part_source SET x = x + 1 WHERE id % 3 = 0;
ROLLBACK;
UPDATE part_source SET x = x + 1 WHERE id % 3 = 0;
SELECT * FROM part_check;
ALTER TABLE part_source DETACH PARTITION part_1 CONCURRENTLY;
SELECT * FROM part_check;
DROP TABLE part_1;
DROP TABLE part_5;
SELECT * FROM part_check;
-- TRUNCATE of a leaf, a branch, the root
TRUNCATE part_3a;
SELECT * FROM part_check;
TRUNCATE part_3;
SELECT * FROM part_check;
INSERT INTO part_source VALUES (700, 250, 't1', 3), (701, 150, 't2', 4);
BEGIN;
INSERT INTO part_source VALUES (702, 250, 't1', 3), (703, 150, 't2', 4);
TRUNCATE part_source;
INSERT INTO part_source VALUES (704, 250, 't1', 3), (705, 150, 't2', 4);
COMMIT;
SELECT * FROM part_check;
SELECT k, id, t, x FROM part_copy ORDER BY k, id;
-- DDL on the root
ALTER TABLE part_source ADD COLUMN extra int DEFAULT 3;
INSERT INTO part_source VALUES (710, 250, 't3', 3, 4), (711, 150, 't3', 4, 5);
SELECT * FROM part_check;
ALTER TABLE part_source DROP COLUMN extra;
INSERT INTO part_source VALUES (712, 250, 't3', 3), (713, 150, 't3', 4);
SELECT * FROM part_check;
-- DROP of a partition that is a source itself takes its sink along.
DROP TABLE part_3;
DROP TABLE part_3 CASCADE;
SELECT check_sink('part_rollup'), check_sink('part_copy');
DROP VIEW part_check;
DROP TABLE part_source CASCADE;
-- hash partitions, no rows, no partitions
CREATE TABLE part_hash (id int PRIMARY KEY, v int) PARTITION BY HASH (id);
SELECT freshet.create_sink('part_hash_sum', 'SELECT count(*), sum(v) FROM part_hash');
SELECT check_sink('part_hash_sum');
CREATE TABLE part_hash_0 PARTITION OF part_hash FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_hash_1 PARTITION OF part_hash FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO part_hash SELECT i, i FROM generate_series(1, 100) i;
UPDATE part_hash SET id = id + 1000, v = v + 1 WHERE id % 3 = 0;
SELECT check_sink('part_hash_sum');
DROP TABLE part_hash CASCADE;
