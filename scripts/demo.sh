#!/usr/bin/env bash
#
# demo.sh start: a private server, the sinks of examples/order_windows.sql, a
# stream of orders, and the terminal showing for some seconds how the sinks
# follow it, and the changes of one of them; the wide view of
# examples/order_single_view.sql, and how it follows; then the proof.  The
# server stays, to be looked at.
# demo.sh stop: ends it and removes its files.
#
# Variables: PG_CONFIG; DEMO_SECONDS, how long to watch (12); DEMO_DIR.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
clean_environment

# Not in the checkout: the server's user may be unable to get there, and a
# socket's path must be short.
DIR=${DEMO_DIR:-/tmp/freshet-demo-$(id -u)}
SECONDS_TO_WATCH=${DEMO_SECONDS:-12}
SERVER=$DIR/server
stream=

# The name is no secret, so somebody else might have made the directory.
check_dir() {
	if [ -L "$DIR" ] || [ ! -O "$DIR" ] || [ ! -e "$DIR/.freshet-demo" ]; then
		die "$DIR is not a demo of yours; choose another place with DEMO_DIR=..."
	fi
}

remove() {
	local bin
	check_dir
	# not in a directory that vanishes, nor one where the server's user cannot be
	cd /
	# the programs that the server was started with
	if [ -e "$SERVER/data/postmaster.pid" ] && bin=$(cat "$DIR/.freshet-demo"); then
		STAGE_BIN=$bin server_stop "$SERVER/data" fast
	fi
	rm -rf "$DIR"
}

stop() {
	if [ ! -e "$DIR" ] && [ ! -L "$DIR" ]; then
		say "No demo is running."
		return
	fi
	remove
	say "The demo's server is stopped, and $DIR removed."
}

# Orders, until $DIR/stop appears.
order_stream() {
	while [ ! -e "$DIR/stop" ]; do
		say "CALL order_stream_tick();"
		sleep 0.2
	done | server_psql "$SERVER" -d demo -f - >/dev/null
}

stop_stream() {
	if [ -n "$stream" ]; then
		touch "$DIR/stop"
		wait "$stream" || die "the stream of orders broke off; see $SERVER/log"
		stream=
	fi
}

frame() {
	server_psql "$SERVER" -d demo -f "$DIR/demo_frame.sql"
}

watch_sinks() {
	local until=$((SECONDS + SECONDS_TO_WATCH)) text
	while [ $SECONDS -lt "$until" ]; do
		# whole before it is shown, lest it flicker
		text=$(frame)
		if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ]; then
			printf '\033[H\033[2J%s\n\n%s\n' "Orders are coming in; $((until - SECONDS)) s left." "$text"
			sleep 0.5
		else
			printf '%s\n%s\n\n' "=== $((until - SECONDS)) s left" "$text"
			sleep 3
		fi
	done
}

# A sink as a stream, for some seconds.
follow_sink() {
	as_server timeout --preserve-status -s INT 4 "$STAGE_BIN/freshet-tail" -h "$SERVER" \
		-p $SERVER_PORT -U postgres -d demo --temporary --sink order_batch_sink --verbose \
		</dev/null 2>&1 | sed -n -e '/^freshet-tail: [cf]/d' -e '1,26s/^/  /p'
}

# Compares each sink with its query, while the orders still come.
verify_sinks() {
	local sink result bad=0
	for sink in $(server_psql "$SERVER" -d demo -At \
		-c "SELECT sink FROM freshet.status ORDER BY sink::text"); do
		result=$(server_psql "$SERVER" -d demo -At -v sink="$sink" <<-'SQL'
			SELECT format('%s missing, %s unexpected', missing, unexpected)
			FROM freshet.verify_sink(:'sink');
		SQL
		)
		printf '  %-24s %s\n' "$sink" "$result"
		if [ "$result" != "0 missing, 0 unexpected" ]; then bad=1; fi
	done
	return $bad
}

# If the demo is broken off, nothing of it stays.
broken_off() {
	local status=$?
	trap - EXIT
	set +e
	if [ "$status" != 0 ]; then
		# not for Ctrl-C and the like
		if [ "$status" -lt 128 ] && [ -f "$SERVER/log" ]; then
			warn "Last lines of the server's log:"
			tail -n 20 "$SERVER/log" >&2
		fi
		if [ -e "$DIR/.freshet-demo" ]; then
			touch "$DIR/stop"
			remove
		fi
	fi
	exit "$status"
}

start() {
	local psql=psql

	bash "$ROOT/scripts/setup.sh"
	find_pg_config || die "no usable PostgreSQL found"

	if [ -e "$DIR" ] || [ -L "$DIR" ]; then
		say "A demo is there already: it starts anew."
		remove
	fi
	trap broken_off EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM

	say "Building for $("$PG_CONFIG" --version)"
	build
	mkdir -m 711 "$DIR"
	say "$DIR/stage$("$PG_CONFIG" --bindir)" >"$DIR/.freshet-demo"
	make_stage "$DIR/stage"
	cp "$ROOT/examples/order_windows.sql" "$ROOT/examples/order_single_view.sql" \
		"$ROOT/scripts/demo.sql" "$ROOT/scripts/demo_frame.sql" \
		"$ROOT/scripts/demo_wide.sql" "$DIR/"
	make_private_dir "$SERVER"
	cd "$DIR"

	say "Starting a private server in $DIR"
	server_start "$SERVER"
	server_psql "$SERVER" -d postgres -c "CREATE DATABASE demo"

	say "Running examples/order_windows.sql"
	server_psql "$SERVER" -d demo -f order_windows.sql
	server_psql "$SERVER" -d demo -f demo.sql

	say "Now a stream of orders: new, late, corrected and withdrawn ones"
	order_stream &
	stream=$!
	watch_sinks
	say ""
	say "The changes of a sink as they come, for some seconds (freshet-tail --sink order_batch_sink):"
	follow_sink || die "freshet-tail failed"
	say ""
	say "Now examples/order_single_view.sql: an order in six tables, as one document, and how soon" \
		"it shows a change"
	server_psql "$SERVER" -d demo -f order_single_view.sql >/dev/null
	server_psql "$SERVER" -d demo -f demo_wide.sql
	say "Each sink compared with its query, at one snapshot, while orders come in:"
	verify_sinks || die "a sink differs from its query"
	stop_stream

	if ! command -v psql >/dev/null; then psql=$("$PG_CONFIG" --bindir)/psql; fi
	say ""
	say "The server is still running.  Look around with"
	say "    $psql -h $SERVER -p $SERVER_PORT -U postgres -d demo"
	say "and end it with"
	say "    make demo-stop"
}

case ${1:-} in
	start) start ;;
	stop) stop ;;
	*) die "usage: demo.sh start|stop" ;;
esac
