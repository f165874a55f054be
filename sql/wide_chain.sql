-- Wide views are sources, and sinks are roots and lookups of wide views
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE TABLE wh_customers (customer_id int PRIMARY KEY, name text, country text);
CREATE TABLE wh_orders (order_id int PRIMARY KEY, customer_id int, order_status text NOT NULL);
CREATE TABLE wh_items (order_id int, n int, price numeric(10,2), PRIMARY KEY (order_id, n));
INSERT INTO wh_customers SELECT i, 'c' || i, CASE WHEN i % 3 = 0 THEN 'ch' ELSE 'br' END FROM generate_series(1, 9) i;
INSERT INTO wh_orders SELECT i, 1 + i % 10, CASE i % 3 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' ELSE 'shipped' END FROM generate_series(1, 40) i;
INSERT INTO wh_items SELECT 1 + i % 45, i, i / 4.0 FROM generate_series(1, 100) i;

-- rollups over a wide view
SELECT freshet.create_wide_view('wh', 'wh_orders', '[
	{"table": "wh_customers", "path": "customer", "type": "object", "relation": [["customer_id", "customer_id"]]},
	{"table": "wh_items", "path": "items", "type": "array", "relation": [["order_id", "order_id"]]}]');
CREATE VIEW wh_oracle AS
SELECT o.order_id, to_jsonb(o) || jsonb_build_object(
	'customer', (SELECT to_jsonb(c) FROM wh_customers c WHERE c.customer_id = o.customer_id),
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) ORDER BY i.n) FROM wh_items i WHERE i.order_id = o.order_id), '[]')) AS doc
FROM wh_orders o;
SELECT freshet.create_sink('wh_status', $$SELECT doc->>'order_status' AS order_status, count(*) AS n FROM wh GROUP BY 1$$);
SELECT freshet.create_sink('wh_country', $$SELECT doc->'customer'->>'country' AS country, count(*) AS n,
	sum(jsonb_array_length(doc->'items')) AS items, max(jsonb_array_length(doc->'items')) AS most FROM wh GROUP BY 1$$);
SELECT freshet.create_sink('wh_copy', $$SELECT order_id, doc->'customer'->>'name' AS name FROM wh WHERE doc->>'order_status' <> 'new'$$);
CREATE VIEW wh_status_oracle AS SELECT order_status, count(*) AS n FROM wh_orders GROUP BY 1;
CREATE VIEW wh_country_oracle AS SELECT country, count(*) AS n, sum(items) AS items, max(items) AS most
	FROM (SELECT c.country, (SELECT count(*) FROM wh_items i WHERE i.order_id = o.order_id) AS items
		FROM wh_orders o LEFT JOIN wh_customers c USING (customer_id)) x GROUP BY 1;
CREATE VIEW wh_copy_oracle AS SELECT o.order_id, c.name FROM wh_orders o LEFT JOIN wh_customers c USING (customer_id) WHERE order_status <> 'new';

-- a lookup that is a rollup; a root that is a rollup; a lookup that is a wide view
SELECT freshet.create_sink('wh_totals', 'SELECT order_id, count(*) AS n, sum(price) AS total FROM wh_items GROUP BY order_id');
SELECT freshet.create_sink('wh_customer_orders', 'SELECT customer_id, count(*) AS orders FROM wh_orders GROUP BY customer_id');
SELECT freshet.create_wide_view('wh_sums', 'wh_orders', '[
	{"table": "wh_totals", "path": "total", "type": "object", "relation": [["order_id", "order_id"]], "columns": ["n", "total"]},
	{"table": "wh_customer_orders", "path": "of_customer", "type": "object", "relation": [["customer_id", "customer_id"]], "columns": ["orders"]}]');
CREATE VIEW wh_sums_oracle AS
SELECT o.order_id, to_jsonb(o) || jsonb_build_object(
	'total', (SELECT jsonb_build_object('n', count(*), 'total', sum(price)) FROM wh_items i WHERE i.order_id = o.order_id HAVING count(*) > 0),
	'of_customer', (SELECT jsonb_build_object('orders', count(*)) FROM wh_orders p WHERE p.customer_id = o.customer_id HAVING count(*) > 0)) AS doc
FROM wh_orders o;
SELECT freshet.create_wide_view('wh_people', 'wh_customers', '[
	{"table": "wh_customer_orders", "path": "orders", "type": "object", "relation": [["customer_id", "customer_id"]], "columns": ["orders"]},
	{"table": "wh_copy", "path": "done", "type": "array", "relation": [["name", "name"]], "columns": ["order_id"]},
	{"table": "wh", "path": "done.order", "type": "object", "relation": [["done.order_id", "order_id"]], "columns": ["doc"]}]');
CREATE VIEW wh_people_oracle AS
SELECT c.customer_id, to_jsonb(c) || jsonb_build_object(
	'orders', (SELECT jsonb_build_object('orders', count(*)) FROM wh_orders o WHERE o.customer_id = c.customer_id HAVING count(*) > 0),
	'done', coalesce((SELECT jsonb_agg(jsonb_build_object('order_id', o.order_id, 'order',
				(SELECT jsonb_build_object('doc', w.doc) FROM wh_oracle w WHERE w.order_id = o.order_id)) ORDER BY o.order_id)
			FROM wh_orders o JOIN wh_customers p USING (customer_id) WHERE p.name = c.name AND o.order_status <> 'new'), '[]')) AS doc
FROM wh_customers c;
-- the root is a sink: its key may be null
SELECT freshet.create_sink('wh_by_customer', 'SELECT customer_id, count(*) AS orders, max(order_id) AS last FROM wh_orders GROUP BY customer_id');
SELECT freshet.create_wide_view('wh_of_sink', 'wh_by_customer', '[
	{"table": "wh_customers", "path": "customer", "type": "object", "relation": [["customer_id", "customer_id"]]},
	{"table": "wh", "path": "last_order", "type": "object", "relation": [["last", "order_id"]], "columns": ["doc"]}]');
CREATE VIEW wh_of_sink_oracle AS
SELECT g.customer_id, to_jsonb(g) || jsonb_build_object(
	'customer', (SELECT to_jsonb(c) FROM wh_customers c WHERE c.customer_id = g.customer_id),
	'last_order', (SELECT jsonb_build_object('doc', w.doc) FROM wh_oracle w WHERE w.order_id = g.last)) AS doc
FROM (SELECT customer_id, count(*) AS orders, max(order_id) AS last FROM wh_orders GROUP BY customer_id) g;
-- and so on
SELECT freshet.create_sink('wh_top', $$SELECT (doc->'orders'->>'orders')::int AS orders, count(*) AS people, sum(jsonb_array_length(doc->'done')) AS done FROM wh_people GROUP BY 1$$);
CREATE VIEW wh_top_oracle AS SELECT (doc->'orders'->>'orders')::int AS orders, count(*) AS people, sum(jsonb_array_length(doc->'done')) AS done FROM wh_people_oracle GROUP BY 1;
SELECT freshet.create_wide_view('wh_tops', 'wh_top', '[
	{"table": "wh_customer_orders", "path": "who", "type": "array", "relation": [["orders", "orders"]], "columns": ["customer_id"]}]');
CREATE VIEW wh_tops_oracle AS
SELECT t.orders, to_jsonb(t) || jsonb_build_object('who', coalesce((SELECT jsonb_agg(jsonb_build_object('customer_id', customer_id) ORDER BY customer_id)
	FROM (SELECT customer_id, count(*) AS orders FROM wh_orders GROUP BY 1) g WHERE g.orders = t.orders), '[]')) AS doc
FROM wh_top_oracle t;
SELECT freshet.create_sink('wh_tops_count', $$SELECT count(*) AS n, sum(jsonb_array_length(doc->'who')) AS who FROM wh_tops$$);
CREATE VIEW wh_tops_count_oracle AS SELECT count(*) AS n, sum(jsonb_array_length(doc->'who')) AS who FROM wh_tops_oracle;

-- each by itself, and against what the tables at the bottom say
CREATE VIEW wh_check AS
SELECT s AS sink, check_sink(s, format('SELECT * FROM %s_oracle', s))
FROM unnest('{wh, wh_status, wh_country, wh_copy, wh_sums, wh_people, wh_of_sink, wh_top, wh_tops, wh_tops_count}'::regclass[]) s;
\set check 'SELECT coalesce(string_agg(sink || \': \' || check_sink, E\'\\n\'), \'ok\') AS wrong FROM wh_check WHERE check_sink !~ \'^ok\';'
SELECT * FROM wh_check;
SELECT * FROM wh_status ORDER BY 1;
SELECT doc FROM wh_of_sink ORDER BY customer_id LIMIT 2;
SELECT doc FROM wh_tops ORDER BY orders NULLS LAST LIMIT 2;
SELECT sink, kind, strategy, state FROM freshet.status WHERE sink::text LIKE 'wh%' ORDER BY sink::text COLLATE "C";
-- all move together
INSERT INTO wh_orders VALUES (100, 3, 'new');
:check
UPDATE wh_orders SET order_status = 'paid' WHERE order_id = 100;
:check
SELECT * FROM wh_status ORDER BY 1;
UPDATE wh_orders SET customer_id = 4, order_status = 'shipped' WHERE order_id = 100;
:check
INSERT INTO wh_items VALUES (100, 1, 1), (100, 2, 2);
:check
UPDATE wh_items SET order_id = 7 WHERE order_id = 100 AND n = 2;
:check
UPDATE wh_customers SET country = 'pt' WHERE customer_id <= 3;
:check
UPDATE wh_customers SET customer_id = 10 WHERE customer_id = 5;
:check
UPDATE wh_customers SET name = 'c1' WHERE customer_id = 2;
:check
UPDATE wh_orders SET customer_id = NULL WHERE order_id % 7 = 0;
:check
UPDATE wh_orders SET order_id = order_id + 200 WHERE order_id % 4 = 0;
:check
DELETE FROM wh_customers WHERE customer_id IN (1, 4);
:check
DELETE FROM wh_orders WHERE order_id % 5 = 0;
:check
BEGIN;
TRUNCATE wh_items;
INSERT INTO wh_items SELECT order_id, order_id, order_id FROM wh_orders WHERE order_id % 2 = 0;
COMMIT;
:check
BEGIN;
DELETE FROM wh_orders;
INSERT INTO wh_orders SELECT i, i % 6, 'again' FROM generate_series(1, 30) i;
COMMIT;
:check
DO $$
BEGIN
	FOR k IN 1..40 LOOP
		UPDATE wh_orders SET customer_id = (customer_id + k) % 9, order_status = k % 4 WHERE order_id % 5 = k % 5;
		UPDATE wh_items SET price = price + 1, order_id = order_id % 30 + 1 WHERE order_id % 7 = k % 7;
		COMMIT;
		INSERT INTO wh_customers VALUES (100 + k, 'c' || k % 4, 'x');
		DELETE FROM wh_customers WHERE customer_id = 100 + k - 10;
		COMMIT;
	END LOOP;
END
$$;
:check
TRUNCATE wh_orders;
:check
INSERT INTO wh_orders SELECT i, i % 12, 'last' FROM generate_series(1, 30) i;
:check
-- in the middle of the chain: rebuild, pause, resume
SELECT freshet.rebuild_sink('wh');
INSERT INTO wh_orders VALUES (50, 1, 'x');
:check
SELECT freshet.pause_sink('wh');
DELETE FROM wh_orders WHERE order_id < 10;
SELECT sink_state('wh'), sink_state('wh_status');
SELECT freshet.resume_sink('wh');
SELECT freshet.wait('wh', '60 s') IS NOT NULL AS live;
:check
SELECT freshet.pause_sink('wh_copy');
UPDATE wh_orders SET order_status = 'y';
SELECT freshet.resume_sink('wh_copy');
SELECT freshet.wait('wh_copy', '60 s') IS NOT NULL AS live;
:check
-- new ones on top while changes come, and all in one transaction
BEGIN;
INSERT INTO wh_orders VALUES (51, 1, 'z');
SELECT freshet.create_wide_view('wh_new', 'wh', '[{"table": "wh_status", "path": "s", "type": "array", "relation": [["order_id", "n"]]}]');
SELECT freshet.create_sink('wh_new_count', 'SELECT count(*), sum(jsonb_array_length(doc->''s'')) FROM wh_new');
SELECT freshet.create_wide_view('wh_newest', 'wh_new');
INSERT INTO wh_orders VALUES (52, 1, 'z');
COMMIT;
UPDATE wh_orders SET order_status = 'y' WHERE order_id = 52;
SELECT check_sink('wh_new'), check_sink('wh_new_count'), check_sink('wh_newest');

-- cycles cannot be made: a sink does not exist before it is made, and its definition does not change
SELECT freshet.create_wide_view('wh_self', 'wh_orders', '[{"table": "wh_self", "path": "s", "type": "object", "relation": [["order_id", "order_id"]]}]');
SELECT freshet.create_wide_view('wh_self', 'wh_self');
-- dropping respects dependants
SELECT freshet.drop_sink('wh');
SELECT freshet.drop_sink('wh_customer_orders');
DROP TABLE wh_copy;
DROP TABLE wh_items;
:check
SELECT freshet.drop_sink('wh_new', cascade => true);
SELECT to_regclass('wh_new_count'), to_regclass('wh_newest');
SELECT freshet.drop_sink('wh_copy', cascade => true);
SELECT relid FROM freshet.sink WHERE relid::text LIKE 'wh%' ORDER BY relid::text COLLATE "C";
UPDATE wh_orders SET order_status = 'end';
SELECT check_wide('wh'), check_wide('wh_of_sink'), check_wide('wh_sums'), check_sink('wh_status');
SELECT freshet.drop_sink('wh', cascade => true);
SELECT relid FROM freshet.sink WHERE relid::text LIKE 'wh%' ORDER BY relid::text COLLATE "C";
DROP TABLE wh_orders, wh_customers, wh_items CASCADE;
SELECT count(*) FROM freshet.sink WHERE relid::text LIKE '%wh%';
