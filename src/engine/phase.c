/*-------------------------------------------------------------------------
 *
 * phase.c
 *		What the worker is at, for freshet.worker.
 *
 * The phase of the batch, the sink at work, and the worker's memory.  To add that up
 * means to visit every memory context, which would be much for a batch of a
 * millisecond: so it is done at a change of phase, once in MEASURE_MS at the most.
 *
 * The batch ends in the phase PHASE_NONE, also by an error.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "phase.h"

#define MEASURE_MS	200

void
phase_enter(BatchPhase phase, Oid sink)
{
	static TimestampTz measured_at = 0;
	static Size memory = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (TimestampDifferenceExceeds(measured_at, now, MEASURE_MS))
	{
		measured_at = now;
		memory = MemoryContextMemAllocated(TopMemoryContext, true);
	}
	SpinLockAcquire(&MyWorkerSlot->mutex);
	MyWorkerSlot->phase = phase;
	MyWorkerSlot->phase_sink = sink;
	MyWorkerSlot->phase_since = now;
	MyWorkerSlot->memory = memory;
	SpinLockRelease(&MyWorkerSlot->mutex);
}
