-- For the benchmark of applying: transactions of 100 single-row changes.
--
-- Before a round of 10,000 transactions there are 200,000 orders, 20 for each
-- transaction.  It inserts 80 orders, changes the first 15 of its 20 (the
-- price; of every third the time as well, so that it changes its window) and
-- deletes the other 5.

CREATE SEQUENCE transaction_number;

CREATE PROCEDURE prepare_round(round bigint, transactions bigint DEFAULT 10000)
LANGUAGE plpgsql AS $$
BEGIN
    CALL insert_orders(round * transactions * 100 + 1,
                       round * transactions * 100 + transactions * 20);
    PERFORM setval('transaction_number', 1, false);
END
$$;

CREATE PROCEDURE one_transaction(round bigint, transactions bigint DEFAULT 10000)
LANGUAGE plpgsql AS $$
DECLARE
    t bigint := nextval('transaction_number') - 1;
    old_orders bigint := round * transactions * 100 + t * 20;
    new_orders bigint := round * transactions * 100 + transactions * 20 + t * 80;
BEGIN
    CALL insert_orders(new_orders + 1, new_orders + 80);
    UPDATE order_source AS o
    SET price = o.price + 1,
        "timestamp" = o."timestamp" + CASE WHEN n % 3 = 0 THEN 60000 ELSE 0 END
    FROM generate_series(old_orders + 1, old_orders + 15) AS n
    WHERE o.user_id = order_user(n) AND o.order_id = order_name(n);
    DELETE FROM order_source AS o
    USING generate_series(old_orders + 16, old_orders + 20) AS n
    WHERE o.user_id = order_user(n) AND o.order_id = order_name(n);
END
$$;
