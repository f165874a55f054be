-- The change stream: tables, columns, operations, origins, partitions
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_filters', 'freshet');
CREATE FUNCTION st_peek(VARIADIC options text[] DEFAULT '{}') RETURNS TABLE (op text, relation text, key jsonb, after jsonb)
LANGUAGE sql AS $$
SELECT d->>'op', format('%s.%s', d->>'schema', d->>'table'), d->'key', d->'after'
FROM (SELECT data::jsonb AS d
	FROM pg_logical_slot_peek_changes('regress_freshet_filters', NULL, NULL, VARIADIC options)) x
$$;
CREATE SCHEMA st_one;
CREATE SCHEMA "St.Two";
CREATE TABLE st_one.orders (id int PRIMARY KEY, name text, secret text);
CREATE TABLE "St.Two".orders (id int PRIMARY KEY, name text, secret text);
CREATE TABLE st_one.order_items (order_id int, item int, secret text, PRIMARY KEY (order_id, item));
CREATE TABLE st_one."Käse,*\" (id int PRIMARY KEY);
INSERT INTO st_one.orders VALUES (1, 'a', 's');
INSERT INTO "St.Two".orders VALUES (2, 'b', 's');
INSERT INTO st_one.order_items VALUES (3, 1, 's');
INSERT INTO st_one."Käse,*\" VALUES (4);
-- tables
SELECT * FROM st_peek('tables', 'st_one.*,St\.Two.*');
SELECT relation FROM st_peek('tables', 'orders');
SELECT relation FROM st_peek('tables', 'st_one.order*');
SELECT relation FROM st_peek('tables', ' st_one.orders , St\.Two.orders ');
SELECT relation FROM st_peek('tables', 'ORDERS,st_?ne.*_items');
SELECT relation FROM st_peek('tables', 'K?se\,\*\\');
SELECT relation FROM st_peek('tables', 'st*.K*');
SELECT relation FROM st_peek('tables', '*r*d*r*i*s');
SELECT relation FROM st_peek('tables', 'st_one.none,order,rders,s.orders');
-- columns
SELECT * FROM st_peek('tables', 'st_one.o*', 'columns', 'id,name');
SELECT * FROM st_peek('tables', 'st_one.o*', 'columns', 'orders.name');
SELECT * FROM st_peek('tables', 'orders', 'exclude_columns', 'secret');
SELECT * FROM st_peek('tables', 'orders', 'exclude_columns', 'st_one.orders.s*,St\.Two.orders.id');
SELECT * FROM st_peek('tables', 'orders', 'columns', 'orders.*', 'exclude_columns', 'st_one.*.secret,*.*.name');
SELECT pg_replication_slot_advance('regress_freshet_filters', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- operations; a transaction none of whose changes is wanted leaves no trace
BEGIN;
INSERT INTO st_one.orders VALUES (5, 'a', 's');
UPDATE st_one.orders SET name = 'b' WHERE id = 5;
DELETE FROM st_one.orders WHERE id = 5;
TRUNCATE st_one.order_items;
COMMIT;
SELECT op, key FROM st_peek('tables', 'st_one.*');
SELECT op, key FROM st_peek('tables', 'st_one.*', 'operations', 'insert,delete');
SELECT op, key FROM st_peek('tables', 'st_one.*', 'operations', 'truncate , update', 'transactions', 'on');
SELECT op, key FROM st_peek('tables', 'st_one.order_items', 'operations', 'insert', 'transactions', 'on');

-- origins
SELECT pg_replication_origin_create('regress_freshet_origin') IS NOT NULL AS created;
SELECT pg_replication_origin_session_setup('regress_freshet_origin');
INSERT INTO st_one.orders VALUES (6, 'from afar', 's');
TRUNCATE st_one.order_items;
SELECT pg_replication_origin_session_reset();
INSERT INTO st_one.orders VALUES (7, 'from here', 's');
SELECT op, after FROM st_peek('tables', 'st_one.*', 'operations', 'insert,truncate') OFFSET 2;
SELECT op, after FROM st_peek('tables', 'st_one.*', 'operations', 'insert,truncate', 'origin', 'any') OFFSET 2;
SELECT op, after FROM st_peek('tables', 'st_one.*', 'operations', 'insert,truncate', 'origin', 'none') OFFSET 2;
SELECT pg_replication_origin_drop('regress_freshet_origin');

-- freshet's own tables, those of the system, temporary and unlogged ones are never streamed
UPDATE freshet.applied SET id = id;
CREATE TEMP TABLE st_temp AS SELECT 1 AS a;
CREATE UNLOGGED TABLE st_one.st_unlogged AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW st_one.st_view AS SELECT id FROM st_one.orders;
CREATE UNIQUE INDEX ON st_one.st_view (id);
UPDATE st_one.orders SET id = 8 WHERE id = 7;
REFRESH MATERIALIZED VIEW CONCURRENTLY st_one.st_view;
SELECT DISTINCT relation FROM st_peek('tables', '*');
SELECT pg_replication_slot_advance('regress_freshet_filters', pg_current_wal_lsn()) IS NOT NULL AS advanced;

-- names change: they are those of the change's time
INSERT INTO st_one.orders VALUES (10, 'name', 's');
ALTER TABLE st_one.orders RENAME TO renamed;
INSERT INTO st_one.renamed VALUES (11, 'name', 's');
ALTER SCHEMA st_one RENAME TO st_three;
INSERT INTO st_three.renamed VALUES (12, 'name', 's');
ALTER TABLE st_three.renamed RENAME TO orders;
ALTER SCHEMA st_three RENAME TO st_one;
SELECT relation, key FROM st_peek();
SELECT relation, key FROM st_peek('tables', 'st_one.*');

-- partitions
CREATE TABLE st_one.part (id int, d int, v text, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE st_one.part_1 PARTITION OF st_one.part FOR VALUES FROM (0) TO (10);
CREATE TABLE st_one.part_2 (v text, gone int, d int NOT NULL, id int NOT NULL) PARTITION BY LIST (d);
ALTER TABLE st_one.part_2 DROP COLUMN gone;
CREATE TABLE "St.Two".part_2_1 PARTITION OF st_one.part_2 FOR VALUES IN (11);
ALTER TABLE st_one.part ATTACH PARTITION st_one.part_2 FOR VALUES FROM (10) TO (20);
SELECT pg_replication_slot_advance('regress_freshet_filters', pg_current_wal_lsn()) IS NOT NULL AS advanced;
INSERT INTO st_one.part VALUES (1, 1, 'a'), (2, 11, 'b');
UPDATE st_one.part SET d = 11 WHERE id = 1;
TRUNCATE st_one.part;
TRUNCATE st_one.part_2;
TRUNCATE "St.Two".part_2_1;
SELECT * FROM st_peek('tables', 'part');
SELECT * FROM st_peek('tables', 'part_2,orders');
SELECT op, relation, key FROM st_peek('tables', 'part_1');
SELECT * FROM st_peek('tables', 'part', 'publish_via_root', 'on');
SELECT op, relation, key FROM st_peek('tables', 'St\.Two.*', 'publish_via_root', 'on');
SELECT op, relation, after FROM st_peek('tables', 'part', 'publish_via_root', 'on', 'columns', 'part.id', 'operations', 'insert');
SELECT pg_replication_slot_advance('regress_freshet_filters', pg_current_wal_lsn()) IS NOT NULL AS advanced;
-- a table above a partition gets another name, without a change of the partition
INSERT INTO st_one.part VALUES (4, 1, 'd');
ALTER TABLE st_one.part RENAME TO whole;
INSERT INTO st_one.whole VALUES (5, 1, 'e');
ALTER TABLE st_one.whole SET SCHEMA "St.Two";
INSERT INTO "St.Two".whole VALUES (6, 1, 'f');
ALTER TABLE "St.Two".whole RENAME TO part;
ALTER TABLE "St.Two".part SET SCHEMA st_one;
SELECT relation, key FROM st_peek('tables', '*', 'publish_via_root', 'on');
SELECT relation, key FROM st_peek('tables', 'part');
SELECT pg_replication_slot_advance('regress_freshet_filters', pg_current_wal_lsn()) IS NOT NULL AS advanced;
ALTER TABLE st_one.part DETACH PARTITION st_one.part_2;
INSERT INTO st_one.part_2 VALUES ('c', 11, 3);
SELECT relation FROM st_peek('tables', 'part', 'publish_via_root', 'on');
SELECT relation FROM st_peek('tables', 'part_2', 'publish_via_root', 'on');

-- messages of others are not streamed
SELECT pg_logical_emit_message(true, 'freshet', '{"a":1}') IS NOT NULL, pg_logical_emit_message(false, 'freshet', '{"a":1}') IS NOT NULL,
	pg_logical_emit_message(true, 'other', 'x') IS NOT NULL;
SELECT relation FROM st_peek('transactions', 'on', 'tables', 'none');
SET client_min_messages = warning;
DROP SCHEMA st_one, "St.Two" CASCADE;
DROP FUNCTION st_peek;
SELECT pg_drop_replication_slot('regress_freshet_filters');
