# One changed payment, with few and with many orders.
#
# Two databases of one server, measured in turns, with as many products and
# sellers.  The worker does not wait between batches here
# (freshet.batch_interval = 0), which would hide its work.

# shellcheck shell=bash disable=SC2086
# shellcheck source=bench/wide.sh
. "$BENCH/wide.sh"

WIDE_SMALL=${WIDE_SMALL:-10000}
WIDE_LARGE=${WIDE_LARGE:-1000000}
WIDE_BLOCK=25

# A block of changes; worker's CPU time and the clock.
payment_block() {
	local pid cpu0
	BENCH_DB=$1
	pid=$(worker_pid)
	# the first ones read the log of the other database's changes as well
	sql -c "CALL change_payments(3, $2)" -c "TRUNCATE one_change" -c "SELECT freshet.wait()" >/dev/null
	cpu0=$(cpu_ms "$pid")
	sql -c "CALL change_payments($WIDE_BLOCK, $2)"
	cpus[$1]+=" $(calc "($(cpu_ms "$pid") - $cpu0) / $WIDE_BLOCK")"
	query "SELECT ms FROM one_change" >>"$WORK/$1.ms"
}

prepare_orders() {
	make_database "$1"
	prepare_shop
	sql -c "CALL make_shop(1, $2, 5000, 500)"
	finish_shop
	create_view
	sql -c "VACUUM ANALYZE order_view" -c CHECKPOINT
}

run() {
	local n rounds=${ROUNDS:-10} small_ms large_ms
	local -A cpus=()

	heading "11. One changed payment, with $WIDE_SMALL and $WIDE_LARGE orders;" \
		"$rounds rounds of $WIDE_BLOCK changes each"
	begin_server "freshet.batch_interval = 0" "autovacuum = off"
	prepare_orders small "$WIDE_SMALL"
	prepare_orders large "$WIDE_LARGE"
	rm -f "$WORK"/small.ms "$WORK"/large.ms
	# not counted: the first change of a page after a checkpoint logs all of it
	BENCH_DB=small sql -c "CALL change_payments(200, $WIDE_SMALL)"
	BENCH_DB=large sql -c "CALL change_payments(200, $WIDE_LARGE)"
	for ((n = 0; n < rounds; n++)); do
		payment_block small "$WIDE_SMALL"
		payment_block large "$WIDE_LARGE"
	done
	for n in small large; do BENCH_DB=$n check_documents; done
	end_server

	small_ms=$(percentile 50 <"$WORK/small.ms")
	large_ms=$(percentile 50 <"$WORK/large.ms")
	say "  worker's CPU ms per change: small${cpus[small]}; large${cpus[large]}"
	figure "commit to applied, $WIDE_SMALL orders, median ms" "$small_ms"
	figure "commit to applied, $WIDE_LARGE orders, median ms" "$large_ms"
	figure "large / small" "$(calc "$large_ms / $small_ms")" "<= 1.2"
	figure "worker's CPU time, large / small" \
		"$(calc "$(median ${cpus[large]}) / $(median ${cpus[small]})")"
}
