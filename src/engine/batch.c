/*-------------------------------------------------------------------------
 *
 * batch.c
 *		One batch: snapshot, decode, maintain, commit.
 *
 * A batch is one REPEATABLE READ transaction.  Its snapshot S is taken first,
 * then the end of the log is read and flushed up to there: what S sees has
 * its commit record before that end.  The decoder yields exactly what S sees
 * and earlier batches did not.  Every sink is brought to S, sources before
 * dependants, and the progress row is written in the same transaction.
 *
 * If there is more log than freshet.max_batch_size the batch is not aligned:
 * it ends somewhere before S.  Sinks move on, all by the same changes; what
 * needs S (joins, queries that are run, filling, verifying, serving freshet.wait())
 * waits for the batch that reaches it.
 *
 * A batch is decoded in parts of a few megabytes, and each is folded into the
 * sinks' runs as soon as it is there, while it is in the processor's cache;
 * nothing is written before the last part.
 *
 * The catalogue is read again after decoding: decoding executes the
 * invalidations of every transaction that S sees, so no change of the
 * catalogue that S sees escapes the batch, whenever its message arrives.
 *
 * Nothing is confirmed to the slot before the commit that applied it is
 * flushed; the worker itself commits asynchronously, and a commit that is
 * lost in a crash is decoded and applied again.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "storage/condition_variable.h"
#include "utils/memutils.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/names.h"
#include "base/obstacle.h"
#include "base/process.h"
#include "batch.h"
#include "batch_runs.h"
#include "catalog/sink.h"
#include "catalog/sink_catalog.h"
#include "catching_up.h"
#include "counters.h"
#include "decoder.h"
#include "fill.h"
#include "identities.h"
#include "left_out.h"
#include "log_slot.h"
#include "maintain.h"
#include "maintain/run.h"
#include "partitions.h"
#include "phase.h"
#include "progress.h"
#include "snapshot_offer.h"
#include "trouble.h"
#include "watchdog.h"

/* Log between two writings of a progress row in which nothing else changed. */
#define PROGRESS_EVERY	((uint64) 16 * 1024 * 1024)

/* What the progress row says; valid while the decoder is started. */
static Progress stored;

/* There was no progress when decoding started. */
static bool all_anew = false;

/*
 * The batch under way, or the last one.  Not on the stack, as an error's handler
 * has to see it.
 */
static Batch current;

/*
 * The sets of the batch's first part are all that was taken from the decoder,
 * and nothing was done yet but to maintain sinks by them.
 */
static bool can_give_back = false;

/* To be confirmed when the commit record that ends at commit_end is flushed. */
static XLogRecPtr confirm_lsn = InvalidXLogRecPtr;
static XLogRecPtr confirm_commit_end = InvalidXLogRecPtr;

/*
 * End of the log.  At the start of a page the insert position is after the
 * page's header, up to which nothing can be flushed yet.
 */
static XLogRecPtr
end_of_log(void)
{
	XLogRecPtr	lsn = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(lsn, wal_segment_size) == SizeOfXLogLongPHD)
		return lsn - SizeOfXLogLongPHD;
	if (lsn % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return lsn - SizeOfXLogShortPHD;
	return lsn;
}

static void
start_decoder(void)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	if (stored.held_back != NULL)
		pfree(stored.held_back);
	progress_load(&stored);
	MemoryContextSwitchTo(oldcontext);
	all_anew = !stored.valid;
	confirm_lsn = InvalidXLogRecPtr;
	decoder_start(stored.lsn, stored.held_back, stored.nheld_back);
}

/*
 * Progress
 */

static void
write_progress(Batch *batch)
{
	int			nheld = decoder_held_back_count();

	/*
	 * Without a write and without anything held back, a restart may as well
	 * read this stretch of the log again: it changes nothing.
	 */
	if (stored.valid && nheld == 0 && stored.nheld_back == 0 &&
		!TransactionIdIsValid(GetTopTransactionIdIfAny()) && !counters_must_be_stored() &&
		batch->end - stored.lsn < PROGRESS_EVERY)
		return;

	if (stored.held_back != NULL)
		pfree(stored.held_back);
	stored.held_back = MemoryContextAlloc(TopMemoryContext, Max(nheld, 1) * sizeof(TransactionId));
	memcpy(stored.held_back, decoder_held_back_xids(), nheld * sizeof(TransactionId));
	stored.nheld_back = nheld;
	stored.valid = true;
	stored.lsn = batch->end;
	stored.confirmable = batch->end;
	if (nheld > 0)
		stored.confirmable = Min(stored.confirmable, decoder_oldest_held_back());
	log_slot_describe(&stored);
	if (batch->newest_commit != 0)
		stored.commit_time = batch->newest_commit;
	progress_store(&stored);
}

/* No further than a progress row says: who finds the slot beyond it was robbed. */
static void
note_confirmable(bool wrote)
{
	if (!wrote)
		return;
	confirm_lsn = stored.confirmable;
	confirm_commit_end = XactLastCommitEnd;
}

void
batch_confirm(bool flush)
{
	if (XLogRecPtrIsInvalid(confirm_lsn) || !decoder_is_started())
		return;
	if (flush)
		XLogFlush(confirm_commit_end);
	if (GetFlushRecPtr(NULL) < confirm_commit_end)
		return;
	decoder_confirm(confirm_lsn);
	confirm_lsn = InvalidXLogRecPtr;
}

/* Tell the world, after the commit. */
static void
publish(Batch *batch, uint64 ticket)
{
	WorkerSlot *slot = MyWorkerSlot;
	TimestampTz now = GetCurrentTimestamp();
	int			held_back = decoder_held_back_count();

	obstacle_clear(slot, false, slot->batch_started);
	SpinLockAcquire(&slot->mutex);
	slot->applied_at = now;
	slot->applied_lsn = batch->end;
	if (batch->newest_commit != 0)
		slot->applied_commit_time = batch->newest_commit;
	slot->held_back = held_back;
	slot->batches++;
	slot->changes += batch->changes;
	slot->state = batch->aligned ? WORKER_IDLE : WORKER_CATCHING_UP;
	if (batch->aligned)
	{
		/* what is held back has been committed while the batch ran */
		slot->unapplied_since = held_back > 0 ? slot->batch_started : 0;
		slot->aligned_once = true;
	}
	slot->batch_started = 0;
	if (batch->aligned && !batch->retry)
		slot->wait_served = ticket;
	SpinLockRelease(&slot->mutex);
	ConditionVariableBroadcast(&slot->cv);
}

/* Take the ticket before the snapshot: whoever drew it is served by this batch. */
static uint64
take_ticket(void)
{
	uint64		ticket;
	TimestampTz now = GetCurrentTimestamp();
	bool		flagged = pg_atomic_exchange_u32(&MyWorkerSlot->wakeup, 0) != 0;

	SpinLockAcquire(&MyWorkerSlot->mutex);
	ticket = MyWorkerSlot->wait_requested;
	MyWorkerSlot->batch_started = now;
	if (flagged && MyWorkerSlot->unapplied_since == 0)
		MyWorkerSlot->unapplied_since = MyWorkerSlot->flagged_since != 0 ?
			MyWorkerSlot->flagged_since : now;
	MyWorkerSlot->flagged_since = 0;
	if (MyWorkerSlot->state != WORKER_CATCHING_UP)
		MyWorkerSlot->state = WORKER_BATCH;
	SpinLockRelease(&MyWorkerSlot->mutex);
	return ticket;
}

static void
begin_transaction(void)
{
	StartTransactionCommand();
	XactIsoLevel = XACT_REPEATABLE_READ;
	XactReadOnly = false;
}

static void
take_snapshot(void)
{
	PushCopiedSnapshot(GetTransactionSnapshot());
}

/*
 * The log gives the time of a commit that has an origin as the origin's; unless
 * it is set, that of the session's first commit, for ever.
 */
static void
commit_transaction(void)
{
	replorigin_session_origin_timestamp = GetCurrentTimestamp();
	CommitTransactionCommand();
}

/*
 * Is the last sink gone?  create_sink() holds a lock on the catalogue until
 * it commits; with ours no sink can be on its way.
 */
bool
batch_lock_no_sink(void)
{
	process_lock_relation(freshet_catalog_relid("sink"), ShareLock);
	return !sink_catalog_any();
}

/* Decode the batch part by part, and maintain the sinks by each. */
static void
decode_and_maintain(Batch *batch, XLogRecPtr upto)
{
	MemoryContext part_context = AllocSetContextCreate(batch->context, "freshet part",
													   ALLOCSET_DEFAULT_SIZES);

	bool		first = true;

	do
	{
		ListCell   *lc;

		MemoryContextReset(part_context);
		MemoryContextSwitchTo(part_context);
		phase_enter(PHASE_DECODING, InvalidOid);
		decoder_decode(batch->snapshot, upto, &batch->part);
		batch->end = batch->part.end;
		batch->last_part = batch->end >= upto;
		batch->newest_commit = Max(batch->newest_commit, batch->part.newest_commit);
		can_give_back = first;
		phase_enter(PHASE_MAINTAINING, InvalidOid);
		maintain_sinks(batch);
		can_give_back = first = false;
		foreach(lc, batch->part.sets)
			change_set_destroy(lfirst(lc));
		list_free(batch->part.sets);
		batch->part.sets = NIL;
		MemoryContextSwitchTo(batch->context);
	} while (!batch->last_part);
}

/*
 * How far a batch decodes at the most.
 *
 * After a restart the log is read again from before the progress, and what is in
 * it is skipped.  A batch that ended there would take the progress back, and the
 * next restart would apply the rest twice.
 */
static XLogRecPtr
batch_limit(void)
{
	XLogRecPtr	limit = decoder_position() + (uint64) freshet_max_batch_size * 1024 * 1024;

	return stored.valid ? Max(limit, stored.lsn) : limit;
}

/* The batch itself, in its transaction; false if there is nothing left to do. */
static bool
run_in_transaction(Batch *batch, bool verify)
{
	XLogRecPtr	upto;
	XLogRecPtr	limit;
	ListCell   *lc;

	batch->context = CurrentMemoryContext;
	batch->snapshot = GetActiveSnapshot();
	upto = end_of_log();
	XLogFlush(upto);
	batch_confirm(false);

	if (!OidIsValid(get_extension_oid("freshet", true)))
		return false;

	if (!decoder_is_started())
		start_decoder();
	batch->all_anew = all_anew;
	batch->sinks = sink_list();
	trouble_begin_batch(batch->sinks);
	maintain_set_interest(batch->sinks);
	batch->emitted = change_set_create();

	limit = batch_limit();
	batch->aligned = upto <= limit;
	decode_and_maintain(batch, Min(upto, limit));
	change_set_destroy(batch->emitted);
	foreach(lc, sink_clean_states())
		run_drop_leavings(lfirst_oid(lc));
	counters_keep(batch->sinks);
	if (batch->sinks == NIL && !identities_left() && batch_lock_no_sink())
		return false;

	if (batch->written > 0)
		progress_announce(batch->end, Max(batch->newest_commit, stored.commit_time),
						  batch->aligned);
	write_progress(batch);
	if (verify && batch->aligned)
		snapshot_offer_make(MyWorkerSlot, batch->snapshot);
	else if (verify)
		snapshot_offer_aborted(MyWorkerSlot);
	return true;
}

/* The queries that a new plan was a reason to run have been run. */
static void
note_refreshed(Batch *batch)
{
	ListCell   *lc;

	if (!batch->aligned)
		return;
	foreach(lc, batch->sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->state == SINK_LIVE)
			sink->run_anew = false;
	}
}

void
batch_run(BatchOutcome *outcome)
{
	Batch	   *batch = &current;
	uint64		ticket = take_ticket();
	bool		verify;
	bool		wrote;

	memset(outcome, 0, sizeof(BatchOutcome));
	memset(batch, 0, sizeof(Batch));
	can_give_back = false;
	phase_enter(PHASE_PREPARING, InvalidOid);
	counters_begin_batch();
	change_layouts_sweep();
	watchdog_start();
	fill_before_snapshot();
	partitions_before_snapshot();
	begin_transaction();
	/* of no use if the batch will end before its snapshot */
	verify = (!decoder_is_started() || GetXLogInsertRecPtr() <= batch_limit()) &&
		snapshot_offer_prepare(MyWorkerSlot, sink_list_last());
	take_snapshot();
	outcome->nothing_to_do = !run_in_transaction(batch, verify);
	wrote = TransactionIdIsValid(GetTopTransactionIdIfAny());
	PopActiveSnapshot();
	phase_enter(PHASE_COMMITTING, InvalidOid);
	commit_transaction();
	watchdog_stop();
	fill_committed();
	catching_up_committed(batch);
	left_out_committed();
	note_refreshed(batch);
	/* those that were not filled have been set building */
	all_anew = false;

	/* whatever a user's function did, no lock of the session's survives */
	LockReleaseAll(USER_LOCKMETHOD, true);
	if (outcome->nothing_to_do)
		return;

	if (verify && batch->aligned)
		snapshot_offer_committed(MyWorkerSlot);
	note_confirmable(wrote);
	phase_enter(PHASE_NONE, InvalidOid);
	publish(batch, ticket);
	outcome->behind = !batch->aligned;
	outcome->retry = batch->retry || batch->repeat;
}

void
batch_failure(BatchFailure *failure)
{
	failure->sink = batch_current_sink;
	failure->filling = current.filling;
}

void
batch_abandon(bool retry)
{
	batch_current_sink = InvalidOid;
	phase_enter(PHASE_NONE, InvalidOid);
	snapshot_offer_aborted(MyWorkerSlot);
	if (!retry)
		sink_cache_invalidate();
	if (can_give_back && decoder_is_started())
	{
		/* the same changes again, and without reading the log again */
		can_give_back = false;
		change_set_destroy(current.emitted);
		counters_take_back();
		decoder_give_back(&current.part);
		fill_aborted();
		catching_up_aborted();
		left_out_aborted();
		return;
	}
	confirm_lsn = InvalidXLogRecPtr;
	decoder_stop();
	fill_abandon();
	catching_up_abandon();
	left_out_abandon();
}

static const char *
step_hint(TroubleStep step)
{
	return step == TROUBLE_FAIL ? "Mend the cause, then run freshet.rebuild_sink()." :
		"It is computed anew at the next snapshot; nothing has to be done.";
}

/* Tell of a step in the server's log. */
static void
log_step(Oid relid, TroubleStep step, const char *message)
{
	char	   *name = get_rel_name(relid);

	if (name != NULL)
		ereport(step == TROUBLE_FAIL ? WARNING : LOG,
				(errmsg(step == TROUBLE_FAIL ? "sink \"%s\" has failed: %s" :
						"sink \"%s\" cannot follow single changes: %s", name, message),
				 errhint("%s", step_hint(step))));
}

void
batch_settle_troubles(void)
{
	Oid			relid;
	TroubleStep step;
	const char *message;

	while (trouble_next(&relid, &step, &message))
	{
		ListCell   *lc;

		begin_transaction();
		take_snapshot();
		foreach(lc, sink_list())
		{
			Sink	   *sink = lfirst(lc);

			if (sink->relid != relid)
				continue;
			if (step == TROUBLE_LONG_KEY)
			{
				fill_cancel(sink);
				run_replace_key_index(relid);
				break;
			}
			if (step == TROUBLE_FILL)
				sink->built_generation = 0;
			fill_cancel(sink);
			sink_set_state(sink, step == TROUBLE_FILL ? SINK_BUILDING : SINK_FAILED,
						   step == TROUBLE_FILL ? NULL : message);
		}
		log_step(relid, step, message);
		PopActiveSnapshot();
		commit_transaction();
		trouble_written(relid);
		pg_atomic_write_u32(&MyWorkerSlot->wakeup, 1);
	}
}
