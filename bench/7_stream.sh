# The change stream beside other output plugins, on the same log.
#
# All of them read the log of the source table, and get the same columns to
# write; the dropping plugin tells what decoding costs anybody.

# shellcheck shell=bash

TRANSACTIONS=${TRANSACTIONS:-10000}

# peek_time SLOT [OPTION...]: seconds that a plugin takes for it, seconds of CPU
# time, number of its lines.  pgoutput's are binary.
peek_time() {
	local function=pg_logical_slot_peek_changes
	if [ "$1" = pgoutput ]; then function=pg_logical_slot_peek_binary_changes; fi
	sql -F " " <<-SQL
		SELECT split_part(pg_read_file('/proc/self/schedstat'), ' ', 1) AS cpu0 \gset
		SELECT clock_timestamp() AS t0 \gset
		SELECT count(*) AS lines FROM $function('$1', NULL, NULL${2:+, $2}) \gset
		SELECT extract(epoch FROM clock_timestamp() - :'t0'),
			round((split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::bigint - :cpu0) / 1e9, 3),
			:lines;
	SQL
}

# measure NAME SLOT [OPTION...]: appends to $times and $cpus of that name.
measure() {
	local name=$1 time cpu n
	shift
	read -r time cpu n < <(peek_time "$@")
	times[$name]+=" $time"
	cpus[$name]+=" $cpu"
	lines[$name]=$n
}

# The log: like that of number 1, without sinks.
write_log() {
	local clients=4
	sql -c "CALL prepare_round(0, $TRANSACTIONS)" -c "VACUUM ANALYZE order_source" -c CHECKPOINT
	say "CALL one_transaction(0, $TRANSACTIONS);" >"$WORK/one_transaction.sql"
	for slot in "${slots[@]}"; do
		sql -c "SELECT pg_create_logical_replication_slot('$slot', '${slot/#drop/freshet_bench_drop}')" \
			>/dev/null
	done
	lsn=$(query "SELECT pg_current_wal_insert_lsn()")
	BENCH_PGOPTIONS="-c synchronous_commit=off" pgbench_run -M prepared -c $clients -j 2 \
		-t $((TRANSACTIONS / clients)) -f "$WORK/one_transaction.sql" >"$WORK/pgbench.log" 2>&1 ||
		{ cat "$WORK/pgbench.log" >&2; die "pgbench failed"; }
	# only what is flushed is read
	sql -c "SELECT pg_logical_emit_message(true, 'bench', '')" >/dev/null
	mb=$(query "SELECT round((pg_current_wal_insert_lsn() - '$lsn') / 1048576.0)")
}

# Every other plugin comes between two runs of the stream.
round() {
	local stream=(freshet "'tables', 'order_source'")
	measure drop drop
	measure json "${stream[@]}"
	if have_wal2json; then
		measure wal2json wal2json "'format-version', '2', 'add-tables', 'public.order_source'"
	fi
	measure json "${stream[@]}"
	measure test_decoding test_decoding "'include-xids', '0'"
	measure debezium freshet "'tables', 'order_source', 'format', 'debezium'"
	measure pgoutput pgoutput "'proto_version', '1', 'publication_names', 'bench'"
}

compare() {
	# shellcheck disable=SC2086
	figure "$1" "$(calc "$(median ${times[$2]}) / $(median ${times[$3]})")" "${4:-}"
	# shellcheck disable=SC2086
	figure "  the same by CPU time" "$(calc "$(median ${cpus[$2]}) / $(median ${cpus[$3]})")"
}

run() {
	local n rounds=${ROUNDS:-5} lsn mb slot changes slots=(drop test_decoding pgoutput freshet)
	local names=(json debezium drop test_decoding pgoutput)
	local -A times=() cpus=() lines=()

	heading "7. The change stream: $((TRANSACTIONS * 100)) changes in $TRANSACTIONS transactions," \
		"in the log already; $rounds rounds"
	if have_wal2json; then
		slots+=(wal2json)
		names+=(wal2json)
	fi
	begin_server "autovacuum = off"
	sql -f "$WORK/sql/apply.sql"
	sql -c "CREATE PUBLICATION bench FOR TABLE order_source"
	write_log
	changes=$((TRANSACTIONS * 100))
	say "  $mb MB of log"
	for ((n = 0; n < rounds; n++)); do round; done
	end_server

	for n in "${names[@]}"; do
		say "  $n: ${lines[$n]} lines; seconds${times[$n]}; CPU${cpus[$n]}"
		# shellcheck disable=SC2086
		figure "$n: changes per second" "$(calc "int($changes / $(median ${times[$n]}))")"
	done
	[ "${lines[json]}" = "$changes" ] || die "json: ${lines[json]} lines, not $changes"
	if have_wal2json; then compare "wal2json format 2 / json" wal2json json ">= 1.3"; fi
	compare "test_decoding / json" test_decoding json
	compare "pgoutput / json" pgoutput json
	compare "json / dropping plugin" json drop
	compare "debezium / json" debezium json
}
