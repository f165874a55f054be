/*-------------------------------------------------------------------------
 *
 * backfill.c
 *		The first fill of a sink, and its rebuilding.
 *
 * A sink is filled at the snapshot S of a batch, so that nothing has to be
 * spliced: S has what the fill reads, and the batches after it yield the
 * rest.  If the source is small, that is done within the batch.
 *
 * A large source would hold up all other sinks.  Then a second worker, the
 * filler, takes over S (the batch's transaction is held open until it has it)
 * and fills the sink in a transaction of its own, while the worker goes on
 * with its batches and keeps the source's changes for the new sink.  When the
 * filler has committed, the next batch, whose snapshot sees that, applies
 * what was kept and its own changes, and the sink is live.
 *
 * One filler per database; other large sinks wait.  A sink that reads a sink is
 * filled within the batch, which may be about to change that sink.  Sinks over
 * one that is being filled are set building, and are filled after it.
 *
 * Nothing of this survives a restart of the worker.  A filler whose worker is
 * gone ends itself; the lock that it holds on the sink keeps a second one
 * from starting before.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "replication/origin.h"
#include "storage/bufmgr.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "base/guc.h"
#include "base/process.h"
#include "base/wait_events.h"
#include "launcher.h"
#include "maintain/change_set.h"
#include "maintain/run.h"
#include "partitions.h"

/* How long a filler may take to start. */
#define FILLER_START_MS		30000

/* The fill under way; in the worker. */
static Oid	running_relid = InvalidOid;
static int64 running_generation;
static BackgroundWorkerHandle *running_handle = NULL;
static ChangeSet *kept = NULL;	/* by batches that were committed */
static ChangeSet *kept_now = NULL;	/* by the batch under way */
static bool started_now = false;	/* by the batch under way */
static bool done_before_snapshot = false;

/*
 * freshet.progress
 */

/* Add a table's size in bytes, and its rows as the planner would estimate them. */
static void
estimate_table(Oid relid, uint64 *size, double *rows)
{
	Relation	rel;
	BlockNumber pages;
	double		tuples;
	double		allvisfrac;

	process_lock_relation(relid, AccessShareLock);
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		return;
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
	{
		table_relation_estimate_size(rel, NULL, &pages, &tuples, &allvisfrac);
		*size += (uint64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
		*rows += tuples;
	}
	table_close(rel, NoLock);
}

/* Bytes of all sources, and rows of the first in the query, which is scanned. */
static uint64
estimate_sources(Sink *sink, int64 *rows)
{
	SinkPlan   *plan = sink->plan;
	uint64		size = 0;
	double		first = 0;
	double		others = 0;
	Oid			scanned;
	ListCell   *lc;

	*rows = 0;
	if (plan->noccurrences == 0)
		return 0;
	scanned = plan_source_of(plan, 0)->relid;
	for (int i = 0; i < plan->nsources; i++)
	{
		Oid			relid = plan->sources[i].relid;

		estimate_table(relid, &size, relid == scanned ? &first : &others);
	}
	foreach(lc, sink->leaves)
	{
		bool		is_first = false;
		ListCell   *lc2;

		foreach(lc2, get_partition_ancestors(lfirst_oid(lc)))
			is_first |= lfirst_oid(lc2) == scanned;
		estimate_table(lfirst_oid(lc), &size, is_first ? &first : &others);
	}
	*rows = (int64) first;
	return size;
}

static SinkStats *
set_phase(Sink *sink, FillPhase phase)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, sink->relid, true);
	int64		rows;

	if (stats == NULL)
		return NULL;
	(void) estimate_sources(sink, &rows);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	if (phase == FILL_SCANNING || stats->phase == FILL_NONE)
	{
		stats->rows_done = 0;
		stats->rows_total = rows;
		stats->fill_started = GetCurrentTimestamp();
	}
	stats->phase = phase;
	SpinLockRelease(&MyWorkerSlot->mutex);
	return stats;
}

SinkStats *
backfill_begin(Sink *sink)
{
	return set_phase(sink, FILL_SCANNING);
}

static void
end_phase(Oid relid)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, relid, false);

	if (stats == NULL)
		return;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->phase = FILL_NONE;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

void
backfill_end(Sink *sink)
{
	end_phase(sink->relid);
}

/*
 * The worker's side
 */

static FillTask
get_task(void)
{
	FillTask	task;

	SpinLockAcquire(&MyWorkerSlot->mutex);
	task = MyWorkerSlot->fill_task;
	SpinLockRelease(&MyWorkerSlot->mutex);
	return task;
}

static void
set_task(FillTask task)
{
	SpinLockAcquire(&MyWorkerSlot->mutex);
	MyWorkerSlot->fill_task = task;
	SpinLockRelease(&MyWorkerSlot->mutex);
	ConditionVariableBroadcast(&MyWorkerSlot->cv);
}

static bool
filler_has_stopped(void)
{
	pid_t		pid;

	return GetBackgroundWorkerPid(running_handle, &pid) == BGWH_STOPPED;
}

void
backfill_before_snapshot(void)
{
	done_before_snapshot = OidIsValid(running_relid) && get_task() == FILL_TASK_DONE;
}

bool
backfill_is_running(Oid relid)
{
	return running_relid == relid;
}

bool
backfill_needs_batch(void)
{
	if (!OidIsValid(running_relid))
		return false;
	return get_task() == FILL_TASK_DONE || filler_has_stopped();
}

void
backfill_forget(void)
{
	if (kept != NULL)
		change_set_destroy(kept);
	if (kept_now != NULL)
		change_set_destroy(kept_now);
	if (running_handle != NULL)
		pfree(running_handle);
	kept = NULL;
	kept_now = NULL;
	started_now = false;
	running_handle = NULL;
	running_relid = InvalidOid;
	set_task(FILL_TASK_NONE);
}

static void
stop_filler(void)
{
	Oid			relid = running_relid;

	if (!OidIsValid(relid))
		return;
	TerminateBackgroundWorker(running_handle);
	(void) WaitForBackgroundWorkerShutdown(running_handle);
	backfill_forget();
	end_phase(relid);
}

void
backfill_cancel(Sink *sink)
{
	if (backfill_is_running(sink->relid))
		stop_filler();
}

void
backfill_abandon(void)
{
	/* the decoder has destroyed all change sets */
	kept = NULL;
	kept_now = NULL;
	stop_filler();
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
		MyWorkerSlot->sinks[i].phase = FILL_NONE;
}

void
backfill_check(List *sinks)
{
	ListCell   *lc;

	if (!OidIsValid(running_relid))
		return;
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid == running_relid && !sink->paused &&
			sink->generation == running_generation)
			return;
	}
	stop_filler();
}

/* Wait until the filler has taken over the snapshot; false if it will not. */
static bool
wait_for_filler(void)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), FILLER_START_MS);

	ConditionVariablePrepareToSleep(&MyWorkerSlot->cv);
	while (get_task() == FILL_TASK_OFFERED)
	{
		process_check_stop();
		if (filler_has_stopped() || GetCurrentTimestamp() > deadline)
			break;
		(void) ConditionVariableTimedSleep(&MyWorkerSlot->cv, 100,
										   freshet_wait_event(WAIT_FILLER_START));
	}
	ConditionVariableCancelSleep();
	return get_task() != FILL_TASK_OFFERED;
}

static bool
register_filler(void)
{
	BackgroundWorker worker;
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	bool		registered;

	launcher_init_worker(&worker, "freshet_filler_main", "freshet filler", MyDatabaseId);
	registered = RegisterDynamicBackgroundWorker(&worker, &running_handle);
	MemoryContextSwitchTo(oldcontext);
	return registered;
}

bool
backfill_start(Sink *sink, Snapshot snapshot)
{
	int64		rows;

	if (sink->source_is_sink ||
		estimate_sources(sink, &rows) <= (uint64) freshet_fill_threshold * 1024 * 1024 ||
		EstimateSnapshotSpace(snapshot) > FRESHET_SNAPSHOT_LEN)
		return false;

	if (OidIsValid(running_relid))
	{
		(void) set_phase(sink, FILL_WAITING);
		return true;
	}

	SerializeSnapshot(snapshot, MyWorkerSlot->fill_snapshot);
	MyWorkerSlot->fill_relid = sink->relid;
	MyWorkerSlot->fill_owner = MyProcPid;
	set_task(FILL_TASK_OFFERED);
	if (!register_filler())
	{
		set_task(FILL_TASK_NONE);
		return false;
	}
	running_relid = sink->relid;
	running_generation = sink->generation;
	started_now = true;
	(void) set_phase(sink, FILL_SCANNING);
	if (!wait_for_filler())
	{
		stop_filler();
		return false;
	}
	return true;
}

/* A copy of the changes: their lists end with the batch. */
static void
keep_list(ChangeSet *set, Oid relid, ChangeList *list)
{
	ChangeList *copy = change_set_get_list(set, relid, true);
	ChangeIterator it;
	Change		change;

	change_iterator_begin(&it, list);
	while (change_iterator_next(&it, &change))
	{
		if (change.kind == CHANGE_TRUNCATE)
			change_list_add_truncate(copy);
		else
			change_list_add(copy, change.kind, change.layout,
							change.has_old ? &change.old : NULL,
							change.has_new ? &change.new : NULL);
	}
	change_iterator_end(&it);
}

void
backfill_keep(Oid source, List *lists)
{
	ListCell   *lc;

	if (kept_now == NULL)
		kept_now = change_set_create();
	foreach(lc, lists)
		keep_list(kept_now, source, lfirst(lc));

	if (freshet_max_fill_backlog >= 0 &&
		change_set_size(kept_now) + (kept ? change_set_size(kept) : 0) > (Size) freshet_max_fill_backlog * 1024 * 1024)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the changes kept while the sink was filled exceed "
						"freshet.max_fill_backlog"),
				 errhint("Raise freshet.max_fill_backlog, or call freshet.rebuild_sink() when "
						 "there are fewer changes.")));
}

List *
backfill_kept(void)
{
	return list_make2(kept, kept_now);
}

/* What the batch has kept is kept for good, when it has been committed. */
void
backfill_committed(void)
{
	ListCell   *lc;

	started_now = false;
	if (kept_now == NULL)
		return;
	if (kept == NULL)
	{
		kept = kept_now;
		kept_now = NULL;
		return;
	}
	foreach(lc, change_set_relids(kept_now))
		keep_list(kept, lfirst_oid(lc), change_set_get_list(kept_now, lfirst_oid(lc), false));
	change_set_destroy(kept_now);
	kept_now = NULL;
}

/*
 * The batch came to nothing, and will be tried again with the same changes: it
 * has kept none.  A filler that it started reads at its snapshot, which is not
 * to be had again.
 */
void
backfill_aborted(void)
{
	if (kept_now != NULL)
		change_set_destroy(kept_now);
	kept_now = NULL;
	if (started_now)
		stop_filler();
	started_now = false;
}

bool
backfill_is_done(Sink *sink)
{
	FillTask	task = get_task();

	if (task == FILL_TASK_FAILED && MyWorkerSlot->fill_retry)
		process_retry(MyWorkerSlot->fill_sqlerrcode, MyWorkerSlot->fill_error);
	if (task == FILL_TASK_FAILED)
		ereport(ERROR,
				(errcode(MyWorkerSlot->fill_sqlerrcode),
				 errmsg("%s", MyWorkerSlot->fill_error)));
	if (task == FILL_TASK_RUNNING && filler_has_stopped() && get_task() == FILL_TASK_RUNNING)
		process_retry(ERRCODE_ADMIN_SHUTDOWN, "the filler of a sink was terminated");

	if (!done_before_snapshot)
		return false;
	(void) set_phase(sink, FILL_CATCHING_UP);
	if (kept == NULL)
		kept = change_set_create();
	if (kept_now == NULL)
		kept_now = change_set_create();
	return true;
}

/*
 * The filler
 */

static void
take_over_snapshot(void)
{
	Snapshot	snapshot;
	PGPROC	   *owner = BackendPidGetProc(MyWorkerSlot->fill_owner);

	process_check_stop();
	if (owner == NULL)
		proc_exit(0);
	XactIsoLevel = XACT_REPEATABLE_READ;
	XactReadOnly = false;
	snapshot = RestoreSnapshot(MyWorkerSlot->fill_snapshot);
	RestoreTransactionSnapshot(snapshot, owner);
	PushCopiedSnapshot(GetTransactionSnapshot());
}

static void
fill_sink(Oid relid)
{
	MaintainResult result;
	Run		   *run;
	Sink	   *sink;
	Partitions *partitions;

	process_lock_relation(relid, ShareRowExclusiveLock);
	sink = sink_get(relid);
	sink_make_plan(sink);
	partitions = partitions_look(sink, true);
	run = run_begin(sink, partitions->leaves, NULL, false);
	run_fill(run, shmem_sink_stats(MyWorkerSlot, relid, false));
	run_finish(run, &result);
	partitions_check(list_make1(sink));
}

/* Tell the worker; is it nobody's fault? */
static bool
report_failure(MemoryContext context)
{
	ErrorData  *error;
	bool		retry = process_take_retry();
	char		message[FRESHET_ERROR_LEN];

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	snprintf(message, sizeof(message), "%s%s%s", error->message,
			 error->detail ? ": " : "", error->detail ? error->detail : "");
	SpinLockAcquire(&MyWorkerSlot->mutex);
	memcpy(MyWorkerSlot->fill_error, message, FRESHET_ERROR_LEN);
	MyWorkerSlot->fill_sqlerrcode = error->sqlerrcode;
	MyWorkerSlot->fill_retry = retry;
	MyWorkerSlot->fill_task = FILL_TASK_FAILED;
	SpinLockRelease(&MyWorkerSlot->mutex);
	shmem_wake_worker(MyDatabaseId);
	return retry;
}

void
freshet_filler_main(Datum main_arg)
{
	MemoryContext context = CurrentMemoryContext;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	freshet_process = PROCESS_FILLER;
	MyWorkerSlot = shmem_find_slot(DatumGetObjectId(main_arg));
	if (MyWorkerSlot == NULL)
		proc_exit(0);
	process_worker_pid = MyWorkerSlot->fill_owner;
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);
	process_set_session();

	/* its rows are dropped by the decoder, which has no use for them */
	replorigin_session_origin = DoNotReplicateId;

	StartTransactionCommand();
	take_over_snapshot();
	MyWorkerSlot->fill_pid = MyProcPid;
	set_task(FILL_TASK_RUNNING);
	pgstat_report_activity(STATE_RUNNING, "freshet: filling a sink");
	PG_TRY();
	{
		fill_sink(MyWorkerSlot->fill_relid);
		process_check_stop();
		PopActiveSnapshot();
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		/* not for the server's log: the worker has it done once more */
		if (report_failure(context))
			proc_exit(0);
		PG_RE_THROW();
	}
	PG_END_TRY();

	set_task(FILL_TASK_DONE);
	shmem_wake_worker(MyDatabaseId);
}
