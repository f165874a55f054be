-- Wide views: large values, replica identities
\set VERBOSITY terse
SET client_min_messages = warning;
SET jit = off;
-- text that does not compress; some 300 bytes for each step
CREATE FUNCTION wl_text(seed int, steps int) RETURNS text LANGUAGE sql IMMUTABLE AS
'SELECT string_agg(md5(seed || '':'' || i) || md5(i || '';'' || seed), '''') FROM generate_series(1, steps * 5) i';
CREATE TABLE wl_root (id int PRIMARY KEY, owner_id int, big text, small text, packed text);
CREATE TABLE wl_owner (id int PRIMARY KEY, name text, big text, external text);
ALTER TABLE wl_owner ALTER external SET STORAGE EXTERNAL;
CREATE TABLE wl_items (id int PRIMARY KEY, root_id int, product text, big text, n int);
CREATE TABLE wl_products (code text, big text, n int);
INSERT INTO wl_root SELECT i, i % 3, wl_text(i, 20), 's', repeat('x' || i, 50000) FROM generate_series(1, 6) i;
INSERT INTO wl_owner SELECT i, 'o' || i, wl_text(100 + i, 30), repeat('y', 5000) FROM generate_series(0, 2) i;
INSERT INTO wl_items SELECT i, 1 + i % 6, 'p' || i % 4, wl_text(200 + i, 10), i FROM generate_series(1, 12) i;
INSERT INTO wl_products SELECT 'p' || i, wl_text(300 + i, 100), i FROM generate_series(0, 3) i;
-- related by a value that is kept apart from its row
INSERT INTO wl_products SELECT wl_text(400, 20), wl_text(401, 5), 4;
INSERT INTO wl_items SELECT 20, 1, wl_text(400, 20), NULL, 20;
SELECT freshet.create_wide_view('wl', 'wl_root', '[
	{"table": "wl_owner", "path": "owner", "type": "object", "relation": [["owner_id", "id"]]},
	{"table": "wl_items", "path": "items", "type": "array", "relation": [["id", "root_id"]]},
	{"table": "wl_products", "path": "items.product_info", "type": "object", "relation": [["items.product", "code"]]}]');
CREATE VIEW wl_oracle AS
SELECT r.id, to_jsonb(r) || jsonb_build_object(
	'owner', (SELECT to_jsonb(o) FROM wl_owner o WHERE o.id = r.owner_id),
	'items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object('product_info',
				(SELECT to_jsonb(p) FROM wl_products p WHERE p.code = i.product)) ORDER BY i.id)
		FROM wl_items i WHERE i.root_id = r.id), '[]')) AS doc
FROM wl_root r;
SELECT freshet.create_sink('wl_sizes', $$SELECT length(doc->>'big') AS big, count(*) AS n, sum(length(doc::text)) AS total, max(doc->'owner'->>'big') AS big_owner FROM wl GROUP BY 1$$);
SELECT relname, relreplident FROM pg_class WHERE relname IN ('wl_root', 'wl_owner', 'wl_items', 'wl_products') ORDER BY 1;
\set check 'SELECT check_wide(''wl''), wide_touched(''wl'') AS touched, check_sink(''wl_sizes'') AS rollup;'
:check
-- the large columns are not touched, and so not in the log
UPDATE wl_root SET small = 't' WHERE id = 1;
:check
UPDATE wl_root SET owner_id = 2 WHERE id = 1;
:check
UPDATE wl_root SET id = 10 WHERE id = 1;
:check
UPDATE wl_owner SET name = 'O' WHERE id = 2;
:check
UPDATE wl_owner SET id = 7 WHERE id = 0;
:check
UPDATE wl_items SET n = n + 1 WHERE id IN (1, 20);
:check
UPDATE wl_items SET root_id = 10 WHERE id IN (1, 2, 20);
:check
UPDATE wl_products SET n = n + 10 WHERE n = 4;
:check
UPDATE wl_products SET n = n + 10 WHERE code = 'p1';
:check
-- they are, and nothing else
UPDATE wl_root SET big = wl_text(500, 20) WHERE id IN (2, 3);
:check
UPDATE wl_owner SET big = NULL WHERE id = 1;
:check
UPDATE wl_owner SET big = wl_text(501, 3), external = repeat('z', 6000) WHERE id = 2;
:check
UPDATE wl_items SET big = wl_text(502, 10) WHERE id = 4;
:check
-- the relation is, there and back, in one transaction
UPDATE wl_items SET product = wl_text(400, 20) WHERE id = 5;
:check
BEGIN;
UPDATE wl_products SET code = wl_text(401, 20) WHERE n = 14;
UPDATE wl_items SET product = wl_text(401, 20), root_id = 4 WHERE id = 20;
UPDATE wl_items SET n = 99 WHERE id = 20;
COMMIT;
:check
SELECT length(doc->'items'->0->'product_info'->>'code') AS code, jsonb_path_query_array(doc, '$.items[*].id') AS items FROM wl WHERE id = 4;
UPDATE wl_root SET big = big || 'x', packed = NULL;
:check
UPDATE wl_root SET big = big;
:check
DELETE FROM wl_products WHERE n = 14;
:check
DELETE FROM wl_items WHERE id % 2 = 0;
:check
-- many large documents in one transaction, more than fit in memory
BEGIN;
INSERT INTO wl_root SELECT i, i % 3, wl_text(i, 30), 'many', NULL FROM generate_series(101, 300) i;
UPDATE wl_owner SET name = upper(name);
UPDATE wl_root SET small = 'more' WHERE id % 2 = 0;
DELETE FROM wl_root WHERE id % 5 = 0;
COMMIT;
:check
DELETE FROM wl_root WHERE id > 100;
:check
SELECT freshet.drop_sink('wl', cascade => true);
DROP VIEW wl_oracle;
DELETE FROM wide_seen;

-- Replica identities: the key of the root, and the related columns of lookups, are enough
CREATE TABLE wi_root (id int PRIMARY KEY, lid int, v text);
CREATE TABLE wi_full (id int PRIMARY KEY, rid int, v text);
CREATE TABLE wi_index (id int PRIMARY KEY, rid int NOT NULL, n int NOT NULL, v text);
CREATE UNIQUE INDEX wi_index_key ON wi_index (n, rid);
ALTER TABLE wi_index REPLICA IDENTITY USING INDEX wi_index_key;
CREATE TABLE wi_key (rid int, n int, v text, PRIMARY KEY (rid, n));
CREATE TABLE wi_nothing (id int PRIMARY KEY, v text);
ALTER TABLE wi_nothing REPLICA IDENTITY NOTHING;
INSERT INTO wi_root SELECT i, i, wl_text(i, 10) FROM generate_series(1, 5) i;
INSERT INTO wi_full SELECT i, i, wl_text(i, 10) FROM generate_series(1, 5) i;
INSERT INTO wi_index SELECT i, i, i, wl_text(i, 10) FROM generate_series(1, 5) i;
INSERT INTO wi_key SELECT i, i, wl_text(i, 10) FROM generate_series(1, 5) i;
INSERT INTO wi_nothing SELECT i, i FROM generate_series(1, 5) i;
RESET client_min_messages;
SELECT freshet.create_wide_view('wi', 'wi_root', '[
	{"table": "wi_full", "path": "f", "type": "array", "relation": [["id", "rid"]]},
	{"table": "wi_index", "path": "i", "type": "array", "relation": [["id", "rid"]]},
	{"table": "wi_key", "path": "k", "type": "array", "relation": [["id", "rid"]]},
	{"table": "wi_nothing", "path": "n", "type": "object", "relation": [["lid", "id"]]}]', create_indexes => true);
SET client_min_messages = warning;
CREATE VIEW wi_oracle AS
SELECT r.id, to_jsonb(r) || jsonb_build_object(
	'f', coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.id) FROM wi_full x WHERE x.rid = r.id), '[]'),
	'i', coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.id) FROM wi_index x WHERE x.rid = r.id), '[]'),
	'k', coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.rid, x.n) FROM wi_key x WHERE x.rid = r.id), '[]'),
	'n', (SELECT to_jsonb(x) FROM wi_nothing x WHERE x.id = r.lid)) AS doc
FROM wi_root r;
SELECT relname, relreplident FROM pg_class WHERE relname ~ '^wi_(root|full|index|key|nothing)$' ORDER BY 1;
\set check 'SELECT check_wide(''wi''), wide_touched(''wi'') AS touched;'
:check
UPDATE wi_root SET lid = 4 WHERE id = 1;
:check
UPDATE wi_root SET id = 11 WHERE id = 1;
:check
UPDATE wi_full SET rid = 11 WHERE id = 2;
:check
UPDATE wi_index SET rid = 11 WHERE id = 2;
:check
UPDATE wi_index SET v = 'v' WHERE id = 2;
:check
UPDATE wi_index SET id = 12 WHERE id = 2;
:check
UPDATE wi_key SET rid = 11, n = 5 WHERE rid = 2;
:check
UPDATE wi_key SET v = 'v' WHERE rid = 11;
:check
UPDATE wi_nothing SET v = 'v' WHERE id = 3;
:check
UPDATE wi_nothing SET id = 14 WHERE id = 4;
:check
DELETE FROM wi_full WHERE id = 1;
DELETE FROM wi_index WHERE id = 1;
DELETE FROM wi_key WHERE rid = 3;
DELETE FROM wi_nothing WHERE id = 5;
DELETE FROM wi_root WHERE id = 4;
:check
-- an identity that goes away: the sink fails at the first change that lacks the old value, not before
ALTER TABLE wi_key REPLICA IDENTITY NOTHING;
UPDATE wi_root SET v = 'w' WHERE id = 2;
INSERT INTO wi_key VALUES (3, 1, 'n');
:check
UPDATE wi_key SET v = 'w' WHERE rid = 11;
SELECT sink_state('wi');
ALTER TABLE wi_key REPLICA IDENTITY DEFAULT;
SELECT freshet.rebuild_sink('wi');
SELECT freshet.wait('wi', '60 s') IS NOT NULL AS live;
UPDATE wi_key SET v = 'x' WHERE rid = 11;
:check
-- the root's as well
ALTER TABLE wi_root REPLICA IDENTITY NOTHING;
DELETE FROM wi_root WHERE id = 2;
SELECT sink_state('wi');
ALTER TABLE wi_root REPLICA IDENTITY FULL;
SELECT freshet.rebuild_sink('wi');
SELECT freshet.wait('wi', '60 s') IS NOT NULL AS live;
UPDATE wi_root SET id = 20, v = 'x' WHERE id = 3;
:check
SELECT freshet.drop_sink('wi');
DROP VIEW wi_oracle;
DROP TABLE wl_root, wl_owner, wl_items, wl_products, wi_root, wi_full, wi_index, wi_key, wi_nothing;
DROP FUNCTION wl_text;
DELETE FROM wide_seen;
