/*-------------------------------------------------------------------------
 *
 * snapshot_offer.c
 *		The worker's half of the exchange with a session that verifies a sink.
 *
 * The session's half, and why the steps are what they are, is in
 * api/verify.c.  The worker waits for the session WORKER_PATIENCE_MS at the
 * most: one that is stopped or killed delays it and no more.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/exchange.h"
#include "base/process.h"
#include "catalog/sink.h"
#include "snapshot_offer.h"

#define WORKER_PATIENCE_MS	5000
#define LOCKING_PATIENCE_MS	500

/*
 * Lock what the session has locked before somebody queues behind it, who would
 * be in the way of the batch that the session waits for.  That is a matter of
 * microseconds, so nothing is looked up in between.
 */
bool
snapshot_offer_prepare(WorkerSlot *slot, List *sinks)
{
	TimestampTz deadline;
	List	   *tables = NIL;
	List	   *written = NIL;
	pid_t		pid;
	ListCell   *lc;

	if (exchange_phase(slot, &pid) != VERIFY_REQUESTED)
		return false;
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid != slot->verify_relid)
			continue;
		tables = sink_relations_read(sink);
		written = list_make1_oid(sink->relid);
	}
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOCKING_PATIENCE_MS);
	if (written == NIL || !exchange_advance(slot, VERIFY_REQUESTED, VERIFY_LOCKING, pid))
		return false;

	while (exchange_sleep_while(slot, VERIFY_LOCKING, pid, LOCKING_PATIENCE_MS) == VERIFY_LOCKED)
	{
		if (process_lock_all(written, RowExclusiveLock) == InvalidOid)
		{
			if (process_lock_all(tables, AccessShareLock) == InvalidOid)
				return true;
			process_unlock_all(written, RowExclusiveLock);
		}
		/* once more, unless it takes too long */
		if (GetCurrentTimestamp() >= deadline ||
			!exchange_advance(slot, VERIFY_LOCKED, VERIFY_LOCKING, pid))
			break;
	}
	snapshot_offer_aborted(slot);
	return false;
}

void
snapshot_offer_make(WorkerSlot *slot, Snapshot snapshot)
{
	pid_t		pid;
	Size		size;

	if (exchange_phase(slot, &pid) != VERIFY_LOCKED)
		return;

	size = EstimateSnapshotSpace(snapshot);
	if (size > FRESHET_SNAPSHOT_LEN)
	{
		(void) exchange_advance(slot, VERIFY_LOCKED, VERIFY_NONE, pid);
		return;
	}

	/* nobody reads these before OFFERED */
	SerializeSnapshot(snapshot, slot->verify_snapshot);
	slot->verify_len = size;
	slot->verify_xid = GetTopTransactionIdIfAny();
	GET_VXID_FROM_PGPROC(slot->verify_vxid, *MyProc);

	if (!exchange_advance(slot, VERIFY_LOCKED, VERIFY_OFFERED, pid))
		return;
	if (exchange_sleep_while(slot, VERIFY_OFFERED, pid, WORKER_PATIENCE_MS) == VERIFY_OFFERED)
		(void) exchange_advance(slot, VERIFY_OFFERED, VERIFY_NONE, pid);
}

void
snapshot_offer_committed(WorkerSlot *slot)
{
	pid_t		pid;

	if (exchange_phase(slot, &pid) != VERIFY_HELD ||
		!exchange_advance(slot, VERIFY_HELD, VERIFY_COMMITTED, pid))
		return;
	if (exchange_sleep_while(slot, VERIFY_COMMITTED, pid, WORKER_PATIENCE_MS) == VERIFY_COMMITTED)
		(void) exchange_advance(slot, VERIFY_COMMITTED, VERIFY_NONE, pid);
}

/* A request that was not answered yet stays for the next batch. */
void
snapshot_offer_aborted(WorkerSlot *slot)
{
	pid_t		pid;
	VerifyPhase phase = exchange_phase(slot, &pid);

	if (phase == VERIFY_LOCKING || phase == VERIFY_LOCKED)
		(void) exchange_advance(slot, phase, VERIFY_REQUESTED, pid);
	else if (phase != VERIFY_NONE && phase != VERIFY_REQUESTED)
		(void) exchange_advance(slot, phase, VERIFY_NONE, pid);
}
