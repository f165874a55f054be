/*-------------------------------------------------------------------------
 *
 * stage_states.c
 *		What the state of its stages means for a sink.
 *
 * Each stage is a sink to the engine, with a state of its own, and comes before those
 * that read it.  A sink is as good as its stages are: it is live when all of them
 * are, and fails with the first that fails.  A stage is the stage of one sink, so no
 * other fails with it.
 *
 * A stage that is filled anew while the sink is live, within a batch, hands on what
 * differs as any change.  If the filler has it, or if it waits for its fill, what the
 * sink has means nothing: it is set building, and filled when the stage is live.
 *
 * Users' calls change the rows of a sink and of its stages together, so a stage that
 * is paused has a sink that is.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "fill.h"
#include "stage_states.h"

static Sink *
find_stage(const Batch *batch, Oid relid)
{
	ListCell   *lc;

	foreach(lc, batch->sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid == relid && OidIsValid(sink->stage_of))
			return sink;
	}
	return NULL;
}

static bool
is_ready(const Sink *stage)
{
	return (stage->state == SINK_LIVE || stage->state == SINK_BEHIND) &&
		stage->built_generation == stage->generation;
}

static void
fail_with(Sink *sink, const Sink *stage, Batch *batch)
{
	batch_discard_run(batch, sink);
	fill_cancel(sink);
	sink_set_state(sink, SINK_FAILED,
				   psprintf("its stage for %s failed: %s", stage->reason,
							stage->error ? stage->error : "unknown error"));
}

bool
stage_states_allow(Sink *sink, Batch *batch)
{
	bool		ready = true;
	ListCell   *lc;

	if (!sink->source_is_sink)
		return true;
	foreach(lc, sink->sources)
	{
		const Sink *stage = find_stage(batch, lfirst_oid(lc));

		if (stage == NULL)
			continue;
		if (stage->state == SINK_FAILED && stage->built_generation == stage->generation)
		{
			fail_with(sink, stage, batch);
			return false;
		}
		ready &= is_ready(stage);
	}
	if (!ready)
		fill_put_off(sink, batch);
	return ready;
}
