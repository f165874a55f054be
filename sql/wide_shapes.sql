-- Wide views: shapes of documents, of relations and of tables
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;

-- An array in an array in an object; one table at two paths; a lookup below an
-- array that relates to the root, and one that relates to two levels at once
CREATE TABLE ws_orders (id int PRIMARY KEY, buyer int, ship_to int, bill_to int, region text);
CREATE TABLE ws_people (id int PRIMARY KEY, name text);
CREATE TABLE ws_phones (id int PRIMARY KEY, person int, number text);
CREATE TABLE ws_calls (phone int, at int, note text, PRIMARY KEY (phone, at));
CREATE TABLE ws_addresses (id int PRIMARY KEY, city text);
CREATE TABLE ws_items (order_id int, n smallint, product text, PRIMARY KEY (order_id, n));
CREATE TABLE ws_taxes (region text PRIMARY KEY, percent numeric(4,2));
CREATE TABLE ws_prices (product text, region text, price numeric(10,2), PRIMARY KEY (region, product));
CREATE TABLE ws_labels (id int PRIMARY KEY, order_no int, item_no int, label text);
INSERT INTO ws_orders VALUES (1, 1, 1, 1, 'eu'), (2, 1, 1, 2, 'us'), (3, 2, 3, NULL, NULL), (4, 9, 9, 9, 'xx');
INSERT INTO ws_people VALUES (1, 'ann'), (2, 'bob');
INSERT INTO ws_phones VALUES (1, 1, '11'), (2, 1, '12'), (3, 2, '23'), (4, 7, '74');
INSERT INTO ws_calls VALUES (1, 2, 'b'), (1, 1, 'a'), (3, 1, 'c');
INSERT INTO ws_addresses VALUES (1, 'bern'), (2, 'basel'), (3, 'chur');
INSERT INTO ws_items VALUES (1, 1, 'pen'), (1, 2, 'ink'), (2, 1, 'pen'), (3, 1, 'pad');
INSERT INTO ws_taxes VALUES ('eu', 20), ('us', 7.5);
INSERT INTO ws_prices VALUES ('pen', 'eu', 2.50), ('pen', 'us', 3.00), ('ink', 'eu', 9);
INSERT INTO ws_labels VALUES (1, 1, 1, 'fragile'), (2, 1, 1, 'blue'), (3, 2, 1, 'red'), (4, 1, NULL, 'lost');
SELECT freshet.create_wide_view('ws', 'ws_orders', '[
	{"table": "ws_people", "path": "buyer_info", "type": "object", "relation": [["buyer", "id"]]},
	{"table": "ws_phones", "path": "buyer_info.phones", "type": "array", "relation": [["buyer_info.id", "person"]]},
	{"table": "ws_calls", "path": "buyer_info.phones.calls", "type": "array", "relation": [["buyer_info.phones.id", "phone"]]},
	{"table": "ws_addresses", "path": "shipping", "type": "object", "relation": [["ship_to", "id"]]},
	{"table": "ws_addresses", "path": "billing", "type": "object", "relation": [["bill_to", "id"]], "columns": ["city"]},
	{"table": "ws_items", "path": "items", "type": "array", "relation": [["id", "order_id"]], "order_by": ["product desc"]},
	{"table": "ws_taxes", "path": "items.tax", "type": "object", "relation": [["region", "region"]]},
	{"table": "ws_prices", "path": "items.price", "type": "object", "relation": [["items.product", "product"], ["region", "region"]], "columns": ["price"]},
	{"table": "ws_labels", "path": "items.labels", "type": "array", "relation": [["items.order_id", "order_no"], ["items.n", "item_no"]], "order_by": ["label"], "columns": ["label", "id"]}]');
CREATE VIEW ws_oracle AS
SELECT o.id, to_jsonb(o) || jsonb_build_object(
	'buyer_info', (SELECT to_jsonb(p) || jsonb_build_object('phones',
			coalesce((SELECT jsonb_agg(to_jsonb(h) || jsonb_build_object('calls',
						coalesce((SELECT jsonb_agg(to_jsonb(c) ORDER BY c.at) FROM ws_calls c WHERE c.phone = h.id), '[]'))
					ORDER BY h.id)
				FROM ws_phones h WHERE h.person = p.id), '[]'))
		FROM ws_people p WHERE p.id = o.buyer),
	'shipping', (SELECT to_jsonb(a) FROM ws_addresses a WHERE a.id = o.ship_to),
	'billing', (SELECT jsonb_build_object('city', a.city) FROM ws_addresses a WHERE a.id = o.bill_to),
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object(
				'tax', (SELECT to_jsonb(t) FROM ws_taxes t WHERE t.region = o.region),
				'price', (SELECT jsonb_build_object('price', r.price) FROM ws_prices r WHERE r.product = i.product AND r.region = o.region),
				'labels', coalesce((SELECT jsonb_agg(jsonb_build_object('label', l.label, 'id', l.id) ORDER BY l.label, l.id)
					FROM ws_labels l WHERE l.order_no = i.order_id AND l.item_no = i.n), '[]'))
			ORDER BY i.product DESC, i.n)
		FROM ws_items i WHERE i.order_id = o.id), '[]')) AS doc
FROM ws_orders o;
\set check 'SELECT check_wide(''ws''), wide_touched(''ws'') AS touched;'
:check
SELECT jsonb_pretty(doc) FROM ws WHERE id = 1;
INSERT INTO ws_calls VALUES (2, 1, 'd'), (4, 1, 'nobody');
:check
UPDATE ws_calls SET phone = 3, at = 0 WHERE phone = 1 AND at = 1;
:check
UPDATE ws_phones SET person = 2 WHERE id = 1;
:check
UPDATE ws_phones SET person = 1, id = 5 WHERE id = 3;
:check
UPDATE ws_people SET id = 9 WHERE id = 2;
:check
-- two paths of one table
UPDATE ws_addresses SET city = 'Bern' WHERE id = 1;
:check
UPDATE ws_addresses SET id = 9 WHERE id = 2;
:check
UPDATE ws_orders SET bill_to = ship_to, ship_to = bill_to WHERE id IN (2, 3);
:check
DELETE FROM ws_addresses WHERE id = 3;
:check
-- related to the root from below
UPDATE ws_taxes SET percent = 21 WHERE region = 'eu';
:check
UPDATE ws_orders SET region = 'us' WHERE id = 1;
:check
INSERT INTO ws_taxes VALUES ('xx', 1);
:check
INSERT INTO ws_items VALUES (4, 1, 'pen');
:check
-- related to two levels
UPDATE ws_prices SET price = 3.10 WHERE product = 'pen' AND region = 'us';
:check
UPDATE ws_prices SET region = 'xx' WHERE product = 'pen' AND region = 'us';
:check
UPDATE ws_prices SET product = 'pad', region = 'xx' WHERE product = 'ink';
UPDATE ws_orders SET region = 'xx' WHERE id = 3;
:check
UPDATE ws_items SET product = 'pen' WHERE order_id = 3;
:check
UPDATE ws_labels SET item_no = 2, label = 'azure' WHERE id IN (2, 4);
:check
UPDATE ws_labels SET order_no = 2, item_no = 1 WHERE id IN (1, 2);
:check
-- in another order, and changes of what the document does not show
UPDATE ws_labels SET label = 'zebra' WHERE id = 2;
:check
UPDATE ws_labels SET label = NULL WHERE id = 3;
:check
UPDATE ws_addresses SET id = 20 WHERE id = 9;
UPDATE ws_orders SET ship_to = 20, bill_to = 20 WHERE id = 2;
:check
SELECT doc->'items' AS items, doc->'shipping' AS shipping, doc->'billing' AS billing FROM ws WHERE id = 2;
UPDATE ws_items SET n = 5 WHERE order_id = 2;
:check
SELECT freshet.drop_sink('ws');
DROP VIEW ws_oracle;
DROP TABLE ws_orders, ws_people, ws_phones, ws_calls, ws_addresses, ws_items, ws_taxes, ws_prices, ws_labels;
DELETE FROM wide_seen;

-- A table related to itself, being the root as well
CREATE TABLE ws_staff (id int PRIMARY KEY, name text, boss int, buddy int);
INSERT INTO ws_staff VALUES (1, 'ann', NULL, 2), (2, 'bob', 1, 1), (3, 'cat', 1, 3), (4, 'dan', 2, NULL), (5, 'eve', 4, 3);
SELECT freshet.create_wide_view('wf', 'ws_staff', '[
	{"table": "ws_staff", "path": "boss_info", "type": "object", "relation": [["boss", "id"]], "columns": ["name", "boss"]},
	{"table": "ws_staff", "path": "boss_info.boss_info", "type": "object", "relation": [["boss_info.boss", "id"]], "columns": ["name"]},
	{"table": "ws_staff", "path": "reports", "type": "array", "relation": [["id", "boss"]], "columns": ["name", "id"], "order_by": ["name desc nulls last"]},
	{"table": "ws_staff", "path": "reports.buddies", "type": "array", "relation": [["reports.id", "buddy"]], "columns": ["name"]}]');
CREATE VIEW wf_oracle AS
SELECT s.id, to_jsonb(s) || jsonb_build_object(
	'boss_info', (SELECT jsonb_build_object('name', b.name, 'boss', b.boss,
			'boss_info', (SELECT jsonb_build_object('name', c.name) FROM ws_staff c WHERE c.id = b.boss))
		FROM ws_staff b WHERE b.id = s.boss),
	'reports', coalesce((SELECT jsonb_agg(jsonb_build_object('name', r.name, 'id', r.id,
				'buddies', coalesce((SELECT jsonb_agg(jsonb_build_object('name', u.name) ORDER BY u.id) FROM ws_staff u WHERE u.buddy = r.id), '[]'))
			ORDER BY r.name DESC NULLS LAST, r.id)
		FROM ws_staff r WHERE r.boss = s.id), '[]')) AS doc
FROM ws_staff s;
\set check 'SELECT check_wide(''wf''), wide_touched(''wf'') AS touched;'
:check
SELECT doc FROM wf ORDER BY id;
-- the row itself, its boss, and the reports of its boss; not the buddies' own rows
UPDATE ws_staff SET name = 'Dan' WHERE id = 4;
:check
UPDATE ws_staff SET name = 'Ann' WHERE id = 1;
:check
UPDATE ws_staff SET boss = 3 WHERE id = 4;
:check
UPDATE ws_staff SET buddy = 4 WHERE id IN (1, 2);
:check
UPDATE ws_staff SET id = 6 WHERE id = 3;
:check
UPDATE ws_staff SET boss = 6 WHERE id = 6;
:check
INSERT INTO ws_staff VALUES (3, NULL, 3, 3), (7, NULL, 6, 7);
:check
DELETE FROM ws_staff WHERE id = 6;
:check
TRUNCATE ws_staff;
:check
INSERT INTO ws_staff SELECT i, 'n' || i, i / 2, i % 7 FROM generate_series(1, 40) i;
:check
UPDATE ws_staff SET boss = id / 3, buddy = (buddy + 1) % 7 WHERE id > 5;
:check
SELECT freshet.drop_sink('wf');
DROP VIEW wf_oracle;
DROP TABLE ws_staff;
DELETE FROM wide_seen;

-- Partitioned tables: root and lookups
CREATE TABLE wp_orders (id int, region text, customer int, note text, PRIMARY KEY (region, id)) PARTITION BY LIST (region);
CREATE TABLE wp_orders_eu PARTITION OF wp_orders FOR VALUES IN ('eu');
CREATE TABLE wp_orders_us (dropped int, note text, customer int, region text NOT NULL, id int NOT NULL);
ALTER TABLE wp_orders_us DROP COLUMN dropped;
ALTER TABLE wp_orders ATTACH PARTITION wp_orders_us FOR VALUES IN ('us');
CREATE TABLE wp_items (order_id int, n int, product int, PRIMARY KEY (order_id, n)) PARTITION BY RANGE (order_id);
CREATE TABLE wp_items_1 PARTITION OF wp_items FOR VALUES FROM (0) TO (10);
CREATE TABLE wp_items_2 PARTITION OF wp_items FOR VALUES FROM (10) TO (100) PARTITION BY HASH (n);
CREATE TABLE wp_items_2a PARTITION OF wp_items_2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE wp_items_2b PARTITION OF wp_items_2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE wp_products (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
CREATE TABLE wp_products_1 PARTITION OF wp_products FOR VALUES FROM (0) TO (5);
CREATE TABLE wp_products_2 PARTITION OF wp_products FOR VALUES FROM (5) TO (MAXVALUE);
INSERT INTO wp_orders SELECT i, CASE i % 2 WHEN 0 THEN 'eu' ELSE 'us' END, i, NULL FROM generate_series(1, 15) i;
INSERT INTO wp_items SELECT i, j, i % 7 FROM generate_series(1, 15) i, generate_series(1, 2) j;
INSERT INTO wp_products SELECT i, 'p' || i FROM generate_series(0, 9) i;
SELECT freshet.create_wide_view('wp', 'wp_orders', '[
	{"table": "wp_items", "path": "items", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "wp_products", "path": "items.product_info", "type": "object", "relation": [["items.product", "id"]]}]');
CREATE VIEW wp_oracle AS
SELECT o.region, o.id, to_jsonb(o) || jsonb_build_object(
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object('product_info',
				(SELECT to_jsonb(p) FROM wp_products p WHERE p.id = i.product)) ORDER BY i.n)
		FROM wp_items i WHERE i.order_id = o.id), '[]')) AS doc
FROM wp_orders o;
\set check 'SELECT check_wide(''wp''), wide_touched(''wp'') AS touched;'
:check
SELECT * FROM wp WHERE id IN (1, 2) ORDER BY id;
UPDATE wp_products SET name = 'pp' WHERE id = 6;
:check
UPDATE wp_orders SET note = 'x' WHERE id IN (3, 4);
:check
-- rows that move from one partition to another
UPDATE wp_orders SET region = 'eu' WHERE id = 1;
:check
UPDATE wp_items SET order_id = 12, n = 7 WHERE order_id = 2 AND n = 1;
:check
UPDATE wp_products SET id = 12 WHERE id = 2;
:check
-- new, attached, detached and dropped partitions
CREATE TABLE wp_orders_ch PARTITION OF wp_orders FOR VALUES IN ('ch');
INSERT INTO wp_orders VALUES (20, 'ch', 1, NULL);
INSERT INTO wp_items VALUES (20, 1, 12);
:check
CREATE TABLE wp_items_3 (LIKE wp_items INCLUDING INDEXES);
INSERT INTO wp_items_3 VALUES (120, 1, 1), (121, 1, 12);
ALTER TABLE wp_items ATTACH PARTITION wp_items_3 FOR VALUES FROM (100) TO (200);
INSERT INTO wp_orders VALUES (120, 'ch', 1, NULL);
:check
ALTER TABLE wp_items DETACH PARTITION wp_items_1;
:check
UPDATE wp_items_1 SET product = 3;
ALTER TABLE wp_items ATTACH PARTITION wp_items_1 FOR VALUES FROM (0) TO (10);
:check
BEGIN;
ALTER TABLE wp_products DETACH PARTITION wp_products_1;
UPDATE wp_products_1 SET name = name || '!';
ALTER TABLE wp_products ATTACH PARTITION wp_products_1 FOR VALUES FROM (0) TO (5);
COMMIT;
:check
ALTER TABLE wp_orders DETACH PARTITION wp_orders_us;
:check
INSERT INTO wp_orders_us (region, id) VALUES ('us', 77);
ALTER TABLE wp_orders ATTACH PARTITION wp_orders_us FOR VALUES IN ('us');
:check
TRUNCATE wp_items_2;
:check
TRUNCATE wp_orders_eu;
:check
DROP TABLE wp_orders_us;
:check
UPDATE wp_products SET name = 'last' WHERE id IN (1, 12);
:check
TRUNCATE wp_products;
:check
SELECT state, error FROM freshet.status WHERE sink = 'wp'::regclass;
SELECT freshet.drop_sink('wp');
DROP VIEW wp_oracle;
DROP TABLE wp_orders, wp_items, wp_products;
DELETE FROM wide_seen;

-- Lookups without a primary key: ordered by all columns, equal rows and all
CREATE TABLE wn_root (a int, b text, x int, PRIMARY KEY (b, a));
CREATE TABLE wn_tags (b text, a int, tag text, extra json);
CREATE TABLE wn_first (x int, y int, z text);
INSERT INTO wn_root VALUES (1, 'k', 1), (2, 'k', 2), (1, 'l', NULL);
INSERT INTO wn_tags VALUES ('k', 1, 'b', '{"z": 1}'), ('k', 1, 'a', NULL), ('k', 1, 'b', '{"y": 1}'), ('k', 1, 'b', '{"z": 1}'), ('l', 1, NULL, '[]');
INSERT INTO wn_first VALUES (1, 2, 'two'), (1, 1, 'one'), (1, NULL, 'null'), (2, 5, 'b'), (2, 5, 'a');
SELECT freshet.create_wide_view('wn', 'wn_root', '[
	{"table": "wn_tags", "path": "tags", "type": "array", "relation": [["a", "a"], ["b", "b"]]},
	{"table": "wn_first", "path": "first", "type": "object", "relation": [["x", "x"]]},
	{"table": "wn_first", "path": "last", "type": "object", "relation": [["x", "x"]], "order_by": ["y desc nulls first"], "columns": ["z"]}]');
CREATE VIEW wn_oracle AS
SELECT r.b, r.a, to_jsonb(r) || jsonb_build_object(
	'tags', coalesce((SELECT jsonb_agg(to_jsonb(t) ORDER BY t.b, t.a, t.tag, t.extra::text COLLATE "C") FROM wn_tags t WHERE t.a = r.a AND t.b = r.b), '[]'),
	'first', (SELECT to_jsonb(f) FROM wn_first f WHERE f.x = r.x ORDER BY x, y, z LIMIT 1),
	'last', (SELECT jsonb_build_object('z', f.z) FROM wn_first f WHERE f.x = r.x ORDER BY y DESC NULLS FIRST, x, y, z LIMIT 1)) AS doc
FROM wn_root r;
\set check 'SELECT check_wide(''wn''), wide_touched(''wn'') AS touched;'
:check
SELECT * FROM wn ORDER BY b, a;
INSERT INTO wn_tags VALUES ('k', 2, 'a', NULL), ('k', 2, 'a', NULL), (NULL, 2, 'no', NULL);
:check
DELETE FROM wn_tags WHERE ctid = (SELECT min(ctid) FROM wn_tags WHERE a = 1 AND tag = 'b');
:check
UPDATE wn_tags SET a = 2 WHERE tag = 'b';
:check
UPDATE wn_root SET a = 3 WHERE a = 2;
:check
UPDATE wn_tags SET tag = 'c', a = 3, b = 'k';
:check
UPDATE wn_first SET y = 0 WHERE y = 5 AND z = 'b';
:check
DELETE FROM wn_first WHERE y IS NULL;
:check
UPDATE wn_root SET x = 1;
:check
UPDATE wn_first SET z = 'ONE' WHERE y = 1;
:check
DELETE FROM wn_tags;
:check
SELECT freshet.drop_sink('wn');
DROP VIEW wn_oracle;
DROP TABLE wn_root, wn_tags, wn_first;
DELETE FROM wide_seen;

-- Values that are equal and look different, as keys and in relations
CREATE COLLATION we_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE we_root (k numeric PRIMARY KEY, f float8, b char(5), v int);
CREATE TABLE we_named (name text COLLATE we_nocase PRIMARY KEY, v int);
CREATE TABLE we_lines (k numeric, f float8, b char(8), name text COLLATE we_nocase, n int, PRIMARY KEY (k, n));
ALTER TABLE we_lines REPLICA IDENTITY FULL;
CREATE INDEX ON we_lines (name);
INSERT INTO we_root VALUES (1.0, 0, 'a', 1), (2, -0.0, 'a ', 2), (3.00, 'NaN', 'b', 3);
INSERT INTO we_lines VALUES (1, 0, 'a', 'Ann', 1), (1.00, -0.0, 'a  ', 'ANN', 2), (3.0, 'NaN', 'c', 'bob', 1);
INSERT INTO we_named VALUES ('ann', 1), ('Bob', 2);
SELECT freshet.create_wide_view('we', 'we_root', '[
	{"table": "we_lines", "path": "lines", "type": "array", "relation": [["k", "k"]]},
	{"table": "we_lines", "path": "by_f", "type": "array", "relation": [["f", "f"]], "columns": ["n"]},
	{"table": "we_lines", "path": "by_b", "type": "array", "relation": [["b", "b"]], "columns": ["b"]}]');
SELECT freshet.create_wide_view('we_names', 'we_named', '[
	{"table": "we_lines", "path": "lines", "type": "array", "relation": [["name", "name"]], "columns": ["name", "k"]}]');
CREATE VIEW we_oracle AS
SELECT r.k, to_jsonb(r) || jsonb_build_object(
	'lines', coalesce((SELECT jsonb_agg(to_jsonb(l) ORDER BY l.k, l.n) FROM we_lines l WHERE l.k = r.k), '[]'),
	'by_f', coalesce((SELECT jsonb_agg(jsonb_build_object('n', l.n) ORDER BY l.k, l.n) FROM we_lines l WHERE l.f = r.f), '[]'),
	'by_b', coalesce((SELECT jsonb_agg(jsonb_build_object('b', l.b) ORDER BY l.k, l.n) FROM we_lines l WHERE l.b = r.b), '[]')) AS doc
FROM we_root r;
CREATE VIEW we_names_oracle AS
SELECT d.name, to_jsonb(d) || jsonb_build_object('lines',
	coalesce((SELECT jsonb_agg(jsonb_build_object('name', l.name, 'k', l.k) ORDER BY l.k, l.n) FROM we_lines l WHERE l.name = d.name), '[]')) AS doc
FROM we_named d;
\set check 'SELECT check_wide(''we''), wide_touched(''we'') AS touched, check_wide(''we_names'') AS names, wide_touched(''we_names'') AS names_touched;'
:check
UPDATE we_root SET k = 1.000 WHERE v = 1;
:check
SELECT k, doc->'k' AS in_doc FROM we ORDER BY k;
UPDATE we_root SET f = -f;
:check
UPDATE we_root SET k = 2.0, b = 'a   ' WHERE v = 2;
:check
UPDATE we_lines SET k = 2.00 WHERE n = 2;
:check
UPDATE we_lines SET f = -f, b = 'a' WHERE b = 'c';
:check
UPDATE we_named SET name = 'ANN' WHERE v = 1;
:check
UPDATE we_lines SET name = upper(name);
:check
UPDATE we_lines SET name = 'BOB' WHERE name = 'ann' AND k = 1;
:check
BEGIN;
DELETE FROM we_named WHERE v = 2;
INSERT INTO we_named VALUES ('boB', 3);
COMMIT;
:check
BEGIN;
DELETE FROM we_root WHERE v = 1;
INSERT INTO we_root VALUES (1.00000, 0, 'b', 4);
UPDATE we_root SET k = 1 WHERE v = 4;
COMMIT;
:check
SELECT * FROM we ORDER BY k;
SELECT * FROM we_names ORDER BY name;
SELECT freshet.drop_sink('we'), freshet.drop_sink('we_names');
DROP VIEW we_oracle, we_names_oracle;
DROP TABLE we_root, we_named, we_lines;
DROP COLLATION we_nocase;
DELETE FROM wide_seen;

-- No lookups; names that need quotes; a column named like a table or like doc
CREATE SCHEMA "W s";
CREATE TABLE "W s"."Root ""r""" ("the Key" int PRIMARY KEY, "a.b" int, "Root" text, x int);
CREATE TABLE "W s"."look'up" ("K" int PRIMARY KEY, "look'up" text, doc text);
INSERT INTO "W s"."Root ""r""" VALUES (1, 2, 'x', 2), (2, NULL, 'y', NULL);
INSERT INTO "W s"."look'up" VALUES (2, 'two', 'd');
SELECT freshet.create_wide_view('"W s"."Sink s"', '"W s"."Root ""r"""', '[
	{"table": "\"W s\".\"look''up\"", "path": "\"Obj ''.\"\"\"", "type": "object", "relation": [["x", "K"]]}]');
SELECT freshet.create_wide_view('"W s".plain', '"W s"."Root ""r"""');
INSERT INTO "W s"."look'up" VALUES (3, 'three', 'd3');
UPDATE "W s"."Root ""r""" SET x = 3 WHERE "the Key" = 2;
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT * FROM "W s"."Sink s" ORDER BY 1;
SELECT * FROM "W s".plain ORDER BY 1;
SELECT check_sink('"W s"."Sink s"', $$SELECT "the Key", to_jsonb(r) || jsonb_build_object('Obj ''."',
	(SELECT to_jsonb(l.*) FROM "W s"."look'up" l WHERE l."K" = r.x)) AS doc FROM "W s"."Root ""r""" r$$);
SELECT check_sink('"W s".plain', $$SELECT "the Key", to_jsonb(r) AS doc FROM "W s"."Root ""r""" r$$);
-- an alias of the definition cannot be mistaken for a column, nor the other way round
CREATE TABLE "W s".l (l int PRIMARY KEY, r int, n0 text, n1 text, root text, t text, lookup text, x text, doc text);
INSERT INTO "W s".l VALUES (1, 1, 'n0', 'n1', 'root', 't', 'lookup', 'x', 'doc');
SELECT freshet.create_wide_view('"W s".aliases', '"W s".l', '[
	{"table": "\"W s\".l", "path": "o", "type": "object", "relation": [["r", "l"]]},
	{"table": "\"W s\".l", "path": "o.p", "type": "array", "relation": [["o.r", "r"]]}]');
UPDATE "W s".l SET x = 'y';
SELECT check_sink('"W s".aliases', $$SELECT l, to_jsonb(_0.*) || jsonb_build_object('o',
	(SELECT to_jsonb(_1.*) || jsonb_build_object('p', (SELECT jsonb_agg(to_jsonb(_2.*)) FROM "W s".l _2 WHERE _2.r = _1.r))
	FROM "W s".l _1 WHERE _1.l = _0.r)) AS doc FROM "W s".l _0$$);
SELECT doc FROM "W s".aliases;
DROP SCHEMA "W s" CASCADE;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;
