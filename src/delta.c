/*-------------------------------------------------------------------------
 *
 * delta.c
 *		The strategy "delta": one entry for its two shapes.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "delta.h"

void
delta_maintain(Sink *sink, const MaintainInput *input, MaintainResult *result)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet sink",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	SinkSandbox sandbox;

	memset(result, 0, sizeof(MaintainResult));
	sink_enter_sandbox(sink, sink->definer, &sandbox);
	if (sink->plan->shape == DELTA_ROLLUP)
		rollup_maintain(sink, input, result);
	else
		copy_maintain(sink, input, result);
	sink_leave_sandbox(&sandbox);

	/* a later sink of the batch may read what was written */
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
