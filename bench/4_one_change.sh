# One changed row, in a small and in a large source, beside what refreshing
# materialized views takes.
#
# Two databases of one server, measured in turns.  Both have 10,000 users and
# the same span of time, so that the sinks have the same rows.  The worker does
# not wait between batches here (freshet.batch_interval = 0), which would
# hide its work.

# shellcheck shell=bash

SMALL=${SMALL:-10000}
LARGE=${LARGE:-10000000}
BLOCK=25

# A block of changes; worker's CPU time and the clock.
change_block() {
	local pid cpu0
	BENCH_DB=$1
	pid=$(worker_pid)
	# the first ones read the log of the other database's changes as well
	sql -c "CALL change_orders(3, $2)" -c "TRUNCATE one_change" -c "SELECT freshet.wait()" >/dev/null
	cpu0=$(cpu_ms "$pid")
	sql -c "CALL change_orders($BLOCK, $2)"
	cpus[$1]+=" $(calc "($(cpu_ms "$pid") - $cpu0) / $BLOCK")"
	query "SELECT ms FROM one_change" >>"$WORK/$1.ms"
}

refresh_time() {
	BENCH_DB=$1
	refreshes[$1]+=" $(sql <<-'SQL'
		SELECT clock_timestamp() AS t0 \gset
		REFRESH MATERIALIZED VIEW CONCURRENTLY order_stream_mv;
		REFRESH MATERIALIZED VIEW CONCURRENTLY order_batch_mv;
		REFRESH MATERIALIZED VIEW CONCURRENTLY order_total_mv;
		SELECT extract(epoch FROM clock_timestamp() - :'t0') * 1000;
	SQL
	)"
}

prepare() {
	make_database "$1"
	sql -c "CALL load_orders($2, 45000000.0 / $2)" -c "VACUUM ANALYZE order_source"
	create_sinks
	sql <<-'SQL'
		SELECT format('CREATE MATERIALIZED VIEW %I AS %s', replace(sink, '_sink', '_mv'), query)
		FROM sink_query \gexec
		CREATE UNIQUE INDEX ON order_stream_mv ("begin", "end");
		CREATE UNIQUE INDEX ON order_batch_mv (user_id);
		CREATE UNIQUE INDEX ON order_total_mv (count);
	SQL
	BENCH_DB=$1 sql -c CHECKPOINT
}

run() {
	local n rounds=${ROUNDS:-10} small_ms large_ms
	local -A cpus=() refreshes=()

	heading "4. One changed row, with $SMALL and $LARGE rows in the source;" \
		"$rounds rounds of $BLOCK changes each"
	begin_server "freshet.batch_interval = 0" "autovacuum = off"
	prepare small "$SMALL"
	prepare large "$LARGE"
	rm -f "$WORK"/small.ms "$WORK"/large.ms
	# not counted: the first change of a page after a checkpoint logs all of it
	BENCH_DB=small sql -c "CALL change_orders(200, $SMALL)"
	BENCH_DB=large sql -c "CALL change_orders(200, $LARGE)"
	for ((n = 0; n < rounds; n++)); do
		change_block small "$SMALL"
		change_block large "$LARGE"
	done
	for ((n = 0; n < 3; n++)); do
		refresh_time small
		refresh_time large
	done
	for n in small large; do BENCH_DB=$n check_sinks; done
	end_server

	small_ms=$(percentile 50 <"$WORK/small.ms")
	large_ms=$(percentile 50 <"$WORK/large.ms")
	say "  worker's CPU ms per change: small${cpus[small]}; large${cpus[large]}"
	figure "commit to applied, $SMALL rows, median ms" "$small_ms"
	figure "commit to applied, $LARGE rows, median ms" "$large_ms"
	figure "large / small" "$(calc "$large_ms / $small_ms")" "<= 1.2"
	# shellcheck disable=SC2086
	{
		figure "worker's CPU time, large / small" \
			"$(calc "$(median ${cpus[large]}) / $(median ${cpus[small]})")" "<= 1.2"
		figure "REFRESH MATERIALIZED VIEW CONCURRENTLY, small, ms" "$(median ${refreshes[small]})"
		figure "REFRESH MATERIALIZED VIEW CONCURRENTLY, large, ms" "$(median ${refreshes[large]})"
		figure "REFRESH large / small" \
			"$(calc "$(median ${refreshes[large]}) / $(median ${refreshes[small]})")"
	}
}
