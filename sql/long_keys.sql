-- Keys that are longer than an entry of an index
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE lk (id int PRIMARY KEY, day date, url text, b bytea, bits bit varying, v int);
ALTER TABLE lk REPLICA IDENTITY FULL;
-- n bytes that do not compress
CREATE FUNCTION lk_text(n int, seed int) RETURNS text LANGUAGE sql AS
$$ SELECT left(string_agg(md5(seed || '/' || i), ''), n) FROM generate_series(1, 1 + n / 32) i $$;
SELECT freshet.create_sink('lk_count', 'SELECT url, count(*) FROM lk GROUP BY url');
SELECT freshet.create_sink('lk_days', 'SELECT day, url, count(*), sum(v) AS s, max(v) FROM lk GROUP BY day, url');
SELECT freshet.create_sink('lk_hidden', 'SELECT length(url), count(*) FROM lk GROUP BY url');
SELECT freshet.create_sink('lk_bytes', 'SELECT b, count(*), min(v) FROM lk GROUP BY b');
SELECT freshet.create_sink('lk_bits', 'SELECT bits, count(*) FROM lk GROUP BY bits');
SELECT freshet.create_sink('lk_above', 'SELECT length(url) AS l, sum(count) FROM lk_count GROUP BY 1');
CREATE VIEW lk_checks AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'lk\_%' ORDER BY relid::text;
CREATE VIEW lk_indexes AS SELECT indrelid::regclass AS sink, regexp_replace(pg_get_indexdef(indexrelid), '\d+', 'n') AS index FROM pg_index
	WHERE indrelid IN (SELECT relid FROM freshet.sink WHERE relid::text LIKE 'lk\_%');
INSERT INTO lk VALUES (1, '2020-01-01', 'short', 'short', B'1', 1), (2, '2020-01-01', NULL, NULL, NULL, 2), (3, '2020-01-02', lk_text(1500, 1), 'x', B'0', 3);
SELECT * FROM lk_checks;
SELECT * FROM lk_indexes ORDER BY sink::text;
-- a long one, and others that differ from it at the end
INSERT INTO lk SELECT 10 + i, '2020-01-01', lk_text(9600, 2) || i % 3, convert_to(lk_text(9600, 2) || i % 3, 'UTF8'),
	repeat('01101', 8000)::bit varying || (i % 3)::bit(2)::bit varying, i FROM generate_series(1, 10) i;
SELECT * FROM lk_checks;
SELECT * FROM lk_indexes ORDER BY sink::text;
SELECT left(url, 5), length(url), count FROM lk_count ORDER BY url;
-- they move, go and come
UPDATE lk SET url = url || 'x', b = b || '\x00', bits = bits || B'1', v = v + 1 WHERE id % 2 = 0;
SELECT * FROM lk_checks;
DELETE FROM lk WHERE id % 3 = 0;
SELECT * FROM lk_checks;
VACUUM FULL lk_count;
UPDATE lk SET url = lk_text(300000, 5) WHERE id = 11;
INSERT INTO lk VALUES (30, '2020-01-01', 'short', 'short', B'1', 1);
SELECT * FROM lk_checks;
SELECT freshet.rebuild_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'lk\_%';
SELECT * FROM lk_checks;
TRUNCATE lk;
SELECT * FROM lk_checks;
INSERT INTO lk VALUES (1, '2020-01-01', lk_text(5000, 3), lk_text(5000, 3)::bytea, B'1', 1);
SELECT * FROM lk_checks;
-- from the first fill on
SELECT freshet.create_sink('lk_late', 'SELECT url, sum(v) FROM lk GROUP BY url');
SELECT * FROM lk_checks WHERE sink = 'lk_late'::regclass;
-- the index on the key is lost otherwise
SELECT relname AS key FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = 'lk_bits'::regclass \gset
DELETE FROM pg_depend WHERE refobjid = :'key'::regclass AND classid = 'pg_trigger'::regclass;
DROP INDEX :key;
INSERT INTO lk VALUES (2, '2020-01-01', 'x', 'x', B'1', 1);
SELECT sink_state('lk_bits') ~ '^failed: sink "lk_bits" has lost the unique index';
DROP TABLE lk CASCADE;
DROP FUNCTION lk_text;
SELECT count(*) FROM freshet.sink;
