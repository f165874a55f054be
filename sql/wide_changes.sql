-- Wide views: every kind of change at every depth reaches the documents that it
-- touches, and no others
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE TABLE wc_orders (order_id int PRIMARY KEY, customer_id int, status text, note text);
CREATE TABLE wc_customers (customer_id int PRIMARY KEY, name text, city_id int);
CREATE TABLE wc_cities (city_id int PRIMARY KEY, name text);
CREATE TABLE wc_addresses (address_id int PRIMARY KEY, customer_id int, line text);
CREATE TABLE wc_payments (order_id int, seq int, kind_id int, value numeric(10,2), PRIMARY KEY (order_id, seq));
CREATE TABLE wc_kinds (kind_id int PRIMARY KEY, name text);
CREATE TABLE wc_items (order_id int, item_id int, product_id text, seller_id int, price numeric(10,2), PRIMARY KEY (order_id, item_id));
CREATE TABLE wc_products (product_id text PRIMARY KEY, name text, weight int);
CREATE TABLE wc_sellers (seller_id int PRIMARY KEY, name text);
CREATE TABLE wc_parts (part_id int PRIMARY KEY, product_id text, label text);
CREATE TABLE wc_notes (part_id int, n int, text text, PRIMARY KEY (part_id, n));
-- two roots, some lookups, before the view is made
INSERT INTO wc_orders VALUES (1, 1, 'new', 'a'), (2, NULL, 'new', NULL);
INSERT INTO wc_customers VALUES (1, 'ann', 10);
INSERT INTO wc_items VALUES (1, 1, 'p1', 1, 5.50), (1, 2, 'p2', 1, 7.00);
INSERT INTO wc_products VALUES ('p1', 'pen', 3);
SELECT freshet.create_wide_view('wc', 'wc_orders', '[
	{"table": "wc_customers", "path": "customer", "type": "object", "relation": [["customer_id", "customer_id"]]},
	{"table": "wc_cities", "path": "customer.city", "type": "object", "relation": [["customer.city_id", "city_id"]]},
	{"table": "wc_addresses", "path": "customer.address", "type": "object", "relation": [["customer.customer_id", "customer_id"]]},
	{"table": "wc_payments", "path": "payments", "type": "array", "relation": [["order_id", "order_id"]]},
	{"table": "wc_kinds", "path": "payments.kind", "type": "object", "relation": [["payments.kind_id", "kind_id"]]},
	{"table": "wc_items", "path": "items", "type": "array", "relation": [["order_id", "order_id"]]},
	{"table": "wc_products", "path": "items.product", "type": "object", "relation": [["items.product_id", "product_id"]]},
	{"table": "wc_parts", "path": "items.product.parts", "type": "array", "relation": [["items.product.product_id", "product_id"]]},
	{"table": "wc_notes", "path": "items.product.parts.notes", "type": "array", "relation": [["items.product.parts.part_id", "part_id"]]},
	{"table": "wc_sellers", "path": "items.seller", "type": "object", "relation": [["items.seller_id", "seller_id"]]}]');
CREATE VIEW wc_oracle AS
SELECT o.order_id, to_jsonb(o) || jsonb_build_object(
	'customer', (SELECT to_jsonb(c) || jsonb_build_object(
			'city', (SELECT to_jsonb(t) FROM wc_cities t WHERE t.city_id = c.city_id),
			'address', (SELECT to_jsonb(a) FROM wc_addresses a WHERE a.customer_id = c.customer_id ORDER BY a.address_id LIMIT 1))
		FROM wc_customers c WHERE c.customer_id = o.customer_id),
	'payments', coalesce((SELECT jsonb_agg(to_jsonb(p)
				|| jsonb_build_object('kind', (SELECT to_jsonb(k) FROM wc_kinds k WHERE k.kind_id = p.kind_id))
			ORDER BY p.seq)
		FROM wc_payments p WHERE p.order_id = o.order_id), '[]'),
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object(
				'product', (SELECT to_jsonb(d) || jsonb_build_object(
						'parts', coalesce((SELECT jsonb_agg(to_jsonb(q) || jsonb_build_object(
									'notes', coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.n)
										FROM wc_notes x WHERE x.part_id = q.part_id), '[]'))
								ORDER BY q.part_id)
							FROM wc_parts q WHERE q.product_id = d.product_id), '[]'))
					FROM wc_products d WHERE d.product_id = i.product_id),
				'seller', (SELECT to_jsonb(s) FROM wc_sellers s WHERE s.seller_id = i.seller_id))
			ORDER BY i.item_id)
		FROM wc_items i WHERE i.order_id = o.order_id), '[]')) AS doc
FROM wc_orders o;
\set check 'SELECT check_wide(''wc''), wide_touched(''wc'') AS touched;'
:check
SELECT jsonb_pretty(doc) FROM wc ORDER BY order_id;

-- Roots
INSERT INTO wc_orders VALUES (3, 2, 'new', 'c'), (4, 1, 'new', 'd'), (5, 1, 'paid', 'e');
:check
UPDATE wc_orders SET status = 'shipped' WHERE order_id = 3;
:check
UPDATE wc_orders SET note = NULL WHERE order_id IN (1, 4);
:check
DELETE FROM wc_orders WHERE order_id = 5;
:check
-- what waits for a root, what a root leaves behind
INSERT INTO wc_items VALUES (9, 1, 'p1', 2, 1.00);
INSERT INTO wc_payments VALUES (9, 1, 1, 3.00), (3, 1, 1, 4.00);
:check
UPDATE wc_orders SET order_id = 9 WHERE order_id = 3;
:check
SELECT doc->'payments' AS payments FROM wc WHERE order_id = 9;
-- two roots swap their keys
BEGIN;
UPDATE wc_orders SET order_id = 100 WHERE order_id = 1;
UPDATE wc_orders SET order_id = 1 WHERE order_id = 9;
UPDATE wc_orders SET order_id = 9 WHERE order_id = 100;
COMMIT;
:check
-- gone and back again; come and gone
BEGIN;
DELETE FROM wc_orders WHERE order_id = 4;
INSERT INTO wc_orders VALUES (4, NULL, 'again', 'd');
COMMIT;
:check
BEGIN;
INSERT INTO wc_orders VALUES (50, 1, 'short', 'life');
DELETE FROM wc_orders WHERE order_id = 50;
COMMIT;
:check
-- nothing changes: nothing is written
UPDATE wc_orders SET status = status;
:check
BEGIN;
UPDATE wc_orders SET status = status || '!';
UPDATE wc_items SET price = price + 1;
UPDATE wc_orders SET status = rtrim(status, '!');
UPDATE wc_items SET price = price - 1;
COMMIT;
:check
UPDATE wc_orders SET order_id = order_id + 1000;
:check
UPDATE wc_orders SET order_id = order_id - 1000;
:check

-- Objects: appear after their parents, change, move, disappear
SELECT order_id, doc->'customer_id' AS customer_id, doc->'customer'->'name' AS name, doc->'customer'->'city' AS city FROM wc ORDER BY 1;
INSERT INTO wc_customers VALUES (2, 'bob', 10);
:check
INSERT INTO wc_cities VALUES (10, 'berne'), (11, 'basle');
:check
UPDATE wc_cities SET name = 'bern' WHERE city_id = 10;
:check
UPDATE wc_customers SET city_id = 11 WHERE customer_id = 2;
:check
-- the object's own column of the relation changes: it leaves one parent for another
UPDATE wc_cities SET city_id = 12 WHERE city_id = 11;
:check
UPDATE wc_customers SET city_id = 12;
:check
BEGIN;
UPDATE wc_cities SET city_id = 13 WHERE city_id = 12;
UPDATE wc_cities SET city_id = 12 WHERE city_id = 10;
COMMIT;
:check
UPDATE wc_customers SET customer_id = 3 WHERE customer_id = 2;
:check
UPDATE wc_orders SET customer_id = 3 WHERE order_id = 4;
:check
UPDATE wc_orders SET customer_id = NULL WHERE order_id = 9;
:check
DELETE FROM wc_cities WHERE city_id = 12;
:check
DELETE FROM wc_customers WHERE customer_id = 3;
:check
SELECT order_id, doc->'customer_id' AS customer_id, doc->'customer' AS customer FROM wc ORDER BY 1;
INSERT INTO wc_customers VALUES (2, 'bob', 10), (3, 'cat', NULL);
UPDATE wc_orders SET customer_id = 1 WHERE order_id = 9;
:check

-- Several matches of an object: the first by the key
INSERT INTO wc_addresses VALUES (5, 1, 'five');
:check
INSERT INTO wc_addresses VALUES (7, 1, 'seven');
:check
INSERT INTO wc_addresses VALUES (3, 1, 'three');
:check
SELECT doc->'customer'->'address' AS address FROM wc WHERE order_id = 9;
UPDATE wc_addresses SET line = 'VII' WHERE address_id = 7;
:check
UPDATE wc_addresses SET address_id = 8 WHERE address_id = 3;
:check
DELETE FROM wc_addresses WHERE address_id = 5;
:check
SELECT doc->'customer'->'address' AS address FROM wc WHERE order_id = 9;
UPDATE wc_addresses SET customer_id = 3 WHERE address_id = 7;
:check
UPDATE wc_addresses SET customer_id = NULL;
:check
-- NULL relates to nothing
INSERT INTO wc_customers VALUES (4, 'dot', NULL);
INSERT INTO wc_parts VALUES (90, NULL, 'of nothing');
INSERT INTO wc_items VALUES (2, 1, NULL, NULL, NULL);
:check
SELECT doc->'items' AS items FROM wc WHERE order_id = 2;
UPDATE wc_addresses SET customer_id = 3 WHERE address_id = 8;
:check

-- Arrays, and objects in their elements
INSERT INTO wc_payments VALUES (2, 2, 1, 10.00), (2, 1, 2, 20.50), (4, 1, NULL, 0);
:check
SELECT doc->'payments' AS payments FROM wc WHERE order_id = 2;
INSERT INTO wc_kinds VALUES (1, 'card'), (2, 'cash');
:check
UPDATE wc_kinds SET name = 'credit card' WHERE kind_id = 1;
:check
UPDATE wc_kinds SET kind_id = 3 WHERE kind_id = 2;
:check
UPDATE wc_payments SET kind_id = 3 WHERE order_id = 4;
:check
UPDATE wc_payments SET value = 220.0 WHERE order_id = 2 AND seq = 2;
:check
-- to another place in the array, to another document
UPDATE wc_payments SET seq = 0 WHERE order_id = 2 AND seq = 2;
:check
SELECT doc->'payments' AS payments FROM wc WHERE order_id = 2;
UPDATE wc_payments SET order_id = 4, seq = 9 WHERE order_id = 2 AND seq = 1;
:check
UPDATE wc_payments SET order_id = 77 WHERE order_id = 4 AND seq = 9;
:check
UPDATE wc_payments SET order_id = CASE order_id WHEN 2 THEN 4 WHEN 4 THEN 2 ELSE order_id END;
:check
DELETE FROM wc_payments WHERE order_id = 4;
:check
SELECT order_id, doc->'payments' AS payments FROM wc ORDER BY 1;

-- Deeper
INSERT INTO wc_items VALUES (4, 1, 'p3', 2, 9.90);
:check
INSERT INTO wc_sellers VALUES (1, 'sam'), (2, 'sue');
:check
INSERT INTO wc_products VALUES ('p3', 'pad', NULL), ('p2', 'ink', 20);
:check
INSERT INTO wc_parts VALUES (1, 'p1', 'cap'), (2, 'p1', 'nib'), (3, 'p3', 'cover');
:check
INSERT INTO wc_notes VALUES (1, 2, 'blue'), (1, 1, 'shiny'), (3, 1, 'thick');
:check
SELECT jsonb_pretty(doc->'items') FROM wc WHERE order_id = 9;
UPDATE wc_notes SET text = 'dull' WHERE part_id = 1 AND n = 1;
:check
UPDATE wc_notes SET part_id = 3, n = 2 WHERE part_id = 1 AND n = 2;
:check
UPDATE wc_parts SET label = 'lid' WHERE part_id = 1;
:check
UPDATE wc_parts SET product_id = 'p3' WHERE part_id = 1;
:check
UPDATE wc_parts SET part_id = 4 WHERE part_id = 1;
:check
UPDATE wc_notes SET part_id = 4 WHERE part_id = 1;
:check
UPDATE wc_parts SET product_id = NULL WHERE part_id = 2;
:check
UPDATE wc_products SET weight = 4 WHERE product_id = 'p3';
:check
BEGIN;
UPDATE wc_products SET product_id = 'tmp' WHERE product_id = 'p1';
UPDATE wc_products SET product_id = 'p1' WHERE product_id = 'p3';
UPDATE wc_products SET product_id = 'p3' WHERE product_id = 'tmp';
COMMIT;
:check
SELECT order_id, jsonb_path_query_array(doc, '$.items[*].product.name') AS products FROM wc ORDER BY 1;
UPDATE wc_items SET product_id = 'p1' WHERE order_id = 4 AND item_id = 1;
:check
UPDATE wc_items SET seller_id = 1 WHERE order_id = 9;
:check
UPDATE wc_sellers SET seller_id = seller_id + 10 WHERE seller_id = 2;
:check
UPDATE wc_items SET seller_id = 12, order_id = 1, item_id = 7 WHERE order_id = 4;
:check
UPDATE wc_items SET order_id = 55 WHERE order_id = 1 AND item_id = 2;
:check
UPDATE wc_items SET product_id = NULL, seller_id = NULL WHERE order_id = 1 AND item_id = 7;
:check
DELETE FROM wc_sellers;
:check
UPDATE wc_items SET product_id = 'p3' WHERE order_id = 9;
:check
DELETE FROM wc_notes WHERE part_id = 4;
:check
DELETE FROM wc_products WHERE product_id = 'p1';
:check
DELETE FROM wc_items;
:check

-- All in one transaction: the parent last, the parent first, moved while they change
BEGIN;
INSERT INTO wc_notes VALUES (60, 1, 'one'), (60, 2, 'two');
INSERT INTO wc_parts VALUES (60, 'p60', 'part');
INSERT INTO wc_products VALUES ('p60', 'sixty', 60);
INSERT INTO wc_items VALUES (60, 1, 'p60', 60, 60);
INSERT INTO wc_orders VALUES (60, 60, 'new', NULL);
COMMIT;
:check
BEGIN;
UPDATE wc_orders SET order_id = 61, customer_id = 61 WHERE order_id = 60;
UPDATE wc_items SET order_id = 61, product_id = 'p61' WHERE order_id = 60;
UPDATE wc_products SET product_id = 'p61' WHERE product_id = 'p60';
UPDATE wc_parts SET product_id = 'p61', part_id = 61 WHERE part_id = 60;
UPDATE wc_notes SET part_id = 61 WHERE part_id = 60;
INSERT INTO wc_customers VALUES (61, 'eve', 10);
COMMIT;
:check
SELECT doc FROM wc WHERE order_id = 61;
BEGIN;
INSERT INTO wc_items VALUES (61, 2, 'p61', 1, 1);
UPDATE wc_items SET order_id = 2, item_id = 20 WHERE order_id = 61 AND item_id = 1;
DELETE FROM wc_parts WHERE part_id = 61;
UPDATE wc_items SET product_id = 'p2' WHERE order_id = 2 AND item_id = 20;
DELETE FROM wc_products WHERE product_id = 'p61';
INSERT INTO wc_products VALUES ('p61', 'other', 1);
COMMIT;
:check
-- undone, all or in part
BEGIN;
UPDATE wc_orders SET customer_id = 3;
DELETE FROM wc_items;
ROLLBACK;
:check
BEGIN;
UPDATE wc_products SET name = 'kept' WHERE product_id = 'p2';
SAVEPOINT a;
UPDATE wc_products SET name = 'lost', product_id = 'lost' WHERE product_id = 'p2';
DELETE FROM wc_orders;
ROLLBACK TO a;
SAVEPOINT b;
UPDATE wc_items SET price = 99 WHERE order_id = 61;
RELEASE b;
COMMIT;
:check
-- many changes of one document in one transaction, and in many
DO $$
BEGIN
	FOR k IN 1..300 LOOP
		INSERT INTO wc_payments VALUES (61, k, k % 5, k / 100.0);
		UPDATE wc_payments SET value = value + 1 WHERE order_id = 61;
		UPDATE wc_orders SET note = k WHERE order_id = 61;
		DELETE FROM wc_payments WHERE order_id = 61 AND seq = k - 20;
	END LOOP;
END
$$;
:check
DO $$
BEGIN
	FOR k IN 1..60 LOOP
		UPDATE wc_payments SET value = value - 1, kind_id = (kind_id + 1) % 4 WHERE order_id = 61 AND seq % 7 = k % 7;
		UPDATE wc_orders SET note = -k WHERE order_id = 61;
		COMMIT;
	END LOOP;
END
$$;
:check

-- A product, and a customer, of many
INSERT INTO wc_orders SELECT i, 3, 'bulk', NULL FROM generate_series(1001, 3000) i;
INSERT INTO wc_items SELECT i, 1, CASE WHEN i % 2 = 0 THEN 'p2' ELSE 'p' || i END, 1, i FROM generate_series(1001, 3000) i;
:check
UPDATE wc_products SET name = 'shared' WHERE product_id = 'p2';
:check
SELECT count(*) FROM wc WHERE doc @> '{"items": [{"product": {"name": "shared"}}]}';
UPDATE wc_customers SET city_id = 13 WHERE customer_id = 3;
:check
UPDATE wc_cities SET name = 'thun' WHERE city_id = 13;
:check
INSERT INTO wc_parts VALUES (70, 'p2', 'shared part');
:check
UPDATE wc_products SET product_id = 'p1001' WHERE product_id = 'p2';
:check
DELETE FROM wc_customers WHERE customer_id = 3;
:check
DELETE FROM wc_orders WHERE order_id % 3 = 0;
:check
UPDATE wc_orders SET order_id = order_id + 5000 WHERE order_id > 1000;
:check
UPDATE wc_items SET order_id = order_id + 5000 WHERE order_id > 1000;
:check
DELETE FROM wc_orders WHERE order_id > 1000;
DELETE FROM wc_items WHERE order_id > 1000;
:check

-- At random, one transaction each, some of them rolled back in part
CREATE PROCEDURE wc_random(transactions int) LANGUAGE plpgsql AS $$
DECLARE
	r float8;
BEGIN
	FOR k IN 1..transactions LOOP
		r := random();
		FOR j IN 0..(random() * 3)::int LOOP
			BEGIN
				CASE (random() * 23)::int
					WHEN 0 THEN INSERT INTO wc_orders VALUES ((random() * 12)::int, (random() * 4)::int, k, NULL);
					WHEN 1 THEN DELETE FROM wc_orders WHERE order_id = (r * 12)::int;
					WHEN 2 THEN UPDATE wc_orders SET order_id = (random() * 12)::int WHERE order_id = (r * 12)::int;
					WHEN 3 THEN UPDATE wc_orders SET customer_id = nullif((random() * 4)::int, 0) WHERE order_id = (r * 12)::int;
					WHEN 4 THEN INSERT INTO wc_customers VALUES ((random() * 4)::int, k, (random() * 2)::int);
					WHEN 5 THEN UPDATE wc_customers SET customer_id = (random() * 4)::int, city_id = (random() * 2)::int WHERE customer_id = (r * 4)::int;
					WHEN 6 THEN DELETE FROM wc_customers WHERE customer_id = (r * 4)::int;
					WHEN 7 THEN INSERT INTO wc_cities VALUES ((random() * 2)::int, k);
					WHEN 8 THEN UPDATE wc_cities SET city_id = (random() * 2)::int WHERE city_id = (r * 2)::int;
					WHEN 9 THEN DELETE FROM wc_cities WHERE city_id = (r * 2)::int;
					WHEN 10 THEN INSERT INTO wc_addresses VALUES (k % 10, (random() * 4)::int, k);
					WHEN 11 THEN UPDATE wc_addresses SET address_id = (random() * 9)::int, customer_id = (random() * 4)::int WHERE address_id = (r * 9)::int;
					WHEN 12 THEN DELETE FROM wc_addresses WHERE address_id = (r * 9)::int;
					WHEN 13 THEN INSERT INTO wc_payments VALUES ((random() * 12)::int, (random() * 4)::int, (random() * 3)::int, k);
					WHEN 14 THEN UPDATE wc_payments SET order_id = (random() * 12)::int, kind_id = nullif((random() * 3)::int, 0) WHERE order_id = (r * 12)::int AND seq = (r * 4)::int;
					WHEN 15 THEN UPDATE wc_kinds SET kind_id = (random() * 3)::int WHERE kind_id = (r * 3)::int;
					WHEN 16 THEN INSERT INTO wc_items VALUES ((random() * 12)::int, (random() * 4)::int, 'p' || (random() * 5)::int, (random() * 3)::int, k);
					WHEN 17 THEN UPDATE wc_items SET order_id = (random() * 12)::int, product_id = 'p' || (random() * 5)::int WHERE order_id = (r * 12)::int;
					WHEN 18 THEN DELETE FROM wc_items WHERE order_id = (r * 12)::int;
					WHEN 19 THEN INSERT INTO wc_products VALUES ('p' || (random() * 5)::int, k, k);
					WHEN 20 THEN UPDATE wc_products SET product_id = 'p' || (random() * 5)::int WHERE product_id = 'p' || (r * 5)::int;
					WHEN 21 THEN INSERT INTO wc_parts VALUES ((random() * 8)::int, 'p' || (random() * 5)::int, k);
					WHEN 22 THEN UPDATE wc_parts SET part_id = (random() * 8)::int, product_id = 'p' || (random() * 5)::int WHERE part_id = (r * 8)::int;
					WHEN 23 THEN INSERT INTO wc_notes VALUES ((random() * 8)::int, k, 'n'); DELETE FROM wc_notes WHERE n < k - 60;
				END CASE;
				IF random() < 0.1 THEN RAISE EXCEPTION 'undone' USING ERRCODE = '23505'; END IF;
			EXCEPTION WHEN unique_violation THEN
				NULL;
			END;
		END LOOP;
		COMMIT;
	END LOOP;
END
$$;
SELECT setseed(0.25);
CALL wc_random(200);
\set check 'SELECT regexp_replace(check_wide(''wc''), ''^ok.*'', ''ok'') AS check_wide;'
:check
CALL wc_random(200);
:check
CALL wc_random(1000);
:check
-- and with the differences of large batches
SELECT freshet.pause_sink('wc');
CALL wc_random(100);
SELECT freshet.resume_sink('wc');
CALL wc_random(100);
SELECT freshet.wait('wc', '60 s') IS NOT NULL AS live;
:check
SELECT state, error FROM freshet.status WHERE sink = 'wc'::regclass;

DROP VIEW wc_oracle;
SELECT freshet.drop_sink('wc');
DROP TABLE wc_orders, wc_customers, wc_cities, wc_addresses, wc_payments, wc_kinds, wc_items, wc_products, wc_sellers, wc_parts, wc_notes;
DROP PROCEDURE wc_random;
DELETE FROM wide_seen;
