-- The change stream: keys, and old rows by replica identity
\pset format unaligned
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_identity', 'freshet');
CREATE TABLE st_default (a int, b int, c text, PRIMARY KEY (b, a));
CREATE TABLE st_full (LIKE st_default INCLUDING INDEXES);
ALTER TABLE st_full REPLICA IDENTITY FULL;
CREATE TABLE st_index (a int NOT NULL, b int, c text);
CREATE UNIQUE INDEX st_index_a ON st_index (a);
ALTER TABLE st_index REPLICA IDENTITY USING INDEX st_index_a;
CREATE TABLE st_both (a int PRIMARY KEY, b int NOT NULL, c text);
CREATE UNIQUE INDEX st_both_b ON st_both (b);
ALTER TABLE st_both REPLICA IDENTITY USING INDEX st_both_b;
CREATE TABLE st_nothing (LIKE st_default INCLUDING INDEXES);
ALTER TABLE st_nothing REPLICA IDENTITY NOTHING;
CREATE TABLE st_none (a int, b int, c text);
CREATE TABLE st_none_full (a int, b int, c text);
ALTER TABLE st_none_full REPLICA IDENTITY FULL;
DO $$
DECLARE
	t text;
BEGIN
	FOREACH t IN ARRAY '{st_default,st_full,st_index,st_both,st_nothing,st_none,st_none_full}'::text[] LOOP
		EXECUTE format('INSERT INTO %I VALUES (1, 1, ''x'')', t);
		EXECUTE format('UPDATE %I SET c = NULL', t);
		EXECUTE format('UPDATE %I SET a = 2', t);
		EXECUTE format('UPDATE %I SET b = 3', t);
		EXECUTE format('UPDATE %I SET a = a', t);
		EXECUTE format('DELETE FROM %I', t);
	END LOOP;
END
$$;
SELECT stream_lines('regress_freshet_identity', 'tables', 'st_*');
-- the identity changes between two changes of one transaction
BEGIN;
INSERT INTO st_default VALUES (1, 1, 'x');
UPDATE st_default SET c = 'y';
ALTER TABLE st_default REPLICA IDENTITY FULL;
UPDATE st_default SET c = 'z';
ALTER TABLE st_default DROP CONSTRAINT st_default_pkey;
DELETE FROM st_default;
COMMIT;
-- a deferrable key does not tell rows apart
CREATE TABLE st_deferrable (a int PRIMARY KEY DEFERRABLE);
ALTER TABLE st_deferrable REPLICA IDENTITY FULL;
INSERT INTO st_deferrable VALUES (1);
-- a key that is not streamed is none
INSERT INTO st_full VALUES (1, 1, 'x');
UPDATE st_full SET c = 'y';
SELECT stream_lines('regress_freshet_identity', 'tables', 'st_*', 'exclude_columns', 'st_full.a');
DROP TABLE st_default, st_full, st_index, st_both, st_nothing, st_none, st_none_full, st_deferrable;
SELECT pg_drop_replication_slot('regress_freshet_identity');
