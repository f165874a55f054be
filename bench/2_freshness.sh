# From a commit to its being visible in the sink, under a load of 1,000
# single-row transactions a second.

# shellcheck shell=bash

RATE=${RATE:-1000}
SAMPLES=${SAMPLES:-600}

run() {
	local p

	heading "2. Freshness at $RATE single-row transactions/s; three sinks live; $SAMPLES samples"
	begin_server
	sql -c "CALL insert_orders(1, 100000)"
	create_sinks
	writer_scripts
	# until the samples are taken, and then it is ended
	begin_load "${WRITER[@]}"
	sleep 3
	sql -c "CALL measure_freshness($SAMPLES)"
	end_load
	check_sinks
	figure "transactions per second, seen by the writers" "$LOAD_TPS"
	for p in 50 90 99 100; do
		figure "from the return of COMMIT to visible, percentile $p, ms" \
			"$(query "SELECT from_return FROM freshness" | percentile $p)" \
			"$(case $p in 50) say "<= 10" ;; 99) say "<= 50" ;; esac)"
	done
	for p in 50 99; do
		figure "from the call of COMMIT to visible, percentile $p, ms" \
			"$(query "SELECT from_call FROM freshness" | percentile $p)"
	done
	end_server
}
