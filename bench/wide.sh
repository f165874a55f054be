# Functions shared by the benchmarks of wide views; sourced by them.

# shellcheck shell=bash

OLIST=${FRESHET_OLIST:-$ROOT/../shared/data/olist}

# Tables and procedures; no rows.
prepare_shop() { sql -f "$WORK/sql/wide.sql"; }

# Olist's 99,441 orders if the files are there, else as many of our own.
load_shop() {
	local table
	if [ -r "$OLIST/olist_orders_dataset.csv.gz" ]; then
		say "  the data: Olist's orders, from $OLIST"
		for table in customers orders sellers products order_items order_payments; do
			gunzip -c "$OLIST/olist_${table}_dataset.csv.gz" |
				sql -c "COPY ecom_$table FROM STDIN WITH (FORMAT csv, HEADER true)"
		done
	else
		say "  the data: as many generated orders as Olist's (its files are not in $OLIST)"
		sql -c "CALL make_shop(1, 99441)"
	fi
	finish_shop
}

finish_shop() {
	sql -c "CALL index_shop()" -c "VACUUM ANALYZE" -c CHECKPOINT
}

# The view over them, live.
create_view() {
	sql -c "CALL create_order_view()" \
		-c "SELECT freshet.wait('order_view', '60 min')" >/dev/null
	check_live
}

# Besides verify_sink: against the documents written by hand.
check_documents() {
	local n
	check_sinks
	n=$(query "SET jit = off; SELECT differing_documents()")
	[ "$n" = 0 ] || die "$n documents differ from those written by hand"
}

# Documents that the worker has written so far; it reports when it is idle.
documents_written() {
	sql -c "SELECT freshet.wait()" >/dev/null
	sleep 1
	query "SELECT n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_user_tables
		WHERE relname = 'order_view'"
}
