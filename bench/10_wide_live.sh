# From a commit to its being in its document, under a mixed load of 1,000
# transactions a second on the six tables of a wide view.

# shellcheck shell=bash
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

run() {
	local load tps p rate=${RATE:-1000} samples=${SAMPLES:-600} changes0 seconds

	heading "10. A wide view, live, at $rate transactions/s of the mixed load; $samples samples"
	begin_server
	prepare_shop
	load_shop
	sql -c "CALL make_picks()"
	create_view
	say "CALL mixed_transaction();" >"$WORK/mixed.sql"
	# until the samples are taken, and then it is ended
	pgbench_run -M prepared -c 4 -j 2 -R "$rate" -T 300 -f "$WORK/mixed.sql" \
		-P 5 >"$WORK/pgbench.log" 2>&1 &
	load=$!
	sleep 5
	changes0=$(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass")
	seconds=$(date +%s.%N)
	sql -c "CALL measure_documents($samples)"
	seconds=$(calc "$(date +%s.%N) - $seconds")
	changes0=$(($(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass") - changes0))
	# its backends' sessions end with it; pgbench itself gets no signal through runuser
	sql -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'pgbench'" >/dev/null
	wait "$load" || true
	tps=$(awk '/^progress:/ { print $4 }' "$WORK/pgbench.log" | percentile 50)
	check_documents
	figure "transactions per second, seen by the writers" "$tps"
	figure "changes applied per second" "$(calc "int($changes0 / $seconds)")"
	for p in 50 90 99 100; do
		figure "from the return of COMMIT to visible, percentile $p, ms" \
			"$(query "SELECT from_return FROM freshness" | percentile $p)" \
			"$(case $p in 50) say "<= 20" ;; 99) say "<= 100" ;; esac)"
	done
	for p in 50 99; do
		figure "from the call of COMMIT to visible, percentile $p, ms" \
			"$(query "SELECT from_call FROM freshness" | percentile $p)"
	done
	end_server
}
