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
 * needs S (filling, verifying, serving freshet.wait()) waits for the batch
 * that reaches it.
 *
 * A batch is decoded in parts of a few megabytes, and each is folded into the
 * sinks' runs as soon as it is there, while it is in the processor's cache;
 * nothing is written before the last part (unless a run's memory is full).
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
#include "freshet.h"

#include <math.h>

#include "access/table.h"
#include "access/tableam.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/condition_variable.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "batch.h"
#include "decoder.h"
#include "feed.h"
#include "guc.h"
#include "progress.h"
#include "run.h"
#include "sink.h"
#include "sink_catalog.h"
#include "verify.h"
#include "worker.h"

#define RATE_SECONDS	10.0

/* Log between two writings of a progress row in which nothing else changed. */
#define PROGRESS_EVERY	((uint64) 16 * 1024 * 1024)

/* What the progress row says; valid while the decoder is started. */
static Progress stored;
static bool rebuild_all;		/* there was no progress when decoding started */

/* To be confirmed when the commit record that ends at commit_end is flushed. */
static XLogRecPtr confirm_lsn = InvalidXLogRecPtr;
static XLogRecPtr confirm_commit_end = InvalidXLogRecPtr;

/* The sink being maintained, for the blame. */
static Oid	current_sink = InvalidOid;

/* A sink that is being maintained. */
typedef struct SinkRun
{
	Sink	   *sink;
	Run		   *run;
} SinkRun;

typedef struct Batch
{
	Snapshot	snapshot;
	MemoryContext context;
	bool		aligned;
	List	   *sinks;
	DecodeResult part;			/* being maintained */
	bool		last_part;
	TimestampTz newest_commit;
	XLogRecPtr	end;			/* decoded up to here */
	List	   *runs;			/* SinkRun * */
	List	   *hungry;			/* SinkRun * to be fed the part, see feed_runs() */
	List	   *unknown;		/* OIDs of sinks whose source changed in a way
								 * that the log does not tell */
	ChangeSet  *emitted;		/* changes of sinks by this batch */
	int64		changes;
	int64		written;		/* rows of sinks */
	bool		retry;
	bool		again;			/* the filler is free for the next sink */
} Batch;

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
	progress_load(&stored, MyWorkerSlot);
	MemoryContextSwitchTo(oldcontext);
	rebuild_all = !stored.valid;
	confirm_lsn = InvalidXLogRecPtr;
	decoder_start(stored.lsn, stored.held_back, stored.nheld_back);
}

/* Have the changes of every source decoded. */
static void
set_interest(List *sinks)
{
	List	   *relids = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, sinks)
	{
		foreach(lc2, ((Sink *) lfirst(lc))->sources)
			relids = list_append_unique_oid(relids, lfirst_oid(lc2));
	}

	/* changes of sinks come from the batch that makes them, not from the log */
	foreach(lc, sinks)
		relids = list_delete_oid(relids, ((Sink *) lfirst(lc))->relid);
	decoder_set_interest(relids);
}

/*
 * Maintaining one sink
 */

/* Changes of a relation in this part. */
static List *
source_lists(Batch *batch, Oid source)
{
	List	   *lists = NIL;
	ListCell   *lc;
	ChangeList *list;

	foreach(lc, batch->part.sets)
	{
		list = change_set_get_list(lfirst(lc), source, false);
		if (list != NULL)
			lists = lappend(lists, list);
	}
	if (batch->last_part)
	{
		list = change_set_get_list(batch->emitted, source, false);
		if (list != NULL)
			lists = lappend(lists, list);
	}
	return lists;
}

static bool
has_changes(Batch *batch, Sink *sink)
{
	for (int i = 0; i < sink->plan->nsources; i++)
	{
		if (source_lists(batch, sink->plan->sources[i].relid) != NIL)
			return true;
	}
	return false;
}

static bool
table_is_empty(Oid relid)
{
	Relation	rel = try_table_open(relid, AccessShareLock);
	TupleTableSlot *slot;
	TableScanDesc scan;
	bool		empty;

	if (rel == NULL)
		return false;
	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	empty = !table_scan_getnextslot(scan, ForwardScanDirection, slot);
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, AccessShareLock);
	return empty;
}

/*
 * Have rows come or gone with a partition?  Attaching, detaching and dropping
 * one logs no row.  A new partition that is still empty is just noted.
 */
static bool
partitions_changed_rows(Sink *sink, List *leaves, List *attached)
{
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;
	ListCell   *lc4;

	forboth(lc, sink->leaves, lc2, sink->attached)
	{
		bool		found = false;

		forboth(lc3, leaves, lc4, attached)
			found |= lfirst_oid(lc3) == lfirst_oid(lc) && lfirst_oid(lc4) == lfirst_oid(lc2);
		if (!found)
			return true;
	}

	foreach(lc, list_difference_oid(leaves, sink->leaves))
	{
		if (!table_is_empty(lfirst_oid(lc)))
			return true;
	}
	return false;
}

static void
store_leaves(Sink *sink, List *leaves, List *attached)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(sink->context);

	sink->leaves = list_copy(leaves);
	sink->attached = list_copy(attached);
	MemoryContextSwitchTo(oldcontext);
}

static int64
count_rows(Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TableScanDesc scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	int64		count = 0;

	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
		count++;
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	return count;
}

/* Counters are exact: they are written with the progress, in this batch. */
static void
count_changes(Sink *sink, const MaintainResult *result)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, sink->relid, true);
	TimestampTz now = GetCurrentTimestamp();

	if (stats == NULL)
		return;

	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->rows += result->inserted - result->deleted;
	stats->changes += result->changes;
	stats->rate *= exp(-(now - stats->rate_at) / (RATE_SECONDS * USECS_PER_SEC));
	stats->rate += result->changes / RATE_SECONDS;
	stats->rate_at = now;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

/* After a fill the rows are counted anew. */
static void
count_filled(Sink *sink)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, sink->relid, true);
	int64		rows = count_rows(sink->relid);

	if (stats == NULL)
		return;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->rows = rows;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

static SinkRun *
find_run(Batch *batch, Sink *sink)
{
	ListCell   *lc;

	foreach(lc, batch->runs)
	{
		if (((SinkRun *) lfirst(lc))->sink == sink)
			return lfirst(lc);
	}
	return NULL;
}

static SinkRun *
get_run(Batch *batch, Sink *sink, List *leaves)
{
	SinkRun    *run = find_run(batch, sink);

	if (run == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

		run = palloc(sizeof(SinkRun));
		run->sink = sink;
		run->run = run_begin(sink, leaves, batch->emitted);
		batch->runs = lappend(batch->runs, run);
		MemoryContextSwitchTo(oldcontext);
	}
	return run;
}

static void
finish_run(Batch *batch, SinkRun *run)
{
	MaintainResult result;

	current_sink = run->sink->relid;
	run_finish(run->run, &result);
	count_changes(run->sink, &result);
	batch->changes += result.changes;
	batch->written += result.inserted + result.updated + result.deleted;
	batch->runs = list_delete_ptr(batch->runs, run);
	current_sink = InvalidOid;
}

static void
discard_run(Batch *batch, Sink *sink)
{
	SinkRun    *run = find_run(batch, sink);

	if (run == NULL)
		return;
	run_discard(run->run);
	batch->runs = list_delete_ptr(batch->runs, run);
}

/* Finish the runs of sinks up to this level. */
static void
finish_runs(Batch *batch, int level)
{
	List	   *runs = list_copy(batch->runs);
	ListCell   *lc;

	foreach(lc, runs)
	{
		SinkRun    *run = lfirst(lc);

		if (run->sink->level <= level)
			finish_run(batch, run);
	}
	list_free(runs);
}

/* The sink cannot go on from where it is. */
static void
set_building(Sink *sink)
{
	if (sink->state == SINK_BUILDING && sink->built_generation == 0)
		return;
	sink->built_generation = 0;
	sink_set_state(sink, SINK_BUILDING, NULL);
}

/*
 * A sink that a second worker fills: keep what happens meanwhile, and apply
 * it when the fill has committed.
 */
static void
go_on_filling(Sink *sink, Batch *batch, List *leaves, List *attached)
{
	for (int i = 0; i < sink->plan->nsources; i++)
		backfill_keep(sink->plan->sources[i].relid,
					  source_lists(batch, sink->plan->sources[i].relid));
	if (!batch->last_part || !backfill_is_done(sink))
		return;

	if (!(equal(leaves, sink->leaves) && equal(attached, sink->attached)) &&
		partitions_changed_rows(sink, leaves, attached))
	{
		/* it has read other partitions than there are now: once more */
		backfill_cancel(sink);
		batch->again = true;
		return;
	}
	store_leaves(sink, leaves, attached);
	for (int i = 0; i < sink->plan->nsources; i++)
		run_feed(list_make1(get_run(batch, sink, leaves)->run), sink->plan->sources[i].relid,
				 backfill_kept(sink->plan->sources[i].relid), &current_sink);
	finish_run(batch, find_run(batch, sink));
	count_filled(sink);
	backfill_end(sink);
	sink_set_state(sink, SINK_LIVE, NULL);
	backfill_forget();
	batch->again = true;
}

/*
 * The rows that a filler writes are no changes: the sinks over its sink are
 * filled when it has ended, and until then what they have means nothing.
 */
static void
set_dependants_building(Sink *sink, Batch *batch)
{
	ListCell   *lc;

	foreach(lc, batch->sinks)
	{
		Sink	   *other = lfirst(lc);

		if (list_member_oid(other->sources, sink->relid) && other->state == SINK_LIVE)
		{
			discard_run(batch, other);
			set_building(other);
		}
	}
}

static bool
reads_unfilled_sink(Sink *sink)
{
	ListCell   *lc;

	foreach(lc, sink->sources)
	{
		if (backfill_is_running(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* Fill, or have filled, a sink at the batch's snapshot. */
static void
fill_sink(Sink *sink, Batch *batch, List *leaves, List *attached)
{
	discard_run(batch, sink);
	if (!batch->aligned || decoder_holds_older_interest())
	{
		/* changes that S does not see yet have not been kept for it */
		set_building(sink);
		batch->retry |= batch->aligned;
		return;
	}

	store_leaves(sink, leaves, attached);
	if (backfill_start(sink, batch->snapshot))
	{
		if (backfill_is_running(sink->relid))
			set_dependants_building(sink, batch);
		/* the partitions that the filler reads are written too */
		sink->built_generation = 0;
		if (backfill_is_running(sink->relid) || sink->state != SINK_BUILDING)
			sink_set_state(sink, SINK_BUILDING, NULL);
		return;
	}
	run_fill(get_run(batch, sink, leaves)->run, backfill_begin(sink));
	finish_run(batch, find_run(batch, sink));
	count_filled(sink);
	backfill_end(sink);
	sink_set_state(sink, SINK_LIVE, NULL);
}

/* Does the sink have to be computed anew? */
static bool
needs_fill(Sink *sink, Batch *batch)
{
	return sink->state != SINK_LIVE || sink->built_generation != sink->generation ||
		rebuild_all || list_member_oid(batch->unknown, sink->relid);
}

static void
set_unknown(Sink *sink, Batch *batch)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

	batch->unknown = list_append_unique_oid(batch->unknown, sink->relid);
	MemoryContextSwitchTo(oldcontext);
	backfill_cancel(sink);
}

static void
note_unknown(Sink *sink, Batch *batch)
{
	ListCell   *lc;

	for (int i = 0; i < sink->plan->nsources; i++)
	{
		foreach(lc, source_lists(batch, sink->plan->sources[i].relid))
		{
			if (change_list_is_unknown(lfirst(lc)))
				set_unknown(sink, batch);
		}
	}
}

static void
maintain_sink(Sink *sink, Batch *batch)
{
	List	   *leaves;
	List	   *attached;
	bool		changed;
	bool		fill;

	if (sink->paused)
	{
		if (sink->state != SINK_PAUSED && batch->last_part)
			sink_set_state(sink, SINK_PAUSED, NULL);
		return;
	}
	if (sink->state == SINK_FAILED && sink->built_generation == sink->generation)
		return;

	if (!sink->planned)
		sink_make_plan(sink);
	changed = has_changes(batch, sink);
	if (!changed && !batch->last_part)
		return;
	leaves = feed_leaves(sink, &attached);
	note_unknown(sink, batch);

	fill = needs_fill(sink, batch);
	if (!fill && batch->last_part &&
		!(equal(leaves, sink->leaves) && equal(attached, sink->attached)))
	{
		fill = partitions_changed_rows(sink, leaves, attached);
		store_leaves(sink, leaves, attached);
		if (!fill)
			sink_set_state(sink, SINK_LIVE, NULL);
	}

	if (!fill)
	{
		if (changed)
			batch->hungry = lappend(batch->hungry, get_run(batch, sink, leaves));
	}
	else if (backfill_is_running(sink->relid))
		go_on_filling(sink, batch, leaves, attached);
	else if (batch->last_part && !reads_unfilled_sink(sink))
		fill_sink(sink, batch, leaves, attached);
}

/* The runs among the hungry ones that read this relation. */
static List *
readers_of(Batch *batch, Oid source)
{
	List	   *runs = NIL;
	ListCell   *lc;

	foreach(lc, batch->hungry)
	{
		SinkRun    *run = lfirst(lc);

		if (plan_find_source(run->sink->plan, source) >= 0)
			runs = lappend(runs, run->run);
	}
	return runs;
}

/* Feed the runs that are hungry, those of one source together. */
static void
feed_runs(Batch *batch)
{
	List	   *fed = NIL;
	ListCell   *lc;

	foreach(lc, batch->hungry)
	{
		SinkPlan   *plan = ((SinkRun *) lfirst(lc))->sink->plan;

		for (int i = 0; i < plan->nsources; i++)
		{
			Oid			source = plan->sources[i].relid;

			if (list_member_oid(fed, source))
				continue;
			fed = lappend_oid(fed, source);
			run_feed(readers_of(batch, source), source, source_lists(batch, source),
					 &current_sink);
			current_sink = InvalidOid;
		}
	}
	batch->hungry = NIL;
}

static void
maintain_one(Sink *sink, Batch *batch)
{
	current_sink = sink->relid;
	maintain_sink(sink, batch);
	current_sink = InvalidOid;
}

/*
 * Maintain the sinks by the part that was decoded.  What is over tables alone
 * is fed together; with the last part, what is over sinks follows one by one
 * when those are written.
 */
static void
maintain_sinks(Batch *batch)
{
	ListCell   *lc;

	if (sink_list_changed())
	{
		/* the runs go by plans that are about to be freed */
		finish_runs(batch, PG_INT32_MAX);
		batch->sinks = sink_list();
		set_interest(batch->sinks);
	}

	backfill_check(batch->sinks);
	foreach(lc, batch->sinks)
	{
		if (!batch->last_part || ((Sink *) lfirst(lc))->level == 0)
			maintain_one(lfirst(lc), batch);
	}
	feed_runs(batch);
	if (!batch->last_part)
		return;

	finish_runs(batch, 0);
	foreach(lc, batch->sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->level > 0)
		{
			maintain_one(sink, batch);
			feed_runs(batch);
			finish_runs(batch, sink->level);
		}
	}

	/* those that were not filled now have been set building */
	rebuild_all = false;
}

/* Counters of sinks that are gone. */
static void
free_stats(List *sinks)
{
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats  *stats = &MyWorkerSlot->sinks[i];
		bool		found = !OidIsValid(stats->relid);
		ListCell   *lc;

		foreach(lc, sinks)
			found |= ((Sink *) lfirst(lc))->relid == stats->relid;
		if (!found)
		{
			SpinLockAcquire(&MyWorkerSlot->mutex);
			stats->relid = InvalidOid;
			SpinLockRelease(&MyWorkerSlot->mutex);
		}
	}
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
		!TransactionIdIsValid(GetTopTransactionIdIfAny()) &&
		batch->end - stored.lsn < PROGRESS_EVERY)
		return;

	if (stored.held_back != NULL)
		pfree(stored.held_back);
	stored.held_back = MemoryContextAlloc(TopMemoryContext, Max(nheld, 1) * sizeof(TransactionId));
	memcpy(stored.held_back, decoder_held_back_xids(), nheld * sizeof(TransactionId));
	stored.nheld_back = nheld;
	stored.valid = true;
	stored.lsn = batch->end;
	if (batch->newest_commit != 0)
		stored.commit_time = batch->newest_commit;
	progress_store(&stored, MyWorkerSlot);
}

static void
note_confirmable(Batch *batch, bool wrote)
{
	XLogRecPtr	oldest = decoder_oldest_held_back();
	XLogRecPtr	lsn = batch->end;

	if (!XLogRecPtrIsInvalid(oldest) && oldest < lsn)
		lsn = oldest;
	confirm_lsn = lsn;
	if (wrote)
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

	SpinLockAcquire(&slot->mutex);
	slot->applied_lsn = batch->end;
	if (batch->newest_commit != 0)
		slot->applied_commit_time = batch->newest_commit;
	slot->held_back = decoder_held_back_count();
	slot->batches++;
	slot->changes += batch->changes;
	slot->state = batch->aligned ? WORKER_IDLE : WORKER_CATCHING_UP;
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

	pg_atomic_exchange_u32(&MyWorkerSlot->wakeup, 0);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	ticket = MyWorkerSlot->wait_requested;
	if (MyWorkerSlot->state != WORKER_CATCHING_UP)
		MyWorkerSlot->state = WORKER_BATCH;
	SpinLockRelease(&MyWorkerSlot->mutex);
	return ticket;
}

static void
start_transaction(void)
{
	StartTransactionCommand();
	/* else the commit would carry the time of the first one of this origin */
	replorigin_session_origin_timestamp = 0;
	XactIsoLevel = XACT_REPEATABLE_READ;
	XactReadOnly = false;
	PushCopiedSnapshot(GetTransactionSnapshot());
}

/*
 * Is the last sink gone?  create_sink() holds a lock on the catalogue until
 * it commits; with ours no sink can be on its way.
 */
bool
batch_lock_no_sink(void)
{
	worker_lock_relation(freshet_catalog_relid("sink"), ShareLock);
	return !sink_catalog_any();
}

/* Decode the batch part by part, and maintain the sinks by each. */
static void
decode_and_maintain(Batch *batch, XLogRecPtr upto)
{
	MemoryContext part_context = AllocSetContextCreate(batch->context, "freshet part",
													   ALLOCSET_DEFAULT_SIZES);

	do
	{
		ListCell   *lc;

		MemoryContextReset(part_context);
		MemoryContextSwitchTo(part_context);
		decoder_decode(batch->snapshot, upto, &batch->part);
		batch->end = batch->part.end;
		batch->last_part = batch->end >= upto;
		batch->newest_commit = Max(batch->newest_commit, batch->part.newest_commit);
		maintain_sinks(batch);
		foreach(lc, batch->part.sets)
			change_set_destroy(lfirst(lc));
		MemoryContextSwitchTo(batch->context);
	} while (!batch->last_part);
}

/* The batch itself, in its transaction; false if there is nothing left to do. */
static bool
run_in_transaction(Batch *batch, bool verify)
{
	XLogRecPtr	upto;
	XLogRecPtr	limit;

	batch->context = CurrentMemoryContext;
	batch->snapshot = GetActiveSnapshot();
	upto = end_of_log();
	XLogFlush(upto);
	batch_confirm(false);

	if (!OidIsValid(get_extension_oid("freshet", true)))
		return false;

	if (!decoder_is_started())
		start_decoder();
	batch->sinks = sink_list();
	set_interest(batch->sinks);
	batch->emitted = change_set_create();

	limit = decoder_position() + (uint64) freshet_max_batch_size * 1024 * 1024;
	batch->aligned = upto <= limit;
	decode_and_maintain(batch, Min(upto, limit));
	change_set_destroy(batch->emitted);
	sink_clean_states();
	free_stats(batch->sinks);
	if (batch->sinks == NIL && batch_lock_no_sink())
		return false;

	if (batch->written > 0)
		progress_announce(batch->end, Max(batch->newest_commit, stored.commit_time),
						  batch->aligned);
	write_progress(batch);
	if (verify && batch->aligned)
		verify_offer(MyWorkerSlot, batch->snapshot);
	return true;
}

void
batch_run(BatchOutcome *outcome)
{
	Batch		batch = {0};
	uint64		ticket = take_ticket();
	bool		verify = verify_pending(MyWorkerSlot);
	bool		wrote;

	memset(outcome, 0, sizeof(BatchOutcome));
	backfill_before_snapshot();
	start_transaction();
	outcome->nothing_to_do = !run_in_transaction(&batch, verify);
	wrote = TransactionIdIsValid(GetTopTransactionIdIfAny());
	PopActiveSnapshot();
	CommitTransactionCommand();

	/* whatever a user's function did, no lock of the session's survives */
	LockReleaseAll(USER_LOCKMETHOD, true);
	if (outcome->nothing_to_do)
		return;

	if (verify && batch.aligned)
		verify_committed(MyWorkerSlot);
	note_confirmable(&batch, wrote);
	publish(&batch, ticket);
	outcome->behind = !batch.aligned;
	outcome->retry = batch.retry || batch.again;
}

Oid
batch_abandon(void)
{
	Oid			relid = current_sink;

	current_sink = InvalidOid;
	confirm_lsn = InvalidXLogRecPtr;
	verify_aborted(MyWorkerSlot);
	decoder_stop();
	sink_cache_invalidate();
	backfill_abandon();
	return relid;
}

void
batch_fail_sink(Oid relid, const char *message)
{
	ListCell   *lc;

	start_transaction();
	foreach(lc, sink_list())
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid == relid)
			sink_set_state(sink, SINK_FAILED, message);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
}
