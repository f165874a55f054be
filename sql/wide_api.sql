-- Wide views: the functions on them, DDL on what they read, rights
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA wa;
CREATE TABLE wa.orders (junk text, order_id int PRIMARY KEY, customer_id int, status text, gone text, amount numeric(8,2));
ALTER TABLE wa.orders DROP COLUMN junk;
CREATE TABLE wa.customers (customer_id int PRIMARY KEY, name text, phone text, unused int);
CREATE TABLE wa.items (order_id int, n int, label text, unused text, PRIMARY KEY (order_id, n));
INSERT INTO wa.orders SELECT i, i % 4, 'new', 'g', i / 4.0 FROM generate_series(1, 10) i;
INSERT INTO wa.customers SELECT i, 'c' || i, '0' || i, i FROM generate_series(0, 2) i;
INSERT INTO wa.items SELECT i % 12, i, 'l' || i, 'u' FROM generate_series(1, 30) i;
-- as long as it has no data it is paused
SELECT freshet.create_wide_view('wa.sink', 'wa.orders', '[
	{"table": "wa.customers", "path": "customer", "type": "object", "relation": [["customer_id", "customer_id"]], "columns": ["name"]},
	{"table": "wa.items", "path": "items", "type": "array", "relation": [["order_id", "order_id"]], "columns": ["n", "label"], "order_by": ["label desc"]}]', with_data => false);
SELECT sink_state('wa.sink'), (SELECT count(*) FROM wa.sink);
SELECT freshet.verify_sink('wa.sink');
SELECT freshet.resume_sink('wa.sink');
SELECT freshet.wait('wa.sink', '60 s') IS NOT NULL AS live;
CREATE VIEW wa.sink_oracle AS
SELECT o.order_id, jsonb_build_object('order_id', o.order_id, 'customer_id', o.customer_id, 'status', o.status, 'gone', o.gone, 'amount', o.amount,
	'customer', (SELECT jsonb_build_object('name', c.name) FROM wa.customers c WHERE c.customer_id = o.customer_id),
	'items', coalesce((SELECT jsonb_agg(jsonb_build_object('n', i.n, 'label', i.label) ORDER BY i.label DESC, i.order_id, i.n)
		FROM wa.items i WHERE i.order_id = o.order_id), '[]')) AS doc
FROM wa.orders o;
\set check 'SELECT check_wide(''wa.sink''), wide_touched(''wa.sink'') AS touched;'
:check
SELECT * FROM wa.sink WHERE order_id < 3 ORDER BY 1;
SELECT sink, kind, strategy, state, rows, error FROM freshet.status WHERE sink = 'wa.sink'::regclass;
SELECT changes AS changes_before FROM freshet.status WHERE sink = 'wa.sink'::regclass \gset
UPDATE wa.orders SET status = 'paid' WHERE order_id <= 3;
UPDATE wa.items SET label = 'x' WHERE n = 1;
:check
SELECT changes - :changes_before AS changes, rows, delay < '1 minute' AS fresh, changes_per_second > 0 AS busy FROM freshet.status WHERE sink = 'wa.sink'::regclass;
-- the table is the sink's: its columns, its key
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'wa.sink'::regclass AND attnum > 0 AND attname NOT LIKE '\_freshet%' ORDER BY attnum;
SELECT * FROM check_types('wa.sink');
INSERT INTO wa.sink VALUES (99, '{}');
UPDATE wa.sink SET doc = '{}';
DELETE FROM wa.sink;
TRUNCATE wa.sink;
-- indexes and columns of the user's own
CREATE INDEX ON wa.sink USING gin (doc jsonb_path_ops);
CREATE INDEX ON wa.sink ((doc->>'status'));
ALTER TABLE wa.sink ADD COLUMN mine text DEFAULT 'mine';
UPDATE wa.orders SET status = 'sent' WHERE order_id IN (1, 2);
INSERT INTO wa.orders VALUES (11, 1, 'new', 'g', 5);
SELECT check_sink('wa.sink', 'SELECT * FROM wa.sink_oracle'), wide_touched('wa.sink') <> 'none' AS touched;
SELECT order_id, mine FROM wa.sink WHERE doc @> '{"status": "sent"}' ORDER BY 1;
ALTER TABLE wa.sink DROP COLUMN mine;

-- verify finds what is wrong, rebuild mends it and writes nothing else
SELECT wide_touched('wa.sink') IS NOT NULL AS seen;
CALL spoil_sink('wa.sink', 'DELETE FROM wa.sink WHERE order_id = 1',
	$$UPDATE wa.sink SET doc = doc || '{"status": "wrong"}' WHERE order_id IN (2, 3)$$, $$INSERT INTO wa.sink VALUES (77, '{}')$$);
SELECT * FROM freshet.verify_sink('wa.sink');
SELECT wide_touched('wa.sink');
SELECT freshet.rebuild_sink('wa.sink');
SELECT freshet.wait('wa.sink', '60 s') IS NOT NULL AS live;
:check
-- what happens during a pause is made up for
SELECT freshet.pause_sink('wa.sink');
SELECT freshet.wait() IS NOT NULL AS fresh;
UPDATE wa.customers SET name = upper(name) WHERE customer_id = 2;
DELETE FROM wa.orders WHERE order_id = 4;
SELECT sink_state('wa.sink'), wide_touched('wa.sink') AS touched;
SELECT freshet.resume_sink('wa.sink');
SELECT freshet.wait('wa.sink', '60 s') IS NOT NULL AS live;
:check

-- DDL: what is not used comes and goes; what is used cannot be dropped; names in documents stay
ALTER TABLE wa.orders ADD COLUMN later text DEFAULT 'later';
ALTER TABLE wa.customers ADD COLUMN later float8 DEFAULT random();
ALTER TABLE wa.items ADD COLUMN later int;
UPDATE wa.orders SET later = 'now' WHERE order_id = 5;
:check
UPDATE wa.items SET later = 5, label = 'later' WHERE n = 5;
UPDATE wa.customers SET later = 0;
:check
ALTER TABLE wa.customers DROP COLUMN unused;
ALTER TABLE wa.customers DROP COLUMN phone;
ALTER TABLE wa.items DROP COLUMN unused;
ALTER TABLE wa.orders DROP COLUMN later;
UPDATE wa.customers SET name = 'after';
UPDATE wa.items SET label = 'after' WHERE n = 6;
:check
ALTER TABLE wa.orders DROP COLUMN gone;
ALTER TABLE wa.customers DROP COLUMN name;
ALTER TABLE wa.items DROP COLUMN order_id;
ALTER TABLE wa.items ALTER COLUMN label TYPE varchar(100);
DROP TABLE wa.customers;
DROP TABLE wa.orders;
DO $$
BEGIN
	EXECUTE format('DROP VIEW %s', (SELECT definition FROM freshet.sink WHERE relid = 'wa.sink'::regclass));
EXCEPTION WHEN dependent_objects_still_exist THEN
	RAISE WARNING 'the definition cannot be dropped alone';
END
$$;
-- the tables are written anew, within transactions that change rows
BEGIN;
UPDATE wa.items SET label = 'before' WHERE n = 7;
ALTER TABLE wa.items ADD COLUMN rnd float8 DEFAULT random();
UPDATE wa.items SET label = 'after' WHERE n = 8;
COMMIT;
:check
BEGIN;
UPDATE wa.orders SET status = 'x' WHERE order_id = 5;
ALTER TABLE wa.orders ADD COLUMN rnd float8 DEFAULT random();
UPDATE wa.orders SET order_id = 50 WHERE order_id = 5;
COMMIT;
:check
VACUUM FULL wa.customers;
CLUSTER wa.orders USING orders_pkey;
UPDATE wa.customers SET name = 'full' WHERE customer_id = 1;
:check
-- renamed
ALTER TABLE wa.orders RENAME COLUMN status TO state;
ALTER TABLE wa.items RENAME COLUMN label TO name;
ALTER TABLE wa.items RENAME COLUMN order_id TO oid_;
ALTER TABLE wa.customers RENAME TO clients;
ALTER TABLE wa.clients SET SCHEMA public;
ALTER TABLE wa.sink RENAME TO renamed;
ALTER SCHEMA wa RENAME TO wa2;
UPDATE wa2.orders SET state = 'renamed' WHERE order_id = 6;
UPDATE wa2.items SET name = 'renamed', oid_ = 7 WHERE n = 9;
UPDATE clients SET name = 'renamed' WHERE customer_id = 0;
SELECT check_sink('wa2.renamed', 'SELECT * FROM wa2.sink_oracle'), wide_touched('wa2.renamed') AS touched;
SELECT doc FROM wa2.renamed WHERE order_id = 6;
ALTER TABLE wa2.orders RENAME COLUMN state TO status;
ALTER TABLE wa2.items RENAME COLUMN name TO label;
ALTER TABLE wa2.items RENAME COLUMN oid_ TO order_id;
ALTER SCHEMA wa2 RENAME TO wa;
ALTER TABLE wa.renamed RENAME TO sink;
ALTER TABLE clients RENAME TO customers;
ALTER TABLE customers SET SCHEMA wa;
SELECT freshet.rebuild_sink('wa.sink');
SELECT freshet.wait('wa.sink', '60 s') IS NOT NULL AS live;
:check
-- a key that may occur twice
ALTER TABLE wa.orders DROP CONSTRAINT orders_pkey;
INSERT INTO wa.orders (order_id, status) VALUES (6, 'twice');
SELECT sink_state('wa.sink') ~ '^failed' AS failed;
DELETE FROM wa.orders WHERE status = 'twice';
ALTER TABLE wa.orders ADD PRIMARY KEY (order_id);
SELECT freshet.rebuild_sink('wa.sink');
SELECT freshet.wait('wa.sink', '60 s') IS NOT NULL AS live;
:check
-- with what it reads
DROP TABLE wa.customers CASCADE;
SELECT to_regclass('wa.sink'), count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;
DROP SCHEMA wa CASCADE;
DELETE FROM wide_seen;

-- Rights
CREATE ROLE regress_freshet_owner;
CREATE ROLE regress_freshet_other;
CREATE SCHEMA wr AUTHORIZATION regress_freshet_owner;
CREATE SCHEMA wr2;
GRANT USAGE ON SCHEMA wr2 TO regress_freshet_owner;
CREATE TABLE wr2.orders (id int PRIMARY KEY, customer int, x int, secret text);
CREATE TABLE wr2.customers (id int PRIMARY KEY, name text, secret text);
CREATE TABLE wr2.items (id int PRIMARY KEY, order_id int, label text);
INSERT INTO wr2.orders SELECT i, i % 3, i, 's' || i FROM generate_series(1, 6) i;
INSERT INTO wr2.customers SELECT i, 'c' || i, 's' || i FROM generate_series(0, 2) i;
INSERT INTO wr2.items SELECT i, i % 7, 'l' || i FROM generate_series(1, 9) i;
SET SESSION AUTHORIZATION regress_freshet_owner;
CREATE TABLE wr.orders (id int PRIMARY KEY, customer int);
INSERT INTO wr.orders SELECT i, i % 3 FROM generate_series(1, 6) i;
-- SELECT is needed on what is read, CREATE where the sink goes, ownership to set an identity
SELECT freshet.create_wide_view('wr.sink', 'wr2.orders');
SELECT freshet.create_wide_view('wr.sink', 'wr.orders', '[{"table": "wr2.customers", "path": "c", "type": "object", "relation": [["customer", "id"]]}]');
RESET SESSION AUTHORIZATION;
GRANT SELECT (id, name) ON wr2.customers TO regress_freshet_owner;
GRANT SELECT ON wr2.items TO regress_freshet_owner;
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_wide_view('wr.sink', 'wr.orders', '[{"table": "wr2.customers", "path": "c", "type": "object", "relation": [["customer", "id"]]}]');
SELECT freshet.create_wide_view('wr.sink', 'wr.orders', '[{"table": "wr2.items", "path": "i", "type": "array", "relation": [["id", "order_id"]]}]');
SELECT freshet.create_wide_view('wr2.sink', 'wr.orders', '[{"table": "wr2.customers", "path": "c", "type": "object", "relation": [["customer", "id"]], "columns": ["name"]}]');
SELECT freshet.create_wide_view('wr.sink', 'wr.orders', '[{"table": "wr2.customers", "path": "c", "type": "object", "relation": [["customer", "id"]], "columns": ["name"]}]');
RESET SESSION AUTHORIZATION;
ALTER TABLE wr2.items REPLICA IDENTITY FULL;
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_wide_view('wr.sink2', 'wr.orders', '[{"table": "wr2.items", "path": "i", "type": "array", "relation": [["id", "order_id"]]}]', create_indexes => true);
SELECT freshet.create_wide_view('wr.sink2', 'wr.orders', '[{"table": "wr2.items", "path": "i", "type": "array", "relation": [["id", "order_id"]]}]');
SELECT freshet.wait('wr.sink', '60 s') IS NOT NULL AND freshet.wait('wr.sink2', '60 s') IS NOT NULL AS live;
SELECT * FROM freshet.verify_sink('wr.sink');
SELECT * FROM freshet.verify_sink('wr.sink2');
SELECT doc FROM wr.sink WHERE id = 2;
RESET SESSION AUTHORIZATION;
UPDATE wr2.customers SET name = 'changed' WHERE id = 2;
UPDATE wr2.items SET order_id = 1;
SELECT freshet.wait() IS NOT NULL AS fresh;
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT doc FROM wr.sink WHERE id = 2;
SELECT id, jsonb_array_length(doc->'i') FROM wr.sink2 ORDER BY 1;
SELECT * FROM freshet.verify_sink('wr.sink2');
RESET SESSION AUTHORIZATION;
-- somebody else's sink
GRANT USAGE ON SCHEMA wr TO regress_freshet_other;
SET SESSION AUTHORIZATION regress_freshet_other;
SELECT doc FROM wr.sink;
SELECT freshet.pause_sink('wr.sink');
SELECT freshet.drop_sink('wr.sink');
SELECT freshet.verify_sink('wr.sink');
SELECT freshet.create_wide_view('wr.mine', 'wr.sink');
RESET SESSION AUTHORIZATION;
-- rights of the owner that go away
REVOKE SELECT ON wr2.customers FROM regress_freshet_owner;
REVOKE SELECT (id, name) ON wr2.customers FROM regress_freshet_owner;
UPDATE wr2.customers SET name = 'unseen';
SELECT sink_state('wr.sink');
SELECT sink_state('wr.sink2');
GRANT SELECT (id, name) ON wr2.customers TO regress_freshet_owner;
SELECT freshet.rebuild_sink('wr.sink');
SELECT freshet.wait('wr.sink', '60 s') IS NOT NULL AS live;
SELECT doc FROM wr.sink WHERE id = 2;
-- row-level security: refused, and not overlooked later
ALTER TABLE wr2.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON wr2.customers USING (name = current_user);
UPDATE wr2.customers SET name = 'hidden' WHERE id = 2;
SELECT sink_state('wr.sink') ~ '^failed' AS failed;
SELECT doc->'c' AS c FROM wr.sink WHERE id = 2;
SET SESSION AUTHORIZATION regress_freshet_owner;
\set VERBOSITY default
SELECT freshet.create_wide_view('wr.sink3', 'wr.orders', '[{"table": "wr2.customers", "path": "c", "type": "object", "relation": [["customer", "id"]], "columns": ["name"]}]');
\set VERBOSITY terse
RESET SESSION AUTHORIZATION;
ALTER TABLE wr2.customers DISABLE ROW LEVEL SECURITY;

-- Code of a type runs as the owner of the sink, and can do nothing that lasts
CREATE TYPE wr2.evil AS ENUM ('none', 'write', 'super', 'session', 'notify');
CREATE TABLE wr2.loot (what text);
GRANT ALL ON wr2.loot TO PUBLIC;
CREATE FUNCTION wr2.evil_json(wr2.evil) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	CASE $1
		WHEN 'none' THEN NULL;
		WHEN 'write' THEN INSERT INTO wr2.loot VALUES (current_user);
		WHEN 'super' THEN EXECUTE 'ALTER ROLE regress_freshet_owner SUPERUSER';
		WHEN 'session' THEN EXECUTE 'RESET SESSION AUTHORIZATION';
		WHEN 'notify' THEN EXECUTE 'LISTEN evil';
	END CASE;
	RETURN to_json(current_user || ' ' || $1);
END
$$;
CREATE CAST (wr2.evil AS json) WITH FUNCTION wr2.evil_json(wr2.evil);
CREATE TABLE wr2.evil_table (id int PRIMARY KEY, e wr2.evil);
INSERT INTO wr2.evil_table VALUES (1, 'none'), (2, NULL);
GRANT SELECT ON wr2.evil_table TO regress_freshet_owner;
SET SESSION AUTHORIZATION regress_freshet_owner;
SELECT freshet.create_wide_view('wr.evil', 'wr.orders', '[{"table": "wr2.evil_table", "path": "evil", "type": "object", "relation": [["customer", "id"]]}]');
RESET SESSION AUTHORIZATION;
SELECT freshet.wait('wr.evil', '60 s') IS NOT NULL AS live;
SELECT id, doc->'evil' AS evil FROM wr.evil ORDER BY 1;
UPDATE wr2.evil_table SET e = 'none' WHERE id = 2;
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT id, doc->'evil' AS evil FROM wr.evil ORDER BY 1;
UPDATE wr2.evil_table SET e = 'write' WHERE id = 2;
SELECT sink_state('wr.evil');
UPDATE wr2.evil_table SET e = 'super' WHERE id = 2;
SELECT freshet.rebuild_sink('wr.evil');
SELECT sink_state('wr.evil');
UPDATE wr2.evil_table SET e = 'session' WHERE id = 2;
SELECT freshet.rebuild_sink('wr.evil');
SELECT sink_state('wr.evil');
UPDATE wr2.evil_table SET e = 'notify' WHERE id = 2;
SELECT freshet.rebuild_sink('wr.evil');
SELECT sink_state('wr.evil');
UPDATE wr2.evil_table SET e = 'none' WHERE id = 2;
SELECT freshet.rebuild_sink('wr.evil');
SELECT sink_state('wr.evil');
SELECT * FROM freshet.verify_sink('wr.evil');
SELECT * FROM wr2.loot;
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_freshet_owner';
SELECT sink_state('wr.sink2'), (SELECT v FROM freshet.verify_sink('wr.sink2') v);
DROP OWNED BY regress_freshet_owner CASCADE;
DROP OWNED BY regress_freshet_other;
DROP SCHEMA wr2 CASCADE;
DROP ROLE regress_freshet_owner, regress_freshet_other;
-- a lookup that loses the key by which its rows are ordered
CREATE TABLE wk_root (id int PRIMARY KEY);
CREATE TABLE wk_lines (id int CONSTRAINT wk_lines_key PRIMARY KEY, root int, v int);
CREATE INDEX ON wk_lines (root);
INSERT INTO wk_root VALUES (1);
INSERT INTO wk_lines VALUES (1, 1, 10), (2, 1, 20);
SELECT freshet.create_wide_view('wk', 'wk_root', '[{"table": "wk_lines", "path": "lines", "type": "array", "relation": [["id", "root"]], "columns": ["v"]}]');
SELECT freshet.wait('wk', '60 s') IS NOT NULL AS live;
ALTER TABLE wk_lines DROP CONSTRAINT wk_lines_key;
INSERT INTO wk_lines VALUES (1, 1, 5);
SELECT sink_state('wk');
DELETE FROM wk_lines WHERE v = 5;
ALTER TABLE wk_lines ADD PRIMARY KEY (id);
SELECT freshet.rebuild_sink('wk');
SELECT freshet.wait('wk', '60 s') IS NOT NULL AS live;
SELECT * FROM wk;
SELECT * FROM freshet.verify_sink('wk');
SELECT freshet.drop_sink('wk');
DROP TABLE wk_root, wk_lines;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;
SELECT check_sink('kept');
