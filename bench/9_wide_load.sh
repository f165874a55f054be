# A mixed load of a web shop that is in the log already, applied to a wide view
# with five lookups.

# shellcheck shell=bash disable=SC2086
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

run() {
	local n pid cpu0 changes0 changes written0 written seconds rate= documents= cpus=
	local rounds=${ROUNDS:-3} transactions=${WIDE_TRANSACTIONS:-20000}

	heading "9. A mixed load of $transactions transactions, in the log already;" \
		"a wide view with five lookups; $rounds rounds"
	begin_server "autovacuum = off"
	prepare_shop
	load_shop
	sql -c "CALL make_picks()"
	create_view
	say "CALL mixed_transaction();" >"$WORK/mixed.sql"
	for ((n = 0; n < rounds; n++)); do
		sql -c "VACUUM ANALYZE" -c CHECKPOINT
		written0=$(documents_written)
		stop_worker
		pid=$WORKER_STOPPED
		changes0=$(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass")
		write_log "$transactions" "$WORK/mixed.sql"
		cpu0=$(cpu_ms "$pid")
		seconds=$(apply_log)
		WORKER_STOPPED=
		cpus+=" $(calc "($(cpu_ms "$pid") - $cpu0) / 1000")"
		changes=$(($(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass") - changes0))
		written=$(($(documents_written) - written0))
		say "  round $n: $changes changes, $written documents in $seconds s"
		rate+=" $(calc "int($changes / $seconds)")"
		documents+=" $(calc "int($written / $seconds)")"
	done
	check_documents
	end_server
	say "  CPU seconds of the worker$cpus"
	figure "changes applied per second" "$(median $rate)" ">= 10,000"
	figure "documents written per second" "$(median $documents)"
}
