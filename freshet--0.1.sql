-- freshet--0.1.sql: the SQL objects of freshet
--
-- complain if the script is sourced in psql rather than by CREATE EXTENSION
\echo Use "CREATE EXTENSION freshet" to load this file. \quit

-- Of the schemas on the path others may have objects in: an operator or function
-- there that fits better would be taken, and run by whoever uses freshet.  The
-- setting ends with this script.
SET LOCAL search_path = pg_catalog, pg_temp;

CREATE SCHEMA freshet;
COMMENT ON SCHEMA freshet IS 'freshet: tables kept equal to queries';
GRANT USAGE ON SCHEMA freshet TO PUBLIC;

-- The views here belong to the users whose queries they hold.
CREATE SCHEMA freshet_def;
COMMENT ON SCHEMA freshet_def IS 'freshet: the definitions of sinks, as views';
GRANT USAGE ON SCHEMA freshet_def TO PUBLIC;

-- States of sinks, written by the worker; nobody else's business.
CREATE SCHEMA freshet_stage;
COMMENT ON SCHEMA freshet_stage IS 'freshet: what sinks are maintained from, beside themselves';
REVOKE ALL ON SCHEMA freshet_stage FROM PUBLIC;

--
-- Catalogue
--
-- The columns' order is known to src/sink_catalog.c.
--

CREATE TABLE freshet.sink (
	relid regclass PRIMARY KEY,
	definition regclass NOT NULL UNIQUE,
	kind text NOT NULL CHECK (kind IN ('rollup', 'copy', 'bag', 'wide view', 'query', 'history')),
	strategy text NOT NULL CHECK (strategy IN ('delta', 'keyed', 'refresh')),
	refresh_every interval,
	settings text[] NOT NULL DEFAULT '{}',
	columns int2[] NOT NULL,
	paused boolean NOT NULL DEFAULT false,
	generation bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	query regclass,
	stage_of regclass,
	reason text
);
COMMENT ON TABLE freshet.sink IS 'the sinks of this database; written by the functions of freshet';
COMMENT ON COLUMN freshet.sink.relid IS 'the table that is kept equal to a query';
COMMENT ON COLUMN freshet.sink.definition IS 'the query, as a view in freshet_def';
COMMENT ON COLUMN freshet.sink.kind IS 'rollup, copy, bag (a copy of rows without a key), wide view, query or history';
COMMENT ON COLUMN freshet.sink.strategy IS 'how it is maintained: delta, keyed or refresh';
COMMENT ON COLUMN freshet.sink.refresh_every IS 'strategy refresh: at most one computation each';
COMMENT ON COLUMN freshet.sink.settings IS 'settings under which the query is computed, as name=value';
COMMENT ON COLUMN freshet.sink.columns IS 'attribute numbers of the columns that freshet writes';
COMMENT ON COLUMN freshet.sink.paused IS 'is the sink left alone?';
COMMENT ON COLUMN freshet.sink.generation IS 'raised to have the sink built anew';
COMMENT ON COLUMN freshet.sink.created_at IS 'when the sink was made';
COMMENT ON COLUMN freshet.sink.query IS 'what is left of the query over its stages, as a view in freshet_def; null if there are none';
COMMENT ON COLUMN freshet.sink.stage_of IS 'the sink of which this is a stage; null for a sink';
COMMENT ON COLUMN freshet.sink.reason IS 'what in the query asks for the stage, or for strategy refresh';

CREATE TABLE freshet.sink_state (
	relid oid PRIMARY KEY,
	state text NOT NULL CHECK (state IN ('building', 'live', 'behind', 'paused', 'failed')),
	generation bigint NOT NULL,
	since timestamptz NOT NULL,
	error text,
	leaves oid[] NOT NULL DEFAULT '{}',
	attached oid[] NOT NULL DEFAULT '{}',
	definition_hash bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE freshet.sink_state IS 'states of the sinks; written by the worker alone';
COMMENT ON COLUMN freshet.sink_state.relid IS 'the sink''s table';
COMMENT ON COLUMN freshet.sink_state.state IS 'building, live, behind (live at an earlier snapshot; the worker has the changes since), paused or failed';
COMMENT ON COLUMN freshet.sink_state.generation IS 'the generation that the state is about; 0 before the first';
COMMENT ON COLUMN freshet.sink_state.since IS 'when the sink came into this state';
COMMENT ON COLUMN freshet.sink_state.error IS 'why the sink failed';
COMMENT ON COLUMN freshet.sink_state.leaves IS 'partitions of its sources at the last batch';
COMMENT ON COLUMN freshet.sink_state.attached IS 'for each of them, a number that changes when it is attached anew';
COMMENT ON COLUMN freshet.sink_state.definition_hash IS 'a hash of the query that it was last built by; 0 before the first';

-- Where freshet has set REPLICA IDENTITY FULL, what there was before.
CREATE TABLE freshet.source_identity (
	relid regclass PRIMARY KEY,
	identity "char" NOT NULL CHECK (identity IN ('d', 'i', 'n')),
	index_name name,
	index_relid oid
);
COMMENT ON TABLE freshet.source_identity IS 'tables whose replica identity freshet has set to FULL, and has to set back when no sink needs it any more';
COMMENT ON COLUMN freshet.source_identity.relid IS 'the table';
COMMENT ON COLUMN freshet.source_identity.identity IS 'its replica identity before, as in pg_class: d, i or n';
COMMENT ON COLUMN freshet.source_identity.index_name IS 'of i: the index';
COMMENT ON COLUMN freshet.source_identity.index_relid IS 'the same, should it get another name';

-- Written with every batch: room on the page keeps its updates there.
CREATE TABLE freshet.applied (
	id boolean PRIMARY KEY DEFAULT true CHECK (id),
	slot_name name NOT NULL,
	system_identifier bigint NOT NULL,
	dboid oid NOT NULL,
	lsn pg_lsn NOT NULL,
	commit_time timestamptz,
	held_back xid[] NOT NULL DEFAULT '{}',
	relids oid[] NOT NULL DEFAULT '{}',
	rows bigint[] NOT NULL DEFAULT '{}',
	changes bigint[] NOT NULL DEFAULT '{}',
	timeline bigint NOT NULL,
	confirmable pg_lsn NOT NULL,
	restart_lsn pg_lsn NOT NULL,
	catalog_xmin xid NOT NULL
) WITH (fillfactor = 10);
COMMENT ON TABLE freshet.applied IS 'what the worker has applied, one row; written by the worker alone, in the transaction of each batch';
COMMENT ON COLUMN freshet.applied.id IS 'true: there is one row at most';
COMMENT ON COLUMN freshet.applied.slot_name IS 'the replication slot';
COMMENT ON COLUMN freshet.applied.system_identifier IS 'the server that the row is about';
COMMENT ON COLUMN freshet.applied.dboid IS 'the database that the row is about';
COMMENT ON COLUMN freshet.applied.lsn IS 'the log is applied up to here, but for the transactions held back; 0/0: nothing is';
COMMENT ON COLUMN freshet.applied.commit_time IS 'commit time of the newest transaction applied';
COMMENT ON COLUMN freshet.applied.held_back IS 'transactions committed before lsn and not applied yet';
COMMENT ON COLUMN freshet.applied.relids IS 'sinks that the two following columns are about';
COMMENT ON COLUMN freshet.applied.rows IS 'rows of each sink';
COMMENT ON COLUMN freshet.applied.changes IS 'source changes applied to each sink';
COMMENT ON COLUMN freshet.applied.timeline IS 'the timeline of the log that the row is about';
COMMENT ON COLUMN freshet.applied.confirmable IS 'freshet has not confirmed the slot beyond this';
COMMENT ON COLUMN freshet.applied.restart_lsn IS 'the slot''s, or an earlier one';
COMMENT ON COLUMN freshet.applied.catalog_xmin IS 'the slot''s, or an earlier one';

REVOKE ALL ON freshet.sink, freshet.sink_state, freshet.source_identity, freshet.applied FROM PUBLIC;

-- A dump carries the sinks; after a restore, freshet.rebuild_sink() starts them.
SELECT pg_catalog.pg_extension_config_dump('freshet.sink', '');
SELECT pg_catalog.pg_extension_config_dump('freshet.source_identity', '');

--
-- Windows
--

CREATE FUNCTION freshet.row_hash(VARIADIC "any")
RETURNS bigint
AS 'MODULE_PATHNAME', 'freshet_row_hash'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.row_hash(VARIADIC "any") IS
'a hash of the values as they are stored: what sinks without a key are indexed by';

CREATE FUNCTION freshet.tumble(ts timestamptz, size interval,
	origin timestamptz DEFAULT '2000-01-01 00:00:00+00',
	OUT window_start timestamptz, OUT window_end timestamptz)
RETURNS record
AS 'MODULE_PATHNAME', 'freshet_tumble'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.tumble(timestamptz, interval, timestamptz) IS
'the time window [window_start, window_end) of length size that holds ts; windows follow each other without gaps, aligned to origin';

CREATE FUNCTION freshet.hop(ts timestamptz, slide interval, size interval,
	origin timestamptz DEFAULT '2000-01-01 00:00:00+00',
	OUT window_start timestamptz, OUT window_end timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'freshet_hop'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION freshet.hop(timestamptz, interval, interval, timestamptz) IS
'the time windows [window_start, window_end) of length size that hold ts; one starts every slide, aligned to origin';

-- Put by freshet into the expressions that it compiles, in place of
-- (x / 1000.0)::float8 and the like: the same value, faster.
CREATE FUNCTION freshet.int8_ratio(x bigint, divisor numeric)
RETURNS double precision
AS 'MODULE_PATHNAME', 'freshet_int8_ratio'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.int8_ratio(bigint, numeric) IS
'internal: (x / divisor::numeric)::float8, computed without numeric where that is exact';

--
-- Sinks
--

CREATE FUNCTION freshet.create_sink(sink text, query text,
	refresh_every interval DEFAULT NULL, with_data boolean DEFAULT true,
	create_indexes boolean DEFAULT false)
RETURNS regclass
AS 'MODULE_PATHNAME', 'freshet_create_sink'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.create_sink(text, text, interval, boolean, boolean) IS
'make a table and keep it equal to the query; the worker fills it after the commit, or, without data, at freshet.resume_sink()';

CREATE FUNCTION freshet.create_wide_view(sink text, root regclass, lookups json DEFAULT '[]',
	with_data boolean DEFAULT true, create_indexes boolean DEFAULT false)
RETURNS regclass
AS 'MODULE_PATHNAME', 'freshet_create_wide_view'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.create_wide_view(text, regclass, json, boolean, boolean) IS
'make a table with one JSON document for each row of the root, with lookups in it, and keep it so';

CREATE FUNCTION freshet.drop_sink(sink regclass, cascade boolean DEFAULT false)
RETURNS void
AS 'MODULE_PATHNAME', 'freshet_drop_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.drop_sink(regclass, boolean) IS
'drop a sink, as DROP TABLE does; cascade: with what depends on it';

CREATE FUNCTION freshet.pause_sink(sink regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'freshet_pause_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.pause_sink(regclass) IS
'leave a sink as it is until freshet.resume_sink()';

CREATE FUNCTION freshet.resume_sink(sink regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'freshet_resume_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.resume_sink(regclass) IS
'end a pause: bring the sink up to date and keep it so';

CREATE FUNCTION freshet.rebuild_sink(sink regclass)
RETURNS void
AS 'MODULE_PATHNAME', 'freshet_rebuild_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.rebuild_sink(regclass) IS
'computes a sink anew; for a failed or restored sink';

CREATE FUNCTION freshet.verify_sink(sink regclass,
	OUT missing bigint, OUT unexpected bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'freshet_verify_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.verify_sink(regclass) IS
'compare a sink with its query at the worker''s snapshot: rows that the sink lacks, rows too many';

CREATE FUNCTION freshet.explain(query text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'freshet_explain'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE ROWS 10;
COMMENT ON FUNCTION freshet.explain(text) IS
'how a sink of this query would be maintained, and why';

-- Used by verify_sink in place of PostgreSQL's sum and avg of floating-point
-- numbers, which round at every row.
CREATE FUNCTION freshet.exact_accum(internal, double precision)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_exact_accum'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.exact_accum(internal, double precision) IS
'internal: transition function of exact_sum and exact_avg';
CREATE FUNCTION freshet.exact_sum_final(internal)
RETURNS double precision
AS 'MODULE_PATHNAME', 'freshet_exact_sum'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.exact_sum_final(internal) IS
'internal: final function of exact_sum(double precision)';
CREATE FUNCTION freshet.exact_avg_final(internal)
RETURNS double precision
AS 'MODULE_PATHNAME', 'freshet_exact_avg'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.exact_avg_final(internal) IS
'internal: final function of exact_avg';
CREATE FUNCTION freshet.exact_accum(internal, real)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_exact_accum_real'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.exact_accum(internal, real) IS
'internal: transition function of exact_sum and exact_avg';
CREATE FUNCTION freshet.exact_sum_real_final(internal)
RETURNS real
AS 'MODULE_PATHNAME', 'freshet_exact_sum_real'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.exact_sum_real_final(internal) IS
'internal: final function of exact_sum(real)';
CREATE AGGREGATE freshet.exact_sum(double precision)
	(SFUNC = freshet.exact_accum, STYPE = internal, FINALFUNC = freshet.exact_sum_final);
COMMENT ON AGGREGATE freshet.exact_sum(double precision) IS
'the sum, rounded once: it does not depend on the order of the rows';
CREATE AGGREGATE freshet.exact_avg(double precision)
	(SFUNC = freshet.exact_accum, STYPE = internal, FINALFUNC = freshet.exact_avg_final);
COMMENT ON AGGREGATE freshet.exact_avg(double precision) IS
'the average of the exact sum: it does not depend on the order of the rows';
CREATE AGGREGATE freshet.exact_sum(real)
	(SFUNC = freshet.exact_accum, STYPE = internal, FINALFUNC = freshet.exact_sum_real_final);
COMMENT ON AGGREGATE freshet.exact_sum(real) IS
'the sum, rounded once: it does not depend on the order of the rows';
CREATE AGGREGATE freshet.exact_avg(real)
	(SFUNC = freshet.exact_accum, STYPE = internal, FINALFUNC = freshet.exact_avg_final);
COMMENT ON AGGREGATE freshet.exact_avg(real) IS
'the average of the exact sum: it does not depend on the order of the rows';

-- Used for the first fill of a rollup: PostgreSQL groups the rows, in parallel
-- if it likes, and yields the states from which the sink is maintained.
CREATE FUNCTION freshet.accum_step(internal, anyelement, integer)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_accum_step'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.accum_step(internal, anyelement, integer) IS
'internal: transition function of accum_state';
CREATE FUNCTION freshet.accum_combine(internal, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_accum_combine'
LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.accum_combine(internal, internal) IS
'internal: combine function of accum_state';
CREATE FUNCTION freshet.accum_serialize(internal)
RETURNS bytea
AS 'MODULE_PATHNAME', 'freshet_accum_serialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.accum_serialize(internal) IS
'internal: serialization function of accum_state';
CREATE FUNCTION freshet.accum_deserialize(bytea, internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_accum_deserialize'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.accum_deserialize(bytea, internal) IS
'internal: deserialization function of accum_state';
CREATE FUNCTION freshet.accum_final(internal)
RETURNS bytea
AS 'MODULE_PATHNAME', 'freshet_accum_final'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.accum_final(internal) IS
'internal: final function of accum_state';
CREATE AGGREGATE freshet.accum_state(anyelement, integer)
	(SFUNC = freshet.accum_step, STYPE = internal, SSPACE = 128,
	FINALFUNC = freshet.accum_final, COMBINEFUNC = freshet.accum_combine,
	SERIALFUNC = freshet.accum_serialize, DESERIALFUNC = freshet.accum_deserialize,
	PARALLEL = SAFE);
COMMENT ON AGGREGATE freshet.accum_state(anyelement, integer) IS
'internal: state of the sum or average of a sink; the integer is its kind';

CREATE FUNCTION freshet.fill_watch_support(internal)
RETURNS internal
AS 'MODULE_PATHNAME', 'freshet_fill_watch_support'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.fill_watch_support(internal) IS
'internal: tells the planner that fill_watch() is true of every row';

-- not STRICT: it is called for each row
CREATE FUNCTION freshet.fill_watch(sink oid)
RETURNS boolean
AS 'MODULE_PATHNAME', 'freshet_fill_watch'
LANGUAGE C VOLATILE PARALLEL SAFE COST 0.0001 SUPPORT freshet.fill_watch_support;
COMMENT ON FUNCTION freshet.fill_watch(oid) IS
'internal: true, and counts a row that is read while a sink is filled';

CREATE FUNCTION freshet.wait(timeout interval DEFAULT '1 minute')
RETURNS pg_lsn
AS 'MODULE_PATHNAME', 'freshet_wait'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.wait(interval) IS
'return when all that was committed before the call is in every live sink; an error at the timeout';

CREATE FUNCTION freshet.wait(sink regclass, timeout interval DEFAULT '1 minute')
RETURNS pg_lsn
AS 'MODULE_PATHNAME', 'freshet_wait_sink'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.wait(regclass, interval) IS
'return when this sink is live and all that was committed before the call is in it; an error at the timeout, or if it is paused or has failed';

-- For wait('sink') and wait('10 s'), which would be ambiguous without it.
CREATE FUNCTION freshet.wait(sink_or_timeout text)
RETURNS pg_lsn
AS 'MODULE_PATHNAME', 'freshet_wait_text'
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE;
COMMENT ON FUNCTION freshet.wait(text) IS
'as wait(regclass) if the text names a relation, else as wait(interval)';

--
-- Triggers
--

CREATE FUNCTION freshet.refuse_write()
RETURNS trigger
AS 'MODULE_PATHNAME', 'freshet_refuse_write'
LANGUAGE C;
COMMENT ON FUNCTION freshet.refuse_write() IS
'internal: trigger of sinks, refuses what users would write';

CREATE FUNCTION freshet.on_sql_drop()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'freshet_on_sql_drop'
LANGUAGE C;
COMMENT ON FUNCTION freshet.on_sql_drop() IS
'internal: removes dropped sinks from the catalogue';

CREATE EVENT TRIGGER freshet_on_sql_drop ON sql_drop
EXECUTE FUNCTION freshet.on_sql_drop();
ALTER EVENT TRIGGER freshet_on_sql_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER freshet_on_sql_drop IS
'removes dropped sinks from freshet''s catalogue';

CREATE FUNCTION freshet.on_ddl_end()
RETURNS event_trigger
AS 'MODULE_PATHNAME', 'freshet_on_ddl_end'
LANGUAGE C;
COMMENT ON FUNCTION freshet.on_ddl_end() IS
'internal: definitions follow the owners of their sinks, new partitions get a source''s replica identity';

CREATE EVENT TRIGGER freshet_on_ddl_end ON ddl_command_end
WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE')
EXECUTE FUNCTION freshet.on_ddl_end();
ALTER EVENT TRIGGER freshet_on_ddl_end ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER freshet_on_ddl_end IS
'definitions follow the owners of their sinks, new partitions get a source''s replica identity';

--
-- Views
--

CREATE FUNCTION freshet.sink_stats(OUT relid oid, OUT rows bigint, OUT changes bigint,
	OUT rate double precision, OUT phase text, OUT rows_done bigint, OUT rows_total bigint,
	OUT fill_started timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'freshet_sink_stats'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION freshet.sink_stats() IS
'internal: counters of the sinks; see freshet.status and freshet.progress';

CREATE FUNCTION freshet.worker_stats(OUT pid integer, OUT state text, OUT slot_name text,
	OUT applied_lsn pg_lsn, OUT applied_commit_time timestamptz, OUT delay interval,
	OUT held_back integer, OUT batches bigint, OUT changes bigint, OUT wal_lag_bytes bigint,
	OUT last_error text, OUT last_error_at timestamptz, OUT batch_started_at timestamptz,
	OUT blocked_on regclass, OUT blocked_by integer[], OUT blocked_since timestamptz)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'freshet_worker_stats'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 1;
COMMENT ON FUNCTION freshet.worker_stats() IS
'internal: the worker of this database; see freshet.worker';

CREATE FUNCTION freshet.worker_load(OUT phase text, OUT phase_since timestamptz,
	OUT phase_sink regclass, OUT memory_bytes bigint, OUT spilled_bytes bigint)
RETURNS record
AS 'MODULE_PATHNAME', 'freshet_worker_load'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION freshet.worker_load() IS
'internal: what the worker of this database is at, and what it takes; see freshet.worker';

CREATE FUNCTION freshet.maintenance(system_identifier bigint, timeline bigint,
	OUT is_current boolean, OUT stopped boolean, OUT hint text)
RETURNS record
AS 'MODULE_PATHNAME', 'freshet_maintenance'
LANGUAGE C VOLATILE PARALLEL SAFE;
COMMENT ON FUNCTION freshet.maintenance(bigint, bigint) IS
'internal: is the progress that of this server, does anybody maintain the sinks, and what to do if not; see freshet.status';

-- freshet.applied may have come with a copy of another database, or of the
-- server, in which case no sink is live before the worker has rebuilt it.
CREATE VIEW freshet.status AS
SELECT s.relid AS sink,
	s.kind,
	s.strategy,
	CASE
		WHEN s.paused THEN 'paused'
		WHEN st.relid IS NULL OR a.lsn IS NULL OR a.lsn = '0/0' OR NOT m.is_current OR
			st.generation < s.generation THEN 'building'
		WHEN m.stopped AND st.state <> 'failed' THEN 'stopped'
		WHEN st.state = 'behind' OR st.state = 'live' AND w.state = 'catching up' THEN 'catching up'
		ELSE st.state
	END AS state,
	coalesce(x.rows, a.rows[array_position(a.relids, s.relid::oid)]) AS rows,
	coalesce(x.changes, a.changes[array_position(a.relids, s.relid::oid)]) AS changes,
	coalesce(x.rate, 0) AS changes_per_second,
	CASE
		WHEN NOT s.paused AND NOT m.stopped AND st.state IN ('live', 'behind') AND st.generation = s.generation
		THEN CASE st.state WHEN 'behind' THEN greatest(w.delay, clock_timestamp() - w.blocked_since) ELSE w.delay END
	END AS delay,
	coalesce(w.applied_lsn, a.lsn) AS applied_lsn,
	CASE
		WHEN pg_has_role(c.relowner, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE')
		THEN st.error
	END AS error,
	CASE
		WHEN s.paused THEN 'Run freshet.resume_sink().'
		WHEN m.stopped THEN m.hint
		WHEN st.state = 'failed' AND st.generation = s.generation
		THEN 'Mend the cause, then run freshet.rebuild_sink().'
		WHEN (st.state <> 'live' OR w.delay > interval '5 s') AND w.blocked_on IS NOT NULL
		THEN 'Somebody holds a lock that the worker needs: see blocked_by in freshet.worker.'
	END AS hint
FROM freshet.sink s
	JOIN pg_class c ON c.oid = s.relid
	LEFT JOIN freshet.sink_state st ON st.relid = s.relid::oid
	LEFT JOIN freshet.sink_stats() x ON x.relid = s.relid::oid
	LEFT JOIN freshet.worker_stats() w ON true
	LEFT JOIN freshet.applied a
		ON a.dboid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
	CROSS JOIN LATERAL freshet.maintenance(a.system_identifier, a.timeline) m
WHERE s.stage_of IS NULL;
COMMENT ON VIEW freshet.status IS 'the sinks of this database and how they do';
COMMENT ON COLUMN freshet.status.sink IS 'the sink';
COMMENT ON COLUMN freshet.status.kind IS 'rollup, copy, bag (a copy of rows without a key), wide view, query or history';
COMMENT ON COLUMN freshet.status.strategy IS 'how it is maintained: delta, keyed or refresh';
COMMENT ON COLUMN freshet.status.state IS 'building, live, catching up, paused, failed, or stopped: nobody maintains it';
COMMENT ON COLUMN freshet.status.rows IS 'rows of the sink';
COMMENT ON COLUMN freshet.status.changes IS 'changes of source rows that were applied since it was made: an update is one, whatever came of it; the rows that a fill reads are none';
COMMENT ON COLUMN freshet.status.changes_per_second IS 'source changes applied, over the last seconds';
COMMENT ON COLUMN freshet.status.delay IS 'age of the oldest commit that is not applied yet; zero if there is none';
COMMENT ON COLUMN freshet.status.applied_lsn IS 'the log is applied up to here';
COMMENT ON COLUMN freshet.status.error IS 'why the sink failed; for its owner and pg_read_all_stats';
COMMENT ON COLUMN freshet.status.hint IS 'what to do, if it is not maintained';

-- Of a sink with stages, the stage that is being filled.
CREATE VIEW freshet.progress AS
SELECT coalesce(s.stage_of, s.relid) AS sink,
	x.phase,
	x.rows_done,
	x.rows_total,
	CASE
		WHEN x.rows_total > 0
		THEN least(100.0, round(100.0 * x.rows_done / x.rows_total, 1))
	END AS percent,
	x.fill_started AS started_at,
	CASE
		WHEN x.rows_done > 0 AND x.rows_total > 0
		THEN x.fill_started + (clock_timestamp() - x.fill_started) *
			greatest(1.0, x.rows_total / x.rows_done::double precision)
	END AS eta
FROM freshet.sink s
	JOIN freshet.sink_stats() x ON x.relid = s.relid::oid
WHERE x.phase IS NOT NULL;
COMMENT ON VIEW freshet.progress IS 'the sinks that are being filled';
COMMENT ON COLUMN freshet.progress.sink IS 'the sink';
COMMENT ON COLUMN freshet.progress.phase IS 'waiting, scanning or catching up';
COMMENT ON COLUMN freshet.progress.rows_done IS 'rows of the source read';
COMMENT ON COLUMN freshet.progress.rows_total IS 'rows of the source, estimated';
COMMENT ON COLUMN freshet.progress.percent IS 'part of the rows that is done';
COMMENT ON COLUMN freshet.progress.started_at IS 'when it began';
COMMENT ON COLUMN freshet.progress.eta IS 'when it will be done, at the present speed';

CREATE VIEW freshet.worker AS
SELECT w.pid,
	w.state,
	w.slot_name,
	w.applied_lsn,
	w.held_back,
	w.batches,
	w.changes,
	w.wal_lag_bytes,
	CASE
		WHEN NOT pg_is_in_recovery()
		THEN (pg_current_wal_insert_lsn() - r.restart_lsn)::bigint
	END AS retained_bytes,
	l.memory_bytes,
	l.spilled_bytes,
	w.batch_started_at,
	clock_timestamp() - w.batch_started_at AS batch_age,
	l.phase AS batch_phase,
	clock_timestamp() - l.phase_since AS batch_phase_age,
	l.phase_sink AS batch_sink,
	w.blocked_on,
	w.blocked_by,
	w.blocked_since,
	w.last_error,
	w.last_error_at
FROM freshet.worker_stats() w
	CROSS JOIN freshet.worker_load() l
	LEFT JOIN pg_replication_slots r
		ON r.slot_name OPERATOR(=) w.slot_name::name AND r.database OPERATOR(=) current_database();
COMMENT ON VIEW freshet.worker IS 'the worker of this database';
COMMENT ON COLUMN freshet.worker.pid IS 'its process; null when it does not run';
COMMENT ON COLUMN freshet.worker.state IS 'starting, idle, batch, catching up, backoff or not running';
COMMENT ON COLUMN freshet.worker.slot_name IS 'its replication slot';
COMMENT ON COLUMN freshet.worker.applied_lsn IS 'the log is applied up to here';
COMMENT ON COLUMN freshet.worker.held_back IS 'transactions that await a later snapshot';
COMMENT ON COLUMN freshet.worker.batches IS 'batches since the server''s start';
COMMENT ON COLUMN freshet.worker.changes IS 'source changes applied since the server''s start';
COMMENT ON COLUMN freshet.worker.wal_lag_bytes IS 'log that is not applied yet';
COMMENT ON COLUMN freshet.worker.retained_bytes IS 'log that its slot retains';
COMMENT ON COLUMN freshet.worker.memory_bytes IS 'its memory, but for PostgreSQL''s shared memory; as of its last change of phase, or up to 0.2 s before';
COMMENT ON COLUMN freshet.worker.spilled_bytes IS 'its temporary files, those of its filler, and transactions that decoding has spilled';
COMMENT ON COLUMN freshet.worker.batch_started_at IS 'when the batch that is running began; null between batches';
COMMENT ON COLUMN freshet.worker.batch_age IS 'for how long it has been running';
COMMENT ON COLUMN freshet.worker.batch_phase IS 'preparing, decoding, maintaining (folding changes into sinks), writing, filling or committing';
COMMENT ON COLUMN freshet.worker.batch_phase_age IS 'for how long it has been in this phase';
COMMENT ON COLUMN freshet.worker.batch_sink IS 'the sink that it writes or fills';
COMMENT ON COLUMN freshet.worker.blocked_on IS 'the relation whose lock it could not have, and tries to get again and again; null if there is none';
COMMENT ON COLUMN freshet.worker.blocked_by IS 'the processes that have locked it, or are about to; 0 for a prepared transaction';
COMMENT ON COLUMN freshet.worker.blocked_since IS 'since when';
COMMENT ON COLUMN freshet.worker.last_error IS 'the error that ended the newest batch; null when one has been committed since; for pg_read_all_stats';
COMMENT ON COLUMN freshet.worker.last_error_at IS 'when it was';

-- The last stage of a sink is the sink.  The size of a table of states is its sink's.
CREATE VIEW freshet.stage AS
SELECT coalesce(s.stage_of, s.relid) AS sink,
	s.relid AS stage,
	s.strategy,
	(SELECT string_agg(quote_ident(k.attname), ', ' ORDER BY k.attnum)
	FROM pg_attribute k
	WHERE k.attrelid = (SELECT min(i.indexrelid) FROM pg_index i
		WHERE i.indrelid = s.relid AND i.indisunique AND i.indnullsnotdistinct)) AS key,
	coalesce(x.rows, a.rows[array_position(a.relids, s.relid::oid)]) AS rows,
	pg_total_relation_size(s.relid) +
		coalesce((SELECT pg_total_relation_size(g.oid) FROM pg_class g
			WHERE g.relname = 'groups_' || s.relid::oid AND g.relnamespace = n.oid), 0) AS bytes,
	s.reason
FROM freshet.sink s
	JOIN pg_class c ON c.oid = s.relid
	JOIN pg_namespace n ON n.nspname = 'freshet_stage'
	LEFT JOIN freshet.sink_stats() x ON x.relid = s.relid::oid
	LEFT JOIN freshet.applied a
		ON a.dboid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database());
COMMENT ON VIEW freshet.stage IS 'the stages of each sink, the last of which is the sink itself';
COMMENT ON COLUMN freshet.stage.sink IS 'the sink';
COMMENT ON COLUMN freshet.stage.stage IS 'a table that is maintained for it, or the sink';
COMMENT ON COLUMN freshet.stage.strategy IS 'how the stage is maintained: delta, keyed or refresh';
COMMENT ON COLUMN freshet.stage.key IS 'the columns that tell its rows apart; null if none do';
COMMENT ON COLUMN freshet.stage.rows IS 'rows of the stage';
COMMENT ON COLUMN freshet.stage.bytes IS 'its size on disk, with indexes and states';
COMMENT ON COLUMN freshet.stage.reason IS 'what in the query asks for the stage, or for strategy refresh';

GRANT SELECT ON freshet.status, freshet.progress, freshet.worker, freshet.stage TO PUBLIC;

--
-- The change stream
--

CREATE FUNCTION freshet.stream_options(OUT slot_name name, OUT options text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'freshet_stream_options'
LANGUAGE C VOLATILE STRICT PARALLEL SAFE ROWS 10;
COMMENT ON FUNCTION freshet.stream_options() IS
'internal: the options that consumers of the change stream last started with; see freshet.consumers';

CREATE VIEW freshet.consumers AS
SELECT s.slot_name,
	s.plugin,
	o.options,
	s.active,
	s.active_pid AS pid,
	s.temporary,
	s.two_phase,
	s.restart_lsn,
	s.confirmed_flush_lsn,
	pg_wal_lsn_diff(w.lsn, s.confirmed_flush_lsn)::bigint AS lag_bytes,
	pg_wal_lsn_diff(w.lsn, s.restart_lsn)::bigint AS retained_bytes,
	s.wal_status
FROM pg_replication_slots s
	LEFT JOIN freshet.stream_options() o ON o.slot_name = s.slot_name AND s.plugin = 'freshet'
	CROSS JOIN (SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
		ELSE pg_current_wal_lsn() END AS lsn) w
WHERE s.slot_type = 'logical'
	AND s.database = current_database()
	AND s.slot_name <> coalesce((SELECT a.slot_name FROM freshet.applied a WHERE a.dboid = s.datoid), 'freshet_' || s.datoid);
COMMENT ON VIEW freshet.consumers IS 'the logical replication slots of this database but for freshet''s own: who reads its changes, and how far';
COMMENT ON COLUMN freshet.consumers.slot_name IS 'the replication slot';
COMMENT ON COLUMN freshet.consumers.plugin IS 'its output plugin; freshet is the change stream';
COMMENT ON COLUMN freshet.consumers.options IS 'options that the consumer last started with since the server''s start, if the plugin is freshet';
COMMENT ON COLUMN freshet.consumers.active IS 'is it being read?';
COMMENT ON COLUMN freshet.consumers.pid IS 'the process that reads it';
COMMENT ON COLUMN freshet.consumers.temporary IS 'does it end with its session?';
COMMENT ON COLUMN freshet.consumers.two_phase IS 'are prepared transactions decoded at PREPARE?';
COMMENT ON COLUMN freshet.consumers.restart_lsn IS 'the log is kept from here on';
COMMENT ON COLUMN freshet.consumers.confirmed_flush_lsn IS 'what the consumer has confirmed';
COMMENT ON COLUMN freshet.consumers.lag_bytes IS 'log that the consumer has not confirmed';
COMMENT ON COLUMN freshet.consumers.retained_bytes IS 'log that is kept for it';
COMMENT ON COLUMN freshet.consumers.wal_status IS 'is that log still there? As in pg_replication_slots';

GRANT SELECT ON freshet.consumers TO PUBLIC;
