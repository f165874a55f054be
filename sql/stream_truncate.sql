-- The change stream: TRUNCATE
\pset format unaligned
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_truncate', 'freshet');
CREATE TABLE st_a (id int PRIMARY KEY);
CREATE TABLE st_b (id serial PRIMARY KEY, a int REFERENCES st_a);
CREATE TABLE st_c (id int);
TRUNCATE st_c;
TRUNCATE st_a, st_b, st_c;
TRUNCATE st_a CASCADE;
TRUNCATE st_b, st_c RESTART IDENTITY;
BEGIN;
INSERT INTO st_c VALUES (1);
TRUNCATE st_c;
INSERT INTO st_c VALUES (2);
COMMIT;
BEGIN;
SAVEPOINT a;
TRUNCATE st_c;
ROLLBACK TO a;
INSERT INTO st_c VALUES (3);
COMMIT;
SELECT stream_lines('regress_freshet_truncate', 'tables', 'st_*', 'transactions', 'on');
TRUNCATE st_a, st_b, st_c;
SELECT stream_lines('regress_freshet_truncate', 'tables', 'st_c', 'operations', 'truncate');
DROP TABLE st_a, st_b, st_c;
SELECT pg_drop_replication_slot('regress_freshet_truncate');
