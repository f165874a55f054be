/*-------------------------------------------------------------------------
 *
 * worker.c
 *		The per-database worker: the loop around batches, errors, restart.
 *
 * One per database, a background worker with the rights of the bootstrap
 * superuser; what users define runs in the sandbox of sink_cache.c.  It sleeps on
 * its latch until a transaction of the database commits, and starts at most
 * one batch each freshet.batch_interval.
 *
 * There is one way out of every error: abort the batch and let go all locks.
 * If it arose while sinks were maintained by the first part of the batch, which
 * is nearly always all of it, what was decoded is given back to the decoder and
 * comes again; else the decoding context is freed, and the log is decoded again
 * from the stored progress.  What becomes of a sink in which the error arose is
 * in trouble.c; an error for which no sink is to blame is tried again after a
 * pause that doubles up to a minute.
 *
 * Locks on relations are not waited for (base/process.c): if one is not to be
 * had, the batch is tried again after a short pause.
 *
 * The worker ends when the extension or the last sink is dropped, and then
 * takes slot and origin with it; and when a command on its database (DROP
 * DATABASE and the like) asks it to.
 *
 * "The log may not fill the disk": when the worker has left more than
 * freshet.max_wal_lag unconfirmed, its slot is dropped and made anew, and all sinks
 * are built again.  That would be of no use where it is up to date and the log is
 * kept for a long transaction: of that it warns.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/fill_stop.h"
#include "base/guc.h"
#include "base/names.h"
#include "base/process.h"
#include "base/wait_events.h"
#include "batch.h"
#include "batch_runs.h"
#include "catalog/sink.h"
#include "decoder.h"
#include "fill.h"
#include "identities.h"
#include "left_out.h"
#include "log_slot.h"
#include "progress.h"
#include "snapshot_offer.h"
#include "trouble.h"
#include "watchdog.h"
#include "worker.h"

#define HOUSEKEEPING_MS		10000	/* confirm, look at the lag */
#define RETRY_MS			10
#define MIN_BACKOFF_MS		1000
#define MAX_BACKOFF_MS		60000
#define MIN_RETRY_MS		50		/* when nobody is to blame */
#define MAX_RETRY_MS		200
#define LAG_CHECK_MS		1000
#define WARN_AGAIN_MS		600000

/* The last pause after an error, 0 after a batch; and is one to come? */
static int	backoff_ms = 0;
static bool is_backing_off = false;

/* Past the point of no return of give_up(). */
static bool giving_up = false;

/* The last error noted was of that kind: it is void after the next batch. */
static bool retry_noted = false;

static void
worker_exit(int code, Datum arg)
{
	snapshot_offer_aborted(MyWorkerSlot);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	MyWorkerSlot->latch = NULL;
	MyWorkerSlot->pid = 0;
	MyWorkerSlot->state = WORKER_STARTING;
	SpinLockRelease(&MyWorkerSlot->mutex);
	ConditionVariableBroadcast(&MyWorkerSlot->cv);
	shmem_wake_launcher();
}

/* Take the slot of the database; false if another worker has it. */
static bool
take_worker_slot(Oid dboid)
{
	bool		taken;

	MyWorkerSlot = shmem_ensure_slot(dboid);
	if (MyWorkerSlot == NULL)
		return false;

	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	taken = MyWorkerSlot->stop ||
		(MyWorkerSlot->pid != 0 && BackendPidGetProc(MyWorkerSlot->pid) != NULL);
	if (!taken)
	{
		SpinLockAcquire(&MyWorkerSlot->mutex);
		MyWorkerSlot->pid = MyProcPid;
		MyWorkerSlot->latch = MyLatch;
		MyWorkerSlot->state = WORKER_STARTING;
		SpinLockRelease(&MyWorkerSlot->mutex);
	}
	LWLockRelease(FreshetState->lock);
	if (!taken)
		on_shmem_exit(worker_exit, 0);
	return !taken;
}

/* The worker's writes carry the origin of the database; false if it is gone. */
static bool
set_up_origin(void)
{
	char		name[NAMEDATALEN];
	RepOriginId origin;

	StartTransactionCommand();
	freshet_object_name(MyDatabaseId, name);
	origin = replorigin_by_name(name, true);
	if (origin != InvalidRepOriginId)
	{
		freshet_origin_session_setup(origin);
		replorigin_session_origin = origin;
	}
	CommitTransactionCommand();
	return origin != InvalidRepOriginId;
}

/*
 * The end of freshet in this database: no slot, no origin, no progress.
 * create_sink() takes a lock that conflicts with this one, and makes the
 * origin again if it comes later.
 */
static void
give_up(void)
{
	char		name[NAMEDATALEN];

	giving_up = true;
	decoder_stop();
	log_slot_drop();
	replorigin_session_reset();
	replorigin_session_origin = InvalidRepOriginId;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!OidIsValid(get_extension_oid("freshet", true)) ||
		(batch_lock_no_sink() && !identities_noted()))
	{
		MyWorkerSlot->wanted = false;
		freshet_object_name(MyDatabaseId, name);
		replorigin_drop_by_name(name, true, false);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	proc_exit(0);
}

/*
 * The log is kept for a transaction that may yet change a source.  A new slot
 * would have to wait for it, and keep the log from now on.
 */
static void
warn_of_transaction(uint64 lag, const LongTransaction *transaction)
{
	static TimestampTz warned_at = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (warned_at != 0 && !TimestampDifferenceExceeds(warned_at, now, WARN_AGAIN_MS))
		return;
	warned_at = now;
	ereport(WARNING,
			(errmsg("the replication slot of freshet holds back " UINT64_FORMAT
					" MB of write-ahead log for a transaction under way", lag / (1024 * 1024)),
			 transaction->pid != 0 ?
			 errdetail("Process %d of database %u runs transaction %u.", transaction->pid,
					   transaction->database, transaction->xid) :
			 errdetail("Transaction %u of database %u is prepared.", transaction->xid,
					   transaction->database),
			 errhint("The sinks are up to date; the log is freed when the transaction ends.")));
}

static void
check_wal_lag(void)
{
	static TimestampTz checked_at = 0;
	TimestampTz now = GetCurrentTimestamp();
	uint64		limit = (uint64) freshet_max_wal_lag * 1024 * 1024;
	uint64		unconfirmed;
	uint64		lag;
	LongTransaction transaction;
	bool		found;

	if (freshet_max_wal_lag < 0 || !TimestampDifferenceExceeds(checked_at, now, LAG_CHECK_MS))
		return;
	checked_at = now;
	lag = log_slot_lag(&unconfirmed);
	/* also lets go what is of other databases, before it is much */
	found = decoder_oldest_transaction(&transaction);
	if (lag <= limit)
		return;
	if (unconfirmed <= limit)
	{
		if (found)
			warn_of_transaction(lag, &transaction);
		return;
	}

	ereport(WARNING,
			(errmsg("freshet gives up its replication slot, which holds back " UINT64_FORMAT
					" MB of write-ahead log", lag / (1024 * 1024)),
			 errdetail("All sinks of database %u are built again.", MyDatabaseId),
			 errhint("If this comes back, raise freshet.max_wal_lag.")));
	decoder_stop();
	fill_abandon();
	log_slot_give_up();
}

/*
 * Errors
 */

static void
note_error(const char *message)
{
	char		copy[FRESHET_ERROR_LEN];
	TimestampTz now = GetCurrentTimestamp();

	strlcpy(copy, message, FRESHET_ERROR_LEN);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	memcpy(MyWorkerSlot->last_error, copy, FRESHET_ERROR_LEN);
	MyWorkerSlot->last_error_at = now;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

static void
back_off(int min_ms, int max_ms)
{
	backoff_ms = backoff_ms == 0 ? min_ms : Min(backoff_ms * 2, max_ms);
	is_backing_off = true;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	MyWorkerSlot->state = WORKER_BACKOFF;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

/* If a lock is not to be had for long, the sink that needs it waits alone. */
static void
leave_out(const BatchFailure *failure)
{
	LockFailure lock;

	if (process_take_lock_failure(&lock) && OidIsValid(failure->sink) &&
		/* for one that the filler has, changes are kept already */
		!fill_is_under_way(failure->sink) && freshet_lock_patience >= 0 &&
		GetCurrentTimestamp() >=
		TimestampTzPlusMilliseconds(lock.since, freshet_lock_patience))
		left_out_add(failure->sink, lock.relid, lock.mode);
}

/* What becomes of a batch that has failed: see trouble.c for that of a sink. */
static void
take_measures(const BatchFailure *failure, const ErrorData *error, bool retry, bool alarm)
{
	if (retry)
	{
		leave_out(failure);
		back_off(MIN_RETRY_MS, MAX_RETRY_MS);
	}
	else if (!OidIsValid(failure->sink))
	{
		MyWorkerSlot->errors++;
		back_off(MIN_BACKOFF_MS, MAX_BACKOFF_MS);
	}
	else if (alarm)
		trouble_note(failure->sink, error->sqlerrcode,
					 "no row was dealt with for freshet.sink_timeout", failure->filling, true);
	else
		trouble_note(failure->sink, error->sqlerrcode,
					 error->detail == NULL ? error->message :
					 psprintf("%s: %s", error->message, error->detail), failure->filling,
					 error->sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE);
}

/*
 * The way out of every error, in the order in which PostgreSQL's own background
 * processes clean up.  No transaction is run here, and nothing that can fail but
 * for lack of memory.
 */
static void
recover_from_error(MemoryContext context)
{
	ErrorData  *error;
	BatchFailure failure;
	bool		retry;
	bool		alarm;

	/* not in a PG_TRY: what it would have reset */
	error_context_stack = NULL;
	HOLD_INTERRUPTS();
	watchdog_stop();
	QueryCancelPending = false;
	retry = process_take_retry();
	retry |= fill_stop_take();
	alarm = watchdog_take_alarm();

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	batch_failure(&failure);
	/* that a row version failed which no snapshot has is nobody's concern */
	if (!retry && (!OidIsValid(failure.sink) || failure.filling ||
				   trouble_is_netted(failure.sink)))
		EmitErrorReport();
	FlushErrorState();

	AbortOutOfAnyTransaction();
	/* what an error outside of a transaction leaves */
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	LockReleaseAll(USER_LOCKMETHOD, true);

	batch_abandon(retry);
	MemoryContextSwitchTo(context);
	note_error(error->message);
	retry_noted = retry;
	RESUME_INTERRUPTS();

	/* without slot and origin; if a sink has come, so does another worker */
	if (giving_up)
		proc_exit(0);
	take_measures(&failure, error, retry, alarm);
	FreeErrorData(error);
}

/*
 * The loop
 */

static void
process_signals(void)
{
	process_check_stop();
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

static void
sleep_on_latch(long timeout)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, timeout,
					 freshet_wait_event(WAIT_WORKER_MAIN));
	ResetLatch(MyLatch);
	process_signals();
}

/* Sleep for at least ms, whatever sets the latch. */
static void
pause_for(long ms)
{
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);

	while (ms > 0)
	{
		sleep_on_latch(ms);
		ms = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);
	}
}

/* Has the log grown so much that the slot should follow, with nothing to do? */
static bool
log_has_grown(void)
{
	return decoder_is_started() &&
		GetXLogInsertRecPtr() - decoder_position() > (uint64) wal_segment_size;
}

/* When what could not be done is to be tried again; 0: there is nothing. */
static TimestampTz
next_retry(void)
{
	TimestampTz sinks = trouble_retry_at();
	TimestampTz identities = identities_retry_at();

	if (sinks == 0 || identities == 0)
		return Max(sinks, identities);
	return Min(sinks, identities);
}

static void
wait_for_commit(void)
{
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, NULL);
	while (pg_atomic_read_u32(&MyWorkerSlot->wakeup) == 0 && !fill_needs_batch())
	{
		long		timeout = HOUSEKEEPING_MS;
		TimestampTz retry_at = next_retry();
		bool		locked = left_out_any() || fill_awaits_lock();

		if (locked)
			timeout = MAX_RETRY_MS;
		if (retry_at != 0)
			timeout = Min(timeout, TimestampDifferenceMilliseconds(GetCurrentTimestamp(), retry_at));
		sleep_on_latch(timeout);
		if (locked || (retry_at != 0 && GetCurrentTimestamp() >= retry_at))
			break;
		if (pg_atomic_read_u32(&MyWorkerSlot->wakeup) == 0)
		{
			batch_confirm(true);
			check_wal_lag();
			if (log_has_grown() || !decoder_is_started())
				break;
		}
	}
	pgstat_report_activity(STATE_RUNNING, "freshet batch");
}

/* After an error for which nobody is to blame. */
static void
wait_out_backoff(void)
{
	if (!is_backing_off)
		return;
	is_backing_off = false;
	check_wal_lag();
	pause_for(backoff_ms);
}

static void
run_and_wait(void)
{
	TimestampTz started = GetCurrentTimestamp();
	BatchOutcome outcome;
	long		left;

	if (!log_slot_ensure())
		give_up();
	batch_run(&outcome);
	MyWorkerSlot->errors = 0;
	backoff_ms = 0;
	if (retry_noted)
		note_error("");
	retry_noted = false;
	check_wal_lag();
	if (outcome.nothing_to_do)
		give_up();
	/* then there may be nothing left to stay for */
	if (identities_settle())
		pg_atomic_write_u32(&MyWorkerSlot->wakeup, 1);
	if (outcome.behind)
		return;
	if (outcome.retry)
	{
		pause_for(RETRY_MS);
		return;
	}

	wait_for_commit();
	left = freshet_batch_interval -
		TimestampDifferenceMilliseconds(started, GetCurrentTimestamp());
	if (left > 0)
		pause_for(left);
}

void
freshet_worker_main(Datum main_arg)
{
	Oid			dboid = DatumGetObjectId(main_arg);
	MemoryContext context;
	sigjmp_buf	on_error;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	freshet_process = PROCESS_WORKER;
	process_worker_pid = MyProcPid;
	if (!take_worker_slot(dboid))
		proc_exit(0);
	/* one that is closed to sessions goes on being maintained, or its slot would keep the log */
	BackgroundWorkerInitializeConnectionByOid(dboid, InvalidOid, BGWORKER_BYPASS_ALLOWCONN);

	context = AllocSetContextCreate(TopMemoryContext, "freshet worker", ALLOCSET_DEFAULT_SIZES);
	process_set_session();
	sink_cache_init();
	watchdog_init(&batch_current_sink);
	if (!set_up_origin())
	{
		MyWorkerSlot->wanted = false;
		proc_exit(0);
	}
	ereport(LOG, (errmsg("freshet worker of database %u started", dboid)));

	if (sigsetjmp(on_error, 1) != 0)
		recover_from_error(context);
	PG_exception_stack = &on_error;

	for (;;)
	{
		MemoryContextSwitchTo(context);
		MemoryContextReset(context);
		process_signals();
		batch_settle_troubles();
		wait_out_backoff();
		run_and_wait();
	}
}
