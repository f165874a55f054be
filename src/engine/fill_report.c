/*-------------------------------------------------------------------------
 *
 * fill_report.c
 *		What freshet.progress shows of a fill.
 *
 * The figures are in the sink's counters in shared memory: the phase and the
 * estimate are set here, by the worker; the rows that were read are counted
 * where they are read, by the worker or the filler and its helpers.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "access/tableam.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "storage/spin.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "counters.h"
#include "fill_report.h"

/* Add a table's size in bytes, and its rows as the planner would estimate them. */
static void
estimate_table(Oid relid, uint64 *size, double *rows)
{
	Relation	rel;
	BlockNumber pages;
	double		tuples;
	double		allvisfrac;

	process_lock_relation(relid, AccessShareLock);
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		return;
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
	{
		table_relation_estimate_size(rel, NULL, &pages, &tuples, &allvisfrac);
		*size += (uint64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
		*rows += tuples;
	}
	table_close(rel, NoLock);
}

uint64
fill_report_estimate(Sink *sink, int64 *rows)
{
	SinkPlan   *plan = sink->plan;
	uint64		size = 0;
	double		first = 0;
	double		others = 0;
	Oid			scanned;
	ListCell   *lc;

	*rows = 0;
	if (plan->noccurrences == 0)
		return 0;
	scanned = plan_source_of(plan, 0)->relid;
	for (int i = 0; i < plan->nsources; i++)
	{
		Oid			relid = plan->sources[i].relid;

		estimate_table(relid, &size, relid == scanned ? &first : &others);
	}
	foreach(lc, sink->leaves)
	{
		bool		is_first = false;
		ListCell   *lc2;

		foreach(lc2, get_partition_ancestors(lfirst_oid(lc)))
			is_first |= lfirst_oid(lc2) == scanned;
		estimate_table(lfirst_oid(lc), &size, is_first ? &first : &others);
	}
	*rows = (int64) first;
	return size;
}

int64 *
fill_report_phase(Sink *sink, FillPhase phase)
{
	SinkStats  *stats = counters_place(sink->relid);
	int64		rows;

	if (stats == NULL)
		return NULL;
	(void) fill_report_estimate(sink, &rows);
	SpinLockAcquire(&MyWorkerSlot->mutex);
	if (phase == FILL_SCANNING || stats->phase == FILL_NONE)
	{
		stats->rows_done = 0;
		stats->rows_total = rows;
		stats->fill_started = GetCurrentTimestamp();
	}
	stats->phase = phase;
	SpinLockRelease(&MyWorkerSlot->mutex);
	return &stats->rows_done;
}

void
fill_report_end(Oid relid)
{
	SinkStats  *stats = shmem_sink_stats(MyWorkerSlot, relid);

	if (stats == NULL)
		return;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	stats->phase = FILL_NONE;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

void
fill_report_end_all(void)
{
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
		MyWorkerSlot->sinks[i].phase = FILL_NONE;
}
