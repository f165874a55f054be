# A sink of a three-way join, live: freshness at 1,000 transactions a second, and
# what it costs those who write, with and without the sink in turns.

# shellcheck shell=bash

RATE=${RATE:-1000}
SAMPLES=${SAMPLES:-600}
SECONDS_EACH=${SECONDS_EACH:-10}
JOIN_FACTS=${JOIN_FACTS:-1000000}

create_live_join() {
	sql -c "CALL create_join_sinks()" -c "SELECT freshet.wait('sales', '30 min')" >/dev/null
	check_live
}

join_freshness() {
	local p
	begin_load "${JOIN_WRITER[@]}"
	sleep 3
	# product -1 alone is of category -1
	sql -c "CALL measure_live($SAMPLES, 'INSERT INTO fact VALUES (-\$1, -1, 0, 1)',
		'SELECT count FROM sales WHERE region = 0 AND category = -1')"
	end_load
	check_sinks
	figure "transactions per second, seen by the writers" "$LOAD_TPS"
	for p in 50 90 99 100; do
		figure "from the return of COMMIT to visible, percentile $p, ms" \
			"$(query "SELECT from_return FROM freshness_live" | percentile $p)" \
			"$(case $p in 50) say "<= 5" ;; 99) say "<= 25" ;; esac)"
	done
}

run() {
	local n which order rounds=${ROUNDS:-4}
	local -A medians=()

	heading "15. A join of three tables, live, $JOIN_FACTS facts, $RATE transactions/s; $SAMPLES samples;" \
		"then writers with and without it, $rounds rounds of $SECONDS_EACH s each"
	begin_server
	sql -f "$WORK/sql/live.sql" -f "$WORK/sql/joins.sql"
	sql -c "CALL load_facts($JOIN_FACTS)" -c "INSERT INTO product VALUES (-1, -1, 1)" -c "VACUUM ANALYZE"
	cat >"$WORK/insert_fact.sql" <<-SQL
		\\set p random(0, $((JOIN_FACTS / 10 - 1)))
		\\set c random(0, $((JOIN_FACTS / 50 - 1)))
		INSERT INTO fact VALUES ($JOIN_FACTS + nextval('next_block'), :p, :c, :p % 9);
	SQL
	cat >"$WORK/update_fact.sql" <<-SQL
		\\set f random(0, $((JOIN_FACTS - 1)))
		\\set q random(0, 9)
		UPDATE fact SET qty = :q WHERE id = :f;
	SQL
	cat >"$WORK/update_product.sql" <<-SQL
		\\set p random(0, $((JOIN_FACTS / 10 - 1)))
		UPDATE product SET price = price + 1 WHERE id = :p;
	SQL
	JOIN_WRITER=(-f "$WORK/insert_fact.sql@7" -f "$WORK/update_fact.sql@2" -f "$WORK/update_product.sql@1")
	create_live_join
	join_freshness
	sql -c "SELECT freshet.drop_sink('sales')" >/dev/null
	for ((n = 0; n < rounds; n++)); do
		order=(with without)
		if [ $((n % 2)) = 1 ]; then order=(without with); fi
		for which in "${order[@]}"; do
			if [ "$which" = with ]; then create_live_join; fi
			sql -c CHECKPOINT
			medians[$which]+=" $(latencies "${JOIN_WRITER[@]}" | percentile 50)"
			if [ "$which" = with ]; then
				check_sinks
				sql -c "SELECT freshet.drop_sink('sales')" >/dev/null
				# the worker leaves, and drops its slot
				sleep 1
			fi
		done
	done
	end_server
	say "  median ms: with${medians[with]}; without${medians[without]}"
	# shellcheck disable=SC2086
	{
		figure "median latency at $RATE/s without, ms" "$(median ${medians[without]})"
		figure "median latency with / without" \
			"$(calc "$(median ${medians[with]}) / $(median ${medians[without]})")" "<= 1.1"
	}
}
