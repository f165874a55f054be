# The worker's memory through one very large transaction.

# shellcheck shell=bash

CHANGES=${CHANGES:-10000000}

# Private memory of a process now, in kB.
rss_anon() { awk '/^RssAnon:/ { print $2 }' "/proc/$1/status"; }

run() {
	local pid before now peak=0 writer t0 work_mem=64

	heading "6. Memory of the worker through a transaction of $CHANGES changes," \
		"freshet.work_mem = ${work_mem}MB, logical_decoding_work_mem = 64MB"
	begin_server "freshet.work_mem = ${work_mem}MB" "logical_decoding_work_mem = 64MB"
	create_sinks
	sql -c "CALL insert_orders(-1000, 0)" -c "SELECT freshet.wait()" >/dev/null
	pid=$(worker_pid)
	before=$(rss_anon "$pid")
	t0=$SECONDS
	sql -c "BEGIN" -c "CALL insert_orders(1, $CHANGES)" -c "COMMIT" \
		-c "SELECT freshet.wait('30 min')" >/dev/null &
	writer=$!
	while kill -0 $writer 2>/dev/null; do
		now=$(rss_anon "$pid")
		if [ "${now:-0}" -gt "$peak" ]; then peak=$now; fi
		sleep 0.05
	done
	wait $writer
	[ "$(worker_pid)" = "$pid" ] || die "the worker was started again"
	say "  written and applied in $((SECONDS - t0)) s"
	check_sinks
	figure "private memory before, MB" "$(calc "$before / 1024")"
	figure "at its peak, MB" "$(calc "$peak / 1024")"
	figure "after it, MB" "$(calc "$(rss_anon "$pid") / 1024")"
	figure "peak - before - freshet.work_mem, MB" \
		"$(calc "($peak - $before) / 1024 - $work_mem")" "<= 64 + 32"
	end_server
}
