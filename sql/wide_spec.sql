-- The specification of a wide view: what is refused, and what documents it makes
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA wspec;
SET search_path = wspec, public;

CREATE TABLE customers (id int PRIMARY KEY, name text, "Mixed Case" text);
CREATE TABLE orders (id int PRIMARY KEY, customer_id int, note text, "odd.name" text);
CREATE TABLE items (order_id int, pos int, product_id bigint, color text, price numeric(10,2),
	PRIMARY KEY (order_id, pos));
CREATE TABLE products (id bigint PRIMARY KEY, name text, maker_id int);
CREATE TABLE variants (product_id bigint, color text, sku text, PRIMARY KEY (product_id, color));
CREATE TABLE tags (order_id int, pos int, tag text);
-- not freshet's to set back: when it does, nobody can say
ALTER TABLE customers REPLICA IDENTITY FULL;
ALTER TABLE tags REPLICA IDENTITY FULL;
CREATE TABLE people (id int PRIMARY KEY, boss_id int REFERENCES people, name text);

-- only documents are of interest here, not advice
CREATE INDEX ON orders (customer_id);
CREATE INDEX ON orders (note);
CREATE INDEX ON items (product_id);
CREATE INDEX ON items (color, product_id);
CREATE INDEX ON tags (order_id, pos);
CREATE INDEX ON tags (tag);
CREATE INDEX ON people (boss_id);
CREATE INDEX ON customers (name);
CREATE INDEX ON products (maker_id);
CREATE INDEX ON products (name);

-- the specification of one lookup, and a wide view from it
CREATE FUNCTION spec(lookups text, root regclass DEFAULT 'orders') RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.create_wide_view('wspec.never', root, lookups::json, with_data => false);
	RAISE EXCEPTION 'accepted';
END $$;
CREATE FUNCTION one(more text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM spec(format('[{"table": "items", "path": "items", "type": "array", "relation": [["id", "order_id"]]},
		{"table": "products", "path": "items.product", "type": "object",
		 "relation": [["items.product_id", "id"]]}, %s]', more));
END $$;

--
-- Form
--
\set SHOW_CONTEXT never
SELECT freshet.create_wide_view('never', 'orders', '[{"table": }]');
SELECT spec('{}');
SELECT spec('"items"');
SELECT spec('[1]');
SELECT spec('[{"table": "items"}, null]');
SELECT spec('[{}]');
SELECT spec('[{"table": "items", "path": "items", "type": "array"}]');
SELECT spec('[{"table": "items", "path": "items", "tipe": "array"}]');
SELECT spec('[{"table": "items", "path": "items", "colour": "array"}]');
SELECT spec('[{"table": "items", "path": "items", "path": "x"}]');
SELECT one('{"table": 1, "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": ["x"], "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": true, "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "list", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": "id"}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": []}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": ["id", "id"]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"], ["id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", 7]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": "id"}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": []}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": ["id", 1]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "order_by": {}}');
SELECT one('{"table": "products", "path": "x\u0000", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "x\ud800", "type": "object", "relation": [["id", "id"]]}');
SELECT spec(repeat('[', 1500) || repeat(']', 1500));

--
-- Tables
--
SELECT one('{"table": "product", "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "no_such_schema.products", "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "wspec.prodacts", "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "", "path": "x", "type": "object", "relation": [["id", "id"]]}');
CREATE VIEW a_view AS SELECT * FROM products;
CREATE TEMP TABLE a_temp (id int PRIMARY KEY);
CREATE UNLOGGED TABLE an_unlogged (id int PRIMARY KEY);
CREATE TABLE parent (id int PRIMARY KEY);
CREATE TABLE child () INHERITS (parent);
\set SHOW_CONTEXT errors
SELECT freshet.create_wide_view('never', 'orders',
	'[{"table": "a_view", "path": "x", "type": "object", "relation": [["id", "id"]]}]');
\set SHOW_CONTEXT never
SELECT one('{"table": "a_temp", "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "an_unlogged", "path": "x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "pg_class", "path": "x", "type": "object", "relation": [["id", "oid"]]}');
SELECT one('{"table": "parent", "path": "x", "type": "object", "relation": [["id", "id"]]}');
-- the server's words for it differ by version
\set VERBOSITY sqlstate
SELECT one('{"table": "items_pkey", "path": "x", "type": "object", "relation": [["id", "id"]]}');
\set VERBOSITY default

--
-- Paths
--
SELECT one('{"table": "products", "path": "", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "items..x", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "items.", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "items.\"\"", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "\"items", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "it\"ems", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "\"items\"x", "type": "object", "relation": [["id", "id"]]}');
SELECT one(format('{"table": "products", "path": "%s", "type": "object", "relation": [["id", "id"]]}',
	repeat('x', 64)));
SELECT one('{"table": "products", "path": "items", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "items.\"product\"", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "note", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "items.price", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "goods.product", "type": "object", "relation": [["id", "id"]]}');
SELECT one('{"table": "products", "path": "note.product", "type": "object", "relation": [["id", "id"]]}');
SELECT one(format('{"table": "products", "path": "%s", "type": "object", "relation": [["id", "id"]]}',
	'x' || repeat('.x', 50)));
SELECT spec(json_agg(json_build_object('table', 'items', 'path', 'i' || i, 'type', 'array',
	'relation', '[["id", "order_id"]]'::json))::text) FROM generate_series(1, 501) i;
-- and far more, nested as well, are refused at once
SET statement_timeout = '20 s';
SELECT spec(json_agg(json_build_object('table', 'items', 'path', CASE WHEN i % 40 = 1 THEN 'i' || i ELSE 'i' || i - (i - 1) % 40 || repeat('.x', (i - 1) % 40) END, 'type', 'array',
	'relation', '[["id", "order_id"]]'::json))::text) FROM generate_series(1, 60000) i;
SELECT spec(json_agg(json_build_object('table', 'items', 'path', 'i' || i, 'type', 'array',
	'relation', '[["id", "order_id"]]'::json))::text) FROM generate_series(1, 500) i;
SELECT one(format('{"table": "products", "path": "%s", "type": "object", "relation": [["id", "id"]]}',
	'x' || repeat('.x', 1000000)));
SELECT one(format('{"table": "products", "path": "x", "type": "object", "relation": [["%s", "id"]]}',
	'x' || repeat('.x', 1000000)));
SELECT one(format('{"table": "products", "path": "x", "type": "object", "relation": %s}',
	(SELECT json_agg('["id", "id"]'::json) FROM generate_series(1, 33))));
SELECT one(format('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": %s}',
	(SELECT json_agg('id' || i) FROM generate_series(1, 1665) i)));
RESET statement_timeout;
DO $$
BEGIN
	EXECUTE (SELECT 'CREATE TABLE wide (id int PRIMARY KEY, ' || string_agg('c' || i || ' "char"', ', ') || ')' FROM generate_series(1, 1399) i);
END
$$;
SELECT spec((SELECT json_agg(json_build_object('table', 'items', 'path', 'i' || i, 'type', 'array',
	'relation', '[["id", "order_id"]]'::json))::text FROM generate_series(1, 300) i), 'wide');
DROP TABLE wide;

--
-- Columns, relations, order
--
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["idd", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "ID"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "product_code"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["ctid", "id"]]}');
SELECT one('{"table": "products", "path": "items.x", "type": "object", "relation": [["product_id", "id"]]}');
SELECT one('{"table": "products", "path": "items.x", "type": "object", "relation": [["items.product", "id"]]}');
SELECT one('{"table": "products", "path": "items.x", "type": "object", "relation": [["goods.product_id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["items.product_id", "id"]]}');
SELECT one('{"table": "products", "path": "items.x", "type": "object", "relation": [["items.product.id", "id"]]}');
SELECT one('{"table": "people", "path": "x", "type": "object", "relation": [["x.boss_id", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "name"]]}');
SELECT one('{"table": "products", "path": "items.x", "type": "object", "relation": [["items.price", "id"]]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": ["id", "nam"]}');
SELECT one('{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]], "columns": ["id", "id"]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["nam"]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["name down"]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["name desc nulls"]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["name nulls last desc"]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": [""]}');
SELECT one('{"table": "products", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["name", "name desc"]}');

CREATE COLLATION nd (provider = icu, locale = 'und', deterministic = false);
CREATE TABLE kinds (id int PRIMARY KEY, j json, p point, v varchar(10), c char(3), d date,
	t timestamp, tz timestamptz, e text COLLATE nd, f text COLLATE "C", i8 bigint, a int[]);
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["j", "j"]]}]', 'kinds');
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["v", "c"]]}]', 'kinds');
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["d", "tz"]]}]', 'kinds');
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["e", "v"]]}]', 'kinds');
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["id", "a"]]}]', 'kinds');
SELECT spec('[{"table": "kinds", "path": "x", "type": "array", "relation": [["id", "id"]], "order_by": ["p"]}]', 'kinds');

--
-- Root and arguments
--
CREATE TABLE nokey (id int);
CREATE TABLE dockey (doc int PRIMARY KEY);
CREATE TABLE deferred (id int PRIMARY KEY DEFERRABLE);
SELECT freshet.create_wide_view('never', 'nokey');
SELECT freshet.create_wide_view('never', 'deferred');
SELECT freshet.create_wide_view('never', 'dockey');
SELECT freshet.create_wide_view('never', 'a_view');
SELECT freshet.create_wide_view('never', 'a_temp');
SELECT freshet.create_wide_view('never', 'no_such_table');
SELECT freshet.create_wide_view(NULL, 'orders');
SELECT freshet.create_wide_view('never', NULL);
SELECT freshet.create_wide_view('never', 'orders', NULL);
SELECT freshet.create_wide_view('orders', 'orders');
SELECT freshet.create_wide_view('pg_temp.never', 'orders');

--
-- Rights
--
CREATE ROLE wspec_user;
GRANT USAGE, CREATE ON SCHEMA wspec TO wspec_user;
GRANT SELECT ON orders TO wspec_user;
GRANT SELECT (order_id, pos) ON items TO wspec_user;
SET ROLE wspec_user;
SELECT freshet.create_wide_view('never', 'orders',
	'[{"table": "products", "path": "x", "type": "object", "relation": [["id", "id"]]}]');
SELECT freshet.create_wide_view('never', 'orders',
	'[{"table": "items", "path": "x", "type": "array", "relation": [["id", "order_id"]]}]');
BEGIN;
SELECT freshet.create_wide_view('never', 'orders',
	'[{"table": "items", "path": "x", "type": "array", "relation": [["id", "order_id"]],
	   "columns": ["pos"]}]', with_data => false);
RESET ROLE;
SELECT kind, strategy, paused, columns FROM freshet.sink WHERE relid = 'never'::regclass;
ROLLBACK;
RESET ROLE;
DROP OWNED BY wspec_user;
DROP ROLE wspec_user;

--
-- Documents
--
INSERT INTO customers VALUES (1, 'Ann', 'x'), (2, 'Bob', NULL), (3, 'Ann', 'y');
INSERT INTO orders VALUES (1, 1, 'first', 'o'), (2, 9, NULL, NULL), (3, NULL, 'third', NULL), (4, 2, 'Ann', NULL);
INSERT INTO products VALUES (10, 'shoe', 1), (11, 'hat', 2), (12, 'hat', NULL);
INSERT INTO variants VALUES (10, 'red', 'S-R'), (10, 'blue', 'S-B'), (11, 'red', 'H-R');
INSERT INTO items VALUES (1, 2, 11, 'red', 5.50), (1, 1, 10, 'blue', 100), (1, 10, 10, NULL, 7.00),
	(2, 1, 99, 'red', 0.10), (4, 1, NULL, 'red', NULL);
INSERT INTO tags VALUES (1, 1, 'b'), (1, 1, 'a'), (1, 1, NULL), (1, 2, 'c'), (4, 1, 'z'), (NULL, 1, 'n');
INSERT INTO people VALUES (1, NULL, 'Zoe'), (2, 1, 'Yan'), (3, 1, 'Xi'), (4, 2, 'Wu');

-- make a wide view, print what its definition says, drop it
CREATE FUNCTION docs(lookups text, root regclass DEFAULT 'orders') RETURNS SETOF text
LANGUAGE plpgsql AS $$
DECLARE
	def regclass;
BEGIN
	PERFORM freshet.create_wide_view('wspec.wv', root, lookups::json, with_data => false);
	SELECT s.definition INTO def FROM freshet.sink s WHERE s.relid = 'wspec.wv'::regclass;
	RETURN QUERY EXECUTE format($q$SELECT doc::text FROM %s ORDER BY doc->'id'$q$, def);
	PERFORM freshet.drop_sink('wspec.wv');
END $$;

-- only the root
SELECT docs('[]');
-- a parent that comes later in the list; objects in objects in arrays, found and not found
SELECT docs('[{"table": "variants", "path": "items.product.variants", "type": "array",
		"relation": [["items.product.id", "product_id"]], "columns": ["sku", "color"], "order_by": ["sku desc"]},
	{"table": "products", "path": "items.product", "type": "object", "relation": [["items.product_id", "id"]]},
	{"table": "items", "path": "items", "type": "array", "relation": [["id", "order_id"]],
		"columns": ["pos", "price"]},
	{"table": "customers", "path": "customer", "type": "object", "relation": [["customer_id", "id"]]}]');
-- composite relations, to one element and to several; a table without a key
SELECT docs('[{"table": "items", "path": "items", "type": "array", "relation": [["id", "order_id"]], "columns": ["pos", "color"]},
	{"table": "variants", "path": "items.variant", "type": "object",
		"relation": [["items.product_id", "product_id"], ["items.color", "color"]], "columns": ["sku"]},
	{"table": "tags", "path": "items.tags", "type": "array",
		"relation": [["items.pos", "pos"], ["id", "order_id"]], "columns": ["tag"]}]');
-- an object of which there are several: the first by its order, then by its key
SELECT docs('[{"table": "customers", "path": "same_name", "type": "object", "relation": [["note", "name"]]},
	{"table": "customers", "path": "last_of_name", "type": "object", "relation": [["note", "name"]], "order_by": ["id desc"]},
	{"table": "tags", "path": "tag", "type": "object", "relation": [["id", "order_id"]], "columns": ["tag"]}]');
-- order
SELECT docs('[{"table": "tags", "path": "a", "type": "array", "relation": [["id", "order_id"]], "columns": ["tag"], "order_by": ["tag desc"]},
	{"table": "tags", "path": "b", "type": "array", "relation": [["id", "order_id"]], "columns": ["tag"], "order_by": ["tag NULLS FIRST"]},
	{"table": "tags", "path": "c", "type": "array", "relation": [["id", "order_id"]], "columns": ["tag"], "order_by": [" tag Desc  Nulls last "]},
	{"table": "items", "path": "d", "type": "array", "relation": [["id", "order_id"]], "columns": ["pos"]},
	{"table": "items", "path": "e", "type": "array", "relation": [["id", "order_id"]], "columns": ["pos"], "order_by": ["color", "pos desc"]}]')
LIMIT 1;
-- the same table twice, and a table related to itself, at any depth
SELECT docs('[{"table": "people", "path": "boss", "type": "object", "relation": [["boss_id", "id"]]},
	{"table": "people", "path": "boss.reports", "type": "array", "relation": [["boss.id", "boss_id"]], "columns": ["name"]},
	{"table": "people", "path": "reports", "type": "array", "relation": [["id", "boss_id"]], "columns": ["id"]},
	{"table": "people", "path": "reports.peers", "type": "array", "relation": [["id", "boss_id"]], "columns": ["id"]}]', 'people');
-- names that need quotes; escapes; the case of paths is kept
SELECT docs('[{"table": "\"wspec\".Customers", "path": "\"a.b\"", "type": "object", "relation": [["customer_id", "id"]],
		"columns": ["Mixed Case", "name"], "order_by": ["\"Mixed Case\" desc"]},
	{"table": "customers", "path": "\"a.b\".\"say \"\"hi\"\"\"", "type": "object", "relation": [["\"a.b\".name", "name"]], "columns": ["id"]},
	{"table": "customers", "path": "camelCase", "type": "object", "relation": [["\"odd.name\"", "Mixed Case"]], "columns": ["id"]},
	{"table": "customers", "path": "d\u00e9j\u00e0 vu", "type": "object", "relation": [["customer_id", "\u0069d"]], "columns": ["id"]}]')
LIMIT 1;
-- columns named as the definition's own aliases
CREATE TABLE r (e int PRIMARY KEY, r int, t1 int);
CREATE TABLE e1 (t1 int PRIMARY KEY, e1 int, r int, record text);
INSERT INTO r VALUES (1, 2, 3);
INSERT INTO e1 VALUES (3, 4, 1, 'x');
CREATE INDEX ON r (t1);
SELECT docs('[{"table": "e1", "path": "e1", "type": "array", "relation": [["t1", "t1"]]},
	{"table": "e1", "path": "e1.t2", "type": "object", "relation": [["e1.t1", "t1"], ["e", "r"]]}]', 'r');
-- types that compare without a cast
CREATE TABLE kinds2 (id bigint PRIMARY KEY, v text, d timestamp, f text COLLATE "POSIX");
INSERT INTO kinds (id, v, d, f, c) VALUES (1, 'v', '2020-02-02', 'f', 'c');
INSERT INTO kinds2 VALUES (1, 'v', '2020-02-02', 'f');
SET client_min_messages = warning;
SELECT docs('[{"table": "kinds2", "path": "k1", "type": "array", "relation": [["v", "v"]], "columns": ["id"]},
	{"table": "kinds2", "path": "k2", "type": "array", "relation": [["d", "d"]], "columns": ["id"]},
	{"table": "kinds2", "path": "k3", "type": "array", "relation": [["f", "f"]], "columns": ["id"]},
	{"table": "kinds2", "path": "k4", "type": "array", "relation": [["id", "id"], ["v", "f"]], "columns": ["id"]}]', 'kinds')::jsonb - '{j,p,t,tz,e,i8,a}'::text[];
RESET client_min_messages;

-- a whole order beside a query written by hand
SELECT freshet.create_wide_view('wv', 'orders', '[
	{"table": "items", "path": "items", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "products", "path": "items.product", "type": "object", "relation": [["items.product_id", "id"]]},
	{"table": "customers", "path": "customer", "type": "object", "relation": [["customer_id", "id"]]}]', with_data => false);
CREATE VIEW by_hand AS
	SELECT o.id, to_jsonb(o) || jsonb_build_object(
		'customer', (SELECT to_jsonb(c) FROM customers c WHERE c.id = o.customer_id),
		'items', COALESCE((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object('product',
				(SELECT to_jsonb(p) FROM products p WHERE p.id = i.product_id)) ORDER BY i.pos)
			FROM items i WHERE i.order_id = o.id), '[]')) AS doc
	FROM orders o;
CREATE FUNCTION on_definition(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(query, (SELECT definition FROM freshet.sink WHERE relid = 'wv'::regclass));
END $$;
SELECT on_definition('SELECT count(*)::text FROM %s d FULL JOIN by_hand h USING (id)
	WHERE d.doc IS DISTINCT FROM h.doc') AS differences;

-- it is restricted by key as an inlined query, and computed for the rows joined alone
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT on_definition('EXPLAIN (COSTS OFF) SELECT v.* FROM (VALUES (1), (2)) k (id) JOIN %s v USING (id)');
RESET enable_seqscan;
RESET enable_bitmapscan;

-- renaming
SELECT doc AS before FROM by_hand WHERE id = 1 \gset
ALTER TABLE items RENAME TO positions;
ALTER TABLE positions RENAME COLUMN order_id TO of_order;
ALTER TABLE orders RENAME COLUMN note TO remark;
ALTER TABLE orders ADD COLUMN later int;
ALTER SCHEMA wspec RENAME TO wspec2;
SET search_path = wspec2, public;
SELECT on_definition('SELECT doc FROM %s WHERE id = 1')::jsonb = :'before'::jsonb AS unchanged;
-- what is in use cannot be dropped
\set VERBOSITY terse
ALTER TABLE positions DROP COLUMN price;
DROP TABLE products;
SET client_min_messages = warning;
SELECT freshet.drop_sink('wv');
DROP SCHEMA wspec2 CASCADE;
SELECT count(*) FROM freshet.sink WHERE kind = 'wide view';
