/*-------------------------------------------------------------------------
 *
 * log_slot.c
 *		The replication slot of the database: made, dropped, measured.
 *
 * Named freshet_<oid of the database>.  The worker makes it before the first
 * batch, and anew when it is lost; the decoder reads by it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "miscadmin.h"
#include "replication/logical.h"
#include "replication/slot.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/inval.h"

#include "base/names.h"
#include "log_slot.h"

/*
 * Releases that know output_plugin_libraries load only the plugins listed in
 * it.  The worker may list its own library for its own session.
 */
void
log_slot_allow_plugin(void)
{
	if (GetConfigOption("output_plugin_libraries", true, false) != NULL)
		SetConfigOption("output_plugin_libraries", "freshet", PGC_SUSET, PGC_S_SESSION);
}

/*
 * Wait for every transaction that is in progress now.
 *
 * A transaction whose commit record is older than the new slot, but which is
 * still in the proc array (it waits for a flush or for a standby), would be
 * neither decoded nor visible to the first snapshot.
 */
static void
wait_for_running_transactions(void)
{
	RunningTransactions running = GetRunningTransactionData();
	int			nxids = running->xcnt;
	TransactionId *xids = palloc(Max(nxids, 1) * sizeof(TransactionId));

	memcpy(xids, running->xids, nxids * sizeof(TransactionId));
	LWLockRelease(ProcArrayLock);
	LWLockRelease(XidGenLock);

	for (int i = 0; i < nxids; i++)
		XactLockTableWait(xids[i], NULL, NULL, XLTW_None);
	pfree(xids);
}

static bool
slot_has_lost_log(ReplicationSlot *slot)
{
	bool		lost;

	SpinLockAcquire(&slot->mutex);
	lost = XLogRecPtrIsInvalid(slot->data.restart_lsn);
#if PG_VERSION_NUM >= 160000
	if (slot->data.invalidated != RS_INVAL_NONE)
		lost = true;
#endif
	SpinLockRelease(&slot->mutex);
	return lost;
}

bool
log_slot_is_usable(void)
{
	char		name[NAMEDATALEN];
	ReplicationSlot *slot;

	freshet_object_name(MyDatabaseId, name);
	slot = SearchNamedReplicationSlot(name, true);
	return slot != NULL && !slot_has_lost_log(slot);
}

/*
 * Decoding can begin only when the transactions that were running have ended,
 * in all databases, which may take long.  To give up and to begin anew after
 * the worker's lock_timeout would never come to an end on a server where some
 * transaction is always running for longer.  Nobody waits for the worker
 * here: it holds no lock.
 */
static int
wait_without_limit(void)
{
	int			nestlevel = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", "0", PGC_SUSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
							 0, false);
	return nestlevel;
}

void
log_slot_make(void)
{
	char		name[NAMEDATALEN];
	LogicalDecodingContext *ctx;
	int			nestlevel = wait_without_limit();

	freshet_object_name(MyDatabaseId, name);
	log_slot_allow_plugin();
	CheckLogicalDecodingRequirements();

	log_slot_drop();
	freshet_create_slot(name);
	ctx = CreateInitDecodingContext("freshet", NIL, false, InvalidXLogRecPtr,
									XL_ROUTINE(.page_read = read_local_xlog_page,
											   .segment_open = wal_segment_open,
											   .segment_close = wal_segment_close),
									NULL, NULL, NULL);
	DecodingContextFindStartpoint(ctx);
	FreeDecodingContext(ctx);
	ReplicationSlotPersist();
	ReplicationSlotRelease();
	InvalidateSystemCaches();

	wait_for_running_transactions();
	AtEOXact_GUC(false, nestlevel);
}

void
log_slot_drop(void)
{
	char		name[NAMEDATALEN];

	freshet_object_name(MyDatabaseId, name);
	if (SearchNamedReplicationSlot(name, true) != NULL)
		ReplicationSlotDrop(name, false);
}

uint64
log_slot_lag(void)
{
	char		name[NAMEDATALEN];
	ReplicationSlot *slot;
	XLogRecPtr	restart;
	XLogRecPtr	end = GetXLogInsertRecPtr();

	freshet_object_name(MyDatabaseId, name);
	slot = SearchNamedReplicationSlot(name, true);
	if (slot == NULL)
		return 0;
	SpinLockAcquire(&slot->mutex);
	restart = slot->data.restart_lsn;
	SpinLockRelease(&slot->mutex);
	return XLogRecPtrIsInvalid(restart) || restart > end ? 0 : end - restart;
}
