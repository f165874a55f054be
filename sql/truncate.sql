-- TRUNCATE, with changes around it
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE TABLE tr_a (id int PRIMARY KEY, g int, x int);
CREATE TABLE tr_b (id int PRIMARY KEY, g int, a_id int REFERENCES tr_a);
ALTER TABLE tr_a REPLICA IDENTITY FULL;
ALTER TABLE tr_b REPLICA IDENTITY FULL;
SELECT freshet.create_sink('tr_sum', 'SELECT g, count(*), sum(x), min(x) FROM tr_a GROUP BY g');
SELECT freshet.create_sink('tr_total', 'SELECT count(*), sum(x), max(x) FROM tr_a');
SELECT freshet.create_sink('tr_copy', 'SELECT id, x FROM tr_a WHERE x > 3');
SELECT freshet.create_sink('tr_b_sum', 'SELECT g, count(*) FROM tr_b GROUP BY g');
SELECT freshet.create_sink('tr_chain', 'SELECT count(*), sum(x) FROM tr_copy');
CREATE VIEW tr_check AS SELECT sink, check_sink(sink) FROM unnest('{tr_sum, tr_total, tr_copy, tr_b_sum, tr_chain}'::regclass[]) sink;
INSERT INTO tr_a SELECT i, i % 3, i FROM generate_series(1, 20) i;
INSERT INTO tr_b SELECT i, i % 2, i FROM generate_series(1, 10) i;
SELECT * FROM tr_check;
TRUNCATE tr_b;
SELECT * FROM tr_check;
TRUNCATE tr_a;
INSERT INTO tr_b VALUES (1, 1, NULL);
TRUNCATE tr_a CASCADE;
SELECT * FROM tr_check;
-- nothing to truncate
TRUNCATE tr_a, tr_b RESTART IDENTITY;
SELECT * FROM tr_check;
-- before and after, in one transaction
INSERT INTO tr_a SELECT i, i % 3, i FROM generate_series(1, 20) i;
BEGIN;
INSERT INTO tr_a SELECT i, i % 3, i FROM generate_series(21, 30) i;
UPDATE tr_a SET x = x + 1;
TRUNCATE tr_a CASCADE;
INSERT INTO tr_a SELECT i, i % 4, i FROM generate_series(1, 5) i;
COMMIT;
SELECT * FROM tr_check;
BEGIN;
TRUNCATE tr_a CASCADE;
INSERT INTO tr_a VALUES (1, 1, 5), (2, 2, 6);
TRUNCATE tr_a CASCADE;
INSERT INTO tr_a VALUES (1, 1, 7);
COMMIT;
SELECT * FROM tr_check;
SELECT g, count, sum FROM tr_sum ORDER BY g;
SELECT * FROM tr_copy;
-- undone
BEGIN;
UPDATE tr_a SET x = x + 1;
TRUNCATE tr_a CASCADE;
ROLLBACK;
SELECT * FROM tr_check;
BEGIN;
UPDATE tr_a SET x = x + 1;
SAVEPOINT s;
TRUNCATE tr_a CASCADE;
INSERT INTO tr_a VALUES (9, 9, 9);
ROLLBACK TO s;
INSERT INTO tr_a VALUES (10, 1, 10);
COMMIT;
SELECT * FROM tr_check;
SELECT g, count, sum FROM tr_sum ORDER BY g;
BEGIN;
SAVEPOINT s;
TRUNCATE tr_a CASCADE;
RELEASE s;
INSERT INTO tr_a VALUES (11, 1, 11);
COMMIT;
SELECT * FROM tr_check;
-- one after the other, at speed
DO $$
BEGIN
	FOR k IN 1..30 LOOP
		INSERT INTO tr_a SELECT i, i % k, i + k FROM generate_series(100, 120) i;
		COMMIT;
		IF k % 3 = 0 THEN UPDATE tr_a SET g = g + 1; COMMIT; END IF;
		TRUNCATE tr_a CASCADE;
		INSERT INTO tr_a VALUES (k, 1, k);
		COMMIT;
	END LOOP;
END
$$;
SELECT * FROM tr_check;
-- CREATE TABLE and TRUNCATE in one transaction; COPY FREEZE
BEGIN;
CREATE TABLE tr_new (id int PRIMARY KEY, x int);
INSERT INTO tr_new VALUES (1, 1);
SELECT freshet.create_sink('tr_new_sum', 'SELECT count(*), sum(x) FROM tr_new');
TRUNCATE tr_new;
COPY tr_new FROM stdin (FREEZE);
1	5
2	6
\.
COMMIT;
SELECT check_sink('tr_new_sum');
SELECT count, sum FROM tr_new_sum;
BEGIN;
TRUNCATE tr_new;
COPY tr_new FROM stdin (FREEZE);
3	7
\.
COMMIT;
SELECT check_sink('tr_new_sum');
SELECT count, sum FROM tr_new_sum;
DROP VIEW tr_check;
DROP TABLE tr_a, tr_b, tr_new CASCADE;
