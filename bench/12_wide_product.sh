# A product changes that is in 100,000 orders: the documents of all of them are
# written, beside one UPDATE ... FROM of the same documents, written by hand, of
# a table that has a primary key and nothing else.

# shellcheck shell=bash disable=SC2086
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

WIDE_ORDERS=${WIDE_ORDERS:-100000}

change_product() {
	sql -c "UPDATE ecom_products SET product_photos_qty = product_photos_qty + 1
		WHERE product_id = md5('product 0')"
}

# From the commit of the change until it is in the view.
product_applied() {
	sql <<-SQL
		UPDATE ecom_products SET product_photos_qty = product_photos_qty + 1
		WHERE product_id = md5('product 0');
		SELECT clock_timestamp() AS t0 \gset
		SELECT freshet.wait('30 min') \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
	SQL
}

# The same by hand, for a change that was made before.
product_by_hand() {
	sql <<-SQL
		$*
		SELECT clock_timestamp() AS t0 \gset
		UPDATE order_table AS t SET doc = h.doc
		FROM order_by_hand AS h
		WHERE t.order_id = h.order_id AND h.order_id IN
			(SELECT i.order_id FROM ecom_order_items AS i WHERE i.product_id = md5('product 0'));
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
		SELECT 1 / (count(*) = 0)::int FROM order_table AS t JOIN order_view AS w USING (order_id)
		WHERE t.doc::text <> w.doc::text \g /dev/null
	SQL
}

# What earlier rounds left behind is gone, in both tables alike.
clean_up() {
	sql -c "VACUUM order_view" -c "VACUUM order_table" -c "VACUUM ecom_products" -c CHECKPOINT
}

run() {
	local n rounds=${ROUNDS:-5} applied= default= no_jit= orders

	heading "12. A product in $WIDE_ORDERS orders changes; $rounds rounds"
	begin_server "autovacuum = off"
	prepare_shop
	sql -c "CALL make_shop(1, $WIDE_ORDERS, 1)" \
		-c "DELETE FROM ecom_order_items WHERE order_item_id > 1" \
		-c "INSERT INTO ecom_order_items SELECT order_id, 1, md5('product 0'), md5('seller 1'),
			'2017-01-05', 100, 10 FROM ecom_orders ON CONFLICT DO NOTHING"
	finish_shop
	create_view
	sql -c "CREATE TABLE order_table AS SELECT order_id, doc FROM order_view" \
		-c "ALTER TABLE order_table ADD PRIMARY KEY (order_id)" -c "VACUUM ANALYZE order_table" \
		-c "VACUUM ANALYZE order_view"
	orders=$(query "SELECT count(*) FROM order_view WHERE doc->'order_items' <> '[]'")
	for ((n = 0; n < rounds; n++)); do
		clean_up
		applied+=" $(product_applied)"
		clean_up
		default+=" $(product_by_hand)"
		clean_up
		change_product
		sql -c "SELECT freshet.wait('30 min')" >/dev/null
		no_jit+=" $(product_by_hand "SET jit = off;")"
	done
	check_documents
	end_server

	say "  seconds: view$applied; UPDATE ... FROM$default; without JIT$no_jit"
	figure "documents written per second" "$(calc "int($orders / $(median $applied))")"
	figure "view / UPDATE ... FROM by hand" "$(calc "$(median $applied) / $(median $default)")" "<= 1.5"
	figure "  / the same without JIT" "$(calc "$(median $applied) / $(median $no_jit)")"
}
