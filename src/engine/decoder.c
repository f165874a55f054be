/*-------------------------------------------------------------------------
 *
 * decoder.c
 *		From the write-ahead log to change sets aligned to a snapshot.
 *
 * The decoding context is made once and kept over the batches: a new one
 * reads the log again from the slot's restart_lsn.  It is made inside a
 * transaction, because outside one the process would be flagged as decoding
 * and vacuum would ignore its snapshots.
 *
 * begin_cb decides about a transaction by its top-level xid.  What the
 * batch's snapshot S sees goes into the batch.  What S does not see, although
 * its commit record has been read, is held back in a change set of its own
 * until a later snapshot sees it: commit records are ordered otherwise than
 * visibility.  So a batch holds exactly what happened between two snapshots.
 * Rows of one table still come in an order that can be replayed: a
 * transaction that changes a row waits for the one that changed it before to
 * leave the proc array, so what sees the later one sees the earlier one.
 *
 * After a restart the log is read again from the slot's confirmed position.
 * Transactions that the stored progress has are skipped: those whose commit
 * record ends at or before its LSN and which it does not name as held back.
 *
 * Catalogue caches.  Callbacks run under a historic snapshot, and entries
 * that they load are stale or premature for the rest of the batch, and the
 * reverse.  As long as no catalogue change is under way both are the same;
 * a relcache callback notes when there may be one, and then the caches are
 * flushed before and after decoding, as pg_logical_slot_get_changes() does
 * every time (that costs milliseconds, which is why it is not done always).
 *
 * Lifetime: what hangs off "decoder_context" (held-back transactions, and what
 * decoded_relations.c knows) lives from decoder_start() to decoder_stop(), which
 * destroys all change sets, and with them the layouts that are pointed to.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/detoast.h"
#include "access/twophase.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlogutils.h"
#include "miscadmin.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/origin.h"
#include "replication/reorderbuffer.h"
#include "replication/slot.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "base/names.h"
#include "base/process.h"
#include "catalog/sink.h"
#include "decoded_relations.h"
#include "decoder.h"
#include "log_slot.h"
#include "partitions.h"
#include "rewrites.h"

typedef struct HeldBack
{
	TransactionId xid;
	XLogRecPtr	commit_start;
	TimestampTz commit_time;
	bool		catalog_changes;
	uint64		interest;		/* of the time when it was decoded */
	ChangeSet  *set;
} HeldBack;

static LogicalDecodingContext *decoding = NULL;
static MemoryContext decoder_context = NULL;
static MemoryContext change_context = NULL; /* reset after each change */
static List *held_back = NIL;	/* in the order of commit records */
static DecodeResult given_back; /* see decoder_give_back() */
static uint64 interest_number = 0;
static bool catalogs_changed = true;

/*
 * The catalogues were changed last before this position: a transaction in the
 * log before it may be older than what they say now.
 */
static XLogRecPtr catalogs_changed_upto = InvalidXLogRecPtr;

/* progress before the start */
static XLogRecPtr skip_before;
static TransactionId *skip_not;
static int	nskip_not;

/* state of the call of decoder_decode() under way */
static Snapshot align_snapshot;
static DecodeResult *decode_result;
static ChangeSet *batch_set;	/* made at the first visible transaction */
static ChangeSet *current_set;	/* of the transaction being replayed; NULL: skip */

static void
relation_changed(Datum arg, Oid relid)
{
	catalogs_changed = true;
}

void
decoder_confirm(XLogRecPtr lsn)
{
	if (MyReplicationSlot == NULL || XLogRecPtrIsInvalid(lsn) ||
		lsn <= MyReplicationSlot->data.confirmed_flush)
		return;
	LogicalConfirmReceivedLocation(lsn);

	/* written at the next checkpoint: less to read again after a restart */
	ReplicationSlotMarkDirty();
}

/*
 * Starting and stopping
 */

void
decoder_start(XLogRecPtr applied, const TransactionId *held, int nheld)
{
	static bool callback_registered = false;
	MemoryContext oldcontext;

	Assert(decoding == NULL && MyReplicationSlot != NULL && IsTransactionState());

	if (!callback_registered)
	{
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
		callback_registered = true;
	}

	decoder_context = AllocSetContextCreate(TopMemoryContext, "freshet decoder",
											ALLOCSET_DEFAULT_SIZES);
	change_context = AllocSetContextCreate(decoder_context, "freshet change",
										   ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(decoder_context);
	skip_before = applied;
	nskip_not = nheld;
	skip_not = palloc(Max(nheld, 1) * sizeof(TransactionId));
	memcpy(skip_not, held, nheld * sizeof(TransactionId));

	decoded_relations_start(decoder_context);

	MemoryContextSwitchTo(TopMemoryContext);
	decoding = CreateDecodingContext(InvalidXLogRecPtr, NIL, false,
									 XL_ROUTINE(.page_read = read_local_xlog_page,
												.segment_open = wal_segment_open,
												.segment_close = wal_segment_close),
									 NULL, NULL, NULL);
	MemoryContextSwitchTo(oldcontext);
	XLogBeginRead(decoding->reader, MyReplicationSlot->data.restart_lsn);
	catalogs_changed = true;
}

bool
decoder_is_started(void)
{
	return decoding != NULL;
}

void
decoder_stop(void)
{
	if (decoding != NULL)
	{
		LogicalDecodingContext *ctx = decoding;

		decoding = NULL;
		FreeDecodingContext(ctx);
	}
	log_slot_after_error();
	change_set_destroy_all();
	rewrites_forget();
	held_back = NIL;
	memset(&given_back, 0, sizeof(given_back));
	decoded_relations_stop();
	if (decoder_context != NULL)
	{
		MemoryContextDelete(decoder_context);
		decoder_context = NULL;
	}
	InvalidateSystemCaches();
}

XLogRecPtr
decoder_position(void)
{
	return Max(decoding->reader->EndRecPtr, MyReplicationSlot->data.confirmed_flush);
}

void
decoder_set_interest(List *relids)
{
	if (decoded_relations_set_interest(relids))
		interest_number++;
}

/*
 * Callbacks
 */

static bool
already_applied(ReorderBufferTXN *txn)
{
	if (txn->end_lsn > skip_before)
		return false;
	for (int i = 0; i < nskip_not; i++)
	{
		if (skip_not[i] == txn->xid)
			return false;
	}
	return true;
}

static void
decoder_begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	MemoryContext oldcontext;
	HeldBack   *held;

	current_set = NULL;
	if (already_applied(txn))
		return;

	oldcontext = MemoryContextSwitchTo(decoder_context);
	if (!XidInMVCCSnapshot(txn->xid, align_snapshot))
	{
		if (batch_set == NULL)
			batch_set = change_set_create();
		current_set = batch_set;
		decode_result->transactions++;
		decode_result->newest_commit = Max(decode_result->newest_commit,
										   freshet_commit_time(txn));
	}
	else
	{
		held = palloc(sizeof(HeldBack));
		held->xid = txn->xid;
		held->commit_start = txn->final_lsn;
		held->commit_time = freshet_commit_time(txn);
		held->catalog_changes = rbtxn_has_catalog_changes(txn);
		held->interest = interest_number;
		held->set = change_set_create();
		held_back = lappend(held_back, held);
		current_set = held->set;
	}
	MemoryContextSwitchTo(oldcontext);
}

static void
decoder_commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(change_context);

	rewrites_end_transaction(txn, decoded_relations_interest(), current_set);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(change_context);
	current_set = NULL;
}

/*
 * A copy of a new row with every value in line.  A value that the update did
 * not change comes as a pointer into the table's TOAST relation, which must
 * not be followed (the value may be gone): the old row has it, in line, if
 * the identity is full, and else the column cannot be used by a sink anyway.
 */
static HeapTuple
inline_values(HeapTuple new, HeapTuple old, TupleDesc desc)
{
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));

	heap_deform_tuple(new, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		struct varlena *value;

		if (nulls[i] || att->attisdropped || att->attlen != -1)
			continue;
		value = (struct varlena *) DatumGetPointer(values[i]);
		if (!VARATT_IS_EXTERNAL(value))
			continue;
		if (!VARATT_IS_EXTERNAL_ONDISK(value))
			values[i] = PointerGetDatum(detoast_external_attr(value));
		else if (old != NULL)
			values[i] = heap_getattr(old, i + 1, desc, &nulls[i]);
		else
			nulls[i] = true;
	}
	return heap_form_tuple(desc, values, nulls);
}

static void
decoder_change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation rel,
				  ReorderBufferChange *change)
{
	DecodedRelation *entry;
	MemoryContext oldcontext;
	ChangeKind	kind = CHANGE_ROW;
	HeapTuple	old;
	HeapTuple	new;
	ListCell   *lc;

	if (current_set == NULL)
		return;
	entry = decoded_relation(rel);
	if (entry->targets == NIL)
		return;
	if (entry->rewrite)
	{
		foreach(lc, entry->targets)
			change_list_set_unknown(change_set_get_list(current_set,
														((DecodedTarget *) lfirst(lc))->source,
														true));
		return;
	}

	old = freshet_change_old_tuple(change);
	new = freshet_change_new_tuple(change);
	if (old == NULL && change->action == REORDER_BUFFER_CHANGE_UPDATE)
		kind = CHANGE_SAME_IDENTITY;
	else if (old == NULL && change->action == REORDER_BUFFER_CHANGE_DELETE)
		kind = CHANGE_BLIND_DELETE;

	oldcontext = MemoryContextSwitchTo(change_context);
	if (new != NULL && HeapTupleHasExternal(new))
		new = inline_values(new, old, RelationGetDescr(rel));

	foreach(lc, entry->targets)
	{
		DecodedTarget *target = lfirst(lc);

		if (target->set_serial != current_set->serial)
		{
			target->list = change_set_get_list(current_set, target->source, true);
			target->set_serial = current_set->serial;
		}
		if (target->map == NULL)
			change_list_add(target->list, kind, target->layout, old, new);
		else
			change_list_add(target->list, kind, target->layout,
							old ? execute_attr_map_tuple(old, target->map) : NULL,
							new ? execute_attr_map_tuple(new, target->map) : NULL);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(change_context);
}

/*
 * TRUNCATE of a source empties it.  One of a leaf alone takes away rows that
 * nobody can name: the sinks over its root have to be computed again.
 */
static void
decoder_truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, int nrelations,
					Relation rels[], ReorderBufferChange *change)
{
	ListCell   *lc;

	if (current_set == NULL)
		return;

	for (int i = 0; i < nrelations; i++)
	{
		foreach(lc, decoded_relation(rels[i])->targets)
		{
			DecodedTarget *target = lfirst(lc);
			ChangeList *list = change_set_get_list(current_set, target->source, true);
			bool		named = false;

			/* the log names the root too if the command did */
			for (int j = 0; j < change->data.truncate.nrelids; j++)
				named |= change->data.truncate.relids[j] == target->source;

			if (target->source == RelationGetRelid(rels[i]))
				change_list_add_truncate(list);
			else if (!named)
				change_list_set_unknown(list);
		}
	}
}

/* The worker's own writes carry its origin, those of its filler the one for
 * what is not to be replicated. */
static bool
decoder_filter_by_origin_cb(LogicalDecodingContext *ctx, RepOriginId origin_id)
{
	return origin_id != InvalidRepOriginId &&
		(origin_id == replorigin_session_origin || origin_id == DoNotReplicateId);
}

static void
decoder_startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	options->receive_rewrites = true;
}

void
decoder_plugin_callbacks(OutputPluginCallbacks *cb)
{
	cb->startup_cb = decoder_startup_cb;
	cb->begin_cb = decoder_begin_cb;
	cb->change_cb = decoder_change_cb;
	cb->truncate_cb = decoder_truncate_cb;
	cb->commit_cb = decoder_commit_cb;
	cb->filter_by_origin_cb = decoder_filter_by_origin_cb;
}

/*
 * Decoding
 */

/* The list outlives the transaction: it may be given back after its abort. */
static void
add_set(DecodeResult *result, ChangeSet *set)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(decoder_context);

	result->sets = lappend(result->sets, set);
	MemoryContextSwitchTo(oldcontext);
}

/* Move what the snapshot now sees from the held back to the result. */
static void
release_visible(Snapshot snapshot, DecodeResult *result)
{
	List	   *still = NIL;
	ListCell   *lc;
	MemoryContext oldcontext = CurrentMemoryContext;

	foreach(lc, held_back)
	{
		HeldBack   *held = lfirst(lc);

		if (XidInMVCCSnapshot(held->xid, snapshot))
		{
			MemoryContextSwitchTo(decoder_context);
			still = lappend(still, held);
			MemoryContextSwitchTo(oldcontext);
			continue;
		}
		if (held->catalog_changes)
		{
			sink_cache_invalidate();
			partitions_forget();
		}
		add_set(result, held->set);
		result->transactions++;
		result->newest_commit = Max(result->newest_commit, held->commit_time);
		pfree(held);
	}
	list_free(held_back);
	held_back = still;
}

void
decoder_give_back(DecodeResult *result)
{
	ListCell   *lc;

	given_back = *result;
	foreach(lc, given_back.sets)
		change_set_end_reading(lfirst(lc));
}

/* What was given back comes first: every later snapshot sees it too. */
static void
take_back(DecodeResult *result)
{
	*result = given_back;
	result->end = InvalidXLogRecPtr;
	memset(&given_back, 0, sizeof(given_back));
}

void
decoder_decode(Snapshot snapshot, XLogRecPtr upto, DecodeResult *result)
{
	ResourceOwner owner = CurrentResourceOwner;
	MemoryContext oldcontext = CurrentMemoryContext;
	bool		flush_caches;
	int			nrecords = 0;

	decoded_relations_sweep();
	take_back(result);
	align_snapshot = snapshot;
	decode_result = result;
	batch_set = NULL;
	release_visible(snapshot, result);

	/*
	 * What replay loads into the caches is of the time of the transaction that
	 * is replayed.  While a change of the catalogues is ahead, whose message has
	 * come already, what was loaded before must not serve replay, and what replay
	 * loads must not serve anybody after it: it may name a file that is gone.
	 */
	if (catalogs_changed)
		catalogs_changed_upto = GetXLogInsertRecPtr();
	flush_caches = decoding->reader->EndRecPtr < catalogs_changed_upto ||
		freshet_debug_flush_caches;
	if (flush_caches)
		InvalidateSystemCaches();
	catalogs_changed = false;

	/* the reader and the reorder buffer allocate in the current context */
	MemoryContextSwitchTo(decoding->context);
	while (decoding->reader->EndRecPtr < upto &&
		   (batch_set == NULL || change_set_size(batch_set) < DECODE_PART_SIZE))
	{
		char	   *error = NULL;
		XLogRecord *record = XLogReadRecord(decoding->reader, &error);

		if (error)
			elog(ERROR, "could not read the write-ahead log at %X/%X: %s",
				 LSN_FORMAT_ARGS(decoding->reader->EndRecPtr), error);
		if (record != NULL)
			rewrites_note_record(decoding->reader);
		if (record != NULL)
			LogicalDecodingProcessRecord(decoding, decoding->reader);

		if (unlikely(freshet_debug_flush_caches))
			InvalidateSystemCaches();

		/* replay in a subtransaction leaves both changed */
		CurrentResourceOwner = owner;
		MemoryContextSwitchTo(decoding->context);
		if ((++nrecords & 63) == 0)
			process_check_stop();
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextSwitchTo(oldcontext);

	if (catalogs_changed)
		catalogs_changed_upto = GetXLogInsertRecPtr();
	if (flush_caches || catalogs_changed)
		InvalidateSystemCaches();
	catalogs_changed = false;

	if (batch_set != NULL)
		add_set(result, batch_set);
	result->end = decoding->reader->EndRecPtr;
	align_snapshot = NULL;
	decode_result = NULL;
}

/* Whose it is; false if nobody runs it any more, or it is a subtransaction. */
static bool
find_transaction(TransactionId xid, LongTransaction *result)
{
	bool		found = false;
	int			nprocs = ProcGlobal->allProcCount;

	result->xid = xid;
	LWLockAcquire(ProcArrayLock, LW_SHARED);
	for (int i = 0; i < nprocs + max_prepared_xacts && !found; i++)
	{
		PGPROC	   *proc = i < nprocs ? &ProcGlobal->allProcs[i] :
			&PreparedXactProcs[i - nprocs];

		found = proc->xid == xid;
		result->database = proc->databaseId;
		result->pid = proc->pid;
	}
	LWLockRelease(ProcArrayLock);
	return found;
}

bool
decoder_oldest_transaction(LongTransaction *result)
{
	ReorderBufferTXN *txn;

	if (decoding == NULL)
		return false;
	while ((txn = ReorderBufferGetOldestTXN(decoding->reorder)) != NULL)
	{
		if (!find_transaction(txn->xid, result))
			return false;
		if (result->database == MyDatabaseId)
			return true;
		/* it commits without being replayed; only what it invalidates is ours */
		if (txn->base_snapshot == NULL && txn->ninvalidations > 0)
			return false;
		ReorderBufferForget(decoding->reorder, txn->xid, decoding->reader->EndRecPtr);
	}
	return false;
}

int
decoder_held_back_count(void)
{
	return list_length(held_back);
}

TransactionId *
decoder_held_back_xids(void)
{
	TransactionId *xids = palloc(Max(list_length(held_back), 1) * sizeof(TransactionId));
	ListCell   *lc;

	foreach(lc, held_back)
		xids[foreach_current_index(lc)] = ((HeldBack *) lfirst(lc))->xid;
	return xids;
}

XLogRecPtr
decoder_oldest_held_back(void)
{
	if (held_back == NIL)
		return InvalidXLogRecPtr;
	return ((HeldBack *) linitial(held_back))->commit_start;
}

bool
decoder_holds_older_interest(void)
{
	ListCell   *lc;

	foreach(lc, held_back)
	{
		if (((HeldBack *) lfirst(lc))->interest != interest_number)
			return true;
	}
	return false;
}
