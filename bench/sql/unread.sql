-- Products with a stock, which nobody shows, and 30 items each, with documents.
CREATE TABLE product (id int PRIMARY KEY, name text NOT NULL, sku text NOT NULL, stock int NOT NULL);
CREATE TABLE item (id int PRIMARY KEY, product_id int NOT NULL REFERENCES product, qty int NOT NULL);
CREATE TABLE probe (n bigint PRIMARY KEY);
CREATE INDEX ON item (product_id);
ALTER TABLE product REPLICA IDENTITY FULL;
INSERT INTO product SELECT i, 'name ' || i, 'sku ' || i, 1000000 FROM generate_series(0, 999) i;
INSERT INTO item SELECT i, i % 1000, i % 7 FROM generate_series(0, 29999) i;

CREATE PROCEDURE create_unread_sinks() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.create_sink('products', 'SELECT count(*) AS n, sum(stock) AS stock FROM product');
	PERFORM freshet.create_sink('probes', 'SELECT count(*) AS n FROM probe');
END $$;

CREATE PROCEDURE create_item_view() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM freshet.create_wide_view('item_view', 'item', '[{"table": "product", "path": "product",
		"type": "object", "relation": [["product_id", "id"]], "columns": ["name", "sku"]}]');
END $$;
