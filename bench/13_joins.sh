# A sink of a three-way join, grouped: a log that is there already, and one changed
# row of each kind with few and with many facts.

# shellcheck shell=bash

TRANSACTIONS=${TRANSACTIONS:-10000}
JOIN_SMALL=${JOIN_SMALL:-10000}
JOIN_LARGE=${JOIN_LARGE:-10000000}
JOIN_FACTS=${JOIN_FACTS:-1000000}
BLOCK=25

prepare_join() {
	make_database "$1"
	sql -f "$WORK/sql/joins.sql"
	sql -c "CALL load_facts($2)" -c "VACUUM ANALYZE"
	sql -c "CALL create_join_sinks()" -c "SELECT freshet.wait('sales', '30 min')" >/dev/null
	check_live
	sql -c CHECKPOINT
}

# Seconds that the worker takes for a log of so many transactions of 100 changes.
apply_round() {
	sql -c "VACUUM ANALYZE fact" -c CHECKPOINT
	say "CALL change_facts($JOIN_FACTS);" >"$WORK/change_facts.sql"
	stop_worker
	write_log "$TRANSACTIONS" "$WORK/change_facts.sql"
	seconds+=" $(apply_log sales)"
	WORKER_STOPPED=
}

# one_block DATABASE FACTS KIND
one_block() {
	BENCH_DB=$1
	sql -c "CALL one_join_change(3, $2, '$3')" -c "TRUNCATE one_join" \
		-c "CALL one_join_change($BLOCK, $2, '$3')"
	query "SELECT ms FROM one_join" >>"$WORK/$1.$3.ms"
}

run() {
	local n kind seconds= rounds=${ROUNDS:-3}

	heading "13. A join of three tables, grouped: $((TRANSACTIONS * 100)) changes in the log" \
		"already, $JOIN_FACTS facts; then one changed row; $rounds rounds"
	begin_server "autovacuum = off"
	prepare_join applied "$JOIN_FACTS"
	for ((n = 0; n < rounds; n++)); do apply_round; done
	check_sinks
	end_server
	say "  seconds$seconds"
	# shellcheck disable=SC2086
	figure "changes applied per second" "$(calc "int($TRANSACTIONS * 100 / $(median $seconds))")" ">= 300000"

	begin_server "freshet.batch_interval = 0" "autovacuum = off"
	prepare_join small "$JOIN_SMALL"
	prepare_join large "$JOIN_LARGE"
	for kind in fact product; do
		# not counted: plans are made, pages and caches filled
		BENCH_DB=small sql -c "CALL one_join_change(200, $JOIN_SMALL, '$kind')"
		BENCH_DB=large sql -c "CALL one_join_change(200, $JOIN_LARGE, '$kind')"
		rm -f "$WORK/small.$kind.ms" "$WORK/large.$kind.ms"
		for ((n = 0; n < rounds; n++)); do
			one_block small "$JOIN_SMALL" $kind
			one_block large "$JOIN_LARGE" $kind
		done
	done
	for n in small large; do BENCH_DB=$n check_sinks; done
	end_server
	for kind in fact product; do
		figure "a changed $kind: $JOIN_SMALL facts, median ms" "$(percentile 50 <"$WORK/small.$kind.ms")"
		figure "a changed $kind: $JOIN_LARGE facts, median ms" "$(percentile 50 <"$WORK/large.$kind.ms")"
		figure "  large / small" "$(calc "$(percentile 50 <"$WORK/large.$kind.ms") / $(percentile 50 <"$WORK/small.$kind.ms")")" "<= 1.2"
	done
}
