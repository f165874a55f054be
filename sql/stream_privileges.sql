-- The change stream: who may read what
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on
CREATE ROLE regress_freshet_consumer REPLICATION;
CREATE ROLE regress_freshet_readers;
CREATE ROLE regress_freshet_bypass REPLICATION BYPASSRLS;
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_privileges', 'freshet');
CREATE FUNCTION st_read(VARIADIC options text[] DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
SELECT string_agg(coalesce(data::jsonb->'after', '{}')::text, ' ') FROM pg_logical_slot_peek_changes('regress_freshet_privileges', NULL, NULL, VARIADIC options)
$$;
GRANT EXECUTE ON FUNCTION st_read TO PUBLIC;
CREATE TABLE st_open (id int PRIMARY KEY, secret text);
CREATE TABLE st_closed (id int PRIMARY KEY, secret text);
GRANT SELECT ON st_open TO PUBLIC;
INSERT INTO st_open VALUES (1, 'a');
INSERT INTO st_closed VALUES (2, 'b');
SET ROLE regress_freshet_consumer;
SELECT st_read();
SELECT st_read('format', 'debezium', 'tables', 'st_*');
-- what it may not read it need not ask for
SELECT st_read('tables', 'st_open');
SELECT st_read('tables', 'st_closed', 'operations', 'delete');
-- it cannot switch the check off
SET freshet.check_stream_privileges = off;
SELECT set_config('freshet.check_stream_privileges', 'off', false);
ALTER ROLE regress_freshet_consumer SET freshet.check_stream_privileges = off;
-- rights on columns
RESET ROLE;
GRANT SELECT (id) ON st_closed TO regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
SELECT st_read('tables', 'st_*', 'exclude_columns', 'secret');
SELECT st_read('tables', 'st_*', 'columns', 'secret');
-- a grant of now is enough for changes of before, also by membership
RESET ROLE;
GRANT SELECT ON st_closed TO regress_freshet_readers;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
GRANT regress_freshet_readers TO regress_freshet_consumer;
INSERT INTO st_closed VALUES (3, 'c');
SELECT pg_replication_slot_advance('regress_freshet_privileges', pg_current_wal_lsn()) IS NOT NULL;
INSERT INTO st_closed VALUES (4, 'd');
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
-- and what has been revoked is not read
RESET ROLE;
REVOKE SELECT ON st_closed FROM regress_freshet_readers;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
GRANT SELECT ON st_closed TO regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
-- row-level security
RESET ROLE;
ALTER TABLE st_closed ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON st_closed USING (id < 4);
GRANT SELECT ON st_closed TO regress_freshet_bypass;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
SET ROLE regress_freshet_bypass;
SELECT st_read('tables', 'st_*');
RESET ROLE;
ALTER TABLE st_closed OWNER TO regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
ALTER TABLE st_closed FORCE ROW LEVEL SECURITY;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
-- all data
RESET ROLE;
ALTER TABLE st_closed DISABLE ROW LEVEL SECURITY;
ALTER TABLE st_closed OWNER TO postgres;
REVOKE ALL ON st_closed FROM regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
GRANT pg_read_all_data TO regress_freshet_consumer;
INSERT INTO st_closed VALUES (5, 'e');
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
REVOKE pg_read_all_data FROM regress_freshet_consumer;
-- the setting off, for all or for one role
SET freshet.check_stream_privileges = off;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
RESET freshet.check_stream_privileges;
ALTER ROLE regress_freshet_consumer SET freshet.check_stream_privileges = off;
ALTER ROLE regress_freshet_consumer RESET freshet.check_stream_privileges;
-- a partition may be read through its table
SELECT pg_replication_slot_advance('regress_freshet_privileges', pg_current_wal_lsn()) IS NOT NULL;
CREATE TABLE st_part (id int) PARTITION BY LIST (id);
CREATE TABLE st_part_1 PARTITION OF st_part FOR VALUES IN (1);
INSERT INTO st_part VALUES (1);
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
RESET ROLE;
GRANT SELECT ON st_part TO regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_*');
-- a table that is gone: by its grants of then
RESET ROLE;
SELECT pg_replication_slot_advance('regress_freshet_privileges', pg_current_wal_lsn()) IS NOT NULL;
CREATE TABLE st_gone (id int);
INSERT INTO st_gone VALUES (1);
GRANT SELECT ON st_gone TO regress_freshet_consumer;
INSERT INTO st_gone VALUES (2);
CREATE TABLE st_gone_2 (id int);
DROP TABLE st_gone;
SET ROLE regress_freshet_consumer;
SELECT st_read('tables', 'st_gone');
RESET ROLE;
-- sinks are checked like tables
CREATE TABLE st_source (id int PRIMARY KEY, g int);
SELECT freshet.create_sink('st_sink', 'SELECT g, count(*) AS n FROM st_source GROUP BY g');
SELECT freshet.wait('st_sink', '60 s') IS NOT NULL;
INSERT INTO st_source VALUES (1, 1);
SELECT freshet.wait('60 s') IS NOT NULL AND pg_logical_emit_message(true, 'flush', '') IS NOT NULL;
SET ROLE regress_freshet_consumer;
SELECT st_read('sinks', 'st_sink');
RESET ROLE;
GRANT SELECT (g, n) ON st_sink TO regress_freshet_consumer;
SET ROLE regress_freshet_consumer;
SELECT st_read('sinks', 'st_sink', 'batches', 'off');
RESET ROLE;
DROP TABLE st_source CASCADE;
DROP TABLE st_open, st_closed, st_part, st_gone_2;
DROP FUNCTION st_read;
SELECT pg_drop_replication_slot('regress_freshet_privileges');
DROP ROLE regress_freshet_consumer, regress_freshet_readers, regress_freshet_bypass;
