-- Orders of a web shop in six tables, one document for each order, and
-- procedures that write to the tables.

CREATE TABLE ecom_customers (
    customer_id               text PRIMARY KEY,
    customer_unique_id        text NOT NULL,
    customer_zip_code_prefix  char(5) NOT NULL,
    customer_city             text NOT NULL,
    customer_state            char(2) NOT NULL
);
CREATE TABLE ecom_orders (
    order_id                       text PRIMARY KEY,
    customer_id                    text NOT NULL,
    order_status                   text NOT NULL,
    order_purchase_timestamp       timestamp NOT NULL,
    order_approved_at              timestamp,
    order_delivered_carrier_date   timestamp,
    order_delivered_customer_date  timestamp,
    order_estimated_delivery_date  timestamp NOT NULL
);
CREATE TABLE ecom_sellers (
    seller_id               text PRIMARY KEY,
    seller_zip_code_prefix  char(5) NOT NULL,
    seller_city             text NOT NULL,
    seller_state            char(2) NOT NULL
);
CREATE TABLE ecom_products (
    product_id                  text PRIMARY KEY,
    product_category_name       text,
    product_name_lenght         integer,
    product_description_lenght  integer,
    product_photos_qty          integer,
    product_weight_g            integer,
    product_length_cm           integer,
    product_height_cm           integer,
    product_width_cm            integer
);
CREATE TABLE ecom_order_items (
    order_id             text,
    order_item_id        integer,
    product_id           text NOT NULL,
    seller_id            text NOT NULL,
    shipping_limit_date  timestamp NOT NULL,
    price                numeric(10,2) NOT NULL,
    freight_value        numeric(10,2) NOT NULL,
    PRIMARY KEY (order_id, order_item_id)
);
CREATE TABLE ecom_order_payments (
    order_id              text,
    payment_sequential    integer,
    payment_type          text NOT NULL,
    payment_installments  integer NOT NULL,
    payment_value         numeric(10,2) NOT NULL,
    PRIMARY KEY (order_id, payment_sequential)
);

-- What a view needs to find the orders that a change affects.
CREATE PROCEDURE index_shop()
LANGUAGE sql AS $$
CREATE INDEX ON ecom_orders (customer_id);
CREATE INDEX ON ecom_order_items (product_id);
CREATE INDEX ON ecom_order_items (seller_id);
$$;

-- Orders first .. last with their customers, items and payments, in the
-- proportions of Olist's: 0.99 orders with items, 1.13 items and 1.04 payments an
-- order, 33,000 products and 3,100 sellers for 100,000 orders.
CREATE PROCEDURE make_shop(first bigint, last bigint, products bigint DEFAULT 32951,
                           sellers bigint DEFAULT 3095)
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ecom_customers
    SELECT md5('customer ' || n), md5('person ' || n * 31 / 32), to_char(n * 37 % 100000, 'FM00000'),
           'sao paulo ' || n % 4000, 'SP'
    FROM generate_series(first, last) AS n;
    INSERT INTO ecom_orders
    SELECT md5('order ' || n), md5('customer ' || n), 'delivered', t, t + interval '1 hour',
           t + interval '2 days', t + interval '9 days', date_trunc('day', t) + interval '20 days'
    FROM generate_series(first, last) AS n,
         LATERAL (SELECT timestamp '2017-01-01' + n * interval '11 seconds' AS t) AS x;
    INSERT INTO ecom_order_items
    SELECT md5('order ' || n), i, md5('product ' || n * 7919 % products), md5('seller ' || n * 104729 % sellers),
           timestamp '2017-01-05' + n * interval '11 seconds', (n * 7919 % 30000) / 100.0, (n * 31 % 4000) / 100.0
    FROM generate_series(first, last) AS n,
         generate_series(1, CASE WHEN n % 100 = 0 THEN 0 WHEN n % 8 = 0 THEN 2 ELSE 1 END + (n % 50 = 1)::int) AS i;
    INSERT INTO ecom_order_payments
    SELECT md5('order ' || n), i, CASE i WHEN 1 THEN 'credit_card' ELSE 'voucher' END, 1 + n % 10,
           (n * 104729 % 30000) / 100.0
    FROM generate_series(first, last) AS n, generate_series(1, 1 + (n % 25 = 0)::int) AS i;
    INSERT INTO ecom_products
    SELECT md5('product ' || n), 'categoria_' || n % 73, 40 + n % 20, n % 4000, 1 + n % 5, n % 30000, 20, 10, 15
    FROM generate_series(0, products - 1) AS n ON CONFLICT DO NOTHING;
    INSERT INTO ecom_sellers
    SELECT md5('seller ' || n), to_char(n * 991 % 100000, 'FM00000'), 'ibitinga', 'SP'
    FROM generate_series(0, sellers - 1) AS n ON CONFLICT DO NOTHING;
END
$$;

CREATE PROCEDURE create_order_view(name text DEFAULT 'order_view')
LANGUAGE sql AS $$
SELECT freshet.create_wide_view(name, 'ecom_orders', '[
    {"table": "ecom_customers",      "path": "customer_info",       "type": "object",
     "relation": [["customer_id", "customer_id"]]},
    {"table": "ecom_order_payments", "path": "order_payments",      "type": "array",
     "relation": [["order_id", "order_id"]]},
    {"table": "ecom_order_items",    "path": "order_items",         "type": "array",
     "relation": [["order_id", "order_id"]]},
    {"table": "ecom_products",       "path": "order_items.product", "type": "object",
     "relation": [["order_items.product_id", "product_id"]]},
    {"table": "ecom_sellers",        "path": "order_items.seller",  "type": "object",
     "relation": [["order_items.seller_id", "seller_id"]]}
]');
$$;

-- The same documents, written by hand.
CREATE VIEW order_by_hand AS
SELECT o.order_id,
       to_jsonb(o) || jsonb_build_object(
           'customer_info', (
               SELECT to_jsonb(c) FROM ecom_customers AS c WHERE c.customer_id = o.customer_id),
           'order_payments', coalesce((
               SELECT jsonb_agg(to_jsonb(p) ORDER BY p.payment_sequential)
               FROM ecom_order_payments AS p WHERE p.order_id = o.order_id), '[]'),
           'order_items', coalesce((
               SELECT jsonb_agg(
                          to_jsonb(i) || jsonb_build_object(
                              'product', (SELECT to_jsonb(r) FROM ecom_products AS r
                                          WHERE r.product_id = i.product_id),
                              'seller', (SELECT to_jsonb(s) FROM ecom_sellers AS s
                                         WHERE s.seller_id = i.seller_id))
                          ORDER BY i.order_item_id)
               FROM ecom_order_items AS i WHERE i.order_id = o.order_id), '[]')) AS doc
FROM ecom_orders AS o;

-- Documents that differ from those by hand.
CREATE FUNCTION differing_documents(name regclass DEFAULT 'order_view') RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    result bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s AS w FULL JOIN order_by_hand AS h USING (order_id)
                    WHERE w.doc::text IS DISTINCT FROM h.doc::text', name) INTO result;
    RETURN result;
END
$$;

-- ---------------------------------------------------------------------------
-- Writers
-- ---------------------------------------------------------------------------

-- To pick an order, a product or a seller by a number.
CREATE TABLE pick (kind text, n int, id text, PRIMARY KEY (kind, n));
CREATE TABLE pick_from (kind text PRIMARY KEY, n int);
CREATE PROCEDURE make_picks()
LANGUAGE sql AS $$
TRUNCATE pick, pick_from;
INSERT INTO pick
SELECT 'order', row_number() OVER (ORDER BY order_id), order_id FROM ecom_orders
UNION ALL SELECT 'product', row_number() OVER (ORDER BY product_id), product_id FROM ecom_products
UNION ALL SELECT 'seller', row_number() OVER (ORDER BY seller_id), seller_id FROM ecom_sellers;
INSERT INTO pick_from SELECT kind, count(*) FROM pick GROUP BY kind;
ANALYZE pick, pick_from;
$$;
CREATE FUNCTION random_id(k text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    m int := (SELECT n FROM pick_from WHERE kind = k);
    i int := 1 + floor(random() * m);
BEGIN
    RETURN (SELECT id FROM pick WHERE kind = k AND n = i);
END
$$;

-- One transaction of the mixed load.  Of a hundred: 40 new orders, with their
-- customer, an item or two and their payment (of three in four the status follows
-- at once); 25 statuses, 20 payments, 15 prices of existing ones; every 500th
-- changes a seller or a product.
CREATE SEQUENCE order_serial START 10000000;
CREATE PROCEDURE mixed_transaction()
LANGUAGE plpgsql AS $$
DECLARE
    r double precision := random();
    n bigint;
    o text;
BEGIN
    IF r < 0.40 THEN
        n := nextval('order_serial');
        o := md5('order ' || n);
        INSERT INTO ecom_customers
        VALUES (md5('customer ' || n), md5('person ' || n), '01310', 'sao paulo', 'SP');
        INSERT INTO ecom_orders
        VALUES (o, md5('customer ' || n), 'created', '2026-01-01', NULL, NULL, NULL, '2026-01-20');
        INSERT INTO ecom_order_items
        SELECT o, i, random_id('product'), random_id('seller'), '2026-01-05', 100 + i, 10
        FROM generate_series(1, 1 + (n % 8 = 0)::int) AS i;
        INSERT INTO ecom_order_payments VALUES (o, 1, 'credit_card', 1, 110);
        IF n % 4 > 0 THEN
            UPDATE ecom_orders SET order_status = 'approved', order_approved_at = '2026-01-02'
            WHERE order_id = o;
        END IF;
    ELSIF r < 0.65 THEN
        UPDATE ecom_orders
        SET order_status = 'shipped', order_delivered_carrier_date = coalesce(order_delivered_carrier_date, '2026-01-03') + interval '1 second'
        WHERE order_id = random_id('order');
    ELSIF r < 0.85 THEN
        UPDATE ecom_order_payments SET payment_value = payment_value + 1
        WHERE order_id = random_id('order');
    ELSIF r < 0.998 THEN
        UPDATE ecom_order_items SET price = price + 1, freight_value = freight_value + 1
        WHERE order_id = random_id('order');
    ELSIF r < 0.999 THEN
        UPDATE ecom_sellers SET seller_city = 'city ' || random() WHERE seller_id = random_id('seller');
    ELSE
        UPDATE ecom_products SET product_photos_qty = coalesce(product_photos_qty, 0) + 1
        WHERE product_id = random_id('product');
    END IF;
END
$$;

-- Commits changes of a payment, one after the other, and looks for each in its
-- document until it is there: the time from the call of COMMIT, and from its
-- return, in ms.
CREATE PROCEDURE measure_documents(samples int)
LANGUAGE plpgsql AS $$
DECLARE
    called timestamptz;
    returned timestamptz;
    seen timestamptz;
    o text := md5('order probe');
    c numeric;
BEGIN
    INSERT INTO ecom_orders VALUES (o, 'probe', 'created', '2026-01-01', NULL, NULL, NULL, '2026-01-20');
    INSERT INTO ecom_order_payments VALUES (o, 1, 'credit_card', 1, 0);
    COMMIT;
    FOR i IN 1 .. samples LOOP
        -- not in step with the batches
        PERFORM pg_sleep(0.005 + random() * 0.02);
        UPDATE ecom_order_payments SET payment_value = i WHERE order_id = o;
        called := clock_timestamp();
        COMMIT;
        returned := clock_timestamp();
        LOOP
            SELECT (doc->'order_payments'->0->>'payment_value')::numeric INTO c
            FROM order_view WHERE order_id = o;
            EXIT WHEN c = i;
            IF clock_timestamp() > returned + interval '10 seconds' THEN
                RAISE EXCEPTION 'payment % is not in the document after 10 seconds', i;
            END IF;
        END LOOP;
        seen := clock_timestamp();
        INSERT INTO freshness VALUES (i, extract(epoch FROM seen - called) * 1000,
                                      extract(epoch FROM seen - returned) * 1000);
    END LOOP;
END
$$;

-- Changes single payments, one transaction each, and waits for each to be in its
-- document; ms from the return of COMMIT.  They are always those of the same 100
-- orders, spread over the table; orders is how many there are.
CREATE PROCEDURE change_payments(changes int, orders bigint)
LANGUAGE plpgsql AS $$
DECLARE
    o text;
    returned timestamptz;
    ms double precision[];
BEGIN
    FOR i IN 1 .. changes LOOP
        o := md5('order ' || 1 + (i % 100) * (orders / 100));
        UPDATE ecom_order_payments SET payment_value = payment_value + 1
        WHERE order_id = o AND payment_sequential = 1;
        COMMIT;
        returned := clock_timestamp();
        PERFORM freshet.wait();
        ms := ms || (extract(epoch FROM clock_timestamp() - returned) * 1000)::double precision;
        COMMIT;
    END LOOP;
    INSERT INTO one_change SELECT unnest(ms);
END
$$;
