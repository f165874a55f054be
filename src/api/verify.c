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
 * TRUNCATE, and a partition attached or detached, are visible to all
 * snapshots at once.  The session therefore notes the files of the sources
 * before it asks, and again when it has locked them after it got S; if they
 * differ, it asks again.  It holds no lock on them in between, nor on the
 * sink: behind somebody who waits for the session's lock the worker would not get
 * its own.  And it waits for no lock while it holds another, or who locks
 * several of these tables could be the victim of a deadlock: it takes all
 * without waiting, and if one is not to be had lets all go, waits for that one
 * and asks again.
 *
 * A request may come too late for the batch that answers it: S must see what
 * was committed when the files were noted.  A snapshot taken at that moment
 * tells.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
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
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "api.h"
#include "base/exchange.h"
#include "base/process.h"
#include "catalog/sink_catalog.h"
#include "verify.h"

#define SESSION_PATIENCE_MS	300000

PG_FUNCTION_INFO_V1(freshet_verify_sink);

/* What must not change between the request and the lock. */
typedef struct SourceFile
{
	Oid			relid;
	Oid			file;
} SourceFile;

typedef struct SourceFiles
{
	int			n;
	SourceFile *files;
} SourceFiles;

/* The two snapshots, registered. */
typedef struct VerifySnapshots
{
	Snapshot	query;			/* S */
	Snapshot	sink;			/* V */
	TransactionId batch_xid;	/* that V sees and S does not */
} VerifySnapshots;

/*
 * The session's side.
 */

/* If the session fails in between, others and the worker must not wait. */
static void
leave_exchange(int code, Datum arg)
{
	WorkerSlot *slot = (WorkerSlot *) DatumGetPointer(arg);
	pid_t		pid;
	VerifyPhase phase = exchange_phase(slot, &pid);

	if (phase != VERIFY_NONE && pid == MyProcPid)
		(void) exchange_advance(slot, phase, VERIFY_NONE, MyProcPid);
}

static void
request(WorkerSlot *slot)
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
		}
		SpinLockRelease(&slot->mutex);

		if (phase == VERIFY_NONE)
			break;
		(void) exchange_sleep_while(slot, phase, pid, 1000);
	}
	shmem_wake_worker(MyDatabaseId);
}

static void
await_offer(WorkerSlot *slot)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   SESSION_PATIENCE_MS);

	for (;;)
	{
		VerifyPhase phase = exchange_sleep_while(slot, VERIFY_REQUESTED, MyProcPid, 1000);

		if (phase == VERIFY_OFFERED)
			return;
		if (phase != VERIFY_REQUESTED)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the worker could not hand over its snapshot"),
					 errhint("Try again when fewer transactions are running.")));
		if (GetCurrentTimestamp() >= deadline)
			api_timeout_error("a batch of the worker", slot);

		/* it may be another worker by now */
		shmem_wake_worker(MyDatabaseId);
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
exchange(WorkerSlot *slot, VerifySnapshots *result)
{
	request(slot);
	await_offer(slot);

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
obtain_snapshots(WorkerSlot *slot, VerifySnapshots *result)
{
	volatile bool done = false;

	PG_ENSURE_ERROR_CLEANUP(leave_exchange, PointerGetDatum(slot));
	{
		done = exchange(slot, result);
	}
	PG_END_ENSURE_ERROR_CLEANUP(leave_exchange, PointerGetDatum(slot));

	if (!done)
		leave_exchange(0, PointerGetDatum(slot));
	return done;
}

/* Does a snapshot see whatever the other one, taken by this session, sees? */
static bool
sees_all_of(Snapshot snapshot, Snapshot other)
{
	if (TransactionIdPrecedes(snapshot->xmax, other->xmax))
		return false;

	for (uint32 i = 0; i < snapshot->xcnt; i++)
	{
		TransactionId xid = snapshot->xip[i];
		bool		running = TransactionIdFollowsOrEquals(xid, other->xmax) ||
			TransactionIdIsCurrentTransactionId(xid);

		for (uint32 j = 0; !running && j < other->xcnt; j++)
			running = other->xip[j] == xid;
		if (!running)
			return false;
	}
	return true;
}

/* The sources with their partitions. */
static List *
source_tables(const Sink *sink)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, sink->sources)
		relids = list_concat(relids, find_all_inheritors(lfirst_oid(lc), NoLock, NULL));
	return relids;
}

static void
note_files(const Sink *sink, SourceFiles *result)
{
	List	   *relids = source_tables(sink);
	ListCell   *lc;

	result->n = 0;
	result->files = palloc0(Max(list_length(relids), 1) * sizeof(SourceFile));
	foreach(lc, relids)
	{
		SourceFile *file = &result->files[result->n++];
		HeapTuple	tuple;

		file->relid = lfirst_oid(lc);
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(file->relid));
		if (!HeapTupleIsValid(tuple))
			continue;
		file->file = ((Form_pg_class) GETSTRUCT(tuple))->relfilenode;
		ReleaseSysCache(tuple);
	}
}

static bool
same_files(const SourceFiles *a, const SourceFiles *b)
{
	if (a->n != b->n)
		return false;
	for (int i = 0; i < a->n; i++)
	{
		if (a->files[i].relid != b->files[i].relid || a->files[i].file != b->files[i].file)
			return false;
	}
	return true;
}

static void
unlock_relations(List *relids)
{
	ListCell   *lc;

	foreach(lc, relids)
		UnlockRelationOid(lfirst_oid(lc), AccessShareLock);
}

/*
 * Lock all that the comparison reads, or nothing: then *obstacle is the relation
 * that somebody else has locked.  The list of what was locked is in *locked.
 */
static bool
lock_relations(const Sink *sink, List **locked, Oid *obstacle)
{
	List	   *relids = list_make2_oid(sink->relid, sink->viewid);
	ListCell   *lc;

	relids = list_concat(relids, sink->views);
	relids = list_concat(relids, source_tables(sink));

	*locked = NIL;
	foreach(lc, relids)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), AccessShareLock))
		{
			*obstacle = lfirst_oid(lc);
			unlock_relations(*locked);
			return false;
		}
		*locked = lappend_oid(*locked, lfirst_oid(lc));
	}
	return true;
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
read_verified_sink(const Sink *sink, const VerifySnapshots *snapshots)
{
	Sink	   *result = sink_catalog_read(sink->relid, snapshots->sink);

	if (result == NULL)
		(void) sink_get(sink->relid);	/* which raises the error */
	result->source_is_sink = sink->source_is_sink;
	result->sources = sink->sources;
	result->views = sink->views;
	check_live(result);
	return result;
}

static void
release_snapshots(VerifySnapshots *snapshots)
{
	UnregisterSnapshot(snapshots->query);
	UnregisterSnapshot(snapshots->sink);
}

/*
 * One attempt: the sink as the second snapshot sees it, with everything
 * locked; or NULL, and perhaps a relation in *obstacle whose lock is to be
 * waited for.
 */
static Sink *
try_verify(Oid relid, VerifySnapshots *snapshots, Oid *obstacle)
{
	Sink	   *sink = sink_get(relid);
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
	SourceFiles before;
	SourceFiles after;
	Snapshot	reference;
	List	   *locked;
	bool		good;

	*obstacle = InvalidOid;
	check_owner(relid);
	check_live(sink);
	if (slot == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the worker of this database is not running"),
				 errhint("freshet.wait() waits for it; the server's log tells why it does not "
						 "start.")));

	note_files(sink, &before);
	reference = RegisterSnapshot(GetLatestSnapshot());
	good = obtain_snapshots(slot, snapshots);
	if (good && !sees_all_of(snapshots->query, reference))
	{
		release_snapshots(snapshots);
		good = false;
	}
	UnregisterSnapshot(reference);
	if (!good)
		return NULL;

	if (lock_relations(sink, &locked, obstacle))
	{
		check_owner(relid);
		note_files(sink, &after);
		if (same_files(&before, &after))
			return read_verified_sink(sink, snapshots);
		unlock_relations(locked);
	}
	release_snapshots(snapshots);
	return NULL;
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

static void
verify(Oid relid, int64 *missing, int64 *unexpected)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													   SESSION_PATIENCE_MS);
	VerifySnapshots snapshots;
	Snapshot	query;
	Oid			obstacle = InvalidOid;
	Sink	   *sink = NULL;

	do
	{
		wait_for_relation(obstacle);
		sink = try_verify(relid, &snapshots, &obstacle);
		if (sink == NULL && GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("could not verify sink \"%s\": its sources keep being truncated or "
							"rewritten", get_rel_name(relid)),
					 errhint("Try again.")));
	} while (sink == NULL);

	query = snapshot_with_batch(snapshots.query,
								sink->source_is_sink ? snapshots.batch_xid :
								InvalidTransactionId);
	verify_compare(sink, query, snapshots.sink, missing, unexpected);
	UnregisterSnapshot(query);
	UnregisterSnapshot(snapshots.query);
	UnregisterSnapshot(snapshots.sink);
}

/* verify_sink(sink regclass) -> (missing bigint, unexpected bigint) */
Datum
freshet_verify_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
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

	/*
	 * The locks must not outlive the comparison: DDL that queues behind them
	 * holds up the worker, for which the next call in the same transaction
	 * would wait.  An aborted subtransaction gives them back.
	 */
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		verify(relid, &missing, &unexpected);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	if (error != NULL)
		ReThrowError(error);

	values[0] = Int64GetDatum(missing);
	values[1] = Int64GetDatum(unexpected);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
