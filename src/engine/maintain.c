/*-------------------------------------------------------------------------
 *
 * maintain.c
 *		Bring all sinks up to date by the changes of one batch.
 *
 * Called with each part of the batch.  A sink that is live gets a run with the
 * first part that has changes of its sources, is fed these with every part,
 * and written after the last.  Sinks over tables alone come first; a sink over
 * sinks is fed what the batch wrote to these when they are written, in the
 * order of levels.
 *
 * A sink that is not live, or whose sources changed in a way that the log does
 * not tell, is filled, at the end of an aligned batch: here, or by the filler
 * (backfill.c), for which the changes of its sources are kept meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <math.h>

#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "storage/spin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "backfill.h"
#include "catalog/sink.h"
#include "maintain.h"
#include "maintain/feed.h"
#include "maintain/run.h"
#include "partitions.h"
#include "trouble.h"

#define RATE_SECONDS	10.0

Oid			maintain_current_sink = InvalidOid;

static struct
{
	Oid			relid;
	int64		rows;
	int64		changes;
}			saved_counters[FRESHET_MAX_SINK_STATS];

void
maintain_set_interest(List *sinks)
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

/* The changes of this part, and with the last one those of sinks by this batch. */
static List *
part_sets(Batch *batch)
{
	List	   *sets = list_copy(batch->part.sets);

	return batch->last_part ? lappend(sets, batch->emitted) : sets;
}

/* Those of a relation. */
static List *
source_lists(Batch *batch, Oid source)
{
	return change_sets_get_lists(part_sets(batch), source);
}

static bool
has_changes(Batch *batch, Sink *sink)
{
	ListCell   *lc;

	foreach(lc, sink->sources)
	{
		if (source_lists(batch, lfirst_oid(lc)) != NIL)
			return true;
	}
	return false;
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

static Run *
find_run(Batch *batch, Sink *sink)
{
	ListCell   *lc;

	foreach(lc, batch->runs)
	{
		if (run_sink(lfirst(lc)) == sink)
			return lfirst(lc);
	}
	return NULL;
}

static Run *
get_run(Batch *batch, Sink *sink, const Partitions *partitions)
{
	Run		   *run = find_run(batch, sink);

	if (run == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

		run = run_begin(sink, partitions->leaves, batch->emitted, trouble_is_netted(sink->relid));
		run_set_counted(run, partitions->counted);
		batch->runs = lappend(batch->runs, run);
		MemoryContextSwitchTo(oldcontext);
	}
	return run;
}

static void
finish_run(Batch *batch, Run *run)
{
	Sink	   *sink = run_sink(run);
	MaintainResult result;

	maintain_current_sink = sink->relid;
	batch->runs = list_delete_ptr(batch->runs, run);
	run_finish(run, &result);	/* frees it */
	count_changes(sink, &result);
	trouble_maintained(sink->relid);
	batch->changes += result.changes;
	batch->written += result.inserted + result.updated + result.deleted;
	maintain_current_sink = InvalidOid;
}

static void
discard_run(Batch *batch, Sink *sink)
{
	Run		   *run = find_run(batch, sink);

	if (run == NULL)
		return;
	batch->runs = list_delete_ptr(batch->runs, run);
	run_discard(run);
}

/*
 * Before the plans are made anew.  The query of a sink that is refreshed is run
 * once, when the batch is whole; a new plan is reason enough.
 */
static void
discard_refreshes(Batch *batch)
{
	List	   *runs = list_copy(batch->runs);
	ListCell   *lc;

	foreach(lc, runs)
	{
		Sink	   *sink = run_sink(lfirst(lc));

		if (sink->plan->shape == SHAPE_REFRESH)
			discard_run(batch, sink);
	}
	list_free(runs);
}

/* A partition that was attached, whose rows a run is to add. */
typedef struct AttachedLeaf
{
	Oid			sink;
	AddedLeaf	leaf;
} AttachedLeaf;

/*
 * Note those of this sink, whose run is made if nothing has been fed to it.  They
 * are read when the changes have been fed, if no fill comes between.
 */
static void
note_attached(Batch *batch, Sink *sink, const Partitions *partitions)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);
	ListCell   *lc;

	foreach(lc, partitions->added)
	{
		AttachedLeaf *attached = palloc(sizeof(AttachedLeaf));

		attached->sink = sink->relid;
		attached->leaf = *(AddedLeaf *) lfirst(lc);
		batch->attached = lappend(batch->attached, attached);
		(void) get_run(batch, sink, partitions);
	}
	MemoryContextSwitchTo(oldcontext);
}

static void
add_attached(Batch *batch)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, batch->runs)
	{
		Run		   *run = lfirst(lc);

		maintain_current_sink = run_sink(run)->relid;
		foreach(lc2, batch->attached)
		{
			AttachedLeaf *attached = lfirst(lc2);

			if (attached->sink == maintain_current_sink)
				run_add_leaf(run, attached->leaf.source, attached->leaf.relid);
		}
	}
	maintain_current_sink = InvalidOid;
	batch->attached = NIL;
}

/* Finish the runs of sinks up to this level. */
static void
finish_runs(Batch *batch, int level)
{
	List	   *runs = list_copy(batch->runs);
	ListCell   *lc;

	foreach(lc, runs)
	{
		Run		   *run = lfirst(lc);

		if (run_sink(run)->level <= level)
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
 * Does the sink need a snapshot, which this batch does not reach?  It is set
 * building then, and filled by the batch that does.
 */
static bool
misses_snapshot(Sink *sink, Batch *batch, bool changed)
{
	return sink->plan->shape == SHAPE_REFRESH && !batch->aligned && batch->last_part &&
		(changed || find_run(batch, sink) != NULL);
}

/*
 * A sink that a second worker fills: keep what happens meanwhile, and apply
 * it when the fill has committed.
 */
static void
go_on_filling(Sink *sink, Batch *batch, const Partitions *partitions)
{
	Run		   *run;
	ListCell   *lc;

	for (int i = 0; i < sink->plan->nsources; i++)
		backfill_keep(sink->plan->sources[i].relid,
					  source_lists(batch, sink->plan->sources[i].relid));
	batch->filling = true;
	if (!batch->last_part || !backfill_is_done(sink) || misses_snapshot(sink, batch, true))
		return;
	batch->filling = false;

	if (partitions->lost)
	{
		/* it has read other partitions than there are now: once more */
		backfill_cancel(sink);
		batch->again = true;
		return;
	}
	run = get_run(batch, sink, partitions);
	run_feed(list_make1(run), backfill_kept(), &maintain_current_sink);
	foreach(lc, partitions->added)
	{
		AddedLeaf  *added = lfirst(lc);

		run_add_leaf(run, added->source, added->relid);
	}
	partitions_note(sink, partitions);
	finish_run(batch, run);
	trouble_filled(sink->relid);
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
fill_sink(Sink *sink, Batch *batch, const Partitions *partitions)
{
	discard_run(batch, sink);
	if (!batch->aligned || decoder_holds_older_interest())
	{
		/* changes that S does not see yet have not been kept for it */
		set_building(sink);
		batch->retry |= batch->aligned;
		return;
	}

	batch->filling = true;
	partitions_note(sink, partitions);
	sink->built_definition = sink->definition;
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
	run_fill(get_run(batch, sink, partitions), backfill_begin(sink));
	finish_run(batch, find_run(batch, sink));
	trouble_filled(sink->relid);
	count_filled(sink);
	backfill_end(sink);
	sink_set_state(sink, SINK_LIVE, NULL);
}

/* Its last fills have failed: the next one is to wait a little. */
static void
leave_unfilled(Sink *sink, Batch *batch)
{
	discard_run(batch, sink);
	set_building(sink);
}

/*
 * Is there nothing to be done for a sink without a plan, if none of its sources
 * has changed?  A new plan is a reason to refresh a sink.
 */
static bool
is_settled(Sink *sink, Batch *batch)
{
	return sink->strategy != STRATEGY_REFRESH && sink->state == SINK_LIVE &&
		sink->built_generation == sink->generation && !batch->all_anew &&
		!list_member_oid(batch->unknown, sink->relid);
}

/* Does the sink have to be computed anew? */
static bool
needs_fill(Sink *sink, Batch *batch)
{
	return sink->state != SINK_LIVE || sink->built_generation != sink->generation ||
		sink->built_definition != sink->definition ||
		batch->all_anew || list_member_oid(batch->unknown, sink->relid) ||
		!run_is_possible(sink);
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
	Partitions *partitions;
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

	changed = has_changes(batch, sink);
	if (!sink->planned)
	{
		/* locked, and the same as before: the others need not wait */
		if (!changed && is_settled(sink, batch) && !sink_can_plan(sink))
			return;
		sink_make_plan(sink);
	}
	changed |= sink->run_anew;
	if (!changed && !batch->last_part)
		return;
	partitions = partitions_look(sink, batch->aligned);
	note_unknown(sink, batch);

	fill = needs_fill(sink, batch) || misses_snapshot(sink, batch, changed) || partitions->lost;
	if (!fill)
	{
		if (changed)
			batch->hungry = lappend(batch->hungry, get_run(batch, sink, partitions));
		if (batch->last_part && partitions->changed)
		{
			note_attached(batch, sink, partitions);
			partitions_note(sink, partitions);
			sink_set_state(sink, SINK_LIVE, NULL);
		}
	}
	else if (backfill_is_running(sink->relid))
		go_on_filling(sink, batch, partitions);
	else if (batch->last_part && trouble_is_pausing(sink->relid))
		leave_unfilled(sink, batch);
	else if (batch->last_part && !reads_unfilled_sink(sink))
		fill_sink(sink, batch, partitions);
}

/* Feed the part to the runs that are hungry, those of one source together. */
static void
feed_runs(Batch *batch)
{
	run_feed(batch->hungry, part_sets(batch), &maintain_current_sink);
	maintain_current_sink = InvalidOid;
	batch->hungry = NIL;
}

static void
maintain_one(Sink *sink, Batch *batch)
{
	maintain_current_sink = sink->relid;
	batch->filling = false;
	maintain_sink(sink, batch);
	batch->filling = false;
	maintain_current_sink = InvalidOid;
}

/* What is over tables alone is fed together, the others one by one. */
void
maintain_sinks(Batch *batch)
{
	ListCell   *lc;

	if (sink_list_changed())
	{
		/* the runs go by plans that are about to be freed */
		discard_refreshes(batch);
		finish_runs(batch, PG_INT32_MAX);
		batch->sinks = sink_list();
		maintain_set_interest(batch->sinks);
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

	add_attached(batch);
	finish_runs(batch, 0);
	foreach(lc, batch->sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->level > 0)
		{
			maintain_one(sink, batch);
			feed_runs(batch);
			add_attached(batch);
			finish_runs(batch, sink->level);
		}
	}

	partitions_check(batch->sinks);
}

/* Nobody else writes them, so that reading needs no lock. */
void
maintain_save_counters(void)
{
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		const SinkStats *stats = &MyWorkerSlot->sinks[i];

		saved_counters[i].relid = stats->relid;
		saved_counters[i].rows = stats->rows;
		saved_counters[i].changes = stats->changes;
	}
}

void
maintain_restore_counters(void)
{
	SpinLockAcquire(&MyWorkerSlot->mutex);
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats  *stats = &MyWorkerSlot->sinks[i];
		bool		known = stats->relid == saved_counters[i].relid;

		stats->rows = known ? saved_counters[i].rows : 0;
		stats->changes = known ? saved_counters[i].changes : 0;
	}
	SpinLockRelease(&MyWorkerSlot->mutex);
}

void
maintain_free_stats(List *sinks)
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
