-- The source of the benchmarks, its three sinks, and functions that write to it.

CREATE TABLE order_source (
    user_id     text,
    order_id    text,
    price       double precision,
    "timestamp" bigint,             -- milliseconds since 1970
    PRIMARY KEY (user_id, order_id)
);
ALTER TABLE order_source REPLICA IDENTITY FULL;

-- 10,000 users; the order's number decides which.
CREATE FUNCTION order_user(n bigint, users bigint DEFAULT 10000) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'user_' || lpad((n * 7919 % users)::text, 5, '0');

CREATE FUNCTION order_name(n bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN 'order_' || lpad(n::text, 9, '0');

CREATE FUNCTION order_price(n bigint) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (n * 104729 % 50000) / 100.0;

CREATE TABLE sink_query (sink text PRIMARY KEY, query text);
INSERT INTO sink_query VALUES
('order_stream_sink', $$
    SELECT w.window_start AS "begin", w.window_end AS "end",
           count(*) AS count, sum(o.price) AS total_price
    FROM order_source AS o,
         freshet.tumble(to_timestamp(o."timestamp" / 1000.0), interval '30 seconds') AS w
    GROUP BY w.window_start, w.window_end$$),
('order_batch_sink', $$
    SELECT user_id, count(*) AS count, sum(price) AS total_price
    FROM order_source GROUP BY user_id$$),
('order_total_sink', $$
    SELECT count(*) AS count, sum(price) AS total_price FROM order_source$$);

CREATE PROCEDURE create_sinks()
LANGUAGE plpgsql AS $$
DECLARE
    q sink_query;
BEGIN
    FOR q IN SELECT * FROM sink_query LOOP
        PERFORM freshet.create_sink(q.sink, q.query);
    END LOOP;
END
$$;

CREATE PROCEDURE drop_sinks()
LANGUAGE plpgsql AS $$
DECLARE
    s regclass;
BEGIN
    FOR s IN SELECT sink FROM freshet.status LOOP
        PERFORM freshet.drop_sink(s);
    END LOOP;
END
$$;

-- Orders first .. last, one each 4.5 ms: 222 a second, 800,000 an hour.
CREATE PROCEDURE insert_orders(first bigint, last bigint)
LANGUAGE sql AS $$
INSERT INTO order_source
SELECT order_user(n), order_name(n), order_price(n), 1767225600000 + n * 9 / 2
FROM generate_series(first, last) AS n;
$$;
