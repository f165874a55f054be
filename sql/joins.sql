-- Inner joins, maintained by what has changed
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE jn_customer (id int PRIMARY KEY, name text, region text);
CREATE TABLE jn_product (sku text PRIMARY KEY, category text, price numeric);
CREATE TABLE jn_order (id int PRIMARY KEY, customer int, sku text, qty int, at timestamptz);
INSERT INTO jn_customer SELECT i, 'c' || i, 'r' || i % 3 FROM generate_series(1, 12) i;
INSERT INTO jn_product SELECT 's' || i, 'k' || i % 2, i * 1.5 FROM generate_series(1, 6) i;
INSERT INTO jn_order SELECT i, nullif(i % 14, 0), 's' || i % 7, i % 5, '2022-01-01Z'::timestamptz + i * interval '7 min' FROM generate_series(1, 100) i;
SELECT freshet.create_sink('jn_rows', 'SELECT o.id, c.id AS customer, c.name, o.qty FROM jn_order o JOIN jn_customer c ON c.id = o.customer');
SELECT freshet.create_sink('jn_bag', 'SELECT c.name, p.category, o.qty * p.price AS amount FROM jn_order o, jn_customer c, jn_product p WHERE c.id = o.customer AND p.sku = o.sku AND o.qty > 0');
SELECT freshet.create_sink('jn_groups', 'SELECT c.region, p.category, count(*), sum(o.qty * p.price), avg(o.qty) FROM jn_order o JOIN jn_product p USING (sku) JOIN jn_customer c ON c.id = o.customer GROUP BY 1, 2');
SELECT freshet.create_sink('jn_extremes', 'SELECT c.region, min(p.price), max(o.at), max(c.name) AS name, count(*) FILTER (WHERE o.qty > 2) FROM jn_order o JOIN jn_product p USING (sku) JOIN jn_customer c ON c.id = o.customer GROUP BY 1');
SELECT freshet.create_sink('jn_total', 'SELECT count(*), sum(p.price), max(o.qty) FROM jn_order o JOIN jn_product p ON p.sku = o.sku');
SELECT freshet.create_sink('jn_self', 'SELECT a.id AS a, b.id AS b, a.qty + b.qty AS q FROM jn_order a JOIN jn_order b ON b.customer = a.customer AND b.id > a.id AND b.sku = a.sku');
SELECT freshet.create_sink('jn_three', 'SELECT a.region, count(*), sum(b.id - c.id) FROM jn_customer a JOIN jn_customer b USING (region) JOIN jn_customer c ON c.region = b.region AND c.id <> a.id GROUP BY a.region');
SELECT freshet.create_sink('jn_tumble', 'SELECT window_start, c.region, sum(o.qty), max(o.id) FROM jn_order o JOIN jn_customer c ON c.id = o.customer, freshet.tumble(o.at, ''1 hour'') GROUP BY 1, 2');
SELECT freshet.create_sink('jn_hop', 'SELECT o.id, c.id AS c, window_start FROM jn_order o JOIN jn_customer c ON c.id = o.customer CROSS JOIN freshet.hop(o.at, ''1 hour'', ''2 hours'') WHERE window_start > ''2022-01-01 03:00Z'' AND o.qty < 3');
SELECT freshet.create_sink('jn_range', 'SELECT p.sku, o.id FROM jn_product p JOIN jn_order o ON o.qty BETWEEN p.price - 2 AND p.price');
SELECT freshet.create_sink('jn_cross', 'SELECT count(*) FROM jn_product CROSS JOIN jn_customer');
SELECT freshet.create_sink('jn_expression', 'SELECT c.name, p.sku FROM jn_customer c JOIN jn_product p ON lower(substr(p.sku, 2)) = substr(c.name, 2)');
SELECT freshet.create_sink('jn_natural', 'SELECT * FROM jn_product NATURAL JOIN jn_order');
SELECT freshet.create_sink('jn_false', 'SELECT p.sku FROM jn_product p, jn_customer c WHERE false');
-- sinks over sinks, and with their own source
SELECT freshet.create_sink('jn_counts', 'SELECT customer, count(*) AS n FROM jn_order GROUP BY customer');
SELECT freshet.create_sink('jn_own', 'SELECT o.id, n.customer, n.n FROM jn_order o JOIN jn_counts n ON n.customer = o.customer AND n.n > o.qty');
SELECT freshet.create_sink('jn_over', 'SELECT g.region, sum(g.count * r.qty) FROM jn_groups g JOIN jn_customer c USING (region) JOIN jn_rows r ON r.customer = c.id GROUP BY g.region');
CREATE VIEW jn_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'jn\_%' ORDER BY relid;
SELECT * FROM jn_check;
SELECT sink, kind, strategy FROM freshet.status WHERE sink::text LIKE 'jn\_%' ORDER BY 1;
SELECT freshet.explain('SELECT c.region, count(*), sum(o.qty * p.price) FROM jn_order o JOIN jn_product p USING (sku) JOIN jn_customer c ON c.id = o.customer GROUP BY lower(c.region), 1');
SELECT freshet.explain('SELECT a.id, b.id AS b FROM jn_order a, jn_order b');
-- each side
INSERT INTO jn_order SELECT i, i % 13, 's' || i % 8, i % 6, '2022-01-01Z'::timestamptz + i * interval '6 min' FROM generate_series(101, 150) i;
SELECT * FROM jn_check;
UPDATE jn_product SET price = price + 1 WHERE sku IN ('s1', 's4');
UPDATE jn_customer SET region = 'r9', name = 'moved' WHERE id IN (2, 5);
DELETE FROM jn_order WHERE id % 9 = 4;
DELETE FROM jn_customer WHERE id = 7;
SELECT * FROM jn_check;
-- other rows are not written
CREATE TABLE jn_seen AS SELECT id, xmin::text AS version FROM jn_rows;
UPDATE jn_customer SET name = 'renamed' WHERE id = 9;
INSERT INTO jn_order VALUES (500, 9, 's1', 1, '2022-01-01 01:00Z');
UPDATE jn_order SET sku = 's2' WHERE id = 10;
SELECT freshet.wait('60 s') IS NOT NULL AS applied;
SELECT count(*) = (SELECT count(*) FROM jn_rows WHERE customer = 9) AS written
FROM jn_rows r LEFT JOIN jn_seen s USING (id) WHERE r.xmin::text IS DISTINCT FROM s.version;
SELECT * FROM jn_check;
-- join columns set to NULL and back; keys that are changed
UPDATE jn_order SET customer = NULL WHERE customer = 3;
SELECT * FROM jn_check WHERE sink::text IN ('jn_rows', 'jn_groups', 'jn_extremes', 'jn_own');
UPDATE jn_order SET customer = 3 WHERE customer IS NULL;
SELECT * FROM jn_check;
-- all sides in one transaction: changed, re-keyed, swapped, deleted
BEGIN;
UPDATE jn_customer SET id = id + 100 WHERE id = 4;
UPDATE jn_order SET customer = 104 WHERE customer = 4;
UPDATE jn_product SET sku = CASE sku WHEN 's1' THEN 's1x' ELSE 's1' END WHERE sku IN ('s1', 's2');
UPDATE jn_product SET sku = 's2' WHERE sku = 's1x';
DELETE FROM jn_customer WHERE id = 6;
DELETE FROM jn_order WHERE customer = 6;
INSERT INTO jn_customer VALUES (6, 'six', 'r0');
INSERT INTO jn_order VALUES (1000, 6, 's3', 3, '2022-01-01 04:00Z');
DELETE FROM jn_product WHERE sku = 's5';
UPDATE jn_order SET qty = qty + 1 WHERE sku = 's5';
COMMIT;
SELECT * FROM jn_check;
-- what came and went
BEGIN;
INSERT INTO jn_customer VALUES (900, 'gone', 'r0');
INSERT INTO jn_order VALUES (9000, 900, 's3', 2, '2022-01-01Z');
UPDATE jn_customer SET name = 'still gone' WHERE id = 900;
DELETE FROM jn_order WHERE id = 9000;
DELETE FROM jn_customer WHERE id = 900;
COMMIT;
SELECT * FROM jn_check;
-- both sides at once, and everything at once
UPDATE jn_order a SET customer = b.customer FROM jn_order b WHERE b.id = a.id + 1;
SELECT * FROM jn_check;
BEGIN;
UPDATE jn_order SET qty = 7 - qty, customer = customer % 12 + 1;
UPDATE jn_customer SET region = 'r' || (id * 7) % 4;
UPDATE jn_product SET price = price * 2, category = 'k' || length(sku);
COMMIT;
SELECT * FROM jn_check;
-- truncated
TRUNCATE jn_product;
SELECT * FROM jn_check;
BEGIN;
INSERT INTO jn_product SELECT 's' || i, 'k' || i % 2, i * 1.5 FROM generate_series(1, 9) i;
TRUNCATE jn_order;
INSERT INTO jn_order SELECT i, i % 12, 's' || i % 7, i % 5, '2022-01-01Z'::timestamptz + i * interval '7 min' FROM generate_series(1, 40) i;
COMMIT;
SELECT * FROM jn_check;
TRUNCATE jn_customer, jn_product;
INSERT INTO jn_customer SELECT i, 'c' || i, 'r' || i % 3 FROM generate_series(1, 12) i;
SELECT * FROM jn_check;
INSERT INTO jn_product SELECT 's' || i, 'k' || i % 2, i * 1.5 FROM generate_series(1, 9) i;
SELECT * FROM jn_check;
SELECT freshet.rebuild_sink('jn_groups'), freshet.rebuild_sink('jn_self'), freshet.rebuild_sink('jn_bag');
SELECT * FROM jn_check;
-- tables that change
ALTER TABLE jn_customer RENAME COLUMN region TO area;
ALTER TABLE jn_order ADD COLUMN note text;
ALTER TABLE jn_order DROP COLUMN note;
ALTER TABLE jn_product ADD COLUMN extra int DEFAULT 3;
CREATE INDEX jn_by_customer ON jn_order (customer);
INSERT INTO jn_order VALUES (2000, 3, 's2', 3, '2022-01-01 05:00Z');
UPDATE jn_customer SET area = 'r5' WHERE id = 3;
SELECT * FROM jn_check;
DROP INDEX jn_by_customer;
UPDATE jn_customer SET area = 'r6' WHERE id = 3;
UPDATE jn_product SET price = 3 WHERE sku = 's2';
SELECT * FROM jn_check;
-- a column that the join does not read
SELECT freshet.pause_sink('jn_rows');
UPDATE jn_order SET qty = qty + 1 WHERE id < 10;
UPDATE jn_product SET extra = 4;
SELECT freshet.resume_sink('jn_rows');
SELECT * FROM jn_check;
-- rights: each column of each table
CREATE ROLE jn_reader;
GRANT USAGE, CREATE ON SCHEMA public TO jn_reader;
GRANT USAGE ON SCHEMA freshet TO jn_reader;
GRANT SELECT (id, name) ON jn_customer TO jn_reader;
GRANT SELECT ON jn_order TO jn_reader;
SET ROLE jn_reader;
SELECT freshet.create_sink('jn_hidden', 'SELECT o.id FROM jn_order o JOIN jn_customer c ON c.id = o.customer AND c.area > ''r1''');
SELECT freshet.create_sink('jn_seen_by', 'SELECT o.id, c.name, c.id AS c FROM jn_order o JOIN jn_customer c ON c.id = o.customer');
RESET ROLE;
SELECT check_sink('jn_seen_by');
REVOKE SELECT (name) ON jn_customer FROM jn_reader;
SELECT sink_state('jn_seen_by');
GRANT SELECT (name) ON jn_customer TO jn_reader;
SELECT freshet.rebuild_sink('jn_seen_by');
SELECT check_sink('jn_seen_by');
ALTER TABLE jn_customer ENABLE ROW LEVEL SECURITY;
SELECT sink_state('jn_seen_by');
SELECT freshet.drop_sink('jn_over'), freshet.drop_sink('jn_own');
DROP VIEW jn_check;
SELECT count(freshet.drop_sink(relid)) FROM freshet.sink WHERE relid::text LIKE 'jn\_%';
DROP TABLE jn_order, jn_customer, jn_product, jn_seen;
DROP OWNED BY jn_reader;
DROP ROLE jn_reader;
