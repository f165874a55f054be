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

-- Orders first .. last, by default one each 4.5 ms: 222 a second, 800,000 an hour.
CREATE PROCEDURE insert_orders(first bigint, last bigint, apart double precision DEFAULT 4.5)
LANGUAGE sql AS $$
INSERT INTO order_source
SELECT order_user(n), order_name(n), order_price(n), 1767225600000 + (n * apart)::bigint
FROM generate_series(first, last) AS n;
$$;

-- The same for a table that is still empty and has no other user: faster.
CREATE PROCEDURE load_orders(orders bigint, apart double precision DEFAULT 4.5)
LANGUAGE plpgsql AS $$
BEGIN
    ALTER TABLE order_source DROP CONSTRAINT order_source_pkey;
    CALL insert_orders(1, orders, apart);
    ALTER TABLE order_source ADD PRIMARY KEY (user_id, order_id);
END
$$;

-- Commits single-row inserts, one after the other, and looks for each in its
-- sink until it is there: the time from the call of COMMIT, and from its
-- return, in ms.
CREATE TABLE freshness (n int, from_call double precision, from_return double precision);

CREATE PROCEDURE measure_freshness(samples int)
LANGUAGE plpgsql AS $$
DECLARE
    called timestamptz;
    returned timestamptz;
    seen timestamptz;
    c bigint;
BEGIN
    FOR i IN 1 .. samples LOOP
        -- not in step with the batches
        PERFORM pg_sleep(0.005 + random() * 0.02);
        INSERT INTO order_source VALUES ('probe', i::text, 1, 1767225600000 + i);
        called := clock_timestamp();
        COMMIT;
        returned := clock_timestamp();
        LOOP
            SELECT count INTO c FROM order_batch_sink WHERE user_id = 'probe';
            EXIT WHEN c = i;
            IF clock_timestamp() > returned + interval '10 seconds' THEN
                RAISE EXCEPTION 'order % is not in the sink after 10 seconds', i;
            END IF;
        END LOOP;
        seen := clock_timestamp();
        INSERT INTO freshness VALUES (i, extract(epoch FROM seen - called) * 1000,
                                      extract(epoch FROM seen - returned) * 1000);
    END LOOP;
END
$$;

-- Changes single orders, one transaction each, and waits for each to be in the
-- sinks; ms from the return of COMMIT.  The orders are always the same 100,
-- spread over the table.
CREATE TABLE one_change (ms double precision);

CREATE PROCEDURE change_orders(changes int, orders bigint)
LANGUAGE plpgsql AS $$
DECLARE
    n bigint;
    returned timestamptz;
    ms double precision[];
BEGIN
    FOR i IN 1 .. changes LOOP
        n := 1 + (i % 100) * (orders / 100);
        UPDATE order_source SET price = price + 1
        WHERE user_id = order_user(n) AND order_id = order_name(n);
        COMMIT;
        returned := clock_timestamp();
        PERFORM freshet.wait();
        ms := ms || (extract(epoch FROM clock_timestamp() - returned) * 1000)::double precision;
        COMMIT;
    END LOOP;
    INSERT INTO one_change SELECT unnest(ms);
END
$$;
