#!/usr/bin/env bash
#
# check.sh SUITE...: builds freshet and runs its tests on private servers.
# SUITE is house (the includes of src/), regress, flushed (some of regress, with the
# worker's caches flushed at every chance), isolation, examples or tap.
#
# Everything that tests read and write is copied to a temporary directory, so
# that they can run as another user than the one who owns the checkout.  The
# directory is kept if a test fails.
#
# Variables: PG_CONFIG; TESTS="a b", names of tests (for t/001_a.pl "a" or "001"
# will do); CHECK_TIMEOUT, seconds allowed to one suite or TAP test; KEEP=1
# keeps the directory anyway.
#
# The last line is "N passed, N failed", whatever happens.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
clean_environment

TIMEOUT=${CHECK_TIMEOUT:-400}

# Tests in which tables change under the worker.
FLUSHED='setup|ddl|partitions|transactions|truncate|wide_truncate|chain|bag|joins|refresh|stages'
work=
run=
passed=0
failed=0
finished=
summary=()

# ---------------------------------------------------------------------------
# The end, by whatever way
# ---------------------------------------------------------------------------

# Servers that a test left behind, found by their data directories.
stop_servers() {
	local pidfile
	[ -n "$run" ] || return 0
	while IFS= read -r pidfile; do
		server_stop "${pidfile%/postmaster.pid}" immediate
	done < <(find "$run" -name postmaster.pid 2>/dev/null)
}

at_exit() {
	local status=$?
	trap - EXIT
	set +e
	stop_servers
	cd /
	if [ -z "$finished" ]; then failed=$((failed + 1)); fi
	if [ "$failed" -gt 0 ] || [ "$passed" = 0 ]; then
		if [ "$status" = 0 ]; then status=1; fi
	fi
	if [ -n "$work" ]; then
		if [ "$status" != 0 ] || [ -n "${KEEP:-}" ]; then
			if [ -z "${KEEP:-}" ]; then rm -rf "$work/stage"; fi
			say "Logs and results: $work"
		else
			rm -rf "$work"
		fi
	fi
	if [ ${#summary[@]} -gt 0 ]; then printf '%s\n' "${summary[@]}"; fi
	say "$passed passed, $failed failed"
	exit "$status"
}
trap at_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# count SUITE PASSED FAILED
count() {
	passed=$((passed + $2))
	failed=$((failed + $3))
	summary+=("$(printf '%-10s %4d passed, %d failed' "$1" "$2" "$3")")
}

# ---------------------------------------------------------------------------
# Common to the suites
# ---------------------------------------------------------------------------

# chosen DIR SUFFIX: names of the tests to run; "setup" is always one, the first.
chosen() {
	local file name
	if [ -e "$ROOT/$1/setup.$2" ]; then say setup; fi
	for file in "$ROOT/$1"/*."$2"; do
		name=$(basename "$file" ".$2")
		if [ -e "$file" ] && [ "$name" != setup ] && is_chosen "$name" "$2"; then
			say "$name"
		fi
	done
}

is_chosen() {
	local test
	if [ -z "${TESTS:-}" ]; then return 0; fi
	for test in $TESTS; do
		if [ "$1" = "$test" ]; then return 0; fi
		if [ "$2" = pl ]; then
			case $1 in "$test"_* | *_"$test") return 0 ;; esac
		fi
	done
	return 1
}

# scan_logs SUITE FILE...: things that no server's log may say, though every
# test's result be right: crashes, failed assertions, leaks.
scan_logs() {
	local suite=$1 found
	shift
	[ $# -gt 0 ] || return 0
	found=$(grep -a -h -E -e 'TRAP:|PANIC:|terminated by signal (4|6|7|8|11):' \
		-e '(reference|refcount|file) leak:|resource was not closed' "$@" || true)
	if [ -n "$found" ]; then
		say "not ok: the server's log of $suite says"
		say "$found" | head -n 20 | sed 's/^/    /'
		return 1
	fi
}

# ---------------------------------------------------------------------------
# Suites
# ---------------------------------------------------------------------------

# regress_suite NAME PROGRAM TEST...: pg_regress or pg_isolation_regress on a
# server of its own.
regress_suite() {
	local suite=$1 program=$2 settings=${suite_settings-} dir=$run/$1 ok bad status=0
	shift 2
	make_private_dir "$dir"
	server_start "$dir" "fsync = off" "max_prepared_transactions = 10" "$settings"
	as_server mkdir "$dir/out"
	(cd "$run/src" && as_server timeout -k 10 "$TIMEOUT" "$program" \
		--bindir="$STAGE_BIN" --inputdir="$run/src" --outputdir="$dir/out" \
		--host="$dir" --port="$SERVER_PORT" --user=postgres \
		--dbname="freshet_$suite" --load-extension=freshet "$@") \
		>"$work/$suite.log" 2>&1 </dev/null || status=$?
	grep -E '^(test| +[a-z_0-9]+) .*\.\.\.|^(not )?ok [0-9]' "$work/$suite.log" || true
	server_stop "$dir/data" fast

	# "test a ... ok" until PostgreSQL 15, "ok 1 - a" since.
	ok=$(grep -c -E '^(test| ) .*\.\.\. ok( |$)|^ok [0-9]' "$work/$suite.log" || true)
	bad=$(grep -c -E '^(test| ) .*\.\.\. (FAILED|failed)|^not ok [0-9]' "$work/$suite.log" || true)
	if [ "$status" != 0 ]; then
		if [ "$status" = 124 ]; then say "not ok: $suite took more than $TIMEOUT s"; fi
		# A test that was under way at a timeout or a crash has no line.
		if [ "$bad" = 0 ]; then
			tail -n 30 "$work/$suite.log"
			bad=1
		fi
		if [ -s "$dir/out/regression.diffs" ]; then
			head -n 400 "$dir/out/regression.diffs"
		fi
		say "Last lines of the server's log:"
		tail -n 20 "$dir/log" | sed 's/^/    /'
	fi
	scan_logs "$suite" "$dir/log" || bad=$((bad + 1))
	count "$suite" "$ok" "$bad"
}

# The structure of the sources, and what the library exports.
house_suite() {
	local ok=0 bad=0 foreign

	if perl "$ROOT/scripts/check_rooms.pl" "$ROOT/src"; then
		ok=$((ok + 1))
	else
		bad=$((bad + 1))
	fi

	# what other libraries of the process could take for their own
	foreign=$(nm -D --defined-only "$ROOT/freshet.so" | awk '{ print $NF }' |
		grep -v -x -E 'Pg_magic_func|_PG_init|_PG_output_plugin_init|(pg_finfo_)?freshet_.*' || true)
	if [ -z "$foreign" ]; then
		say "ok     exported symbols"
		ok=$((ok + 1))
	else
		say "not ok exported symbols:" $foreign
		bad=$((bad + 1))
	fi
	count house $ok $bad
}

# Every example is a script that ends in an error unless its sinks come out
# right.
examples_suite() {
	local dir=$run/examples name ok=0 bad=0
	make_private_dir "$dir"
	server_start "$dir" "fsync = off"
	for name in "$@"; do
		server_psql "$dir" -d postgres -c "CREATE DATABASE $name"
		if (cd "$run/src" && server_psql "$dir" -d "$name" -f "examples/$name.sql") \
			>"$work/$name.log" 2>&1 </dev/null; then
			say "ok     examples/$name.sql"
			ok=$((ok + 1))
		else
			say "not ok examples/$name.sql"
			tail -n 30 "$work/$name.log" | sed 's/^/    /'
			bad=$((bad + 1))
		fi
	done
	server_stop "$dir/data" fast
	scan_logs examples "$dir/log" || bad=$((bad + 1))
	count examples "$ok" "$bad"
}

# One TAP test after the other, each in a directory of its own.
tap_suite() {
	local name log ok bad status started logs all_ok=0 all_bad=0
	make_private_dir "$run/tap"
	for name in "$@"; do
		as_server mkdir "$run/tap/$name"
		log=$work/$name.log
		status=0
		started=$SECONDS
		(cd "$run/src" && as_server env PATH="$STAGE_BIN:$PATH" \
			TMPDIR="$run/tmp" \
			PG_REGRESS="$tests/regress/pg_regress" \
			TESTDIR="$run/tap/$name" \
			TESTDATADIR="$run/tap/$name/data" \
			TESTLOGDIR="$run/tap/$name/log" \
			PG_TEST_TIMEOUT_DEFAULT="${PG_TEST_TIMEOUT_DEFAULT:-120}" \
			timeout -k 10 "$TIMEOUT" \
			prove --norc -v -I "$tests/perl" -I t "t/$name.pl") \
			>"$log" 2>&1 </dev/null || status=$?

		# Top-level lines only: a subtest counts once.  A failure that is
		# marked TODO, and a test that is skipped, is neither.
		ok=$(grep -E '^ok [0-9]' "$log" | grep -c -v '# skip' || true)
		bad=$(grep -E '^not ok [0-9]' "$log" | grep -c -v '# TODO' || true)
		if [ "$status" != 0 ] && [ "$bad" = 0 ]; then bad=1; fi
		mapfile -t logs < <(find "$run/tap/$name" -path '*log/*' -name '*.log')
		scan_logs "$name" "${logs[@]}" || bad=$((bad + 1))
		if [ "$bad" = 0 ]; then
			say "ok     t/$name.pl ($ok tests, $((SECONDS - started)) s)"
		else
			say "not ok t/$name.pl ($bad of $((ok + bad)) tests, exit $status," \
				"$((SECONDS - started)) s)"
			grep -E -A 8 '^ *not ok' "$log" | head -n 60 | sed 's/^/    /' || true
			say "    ... last lines of its output:"
			tail -n 25 "$log" | sed 's/^/    /'
			while IFS= read -r log; do
				say "    ... last lines of ${log##*/}:"
				tail -n 25 "$log" | sed 's/^/    /'
			done < <(find "$run/tap/$name" -path '*log/*' -type f)
		fi
		all_ok=$((all_ok + ok))
		all_bad=$((all_bad + bad))
		stop_servers
	done
	count tap "$all_ok" "$all_bad"
}

# ---------------------------------------------------------------------------

declare -A names_of
for suite in "$@"; do
	case $suite in
		house) if is_chosen house pl; then names_of[$suite]=house; else names_of[$suite]=; fi ;;
		regress) names_of[$suite]=$(chosen sql sql) ;;
		flushed) names_of[$suite]=$(chosen sql sql | grep -x -E "$FLUSHED" || true) ;;
		isolation) names_of[$suite]=$(chosen specs spec) ;;
		examples) names_of[$suite]=$(chosen examples sql) ;;
		tap) names_of[$suite]=$(chosen t pl) ;;
		*) die "no such suite: $suite" ;;
	esac
	# setup alone is not what was asked for
	if [ -n "${TESTS:-}" ] && [ "${names_of[$suite]}" = setup ]; then names_of[$suite]=; fi
done
names_of[all]=${names_of[*]}
[ -n "${names_of[all]// /}" ] || die "no test to run${TESTS:+ among: $TESTS}"

bash "$ROOT/scripts/setup.sh"
find_pg_config || die "no usable PostgreSQL found"
pgxs=$("$PG_CONFIG" --pgxs)
tests=${pgxs%/makefiles/pgxs.mk}/test

say "Building for $("$PG_CONFIG" --version)"
WERROR=${WERROR--Werror}
build

work=$(mktemp -d "$(temp_base)/freshet-check.XXXXXX")
chmod 711 "$work"
make_stage "$work/stage"
# The checkout may be where the servers' user cannot go.
cd "$work"
run=$work/run
make_private_dir "$run"
as_server mkdir "$run/src" "$run/tmp"
for part in sql expected specs t examples; do
	if [ -d "$ROOT/$part" ]; then
		tar -C "$ROOT" -cf - "$part" | as_server tar -C "$run/src" --no-same-owner -xf -
	fi
done

for suite in "$@"; do
	if [ -z "${names_of[$suite]}" ]; then continue; fi
	mapfile -t names <<<"${names_of[$suite]}"
	say "--- $suite"
	case $suite in
		house) house_suite ;;
		regress) regress_suite regress "$tests/regress/pg_regress" "${names[@]}" ;;
		flushed)
			suite_settings="freshet.debug_flush_caches = on" \
				regress_suite flushed "$tests/regress/pg_regress" "${names[@]}"
			;;
		isolation)
			regress_suite isolation "$tests/isolation/pg_isolation_regress" "${names[@]}" ;;
		examples) examples_suite "${names[@]}" ;;
		tap) tap_suite "${names[@]}" ;;
	esac
done
finished=yes
