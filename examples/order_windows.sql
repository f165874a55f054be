-- Orders in a table; three figures about them that are always true:
--
--   order_stream_sink   orders and turnover in windows of 30 seconds
--   order_batch_sink    orders and turnover of each user
--   order_total_sink    orders and turnover in all
--
-- Run it with psql in an empty database of a server that is set up for freshet
-- (shared_preload_libraries = 'freshet', wal_level = logical):
--
--   createdb orders && psql -d orders -f examples/order_windows.sql
--
-- It stops with an error if any figure is not what the orders say.

\set ON_ERROR_STOP on
\pset footer off
\pset pager off
SET client_min_messages = warning;
SET timezone = 'UTC';

CREATE EXTENSION IF NOT EXISTS freshet;

-- ---------------------------------------------------------------------------
-- The source: 500 orders of five users within 20 minutes
-- ---------------------------------------------------------------------------

CREATE TABLE order_source (
    user_id     text,
    order_id    text,
    price       double precision,
    "timestamp" bigint,             -- milliseconds since 1970
    PRIMARY KEY (user_id, order_id)
);

SELECT setseed(0.5) \g /dev/null

INSERT INTO order_source
SELECT 'user_00' || (1 + floor(random() * 5))::int,
       'order_' || to_char(n, 'FM00000'),
       round((random() * 500)::numeric, 2),
       1767225600000 + floor(random() * 20 * 60 * 1000)::bigint
FROM generate_series(1, 500) AS n;

-- ---------------------------------------------------------------------------
-- The sinks
-- ---------------------------------------------------------------------------

SELECT freshet.create_sink('order_stream_sink', $$
    SELECT w.window_start AS "begin",
           w.window_end   AS "end",
           count(*)       AS count,
           sum(o.price)   AS total_price
    FROM order_source AS o,
         freshet.tumble(to_timestamp(o."timestamp" / 1000.0), interval '30 seconds') AS w
    GROUP BY w.window_start, w.window_end
$$);

SELECT freshet.create_sink('order_batch_sink', $$
    SELECT user_id, count(*) AS count, sum(price) AS total_price
    FROM order_source
    GROUP BY user_id
$$);

-- No GROUP BY: one row, also when there are no orders.
SELECT freshet.create_sink('order_total_sink', $$
    SELECT count(*) AS count, sum(price) AS total_price
    FROM order_source
$$);

-- The same windows, written with PostgreSQL's own date_bin.
SELECT freshet.create_sink('order_stream_bin_sink', $$
    SELECT date_bin('30 seconds', to_timestamp("timestamp" / 1000.0),
                    timestamptz '2000-01-01 00:00:00+00') AS "begin",
           count(*)   AS count,
           sum(price) AS total_price
    FROM order_source
    GROUP BY 1
$$);

-- Everything that was committed before this is in the sinks after it.
SELECT freshet.wait() \g /dev/null

\echo 'The sinks, filled:'
SELECT sink, kind, strategy, state, rows FROM freshet.status ORDER BY sink::text;
SELECT * FROM order_stream_sink ORDER BY "begin" LIMIT 5;
SELECT * FROM order_batch_sink ORDER BY user_id;
SELECT * FROM order_total_sink;

-- ---------------------------------------------------------------------------
-- Orders come, late, are corrected, are withdrawn
-- ---------------------------------------------------------------------------

\echo 'Two new orders make a new window, and a new user:'
INSERT INTO order_source VALUES
    ('user_001', 'order_00501', 100.25, 1767225600000 + 30 * 60 * 1000),
    ('user_006', 'order_00502',  50.50, 1767225600000 + 30 * 60 * 1000 + 29999);
SELECT freshet.wait() \g /dev/null
SELECT * FROM order_stream_sink ORDER BY "begin" DESC LIMIT 3;
SELECT * FROM order_batch_sink WHERE user_id IN ('user_001', 'user_006') ORDER BY user_id;

\echo 'A late order changes the first window:'
SELECT * FROM order_stream_sink WHERE "begin" = '2026-01-01 00:00:00+00';
INSERT INTO order_source VALUES ('user_002', 'order_00503', 10.00, 1767225600000 + 1);
SELECT freshet.wait() \g /dev/null
SELECT * FROM order_stream_sink WHERE "begin" = '2026-01-01 00:00:00+00';

\echo 'A corrected price:'
UPDATE order_source SET price = 75.75 WHERE user_id = 'user_006' AND order_id = 'order_00502';
SELECT freshet.wait() \g /dev/null
SELECT * FROM order_batch_sink WHERE user_id = 'user_006';

\echo 'A corrected time moves an order to another window:'
UPDATE order_source SET "timestamp" = 1767225600000 + 31 * 60 * 1000
WHERE user_id = 'user_006' AND order_id = 'order_00502';
SELECT freshet.wait() \g /dev/null
SELECT * FROM order_stream_sink ORDER BY "begin" DESC LIMIT 3;

\echo 'A withdrawn order takes its window and its user along:'
DELETE FROM order_source WHERE user_id = 'user_006';
SELECT freshet.wait() \g /dev/null
SELECT * FROM order_stream_sink ORDER BY "begin" DESC LIMIT 3;
SELECT count(*) AS rows_of_user_006 FROM order_batch_sink WHERE user_id = 'user_006';
SELECT * FROM order_total_sink;

-- ---------------------------------------------------------------------------
-- Trust is good
-- ---------------------------------------------------------------------------

\echo 'Each sink compared with its query:'
SELECT 'order_stream_sink' AS sink, * FROM freshet.verify_sink('order_stream_sink');
SELECT 'order_batch_sink' AS sink, * FROM freshet.verify_sink('order_batch_sink');
SELECT 'order_total_sink' AS sink, * FROM freshet.verify_sink('order_total_sink');
SELECT 'order_stream_bin_sink' AS sink, * FROM freshet.verify_sink('order_stream_bin_sink');

-- The same again as an assertion, and beside it a comparison that asks freshet
-- nothing.  (Rounded: the last bit of a sum depends on the order of adding.)
DO $$
DECLARE
    s record;
    v record;
BEGIN
    FOR s IN SELECT sink FROM freshet.status LOOP
        SELECT * INTO v FROM freshet.verify_sink(s.sink);
        IF v.missing <> 0 OR v.unexpected <> 0 THEN
            RAISE EXCEPTION 'sink %: % rows missing, % unexpected', s.sink, v.missing, v.unexpected;
        END IF;
    END LOOP;

    IF EXISTS (
        (SELECT user_id, count(*), round(sum(price)::numeric, 6) FROM order_source GROUP BY 1
         EXCEPT ALL
         SELECT user_id, count, round(total_price::numeric, 6) FROM order_batch_sink)
        UNION ALL
        (SELECT user_id, count, round(total_price::numeric, 6) FROM order_batch_sink
         EXCEPT ALL
         SELECT user_id, count(*), round(sum(price)::numeric, 6) FROM order_source GROUP BY 1))
    THEN
        RAISE EXCEPTION 'order_batch_sink does not add up';
    END IF;

    IF EXISTS (
        (SELECT "timestamp" / 30000, count(*), round(sum(price)::numeric, 6)
         FROM order_source GROUP BY 1
         EXCEPT ALL
         SELECT extract(epoch FROM "begin")::bigint / 30, count, round(total_price::numeric, 6)
         FROM order_stream_sink)
        UNION ALL
        (SELECT extract(epoch FROM "begin")::bigint / 30, count, round(total_price::numeric, 6)
         FROM order_stream_sink
         EXCEPT ALL
         SELECT "timestamp" / 30000, count(*), round(sum(price)::numeric, 6)
         FROM order_source GROUP BY 1))
    THEN
        RAISE EXCEPTION 'order_stream_sink does not add up';
    END IF;

    IF EXISTS (
        SELECT FROM order_stream_sink AS t FULL JOIN order_stream_bin_sink AS b USING ("begin")
        WHERE t.count IS DISTINCT FROM b.count
           OR abs(t.total_price - b.total_price) > 1e-6)
    THEN
        RAISE EXCEPTION 'tumble and date_bin disagree';
    END IF;

    IF (SELECT (count, round(total_price::numeric, 6)) FROM order_total_sink)
        IS DISTINCT FROM
       (SELECT (count(*), round(sum(price)::numeric, 6)) FROM order_source)
    THEN
        RAISE EXCEPTION 'order_total_sink does not add up';
    END IF;
END
$$;

\echo 'All sinks equal their queries.'
