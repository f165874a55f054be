-- The document of an order, and how it follows changes of the six tables that
-- it is made of.  Needs what examples/order_single_view.sql makes.

\pset footer off
\pset null 'null'
SET client_min_messages = warning;

SELECT jsonb_pretty(doc) AS "doc" FROM order_single_view WHERE order_id = 'order-1';

CREATE TEMP TABLE seen (change text, before text, after text, ms numeric);

-- Makes a change, commits it, and looks at the document until it shows.
CREATE OR REPLACE PROCEDURE pg_temp.show_change(what text, command text, part text)
LANGUAGE plpgsql AS $$
DECLARE
    path constant text[] := string_to_array(part, '.');
    before constant text := (SELECT doc #>> path FROM order_single_view WHERE order_id = 'order-1');
    after text;
    committed timestamptz;
BEGIN
    EXECUTE command;
    COMMIT;
    committed := clock_timestamp();
    LOOP
        SELECT doc #>> path INTO after FROM order_single_view WHERE order_id = 'order-1';
        EXIT WHEN after IS DISTINCT FROM before;
        IF clock_timestamp() > committed + interval '30 seconds' THEN
            RAISE EXCEPTION 'the document does not show: %', what;
        END IF;
    END LOOP;
    INSERT INTO seen VALUES (what, before, after, extract(epoch FROM clock_timestamp() - committed) * 1000);
END
$$;

CALL pg_temp.show_change('the order is delivered',
    $$UPDATE ecom_orders SET order_status = 'delivered' WHERE order_id = 'order-1'$$,
    'order_status');
CALL pg_temp.show_change('the payment is corrected',
    $$UPDATE ecom_order_payments SET payment_value = 230.00 WHERE order_id = 'order-1'$$,
    'order_payments.0.payment_value');
CALL pg_temp.show_change('the price of the item is reduced',
    $$UPDATE ecom_order_items SET price = 199.90 WHERE order_id = 'order-1' AND order_item_id = 1$$,
    'order_items.0.price');
CALL pg_temp.show_change('the product is weighed again',
    $$UPDATE ecom_products SET product_weight_g = 800 WHERE product_id = 'product-1'$$,
    'order_items.0.product.product_weight_g');
CALL pg_temp.show_change('the seller moves',
    $$UPDATE ecom_sellers SET seller_city = 'campinas' WHERE seller_id = 'seller-1'$$,
    'order_items.0.seller.seller_city');
CALL pg_temp.show_change('the customer is deleted',
    $$DELETE FROM ecom_customers WHERE customer_id = 'customer-1'$$,
    'customer_info.customer_city');

SELECT change, before, after, round(ms, 1) AS "ms after COMMIT" FROM seen;
