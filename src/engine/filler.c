/*-------------------------------------------------------------------------
 *
 * filler.c
 *		The second worker, which fills a large sink.
 *
 * The worker registers it in the middle of a batch, and offers it the batch's
 * snapshot in the slot's shared memory; the batch's transaction is held open
 * until it has taken that over.  Then it goes its own way, in one transaction,
 * at the end of which it says so in the slot (FillTask in shmem.h) and wakes
 * the worker.  What it writes carries no origin that anybody decodes.
 *
 * A filler whose worker is gone ends itself; its lock on the right to fill the sink
 * keeps a second one from starting before.  Its lock on the sink itself is none but
 * that of a writer, so that the sink can be paused and rebuilt.
 *
 * The first half of the file is run by the worker, the second by the filler.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "replication/origin.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/procarray.h"
#include "storage/spin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/fill_stop.h"
#include "base/obstacle.h"
#include "base/process.h"
#include "base/wait_events.h"
#include "catalog/sink.h"
#include "filler.h"
#include "launcher.h"
#include "maintain/run.h"
#include "partitions.h"

/* How long a filler may take to start. */
#define FILLER_START_MS		30000

/* Of the filler that was started and not yet forgotten. */
static BackgroundWorkerHandle *handle = NULL;

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

	return GetBackgroundWorkerPid(handle, &pid) == BGWH_STOPPED;
}

bool
filler_can_take(Snapshot snapshot)
{
	return EstimateSnapshotSpace(snapshot) <= FRESHET_SNAPSHOT_LEN;
}

bool
filler_is_done(void)
{
	return get_task() == FILL_TASK_DONE;
}

bool
filler_has_failed(void)
{
	return get_task() == FILL_TASK_FAILED ||
		(filler_has_stopped() && !filler_is_done());
}

bool
filler_has_ended(void)
{
	return filler_is_done() || filler_has_stopped();
}

void
filler_check(void)
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
}

void
filler_forget(void)
{
	if (handle != NULL)
		pfree(handle);
	handle = NULL;
	set_task(FILL_TASK_NONE);
}

void
filler_stop(void)
{
	if (handle == NULL)
		return;
	TerminateBackgroundWorker(handle);
	(void) WaitForBackgroundWorkerShutdown(handle);
	filler_forget();
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
	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	MemoryContextSwitchTo(oldcontext);
	return registered;
}

bool
filler_start(Oid relid, int64 generation, Snapshot snapshot, bool netted)
{
	SerializeSnapshot(snapshot, MyWorkerSlot->fill_snapshot);
	MyWorkerSlot->fill_relid = relid;
	MyWorkerSlot->fill_generation = generation;
	MyWorkerSlot->fill_netted = netted;
	MyWorkerSlot->fill_owner = MyProcPid;
	set_task(FILL_TASK_OFFERED);
	if (!register_filler())
	{
		filler_forget();
		return false;
	}
	if (!wait_for_filler())
	{
		filler_stop();
		return false;
	}
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
fill_at_snapshot(Oid relid, int64 generation)
{
	MaintainResult result;
	SinkStats  *stats;
	Run		   *run;
	Sink	   *sink;
	Partitions *partitions;

	process_lock_fill(relid);
	process_lock_relation(relid, RowExclusiveLock);
	fill_stop_begin(relid);
	sink_check_wanted(relid, generation);
	sink = sink_get(relid);
	sink_make_plan(sink);
	partitions = partitions_look(sink, true);
	run = run_begin(sink, partitions->leaves, NULL, MyWorkerSlot->fill_netted);
	obstacle_clear(MyWorkerSlot, true, GetCurrentTimestamp());
	stats = shmem_sink_stats(MyWorkerSlot, relid);
	run_fill(run, stats ? &stats->rows_done : NULL);
	run_finish(run, &result);
	partitions_check(list_make1(sink));
	fill_stop_end();
}

/* Tell the worker; is it nobody's fault? */
static bool
report_failure(MemoryContext context)
{
	ErrorData  *error;
	bool		retry = process_take_retry();
	char		message[FRESHET_ERROR_LEN];

	retry |= fill_stop_take();
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
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
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
		fill_at_snapshot(MyWorkerSlot->fill_relid, MyWorkerSlot->fill_generation);
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
