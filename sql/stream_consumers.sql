-- The change stream: freshet.consumers
\set VERBOSITY terse
SELECT slot_name, plugin, options, active FROM freshet.consumers WHERE slot_name LIKE 'regress_freshet%';
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_consumer', 'freshet');
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_other', 'test_decoding', true);
SELECT slot_name FROM pg_create_physical_replication_slot('regress_freshet_physical');
CREATE TABLE st_consumers AS SELECT i AS id, repeat('x', 100) FROM generate_series(1, 10000) i;
CREATE VIEW st_view AS SELECT slot_name, plugin, options, active, pid, temporary, two_phase, lag_bytes > 100000 AS behind,
	retained_bytes >= lag_bytes AS retained, restart_lsn <= confirmed_flush_lsn AS confirmed, wal_status
FROM freshet.consumers WHERE slot_name LIKE 'regress_freshet%' ORDER BY 1;
SELECT slot_name, plugin, options, active, temporary, behind, retained, confirmed, wal_status FROM st_view;
SELECT count(*) FROM pg_logical_slot_get_changes('regress_freshet_consumer', NULL, NULL, 'tables', 'public.st_consumers', 'transactions', 'on', 'columns', 'a b, it''s');
-- as it is after that, once confirmed
SELECT slot_name, options, active, two_phase, behind FROM st_view;
SELECT count(*) FROM pg_logical_slot_get_changes('regress_freshet_consumer', NULL, NULL);
SELECT slot_name, options FROM st_view;
-- what is refused is not remembered (and an error ends temporary slots)
SELECT count(*) FROM pg_logical_slot_get_changes('regress_freshet_consumer', NULL, NULL, 'format', 'x');
SELECT slot_name, options FROM st_view;
-- the slot of freshet itself is not a consumer
SELECT count(*) > 0 AS worker FROM pg_replication_slots WHERE slot_name LIKE 'freshet\_%' AND database = current_database();
SELECT count(*) FROM freshet.consumers WHERE slot_name NOT LIKE 'regress_freshet%';
-- a new slot of the same name knows nothing of the old one
SELECT pg_drop_replication_slot('regress_freshet_consumer'), pg_drop_replication_slot('regress_freshet_physical');
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_consumer', 'freshet', false, true);
SELECT slot_name, options, two_phase FROM st_view;
-- everybody may look
CREATE ROLE regress_freshet_nobody;
SET ROLE regress_freshet_nobody;
SELECT slot_name FROM freshet.consumers WHERE slot_name LIKE 'regress_freshet%';
RESET ROLE;
DROP ROLE regress_freshet_nobody;
DROP VIEW st_view;
DROP TABLE st_consumers;
SELECT pg_drop_replication_slot('regress_freshet_consumer');
SELECT a.attname FROM pg_attribute a WHERE a.attrelid = 'freshet.consumers'::regclass AND a.attnum > 0 AND col_description(a.attrelid, a.attnum) IS NULL;
