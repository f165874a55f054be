#!/usr/bin/env bash
#
# run.sh [1|2|...|16|all]...: measures, on private servers; see README.md.
#
# Variables: PG_CONFIG; ROUNDS, how often each comparison is repeated;
# BENCH_DIR, where the servers' files go (/tmp); KEEP=1 keeps them.

set -euo pipefail
# shellcheck source=bench/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
clean_environment

which=("$@")
if [ ${#which[@]} = 0 ] || [ "${which[*]}" = all ]; then which=(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16); fi
for n in "${which[@]}"; do
	compgen -G "$BENCH/${n}_*.sh" >/dev/null || die "usage: run.sh [1|2|...|16|all]..."
done

bench_setup
say "$("$STAGE_BIN/postgres" --version), $(nproc) cores," \
	"$(awk '/MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo) of memory;" \
	"load before: $(cut -d' ' -f1-3 /proc/loadavg)"
for n in "${which[@]}"; do
	# shellcheck disable=SC1090
	. "$BENCH/${n}"_*.sh
	run
done
