-- Time windows: tumble, hop and date_bin
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';
SET intervalstyle = 'postgres';
\set VERBOSITY terse

SELECT * FROM freshet.tumble('2020-01-01 00:00:31Z', '30 seconds');
SELECT * FROM freshet.tumble('1999-12-31 23:59:59.999999Z', '30 seconds');
SELECT * FROM freshet.tumble('2000-01-01 00:00:00Z', '30 seconds');
SELECT * FROM freshet.tumble('2020-02-29 12:00Z', '7 days', '2000-01-03Z');
SELECT * FROM freshet.tumble('2020-02-29 12:00Z', size => '1 day', origin => '2000-01-01 06:00Z');
SELECT * FROM freshet.tumble(NULL, '30 seconds');
SELECT * FROM freshet.tumble('infinity', '30 seconds');
SELECT * FROM freshet.tumble('-infinity', '30 seconds');
SELECT * FROM freshet.tumble('2020-01-01', '0 seconds');
SELECT * FROM freshet.tumble('2020-01-01', '-1 seconds');
SELECT * FROM freshet.tumble('2020-01-01', '1 month');
SELECT * FROM freshet.tumble('2020-01-01', '1 s', 'infinity');
SELECT * FROM freshet.tumble('294276-12-31 23:59:59.999999Z', '1 day');
SELECT * FROM freshet.tumble('4714-11-24 00:00Z BC', '1 day', '2000-01-01 00:00:01Z');
SELECT * FROM freshet.hop('2020-01-01 00:00:31Z', '10 seconds', '30 seconds');
SELECT * FROM freshet.hop('2020-01-01 00:00:30Z', '10 seconds', '30 seconds');
SELECT * FROM freshet.hop('1999-12-31 23:59:55Z', '10 seconds', '25 seconds');
-- slide longer than size: gaps
SELECT * FROM freshet.hop('2020-01-01 00:00:05Z', '30 seconds', '10 seconds');
SELECT * FROM freshet.hop('2020-01-01 00:00:15Z', '30 seconds', '10 seconds');
SELECT * FROM freshet.hop(NULL, '10 seconds', '30 seconds');
SELECT * FROM freshet.hop('infinity', '10 seconds', '30 seconds');
SELECT * FROM freshet.hop('2020-01-01', '0 seconds', '30 seconds');
SELECT * FROM freshet.hop('2020-01-01', '10 seconds', '1 year');

CREATE TABLE win_source (id int PRIMARY KEY, ms bigint, ts timestamptz, tsl timestamp, price float8, u text);
ALTER TABLE win_source REPLICA IDENTITY FULL;
INSERT INTO win_source
SELECT i, 1000000000000 + i * 7000, '2021-03-04 05:06:07Z'::timestamptz + i * interval '7 s',
	'2021-03-04 05:06:07'::timestamp + i * interval '7 s', i, 'u' || i % 3
FROM generate_series(1, 100) i;

SELECT freshet.create_sink('win_tumble', $$
	SELECT window_start AS "begin", window_end AS "end", count(*), sum(price) AS total_price
	FROM win_source, freshet.tumble(to_timestamp(ms / 1000.0), '30 seconds')
	GROUP BY window_start, window_end$$);
SELECT freshet.create_sink('win_bin', $$
	SELECT date_bin('30 seconds', to_timestamp(ms / 1000.0), '2000-01-01 00:00:00+00') AS "begin",
		date_bin('30 seconds', to_timestamp(ms / 1000.0), '2000-01-01 00:00:00+00') + interval '30 seconds' AS "end",
		count(*), sum(price) AS total_price
	FROM win_source GROUP BY 1$$);
SELECT freshet.create_sink('win_bin_local', $$
	SELECT date_bin('30 seconds', tsl, '2000-01-01') AS b, count(*) FROM win_source GROUP BY 1$$);
SELECT freshet.create_sink('win_hop', $$
	SELECT window_start, window_end, count(*), sum(price), min(price), max(ts)
	FROM win_source, freshet.hop(ts, '20 seconds', '1 minute') GROUP BY 1, 2$$);
SELECT freshet.create_sink('win_gaps', $$
	SELECT window_start, count(*) FROM win_source CROSS JOIN freshet.hop(ts, '1 minute', '20 seconds') w GROUP BY 1$$);
SELECT freshet.create_sink('win_user', $$
	SELECT u, w.window_start AS s, count(*), avg(price) FROM win_source s, LATERAL freshet.tumble(s.ts, '1 minute') w
	WHERE price > 3 GROUP BY u, w.window_start$$);
SELECT freshet.create_sink('win_origin', $$
	SELECT window_end, count(*) FROM win_source JOIN freshet.tumble(ts, '1 hour', '2021-03-04 05:06:30Z') ON price < 90 GROUP BY 1$$);
SELECT freshet.create_sink('win_uneven', $$
	SELECT window_start, window_end, count(*), sum(price) FROM win_source, freshet.hop(ts, '13 s', '29.5 s', '2021-01-01 00:00:00.25Z') GROUP BY 1, 2$$);
SELECT freshet.create_sink('win_total', $$
	SELECT count(*), min(window_start), max(window_end) FROM win_source, freshet.tumble(ts, '1 minute')$$);
SELECT freshet.create_sink('win_qual', $$
	SELECT window_start, u, count(*) FROM win_source, freshet.hop(ts, '10 s', '40 s')
	WHERE extract(second FROM window_start) < 30 AND ts - window_start > interval '15 s' GROUP BY 1, 2$$);
SELECT freshet.create_sink('win_expr', $$
	SELECT window_end - window_start AS len, extract(minute FROM window_start) AS m, count(*), sum(price * 2) AS s
	FROM win_source, freshet.tumble(ts + interval '1 s', '90 s') GROUP BY 1, 2$$);
SELECT freshet.create_sink('win_copy', $$
	SELECT id, u, window_start, window_end, price FROM win_source, freshet.tumble(ts, '1 minute') WHERE price > 10$$);
SELECT freshet.create_sink('win_copy_hop', $$
	SELECT window_start, id, upper(u) AS u, price FROM win_source, freshet.hop(ts, '30 s', '1 minute')$$);
CREATE VIEW win_check AS SELECT relid AS sink, check_sink(relid) FROM freshet.sink WHERE relid::text LIKE 'win\_%' ORDER BY relid;
SELECT * FROM win_check;
SELECT check_types(relid) FROM freshet.sink WHERE relid::text LIKE 'win\_%';
SELECT * FROM win_tumble ORDER BY 1 LIMIT 4;
SELECT window_start, window_end, count, sum FROM win_hop ORDER BY 1 LIMIT 4;

-- Late and early rows, corrections, moves between windows
INSERT INTO win_source (id, ms, ts, tsl, price, u) VALUES
	(200, 0, 'epoch', 'epoch', 5, 'u1'),
	(201, -1, '1969-12-31 23:59:59.999Z', '1969-12-31 23:59:59.999', 6, 'u1'),
	(202, -60000000000000, '0044-03-15 12:00Z BC', '0044-03-15 12:00 BC', 7, 'u2'),
	(203, 1000000000000, '2021-03-04 05:06:07Z', '2021-03-04 05:06:07', 8, NULL),
	(204, 946684800000, '2000-01-01Z', '2000-01-01', 9, 'u0'),
	(205, 946684799999, '1999-12-31 23:59:59.999999Z', '1999-12-31 23:59:59.999999', 9, 'u0');
SELECT * FROM win_check WHERE check_sink NOT LIKE 'ok%';
SELECT * FROM win_tumble ORDER BY 1 LIMIT 5;
UPDATE win_source SET ms = ms + 30000, ts = ts + interval '30 s', tsl = tsl + interval '30 s' WHERE id % 3 = 0;
UPDATE win_source SET price = price + 0.5 WHERE id % 5 = 0;
UPDATE win_source SET ts = ts + interval '1 microsecond', ms = ms + 1 WHERE id % 7 = 0;
SELECT * FROM win_check WHERE check_sink NOT LIKE 'ok%';
DELETE FROM win_source WHERE id % 4 = 0;
SELECT * FROM win_check WHERE check_sink NOT LIKE 'ok%';

-- No time: no window.  date_bin makes a group of NULL, and refuses infinity.
INSERT INTO win_source (id, price) VALUES (300, 1), (301, 2);
SELECT * FROM win_check WHERE check_sink NOT LIKE 'ok%';
UPDATE win_source SET ts = NULL WHERE id IN (1, 2, 3);
UPDATE win_source SET ts = '2021-03-04 05:06:07Z' WHERE id = 300;
SELECT * FROM win_check WHERE check_sink NOT LIKE 'ok%';
SELECT b, count FROM win_bin_local WHERE b IS NULL;
DROP VIEW win_check;

-- Infinity
CREATE TABLE win_inf (id int PRIMARY KEY, ts timestamptz);
ALTER TABLE win_inf REPLICA IDENTITY FULL;
SELECT freshet.create_sink('winf_tumble', 'SELECT window_start, window_end, count(*) FROM win_inf, freshet.tumble(ts, ''1 hour'') GROUP BY 1, 2');
SELECT freshet.create_sink('winf_hop', 'SELECT window_start, window_end, count(*) FROM win_inf, freshet.hop(ts, ''1 hour'', ''2 hours'') GROUP BY 1, 2');
SELECT freshet.create_sink('winf_copy', 'SELECT id, ts, window_start, window_end FROM win_inf, freshet.tumble(ts, ''1 hour'')');
INSERT INTO win_inf VALUES (1, 'infinity'), (2, '-infinity'), (3, 'infinity'), (4, '2020-01-01'), (5, NULL);
SELECT check_sink('winf_tumble'), check_sink('winf_hop'), check_sink('winf_copy');
SELECT window_start, window_end, count FROM winf_tumble ORDER BY 1;
SELECT window_start, window_end, count FROM winf_hop ORDER BY 1;
UPDATE win_inf SET ts = CASE id WHEN 1 THEN '-infinity' WHEN 2 THEN '2020-01-01' WHEN 4 THEN 'infinity' END::timestamptz;
SELECT check_sink('winf_tumble'), check_sink('winf_hop'), check_sink('winf_copy');
DELETE FROM win_inf;
SELECT check_sink('winf_tumble'), check_sink('winf_hop'), check_sink('winf_copy');
-- at the end of time, as the query does
INSERT INTO win_inf VALUES (1, '294276-12-31 23:30Z');
SELECT sink_state('winf_tumble'), sink_state('winf_hop');
DELETE FROM win_inf;
DROP TABLE win_inf, win_source CASCADE;
