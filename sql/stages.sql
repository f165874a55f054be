-- Queries that are taken apart into stages
\set VERBOSITY terse
CREATE SCHEMA st;
SET search_path = st, public;
CREATE TABLE orders (id int PRIMARY KEY, customer int, amount numeric, qty int, region text);
CREATE TABLE customers (id int PRIMARY KEY, name text, tier int);
ALTER TABLE orders REPLICA IDENTITY FULL;
ALTER TABLE customers REPLICA IDENTITY FULL;
INSERT INTO customers SELECT i, 'c' || i, i % 3 FROM generate_series(1, 12) i;
INSERT INTO orders SELECT i, nullif(i % 9, 0), i % 5, i % 4, 'r' || i % 3 FROM generate_series(1, 60) i;
CREATE VIEW per_customer AS SELECT customer, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer;

-- the graph
SELECT freshet.explain('SELECT n, count(*) FROM (SELECT customer, count(*) AS n FROM orders GROUP BY 1) x GROUP BY n');
SELECT freshet.explain('SELECT region, count(DISTINCT customer), sum(qty) FROM orders GROUP BY 1 HAVING count(*) > 2 ORDER BY 3 DESC LIMIT 2');
BEGIN READ ONLY;
SELECT freshet.explain('SELECT customer FROM orders GROUP BY 1 HAVING count(*) > 2') LIMIT 2;
COMMIT;

SELECT freshet.create_sink('histogram', 'SELECT n, count(*) FROM (SELECT customer, count(*) AS n FROM orders GROUP BY 1) x GROUP BY n');
SELECT freshet.create_sink('hidden', 'SELECT n, count(*) FROM (SELECT count(*) AS n FROM orders GROUP BY customer, region) x GROUP BY n');
SELECT freshet.create_sink('having_', 'SELECT customer, sum(amount), min(qty) AS low FROM orders GROUP BY 1 HAVING sum(qty) <> 0 AND 100 / sum(qty) < 10');
SELECT freshet.create_sink('distinct_', 'SELECT DISTINCT customer % 2 AS odd, region FROM orders WHERE amount > 1');
SELECT freshet.create_sink('distinct_groups', 'SELECT DISTINCT count(*) AS n, max(region) AS r FROM orders GROUP BY customer');
SELECT freshet.create_sink('count_distinct', $$
	SELECT region, count(DISTINCT customer) AS customers, sum(DISTINCT customer) AS s, count(*), count(amount) AS amounts, sum(amount),
		avg(qty) AS aq, avg(amount) AS aa, sum(qty) AS q, min(id), max(amount), count(*) FILTER (WHERE qty > 1) AS some
	FROM orders GROUP BY region $$);
SELECT freshet.create_sink('count_total', 'SELECT count(DISTINCT customer) AS customers, avg(DISTINCT customer) AS a, count(*), sum(qty), avg(qty) AS q FROM orders');
-- of two arguments: the query is run
SELECT freshet.create_sink('count_two', 'SELECT count(DISTINCT customer) AS customers, count(DISTINCT qty) AS qtys FROM orders');
SELECT freshet.create_sink('with_twice', $$
	WITH t AS (SELECT customer, sum(amount) AS total FROM orders GROUP BY 1)
	SELECT a.customer, b.customer AS other, a.total - b.total AS more FROM t a JOIN t b ON a.customer = b.customer + 1 $$);
SELECT freshet.create_sink('with_names', $$
	WITH a(c, s) AS (SELECT customer, sum(qty) FROM orders GROUP BY 1), b AS (SELECT s, count(*) AS k FROM a GROUP BY s)
	SELECT k, count(*), sum(s) AS s FROM b GROUP BY k $$);
SELECT freshet.create_sink('joined', $$
	SELECT c.tier, count(*), sum(x.total) AS total, count(DISTINCT x.n) AS ns
	FROM customers c JOIN (SELECT customer, count(*) AS n, sum(amount) AS total FROM orders GROUP BY customer HAVING count(*) > 1) x
		ON x.customer = c.id
	WHERE c.name <> 'c3' GROUP BY c.tier $$);
SELECT freshet.create_sink('both_sides', $$
	SELECT o.customer, o.n, c.name FROM (SELECT customer, count(*) AS n FROM orders GROUP BY 1) o
	JOIN (SELECT id, max(name) AS name FROM customers GROUP BY id) c ON c.id = o.customer $$);
SELECT freshet.create_sink('of_view', 'SELECT n, sum(total) AS total, count(*) FROM per_customer GROUP BY n');
SELECT freshet.create_sink('of_view_joined', 'SELECT a.customer, a.n, b.total FROM per_customer a JOIN per_customer b ON b.customer = a.customer');
-- what is left is run, over stages
SELECT freshet.create_sink('top', 'SELECT region, sum(amount) AS total FROM orders GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 2');
SELECT freshet.create_sink('ranked', 'SELECT customer, sum(qty) AS q, rank() OVER (ORDER BY sum(qty)) AS place FROM orders GROUP BY customer');
SELECT freshet.create_sink('both', 'SELECT customer, count(*) FROM orders GROUP BY 1 UNION ALL SELECT tier, count(*) FROM customers GROUP BY 1');
-- no stages, though it is written otherwise
SELECT freshet.create_sink('plain_with', 'WITH o AS (SELECT * FROM orders WHERE qty > 1) SELECT region, count(*) FROM o GROUP BY 1');

CREATE VIEW checks AS SELECT s.sink, check_sink(s.sink) FROM freshet.status s
WHERE (SELECT relnamespace FROM pg_class WHERE oid = s.sink) = 'st'::regnamespace ORDER BY s.sink::text COLLATE "C";
SELECT * FROM checks;
CREATE VIEW graph AS SELECT sink, CASE WHEN stage <> sink THEN 'stage' END AS stage, strategy, key, rows, bytes > 0 AS bytes, reason
FROM freshet.stage WHERE (SELECT relnamespace FROM pg_class WHERE oid = sink) = 'st'::regnamespace
ORDER BY sink::text COLLATE "C", freshet.stage.stage = sink, freshet.stage.stage;
SELECT * FROM graph;
-- written out, as a dump has them, the queries are the same
CREATE FUNCTION written_out(relid regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	text text := rtrim(pg_get_viewdef(relid), ';');
	others bigint;
BEGIN
	EXECUTE format('SELECT count(*) FROM (SELECT * FROM (%s) x EXCEPT ALL TABLE %s) y', text, relid) INTO others;
	RETURN CASE WHEN others > 0 THEN relid || ': ' || text END;
EXCEPTION WHEN OTHERS THEN
	RETURN relid || ': ' || SQLERRM || ': ' || text;
END $$;
SELECT written_out(v) FROM freshet.sink k, LATERAL unnest(ARRAY[k.definition, k.query]) v WHERE v IS NOT NULL AND written_out(v) IS NOT NULL;

-- rows that come, go and move between groups, in one transaction
BEGIN;
INSERT INTO orders SELECT i, i % 13, 1.50, i % 3, 'r' || i % 5 FROM generate_series(61, 100) i;
UPDATE orders SET customer = customer + 1 WHERE id % 3 = 0;
DELETE FROM orders WHERE id % 7 = 0;
UPDATE orders SET region = 'r1', qty = -qty WHERE region = 'r0';
SAVEPOINT s;
DELETE FROM orders;
ROLLBACK TO s;
UPDATE customers SET tier = tier + 1, name = name || '!' WHERE id % 2 = 0;
DELETE FROM customers WHERE id = 5;
COMMIT;
SELECT * FROM checks;
-- what no snapshot has
BEGIN;
UPDATE orders SET qty = -1000 WHERE customer = 2;
UPDATE orders SET qty = 3 WHERE customer = 2;
INSERT INTO orders SELECT i, i, 0, 0, 'gone' FROM generate_series(1000, 1100) i;
DELETE FROM orders WHERE region = 'gone';
COMMIT;
SELECT * FROM checks;
-- equal values that look different, null and not
INSERT INTO orders VALUES (200, 2, 1.0, 1, NULL), (201, 2, 1.00, NULL, NULL), (202, NULL, NULL, 2, 'r1'), (203, NULL, 1, NULL, NULL);
UPDATE orders SET amount = amount * 1.000 WHERE id < 10;
SELECT sink, check_sink(sink, exact => false) FROM freshet.status WHERE sink = 'count_total'::regclass;
DELETE FROM orders WHERE id >= 200;
-- both sides of a join of groups at once; a group that goes and comes back
BEGIN;
DELETE FROM orders WHERE customer = 4;
DELETE FROM customers WHERE id = 4;
COMMIT;
BEGIN;
INSERT INTO customers VALUES (4, 'c4', 7);
INSERT INTO orders VALUES (4, 4, 4, 4, 'r4'), (5000, 4, 5, 4, 'r4');
COMMIT;
SELECT * FROM checks;
-- emptied, and filled again
TRUNCATE orders;
SELECT * FROM checks;
SELECT * FROM count_total;
BEGIN;
INSERT INTO orders SELECT i, i % 6, i % 7, i % 4, 'r' || i % 2 FROM generate_series(1, 40) i;
TRUNCATE customers;
INSERT INTO customers SELECT i, 'd' || i, i % 2 FROM generate_series(1, 8) i;
COMMIT;
SELECT * FROM checks;

-- a view that is replaced: its stage is filled anew
CREATE OR REPLACE VIEW per_customer AS SELECT customer, count(*) * 2 AS n, sum(amount) + 1 AS total FROM orders WHERE qty > 0 GROUP BY customer;
SELECT check_sink('of_view'), check_sink('of_view_joined');
INSERT INTO orders VALUES (300, 3, 3, 3, 'r0');
SELECT check_sink('of_view'), check_sink('of_view_joined');
-- renamed
ALTER TABLE orders RENAME COLUMN customer TO buyer;
ALTER TABLE orders RENAME TO purchases;
ALTER TABLE histogram RENAME TO frequency;
ALTER TABLE frequency SET SCHEMA public;
UPDATE purchases SET buyer = 1 WHERE id < 5;
SELECT check_sink('frequency'), check_sink('joined');
ALTER TABLE purchases RENAME COLUMN buyer TO customer;
ALTER TABLE purchases RENAME TO orders;
ALTER TABLE public.frequency SET SCHEMA st;

-- the calls act on all of it
SELECT freshet.pause_sink('joined');
INSERT INTO orders VALUES (301, 2, 3, 3, 'r0'), (302, 2, 3, 3, 'r0');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT state FROM freshet.sink_state WHERE relid IN (SELECT stage FROM freshet.stage WHERE sink = 'joined'::regclass);
SELECT freshet.resume_sink('joined');
SELECT freshet.wait('joined') IS NOT NULL AS waited;
SELECT check_sink('joined');
SELECT freshet.rebuild_sink('joined');
SELECT freshet.wait('joined') IS NOT NULL AS waited;
SELECT check_sink('joined');
SELECT freshet.create_sink('later', 'SELECT customer FROM orders GROUP BY 1 HAVING count(*) > 2', with_data => false);
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT state FROM freshet.status WHERE sink = 'later'::regclass;
SELECT freshet.resume_sink('later');
SELECT freshet.wait('later') IS NOT NULL AS waited;
SELECT check_sink('later');
SELECT stage AS of_joined FROM freshet.stage WHERE sink = 'joined'::regclass ORDER BY stage LIMIT 1 \gset
\set VERBOSITY sqlstate
SELECT freshet.pause_sink(:'of_joined'), freshet.rebuild_sink(:'of_joined');
SELECT freshet.verify_sink(:'of_joined');
SELECT freshet.drop_sink(:'of_joined');
DROP TABLE :of_joined;
DELETE FROM :of_joined;
SELECT freshet.create_sink('over', format('SELECT count(*) FROM %s', :'of_joined'));
\set VERBOSITY terse

-- a stage that fails, and its sink alone
SELECT freshet.create_sink('shares', 'SELECT share, count(*) FROM (SELECT customer, 100 / sum(qty) AS share FROM orders WHERE customer > 100 GROUP BY 1) x GROUP BY 1');
INSERT INTO orders VALUES (400, 101, 1, 5, 'r1'), (401, 102, 1, 4, 'r1');
SELECT check_sink('shares');
INSERT INTO orders VALUES (402, 101, 1, -5, 'r1');
SELECT freshet.wait() IS NOT NULL AS waited;
DO $$ BEGIN WHILE (SELECT state FROM freshet.status WHERE sink = 'shares'::regclass) <> 'failed' LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;
SELECT error FROM freshet.status WHERE sink = 'shares'::regclass;
SELECT check_sink('joined'), check_sink('frequency');
DELETE FROM orders WHERE id = 402;
SELECT freshet.rebuild_sink('shares');
SELECT freshet.wait('shares') IS NOT NULL AS waited;
SELECT check_sink('shares');
-- and between two snapshots alone
BEGIN;
UPDATE orders SET qty = -qty WHERE id = 400;
INSERT INTO orders VALUES (402, 101, 1, 5, 'r1');
UPDATE orders SET qty = 1 WHERE id = 402;
COMMIT;
SELECT check_sink('shares');
DROP TABLE shares;

-- filled by the filler
ALTER SYSTEM SET freshet.fill_threshold = 0;
SELECT pg_reload_conf();
SELECT freshet.rebuild_sink(sink) FROM freshet.status WHERE sink IN ('joined'::regclass, 'both_sides'::regclass, 'count_distinct'::regclass);
INSERT INTO orders SELECT i, i % 6, i % 7, i % 4, 'r' || i % 2 FROM generate_series(500, 540) i;
SELECT freshet.wait('joined') IS NOT NULL AND freshet.wait('both_sides') IS NOT NULL AND freshet.wait('count_distinct') IS NOT NULL AS waited;
SELECT check_sink('joined'), check_sink('both_sides'), check_sink('count_distinct');
ALTER SYSTEM RESET freshet.fill_threshold;
SELECT pg_reload_conf();

-- whose it is
CREATE ROLE regress_stages;
CREATE ROLE regress_stages_other;
GRANT USAGE, CREATE ON SCHEMA st TO regress_stages;
GRANT SELECT ON orders, customers TO regress_stages, regress_stages_other;
GRANT USAGE ON SCHEMA st TO regress_stages_other;
SET ROLE regress_stages;
SELECT freshet.create_sink('theirs', 'SELECT customer FROM orders GROUP BY 1 HAVING count(*) > 2');
RESET ROLE;
SELECT check_sink('theirs');
CREATE VIEW owners AS SELECT DISTINCT pg_get_userbyid(c.relowner) AS owner, c.relacl IS NULL AS owner_only FROM pg_class c
WHERE c.oid IN (SELECT unnest(ARRAY[k.relid, k.definition, k.query]) FROM freshet.sink k WHERE 'theirs'::regclass IN (k.relid, k.stage_of));
SELECT * FROM owners;
ALTER TABLE theirs OWNER TO regress_stages_other;
SELECT * FROM owners;
INSERT INTO orders VALUES (601, 9, 1, 1, 'r1'), (602, 9, 1, 1, 'r1'), (603, 9, 1, 1, 'r1');
SELECT check_sink('theirs');
SELECT stage AS of_theirs FROM freshet.stage WHERE sink = 'theirs'::regclass ORDER BY stage LIMIT 1 \gset
SET ROLE regress_stages_other;
SELECT count(*) FROM :of_theirs;
RESET ROLE;
REVOKE SELECT ON orders FROM regress_stages_other;
INSERT INTO orders VALUES (604, 9, 1, 1, 'r1');
DO $$ BEGIN WHILE (SELECT state FROM freshet.status WHERE sink = 'theirs'::regclass) <> 'failed' LOOP PERFORM pg_sleep(0.01); END LOOP; END $$;
SELECT error FROM freshet.status WHERE sink = 'theirs'::regclass;
GRANT SELECT ON orders TO regress_stages_other;
SELECT freshet.rebuild_sink('theirs');
SELECT freshet.wait('theirs') IS NOT NULL AS waited;
SELECT check_sink('theirs');
-- views are read by the rights of their owners
SET ROLE regress_stages;
SELECT freshet.create_sink('no_right', 'SELECT n, count(*) FROM per_customer GROUP BY n');
RESET ROLE;
GRANT SELECT ON per_customer TO regress_stages;
REVOKE SELECT ON orders FROM regress_stages;
SET ROLE regress_stages;
SELECT freshet.create_sink('view_right', 'SELECT n, count(*) FROM per_customer GROUP BY n');
SELECT freshet.create_sink('no_right', 'SELECT customer FROM orders GROUP BY 1 HAVING count(*) > 2');
RESET ROLE;
SELECT check_sink('view_right');
SELECT count(*) FROM freshet.stage WHERE sink = 'view_right'::regclass;

-- dropped, all of it
DROP VIEW graph, owners;
SELECT freshet.drop_sink('view_right'), freshet.drop_sink('theirs');
SET client_min_messages = warning;
DROP TABLE orders CASCADE;
SELECT count(*) FROM freshet.sink WHERE stage_of IS NOT NULL;
SELECT count(*) FROM pg_class WHERE relnamespace = 'freshet_stage'::regnamespace AND relname !~ '^groups_' AND relkind = 'r';
SELECT * FROM checks;
RESET search_path;
DROP SCHEMA st CASCADE;
DROP ROLE regress_stages;
DROP ROLE regress_stages_other;
