# Changes that nobody reads: a stock that is counted down at 1,000 transactions a
# second, with and without a wide view of 30 documents a product that shows its name.

# shellcheck shell=bash

RATE=${RATE:-1000}
SAMPLES=${SAMPLES:-300}

# unread_round with|without
unread_round() {
	local cpu pid start
	pid=$(worker_pid)
	sql -c "TRUNCATE freshness_live"
	begin_load -f "$WORK/stock.sql"
	sleep 2
	cpu=$(cpu_ms "$pid")
	start=$(date +%s.%N)
	sql -c "CALL measure_live($SAMPLES, 'INSERT INTO probe VALUES (\$1)', 'SELECT n FROM probes')"
	busy[$1]+=" $(calc "($(cpu_ms "$pid") - $cpu) / ($(date +%s.%N) - $start)")"
	end_load
	delays[$1]+=" $(query "SELECT from_return FROM freshness_live" | percentile 50)"
	p99s[$1]+=" $(query "SELECT from_return FROM freshness_live" | percentile 99)"
}

run() {
	local n which order rounds=${ROUNDS:-4}
	local -A busy=() delays=() p99s=()

	heading "14. $RATE updates/s of a column that nobody shows, with and without a wide view;" \
		"$rounds rounds of $SAMPLES samples"
	begin_server
	sql -f "$WORK/sql/live.sql" -f "$WORK/sql/unread.sql"
	sql -c "CALL create_unread_sinks()" -c "SELECT freshet.wait('probes', '1 min')" \
		-c "SELECT freshet.wait('products', '1 min')" >/dev/null
	cat >"$WORK/stock.sql" <<-'SQL'
		\set p random(0, 999)
		UPDATE product SET stock = stock - 1 WHERE id = :p;
	SQL
	for ((n = 0; n < rounds; n++)); do
		order=(with without)
		if [ $((n % 2)) = 1 ]; then order=(without with); fi
		for which in "${order[@]}"; do
			if [ "$which" = with ]; then
				sql -c "CALL create_item_view()" -c "SELECT freshet.wait('item_view', '1 min')" >/dev/null
			fi
			sql -c "VACUUM ANALYZE product"
			unread_round "$which"
			if [ "$which" = with ]; then
				check_sinks
				sql -c "SELECT freshet.drop_sink('item_view')" >/dev/null
			fi
		done
	done
	end_server

	for which in with without; do
		say "  $which: median ms${delays[$which]}; p99 ms${p99s[$which]}; worker's ms/s${busy[$which]}"
	done
	# shellcheck disable=SC2086
	{
		figure "return of COMMIT to visible, without, median ms" "$(median ${delays[without]})"
		figure "  with / without" "$(calc "$(median ${delays[with]}) / $(median ${delays[without]})")" "<= 1.2"
		figure "  99th percentile with / without" "$(calc "$(median ${p99s[with]}) / $(median ${p99s[without]})")"
		figure "worker's CPU time, with / without" "$(calc "$(median ${busy[with]}) / $(median ${busy[without]})")" "<= 1.2"
	}
}
