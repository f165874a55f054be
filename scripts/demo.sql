-- The demo's source of life: order_stream_tick() does what a few customers do
-- in a fifth of a second.  Called again and again by demo.sh.

CREATE SEQUENCE order_number START 10001;

CREATE PROCEDURE order_stream_tick()
LANGUAGE plpgsql AS $$
DECLARE
    now_ms bigint := extract(epoch FROM clock_timestamp()) * 1000;
BEGIN
    -- new orders
    INSERT INTO order_source
    SELECT 'user_00' || (1 + floor(random() * 5))::int,
           'order_' || nextval('order_number'),
           round((random() * 500)::numeric, 2),
           now_ms
    FROM generate_series(1, 1 + (random() * 5)::int);
    COMMIT;

    -- a late one, for a window that has been closed for some time
    IF random() < 0.2 THEN
        INSERT INTO order_source
        VALUES ('user_00' || (1 + floor(random() * 5))::int,
                'order_' || nextval('order_number'),
                round((random() * 500)::numeric, 2),
                now_ms - 30000 - (random() * 90000)::bigint);
        COMMIT;
    END IF;

    -- a price is corrected
    IF random() < 0.3 THEN
        UPDATE order_source SET price = round((random() * 500)::numeric, 2)
        WHERE (user_id, order_id) IN
            (SELECT user_id, order_id FROM order_source ORDER BY random() LIMIT 1);
        COMMIT;
    END IF;

    -- an order is withdrawn
    IF random() < 0.2 THEN
        DELETE FROM order_source
        WHERE (user_id, order_id) IN
            (SELECT user_id, order_id FROM order_source ORDER BY random() LIMIT 1);
        COMMIT;
    END IF;
END
$$;
