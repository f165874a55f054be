-- The change stream: two-phase commits
\pset format unaligned
\set VERBOSITY terse
SELECT current_setting('max_prepared_transactions')::int = 0 AS skip \gset
\if :skip
\quit
\endif
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_2pc', 'freshet', false, true);
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_1pc', 'freshet');
CREATE TABLE st_prepared (id int PRIMARY KEY);
CREATE TABLE st_other (id int PRIMARY KEY);
BEGIN;
INSERT INTO st_prepared VALUES (1), (2);
PREPARE TRANSACTION 'regress_freshet_st "1"';
SELECT stream_lines('regress_freshet_2pc', 'tables', 'st_*', 'transactions', 'on');
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'transactions', 'on');
INSERT INTO st_prepared VALUES (3);
COMMIT PREPARED 'regress_freshet_st "1"';
SELECT stream_lines('regress_freshet_2pc', 'tables', 'st_*');
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'transactions', 'on');
BEGIN;
INSERT INTO st_prepared VALUES (4);
PREPARE TRANSACTION 'regress_freshet_st_2';
ROLLBACK PREPARED 'regress_freshet_st_2';
SELECT stream_lines('regress_freshet_2pc', 'tables', 'st_*');
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'transactions', 'on');
-- cannot be turned off: what is prepared then would be lost
BEGIN;
INSERT INTO st_prepared VALUES (5);
PREPARE TRANSACTION 'regress_freshet_st_3';
COMMIT PREPARED 'regress_freshet_st_3';
SELECT stream_lines('regress_freshet_2pc', 'tables', 'st_*', 'two_phase', 'off');
SELECT stream_lines('regress_freshet_2pc', 'tables', 'st_*', 'format', 'debezium');
-- the option turns it on for a slot made without, from then on
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'two_phase', 'on');
BEGIN;
INSERT INTO st_prepared VALUES (6);
PREPARE TRANSACTION 'regress_freshet_st_4';
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'two_phase', 'on');
-- a transaction without a wanted change: its end is told all the same
BEGIN;
INSERT INTO st_other VALUES (1);
PREPARE TRANSACTION 'regress_freshet_st_5';
COMMIT PREPARED 'regress_freshet_st_5';
COMMIT PREPARED 'regress_freshet_st_4';
SELECT stream_lines('regress_freshet_1pc', 'tables', 'st_prepared', 'two_phase', 'on', 'transactions', 'on');
-- streamed and prepared
SET logical_decoding_work_mem = '64kB';
BEGIN;
INSERT INTO st_prepared SELECT i FROM generate_series(1000, 4000) i;
PREPARE TRANSACTION 'regress_freshet_st_6';
COMMIT PREPARED 'regress_freshet_st_6';
SELECT line, count(*) > 1 AS many FROM (
	SELECT regexp_replace(stream_lines('regress_freshet_1pc', 'tables', 'st_*', 'two_phase', 'on', 'stream', 'on'), '\d{4,}', 'N', 'g') AS line) x
GROUP BY 1 ORDER BY 1;
DROP TABLE st_prepared, st_other;
SELECT pg_drop_replication_slot('regress_freshet_1pc'), pg_drop_replication_slot('regress_freshet_2pc');
