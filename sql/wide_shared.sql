-- Wide views: a row that thousands of documents embed is read once for all of them
\set VERBOSITY terse
CREATE SCHEMA shared;
SET search_path = shared, public;
CREATE TYPE shared.color AS ENUM ('red', 'green', 'blue');
CREATE FUNCTION shared.color_json(shared.color) RETURNS json IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
	RETURN to_json('color ' || $1::text);
END
$$;
CREATE CAST (shared.color AS json) WITH FUNCTION shared.color_json(shared.color);
-- how often the worker looked for a branch in one batch
CREATE PROCEDURE batch(command text) LANGUAGE plpgsql AS $$
DECLARE
	before bigint;
	now bigint;
BEGIN
	PERFORM pg_stat_clear_snapshot();
	SELECT sum(idx_scan) INTO before FROM pg_stat_all_indexes WHERE relid = 'branch'::regclass;
	EXECUTE command;
	COMMIT;
	PERFORM freshet.wait('60 s');
	FOR i IN 1..600 LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT sum(idx_scan) INTO now FROM pg_stat_all_indexes WHERE relid = 'branch'::regclass;
		EXIT WHEN now > before;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RAISE NOTICE '%: % look-ups', command, CASE WHEN now = before THEN 'no' WHEN now < before + 100 THEN 'few' ELSE 'many' END;
END
$$;
CREATE TABLE country (id int PRIMARY KEY, name text, c color);
CREATE TABLE branch (id int PRIMARY KEY, country_id int, name text, c color);
CREATE TABLE teller (id int PRIMARY KEY, branch_id int, name text);
CREATE TABLE account (id int PRIMARY KEY, branch_id int, kind int, b2 int, b3 int, b4 int, b5 int) PARTITION BY HASH (id);
CREATE TABLE account_0 PARTITION OF account FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE account_1 PARTITION OF account FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX ON branch (country_id);
CREATE INDEX ON teller (branch_id);
CREATE INDEX ON account (branch_id);
CREATE INDEX ON account (b2);
CREATE INDEX ON account (b3);
CREATE INDEX ON account (b4);
CREATE INDEX ON account (b5);
INSERT INTO country SELECT i, 'country ' || i, 'red' FROM generate_series(1, 3) i;
INSERT INTO branch SELECT i, nullif(1 + i % 4, 4), 'branch ' || i, 'green' FROM generate_series(1, 4) i;
INSERT INTO teller SELECT i, i % 4 + 1, 'teller ' || i FROM generate_series(1, 6) i;
-- most are of branch 1; some of none, some of one that there is not
INSERT INTO account SELECT i, CASE WHEN i <= 6000 THEN 1 WHEN i <= 6100 THEN NULL WHEN i <= 6200 THEN 99 ELSE 2 + i % 3 END,
	i % 7, i % 5, i % 3, 1, 2 FROM generate_series(1, 8000) i;
VACUUM ANALYZE country, branch, teller, account;
SELECT freshet.create_wide_view('accounts', 'account', '[
	{"table": "branch", "path": "branch", "type": "object", "relation": [["branch_id", "id"]]},
	{"table": "country", "path": "branch.country", "type": "object", "relation": [["branch.country_id", "id"]]},
	{"table": "teller", "path": "tellers", "type": "array", "relation": [["branch_id", "branch_id"]], "columns": ["name"]},
	{"table": "branch", "path": "two", "type": "object", "relation": [["b2", "id"]], "columns": ["name"]},
	{"table": "branch", "path": "three", "type": "object", "relation": [["b3", "id"]], "columns": ["name"]},
	{"table": "branch", "path": "four", "type": "object", "relation": [["b4", "id"]], "columns": ["name"]},
	{"table": "branch", "path": "five", "type": "object", "relation": [["b5", "id"]], "columns": ["name"]}]');
SELECT freshet.create_wide_view('colors', 'account', '[
	{"table": "branch", "path": "branch", "type": "object", "relation": [["branch_id", "id"]], "columns": ["name", "c"]}]');
SELECT freshet.wait(s, '60 s') IS NOT NULL AS live FROM unnest('{accounts, colors}'::regclass[]) s;
SELECT check_sink('accounts'), check_sink('colors');
SELECT freshet.pause_sink('accounts');
SELECT freshet.wait('60 s') IS NOT NULL AS waited, pg_stat_force_next_flush();
CALL batch('UPDATE branch SET name = name || ''x'' WHERE id = 1');
CALL batch('UPDATE branch SET c = ''blue''');
SELECT freshet.resume_sink('accounts');
SELECT freshet.wait('accounts', '60 s') IS NOT NULL AS waited;
UPDATE branch SET c = NULL;
SELECT check_sink('accounts'), check_sink('colors');
-- the definition is parsed anew, the row goes and comes
ALTER TABLE branch RENAME c TO colour;
ALTER TABLE branch RENAME TO office;
UPDATE office SET colour = 'red', name = 'first' WHERE id = 1;
SELECT check_sink('accounts'), check_sink('colors');
ANALYZE office;
UPDATE office SET name = 'second' WHERE id = 1;
SELECT check_sink('accounts'), check_sink('colors');
DELETE FROM office WHERE id = 1;
SELECT check_sink('accounts'), check_sink('colors');
INSERT INTO office VALUES (1, 2, 'new', 'green'), (99, 3, 'was not there', 'blue');
UPDATE country SET name = name || ' (' || id || ')';
SELECT check_sink('accounts'), check_sink('colors');
UPDATE account SET branch_id = branch_id % 4 + 1 WHERE id % 2 = 0;
SELECT check_sink('accounts'), check_sink('colors');
TRUNCATE teller;
UPDATE office SET id = 5 WHERE id = 2;
SELECT check_sink('accounts'), check_sink('colors');
SELECT doc -> 'branch' AS branch, doc -> 'five' AS five FROM accounts WHERE id IN (1, 6050, 6150) ORDER BY id;
SET client_min_messages = warning;
DROP SCHEMA shared CASCADE;
SELECT check_sink('public.kept');
