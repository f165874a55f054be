-- A change of columns that a sink does not read does not reach it
\set VERBOSITY terse
CREATE SCHEMA unread;
SET search_path = unread, public;
-- whoever evaluates says so
CREATE FUNCTION unread.tell(what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_logical_emit_message(true, 'unread', what);
END
$$;
CREATE FUNCTION unread.told(what text, x int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM unread.tell(what);
	RETURN x;
END
$$;
CREATE TYPE unread.name AS ENUM ('a', 'b', 'c', 'd', 'e');
CREATE FUNCTION unread.name_json(unread.name) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	PERFORM unread.tell('document');
	RETURN to_json('name ' || $1::text);
END
$$;
CREATE CAST (unread.name AS json) WITH FUNCTION unread.name_json(unread.name);
CREATE FUNCTION evaluated() RETURNS text LANGUAGE sql AS $$
SELECT coalesce(string_agg(what || ' ' || times, ', ' ORDER BY what), 'none') FROM (
	SELECT substring(data from 'content:(.*)') AS what, count(*) AS times
	FROM pg_logical_slot_get_changes('regress_freshet_unread', NULL, NULL) WHERE data ~ 'prefix: unread' GROUP BY 1) x
$$;
-- one batch, and what it evaluated
CREATE PROCEDURE batch(command text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE command;
	COMMIT;
	PERFORM freshet.wait('60 s');
	PERFORM pg_logical_emit_message(true, 'flush', '');
	COMMIT;
	RAISE NOTICE '%: %', command, evaluated();
END
$$;

CREATE TABLE product (id int PRIMARY KEY, name unread.name, kind int, price numeric, stock int, note text, gone int);
ALTER TABLE product ALTER note SET STORAGE EXTERNAL;
ALTER TABLE product REPLICA IDENTITY FULL;
CREATE TABLE item (id int PRIMARY KEY, product_id int, qty int);
CREATE INDEX ON item (product_id);
INSERT INTO product SELECT i, substr('abcd', i, 1)::unread.name, i % 2, i, 100, repeat('n', 3000), 1 FROM generate_series(1, 4) i;
INSERT INTO item SELECT i, 1 + i % 4, 1 FROM generate_series(1, 12) i;
ALTER TABLE product DROP gone;
SELECT freshet.create_sink('by_kind', $$SELECT told('key', kind) AS kind, count(*) AS n, sum(told('arg', id)) FILTER (WHERE price > 0) AS s FROM product GROUP BY 1$$);
SELECT freshet.create_sink('copied', $$SELECT id, told('copy', kind) AS kind FROM product WHERE price > 0$$);
SELECT freshet.create_sink('counted', $$SELECT count(*) AS n FROM product$$);
SELECT freshet.create_sink('whole', $$SELECT id, told('whole', length(product::text)) AS l FROM product$$);
SELECT freshet.create_sink('above', $$SELECT told('above', id) AS id, count(*) AS n FROM copied GROUP BY 1$$);
SELECT freshet.create_wide_view('documents', 'item', '[{"table": "product", "path": "product", "type": "object", "relation": [["product_id", "id"]], "columns": ["name", "price"]}]');
CREATE FUNCTION unread_check() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT s::text || ': ' || check_sink(s) FROM unnest('{by_kind, copied, counted, whole, above, documents}'::regclass[]) s
$$;
SELECT freshet.wait(s, '60 s') IS NOT NULL AS live FROM unnest('{by_kind, copied, counted, whole, above, documents}'::regclass[]) s;
SELECT pg_create_logical_replication_slot('regress_freshet_unread', 'test_decoding') IS NOT NULL AS made;

CALL batch('UPDATE product SET stock = stock - 1');
CALL batch('UPDATE product SET stock = stock');
CALL batch('UPDATE product SET kind = kind, name = name, price = price, note = note, id = id');
CALL batch('UPDATE product SET note = note || note WHERE id = 1');
CALL batch('UPDATE item SET qty = qty WHERE id = 1');
-- what is read by some
CALL batch('UPDATE product SET price = price + 1 WHERE id = 2');
CALL batch('UPDATE product SET price = price + 0.00 WHERE id = 2');
CALL batch('UPDATE product SET name = ''a'' WHERE id = 3');
CALL batch('UPDATE product SET kind = kind + 2 WHERE id = 4');
CALL batch('UPDATE product SET name = NULL WHERE id = 4');
CALL batch('UPDATE product SET name = NULL, stock = NULL WHERE id = 4');
CALL batch('INSERT INTO product VALUES (5, ''e'', 1, 1, 1)');
CALL batch('DELETE FROM product WHERE id = 5');
SELECT unread_check();
SELECT evaluated() IS NOT NULL AS seen;
-- to and fro, and several in one transaction
CALL batch('UPDATE product SET stock = 1 WHERE id = 1; UPDATE product SET stock = 2 WHERE id = 1; UPDATE product SET price = 9 WHERE id = 1; UPDATE product SET stock = 3 WHERE id = 1');
SELECT unread_check();
SELECT evaluated() IS NOT NULL AS seen;
-- a column that comes with a default, and goes
ALTER TABLE product ADD added int DEFAULT 7;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL AS waited;
SELECT evaluated() IS NOT NULL AS seen;
CALL batch('UPDATE product SET added = 7');
CALL batch('UPDATE product SET added = 8 WHERE id = 1');
ALTER TABLE product DROP added;
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL AS waited;
SELECT evaluated() IS NOT NULL AS seen;
CALL batch('UPDATE product SET stock = 5');
SELECT unread_check();
SELECT evaluated() IS NOT NULL AS seen;

-- With the default identity the log has no old row.  An update that changes
-- nothing of the key is none to whom reads the key alone.
SELECT freshet.drop_sink(s) FROM unnest('{above, by_kind, copied, whole, documents}'::regclass[]) s;
ALTER TABLE product REPLICA IDENTITY DEFAULT;
CREATE TABLE shelf (id int PRIMARY KEY, product_id int, label unread.name);
CREATE INDEX ON shelf (product_id);
INSERT INTO shelf SELECT i, 1 + i % 4, 'a' FROM generate_series(1, 8) i;
SELECT freshet.create_wide_view('keys_only', 'shelf', '[{"table": "product", "path": "product", "type": "object", "relation": [["product_id", "id"]], "columns": ["id"]}]');
SELECT freshet.create_wide_view('names', 'shelf', '[{"table": "product", "path": "product", "type": "object", "relation": [["product_id", "id"]], "columns": ["id", "price"]}]');
SELECT freshet.wait(s, '60 s') IS NOT NULL AS live FROM unnest('{keys_only, names}'::regclass[]) s;
SELECT pg_replication_slot_advance('regress_freshet_unread', pg_current_wal_lsn()) IS NOT NULL AS advanced;
SELECT freshet.pause_sink('names');
CALL batch('UPDATE product SET stock = stock - 1');
CALL batch('UPDATE product SET id = id + 100 WHERE id = 1');
SELECT freshet.resume_sink('names');
SELECT freshet.wait('names', '60 s') IS NOT NULL AS live;
SELECT pg_replication_slot_advance('regress_freshet_unread', pg_current_wal_lsn()) IS NOT NULL AS advanced;
UPDATE product SET price = 77 WHERE id = 2;
SELECT check_sink(s) FROM unnest('{keys_only, names, counted}'::regclass[]) s;

-- partitions whose columns have other numbers, and rows that move
CREATE TABLE part (id int, k int, v int, pad int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part_1 (pad int, dropped int, v int, id int PRIMARY KEY, k int);
ALTER TABLE part_1 DROP dropped;
ALTER TABLE part ATTACH PARTITION part_1 FOR VALUES FROM (0) TO (100);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (100) TO (200);
INSERT INTO part SELECT i * 10, i % 3, i, 0 FROM generate_series(1, 19) i;
SELECT freshet.create_sink('part_sum', $$SELECT k, sum(told('part', v)) AS s FROM part GROUP BY k$$);
SELECT freshet.wait('part_sum', '60 s') IS NOT NULL AS live;
SELECT pg_replication_slot_advance('regress_freshet_unread', pg_current_wal_lsn()) IS NOT NULL AS advanced;
CALL batch('UPDATE part SET pad = 1, id = id + 1');
CALL batch('UPDATE part SET v = v WHERE id < 50');
CALL batch('UPDATE part SET v = v + 1 WHERE id IN (11, 111)');
CALL batch('UPDATE part SET id = id + 55 WHERE id = 91');
SELECT check_sink('part_sum');

SELECT pg_drop_replication_slot('regress_freshet_unread');
SET client_min_messages = warning;
DROP SCHEMA unread CASCADE;
SELECT check_sink('public.kept');
