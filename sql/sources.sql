-- Sources of all kinds
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET client_min_messages = warning;
\set VERBOSITY terse
-- no key at all, rows that occur more than once
CREATE TABLE src_bag (g int, t text);
SELECT freshet.create_sink('src_bag_sink', 'SELECT g, t, count(*), min(t), max(g) FROM src_bag GROUP BY g, t');
SELECT freshet.create_sink('src_bag_total', 'SELECT count(*) FROM src_bag');
INSERT INTO src_bag SELECT i % 2, CASE WHEN i % 3 > 0 THEN 'x' END FROM generate_series(1, 20) i;
SELECT check_sink('src_bag_sink'), check_sink('src_bag_total');
DELETE FROM src_bag WHERE ctid IN (SELECT min(ctid) FROM src_bag GROUP BY g, t);
UPDATE src_bag SET t = 'y' WHERE ctid IN (SELECT max(ctid) FROM src_bag GROUP BY g, t);
SELECT check_sink('src_bag_sink'), check_sink('src_bag_total');
DELETE FROM src_bag WHERE g = 1;
SELECT check_sink('src_bag_sink'), check_sink('src_bag_total');
-- a sink that uses no column: without an identity there is no old row, but a DELETE counts
CREATE TABLE src_plain (x int PRIMARY KEY);
SELECT freshet.create_sink('src_plain_count', 'SELECT count(*) FROM src_plain');
SELECT relreplident FROM pg_class WHERE relname = 'src_plain';
INSERT INTO src_plain SELECT generate_series(1, 10);
DELETE FROM src_plain WHERE x < 4;
UPDATE src_plain SET x = x + 100;
SELECT check_sink('src_plain_count');
SELECT count FROM src_plain_count;
-- no columns, one column, a typed table, a table with rules, one that foreign keys empty
CREATE TABLE src_none ();
SELECT freshet.create_sink('src_none_count', 'SELECT count(*) FROM src_none');
INSERT INTO src_none DEFAULT VALUES;
INSERT INTO src_none DEFAULT VALUES;
DELETE FROM src_none WHERE ctid = '(0,1)';
SELECT check_sink('src_none_count');
CREATE TYPE src_type AS (id int, v numeric);
CREATE TABLE src_typed OF src_type (PRIMARY KEY (id));
SELECT freshet.create_sink('src_typed_sum', 'SELECT id % 2 AS k, sum(v) FROM src_typed GROUP BY 1');
INSERT INTO src_typed SELECT i, i FROM generate_series(1, 9) i;
ALTER TYPE src_type ADD ATTRIBUTE w text CASCADE;
UPDATE src_typed SET v = v + 0.5, w = 'w' WHERE id > 5;
SELECT check_sink('src_typed_sum');
CREATE TABLE src_parent (id int PRIMARY KEY);
CREATE TABLE src_fk (id int PRIMARY KEY, p int REFERENCES src_parent ON DELETE CASCADE ON UPDATE SET NULL);
CREATE RULE src_rule AS ON DELETE TO src_fk WHERE old.id = 1 DO INSTEAD NOTHING;
SELECT freshet.create_sink('src_fk_count', 'SELECT p, count(*) FROM src_fk GROUP BY p');
INSERT INTO src_parent SELECT generate_series(1, 5);
INSERT INTO src_fk SELECT i, 1 + i % 5 FROM generate_series(1, 20) i;
DELETE FROM src_parent WHERE id = 4;
UPDATE src_parent SET id = 50 WHERE id = 5;
SELECT check_sink('src_fk_count');

-- Keys of copies: equal to the operator, different to look at
CREATE COLLATION src_nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE src_num (n numeric PRIMARY KEY, x int);
CREATE TABLE src_nocase_t (t text COLLATE src_nocase PRIMARY KEY, x int);
CREATE TABLE src_char (c char(5) PRIMARY KEY, x int);
CREATE TABLE src_float (f float8 PRIMARY KEY, x int);
SELECT freshet.create_sink('src_num_copy', 'SELECT n, x FROM src_num');
SELECT freshet.create_sink('src_nocase_copy', 'SELECT t, x FROM src_nocase_t');
SELECT freshet.create_sink('src_char_copy', 'SELECT c, x, c || ''|'' AS d FROM src_char');
SELECT freshet.create_sink('src_float_copy', 'SELECT f, f::text AS t, x FROM src_float');
INSERT INTO src_num VALUES (1.0, 1), (2, 2), ('NaN', 3);
INSERT INTO src_nocase_t VALUES ('abc', 1), ('d', 2);
INSERT INTO src_char VALUES ('a', 1), ('b', 2);
INSERT INTO src_float VALUES (0, 1), ('NaN', 2), ('-Infinity', 3);
UPDATE src_num SET n = n + 0.00;
UPDATE src_nocase_t SET t = upper(t);
UPDATE src_float SET f = -f;
BEGIN;
DELETE FROM src_num WHERE n = 2;
INSERT INTO src_num VALUES (2.0000, 5);
DELETE FROM src_nocase_t WHERE t = 'D';
INSERT INTO src_nocase_t VALUES ('d', 9);
COMMIT;
SELECT check_sink('src_num_copy'), check_sink('src_nocase_copy'), check_sink('src_char_copy'), check_sink('src_float_copy');
SELECT * FROM src_num_copy ORDER BY n;
SELECT * FROM src_nocase_copy ORDER BY x;

-- Unique indexes as keys: NULLS NOT DISTINCT, INCLUDE, descending
CREATE TABLE src_nnd (a int, b int, UNIQUE NULLS NOT DISTINCT (a));
CREATE TABLE src_incl (a int NOT NULL, b int, c text, UNIQUE (a) INCLUDE (b));
CREATE TABLE src_desc (a int NOT NULL, b text NOT NULL);
CREATE UNIQUE INDEX ON src_desc (a DESC, b DESC NULLS LAST);
SELECT freshet.create_sink('src_nnd_copy', 'SELECT b, a FROM src_nnd');
SELECT freshet.create_sink('src_incl_copy', 'SELECT a, c FROM src_incl');
SELECT freshet.create_sink('src_desc_copy', 'SELECT a, b FROM src_desc');
INSERT INTO src_nnd VALUES (1, 1), (NULL, 2), (3, 3);
INSERT INTO src_incl VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO src_desc VALUES (1, 'a'), (1, 'b'), (2, 'a');
UPDATE src_nnd SET b = b + 1;
UPDATE src_nnd SET a = 7 WHERE a IS NULL;
UPDATE src_nnd SET a = NULL WHERE a = 1;
UPDATE src_incl SET b = 5, c = 'c' WHERE a = 1;
UPDATE src_desc SET b = 'z' WHERE b = 'b';
DELETE FROM src_desc WHERE a = 2;
SELECT check_sink('src_nnd_copy'), check_sink('src_incl_copy'), check_sink('src_desc_copy');
DELETE FROM src_nnd;
SELECT check_sink('src_nnd_copy');

-- Constants as arguments; conditions that never hold
CREATE TABLE src_const (id int PRIMARY KEY, g int);
SELECT freshet.create_sink('src_const_sink', $$
	SELECT g, count(1) AS c1, count('x') AS cx, sum(2) AS s2, avg(3) AS a3, min('a'::text) AS mi, sum(NULL::int) AS sn, count(NULL) AS cn,
		sum(1.50) AS sd FROM src_const GROUP BY g$$);
SELECT freshet.create_sink('src_never', 'SELECT count(*), sum(g), max(id) FROM src_const WHERE false');
SELECT freshet.create_sink('src_never_groups', 'SELECT g, count(*) FROM src_const WHERE NULL GROUP BY g');
SELECT freshet.create_sink('src_never_copy', 'SELECT id FROM src_const WHERE g IS NULL AND g = 1');
INSERT INTO src_const SELECT i, i % 3 FROM generate_series(1, 12) i;
SELECT check_sink('src_const_sink'), check_sink('src_never'), check_sink('src_never_groups'), check_sink('src_never_copy');
SELECT g, c1, cx, s2, a3, mi, sn, cn, sd FROM src_const_sink ORDER BY g;
DELETE FROM src_const WHERE id > 4;
SELECT check_sink('src_const_sink'), check_sink('src_never'), check_sink('src_never_groups'), check_sink('src_never_copy');

-- Maintenance of the tables while they are in use
CREATE INDEX CONCURRENTLY ON src_const (g, id);
CREATE INDEX CONCURRENTLY ON src_const_sink (c1);
REINDEX TABLE CONCURRENTLY src_const;
REINDEX TABLE CONCURRENTLY src_const_sink;
UPDATE src_const SET g = g + 1;
VACUUM (FREEZE, ANALYZE) src_const;
VACUUM (FREEZE, ANALYZE) src_const_sink;
CLUSTER src_const_sink USING src_const_sink_g_idx;
DELETE FROM src_const WHERE id = 1;
SELECT check_sink('src_const_sink');
ALTER TABLE src_const SET TABLESPACE pg_default;
ALTER TABLE src_const_sink SET (fillfactor = 50);
ALTER TABLE src_const DISABLE TRIGGER ALL;
ALTER TABLE src_const ALTER COLUMN g SET STATISTICS 10;
ALTER TABLE src_const ALTER COLUMN g SET NOT NULL;
ALTER TABLE src_const ALTER COLUMN g DROP NOT NULL;
ALTER TABLE src_const ADD CONSTRAINT src_check CHECK (id > 0) NOT VALID;
ALTER TABLE src_const VALIDATE CONSTRAINT src_check;
COMMENT ON TABLE src_const IS 'x';
GRANT SELECT ON src_const, src_const_sink TO PUBLIC;
INSERT INTO src_const VALUES (40, NULL), (41, 1);
SELECT check_sink('src_const_sink'), check_sink('src_never');
-- a publication and a subscription's worth of identity changes do not matter to FULL
CREATE PUBLICATION regress_freshet_pub FOR TABLE src_const, src_const_sink;
UPDATE src_const SET g = 5 WHERE id = 40;
SELECT check_sink('src_const_sink');
DROP PUBLICATION regress_freshet_pub;

-- Names
CREATE SCHEMA "Src ""Q""";
CREATE TABLE "Src ""Q"""."Ta ble" ("I d" int PRIMARY KEY, "select" text, "a.b" int, "ü" int);
SELECT freshet.create_sink('"Src ""Q""".sink', 'SELECT "select", count(*), sum("a.b") AS "sum of a.b", max("ü") AS "ü" FROM "Src ""Q"""."Ta ble" GROUP BY 1');
INSERT INTO "Src ""Q"""."Ta ble" VALUES (1, 'a', 1, 1), (2, 'a', 2, 2), (3, NULL, 3, 3);
UPDATE "Src ""Q"""."Ta ble" SET "ü" = 0 WHERE "I d" = 2;
SELECT check_sink('"Src ""Q""".sink');
DROP SCHEMA "Src ""Q""" CASCADE;
-- the same table in another schema, made later, is another one
CREATE SCHEMA src_other;
CREATE TABLE src_const2 (id int PRIMARY KEY);
SELECT freshet.create_sink('src_const2_sink', 'SELECT count(*) FROM src_const2');
CREATE TABLE src_other.src_const2 (id int PRIMARY KEY);
SET search_path = src_other, public;
INSERT INTO src_const2 SELECT generate_series(1, 5);
SELECT check_sink('public.src_const2_sink');
RESET search_path;
INSERT INTO src_const2 VALUES (1);
SELECT check_sink('src_const2_sink');
-- a table dropped and made anew under the same name
DROP TABLE src_const2 CASCADE;
CREATE TABLE src_const2 (id int PRIMARY KEY);
SELECT freshet.create_sink('src_const2_sink', 'SELECT count(*) FROM src_const2');
INSERT INTO src_const2 VALUES (1);
SELECT check_sink('src_const2_sink');
DROP SCHEMA src_other CASCADE;
DROP TABLE src_bag, src_plain, src_none, src_typed, src_fk, src_parent, src_num, src_nocase_t, src_char, src_float, src_nnd,
	src_incl, src_desc, src_const, src_const2 CASCADE;
DROP TYPE src_type;
DROP COLLATION src_nocase;
