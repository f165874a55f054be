# From a commit to its being in its document, under a mixed load of 1,000
# transactions a second on the six tables of a wide view.

# shellcheck shell=bash
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

run() {
	local p RATE=${RATE:-1000} samples=${SAMPLES:-600} changes0 seconds

	heading "10. A wide view, live, at $RATE transactions/s of the mixed load; $samples samples"
	begin_server
	prepare_shop
	load_shop
	sql -c "CALL make_picks()"
	create_view
	say "CALL mixed_transaction();" >"$WORK/mixed.sql"
	# until the samples are taken, and then it is ended
	begin_load -f "$WORK/mixed.sql"
	sleep 5
	changes0=$(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass")
	seconds=$(date +%s.%N)
	sql -c "CALL measure_documents($samples)"
	seconds=$(calc "$(date +%s.%N) - $seconds")
	changes0=$(($(query "SELECT changes FROM freshet.status WHERE sink = 'order_view'::regclass") - changes0))
	end_load
	check_documents
	figure "transactions per second, seen by the writers" "$LOAD_TPS"
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
