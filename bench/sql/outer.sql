-- Orders, some without a product or a payment, for the benchmark of outer joins.
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, price numeric(12, 2) NOT NULL);
CREATE TABLE orders (
	id bigint PRIMARY KEY,
	customer int NOT NULL,
	product int,
	qty int NOT NULL,
	at timestamptz NOT NULL
);
CREATE TABLE payment (id bigint PRIMARY KEY, order_id bigint NOT NULL, kind text NOT NULL, paid numeric(12, 2) NOT NULL);
ALTER TABLE product REPLICA IDENTITY FULL;
ALTER TABLE orders REPLICA IDENTITY FULL;
ALTER TABLE payment REPLICA IDENTITY FULL;
CREATE INDEX ON orders (product);
CREATE INDEX ON payment (order_id);

CREATE PROCEDURE load_shop_orders(n bigint) LANGUAGE sql AS $$
	INSERT INTO product SELECT i, 'product ' || i, (i % 1000) / 4.0 FROM generate_series(0, n / 100 - 1) i;
	INSERT INTO orders SELECT i, i % 50000, CASE WHEN i % 20 > 0 THEN i * 7 % (n / 100) END, 1 + i % 5,
		timestamptz '2026-01-01' + i * interval '1 second' FROM generate_series(0, n - 1) i;
	INSERT INTO payment SELECT i, i, CASE i % 3 WHEN 0 THEN 'card' WHEN 1 THEN 'invoice' ELSE 'voucher' END, (i % 1000) / 4.0
		FROM generate_series(0, n - 1) i WHERE i % 10 > 0;
$$;

-- A hundred changes: 30 orders and 30 payments more, 20 orders and 15 payments changed,
-- 5 payments gone; and of each hundredth transaction a product, which has some 95 orders.
CREATE SEQUENCE next_block;
CREATE PROCEDURE change_orders(n bigint) LANGUAGE plpgsql AS $$
DECLARE
	b bigint := nextval('next_block');
	o bigint := n + b * 30;
BEGIN
	INSERT INTO orders SELECT o + i, i, (b + i) % (n / 100), 1, now() FROM generate_series(0, 29) i;
	INSERT INTO payment SELECT o + i, o + i, 'card', 1 FROM generate_series(0, 29) i;
	UPDATE orders SET qty = qty + 1 WHERE id BETWEEN b * 40 % n AND b * 40 % n + 19;
	UPDATE payment SET paid = paid + 1 WHERE id BETWEEN b * 40 % n + 20 AND b * 40 % n + 35 AND id % 10 > 0;
	DELETE FROM payment WHERE id BETWEEN b * 40 % n + 36 AND b * 40 % n + 40;
	IF b % 100 = 0 THEN
		UPDATE product SET price = price + 1 WHERE id = b / 100 % (n / 100);
	END IF;
END $$;
