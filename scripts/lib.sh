# Functions shared by the scripts beside this file; to be sourced by bash.
#
# Servers for tests and for the demo are private: a copy of the PostgreSQL
# programs in a temporary directory (a "stage") with freshet installed into
# the copy, a data directory beside it, and a Unix socket in a directory that
# only the server's user can enter.  Nothing is installed into the system's
# PostgreSQL, no TCP port is opened and no other server is touched.
#
# PostgreSQL refuses to run as root; started by root, servers and tests run
# as $SERVER_USER.

# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

MIN_MAJOR=15
MAX_MAJOR=18

# The port only names the socket, which lies in a private directory.
SERVER_PORT=5432

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }

die() {
	warn "error: $*"
	exit 1
}

# Settings of the user's own PostgreSQL must not lead a client elsewhere.
clean_environment() {
	local name
	for name in $(compgen -e); do
		case $name in
			PG_CONFIG | PG_TEST_*) ;;
			PG*) unset "$name" ;;
		esac
	done
	export LC_ALL=C.UTF-8
	umask 022
}

# ---------------------------------------------------------------------------
# Which PostgreSQL
# ---------------------------------------------------------------------------

# pg_major PG_CONFIG: prints 15 for "PostgreSQL 15.20 (Debian ...)".
pg_major() {
	"$1" --version 2>/dev/null | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p'
}

# missing_of PG_CONFIG: prints what that installation lacks; nothing if it can
# build freshet, run a server and run the tests.
missing_of() {
	local major bindir pgxs tests
	major=$(pg_major "$1")
	if [ -z "$major" ]; then
		say "it does not run"
		return
	fi
	if [ "$major" -lt $MIN_MAJOR ] || [ "$major" -gt $MAX_MAJOR ]; then
		say "it is PostgreSQL $major; freshet is for $MIN_MAJOR to $MAX_MAJOR"
		return
	fi
	bindir=$("$1" --bindir)
	pgxs=$("$1" --pgxs)
	tests=${pgxs%/makefiles/pgxs.mk}/test
	[ -x "$bindir/postgres" ] || say "no server ($bindir/postgres)"
	[ -x "$bindir/psql" ] || say "no client ($bindir/psql)"
	[ -f "$pgxs" ] || say "no build files ($pgxs)"
	[ -f "$("$1" --includedir-server)/postgres.h" ] || say "no header files"
	[ -f "$("$1" --includedir)/libpq-fe.h" ] || say "no header files of libpq"
	[ -f "$("$1" --pkglibdir)/libpgcommon.a" ] || [ -f "$("$1" --libdir)/libpgcommon.a" ] ||
		say "no libpgcommon.a"
	[ -x "$tests/regress/pg_regress" ] || say "no pg_regress"
	[ -x "$tests/isolation/pg_isolation_regress" ] || say "no pg_isolation_regress"
	[ -d "$tests/perl/PostgreSQL/Test" ] || say "no PostgreSQL::Test ($tests/perl)"
}

# Sets PG_CONFIG to the one given, else to the first complete one: that of the
# PATH, then Debian's, the newest first.  False if there is none.
find_pg_config() {
	local candidate candidates major missing

	if [ -n "${PG_CONFIG:-}" ]; then
		PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG: no such program"
		# absolute, for use from any directory; links stay
		PG_CONFIG=$(realpath -s "$PG_CONFIG")
		missing=$(missing_of "$PG_CONFIG")
		[ -z "$missing" ] || die "PG_CONFIG=$PG_CONFIG cannot be used:"$'\n'"$missing"
		return
	fi
	candidates=("$(command -v pg_config || true)")
	for ((major = MAX_MAJOR; major >= MIN_MAJOR; major--)); do
		candidates+=("/usr/lib/postgresql/$major/bin/pg_config")
	done
	for candidate in "${candidates[@]}"; do
		if [ -x "$candidate" ] && [ -z "$(missing_of "$candidate")" ]; then
			PG_CONFIG=$candidate
			return
		fi
	done
	return 1
}

# ---------------------------------------------------------------------------
# Who runs servers
# ---------------------------------------------------------------------------

if [ "$(id -u)" = 0 ]; then
	if [ -z "${SERVER_USER:-}" ]; then
		SERVER_USER=nobody
		if getent passwd postgres >/dev/null; then SERVER_USER=postgres; fi
	fi
else
	SERVER_USER=$(id -un)
fi

# Runs a command as the servers' user.
as_server() {
	if [ "$(id -u)" = 0 ]; then
		runuser -u "$SERVER_USER" -- "$@"
	else
		"$@"
	fi
}

# make_private_dir DIR: a new directory which only the servers' user can enter.
make_private_dir() {
	mkdir -m 700 "$1"
	if [ "$(id -u)" = 0 ]; then chown "$SERVER_USER:" "$1"; fi
}

# A short place for temporary files: a socket's path has at most 107 bytes.
temp_base() {
	local base=${TMPDIR:-/tmp}
	if [ ${#base} -gt 50 ]; then base=/tmp; fi
	say "$base"
}

# ---------------------------------------------------------------------------
# Build and stage
# ---------------------------------------------------------------------------

build() {
	make -C "$ROOT" --no-print-directory -s -j"$(nproc)" PG_CONFIG="$PG_CONFIG" \
		WERROR="${WERROR-}" all
}

# make_stage DIR: installs freshet into a private copy of PostgreSQL under
# DIR, and sets STAGE_BIN.  PostgreSQL finds its files by the place of its
# programs, symbolic links resolved; so programs are copied (some 15 MB) and
# all else is linked.
make_stage() {
	local stage=$1 bindir libdir sharedir file

	bindir=$("$PG_CONFIG" --bindir)
	libdir=$("$PG_CONFIG" --pkglibdir)
	sharedir=$("$PG_CONFIG" --sharedir)
	mkdir -p "$stage$bindir" "$stage$libdir" "$stage$sharedir/extension"
	cp -P "$bindir"/* "$stage$bindir/"
	for file in "$libdir"/*; do
		ln -s "$file" "$stage$libdir/"
	done
	for file in "$sharedir"/*; do
		if [ "$file" != "$sharedir/extension" ]; then ln -s "$file" "$stage$sharedir/"; fi
	done
	find "$sharedir/extension" -mindepth 1 -maxdepth 1 \
		-exec ln -s -t "$stage$sharedir/extension" {} +
	# Never write through a link into an installed freshet.
	rm -rf "$stage$libdir"/freshet* "$stage$sharedir"/extension/freshet* \
		"$stage$bindir"/freshet*
	make -C "$ROOT" --no-print-directory -s PG_CONFIG="$PG_CONFIG" DESTDIR="$stage" install
	STAGE_BIN=$stage$bindir
}

# ---------------------------------------------------------------------------
# Servers
# ---------------------------------------------------------------------------

# What freshet needs, as lines of postgresql.conf.
freshet_settings() {
	say "shared_preload_libraries = 'freshet'"
	say "wal_level = logical"
	say "max_worker_processes = 32"
	say "max_replication_slots = 20"
	say "max_wal_senders = 20"
	# Known only to some minor versions; the others would refuse to start.
	# (Not grep -q: it would close the pipe early, which counts as a failure.)
	if "$STAGE_BIN/postgres" --describe-config | grep '^output_plugin_libraries' >/dev/null; then
		say "output_plugin_libraries = 'pgoutput, test_decoding, freshet'"
	fi
}

# server_start DIR [LINE...]: makes and starts a server under DIR, a private
# directory (see make_private_dir): DIR/data, DIR/log, and the socket in DIR.
# LINEs are added to postgresql.conf.
server_start() {
	local dir=$1
	shift
	as_server "$STAGE_BIN/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 \
		--locale=C --no-sync >"$dir.initdb.log" 2>&1 || {
		cat "$dir.initdb.log" >&2
		die "initdb failed"
	}
	{
		freshet_settings
		say "listen_addresses = ''"
		say "port = $SERVER_PORT"
		say "unix_socket_directories = '$dir'"
		say "log_line_prefix = '%m [%p] %q%a '"
		printf '%s\n' "$@"
	} | as_server tee -a "$dir/data/postgresql.conf" >/dev/null
	as_server "$STAGE_BIN/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -s start \
		</dev/null || {
		tail -n 30 "$dir/log" >&2
		die "the server did not start"
	}
}

# server_stop DATADIR MODE: stops the server of that data directory, if any.
server_stop() {
	if [ -e "$1/postmaster.pid" ]; then
		as_server "$STAGE_BIN/pg_ctl" -D "$1" -m "$2" -w -s stop </dev/null || true
	fi
}

# server_psql DIR ARGUMENT...
server_psql() {
	local dir=$1
	shift
	as_server "$STAGE_BIN/psql" -X -q -P pager=off -h "$dir" -p $SERVER_PORT -U postgres \
		-v ON_ERROR_STOP=1 "$@"
}
