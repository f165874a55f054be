# Filling a new sink, beside CREATE TABLE AS of the same query: as PostgreSQL
# does it by default (JIT, parallel workers), and in one process, as the fill is.

# shellcheck shell=bash

ROWS=${ROWS:-5000000}

# ctas_time QUERY [SET...]
ctas_time() {
	local query=$1
	shift
	sql <<-SQL
		$*
		SELECT clock_timestamp() AS t0 \gset
		CREATE TABLE filled AS $query;
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
		DROP TABLE filled;
	SQL
}

# fill_time SINK: from the call until the sink is live.
fill_time() {
	sql <<-SQL
		SELECT clock_timestamp() AS t0 \gset
		SELECT freshet.create_sink(sink, query) FROM sink_query WHERE sink = '$1' \g /dev/null
		SELECT freshet.wait('$1', '30 min') \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
		SELECT 1 / (state = 'live')::int FROM freshet.status WHERE sink = '$1'::regclass \g /dev/null
		SELECT 1 / (missing + unexpected = 0)::int FROM freshet.verify_sink('$1') \g /dev/null
		SELECT freshet.drop_sink('$1') \g /dev/null
	SQL
}

run() {
	local n sink query rounds=${ROUNDS:-3}
	local -A fill=() serial=() default=()

	heading "5. First fill, $ROWS rows in the source; $rounds rounds"
	begin_server "autovacuum = off"
	sql -c "CALL load_orders($ROWS)" -c "VACUUM ANALYZE order_source" -c CHECKPOINT
	# so that the worker is there throughout, and its slot
	sql -c "CREATE TABLE other (a int)" \
		-c "SELECT freshet.create_sink('other_sink', 'SELECT count(*) FROM other')" \
		-c "SELECT freshet.wait()" >/dev/null
	for ((n = 0; n < rounds; n++)); do
		for sink in $(query "SELECT sink FROM sink_query"); do
			query=$(query "SELECT query FROM sink_query WHERE sink = '$sink'")
			default[$sink]+=" $(ctas_time "$query")"
			fill[$sink]+=" $(fill_time "$sink")"
			serial[$sink]+=" $(ctas_time "$query" "SET jit = off;" \
				"SET max_parallel_workers_per_gather = 0;")"
		done
	done
	for sink in "${!fill[@]}"; do
		say "  $sink: fill${fill[$sink]}; CREATE TABLE AS${default[$sink]}; in one process${serial[$sink]}"
	done
	# shellcheck disable=SC2086
	for sink in "${!fill[@]}"; do
		figure "$sink: fill / CREATE TABLE AS" \
			"$(calc "$(median ${fill[$sink]}) / $(median ${default[$sink]})")" "<= 1.3"
		figure "  / CREATE TABLE AS in one process" \
			"$(calc "$(median ${fill[$sink]}) / $(median ${serial[$sink]})")"
	done
	end_server
}
