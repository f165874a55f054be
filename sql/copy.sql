-- Copies: filtered, projected, by the source's primary key
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE copy_source (id int, part text, a int, b text, big text, j json, PRIMARY KEY (id, part));
INSERT INTO copy_source SELECT i, 'p' || i % 2, i % 10, 'b' || i, NULL, '{"a": 1}' FROM generate_series(1, 50) i;
SELECT freshet.create_sink('copy_all', 'SELECT * FROM copy_source');
SELECT freshet.create_sink('copy_some', $$
	SELECT part, upper(b) AS b, id, a * 2 AS a2, j->>'a' AS ja FROM copy_source WHERE a > 3$$);
SELECT freshet.create_sink('copy_big', 'SELECT id, part, big, length(big) AS len FROM copy_source');
SELECT freshet.create_sink('copy_without_big', 'SELECT id, part, a FROM copy_source WHERE length(big) > 10 OR big IS NULL');
CREATE VIEW copy_check AS SELECT sink, check_sink(sink) FROM unnest('{copy_all, copy_some, copy_big, copy_without_big}'::regclass[]) sink;
SELECT * FROM copy_check;
SELECT sink, check_types(sink) FROM unnest('{copy_all, copy_some, copy_big, copy_without_big}'::regclass[]) sink;
-- no columns of freshet's own
SELECT attname FROM pg_attribute WHERE attrelid = 'copy_some'::regclass AND attnum > 0 ORDER BY attnum;
-- WHERE: rows enter and leave
UPDATE copy_source SET a = a + 1;
SELECT * FROM copy_check;
UPDATE copy_source SET a = CASE WHEN id % 2 = 0 THEN 0 ELSE 9 END;
SELECT * FROM copy_check;
UPDATE copy_source SET a = NULL WHERE id % 5 = 0;
SELECT * FROM copy_check;
-- keys change
UPDATE copy_source SET id = id + 1000 WHERE id % 3 = 0;
SELECT * FROM copy_check;
UPDATE copy_source SET part = 'q' WHERE id % 4 = 0;
SELECT * FROM copy_check;
-- two rows swap their keys within a transaction
BEGIN;
UPDATE copy_source SET id = -1 WHERE id = 1;
UPDATE copy_source SET id = 1 WHERE id = 5;
UPDATE copy_source SET id = 5 WHERE id = -1;
COMMIT;
SELECT * FROM copy_check;
SELECT id, b FROM copy_all WHERE id IN (1, 5) ORDER BY id;
-- a key is deleted and inserted again, changed and changed back
BEGIN;
DELETE FROM copy_source WHERE id = 1;
INSERT INTO copy_source VALUES (1, 'p1', 7, 'new');
DELETE FROM copy_source WHERE id = 1;
INSERT INTO copy_source VALUES (1, 'p1', 8, 'newer');
UPDATE copy_source SET id = 2000 WHERE id = 7;
UPDATE copy_source SET id = 7 WHERE id = 2000;
COMMIT;
SELECT * FROM copy_check;
SELECT id, part, a, b FROM copy_all WHERE id IN (1, 7) ORDER BY id;
-- all keys move by one, in one statement and over many transactions
CREATE TABLE copy_shift (id int PRIMARY KEY, v int);
SELECT freshet.create_sink('copy_shifted', 'SELECT id, v FROM copy_shift WHERE v % 3 > 0');
INSERT INTO copy_shift SELECT i, i FROM generate_series(1, 100) i;
DO $$
BEGIN
	FOR k IN 1..10 LOOP
		UPDATE copy_shift SET id = -id;
		UPDATE copy_shift SET id = -id + k;
		DELETE FROM copy_shift WHERE id = 50 + k;
		UPDATE copy_shift SET v = v + 1 WHERE id % 7 = k % 7;
		COMMIT;
	END LOOP;
END
$$;
SELECT check_sink('copy_shifted');
DROP TABLE copy_shift CASCADE;

-- Wide columns stored out of line, and not changed by an update
INSERT INTO copy_source SELECT i, 'wide', i, 'w', string_agg(md5(i * 1000 + k || ''), '' ORDER BY k), NULL
FROM generate_series(1, 5) i, generate_series(1, 400) k GROUP BY i;
SELECT * FROM copy_check;
SELECT id, len FROM copy_big WHERE part = 'wide' ORDER BY id;
UPDATE copy_source SET a = a + 1 WHERE part = 'wide';
SELECT * FROM copy_check;
SELECT id, md5(big) = (SELECT md5(big) FROM copy_source s WHERE s.id = c.id AND s.part = c.part) AS same FROM copy_all c WHERE part = 'wide' ORDER BY id;
UPDATE copy_source SET id = id + 100 WHERE part = 'wide';
SELECT * FROM copy_check;
UPDATE copy_source SET big = left(big, 5000) WHERE part = 'wide' AND id % 2 = 0;
UPDATE copy_source SET big = 'short' WHERE id = 101;
UPDATE copy_source SET big = repeat('compressible', 1000) WHERE id = 103;
SELECT * FROM copy_check;
BEGIN;
UPDATE copy_source SET b = 'x' WHERE part = 'wide';
UPDATE copy_source SET big = big || '!' WHERE id = 102;
UPDATE copy_source SET b = 'y' WHERE part = 'wide';
UPDATE copy_source SET id = id + 1000 WHERE part = 'wide';
DELETE FROM copy_source WHERE id = 1104;
COMMIT;
SELECT * FROM copy_check;
DELETE FROM copy_source WHERE part = 'wide';
SELECT * FROM copy_check;
-- rollups over the wide column
SELECT freshet.create_sink('copy_wide_rollup', 'SELECT left(big, 1) AS k, count(*), sum(length(big)), max(big) FROM copy_source GROUP BY 1');
INSERT INTO copy_source SELECT i, 'wide', i, 'w', string_agg(md5(i * 1000 + k || ''), '' ORDER BY k), NULL
FROM generate_series(1, 15) i, generate_series(1, 100) k GROUP BY i;
SELECT check_sink('copy_wide_rollup');
UPDATE copy_source SET a = a + 1 WHERE part = 'wide';
SELECT check_sink('copy_wide_rollup');
DELETE FROM copy_source WHERE id % 2 = 0;
SELECT check_sink('copy_wide_rollup');
DELETE FROM copy_source;
SELECT * FROM copy_check;

-- The identity is enough without FULL if the sink uses no more than the key.
CREATE TABLE copy_identity (id int PRIMARY KEY, x int NOT NULL, y int);
CREATE UNIQUE INDEX copy_identity_x ON copy_identity (x, id);
SELECT freshet.create_sink('copy_ids', 'SELECT id FROM copy_identity WHERE id > 10');
SELECT freshet.create_sink('copy_count', 'SELECT id % 10 AS k, count(*) FROM copy_identity GROUP BY 1');
ALTER TABLE copy_identity REPLICA IDENTITY USING INDEX copy_identity_x;
SELECT freshet.create_sink('copy_xs', 'SELECT x, count(*), sum(id) FROM copy_identity GROUP BY x');
INSERT INTO copy_identity SELECT i, i % 5, i FROM generate_series(1, 40) i;
SELECT check_sink('copy_ids'), check_sink('copy_count'), check_sink('copy_xs');
UPDATE copy_identity SET y = y + 1;
UPDATE copy_identity SET id = id + 100 WHERE id % 3 = 0;
UPDATE copy_identity SET x = x + 1 WHERE id % 4 = 0;
DELETE FROM copy_identity WHERE id % 7 = 0;
SELECT check_sink('copy_ids'), check_sink('copy_count'), check_sink('copy_xs');
SELECT relreplident FROM pg_class WHERE oid = 'copy_identity'::regclass;
-- A unique index serves as key if its columns are NOT NULL.
CREATE TABLE copy_unique (u uuid NOT NULL UNIQUE, x int, t text NOT NULL);
CREATE UNIQUE INDEX ON copy_unique (t) WHERE x > 0;
SELECT freshet.create_sink('copy_uniques', 'SELECT u, x FROM copy_unique');
INSERT INTO copy_unique SELECT ('00000000-0000-0000-0000-0000000000' || i)::uuid, i, i FROM generate_series(10, 20) i;
UPDATE copy_unique SET x = -x WHERE x % 2 = 0;
SELECT check_sink('copy_uniques');
SELECT freshet.create_sink('copy_bag', 'SELECT t, x FROM copy_unique');
SELECT check_sink('copy_bag');

DROP VIEW copy_check;
DROP TABLE copy_source, copy_identity, copy_unique CASCADE;
