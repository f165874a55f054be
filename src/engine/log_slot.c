/*-------------------------------------------------------------------------
 *
 * log_slot.c
 *		The replication slot of the database: made, dropped, measured.
 *
 * Named freshet_<oid of the database>.  The worker makes it before the first
 * batch, and anew when it is lost; the decoder reads by it.  From then on the
 * worker holds it, over errors and pauses, so that nobody else can read it or
 * move it on.
 *
 * Nobody holds it while there is no worker.  The progress row says what the slot
 * must be: its name, how far it can have been confirmed at most, and what it
 * still had at least (restart_lsn, catalog_xmin).  The slot is on disk before
 * the row that goes with it, and it is confirmed after; so a slot that is ahead
 * of the row was moved by somebody else, and one that is behind was copied
 * along with newer data.  Both are ours, by the row, and made anew.  What has
 * the name without the row's saying so is another's, and so is what is
 * physical, of another database or of another plugin: it is left alone, and
 * another name is taken.
 *
 * A row without a position says that the slot of its name is ours and that
 * everything has to be built.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "replication/logical.h"
#include "replication/slot.h"
#include "storage/lmgr.h"
#include "storage/procarray.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "base/names.h"
#include "base/process.h"
#include "log_slot.h"

/* The slot's name; empty until it has been looked for. */
static char current_name[NAMEDATALEN] = "";

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

/*
 * Which slot
 */

/* What a slot is, copied under its spinlock. */
typedef struct SlotState
{
	NameData	plugin;
	Oid			database;
	bool		lost;			/* the log that it needs is gone */
	XLogRecPtr	restart_lsn;
	XLogRecPtr	confirmed;
	TransactionId catalog_xmin;
} SlotState;

static void
copy_slot(ReplicationSlot *slot, SlotState *state)
{
	SpinLockAcquire(&slot->mutex);
	state->plugin = slot->data.plugin;
	state->database = slot->data.database;
	state->restart_lsn = slot->data.restart_lsn;
	state->confirmed = slot->data.confirmed_flush;
	state->catalog_xmin = slot->data.catalog_xmin;
	state->lost = XLogRecPtrIsInvalid(slot->data.restart_lsn);
#if PG_VERSION_NUM >= 160000
	if (slot->data.invalidated != RS_INVAL_NONE)
		state->lost = true;
#endif
	SpinLockRelease(&slot->mutex);
}

/* A physical slot has neither database nor plugin. */
static bool
is_of_our_kind(const SlotState *state)
{
	return state->database == MyDatabaseId && strcmp(NameStr(state->plugin), "freshet") == 0;
}

/* Why the slot does not go with the progress; NULL if it does. */
static const char *
find_fault(const SlotState *state, const Progress *progress)
{
	if (state->lost)
		return "It has lost its write-ahead log.";
	if (!progress->valid)
		return "What freshet has applied is of another server, or of another time.";
	if (state->confirmed > progress->confirmable)
		return "It was moved on, or made, by somebody else.";
	if (state->restart_lsn < progress->restart_lsn ||
		TransactionIdPrecedes(state->catalog_xmin, progress->catalog_xmin))
		return "It is older than the data: the server was copied.";
	return NULL;
}

void
log_slot_describe(Progress *progress)
{
	SlotState	state;

	copy_slot(MyReplicationSlot, &state);
	strlcpy(progress->slot_name, current_name, NAMEDATALEN);
	progress->restart_lsn = state.restart_lsn;
	progress->catalog_xmin = state.catalog_xmin;
}

/* The first name that nobody has. */
static void
choose_name(char *name)
{
	freshet_object_name(MyDatabaseId, name);
	for (int i = 2; SearchNamedReplicationSlot(name, true) != NULL; i++)
	{
		freshet_object_name(MyDatabaseId, name);
		snprintf(name + strlen(name), NAMEDATALEN - strlen(name), "_%d", i);
	}
}

static void
set_name(const char *name)
{
	strlcpy(current_name, name, NAMEDATALEN);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	strlcpy(MyWorkerSlot->slot_name, name, NAMEDATALEN);
	SpinLockRelease(&MyWorkerSlot->mutex);
}

/* The name in the progress row is that of our slot, if any is ours. */
static bool
is_ours(ReplicationSlot *slot, const Progress *progress, SlotState *state)
{
	copy_slot(slot, state);
	return progress->exists && is_of_our_kind(state);
}

/*
 * Take the slot that the progress row names, if it is there and sound; true if
 * so.  Else the current name is the one to be used.
 */
static bool
take_slot(const Progress *progress)
{
	ReplicationSlot *slot;
	SlotState	state;
	char		name[NAMEDATALEN];
	const char *fault;

	if (progress->exists)
		strlcpy(name, progress->slot_name, NAMEDATALEN);
	else
		freshet_object_name(MyDatabaseId, name);
	set_name(name);
	slot = SearchNamedReplicationSlot(name, true);
	if (slot == NULL)
		return false;
	if (!is_ours(slot, progress, &state))
	{
		choose_name(name);
		ereport(WARNING,
				(errmsg("replication slot \"%s\" was not made by freshet, which uses \"%s\"",
						current_name, name)));
		set_name(name);
		return false;
	}

	fault = find_fault(&state, progress);
	if (fault == NULL)
	{
		/* it can have changed until we hold it */
		freshet_acquire_slot(name);
		copy_slot(MyReplicationSlot, &state);
		fault = is_of_our_kind(&state) ? find_fault(&state, progress) : "It was replaced.";
		if (fault == NULL)
			return true;
		ReplicationSlotRelease();
	}
	ereport(XLogRecPtrIsInvalid(progress->lsn) ? LOG : WARNING,
			(errmsg("freshet makes its replication slot \"%s\" anew", name),
			 errdetail("%s", fault),
			 errhint("All sinks of the database are built again.")));
	return false;
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

/* Make the slot, in place of one that is of no use; it is held from here on. */
static void
make_slot(void)
{
	LogicalDecodingContext *ctx;
	int			nestlevel = wait_without_limit();

	log_slot_allow_plugin();
	CheckLogicalDecodingRequirements();

	log_slot_drop();
	freshet_create_slot(current_name);
	ctx = CreateInitDecodingContext("freshet", NIL, false, InvalidXLogRecPtr,
									XL_ROUTINE(.page_read = read_local_xlog_page,
											   .segment_open = wal_segment_open,
											   .segment_close = wal_segment_close),
									NULL, NULL, NULL);
	DecodingContextFindStartpoint(ctx);
	FreeDecodingContext(ctx);
	ReplicationSlotPersist();
	InvalidateSystemCaches();

	wait_for_running_transactions();
	AtEOXact_GUC(false, nestlevel);
}

/*
 * In transactions of its own: the name must be in the progress row before the
 * slot is there, or nobody would know whose it is after a crash.
 */
bool
log_slot_ensure(void)
{
	Progress	progress;
	bool		found;

	if (MyReplicationSlot != NULL)
		return true;

	SpinLockAcquire(&MyWorkerSlot->mutex);
	MyWorkerSlot->state = WORKER_STARTING;
	SpinLockRelease(&MyWorkerSlot->mutex);

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	found = OidIsValid(get_extension_oid("freshet", true));
	if (found)
	{
		progress_load(&progress);
		log_slot_allow_plugin();
		if (!take_slot(&progress))
			progress_forget(current_name);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	if (!found || MyReplicationSlot != NULL)
		return found;

	StartTransactionCommand();
	make_slot();
	CommitTransactionCommand();
	return true;
}

void
log_slot_give_up(void)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	progress_forget(current_name);
	PopActiveSnapshot();
	CommitTransactionCommand();
	log_slot_drop();
}

/* What has come to be under its name meanwhile is left alone. */
void
log_slot_drop(void)
{
	ReplicationSlot *slot;
	SlotState	state;

	if (MyReplicationSlot != NULL)
		ReplicationSlotRelease();
	if (current_name[0] == '\0')
		freshet_object_name(MyDatabaseId, current_name);
	slot = SearchNamedReplicationSlot(current_name, true);
	if (slot == NULL)
		return;
	copy_slot(slot, &state);
	if (is_of_our_kind(&state))
		ReplicationSlotDrop(current_name, true);
}

void
log_slot_after_error(void)
{
	/* one that was not finished: it goes */
	if (MyReplicationSlot != NULL && MyReplicationSlot->data.persistency == RS_EPHEMERAL)
		ReplicationSlotRelease();
}

uint64
log_slot_lag(uint64 *unconfirmed)
{
	SlotState	state;
	XLogRecPtr	end = GetXLogInsertRecPtr();

	*unconfirmed = 0;
	if (MyReplicationSlot == NULL)
		return 0;
	copy_slot(MyReplicationSlot, &state);
	if (state.lost)
		return 0;
	*unconfirmed = state.confirmed > end ? 0 : end - state.confirmed;
	return state.restart_lsn > end ? 0 : end - state.restart_lsn;
}
