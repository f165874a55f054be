/*-------------------------------------------------------------------------
 *
 * backfill.c
 *		The first fill of a sink, and its rebuilding.
 *
 * A sink is filled at the snapshot of a batch, in the batch, by its strategy.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "backfill.h"
#include "worker.h"

/* Rows of the source by the planner's statistics, partitions included. */
static int64
estimated_rows(Sink *sink)
{
	Relation	rel = table_open(sink->plan->source, AccessShareLock);
	double		rows = rel->rd_rel->reltuples;
	ListCell   *lc;

	table_close(rel, NoLock);
	if (sink->leaves != NIL)
		rows = 0;
	foreach(lc, sink->leaves)
	{
		Relation	leaf = try_table_open(lfirst_oid(lc), AccessShareLock);

		if (leaf == NULL)
			continue;
		rows += Max(leaf->rd_rel->reltuples, 0);
		table_close(leaf, NoLock);
	}
	return rows > 0 ? (int64) rows : 0;
}

SinkStats *
backfill_begin(Sink *sink, FillPhase phase)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, sink->relid, true);
	int64		rows = estimated_rows(sink);

	if (stats == NULL)
		return NULL;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->phase = phase;
	stats->rows_done = 0;
	stats->rows_total = rows;
	stats->fill_started = GetCurrentTimestamp();
	SpinLockRelease(&MyWorkerSlot->mutex);
	return stats;
}

void
backfill_end(Sink *sink)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, sink->relid, false);

	if (stats == NULL)
		return;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->phase = FILL_NONE;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

bool
backfill_is_inline(Sink *sink)
{
	return true;
}

void
backfill_maintain(Sink *sink, List *lists)
{
}

void
backfill_abandon(void)
{
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
		MyWorkerSlot->sinks[i].phase = FILL_NONE;
}
