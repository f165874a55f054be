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
 * not tell, goes its way in fill.c.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/memutils.h"

#include "base/process.h"
#include "batch_runs.h"
#include "catalog/sink.h"
#include "catching_up.h"
#include "fill.h"
#include "fill_report.h"
#include "left_out.h"
#include "maintain.h"
#include "maintain/run.h"
#include "partitions.h"
#include "stage_states.h"

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

static bool
has_changes(Batch *batch, Sink *sink)
{
	ListCell   *lc;

	foreach(lc, sink->sources)
	{
		if (batch_lists(batch, lfirst_oid(lc)) != NIL)
			return true;
	}
	return false;
}

/*
 * Before the plans are made anew.  What reads the sources at the snapshot cannot be
 * finished with a part of the changes: the query of a sink that is refreshed is run
 * once, when the batch is whole, since a new plan is reason enough; a join, and a query
 * by key, which lose what they have collected, are filled.
 */
static void
discard_queries(Batch *batch)
{
	List	   *runs = list_copy(batch->runs);
	ListCell   *lc;

	foreach(lc, runs)
	{
		Sink	   *sink = run_sink(lfirst(lc));

		if (!plan_needs_snapshot(sink->plan))
			continue;
		batch_discard_run(batch, sink);
		if (plan_takes_changes(sink->plan))
			fill_note_lost(sink, batch);
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
		(void) batch_get_run(batch, sink, partitions);
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

		batch_current_sink = run_sink(run)->relid;
		foreach(lc2, batch->attached)
		{
			AttachedLeaf *attached = lfirst(lc2);

			if (attached->sink == batch_current_sink)
				run_add_leaf(run, attached->leaf.source, attached->leaf.relid);
		}
	}
	batch_current_sink = InvalidOid;
	batch->attached = NIL;
}

static void
maintain_sink(Sink *sink, Batch *batch)
{
	Partitions *partitions;
	bool		changed;

	if (sink->paused)
	{
		if (sink->state != SINK_PAUSED && batch->last_part)
		{
			fill_report_end(sink->relid);
			sink_set_state(sink, SINK_PAUSED, NULL);
		}
		return;
	}
	if (sink->state == SINK_FAILED && sink->built_generation == sink->generation)
		return;

	if (!stage_states_allow(sink, batch))
		return;
	if (!fill_is_under_way(sink->relid) && left_out_of(sink, batch))
		return;

	changed = has_changes(batch, sink);
	if (!sink->planned)
	{
		/* locked, and the same as before: the others need not wait */
		if (!changed && fill_is_settled(sink, batch) && !sink_can_plan(sink))
			return;
		sink_make_plan(sink);
		if (!changed && sink->state == SINK_LIVE)
			run_check_table(sink);
	}
	changed |= sink->run_anew || sink->state == SINK_BEHIND;
	if (!changed && !batch->last_part)
		return;
	partitions = partitions_look(sink, batch->aligned);
	fill_note_unknown(sink, batch);
	if (fill_move_on(sink, batch, partitions))
		return;

	if (changed && catching_up_lacks_snapshot(sink, batch))
		catching_up_keep(sink, batch);
	else if (changed && sink->state == SINK_BEHIND && left_out_has_changes(sink))
		left_out_end(sink, batch, partitions);
	else if (changed && sink->state == SINK_BEHIND)
		catching_up_end(sink, batch, partitions);
	if (changed && !catching_up_lacks_snapshot(sink, batch))
		batch->to_feed = lappend(batch->to_feed, batch_get_run(batch, sink, partitions));
	if (batch->last_part && partitions->changed)
	{
		note_attached(batch, sink, partitions);
		partitions_note(sink, partitions);
		sink_set_state(sink, sink->state, NULL);
	}
}

/* Feed the part to the runs that are due, those of one source together. */
static void
feed_runs(Batch *batch)
{
	run_feed(batch->to_feed, batch_sets(batch), &batch_current_sink);
	batch_current_sink = InvalidOid;
	batch->to_feed = NIL;
}

static void
maintain_one(Sink *sink, Batch *batch)
{
	batch_current_sink = sink->relid;
	batch->filling = false;
	maintain_sink(sink, batch);
	batch->filling = false;
	batch_current_sink = InvalidOid;
}

static void
end_part(Batch *batch)
{
	catching_up_end_part(batch);
	left_out_end_part(batch);
}

/* What is over tables alone is fed together, the others one by one. */
void
maintain_sinks(Batch *batch)
{
	ListCell   *lc;

	if (sink_list_changed())
	{
		/* the runs go by plans that are about to be freed */
		discard_queries(batch);
		batch_finish_runs(batch, PG_INT32_MAX);
		batch->sinks = sink_list();
		maintain_set_interest(batch->sinks);
	}

	fill_check(batch->sinks);
	left_out_check(batch->sinks);
	foreach(lc, batch->sinks)
	{
		if (!batch->last_part || ((Sink *) lfirst(lc))->level == 0)
			maintain_one(lfirst(lc), batch);
	}
	feed_runs(batch);
	if (!batch->last_part)
	{
		end_part(batch);
		return;
	}

	add_attached(batch);
	batch_finish_runs(batch, 0);
	foreach(lc, batch->sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->level > 0)
		{
			maintain_one(sink, batch);
			feed_runs(batch);
			add_attached(batch);
			batch_finish_runs(batch, sink->level);
		}
	}

	end_part(batch);
	partitions_check(batch->sinks);
}
