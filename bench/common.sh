# Functions shared by the benchmarks; sourced by run.sh.
#
# Each benchmark runs on a server of its own, made by scripts/lib.sh: a private
# copy of PostgreSQL, a private directory, a Unix socket, no TCP port.

# shellcheck shell=bash disable=SC2034

BENCH=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$BENCH/../scripts/lib.sh"

# What a server for 10,000,000 orders on a small machine would have.  Benchmarks
# that compare CPU time add lines of their own.
BENCH_SETTINGS=(
	"shared_buffers = 1GB"
	"work_mem = 256MB"
	"maintenance_work_mem = 512MB"
	"max_wal_size = 16GB"
	"min_wal_size = 2GB"
	"checkpoint_timeout = 30min"
	"fsync = on"
	"synchronous_commit = on"
	"wal_compression = off"
	"freshet.max_wal_lag = -1"
)

WORK=
SERVER=
BENCH_DB=bench
WORKER_STOPPED=
LOAD=
LOAD_TPS=
WRITER=()

# ---------------------------------------------------------------------------
# Servers
# ---------------------------------------------------------------------------

bench_cleanup() {
	local status=$?
	trap - EXIT
	set +e
	cd /
	end_server immediate
	if [ -n "$WORK" ]; then
		if [ "$status" != 0 ] || [ -n "${KEEP:-}" ]; then
			warn "Logs: $WORK"
		else
			rm -rf "$WORK"
		fi
	fi
	exit "$status"
}

# Builds freshet and the dropping plugin into a private copy of PostgreSQL.
bench_setup() {
	find_pg_config || die "no usable PostgreSQL found"
	WORK=$(mktemp -d "${BENCH_DIR:-$(temp_base)}/freshet-bench.XXXXXX")
	chmod 711 "$WORK"
	trap bench_cleanup EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	build
	make_stage "$WORK/stage"
	cp -r "$BENCH/drop_plugin" "$WORK/drop_plugin"
	make -C "$WORK/drop_plugin" --no-print-directory -s PG_CONFIG="$PG_CONFIG" \
		DESTDIR="$WORK/stage" all install
	cp -r "$BENCH/sql" "$WORK/sql"
	chmod -R a+rX "$WORK/sql"
	cd "$WORK"
}

have_wal2json() { [ -e "$("$PG_CONFIG" --pkglibdir)/wal2json.so" ]; }

# begin_server [LINE...]: a new server in $SERVER, with the database "bench".
# EXTRA_SETTINGS, if set, is one more line of postgresql.conf, to try things out.
begin_server() {
	local plugins=()
	SERVER=$WORK/server
	make_private_dir "$SERVER"
	if "$STAGE_BIN/postgres" --describe-config | grep '^output_plugin_libraries' >/dev/null; then
		plugins=("output_plugin_libraries = \
'pgoutput, test_decoding, wal2json, freshet, freshet_bench_drop'")
	fi
	server_start "$SERVER" "${BENCH_SETTINGS[@]}" "${plugins[@]}" "$@" \
		${EXTRA_SETTINGS:+"$EXTRA_SETTINGS"}
	make_database bench
}

# make_database NAME: with the source table; it becomes the one in use.
make_database() {
	server_psql "$SERVER" -d postgres -c "CREATE DATABASE $1"
	BENCH_DB=$1
	sql -c "CREATE EXTENSION freshet"
	sql -f "$WORK/sql/orders.sql"
}

end_server() {
	if [ -n "$WORKER_STOPPED" ]; then continue_worker; fi
	if [ -n "$SERVER" ] && [ -d "$SERVER" ]; then
		if [ -d "$SERVER/data" ]; then server_stop "$SERVER/data" "${1:-fast}"; fi
		if [ -z "${KEEP:-}" ]; then rm -rf "$SERVER"; else mv "$SERVER" "$SERVER.$RANDOM"; fi
	fi
	SERVER=
}

sql() { server_psql "$SERVER" -d "$BENCH_DB" -At "$@"; }

# query SQL: its one value.
query() { sql -c "$1"; }

pgbench_run() {
	as_server env PGOPTIONS="${BENCH_PGOPTIONS:-}" "$STAGE_BIN/pgbench" -n \
		-h "$SERVER" -p "$SERVER_PORT" -U postgres -d "$BENCH_DB" "$@"
}

# ---------------------------------------------------------------------------
# Sinks and the worker
# ---------------------------------------------------------------------------

# The three sinks of the main job over order_source: $WORK/sql/orders.sql.
create_sinks() {
	sql -c "CALL create_sinks()"
	sql -c "SELECT freshet.wait(sink::regclass, '30 min') FROM sink_query" >/dev/null
	check_live
}

check_live() {
	local bad
	bad=$(query "SELECT string_agg(format('%s is %s: %s', sink, state, error), '; ')
		FROM freshet.status WHERE state NOT IN ('live', 'catching up')")
	[ -z "$bad" ] || die "$bad"
}

# The figures are worth nothing if the sinks are wrong.
check_sinks() {
	local sink result
	check_live
	for sink in $(query "SELECT sink FROM freshet.status ORDER BY sink::text"); do
		result=$(query "SELECT format('%s missing, %s unexpected', missing, unexpected)
			FROM freshet.verify_sink('$sink')")
		[ "$result" = "0 missing, 0 unexpected" ] || die "$sink: $result"
	done
}

worker_pid() { query "SELECT pid FROM freshet.worker"; }

# Only an idle worker is stopped: a busy one might hold a lock of the server.
stop_worker() {
	local pid
	sql -c "SELECT freshet.wait()" >/dev/null
	sleep 0.5
	pid=$(worker_pid)
	[ "$(query "SELECT state FROM freshet.worker")" = idle ] || die "the worker is not idle"
	kill -STOP "$pid"
	WORKER_STOPPED=$pid
}

continue_worker() {
	kill -CONT "$WORKER_STOPPED"
	WORKER_STOPPED=
}

# write_log TRANSACTIONS SCRIPT: by four clients, and on disk in the end.
write_log() {
	local clients=4
	BENCH_PGOPTIONS="-c synchronous_commit=off" pgbench_run -M prepared -c $clients -j 2 \
		-t $(($1 / clients)) -f "$2" >"$WORK/pgbench.log" 2>&1 ||
		{ cat "$WORK/pgbench.log" >&2; die "pgbench failed"; }
	# a synchronous commit: "in the log already" includes being on disk
	sql -c "SELECT pg_current_xact_id()" >/dev/null
}

# apply_log [SINK]: has the stopped worker go on; seconds until it has applied all, or
# until that sink is live.  The caller clears WORKER_STOPPED.
apply_log() {
	sql <<-SQL
		SELECT clock_timestamp() AS t0 \gset
		\! kill -CONT $WORKER_STOPPED
		SELECT freshet.wait(${1:+'$1', }'10 min') \g /dev/null
		SELECT extract(epoch FROM clock_timestamp() - :'t0');
	SQL
}

# begin_load OPTION...: pgbench in the background, until end_load.
begin_load() {
	pgbench_run -M prepared -c 4 -j 2 -R "$RATE" -T 300 "$@" -P 5 >"$WORK/pgbench.log" 2>&1 &
	LOAD=$!
}

# Ends it: LOAD_TPS is how many transactions a second there were.
end_load() {
	# its backends' sessions end with it; pgbench itself gets no signal through runuser
	sql -c "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE application_name = 'pgbench'" >/dev/null
	wait "$LOAD" || true
	LOAD_TPS=$(awk '/^progress:/ { print $4 }' "$WORK/pgbench.log" | percentile 50)
}

# latencies OPTION...: milliseconds of each of pgbench's transactions at $RATE a second for
# $SECONDS_EACH, without what pgbench itself was late.
latencies() {
	mkdir -m 777 "$WORK/latency"
	pgbench_run -M prepared -c 4 -j 2 -R "$RATE" -T "$SECONDS_EACH" "$@" \
		-l --log-prefix="$WORK/latency/log" >"$WORK/pgbench.log" 2>&1
	awk '{ print ($3 - $7) / 1000 }' "$WORK"/latency/log.*
	rm -rf "$WORK/latency"
}

# CPU time of a process so far, in ms.
cpu_ms() { awk '{ printf "%.3f\n", $1 / 1e6 }' "/proc/$1/schedstat"; }

# ---------------------------------------------------------------------------
# Figures
# ---------------------------------------------------------------------------

# percentile P: of the numbers on standard input, one per line.
percentile() {
	sort -g | awk -v p="$1" '{ v[NR] = $1 }
		END {
			if (NR == 0) { print "nan"; exit }
			# linear between the two nearest
			x = 1 + (NR - 1) * p / 100; i = int(x)
			printf "%.6g\n", v[i] + (x - i) * (v[i < NR ? i + 1 : i] - v[i])
		}'
}

# median NUMBER...
median() { printf '%s\n' "$@" | percentile 50; }

# calc EXPRESSION: with four significant digits at least.
calc() { awk "BEGIN { printf \"%.3f\\n\", $1 }"; }

# figure TEXT VALUE [BOUND]
figure() { printf '  %-62s %12s  %s\n' "$1" "$2" "${3:+($3)}"; }

heading() {
	say ""
	say "$*"
}

# A writer's transactions, of one row each: $WRITER are pgbench's options.
# It needs orders 1 to 100000.
writer_scripts() {
	sql -c "CREATE SEQUENCE order_number START 100001"
	cat >"$WORK/insert.sql" <<-'SQL'
		\set user random(0, 9999)
		\set price random(1, 50000)
		\set late random(0, 60000)
		INSERT INTO order_source VALUES ('user_' || lpad(:user::text, 5, '0'), 'order_' || nextval('order_number'), :price / 100.0, 1767226050000 + currval('order_number') - :late);
	SQL
	cat >"$WORK/update.sql" <<-'SQL'
		\set n random(1, 100000)
		\set price random(1, 50000)
		UPDATE order_source SET price = :price / 100.0 WHERE user_id = order_user(:n) AND order_id = order_name(:n);
	SQL
	WRITER=(-f "$WORK/insert.sql@8" -f "$WORK/update.sql@2")
}
