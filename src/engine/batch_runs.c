/*-------------------------------------------------------------------------
 *
 * batch_runs.c
 *		The batch under way, its changes, and the runs of its sinks.
 *
 * A sink has at most one run in a batch.  It is begun when something is to be
 * fed, or filled, and stays open over the parts; whoever finishes or discards
 * it takes it off the list.
 *
 * Counters are exact: they are written with the progress, in the batch.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "storage/spin.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "batch_runs.h"
#include "counters.h"
#include "phase.h"
#include "trouble.h"

Oid			batch_current_sink = InvalidOid;

List *
batch_sets(Batch *batch)
{
	List	   *sets = list_copy(batch->part.sets);

	return batch->last_part ? lappend(sets, batch->emitted) : sets;
}

List *
batch_lists(Batch *batch, Oid source)
{
	return change_sets_get_lists(batch_sets(batch), source);
}

/* Of a table that was truncated, the rows that a join had are unknown as well. */
bool
batch_is_unknown(Batch *batch, const Sink *sink)
{
	bool		joins = !sink->planned || sink->plan->join != NULL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, sink->sources)
	{
		foreach(lc2, batch_lists(batch, lfirst_oid(lc)))
		{
			if (change_list_is_unknown(lfirst(lc2)) ||
				(joins && change_list_has_truncate(lfirst(lc2))))
				return true;
		}
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

void
batch_count_rows(Sink *sink)
{
	counters_set_rows(sink->relid, count_rows(sink->relid));
}

Run *
batch_find_run(Batch *batch, Sink *sink)
{
	ListCell   *lc;

	foreach(lc, batch->runs)
	{
		if (run_sink(lfirst(lc)) == sink)
			return lfirst(lc);
	}
	return NULL;
}

Run *
batch_get_run(Batch *batch, Sink *sink, const Partitions *partitions)
{
	Run		   *run = batch_find_run(batch, sink);

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

void
batch_finish_run(Batch *batch, Run *run)
{
	Sink	   *sink = run_sink(run);
	MaintainResult result;

	batch_current_sink = sink->relid;
	batch->runs = list_delete_ptr(batch->runs, run);
	phase_enter(PHASE_WRITING, sink->relid);
	run_finish(run, &result);	/* frees it */
	phase_enter(PHASE_MAINTAINING, InvalidOid);
	counters_add(sink->relid, result.inserted - result.deleted, result.changes);
	trouble_maintained(sink->relid);
	batch->changes += result.changes;
	batch->written += result.inserted + result.updated + result.deleted;
	batch_current_sink = InvalidOid;
}

void
batch_discard_run(Batch *batch, Sink *sink)
{
	Run		   *run = batch_find_run(batch, sink);

	if (run == NULL)
		return;
	batch->runs = list_delete_ptr(batch->runs, run);
	run_discard(run);
}

void
batch_finish_runs(Batch *batch, int level)
{
	List	   *runs = list_copy(batch->runs);
	ListCell   *lc;

	foreach(lc, runs)
	{
		Run		   *run = lfirst(lc);

		if (run_sink(run)->level <= level)
			batch_finish_run(batch, run);
	}
	list_free(runs);
}
