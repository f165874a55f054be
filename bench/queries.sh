#!/usr/bin/env bash
#
# queries.sh [CASES [SEED]]: random queries under random changes, compared with
# PostgreSQL, on a private server; see README.md.  1,000 cases unless said; the
# first one has the seed (or one from the clock), the next one more, and so on.
#
# Variables as for run.sh; EXTRA_SETTINGS is one more line of postgresql.conf.

set -euo pipefail
# shellcheck source=bench/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
clean_environment

cases=${1:-1000}
seed=${2:-$(date +%s)}

bench_setup
BENCH_SETTINGS=("jit = off" "fsync = off" "autovacuum = off" "freshet.batch_interval = 1ms"
	"freshet.max_batch_size = 1MB")
begin_server
faults=$(mktemp -d "$(temp_base)/freshet-queries.XXXXXX")
say "queries.sh $cases $seed"
status=0
perl "$BENCH/queries.pl" "$SERVER/log" "$seed" "$cases" "$faults" "$STAGE_BIN/psql" \
	-h "$SERVER" -p "$SERVER_PORT" -U postgres -d bench || status=$?
rmdir "$faults" 2>/dev/null || say "Scripts: $faults"
exit $status
