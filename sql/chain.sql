-- Sinks on sinks
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
\set VERBOSITY terse
CREATE TABLE chain_source (id int PRIMARY KEY, u text, amount numeric, at timestamptz, wide text);
ALTER TABLE chain_source REPLICA IDENTITY FULL;
INSERT INTO chain_source SELECT i, 'u' || i % 10, i / 4.0, '2022-01-01Z'::timestamptz + i * interval '1 min',
	CASE WHEN i % 10 = 0 THEN (SELECT string_agg(md5(k::text), '') FROM generate_series(i, i + 200) k) END
FROM generate_series(1, 200) i;
SELECT freshet.create_sink('chain_copy', 'SELECT id, u, amount, at, wide FROM chain_source WHERE amount > 2');
SELECT freshet.create_sink('chain_users', 'SELECT u, count(*), sum(amount) AS total, max(at) AS last FROM chain_copy GROUP BY u');
SELECT freshet.create_sink('chain_sizes', 'SELECT count > 15 AS busy, count(*) AS users, sum(total), avg(total), min(total) FROM chain_users GROUP BY 1');
SELECT freshet.create_sink('chain_all', 'SELECT sum(users) AS users, max(sum) FROM chain_sizes');
SELECT freshet.create_sink('chain_copy2', 'SELECT id, upper(u) AS u, at, length(wide) AS len FROM chain_copy WHERE u <> ''u3''');
SELECT freshet.create_sink('chain_hours', 'SELECT window_start, count(*), sum(len) FROM chain_copy2, freshet.tumble(at, ''1 hour'') GROUP BY 1');
SELECT freshet.create_sink('chain_user_copy', 'SELECT u, total FROM chain_users WHERE total > 100');
-- a key of the sink that is not selected is not needed, bookkeeping columns are not for others
SELECT freshet.create_sink('chain_totals', 'SELECT total FROM chain_users');
SELECT freshet.create_sink('chain_bad', 'SELECT u, _freshet_state FROM chain_users');
SELECT freshet.create_sink('chain_bad', 'SELECT sum(_freshet_rows) FROM chain_users');
SELECT freshet.explain('SELECT u, total FROM chain_users WHERE total > 100');
CREATE VIEW chain_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'chain%' ORDER BY relid;
SELECT * FROM chain_check;
SELECT busy, users, sum, avg, min FROM chain_sizes ORDER BY 1;
-- all move together
INSERT INTO chain_source SELECT i, 'u' || i % 12, i / 4.0, '2022-01-01Z'::timestamptz + i * interval '1 min' FROM generate_series(201, 300) i;
SELECT * FROM chain_check;
UPDATE chain_source SET amount = amount - 20, u = 'u3' WHERE id % 3 = 0;
SELECT * FROM chain_check;
UPDATE chain_source SET amount = amount + 1 WHERE wide IS NOT NULL;
SELECT * FROM chain_check;
UPDATE chain_source SET id = id + 1000, at = at + interval '2 hours' WHERE id % 4 = 0;
SELECT * FROM chain_check;
DO $$
BEGIN
	FOR k IN 1..30 LOOP
		UPDATE chain_source SET u = 'u' || (id * k) % 14, amount = amount + k WHERE id % 11 = k % 11;
		DELETE FROM chain_source WHERE id % 53 = k;
		INSERT INTO chain_source VALUES (5000 + k, 'u5', k, '2022-02-01Z');
		COMMIT;
	END LOOP;
END
$$;
SELECT * FROM chain_check;
BEGIN;
TRUNCATE chain_source;
INSERT INTO chain_source SELECT i, 'u' || i % 3, i, '2022-01-01Z' FROM generate_series(1, 30) i;
COMMIT;
SELECT * FROM chain_check;
-- rebuild, pause and resume in the middle of the chain
SELECT freshet.rebuild_sink('chain_copy');
INSERT INTO chain_source VALUES (600, 'u1', 9, '2022-01-02Z');
SELECT * FROM chain_check;
SELECT freshet.pause_sink('chain_copy');
SELECT sink_state('chain_copy');
INSERT INTO chain_source VALUES (601, 'u1', 9, '2022-01-02Z');
DELETE FROM chain_source WHERE id < 10;
SELECT sink_state('chain_users'), check_sink('chain_users');
SELECT freshet.resume_sink('chain_copy');
SELECT * FROM chain_check;
SELECT freshet.pause_sink('chain_users');
INSERT INTO chain_source VALUES (602, 'u2', 9, '2022-01-02Z');
SELECT sink_state('chain_users'), check_sink('chain_sizes'), check_sink('chain_copy');
SELECT freshet.resume_sink('chain_users');
SELECT * FROM chain_check;
-- a new one on top, while changes come
BEGIN;
INSERT INTO chain_source VALUES (603, 'u2', 9, '2022-01-02Z');
SELECT freshet.create_sink('chain_top', 'SELECT count(*), sum(total) FROM chain_user_copy');
INSERT INTO chain_source VALUES (604, 'u2', 9, '2022-01-02Z');
COMMIT;
SELECT * FROM chain_check;
-- source and sink made in one transaction, filled in order
BEGIN;
SELECT freshet.create_sink('chain_l1', 'SELECT id, u FROM chain_source');
SELECT freshet.create_sink('chain_l2', 'SELECT u, count(*) FROM chain_l1 GROUP BY u');
SELECT freshet.create_sink('chain_l3', 'SELECT count(*), sum(count) FROM chain_l2');
COMMIT;
SELECT * FROM chain_check WHERE sink::text LIKE 'chain_l%';
-- the order of making is not that of the chain: the middle is dropped and made anew
SELECT freshet.drop_sink('chain_users');
SELECT freshet.drop_sink('chain_users', cascade => true);
SELECT to_regclass('chain_sizes'), to_regclass('chain_all'), to_regclass('chain_copy') IS NOT NULL AS copy;
SELECT * FROM chain_check;
-- a change of a sink's own column name; a failing middle
SELECT freshet.create_sink('chain_div', 'SELECT id, 100 / (id - 700) AS d FROM chain_copy');
SELECT freshet.create_sink('chain_div_sum', 'SELECT sum(d), count(*) FROM chain_div');
SELECT check_sink('chain_div'), check_sink('chain_div_sum');
INSERT INTO chain_source VALUES (700, 'u2', 9, '2022-01-02Z'), (701, 'u2', 9, '2022-01-02Z');
SELECT check_sink('chain_div'), check_sink('chain_copy');
-- equal to its query, whose source stands still
SELECT check_sink('chain_div_sum');
DELETE FROM chain_source WHERE id = 700;
SELECT freshet.rebuild_sink('chain_div');
SELECT * FROM chain_check;
DROP VIEW chain_check;
DROP TABLE chain_source CASCADE;
SELECT count(*) FROM freshet.sink WHERE relid::text LIKE '%chain%';
