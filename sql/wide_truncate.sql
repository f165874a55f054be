-- Wide views: TRUNCATE of each table, with changes around it
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE TABLE wt_customers (customer_id int PRIMARY KEY, name text);
CREATE TABLE wt_orders (order_id int PRIMARY KEY, customer_id int REFERENCES wt_customers, status text);
CREATE TABLE wt_products (product_id int PRIMARY KEY, name text);
CREATE TABLE wt_items (order_id int, item_id int, product_id int REFERENCES wt_products, price numeric, PRIMARY KEY (order_id, item_id));
CREATE TABLE wt_parts (product_id int, part_id int, name text, PRIMARY KEY (product_id, part_id));
CREATE PROCEDURE wt_fill() LANGUAGE sql AS $$
INSERT INTO wt_customers SELECT i, 'c' || i FROM generate_series(1, 5) i ON CONFLICT DO NOTHING;
INSERT INTO wt_orders SELECT i, 1 + i % 5, 'new' FROM generate_series(1, 20) i ON CONFLICT DO NOTHING;
INSERT INTO wt_products SELECT i, 'p' || i FROM generate_series(1, 8) i ON CONFLICT DO NOTHING;
INSERT INTO wt_items SELECT i / 2, i, 1 + i % 8, i FROM generate_series(2, 41) i ON CONFLICT DO NOTHING;
INSERT INTO wt_parts SELECT i % 8, i, 'x' || i FROM generate_series(1, 16) i ON CONFLICT DO NOTHING;
$$;
CALL wt_fill();
SELECT freshet.create_wide_view('wt', 'wt_orders', '[
	{"table": "wt_customers", "path": "customer", "type": "object", "relation": [["customer_id", "customer_id"]]},
	{"table": "wt_items", "path": "items", "type": "array", "relation": [["order_id", "order_id"]]},
	{"table": "wt_products", "path": "items.product", "type": "object", "relation": [["items.product_id", "product_id"]]},
	{"table": "wt_parts", "path": "items.product.parts", "type": "array", "relation": [["items.product.product_id", "product_id"]]}]');
CREATE VIEW wt_oracle AS
SELECT o.order_id, to_jsonb(o) || jsonb_build_object(
	'customer', (SELECT to_jsonb(c) FROM wt_customers c WHERE c.customer_id = o.customer_id),
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object('product',
				(SELECT to_jsonb(p) || jsonb_build_object('parts',
						coalesce((SELECT jsonb_agg(to_jsonb(q) ORDER BY q.part_id) FROM wt_parts q WHERE q.product_id = p.product_id), '[]'))
					FROM wt_products p WHERE p.product_id = i.product_id))
			ORDER BY i.item_id)
		FROM wt_items i WHERE i.order_id = o.order_id), '[]')) AS doc
FROM wt_orders o;
SELECT freshet.create_sink('wt_count', 'SELECT doc->''customer''->>''name'' AS name, count(*) AS n FROM wt GROUP BY 1');
\set check 'SELECT check_wide(''wt''), wide_touched(''wt'') AS touched, check_sink(''wt_count'') AS rollup;'
:check
-- each of them
TRUNCATE wt_parts;
:check
CALL wt_fill();
:check
TRUNCATE wt_items;
:check
CALL wt_fill();
:check
TRUNCATE wt_orders;
:check
CALL wt_fill();
:check
-- and with those that refer to them
TRUNCATE wt_products CASCADE;
:check
CALL wt_fill();
:check
TRUNCATE wt_customers CASCADE;
:check
CALL wt_fill();
:check
TRUNCATE wt_orders, wt_items, wt_parts, wt_products, wt_customers RESTART IDENTITY;
:check
-- nothing to truncate
TRUNCATE wt_parts;
TRUNCATE wt_customers CASCADE;
:check
CALL wt_fill();
:check
-- before and after, in one transaction
BEGIN;
INSERT INTO wt_parts VALUES (3, 100, 'gone');
UPDATE wt_parts SET name = 'gone';
TRUNCATE wt_parts;
INSERT INTO wt_parts VALUES (3, 101, 'kept');
COMMIT;
:check
SELECT doc->'items' AS items FROM wt WHERE order_id = 5;
BEGIN;
UPDATE wt_items SET product_id = 3 WHERE order_id = 4;
TRUNCATE wt_items;
INSERT INTO wt_items VALUES (4, 1, 3, 4.0), (21, 1, 3, 2.0);
UPDATE wt_items SET price = 5.0;
COMMIT;
:check
BEGIN;
INSERT INTO wt_orders VALUES (21, 1, 'gone');
UPDATE wt_orders SET order_id = order_id + 100;
TRUNCATE wt_orders;
INSERT INTO wt_orders VALUES (21, 1, 'kept'), (4, 2, 'kept');
UPDATE wt_orders SET order_id = 22 WHERE order_id = 4;
COMMIT;
:check
BEGIN;
TRUNCATE wt_products CASCADE;
INSERT INTO wt_products VALUES (3, 'three');
INSERT INTO wt_items VALUES (21, 2, 3, 1);
TRUNCATE wt_products CASCADE;
INSERT INTO wt_products VALUES (3, 'drei');
INSERT INTO wt_items VALUES (22, 2, 3, 1);
COMMIT;
:check
SELECT doc FROM wt ORDER BY order_id;
-- a row moves on, to a root that the truncation leaves alone
CALL wt_fill();
:check
BEGIN;
UPDATE wt_items SET order_id = 1, item_id = 50 WHERE order_id = 7 AND item_id = 14;
UPDATE wt_orders SET customer_id = 5 WHERE order_id = 7;
TRUNCATE wt_parts;
UPDATE wt_items SET order_id = 2 WHERE order_id = 1 AND item_id = 50;
COMMIT;
:check
-- undone
BEGIN;
UPDATE wt_items SET price = 0;
TRUNCATE wt_orders, wt_items, wt_parts, wt_products, wt_customers;
ROLLBACK;
:check
BEGIN;
UPDATE wt_items SET price = -1 WHERE order_id = 1;
SAVEPOINT a;
TRUNCATE wt_products, wt_customers CASCADE;
INSERT INTO wt_products VALUES (1, 'lost');
ROLLBACK TO a;
UPDATE wt_products SET name = 'kept' WHERE product_id = 7;
SAVEPOINT b;
TRUNCATE wt_parts;
RELEASE b;
COMMIT;
:check
-- one after the other, at speed
DO $$
BEGIN
	FOR k IN 1..20 LOOP
		CALL wt_fill();
		COMMIT;
		UPDATE wt_items SET product_id = 1 + (product_id + k) % 8;
		COMMIT;
		CASE k % 5
			WHEN 0 THEN TRUNCATE wt_parts;
			WHEN 1 THEN TRUNCATE wt_items;
			WHEN 2 THEN TRUNCATE wt_orders;
			WHEN 3 THEN TRUNCATE wt_products CASCADE;
			WHEN 4 THEN TRUNCATE wt_customers CASCADE;
		END CASE;
		INSERT INTO wt_parts VALUES (k % 8, 1000 + k, 'p');
		COMMIT;
	END LOOP;
END
$$;
:check
CALL wt_fill();
:check
-- paused meanwhile
SELECT freshet.pause_sink('wt');
TRUNCATE wt_items;
SELECT freshet.resume_sink('wt');
SELECT freshet.wait('wt', '60 s') IS NOT NULL AS live;
:check
DROP VIEW wt_oracle;
SELECT freshet.drop_sink('wt', cascade => true);
DROP TABLE wt_orders, wt_customers, wt_items, wt_products, wt_parts;
DROP PROCEDURE wt_fill;
DELETE FROM wide_seen;
