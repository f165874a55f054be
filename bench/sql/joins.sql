-- Orders with two dimensions, for the benchmark of joins.
CREATE TABLE product (id int PRIMARY KEY, category int NOT NULL, price numeric(12, 2) NOT NULL);
CREATE TABLE customer (id int PRIMARY KEY, region int NOT NULL, name text NOT NULL);
CREATE TABLE fact (
	id bigint PRIMARY KEY,
	product int NOT NULL,
	customer int NOT NULL,
	qty int NOT NULL
);
ALTER TABLE product REPLICA IDENTITY FULL;
ALTER TABLE customer REPLICA IDENTITY FULL;
ALTER TABLE fact REPLICA IDENTITY FULL;
CREATE INDEX ON fact (product);
CREATE INDEX ON fact (customer);

-- Each product has 10 facts, each customer 50.
CREATE PROCEDURE load_facts(facts bigint) LANGUAGE sql AS $$
	INSERT INTO product SELECT i, i % 20, (i % 1000) / 4.0 FROM generate_series(0, facts / 10 - 1) i;
	INSERT INTO customer SELECT i, i % 25, 'customer ' || i FROM generate_series(0, facts / 50 - 1) i;
	INSERT INTO fact SELECT i, i % (facts / 10), (i * 7) % (facts / 50), i % 9
		FROM generate_series(0, facts - 1) i;
$$;

CREATE PROCEDURE create_join_sinks() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.create_sink('sales', 'SELECT c.region, p.category, count(*), sum(f.qty * p.price) AS amount
		FROM fact f JOIN product p ON p.id = f.product JOIN customer c ON c.id = f.customer GROUP BY 1, 2');
END $$;

-- A hundred changes: 80 inserts, 15 updates, 5 deletes of older facts.
CREATE SEQUENCE next_block;
CREATE PROCEDURE change_facts(facts bigint) LANGUAGE plpgsql AS $$
DECLARE
	b bigint := nextval('next_block');
BEGIN
	INSERT INTO fact SELECT facts + b * 80 + i, (b * 80 + i) * 31 % (facts / 10), (b * 17 + i) % (facts / 50), i % 9
		FROM generate_series(0, 79) i;
	UPDATE fact SET qty = qty + 1 WHERE id BETWEEN b * 20 % facts AND b * 20 % facts + 14;
	DELETE FROM fact WHERE id BETWEEN b * 20 % facts + 15 AND b * 20 % facts + 19;
END $$;

-- Milliseconds from a commit of one change to its being in the sink.
CREATE TABLE one_join (what text, ms double precision);
CREATE PROCEDURE one_join_change(n int, facts bigint, what text) LANGUAGE plpgsql AS $$
DECLARE
	t0 timestamptz;
	ids bigint[] := ARRAY(SELECT (random() * (facts - 1))::bigint FROM generate_series(1, n));
	i bigint;
BEGIN
	FOREACH i IN ARRAY ids LOOP
		IF what = 'fact' THEN
			UPDATE fact SET qty = 10 - qty WHERE id = i;
		ELSE
			UPDATE product SET price = price + 1 WHERE id = i / 10;
		END IF;
		COMMIT;
		t0 := clock_timestamp();
		PERFORM freshet.wait();
		INSERT INTO one_join VALUES (what, extract(epoch FROM clock_timestamp() - t0) * 1000);
		COMMIT;
	END LOOP;
END $$;
