-- Partitions that come and go, with rows changed before, between and after
SET timezone = 'UTC';
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE moves (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
ALTER TABLE moves REPLICA IDENTITY FULL;
CREATE TABLE moves_1 PARTITION OF moves FOR VALUES IN (1);
INSERT INTO moves SELECT i, 1, i FROM generate_series(1, 5) i;
SELECT freshet.create_sink('moves_total', 'SELECT count(*) AS n, sum(v) AS v FROM moves');
SELECT freshet.create_sink('moves_odd', 'SELECT v % 2 AS k, count(*) AS n, sum(v) AS v, min(v) AS low, max(v) AS high FROM moves GROUP BY v % 2');
SELECT freshet.create_sink('moves_copy', 'SELECT id, g, v FROM moves WHERE v > 1');
SELECT freshet.create_sink('moves_over', 'SELECT g, count(*) AS n, max(v) AS v FROM moves_copy GROUP BY g');
CREATE TABLE moves_names (g int PRIMARY KEY, name text);
INSERT INTO moves_names SELECT i, 'name ' || i FROM generate_series(1, 9) i;
SELECT freshet.create_wide_view('moves_wide', 'moves_names', '[
	{"table": "moves", "path": "rows", "type": "array", "relation": [["g", "g"]]}]');
-- two partitions with rows: one made from moves, one with columns in another order
CREATE TABLE moves_2 (LIKE moves INCLUDING ALL);
ALTER TABLE moves_2 REPLICA IDENTITY FULL;
INSERT INTO moves_2 SELECT i, 2, i FROM generate_series(11, 14) i;
CREATE TABLE moves_3 (gone int, v int, g int NOT NULL, id int NOT NULL, PRIMARY KEY (id, g));
ALTER TABLE moves_3 DROP COLUMN gone;
ALTER TABLE moves_3 REPLICA IDENTITY FULL;
INSERT INTO moves_3 (id, g, v) SELECT i, 3, i FROM generate_series(21, 24) i;

-- How each sink stands
CREATE FUNCTION moves_check() RETURNS SETOF text LANGUAGE sql AS $$
SELECT s.sink || ': ' || check_sink(s.sink) FROM freshet.status s WHERE s.sink::text LIKE 'moves\_%' ORDER BY 1
$$;
SELECT moves_check();
SELECT n, v FROM moves_total;

\echo attached and emptied in one transaction
BEGIN;
ALTER TABLE moves ATTACH PARTITION moves_2 FOR VALUES IN (2);
DELETE FROM moves WHERE g = 2;
COMMIT;
SELECT moves_check();
SELECT n, v FROM moves_total;
\echo filled, detached, filled, attached, changed
BEGIN;
INSERT INTO moves SELECT i, 2, i FROM generate_series(11, 14) i;
ALTER TABLE moves DETACH PARTITION moves_2;
INSERT INTO moves_2 VALUES (15, 2, 15);
UPDATE moves_2 SET v = v + 100 WHERE id = 12;
ALTER TABLE moves ATTACH PARTITION moves_2 FOR VALUES IN (2);
UPDATE moves SET v = v + 1000 WHERE id = 12;
DELETE FROM moves WHERE id = 13;
COMMIT;
SELECT moves_check();
SELECT * FROM moves_copy WHERE g = 2 ORDER BY id;
\echo attached, rows moved to another partition, detached
BEGIN;
ALTER TABLE moves ATTACH PARTITION moves_3 FOR VALUES IN (3);
UPDATE moves SET g = 1 WHERE id IN (21, 22);
UPDATE moves SET g = 3 WHERE id = 1;
ALTER TABLE moves DETACH PARTITION moves_3;
COMMIT;
SELECT moves_check();
SELECT * FROM moves_copy ORDER BY id, g;
\echo attached, changed, detached, changed, attached
BEGIN;
UPDATE moves_3 SET v = 500 WHERE id = 23;
ALTER TABLE moves ATTACH PARTITION moves_3 FOR VALUES IN (3);
UPDATE moves SET v = 501 WHERE id = 23;
ALTER TABLE moves DETACH PARTITION moves_3;
UPDATE moves_3 SET v = 502 WHERE id = 23;
INSERT INTO moves_3 (id, g, v) VALUES (25, 3, 25);
ALTER TABLE moves ATTACH PARTITION moves_3 FOR VALUES IN (3);
UPDATE moves SET v = 503 WHERE id = 23;
DELETE FROM moves WHERE id = 24;
COMMIT;
SELECT moves_check();
SELECT * FROM moves_copy WHERE g = 3 ORDER BY id;
\echo as statements one after the other
ALTER TABLE moves DETACH PARTITION moves_3;
DELETE FROM moves_3 WHERE id = 1;
ALTER TABLE moves ATTACH PARTITION moves_3 FOR VALUES IN (3);
DELETE FROM moves WHERE g = 3;
SELECT moves_check();
ALTER TABLE moves DETACH PARTITION moves_3;
INSERT INTO moves_3 (id, g, v) SELECT i, 3, i FROM generate_series(21, 24) i;
ALTER TABLE moves ATTACH PARTITION moves_3 FOR VALUES IN (3);
UPDATE moves SET v = v - 30;
DELETE FROM moves WHERE id = 22;
ALTER TABLE moves DETACH PARTITION moves_2;
UPDATE moves_2 SET v = 9;
DROP TABLE moves_2;
SELECT moves_check();
\echo a partition of a transaction that is taken back
BEGIN;
SAVEPOINT s;
ALTER TABLE moves DETACH PARTITION moves_3;
UPDATE moves_3 SET v = 77;
ROLLBACK TO s;
UPDATE moves SET v = v + 2;
COMMIT;
SELECT moves_check();
\echo TRUNCATE of the source and of a partition that is new
CREATE TABLE moves_4 (LIKE moves INCLUDING ALL);
INSERT INTO moves_4 VALUES (41, 4, 41), (42, 4, 42);
BEGIN;
ALTER TABLE moves ATTACH PARTITION moves_4 FOR VALUES IN (4);
TRUNCATE moves;
INSERT INTO moves VALUES (43, 4, 43), (44, 1, 44);
COMMIT;
SELECT moves_check();
SELECT * FROM moves_copy ORDER BY id;
BEGIN;
ALTER TABLE moves DETACH PARTITION moves_4;
TRUNCATE moves_4;
INSERT INTO moves_4 VALUES (45, 4, 45);
ALTER TABLE moves ATTACH PARTITION moves_4 FOR VALUES IN (4);
COMMIT;
SELECT moves_check();
\echo branches: attached whole, split by hand, detached
CREATE TABLE moves_5 (LIKE moves INCLUDING ALL) PARTITION BY RANGE (id);
CREATE TABLE moves_5a PARTITION OF moves_5 FOR VALUES FROM (0) TO (1000);
ALTER TABLE moves_5a REPLICA IDENTITY FULL;
INSERT INTO moves_5 SELECT i, 5, i FROM generate_series(51, 56) i;
BEGIN;
ALTER TABLE moves ATTACH PARTITION moves_5 FOR VALUES IN (5);
DELETE FROM moves WHERE id = 51;
UPDATE moves SET g = 1 WHERE id = 52;
COMMIT;
SELECT moves_check();
BEGIN;
ALTER TABLE moves_5 DETACH PARTITION moves_5a;
CREATE TABLE moves_5b PARTITION OF moves_5 FOR VALUES FROM (0) TO (54);
CREATE TABLE moves_5c PARTITION OF moves_5 FOR VALUES FROM (54) TO (1000);
WITH moved AS (DELETE FROM moves_5a RETURNING *) INSERT INTO moves_5 SELECT * FROM moved;
DROP TABLE moves_5a;
UPDATE moves SET v = v + 1 WHERE g = 5;
COMMIT;
SELECT moves_check();
BEGIN;
ALTER TABLE moves DETACH PARTITION moves_5;
UPDATE moves_5 SET v = -v;
CREATE TABLE moves_5d PARTITION OF moves_5 FOR VALUES FROM (1000) TO (2000);
INSERT INTO moves_5 VALUES (1001, 5, 7);
ALTER TABLE moves ATTACH PARTITION moves_5 FOR VALUES IN (5);
INSERT INTO moves VALUES (1002, 5, 7);
COMMIT;
SELECT moves_check();
SELECT doc FROM moves_wide WHERE g = 5;
ALTER TABLE moves DETACH PARTITION moves_5 CONCURRENTLY;
UPDATE moves_5 SET v = 0;
SELECT moves_check();
DROP TABLE moves_5;

\echo a partition made in place, and used at once, builds nothing anew
-- (rows that a fill writes anew get the new default)
ALTER TABLE moves_copy ADD COLUMN mark text DEFAULT 'kept';
ALTER TABLE moves_copy ALTER COLUMN mark SET DEFAULT 'new';
CREATE TABLE moves_6 PARTITION OF moves FOR VALUES IN (6) PARTITION BY RANGE (id);
CREATE TABLE moves_6a PARTITION OF moves_6 FOR VALUES FROM (0) TO (1000);
INSERT INTO moves VALUES (61, 6, 61), (62, 6, 62);
UPDATE moves SET v = v + 1 WHERE g = 6;
DELETE FROM moves WHERE id = 61;
SELECT moves_check();
SELECT * FROM moves_copy ORDER BY id;
\echo nor does an attached one, if it is small
CREATE TABLE moves_7 (LIKE moves INCLUDING ALL);
ALTER TABLE moves_7 REPLICA IDENTITY FULL;
INSERT INTO moves_7 VALUES (71, 7, 71), (72, 7, 72);
ALTER TABLE moves ATTACH PARTITION moves_7 FOR VALUES IN (7);
DELETE FROM moves WHERE id = 71;
SELECT moves_check();
SELECT * FROM moves_copy ORDER BY id;
\echo a detached one does
ALTER TABLE moves DETACH PARTITION moves_7;
SELECT moves_check();
SELECT * FROM moves_copy ORDER BY id;

-- A sink is no partition of a source.
CREATE TABLE sinks_source (id int PRIMARY KEY, g int, v int);
INSERT INTO sinks_source SELECT i, 1, i FROM generate_series(1, 5) i;
SELECT freshet.create_sink('sinks_leaf', 'SELECT id, g, v FROM sinks_source');
CREATE TABLE sinks_root (id int, g int, v int) PARTITION BY LIST (g);
CREATE TABLE sinks_2 PARTITION OF sinks_root FOR VALUES IN (2) PARTITION BY LIST (id);
SELECT freshet.create_sink('sinks_over', 'SELECT g, count(*) AS n, sum(v) AS s FROM sinks_root GROUP BY g');
SELECT check_sink('sinks_over');
ALTER TABLE sinks_root ATTACH PARTITION sinks_leaf FOR VALUES IN (1);
-- one that has failed can be attached
ALTER TABLE sinks_leaf ADD CHECK (v < 100);
INSERT INTO sinks_source VALUES (8, 1, 100);
SELECT sink_state('sinks_leaf');
ALTER TABLE sinks_root ATTACH PARTITION sinks_leaf FOR VALUES IN (1);
SELECT sink_state('sinks_over');
INSERT INTO sinks_source VALUES (6, 1, 6);
UPDATE sinks_source SET v = 8 WHERE id = 8;
SELECT freshet.rebuild_sink('sinks_leaf');
SELECT sink_state('sinks_leaf');
SELECT freshet.create_sink('sinks_more', 'SELECT count(*) AS n FROM sinks_root');
SELECT freshet.rebuild_sink('sinks_over');
SELECT sink_state('sinks_over');
ALTER TABLE sinks_root DETACH PARTITION sinks_leaf;
SELECT freshet.rebuild_sink('sinks_over'), freshet.rebuild_sink('sinks_leaf');
SELECT check_sink('sinks_over'), check_sink('sinks_leaf');
-- below a branch as well
CREATE TABLE sinks_3 (LIKE sinks_leaf) PARTITION BY LIST (id);
INSERT INTO sinks_source VALUES (7, 3, 7);
ALTER TABLE sinks_root ATTACH PARTITION sinks_3 FOR VALUES IN (3);
SELECT check_sink('sinks_over');
SELECT freshet.create_sink('sinks_leaf_3', 'SELECT id, g, v FROM sinks_source WHERE g = 3');
SELECT check_sink('sinks_leaf_3');
ALTER TABLE sinks_3 ATTACH PARTITION sinks_leaf_3 FOR VALUES IN (7);
ALTER TABLE sinks_leaf_3 ADD CHECK (v < 100);
INSERT INTO sinks_source VALUES (9, 3, 100);
SELECT sink_state('sinks_leaf_3');
ALTER TABLE sinks_3 ATTACH PARTITION sinks_leaf_3 FOR VALUES IN (7);
SELECT sink_state('sinks_over');

-- A table that others inherit from is no source, but ONLY it.
CREATE TABLE parent_source (id int PRIMARY KEY, v int);
INSERT INTO parent_source VALUES (1, 1);
SELECT freshet.create_sink('parent_all', 'SELECT count(*) AS n, sum(v) AS v FROM parent_source');
SELECT freshet.create_sink('parent_only', 'SELECT count(*) AS n, sum(v) AS v FROM ONLY parent_source');
SELECT check_sink('parent_all'), check_sink('parent_only');
CREATE TABLE child_source () INHERITS (parent_source);
INSERT INTO child_source VALUES (2, 2);
INSERT INTO parent_source VALUES (3, 3);
SELECT sink_state('parent_all'), check_sink('parent_only');
DROP TABLE child_source;
SELECT freshet.rebuild_sink('parent_all');
SELECT check_sink('parent_all');

DROP TABLE moves, moves_names, moves_3, moves_7, sinks_source, sinks_root, parent_source CASCADE;
