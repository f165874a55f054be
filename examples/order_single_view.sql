-- Orders of a web shop in six tables; and one document for each order, always
-- fresh, with its customer, its payments, its items, and each item's product and
-- seller in it:
--
--   order_single_view   order_id, doc
--
-- Run it with psql in an empty database of a server that is set up for freshet
-- (shared_preload_libraries = 'freshet', wal_level = logical):
--
--   createdb shop && psql -d shop -f examples/order_single_view.sql
--
-- It makes 500 orders of its own; or takes the 99,441 orders of the Brazilian
-- E-Commerce Public Dataset by Olist, if its CSV files, gzipped, are in the
-- directory that the environment variable FRESHET_OLIST names, or in
-- ../shared/data/olist.
--
-- It stops with an error if any document is not what the tables say.

\set ON_ERROR_STOP on
\pset footer off
\pset pager off
SET client_min_messages = warning;
SET timezone = 'UTC';

CREATE EXTENSION IF NOT EXISTS freshet;

-- ---------------------------------------------------------------------------
-- The six tables
-- ---------------------------------------------------------------------------

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

-- ---------------------------------------------------------------------------
-- Their rows: Olist's, or our own
-- ---------------------------------------------------------------------------

\set olist `d=${FRESHET_OLIST:-../shared/data/olist}; if [ -r "$d/olist_orders_dataset.csv.gz" ]; then echo "$d"; fi`
SELECT :'olist' <> '' AS have_olist \gset

\if :have_olist
    \echo 'Loading the orders of' :olist
    -- \copy expands no variables, but a variable may hold a \copy.
    \set from ' FROM PROGRAM ''gunzip -c "' :olist '/'
    \set with '_dataset.csv.gz"'' WITH (FORMAT csv, HEADER true)'
    \set copy '\\copy ecom_customers' :from 'olist_customers' :with
    :copy
    \set copy '\\copy ecom_orders' :from 'olist_orders' :with
    :copy
    \set copy '\\copy ecom_sellers' :from 'olist_sellers' :with
    :copy
    \set copy '\\copy ecom_products' :from 'olist_products' :with
    :copy
    \set copy '\\copy ecom_order_items' :from 'olist_order_items' :with
    :copy
    \set copy '\\copy ecom_order_payments' :from 'olist_order_payments' :with
    :copy
\else
    \echo 'Making 500 orders'
    INSERT INTO ecom_customers
    SELECT md5('customer ' || i), md5('person ' || i % 450), to_char(i * 37 % 100000, 'FM00000'),
           (ARRAY['sao paulo', 'rio de janeiro', 'curitiba', 'santa barbara d''oeste'])[1 + i % 4],
           (ARRAY['SP', 'RJ', 'PR', 'SP'])[1 + i % 4]
    FROM generate_series(1, 500) AS i;
    INSERT INTO ecom_orders
    SELECT md5('order ' || i), md5('customer ' || i),
           (ARRAY['delivered', 'delivered', 'shipped', 'canceled', 'created'])[1 + i % 5], t,
           CASE WHEN i % 5 < 4 THEN t + interval '1 hour' END,
           CASE WHEN i % 5 < 3 THEN t + interval '2 days' END,
           CASE WHEN i % 5 < 2 THEN t + interval '9 days' END,
           date_trunc('day', t) + interval '20 days'
    FROM generate_series(1, 500) AS i, LATERAL (SELECT timestamp '2018-01-01' + i * interval '47 minutes' AS t) AS x;
    INSERT INTO ecom_sellers
    SELECT md5('seller ' || i), to_char(i * 991 % 100000, 'FM00000'), 'ibitinga', 'SP'
    FROM generate_series(1, 20) AS i;
    INSERT INTO ecom_products
    SELECT md5('product ' || i), CASE WHEN i % 10 > 0 THEN 'categoria_' || i % 7 END,
           40 + i % 20, 500 + i, 1 + i % 5, i * 50, 20, 10, 15
    FROM generate_series(1, 80) AS i;
    -- most with one item, some with three, some with none
    INSERT INTO ecom_order_items
    SELECT md5('order ' || i), n, md5('product ' || 1 + i * n % 80), md5('seller ' || 1 + i % 20),
           timestamp '2018-01-05' + i * interval '47 minutes', (i * 7919 % 30000) / 100.0, (i * 31 % 4000) / 100.0
    FROM generate_series(1, 500) AS i, generate_series(1, CASE WHEN i % 50 = 0 THEN 0 WHEN i % 10 = 1 THEN 3 ELSE 1 END) AS n;
    INSERT INTO ecom_order_payments
    SELECT md5('order ' || i), n, CASE n WHEN 1 THEN 'credit_card' ELSE 'voucher' END, 1 + i % 10, (i * 104729 % 30000) / 100.0
    FROM generate_series(1, 500) AS i, generate_series(1, 1 + (i % 20 = 0)::int) AS n;
\endif

-- From a product or a seller to the orders that have it, and from a customer.
CREATE INDEX ON ecom_orders (customer_id);
CREATE INDEX ON ecom_order_items (product_id);
CREATE INDEX ON ecom_order_items (seller_id);
ANALYZE;

-- ---------------------------------------------------------------------------
-- The wide view
-- ---------------------------------------------------------------------------

SELECT freshet.create_wide_view('order_single_view', 'ecom_orders', '[
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

-- A sink over it: how many orders are in which state.
SELECT freshet.create_sink('order_states', $$
    SELECT doc->>'order_status' AS order_status, count(*) AS orders
    FROM order_single_view
    GROUP BY 1
$$);

SELECT freshet.wait('order_single_view', '10 minutes') \g /dev/null
SELECT freshet.wait('order_states', '10 minutes') \g /dev/null

\echo 'Filled:'
SELECT sink, kind, strategy, state, rows FROM freshet.status ORDER BY sink::text;

-- ---------------------------------------------------------------------------
-- The story of an order.  freshet.wait() returns when all that was committed
-- before it is in the documents; who can wait for milliseconds does not need it.
-- ---------------------------------------------------------------------------

\set doc 'SELECT freshet.wait() \\g /dev/null \\\\ SELECT jsonb_pretty(doc) AS doc FROM order_single_view WHERE order_id = \'order-1\';'

\echo 'A new customer, and a new order:'
INSERT INTO ecom_customers VALUES ('customer-1', 'person-1', '01310', 'sao paulo', 'SP');
INSERT INTO ecom_orders VALUES ('order-1', 'customer-1', 'created', '2026-01-15 10:30:00',
                                NULL, NULL, NULL, '2026-01-30 00:00:00');
:doc

\echo 'An item, whose product and seller are not known yet:'
INSERT INTO ecom_order_items VALUES
    ('order-1', 1, 'product-1', 'seller-1', '2026-01-20 10:30:00', 199.90, 15.50);
:doc

\echo 'The product and the seller:'
INSERT INTO ecom_products VALUES ('product-1', 'informatica_acessorios', 45, 600, 3, 750, 30, 10, 20);
INSERT INTO ecom_sellers VALUES ('seller-1', '04538', 'sao paulo', 'SP');
:doc

\echo 'The payment:'
INSERT INTO ecom_order_payments VALUES ('order-1', 1, 'credit_card', 1, 215.40);
SELECT freshet.wait() \g /dev/null
SELECT doc->'order_payments' AS order_payments FROM order_single_view WHERE order_id = 'order-1';

\echo 'The order is shipped:'
UPDATE ecom_orders SET order_status = 'shipped', order_approved_at = '2026-01-15 10:45:00',
                       order_delivered_carrier_date = '2026-01-16 09:00:00'
WHERE order_id = 'order-1';
SELECT freshet.wait() \g /dev/null
SELECT doc->>'order_status' AS order_status, doc->>'order_delivered_carrier_date' AS carrier
FROM order_single_view WHERE order_id = 'order-1';

\echo 'The payment is changed to 220.00 in two instalments:'
UPDATE ecom_order_payments SET payment_value = 220.0, payment_installments = 2
WHERE order_id = 'order-1' AND payment_sequential = 1;
SELECT freshet.wait() \g /dev/null
SELECT doc->'order_payments' AS order_payments FROM order_single_view WHERE order_id = 'order-1';

\echo 'The price of the item is changed to 210.00, its freight to 18.00:'
UPDATE ecom_order_items SET price = 210.0, freight_value = 18.0
WHERE order_id = 'order-1' AND order_item_id = 1;
:doc

\echo 'All orders, by their state:'
SELECT order_status, orders FROM order_states ORDER BY order_status;

-- ---------------------------------------------------------------------------
-- Trust is good
-- ---------------------------------------------------------------------------

\echo 'Each sink compared with its definition:'
SELECT 'order_single_view' AS sink, * FROM freshet.verify_sink('order_single_view');
SELECT 'order_states' AS sink, * FROM freshet.verify_sink('order_states');

-- The same again as an assertion, and beside it comparisons that ask freshet
-- nothing.
CREATE TEMP VIEW by_hand AS
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

    -- as text: jsonb holds 1.0 and 1.00 to be equal
    IF EXISTS (SELECT FROM order_single_view AS w FULL JOIN by_hand AS h USING (order_id)
               WHERE w.doc::text IS DISTINCT FROM h.doc::text)
    THEN
        RAISE EXCEPTION 'documents differ from those made by hand';
    END IF;

    IF EXISTS (SELECT FROM order_states AS w
               FULL JOIN (SELECT order_status, count(*) AS orders FROM ecom_orders GROUP BY 1) AS h
                   USING (order_status)
               WHERE w.orders IS DISTINCT FROM h.orders)
    THEN
        RAISE EXCEPTION 'order_states does not add up';
    END IF;

    IF (SELECT doc FROM order_single_view WHERE order_id = 'order-1')::text IS DISTINCT FROM
       jsonb '{
        "order_id": "order-1",
        "customer_id": "customer-1",
        "order_status": "shipped",
        "order_purchase_timestamp": "2026-01-15T10:30:00",
        "order_approved_at": "2026-01-15T10:45:00",
        "order_delivered_carrier_date": "2026-01-16T09:00:00",
        "order_delivered_customer_date": null,
        "order_estimated_delivery_date": "2026-01-30T00:00:00",
        "customer_info": {
            "customer_id": "customer-1", "customer_unique_id": "person-1",
            "customer_zip_code_prefix": "01310", "customer_city": "sao paulo", "customer_state": "SP"},
        "order_payments": [{
            "order_id": "order-1", "payment_sequential": 1, "payment_type": "credit_card",
            "payment_installments": 2, "payment_value": 220.00}],
        "order_items": [{
            "order_id": "order-1", "order_item_id": 1, "product_id": "product-1",
            "seller_id": "seller-1", "shipping_limit_date": "2026-01-20T10:30:00",
            "price": 210.00, "freight_value": 18.00,
            "product": {
                "product_id": "product-1", "product_category_name": "informatica_acessorios",
                "product_name_lenght": 45, "product_description_lenght": 600,
                "product_photos_qty": 3, "product_weight_g": 750,
                "product_length_cm": 30, "product_height_cm": 10, "product_width_cm": 20},
            "seller": {
                "seller_id": "seller-1", "seller_zip_code_prefix": "04538",
                "seller_city": "sao paulo", "seller_state": "SP"}}]}'::text
    THEN
        RAISE EXCEPTION 'the story''s order is not what it should be: %',
            (SELECT doc FROM order_single_view WHERE order_id = 'order-1');
    END IF;
END
$$;

\echo 'All documents equal what the tables say.'
