-- More groups than fit freshet.work_mem: each is computed and written once, when the batch is whole
\set VERBOSITY terse
ALTER SYSTEM SET freshet.work_mem = '64kB';
SELECT pg_reload_conf();
CREATE TABLE spill_source (id int PRIMARY KEY, g int, v int, n numeric, t text, at timestamptz);
ALTER TABLE spill_source REPLICA IDENTITY FULL;
INSERT INTO spill_source
SELECT i, i, 1 + i % 3, i % 7, 'key ' || i % 1500, '2024-01-01'::timestamptz + i * interval '20 s' FROM generate_series(1, 3000) i;
SELECT freshet.create_sink('spill_share', 'SELECT g, 1000 / sum(v) AS share, count(*) AS rows FROM spill_source GROUP BY g');
SELECT freshet.create_sink('spill_kinds', $$
	SELECT t, sum(v) AS total, avg(n) AS a, min(v) AS lo, max(n) AS hi, count(*) FILTER (WHERE v > 0) AS pos,
		sum(100 / v) FILTER (WHERE v <> 0) AS guarded
	FROM spill_source GROUP BY t $$);
SELECT freshet.create_sink('spill_nohash', 'SELECT ARRAY[g::text::money] AS k, sum(v) AS total FROM spill_source GROUP BY 1');
SELECT freshet.create_sink('spill_window', $$
	SELECT window_start, 100 / sum(v) AS share, max(v) AS hi
	FROM spill_source, freshet.hop(at, interval '1 minute', interval '2 minutes') GROUP BY 1 $$);
SELECT freshet.create_sink('spill_total', 'SELECT sum(v) AS total, count(*) FROM spill_source');
-- above: what fails on half of a change
SELECT freshet.create_sink('spill_above', 'SELECT rows, sum(100 / share) AS s FROM spill_share GROUP BY rows');
SELECT freshet.create_sink('spill_copy', 'SELECT g, 100 / share AS s FROM spill_share');
CREATE VIEW spill_check AS SELECT sink, check_sink(sink)
FROM unnest('{spill_share, spill_kinds, spill_nohash, spill_window, spill_total, spill_above, spill_copy}'::regclass[]) sink;
SELECT * FROM spill_check;

-- what the owner puts on the sinks judges what is written, and counts it
ALTER TABLE spill_share ADD CHECK (share BETWEEN 1 AND 1000);
ALTER TABLE spill_kinds ADD CHECK (total > 0), ADD CHECK (lo <= total);
ALTER TABLE spill_window ADD CHECK (hi > 0);
ALTER TABLE spill_copy ADD CHECK (s BETWEEN 0 AND 100);
ALTER TABLE spill_kinds ADD COLUMN writes int DEFAULT 0;
CREATE FUNCTION spill_count_writes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.writes := OLD.writes + 1;
	RETURN NEW;
END
$$;
CREATE TRIGGER count_writes BEFORE UPDATE ON spill_kinds FOR EACH ROW EXECUTE FUNCTION spill_count_writes();
ALTER TABLE spill_kinds ENABLE ALWAYS TRIGGER count_writes;

-- every group passes through a total of 0, and back
BEGIN;
INSERT INTO spill_source SELECT 10000 + i, i, -(1 + i % 3), 1, 'key ' || i % 1500, '2024-01-01'::timestamptz + i * interval '20 s'
FROM generate_series(1, 3000) i;
INSERT INTO spill_source SELECT 20000 + i, i, 5, 2, 'key ' || i % 1500, '2024-01-01'::timestamptz + i * interval '20 s'
FROM generate_series(1, 3000) i;
COMMIT;
SELECT * FROM spill_check;
SELECT writes, count(*) FROM spill_kinds GROUP BY writes;
-- far below 0 and back, group after group
BEGIN;
UPDATE spill_source SET v = v - 100000;
UPDATE spill_source SET v = v + 100001;
COMMIT;
SELECT * FROM spill_check;
SELECT writes, count(*) FROM spill_kinds GROUP BY writes;
-- groups that go, come and change their place
BEGIN;
DELETE FROM spill_source WHERE g % 2 = 0;
INSERT INTO spill_source SELECT 30000 + i, i, 7, 1, 'new ' || i, now() FROM generate_series(1, 4000, 2) i;
UPDATE spill_source SET t = 'key ' || (g + 1) % 1500, g = g + 1 WHERE id < 20000;
COMMIT;
SELECT * FROM spill_check;
-- a source that is emptied and filled again: the sink is not seen empty
BEGIN;
CREATE TEMP TABLE spill_kept AS TABLE spill_source;
TRUNCATE spill_source;
INSERT INTO spill_source SELECT id, g, v, n + 1, t, at FROM spill_kept;
COMMIT;
SELECT * FROM spill_check;
BEGIN;
TRUNCATE spill_source;
INSERT INTO spill_source SELECT * FROM spill_kept WHERE id % 100 = 1;
COMMIT;
SELECT * FROM spill_check;
-- a few rows again, so that nothing spills
BEGIN;
TRUNCATE spill_source;
INSERT INTO spill_source SELECT id, g, v, n, t, at FROM spill_kept LIMIT 10;
COMMIT;
SELECT * FROM spill_check;
INSERT INTO spill_source SELECT * FROM spill_kept ON CONFLICT DO NOTHING;
SELECT * FROM spill_check;

-- rows of copies: versions in between are not written, and each row once
CREATE TABLE spill_rows (id int PRIMARY KEY, v int, t text);
ALTER TABLE spill_rows REPLICA IDENTITY FULL;
INSERT INTO spill_rows SELECT i, 1 + i % 3, repeat('x', 50) || i FROM generate_series(1, 3000) i;
SELECT freshet.create_sink('spill_filter', 'SELECT id, v, t, lower(t) AS low FROM spill_rows WHERE v > 0');
SELECT freshet.create_sink('spill_hop', $$
	SELECT id, window_start, v FROM spill_rows, freshet.hop('2024-01-01'::timestamptz + id * interval '20 s',
		interval '1 minute', interval '2 minutes') $$);
SELECT freshet.create_sink('spill_sum', 'SELECT v, sum(length(t)) AS len, count(*) FROM spill_filter GROUP BY v');
CREATE VIEW spill_rows_check AS SELECT sink, check_sink(sink)
FROM unnest('{spill_filter, spill_hop, spill_sum}'::regclass[]) sink;
SELECT * FROM spill_rows_check;
ALTER TABLE spill_filter ADD CHECK (v < 100), ADD UNIQUE (low), ADD COLUMN writes int DEFAULT 0;
ALTER TABLE spill_hop ADD CHECK (v BETWEEN -5 AND 99);
CREATE TRIGGER count_writes BEFORE UPDATE ON spill_filter FOR EACH ROW EXECUTE FUNCTION spill_count_writes();
ALTER TABLE spill_filter ENABLE ALWAYS TRIGGER count_writes;
BEGIN;
UPDATE spill_rows SET v = v + 1000;
UPDATE spill_rows SET v = v - 999, t = t || repeat('y', 100);
COMMIT;
SELECT * FROM spill_rows_check;
SELECT writes, count(*) FROM spill_filter GROUP BY writes;
BEGIN;
DELETE FROM spill_rows WHERE id % 3 = 0;
INSERT INTO spill_rows SELECT i, CASE WHEN i % 2 = 0 THEN 1000 ELSE -1 END, 'z' || i FROM generate_series(3, 6000, 3) i;
UPDATE spill_rows SET v = CASE WHEN v = 1000 THEN 7 ELSE -2 END WHERE id % 3 = 0;
DELETE FROM spill_rows WHERE id % 5 = 0;
COMMIT;
SELECT * FROM spill_rows_check;
-- a row that goes makes room for another one
BEGIN;
DELETE FROM spill_rows WHERE id = 4;
INSERT INTO spill_rows SELECT 10000 + g, 1, repeat('x', 50) || 4 || repeat('Y', 100) FROM generate_series(1, 1) g;
COMMIT;
SELECT * FROM spill_rows_check;
BEGIN;
CREATE TEMP TABLE spill_kept_rows AS TABLE spill_rows;
TRUNCATE spill_rows;
INSERT INTO spill_rows SELECT id, v + 1, t FROM spill_kept_rows;
COMMIT;
SELECT * FROM spill_rows_check;
BEGIN;
TRUNCATE spill_rows;
INSERT INTO spill_rows SELECT * FROM spill_kept_rows WHERE id % 100 = 1;
COMMIT;
SELECT * FROM spill_rows_check;
SELECT freshet.rebuild_sink('spill_hop');
INSERT INTO spill_rows SELECT * FROM spill_kept_rows ON CONFLICT DO NOTHING;
SELECT freshet.rebuild_sink('spill_filter');
SELECT * FROM spill_rows_check;
SELECT freshet.drop_sink(s) FROM unnest('{spill_sum, spill_filter, spill_hop}'::regclass[]) s;
DROP VIEW spill_rows_check;
DROP TABLE spill_rows;

-- a wide view whose affected keys do not fit: written when all are known, and whatever order its owner's index needs
CREATE TABLE spill_root (id int PRIMARY KEY, code int);
CREATE TABLE spill_item (id int PRIMARY KEY, root int, n int);
CREATE INDEX ON spill_item (root);
INSERT INTO spill_root SELECT i, i FROM generate_series(1, 6000) i;
INSERT INTO spill_item SELECT i, 1 + i % 6000, i FROM generate_series(1, 12000) i;
SELECT freshet.create_wide_view('spill_wide', 'spill_root', '[{"table": "spill_item", "path": "items", "type": "array", "relation": [["id", "root"]]}]');
SELECT freshet.create_sink('spill_over_wide', 'SELECT count(*) AS n, sum(100 / ((doc->>''code'')::int - 100000)) AS s FROM spill_wide');
SELECT check_sink('spill_wide'), check_sink('spill_over_wide');
CREATE UNIQUE INDEX ON spill_wide ((doc->>'code'));
BEGIN;
UPDATE spill_item SET n = n + 1;
UPDATE spill_root SET code = 100000 WHERE id <= 3000;
UPDATE spill_root SET code = 20000 + (id + 7) % 6000;
UPDATE spill_item SET root = 1 + (root + 17) % 6000 WHERE id % 2 = 0;
COMMIT;
SELECT check_sink('spill_wide'), check_sink('spill_over_wide');
BEGIN;
UPDATE spill_root SET code = 20000 + (id + 9) % 6000;
DELETE FROM spill_item WHERE id % 3 = 0;
COMMIT;
SELECT check_sink('spill_wide'), check_sink('spill_over_wide');
SELECT freshet.drop_sink('spill_over_wide'), freshet.drop_sink('spill_wide');
DROP TABLE spill_root, spill_item;

-- filled by folding, as sinks over partitions are
CREATE TABLE spill_parts (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
CREATE TABLE spill_parts_1 PARTITION OF spill_parts FOR VALUES IN (0, 1);
CREATE TABLE spill_parts_2 PARTITION OF spill_parts DEFAULT;
INSERT INTO spill_parts SELECT i, i % 4, CASE WHEN i < 3000 THEN -1 ELSE 2 END FROM generate_series(1, 6000) i;
SELECT freshet.create_sink('spill_filled', 'SELECT id % 3000 AS k, 100 / sum(v) AS share, max(v) AS hi FROM spill_parts GROUP BY 1');
SELECT check_sink('spill_filled');
ALTER TABLE spill_filled ADD CHECK (share > 0);
SELECT freshet.rebuild_sink('spill_filled');
SELECT check_sink('spill_filled');
BEGIN;
UPDATE spill_parts SET v = v - 10;
UPDATE spill_parts SET v = v + 11, g = g + 1;
COMMIT;
SELECT check_sink('spill_filled');
ALTER SYSTEM RESET freshet.work_mem;
SELECT pg_reload_conf();
SELECT freshet.drop_sink(s) FROM unnest('{spill_above, spill_copy, spill_share, spill_kinds, spill_nohash, spill_window, spill_total,
	spill_filled}'::regclass[]) s;
DROP VIEW spill_check;
DROP TABLE spill_source, spill_parts;
