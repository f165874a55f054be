# Filling a wide view with five lookups, beside CREATE TABLE AS of the same
# documents, written by hand: as PostgreSQL does it by default (JIT, parallel
# workers), and in one process.

# shellcheck shell=bash disable=SC2086
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

documents_ctas() {
	sql <<-SQL
		$*
		SELECT clock_timestamp() AS t0 \gset
		CREATE TABLE filled AS SELECT * FROM order_by_hand;
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
		DROP TABLE filled;
	SQL
}

# From the call until the view is live.
documents_fill() {
	sql <<-SQL
		SELECT clock_timestamp() AS t0 \gset
		CALL create_order_view();
		SELECT freshet.wait('order_view', '30 min') \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
	SQL
}

run() {
	local n rounds=${ROUNDS:-3} fill= default= serial=

	heading "8. First fill of a wide view, five lookups; $rounds rounds"
	begin_server "autovacuum = off"
	prepare_shop
	load_shop
	# so that the worker is there throughout, and its slot
	sql -c "CREATE TABLE other (a int)" \
		-c "SELECT freshet.create_sink('other_sink', 'SELECT count(*) FROM other')" \
		-c "SELECT freshet.wait()" >/dev/null
	# identities are set, and pages read, before anything is measured
	documents_fill >/dev/null
	check_documents
	for ((n = 0; n < rounds; n++)); do
		sql -c "SELECT freshet.drop_sink('order_view')" >/dev/null
		default+=" $(documents_ctas)"
		fill+=" $(documents_fill)"
		serial+=" $(documents_ctas "SET jit = off;" "SET max_parallel_workers_per_gather = 0;")"
	done
	check_documents
	say "  seconds: fill$fill; CREATE TABLE AS$default; in one process, no JIT$serial"
	figure "documents filled per second" \
		"$(calc "int($(query "SELECT count(*) FROM order_view") / $(median $fill))")"
	figure "fill / CREATE TABLE AS" "$(calc "$(median $fill) / $(median $default)")" "<= 1.5"
	figure "  / CREATE TABLE AS in one process, no JIT" "$(calc "$(median $fill) / $(median $serial)")"
	end_server
}
