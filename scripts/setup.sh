#!/usr/bin/env bash
#
# Installs what is missing to build freshet and to run its tests and its demo:
# a compiler, make, a PostgreSQL server with its development files (those of
# libpq come with them), libcjson, Perl's IPC::Run.  Does nothing, and needs no
# rights, if nothing is missing.

set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
clean_environment

have() { command -v "$1" >/dev/null 2>&1; }

# Packages missing, PostgreSQL apart.
missing_tools() {
	have make || say make
	have cc || have gcc || say gcc
	[ -e /usr/include/stdio.h ] || have clang || say libc6-dev
	have prove || say perl
	perl -MTest::More -MTime::HiRes -e1 2>/dev/null || say perl
	perl -MIPC::Run -e1 2>/dev/null || say libipc-run-perl
	[ -e /usr/include/cjson/cJSON.h ] || [ -e /usr/local/include/cjson/cJSON.h ] ||
		say libcjson-dev
}

# as_root COMMAND...
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

apt() {
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
		-o DPkg::Lock::Timeout=120 "$@" </dev/null
}

available() {
	# not grep -q: it would close the pipe early, which counts as a failure
	apt-cache policy "$1" 2>/dev/null | grep '^  Candidate: [^(]' >/dev/null
}

# The major version to install: one that has a server here already, else the
# newest on offer.
choose_major() {
	local major
	for ((major = MAX_MAJOR; major >= MIN_MAJOR; major--)); do
		if [ -x /usr/lib/postgresql/$major/bin/postgres ] &&
			available postgresql-server-dev-$major; then
			say $major
			return
		fi
	done
	for ((major = MAX_MAJOR; major >= MIN_MAJOR; major--)); do
		if available postgresql-$major && available postgresql-server-dev-$major; then
			say $major
			return
		fi
	done
	return 1
}

# Debian makes and starts a cluster named main along with a new server.  Nobody
# asked for that one: leave it out, for this installation only.
NO_CLUSTER=/etc/postgresql-common/createcluster.d/freshet-setup.conf

install_postgresql() {
	local major=$1

	if [ ! -x "/usr/lib/postgresql/$major/bin/postgres" ]; then
		apt install --no-install-recommends postgresql-common
		trap 'as_root rm -f "$NO_CLUSTER"' EXIT
		as_root mkdir -p "${NO_CLUSTER%/*}"
		say "create_main_cluster = false" | as_root tee "$NO_CLUSTER" >/dev/null
	fi
	apt install --no-install-recommends "postgresql-$major" "postgresql-server-dev-$major"
}

tools=$(missing_tools | sort -u | tr '\n' ' ')
need_postgresql=
find_pg_config || need_postgresql=yes

if [ -z "$tools$need_postgresql" ]; then exit 0; fi

what="$tools${need_postgresql:+postgresql postgresql-server-dev-NN (NN: $MIN_MAJOR to $MAX_MAJOR)}"
have apt-get || die "these packages are missing, and there is no apt-get to install them: $what"
if [ "$(id -u)" != 0 ]; then
	have sudo || die "these packages are missing; installing them needs root or sudo: $what"
	# Without a terminal nobody can answer sudo's question.
	if [ ! -t 0 ] && ! sudo -n true 2>/dev/null; then
		die "these packages are missing, and sudo wants a password: $what"
	fi
fi

say "Installing: $what"
apt update
if [ -n "$tools" ]; then
	# shellcheck disable=SC2086
	apt install --no-install-recommends $tools
fi
if [ -n "$need_postgresql" ]; then
	major=$(choose_major) ||
		die "no PostgreSQL $MIN_MAJOR to $MAX_MAJOR among this system's packages;" \
			"https://wiki.postgresql.org/wiki/Apt has them"
	install_postgresql "$major"
fi

tools=$(missing_tools | sort -u | tr '\n' ' ')
[ -z "$tools" ] || die "still missing after the installation: $tools"
find_pg_config || die "PostgreSQL is still incomplete after the installation"
