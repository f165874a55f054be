# A sink of orders with their products and payments, joined from the left: first fill
# beside CREATE TABLE AS by hand, then a log of changes of all three.

# shellcheck shell=bash

TRANSACTIONS=${TRANSACTIONS:-2000}
OUTER_ORDERS=${OUTER_ORDERS:-1000000}

OUTER_QUERY="SELECT o.id, o.customer, o.at, p.name, p.price * o.qty AS amount, pay.kind, pay.paid
	FROM orders o LEFT JOIN product p ON p.id = o.product LEFT JOIN payment pay ON pay.order_id = o.id"

# outer_fill: seconds from create_sink() until it is live.
outer_fill() {
	sql <<-SQL
		SELECT clock_timestamp() AS t0 \gset
		SELECT freshet.create_sink('order_list', \$\$$OUTER_QUERY\$\$) \g /dev/null
		SELECT freshet.wait('order_list', '30 min') \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
	SQL
}

# by hand, with the index by which a row would be found.
outer_by_hand() {
	sql <<-SQL
		SELECT clock_timestamp() AS t0 \gset
		CREATE TABLE by_hand AS $OUTER_QUERY;
		CREATE INDEX ON by_hand (id);
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
		DROP TABLE by_hand;
	SQL
}

outer_round() {
	sql -c "VACUUM ANALYZE" -c CHECKPOINT
	say "CALL change_orders($OUTER_ORDERS);" >"$WORK/change_orders.sql"
	stop_worker
	write_log "$TRANSACTIONS" "$WORK/change_orders.sql"
	seconds+=" $(apply_log order_list)"
	WORKER_STOPPED=
}

run() {
	local n rounds=${ROUNDS:-3} fills= hand= seconds=

	heading "16. $OUTER_ORDERS orders, left joined with products and payments; $rounds rounds;" \
		"then $((TRANSACTIONS * 100)) changes in the log already"
	begin_server "autovacuum = off"
	sql -f "$WORK/sql/outer.sql"
	sql -c "CALL load_shop_orders($OUTER_ORDERS)" -c "VACUUM ANALYZE" -c CHECKPOINT
	# so that the worker is there throughout, and its slot
	sql -c "CREATE TABLE other (a int)" \
		-c "SELECT freshet.create_sink('other_sink', 'SELECT count(*) FROM other')" \
		-c "SELECT freshet.wait()" >/dev/null
	for ((n = 0; n < rounds; n++)); do
		hand+=" $(outer_by_hand)"
		fills+=" $(outer_fill)"
		if [ $((n + 1)) -lt "$rounds" ]; then sql -c "SELECT freshet.drop_sink('order_list')" >/dev/null; fi
	done
	check_sinks
	for ((n = 0; n < rounds; n++)); do outer_round; done
	check_sinks
	end_server
	say "  fill$fills; by hand$hand; seconds of the changes$seconds"
	# shellcheck disable=SC2086
	{
		figure "first fill / CREATE TABLE AS and its index" \
			"$(calc "$(median $fills) / $(median $hand)")" "<= 2"
		figure "source changes applied per second" \
			"$(calc "int($TRANSACTIONS * 100 / $(median $seconds))")" ">= 50000"
	}
}
