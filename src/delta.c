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
	run->context = context;
	run->methods = sink->plan->shape == DELTA_ROLLUP ? &rollup_methods : &copy_methods;

	sink_enter_sandbox(sink, sink->definer, &sandbox);
	run->consumer = run->methods->open(sink, leaves, emit);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
	return run;
}

void
delta_fill(DeltaRun *run, SinkStats *stats)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	sink_enter_sandbox(run->sink, run->sink->definer, &sandbox);
	run->methods->fill(run->consumer, stats);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
}

void
delta_feed(DeltaRun *run, List *lists)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	sink_enter_sandbox(run->sink, run->sink->definer, &sandbox);
	run->changes += feed_changes(run->sink, lists, run->consumer);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
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
