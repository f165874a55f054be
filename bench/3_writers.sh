# What sinks cost those who write: the same load with and without sinks, in
# turns, on one server.  Only the sinks come and go: wal_level, the replica
# identity and the preloaded library stay.

# shellcheck shell=bash

RATE=${RATE:-1000}
SECONDS_EACH=${SECONDS_EACH:-10}

# fixed_rate with|without
fixed_rate() {
	latencies "${WRITER[@]}" >"$WORK/latencies"
	medians[$1]+=" $(percentile 50 <"$WORK/latencies")"
	p99s[$1]+=" $(percentile 99 <"$WORK/latencies")"
}

# full_speed with|without
full_speed() {
	local behind
	pgbench_run -M prepared -c 4 -j 2 -T "$SECONDS_EACH" "${WRITER[@]}" >"$WORK/pgbench.log" 2>&1
	behind=$(query "SELECT wal_lag_bytes FROM freshet.worker")
	speeds[$1]+=" $(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$WORK/pgbench.log")"
	if [ "$1" = with ]; then lags+=" $((${behind:-0} / 1048576))"; fi
}

run() {
	local n which order rounds=${ROUNDS:-4} lags=
	local -A medians=() p99s=() speeds=()

	heading "3. Writers, with and without three sinks; $rounds rounds of $SECONDS_EACH s each"
	begin_server
	sql -c "CALL insert_orders(1, 100000)"
	writer_scripts
	for ((n = 0; n < rounds; n++)); do
		# in turns: the order is with, without, without, with, ...
		order=(with without)
		if [ $((n % 2)) = 1 ]; then order=(without with); fi
		for which in "${order[@]}"; do
			if [ "$which" = with ]; then create_sinks; fi
			sql -c CHECKPOINT
			fixed_rate "$which"
			full_speed "$which"
			if [ "$which" = with ]; then
				sql -c "SELECT freshet.wait('10 min')" >/dev/null
				check_sinks
				sql -c "CALL drop_sinks()"
				# the worker leaves, and drops its slot
				sleep 1
			fi
		done
	done
	end_server

	for which in with without; do
		say "  $which: median ms${medians[$which]}; p99 ms${p99s[$which]}; tps at full speed${speeds[$which]}"
	done
	say "  the worker's lag after full speed, MB:$lags"
	# shellcheck disable=SC2086
	{
		figure "median latency at $RATE/s without, ms" "$(median ${medians[without]})"
		figure "median latency with / without" \
			"$(calc "$(median ${medians[with]}) / $(median ${medians[without]})")" "<= 1.1"
		figure "99th percentile with / without" \
			"$(calc "$(median ${p99s[with]}) / $(median ${p99s[without]})")"
		figure "full speed without, transactions/s" "$(median ${speeds[without]})"
		figure "full speed with / without" \
			"$(calc "$(median ${speeds[with]}) / $(median ${speeds[without]})")" ">= 0.75"
	}
}
