# Applying a log that is there already, beside what only reads it.
#
# In each round the worker is stopped by a signal, the log is written, and
# everybody reads the same log: the worker once, as it cannot go back, the
# others through slots made just before the log, by peeking.

# shellcheck shell=bash

TRANSACTIONS=${TRANSACTIONS:-10000}

# peek_time SLOT [OPTION...]: seconds that a plugin takes for it, and of CPU time.
peek_time() {
	sql -F " " <<-SQL
		SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1) AS cpu0 \gset
		SELECT clock_timestamp() AS t0 \gset
		SELECT count(*) FROM pg_logical_slot_peek_changes('$1', NULL, NULL${2:+, $2}) \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0'),
			round((split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint - :cpu0) / 1e9, 3);
	SQL
}

make_slot() { sql -c "SELECT pg_create_logical_replication_slot('$1', '$2')" >/dev/null; }
drop_slot() { sql -c "SELECT pg_drop_replication_slot('$1')" >/dev/null; }

# measure NAME SLOT [OPTION...]: appends to $times and $cpus of that name.
measure() {
	local name=$1 both
	shift
	both=$(peek_time "$@")
	times[$name]+=" ${both% *}"
	cpus[$name]+=" ${both#* }"
}

# One round: everybody has read the same log.
round() {
	local pid cpu0 perf=

	sql -c "CALL prepare_round($1, $TRANSACTIONS)" -c "VACUUM ANALYZE order_source" -c CHECKPOINT
	say "CALL one_transaction($1, $TRANSACTIONS);" >"$WORK/one_transaction.sql"
	stop_worker
	pid=$WORKER_STOPPED
	for slot in "${plugins[@]}"; do
		make_slot "$slot" "${slot/#drop/freshet_bench_drop}"
	done
	lsn=$(query "SELECT pg_current_wal_insert_lsn()")
	write_log "$TRANSACTIONS" "$WORK/one_transaction.sql"
	mb=$(query "SELECT round((pg_current_wal_insert_lsn() - '$lsn') / 1048576.0)")

	measure drop drop
	if [ -n "${PERF_OUT:-}" ]; then
		perf record -q --call-graph "${PERF_GRAPH:-fp}" -F 1000 -o "$PERF_OUT" -p "$pid" -- sleep 4 &
		perf=$!
		sleep 0.5
	fi
	cpu0=$(cpu_ms "$pid")
	times[worker]+=" $(apply_log)"
	WORKER_STOPPED=
	cpus[worker]+=" $(calc "($(cpu_ms "$pid") - $cpu0) / 1000")"
	if [ -n "$perf" ]; then wait "$perf"; fi
	measure drop drop
	measure test_decoding test_decoding
	measure drop drop
	if have_wal2json; then measure wal2json wal2json "'format-version', '2'"; fi
	for slot in "${plugins[@]}"; do drop_slot "$slot"; done
}

# compare TEXT A B BOUND: the ratio of two, by the clock and by CPU time.
compare() {
	# shellcheck disable=SC2086
	figure "$1" "$(calc "$(median ${times[$2]}) / $(median ${times[$3]})")" "${4:-}"
	# shellcheck disable=SC2086
	figure "  the same by CPU time" "$(calc "$(median ${cpus[$2]}) / $(median ${cpus[$3]})")"
}

run() {
	local n rounds=${ROUNDS:-5} lsn mb plugins=(drop test_decoding) slot
	local -A times=() cpus=()

	heading "1. $((TRANSACTIONS * 100)) changes in $TRANSACTIONS transactions," \
		"in the log already; three sinks live; $rounds rounds"
	if have_wal2json; then plugins+=(wal2json); fi
	begin_server "autovacuum = off"
	sql -f "$WORK/sql/apply.sql"
	create_sinks
	for ((n = 0; n < rounds; n++)); do
		round "$n"
		say "  round $n: $mb MB of log"
	done
	check_sinks
	end_server

	for n in worker "${plugins[@]}"; do
		say "  $n: seconds${times[$n]}; CPU${cpus[$n]}"
	done
	# shellcheck disable=SC2086
	figure "changes applied per second" \
		"$(calc "int($TRANSACTIONS * 100 / $(median ${times[worker]}))")"
	compare "worker / dropping plugin" worker drop "<= 2.5, aim 1.5"
	compare "test_decoding / worker" test_decoding worker
	if have_wal2json; then compare "wal2json format 2 / worker" wal2json worker ">= 3"; fi
}
