/*-------------------------------------------------------------------------
 *
 * verify.c
 *		freshet.verify_sink(): obtaining the two snapshots.
 *
 * The promise is that at a commit of the worker the sink equals its query at
 * the snapshot S of the batch.  To check it exactly one needs S, to evaluate
 * the query, and a snapshot V from after that commit and before the next, to
 * read the sink.  The session gets both from the worker, in the steps of
 * VerifyPhase (shmem.h); then the worker goes on, and the session compares at
 * leisure.  One session at a time; the others queue for VERIFY_NONE.
 *
 * The session must have announced S's xmin before the worker ends its
 * transaction, or vacuum may remove rows that S needs: hence the worker waits
 * for HELD before its commit.  The registered copy of S keeps the xmin from
 * then on.  The worker waits for COMMITTED to pass, so that V cannot see a
 * later batch.  It waits WORKER_PATIENCE_MS at the most, so a session that is
 * stopped or killed delays it and no more.
 *
 * TRUNCATE and rewrites are visible to all snapshots at once.  So what the
 * comparison reads is locked before S is taken, at a moment when the worker is
 * between two batches and holds no lock (LOCKING).  The worker then takes the same
 * locks, first of all: behind somebody who waits for the session's lock it would
 * not get them later, and the session would wait for a batch that cannot be.
 * If it comes too late for that it says so (LOCKING again, or REQUESTED), and the
 * session lets all go.
 *
 * The session waits for no lock while it holds another, or who locks several of
 * these tables could be the victim of a deadlock: it takes all without waiting,
 * tries that for a moment, and if one is not to be had gives the worker leave,
 * waits for that one with nothing else locked, and asks again.
 *
 * A worker that is behind by more log than one batch reads has no snapshot to offer
 * until it has caught up.  A session that waits longer than a moment is told why, and
 * how far it is, and the error at the end of its patience says the same.
 *
 * A partition can be attached, or detached concurrently, all the same.  The
 * sources' leaves are noted before S is taken and looked at again when all is
 * compared; if they differ, it is compared again.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/transam.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "api.h"
#include "base/exchange.h"
#include "base/process.h"
#include "base/subtransaction.h"
#include "catalog/sink_catalog.h"
#include "verify.h"

#define SESSION_PATIENCE_MS	300000
#define LOCKING_PATIENCE_MS	200

/* When to tell of a worker that is behind, of one that is not, and again. */
#define TELL_BEHIND_MS		1000
#define TELL_MS				10000
#define MAX_TELL_MS			60000

PG_FUNCTION_INFO_V1(freshet_verify_sink);

/* The two snapshots, registered. */
typedef struct VerifySnapshots
{
	Snapshot	query;			/* S */
	Snapshot	sink;			/* V */
	TransactionId batch_xid;	/* that V sees and S does not */
} VerifySnapshots;

/* For how long the session waits for the worker, in all its attempts. */
typedef struct Patience
{
	TimestampTz since;
	int			told_ms;		/* after so much of it has it last been told; 0: not yet */
} Patience;

/* One attempt. */
typedef struct Attempt
{
	Patience   *patience;
	Sink	   *sink;
	List	   *locked;
	List	   *read;			/* what the query reads, when locked */
	Oid			obstacle;		/* what somebody else has locked */
	VerifySnapshots snapshots;
} Attempt;

/*
 * The session's side.
 */

/* If the session fails in between, others and the worker must not wait. */
static void
leave_exchange(int code, Datum arg)
{
	WorkerSlot *slot = (WorkerSlot *) DatumGetPointer(arg);
	pid_t		pid;
	VerifyPhase phase;

	/* the worker may be moving it on */
	do
	{
		phase = exchange_phase(slot, &pid);
	} while (phase != VERIFY_NONE && pid == MyProcPid &&
			 !exchange_advance(slot, phase, VERIFY_NONE, MyProcPid));
}

static bool
is_over(const Patience *patience)
{
	return TimestampDifferenceExceeds(patience->since, GetCurrentTimestamp(),
									  SESSION_PATIENCE_MS);
}

/* The session has waited a little more. */
static void
go_on_waiting(WorkerSlot *slot, Patience *patience)
{
	long		waited = TimestampDifferenceMilliseconds(patience->since, GetCurrentTimestamp());
	int			tell_ms;

	if (is_over(patience))
		api_timeout_error("a batch that ends at its snapshot", slot);
	if (patience->told_ms > 0)
		tell_ms = patience->told_ms + Min(Max(patience->told_ms, TELL_MS), MAX_TELL_MS);
	else
		tell_ms = api_worker_is_behind(slot) ? TELL_BEHIND_MS : TELL_MS;
	if (waited < tell_ms)
		return;
	patience->told_ms = (int) waited;
	ereport(NOTICE,
			(errmsg("waiting for a batch that ends at its snapshot"),
			 errdetail("%s", api_describe_worker(slot)),
			 errhint("A sink is compared with its query when the worker has caught up. The call can "
					 "be cancelled.")));
}

static void
request(WorkerSlot *slot, Oid relid, Patience *patience)
{
	for (;;)
	{
		VerifyPhase phase;
		pid_t		pid;

		CHECK_FOR_INTERRUPTS();
		SpinLockAcquire(&slot->mutex);
		phase = slot->verify_phase;
		pid = slot->verify_pid;
		if (phase == VERIFY_NONE)
		{
			slot->verify_phase = VERIFY_REQUESTED;
			slot->verify_pid = MyProcPid;
			slot->verify_relid = relid;
		}
		SpinLockRelease(&slot->mutex);

		if (phase == VERIFY_NONE)
			break;
		(void) exchange_sleep_while(slot, phase, pid, 1000);
		go_on_waiting(slot, patience);
	}
	shmem_wake_worker(MyDatabaseId);
}

static void
unlock_relations(Attempt *attempt)
{
	process_unlock_all(attempt->locked, AccessShareLock);
	attempt->locked = NIL;
}

/* Lock all that the comparison reads, or nothing: then there is an obstacle. */
static bool
lock_relations(Attempt *attempt)
{
	List	   *relids = lcons_oid(attempt->sink->relid, sink_relations_read(attempt->sink));

	attempt->obstacle = process_lock_all(relids, AccessShareLock);
	if (!OidIsValid(attempt->obstacle))
		attempt->locked = relids;
	return !OidIsValid(attempt->obstacle);
}

/*
 * The worker waits.  Who queued behind the locks of its last batch has them
 * now, and is soon done.
 */
static bool
lock_soon(Attempt *attempt)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   LOCKING_PATIENCE_MS);

	unlock_relations(attempt);
	while (!lock_relations(attempt))
	{
		CHECK_FOR_INTERRUPTS();
		if (GetCurrentTimestamp() >= deadline)
			return false;
		pg_usleep(100);
	}
	attempt->read = sink_relations_read(attempt->sink);
	return true;
}

/* Lock when the worker says so, and wait for the offer; false if a lock was not to be had. */
static bool
await_offer(WorkerSlot *slot, Attempt *attempt)
{
	VerifyPhase phase = VERIFY_REQUESTED;

	for (;;)
	{
		phase = exchange_sleep_while(slot, phase, MyProcPid, 1000);
		switch (phase)
		{
			case VERIFY_REQUESTED:
				unlock_relations(attempt);
				go_on_waiting(slot, attempt->patience);
				/* it may be another worker by now */
				shmem_wake_worker(MyDatabaseId);
				break;
			case VERIFY_LOCKING:
				if (!lock_soon(attempt))
				{
					(void) exchange_advance(slot, VERIFY_LOCKING, VERIFY_NONE, MyProcPid);
					return false;
				}
				(void) exchange_advance(slot, VERIFY_LOCKING, VERIFY_LOCKED, MyProcPid);
				break;
			case VERIFY_LOCKED:
				break;
			case VERIFY_OFFERED:
				return true;
			default:
				ereport(ERROR,
						(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
						 errmsg("the worker could not hand over its snapshot"),
						 errhint("Try again when fewer transactions are running.")));
		}
	}
}

/*
 * Take the snapshot on offer and protect what it sees.  An xmin of ours that
 * is older than the snapshot's protects it already, and must stay.
 */
static Snapshot
import_snapshot(WorkerSlot *slot)
{
	char	   *copy = palloc(slot->verify_len);
	VirtualTransactionId vxid = slot->verify_vxid;
	Snapshot	snapshot;

	memcpy(copy, slot->verify_snapshot, slot->verify_len);
	snapshot = RestoreSnapshot(copy);

	/* it sees nothing that the current transaction itself did */
	snapshot->curcid = FirstCommandId;

	if ((!TransactionIdIsValid(MyProc->xmin) ||
		 TransactionIdFollows(MyProc->xmin, snapshot->xmin)) &&
		!ProcArrayInstallImportedXmin(snapshot->xmin, &vxid))
		return NULL;
	return RegisterSnapshot(snapshot);
}

/* Once through the exchange; false if it came to nothing. */
static bool
exchange(WorkerSlot *slot, Attempt *attempt)
{
	VerifySnapshots *result = &attempt->snapshots;

	request(slot, attempt->sink->relid, attempt->patience);
	if (!await_offer(slot, attempt))
		return false;

	result->batch_xid = slot->verify_xid;
	result->query = import_snapshot(slot);
	if (result->query == NULL)
		return false;

	if (!exchange_advance(slot, VERIFY_OFFERED, VERIFY_HELD, MyProcPid) ||
		exchange_sleep_while(slot, VERIFY_HELD, MyProcPid, SESSION_PATIENCE_MS) != VERIFY_COMMITTED)
	{
		UnregisterSnapshot(result->query);
		return false;
	}

	result->sink = RegisterSnapshot(GetLatestSnapshot());

	/* if the worker has lost patience, another batch may be in there */
	if (!exchange_advance(slot, VERIFY_COMMITTED, VERIFY_NONE, MyProcPid))
	{
		UnregisterSnapshot(result->sink);
		UnregisterSnapshot(result->query);
		return false;
	}
	return true;
}

static bool
obtain_snapshots(WorkerSlot *slot, Attempt *attempt)
{
	volatile bool done = false;

	PG_ENSURE_ERROR_CLEANUP(leave_exchange, PointerGetDatum(slot));
	{
		done = exchange(slot, attempt);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_exchange, PointerGetDatum(slot));

	if (!done)
		leave_exchange(0, PointerGetDatum(slot));
	return done;
}

/* With nothing else locked. */
static void
wait_for_relation(Oid relid)
{
	if (!OidIsValid(relid))
		return;
	LockRelationOid(relid, AccessShareLock);
	UnlockRelationOid(relid, AccessShareLock);
}

static void
check_live(const Sink *sink)
{
	const char *state;
	const char *hint;

	if (sink->paused || sink->state == SINK_PAUSED)
	{
		state = "is paused";
		hint = "Run freshet.resume_sink() first.";
	}
	else if (sink->built_generation != sink->generation || sink->state == SINK_BUILDING)
	{
		state = "is being built";
		hint = "freshet.wait() with the name of the sink waits until it is live.";
	}
	else if (sink->state == SINK_FAILED)
	{
		state = "has failed";
		hint = "Mend the cause, then run freshet.rebuild_sink().";
	}
	else
		return;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sink \"%s\" %s", get_rel_name(sink->relid), state),
			 errdetail("Only a live sink equals its query."),
			 errhint("%s", hint)));
}

static void
check_owner(Oid relid)
{
	if (get_rel_name(relid) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	if (!freshet_owns_relation(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
}

/* The sink as V sees it. */
static Sink *
read_verified_sink(const Attempt *attempt)
{
	const Sink *sink = attempt->sink;
	Sink	   *result = sink_catalog_read(sink->relid, attempt->snapshots.sink);

	if (result == NULL)
		(void) sink_get(sink->relid);	/* which raises the error */
	sink_take_as_defined(result);
	result->source_is_sink = sink->source_is_sink;
	result->sources = sink->sources;
	result->views = sink->views;
	check_live(result);
	return result;
}

/*
 * S and what the batch wrote, for the query of a sink over sinks: these are
 * read as the batch left them, tables at S.  The batch got its xid after S was
 * taken; whoever got one in between is still running, as S sees it.
 */
static Snapshot
snapshot_with_batch(Snapshot snapshot, TransactionId xid)
{
	SnapshotData result = *snapshot;
	uint32		nxids = snapshot->xcnt;
	TransactionId other;

	if (!TransactionIdIsValid(xid))
		return RegisterSnapshot(snapshot);

	Assert(TransactionIdFollowsOrEquals(xid, snapshot->xmax));
	result.xip = palloc_extended((snapshot->xcnt + (xid - snapshot->xmax) + 1) *
								 sizeof(TransactionId), MCXT_ALLOC_HUGE);
	memcpy(result.xip, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	other = snapshot->xmax;
	while (other != xid)
	{
		result.xip[nxids++] = other;
		TransactionIdAdvance(other);
	}
	result.xcnt = nxids;
	TransactionIdAdvance(other);
	result.xmax = other;

	/* not the registered one: a copy of this is to be made */
	result.copied = false;
	result.active_count = 0;
	result.regd_count = 0;
	return RegisterSnapshot(&result);
}

/* With everything locked; false if the sources' partitions changed meanwhile. */
static bool
compare(const Attempt *attempt, int64 *missing, int64 *unexpected)
{
	const VerifySnapshots *snapshots = &attempt->snapshots;
	Sink	   *sink;
	Snapshot	query;

	check_owner(attempt->sink->relid);
	sink = read_verified_sink(attempt);
	query = snapshot_with_batch(snapshots->query,
								sink->source_is_sink ? snapshots->batch_xid :
								InvalidTransactionId);
	verify_compare(sink, query, snapshots->sink, missing, unexpected);
	UnregisterSnapshot(query);
	return equal(sink_relations_read(attempt->sink), attempt->read);
}

/* Once; false if it came to nothing, perhaps for an obstacle that is to be waited for. */
static bool
try_verify(Oid relid, Patience *patience, Oid *obstacle, int64 *missing, int64 *unexpected)
{
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
	Attempt		attempt = {0};
	bool		done;

	check_owner(relid);
	attempt.patience = patience;
	attempt.sink = sink_get(relid);
	api_refuse_stage(attempt.sink);
	sink_take_as_defined(attempt.sink);
	check_live(attempt.sink);
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the worker of this database is not running"),
				 errhint("freshet.wait() waits for it; the server's log tells why it does not "
						 "start.")));

	done = obtain_snapshots(slot, &attempt);
	*obstacle = attempt.obstacle;
	if (done)
	{
		done = compare(&attempt, missing, unexpected);
		UnregisterSnapshot(attempt.snapshots.query);
		UnregisterSnapshot(attempt.snapshots.sink);
	}
	unlock_relations(&attempt);
	return done;
}

/* The arguments of an attempt, and whether it came to its end. */
typedef struct VerifyCall
{
	Oid			relid;
	Patience   *patience;
	Oid		   *obstacle;
	int64	   *missing;
	int64	   *unexpected;
	bool		done;
} VerifyCall;

static bool
call_verify(void *arg)
{
	VerifyCall *call = arg;

	call->done = try_verify(call->relid, call->patience, call->obstacle, call->missing,
							call->unexpected);
	return false;
}

/*
 * In a subtransaction that is taken back: what was locked for the comparison must
 * not outlive it.  DDL that queues behind it holds up the worker, for which the
 * next attempt, or the next call in the same transaction, would wait.
 */
static bool
try_in_subtransaction(Oid relid, Patience *patience, Oid *obstacle, int64 *missing,
					  int64 *unexpected)
{
	VerifyCall	call = {relid, patience, obstacle, missing, unexpected, false};
	ErrorData  *error = subtransaction_try(call_verify, &call);

	if (error != NULL)
		ReThrowError(error);
	return call.done;
}

static void
verify(Oid relid, int64 *missing, int64 *unexpected)
{
	Patience	patience = {GetCurrentTimestamp(), 0};
	Oid			obstacle = InvalidOid;

	while (!try_in_subtransaction(relid, &patience, &obstacle, missing, unexpected))
	{
		if (is_over(&patience))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("could not verify sink \"%s\": its sources keep being locked, or "
							"partitions attached to them", get_rel_name(relid)),
					 errhint("Try again.")));
		wait_for_relation(obstacle);
	}
}

/* verify_sink(sink regclass) -> (missing bigint, unexpected bigint) */
Datum
freshet_verify_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	int64		missing = 0;
	int64		unexpected = 0;
	TupleDesc	desc;
	Datum		values[2];
	bool		nulls[2] = {false, false};

	shmem_require_setup();
	PreventCommandDuringRecovery("freshet.verify_sink()");
	if (process_maintains())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot execute %s within a worker of freshet",
						"freshet.verify_sink()")));
	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");

	verify(relid, &missing, &unexpected);
	values[0] = Int64GetDatum(missing);
	values[1] = Int64GetDatum(unexpected);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
