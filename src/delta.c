/*-------------------------------------------------------------------------
 *
 * delta.c
 *		The strategy "delta": runs over its two shapes, rollup and copy.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "delta.h"

struct DeltaRun
{
	Sink	   *sink;
	const DeltaMethods *methods;
	RowConsumer *consumer;
	List	   *leaves;
	MemoryContext context;
	int64		changes;
};

DeltaRun *
delta_begin(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet run",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	DeltaRun   *run = palloc0(sizeof(DeltaRun));
	SinkSandbox sandbox;

	run->sink = sink;
	run->leaves = list_copy(leaves);	/* the caller's ends with a part of the batch */
	run->context = context;
	run->methods = sink->plan->shape == DELTA_ROLLUP ? &rollup_methods : &copy_methods;

	sink_enter_sandbox(sink, sink->definer, &sandbox);
	run->consumer = run->methods->open(sink, run->leaves, emit);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
	return run;
}

void
delta_fill(DeltaRun *run, SinkStats *stats)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	feed_check_source(run->sink, run->leaves);
	sink_enter_sandbox(run->sink, run->sink->definer, &sandbox);
	run->methods->fill(run->consumer, stats);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
}

/* The runs of one sandbox. */
static void
feed_together(List *runs, List *lists, Oid *blame)
{
	DeltaRun   *first = linitial(runs);
	FeedTarget *targets = palloc(list_length(runs) * sizeof(FeedTarget));
	SinkSandbox sandbox;
	int64		changes;
	ListCell   *lc;

	foreach(lc, runs)
	{
		DeltaRun   *run = lfirst(lc);

		targets[foreach_current_index(lc)].sink = run->sink;
		targets[foreach_current_index(lc)].consumer = run->consumer;
	}

	sink_enter_sandbox(first->sink, first->sink->definer, &sandbox);
	changes = feed_changes(targets, list_length(runs), lists, blame);
	sink_leave_sandbox(&sandbox);

	foreach(lc, runs)
		((DeltaRun *) lfirst(lc))->changes += changes;
}

/*
 * Each row is read and taken apart once for all sinks, as far as they share a
 * sandbox.
 */
void
delta_feed(List *runs, List *lists, Oid *blame)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet feed",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	List	   *left = list_copy(runs);

	while (left != NIL)
	{
		DeltaRun   *first = linitial(left);
		List	   *together = NIL;
		List	   *others = NIL;
		ListCell   *lc;

		foreach(lc, left)
		{
			DeltaRun   *run = lfirst(lc);

			if (sink_same_sandbox(first->sink, run->sink))
				together = lappend(together, run);
			else
				others = lappend(others, run);
		}
		feed_together(together, lists, blame);
		left = others;
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

static void
end_run(DeltaRun *run, bool flush, MaintainResult *result)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	memset(result, 0, sizeof(MaintainResult));
	sink_enter_sandbox(run->sink, run->sink->definer, &sandbox);
	if (flush)
		run->methods->flush(run->consumer);
	run->methods->close(run->consumer, result);
	sink_leave_sandbox(&sandbox);
	result->changes = run->changes;

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(run->context);
}

void
delta_finish(DeltaRun *run, MaintainResult *result)
{
	end_run(run, true, result);

	/* a later sink of the batch may read what was written */
	writer_make_visible();
}

void
delta_discard(DeltaRun *run)
{
	MaintainResult result;

	end_run(run, false, &result);
}
