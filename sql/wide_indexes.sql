-- Indexes and replica identities that wide views need; partitioned tables and sinks in them
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
CREATE SCHEMA wix;
SET search_path = wix, public;

CREATE TABLE orders (id int PRIMARY KEY, customer_id int, coupon text);
CREATE TABLE customers (id int PRIMARY KEY, name text);
CREATE TABLE items (id int PRIMARY KEY, order_id int, product_id int, color text);
CREATE TABLE variants (id int PRIMARY KEY, product_id int, color text);
CREATE TABLE coupons (code text COLLATE "C" PRIMARY KEY, percent int);
-- not freshet's to set back: when it does, nobody can say
ALTER TABLE items REPLICA IDENTITY FULL;
ALTER TABLE variants REPLICA IDENTITY FULL;

-- what create_wide_view says, and nothing is left of it
CREATE FUNCTION advice(lookups text, root regclass DEFAULT 'orders', create_indexes boolean DEFAULT false)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.create_wide_view('wix.wv', root, lookups::json, false, create_indexes);
	PERFORM freshet.drop_sink('wix.wv');
END $$;

-- none is missing where keys are related to keys
SELECT advice('[{"table": "customers", "path": "c", "type": "object", "relation": [["id", "id"]]}]');
-- one on each side
SELECT advice('[{"table": "customers", "path": "c", "type": "object", "relation": [["customer_id", "id"]]}]');
SELECT advice('[{"table": "items", "path": "i", "type": "array", "relation": [["id", "order_id"]]}]');
-- each is named once, several columns in one index; deeper lookups
SELECT advice('[{"table": "items", "path": "i", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "items", "path": "j", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "variants", "path": "i.v", "type": "object", "relation": [["i.color", "color"], ["i.product_id", "product_id"]]},
	{"table": "variants", "path": "j.v", "type": "object", "relation": [["j.color", "color"]]}]');
-- the comparison is by the lookup's collation
SELECT advice('[{"table": "coupons", "path": "c", "type": "object", "relation": [["coupon", "code"]]}]');

-- what serves and what does not
CREATE INDEX x_items ON items (product_id, color, id);
CREATE INDEX x_1 ON variants (color);
CREATE INDEX x_2 ON variants (id, color, product_id);
CREATE INDEX x_3 ON variants (color, product_id) WHERE id > 0;
CREATE INDEX x_4 ON variants (lower(color), product_id);
CREATE INDEX x_5 ON variants (color text_pattern_ops, product_id);
CREATE INDEX x_6 ON variants (color COLLATE "POSIX", product_id);
CREATE INDEX x_7 ON variants USING hash (color);
CREATE INDEX x_8 ON variants USING brin (color, product_id);
SELECT advice('[{"table": "variants", "path": "v", "type": "object",
	"relation": [["color", "color"], ["product_id", "product_id"]]}]', 'items');
-- a unique index on fewer columns is as good
CREATE UNIQUE INDEX x_9 ON variants (color);
SELECT advice('[{"table": "variants", "path": "v", "type": "object",
	"relation": [["color", "color"], ["product_id", "product_id"]]}]', 'items');
DROP INDEX x_1, x_9;
-- a hash index serves a single column
SELECT advice('[{"table": "variants", "path": "v", "type": "object", "relation": [["coupon", "color"]]}]');

-- to have them made
SELECT freshet.create_wide_view('wv', 'orders', '[
	{"table": "customers", "path": "c", "type": "object", "relation": [["customer_id", "id"]]},
	{"table": "items", "path": "i", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "variants", "path": "i.v", "type": "object", "relation": [["i.color", "color"], ["i.product_id", "product_id"]]}]',
	with_data => false, create_indexes => true);
SELECT indexdef FROM pg_indexes WHERE schemaname = 'wix' AND indexname !~ '^x_' AND indexname !~ 'pkey' ORDER BY 1;
SELECT relname, relreplident FROM pg_class WHERE relnamespace = 'wix'::regnamespace AND relkind = 'r' ORDER BY 1;
SELECT freshet.drop_sink('wv');

-- by one who owns no table
CREATE ROLE wix_user;
GRANT USAGE, CREATE ON SCHEMA wix TO wix_user;
GRANT SELECT ON ALL TABLES IN SCHEMA wix TO wix_user;
SET ROLE wix_user;
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT advice('[{"table": "customers", "path": "c", "type": "object", "relation": [["coupon", "name"]]}]');
RESET ROLE;
ALTER TABLE customers REPLICA IDENTITY FULL;
SET ROLE wix_user;
SELECT advice('[{"table": "customers", "path": "c", "type": "object", "relation": [["coupon", "name"]]}]');
SELECT advice('[{"table": "customers", "path": "c", "type": "object", "relation": [["coupon", "name"]]}]', create_indexes => true);
RESET ROLE;
DROP OWNED BY wix_user;
DROP ROLE wix_user;

-- replica identities: the default one suffices where the primary key has the related columns
CREATE TABLE lines (order_id int, pos int, PRIMARY KEY (order_id, pos));
CREATE TABLE notes (id int PRIMARY KEY, order_id int);
CREATE TABLE marks (id int PRIMARY KEY, order_id int NOT NULL);
CREATE UNIQUE INDEX marks_identity ON marks (order_id, id);
ALTER TABLE marks REPLICA IDENTITY USING INDEX marks_identity;
CREATE INDEX ON notes (order_id);
SELECT freshet.create_wide_view('wv', 'orders', '[
	{"table": "lines", "path": "l", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "notes", "path": "n", "type": "array", "relation": [["id", "order_id"]]},
	{"table": "marks", "path": "m", "type": "array", "relation": [["id", "order_id"]]}]', with_data => false);
SELECT relname, relreplident FROM pg_class WHERE oid IN ('orders'::regclass, 'lines'::regclass, 'notes'::regclass, 'marks'::regclass)
ORDER BY 1;
SELECT freshet.drop_sink('wv');

-- partitioned tables, as root and as lookup
CREATE TABLE events (id int, day date, kind int, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 (kind int, day date NOT NULL, id int NOT NULL);
ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
INSERT INTO events VALUES (1, '2020-05-05', 7), (2, '2021-05-05', 7), (3, '2021-06-06', 8);
CREATE TABLE kinds (id int PRIMARY KEY, name text);
INSERT INTO kinds VALUES (7, 'seven'), (9, 'nine');
CREATE FUNCTION docs() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT doc FROM %s ORDER BY doc->''id''',
		(SELECT definition FROM freshet.sink WHERE relid = 'wv'::regclass));
END $$;
SELECT freshet.create_wide_view('wv', 'events', '[
	{"table": "kinds", "path": "about", "type": "object", "relation": [["kind", "id"]]}]', with_data => false, create_indexes => true);
SELECT docs();
SELECT indexdef FROM pg_indexes WHERE schemaname = 'wix' AND tablename ~ 'events|wv' ORDER BY 1;
SELECT freshet.drop_sink('wv');
SELECT freshet.create_wide_view('wv', 'kinds', '[
	{"table": "events", "path": "events", "type": "array", "relation": [["id", "kind"]], "order_by": ["day desc"]}]', with_data => false);
SELECT docs();
SELECT relname, relreplident FROM pg_class WHERE relname ~ '^events' AND relkind IN ('r', 'p') ORDER BY 1;
ALTER TABLE events REPLICA IDENTITY FULL;
ALTER TABLE events_1 REPLICA IDENTITY FULL;
ALTER TABLE events_2 REPLICA IDENTITY FULL;
SELECT freshet.drop_sink('wv');

-- sinks, as root and as lookup: without their bookkeeping columns, and by their key
SELECT freshet.create_sink('by_kind', 'SELECT kind, max(day) AS last, sum(id) AS ids FROM events GROUP BY kind');
SELECT freshet.wait('by_kind', '1 minute') IS NOT NULL AS live;
SELECT freshet.create_wide_view('wv', 'by_kind', '[
	{"table": "kinds", "path": "about", "type": "object", "relation": [["kind", "id"]]}]', with_data => false);
SELECT docs() ORDER BY 1;
\d wv
SELECT freshet.drop_sink('wv');
SELECT freshet.create_wide_view('wv', 'kinds', '[
	{"table": "by_kind", "path": "stats", "type": "object", "relation": [["id", "kind"]]}]', with_data => false);
SELECT docs();
SELECT freshet.drop_sink('by_kind');
SELECT freshet.drop_sink('wv');
-- a total has no key, and one whose groups are not selected has none that can be named
SELECT freshet.create_sink('total', 'SELECT count(*) FROM events', with_data => false);
SELECT freshet.create_wide_view('wv', 'total');
SELECT freshet.create_sink('unnamed', 'SELECT count(*) FROM events GROUP BY kind', with_data => false);
SELECT freshet.create_wide_view('wv', 'unnamed');

SET client_min_messages = warning;
DROP SCHEMA wix CASCADE;
