/*-------------------------------------------------------------------------
 *
 * status.c
 *		The figures behind the views freshet.status, freshet.progress and
 *		freshet.worker.
 *
 * Set-returning functions over the slot of this database in shared memory;
 * everything is copied under the spinlock, and the views add what is in the
 * tables.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"

#include "api.h"
#include "base/names.h"
#include "base/obstacle.h"

PG_FUNCTION_INFO_V1(freshet_sink_stats);
PG_FUNCTION_INFO_V1(freshet_worker_stats);
PG_FUNCTION_INFO_V1(freshet_maintenance);

/* A rate that has not been brought up to date for so long is zero. */
#define RATE_VALID_US		(10 * USECS_PER_SEC)

/* So many errors of the worker in a row, and it is not at it any more. */
#define LASTING_ERRORS			2

#define SINK_STATS_COLUMNS		8
#define WORKER_STATS_COLUMNS	16

static const char *
fill_phase_name(FillPhase phase)
{
	switch (phase)
	{
		case FILL_NONE:
			return NULL;
		case FILL_WAITING:
			return "waiting";
		case FILL_SCANNING:
			return "scanning";
		case FILL_CATCHING_UP:
			return "catching up";
	}
	return NULL;
}

static const char *
worker_state_name(WorkerState state)
{
	switch (state)
	{
		case WORKER_STARTING:
			return "starting";
		case WORKER_IDLE:
			return "idle";
		case WORKER_BATCH:
			return "batch";
		case WORKER_CATCHING_UP:
			return "catching up";
		case WORKER_BACKOFF:
			return "backoff";
	}
	return NULL;
}

static void
put_sink_stats(ReturnSetInfo *rsinfo, const SinkStats *stats)
{
	Datum		values[SINK_STATS_COLUMNS] = {0};
	bool		nulls[SINK_STATS_COLUMNS] = {0};
	const char *phase = fill_phase_name(stats->phase);
	double		rate = stats->rate;

	if (GetCurrentTimestamp() - stats->rate_at > RATE_VALID_US)
		rate = 0;

	values[0] = ObjectIdGetDatum(stats->relid);
	values[1] = Int64GetDatum(stats->rows);
	values[2] = Int64GetDatum(stats->changes);
	values[3] = Float8GetDatum(rate);
	if (phase)
		values[4] = CStringGetTextDatum(phase);
	else
		nulls[4] = true;
	values[5] = Int64GetDatum(stats->rows_done);
	values[6] = Int64GetDatum(stats->rows_total);
	nulls[6] = stats->rows_total <= 0;
	values[7] = TimestampTzGetDatum(stats->fill_started);
	nulls[7] = stats->fill_started == 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * sink_stats() -> (relid, rows, changes, rate, phase, rows_done, rows_total,
 * fill_started)
 */
Datum
freshet_sink_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; slot != NULL && i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats	stats;

		SpinLockAcquire(&slot->mutex);
		stats = slot->sinks[i];
		SpinLockRelease(&slot->mutex);
		if (OidIsValid(stats.relid))
			put_sink_stats(rsinfo, &stats);
	}
	return (Datum) 0;
}

/* What worker_stats() shows, copied. */
typedef struct WorkerFigures
{
	pid_t		pid;
	WorkerState state;
	XLogRecPtr	applied_lsn;
	TimestampTz commit_time;
	TimestampTz batch_started;	/* 0: none is running */
	TimestampTz unapplied_since;	/* 0: nothing is left to apply */
	bool		delay_known;
	int			held_back;
	int64		batches;
	int64		changes;
	TimestampTz last_error_at;
	char		last_error[FRESHET_ERROR_LEN];	/* "" if a batch has been committed since */
} WorkerFigures;

/*
 * Since when is there a commit that is not applied?  The times of commits that
 * are applied tell that the oldest that is not is no older, but for those held
 * back.
 */
TimestampTz
api_unapplied_since(const WorkerSlot *slot, bool flagged)
{
	TimestampTz since = slot->unapplied_since;

	if (since == 0 && flagged)
		since = slot->flagged_since;
	if (since != 0 && slot->held_back == 0)
		since = Max(since, slot->applied_commit_time);
	return since;
}

static void
copy_figures(WorkerSlot *slot, WorkerFigures *figures)
{
	bool		flagged = pg_atomic_read_u32(&slot->wakeup) != 0;

	SpinLockAcquire(&slot->mutex);
	figures->pid = slot->pid;
	figures->state = slot->state;
	figures->applied_lsn = slot->applied_lsn;
	figures->commit_time = slot->applied_commit_time;
	figures->held_back = slot->held_back;
	figures->batches = slot->batches;
	figures->changes = slot->changes;
	figures->batch_started =
		slot->pid != 0 && slot->state != WORKER_BACKOFF ? slot->batch_started : 0;
	figures->unapplied_since = api_unapplied_since(slot, flagged);
	figures->delay_known = slot->aligned_once;
	figures->last_error_at = slot->last_error_at;
	memcpy(figures->last_error, slot->last_error, sizeof(figures->last_error));
	if (slot->applied_at > slot->last_error_at)
		figures->last_error[0] = '\0';
	SpinLockRelease(&slot->mutex);
}

static Interval *
make_delay(const WorkerFigures *figures)
{
	Interval   *delay = palloc0(sizeof(Interval));

	if (figures->unapplied_since != 0)
		delay->time = Max(GetCurrentTimestamp() - figures->unapplied_since, 0);
	return delay;
}

/* Relation, processes, since when. */
static void
put_obstacle(WorkerSlot *slot, Datum *values, bool *nulls)
{
	Obstacle	obstacle;
	List	   *pids;
	Datum	   *elems;
	ListCell   *lc;
	int			n = 0;

	nulls[0] = nulls[1] = nulls[2] = true;
	if (slot->pid == 0 || !obstacle_oldest(slot, &obstacle))
		return;
	pids = obstacle_processes(&obstacle);
	elems = palloc(Max(list_length(pids), 1) * sizeof(Datum));
	foreach(lc, pids)
		elems[n++] = Int32GetDatum(lfirst_int(lc));
	values[0] = ObjectIdGetDatum(obstacle.relid);
	values[1] = PointerGetDatum(construct_array(elems, n, INT4OID, sizeof(int32), true,
												TYPALIGN_INT));
	values[2] = TimestampTzGetDatum(obstacle.since);
	nulls[0] = nulls[1] = nulls[2] = false;
}

/*
 * worker_stats() -> (pid, state, slot_name, applied_lsn, applied_commit_time,
 * delay, held_back, batches, changes, wal_lag_bytes, last_error, last_error_at,
 * batch_started_at, blocked_on, blocked_by, blocked_since)
 *
 * An error message may quote data; who may read all statistics sees it.
 */
Datum
freshet_worker_stats(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
	WorkerFigures figures;
	char		name[NAMEDATALEN];
	Datum		values[WORKER_STATS_COLUMNS] = {0};
	bool		nulls[WORKER_STATS_COLUMNS] = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (slot == NULL)
		return (Datum) 0;
	copy_figures(slot, &figures);

	SpinLockAcquire(&slot->mutex);
	strlcpy(name, slot->slot_name, NAMEDATALEN);
	SpinLockRelease(&slot->mutex);
	if (name[0] == '\0')
		freshet_object_name(MyDatabaseId, name);
	values[0] = Int32GetDatum(figures.pid);
	nulls[0] = figures.pid == 0;
	values[1] = CStringGetTextDatum(figures.pid == 0 ? "not running" :
									worker_state_name(figures.state));
	values[2] = CStringGetTextDatum(name);
	values[3] = LSNGetDatum(figures.applied_lsn);
	nulls[3] = XLogRecPtrIsInvalid(figures.applied_lsn);
	values[4] = TimestampTzGetDatum(figures.commit_time);
	nulls[4] = figures.commit_time == 0;
	nulls[5] = !figures.delay_known;
	if (!nulls[5])
		values[5] = IntervalPGetDatum(make_delay(&figures));
	values[6] = Int32GetDatum(figures.held_back);
	values[7] = Int64GetDatum(figures.batches);
	values[8] = Int64GetDatum(figures.changes);
	nulls[9] = nulls[3] || RecoveryInProgress();
	if (!nulls[9])
	{
		XLogRecPtr	end = GetXLogInsertRecPtr();

		values[9] = Int64GetDatum(end > figures.applied_lsn ?
								  (int64) (end - figures.applied_lsn) : 0);
	}
	nulls[10] = figures.last_error[0] == '\0' ||
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
	if (!nulls[10])
		values[10] = CStringGetTextDatum(figures.last_error);
	values[11] = TimestampTzGetDatum(figures.last_error_at);
	nulls[11] = nulls[10];
	values[12] = TimestampTzGetDatum(figures.batch_started);
	nulls[12] = figures.batch_started == 0;
	put_obstacle(slot, values + 13, nulls + 13);

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	return (Datum) 0;
}

/* Is a worker at it?  Else what to do, in *hint. */
static bool
is_maintained(const char **hint)
{
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
	bool		failing;

	if (FreshetState == NULL)
	{
		*hint = "Put freshet into shared_preload_libraries, and restart the server.";
		return false;
	}
	if (wal_level < WAL_LEVEL_LOGICAL)
	{
		*hint = "Set wal_level to logical, and restart the server.";
		return false;
	}
	if (slot == NULL || !slot->wanted)
	{
		*hint = "The worker starts within seconds; else run freshet.rebuild_sink(), or raise "
			"freshet.max_workers.";
		return false;
	}
	if (slot->pid == 0)
	{
		*hint = "The worker is started again within seconds; else the server's log says why.";
		return false;
	}

	SpinLockAcquire(&slot->mutex);
	failing = slot->errors >= LASTING_ERRORS;
	SpinLockRelease(&slot->mutex);
	if (failing)
		*hint = "The worker tries again and again; last_error in freshet.worker, and the server's "
			"log, say why.";
	return !failing;
}

/*
 * maintenance(system_identifier bigint, timeline bigint) -> (is_current, stopped,
 * hint)
 *
 * The sinks of a standby are maintained where it has them from.
 */
Datum
freshet_maintenance(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	Datum		values[3];
	bool		nulls[3] = {0};
	bool		standby = RecoveryInProgress();
	const char *hint = NULL;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	values[0] = BoolGetDatum(!PG_ARGISNULL(0) && !PG_ARGISNULL(1) &&
							 PG_GETARG_INT64(0) == (int64) GetSystemIdentifier() &&
							 (standby ||
							  PG_GETARG_INT64(1) == (int64) GetWALInsertionTimeLine()));
	values[1] = BoolGetDatum(!standby && !is_maintained(&hint));
	if (hint != NULL)
		values[2] = CStringGetTextDatum(hint);
	else
		nulls[2] = true;
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
