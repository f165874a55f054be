-- The change stream: values stored out of line
\pset format unaligned
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_toast', 'freshet');
-- 3 kB that do not compress
CREATE FUNCTION st_large(seed text) RETURNS text LANGUAGE sql AS $$
SELECT string_agg(md5(seed || i), '' ORDER BY i) FROM generate_series(1, 100) i
$$;
CREATE TABLE st_default (id int PRIMARY KEY, n int, big text, other text, small text);
CREATE TABLE st_full (LIKE st_default INCLUDING INDEXES);
ALTER TABLE st_full REPLICA IDENTITY FULL;
CREATE TABLE st_key (big text PRIMARY KEY, n int);
CREATE TABLE st_types (id int PRIMARY KEY, n int, j jsonb, a text[], b bytea);
ALTER TABLE st_types ALTER j SET STORAGE EXTERNAL, ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
INSERT INTO st_default VALUES (1, 1, st_large('a'), st_large('b'), 'small');
UPDATE st_default SET n = 2;
UPDATE st_default SET other = st_large('c');
UPDATE st_default SET other = NULL;
UPDATE st_default SET id = 2;
DELETE FROM st_default;
INSERT INTO st_full SELECT 1, 1, st_large('a'), st_large('b'), 'small';
UPDATE st_full SET n = 2;
UPDATE st_full SET other = st_large('c');
UPDATE st_full SET big = NULL;
DELETE FROM st_full;
INSERT INTO st_types VALUES (1, 1, jsonb_build_object('k', st_large('j')), ARRAY[st_large('x'), NULL], decode(st_large('y'), 'hex'));
UPDATE st_types SET n = 2;
UPDATE st_types SET a = a || 'z'::text;
-- compressed, in line
INSERT INTO st_full VALUES (2, 1, repeat('x', 100000), NULL, 'small');
UPDATE st_full SET n = 2;
-- large values are put as their length
SELECT regexp_replace(line, '[0-9a-f]{200,}', '<hex>', 'g') FROM (
	SELECT regexp_replace(stream_lines('regress_freshet_toast', 'tables', 'st_*'), 'x{200,}', '<x...>', 'g') AS line) l;
-- they are right
INSERT INTO st_full SELECT i, i, st_large(i::text), st_large('o' || i), 's' FROM generate_series(10, 60) i;
UPDATE st_full SET n = n + 1 WHERE id >= 10;
UPDATE st_full SET big = st_large('u' || id) WHERE id >= 10;
SELECT d->>'op' AS op, count(*),
	count(*) FILTER (WHERE d #>> '{after,big}' = CASE WHEN x <= 102 THEN st_large(d #>> '{key,id}') ELSE st_large('u' || (d #>> '{key,id}')) END) AS big,
	count(*) FILTER (WHERE d #>> '{after,other}' = st_large('o' || (d #>> '{key,id}'))) AS other,
	count(*) FILTER (WHERE d #>> '{before,other}' = st_large('o' || (d #>> '{key,id}'))) AS before
FROM (SELECT data::jsonb AS d, row_number() OVER () AS x
	FROM pg_logical_slot_get_changes('regress_freshet_toast', NULL, NULL, 'tables', 'st_full')) l
GROUP BY 1, x > 102 ORDER BY 1, 2, x > 102;
-- one row of megabytes
INSERT INTO st_full VALUES (100, 1, (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 200000) i), NULL, 's');
SELECT length(data) > 6400000 AS long, length(data::jsonb #>> '{after,big}'), md5(data::jsonb #>> '{after,big}') = (SELECT md5(big) FROM st_full WHERE id = 100) AS same
FROM pg_logical_slot_get_changes('regress_freshet_toast', NULL, NULL, 'tables', 'st_full', 'columns', 'big');
DROP TABLE st_default, st_full, st_key, st_types;
DROP FUNCTION st_large;
SELECT pg_drop_replication_slot('regress_freshet_toast');
