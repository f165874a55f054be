/*-------------------------------------------------------------------------
 *
 * catching_up.c
 *		Sinks that stand still until a batch reaches its snapshot.
 *
 * A join, or a query that is run, reads its sources at the snapshot S.  In a batch
 * that ends before S it would read too much.  So such a sink is left as it was at
 * the last batch that was aligned, in the state "behind", and what changes in its
 * sources is kept, until the next aligned batch.  What was kept together with what
 * that batch has decoded is the difference of the two snapshots, as the changes of
 * any aligned batch are, and the sink is maintained by it.
 *
 * One copy of a source's changes serves all sinks over it: they were all live at the
 * same batch.  (One that was not is filled at the next aligned batch, and is not
 * behind.)  A sink that is run anyway has no use for what changed.  If more is kept
 * than freshet.max_fill_backlog allows, or a source changes in a way that the log does
 * not tell, the sink stays behind, but is filled by the aligned batch.
 *
 * What is kept is in the worker's memory, or spilled, and goes with the change sets
 * if decoding starts anew.  A sink that is behind then has to be filled, too.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/memutils.h"

#include "catching_up.h"
#include "kept_changes.h"
#include "maintain/run.h"

static KeptChanges kept;

/* The sinks that are behind, whose changes are kept.  In TopMemoryContext. */
static List *behind = NIL;

bool
catching_up_lacks_snapshot(const Sink *sink, const Batch *batch)
{
	return plan_needs_snapshot(sink->plan) && !batch->aligned;
}

bool
catching_up_has_changes(const Sink *sink)
{
	return list_member_oid(behind, sink->relid);
}

static void
set_behind(Sink *sink)
{
	if (sink->state != SINK_BEHIND)
		sink_set_state(sink, SINK_BEHIND, NULL);
}

void
catching_up_keep(Sink *sink, Batch *batch)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	behind = list_append_unique_oid(behind, sink->relid);
	MemoryContextSwitchTo(oldcontext);
	if (plan_takes_changes(sink->plan))
		kept_changes_want(&kept, batch, sink->sources);
	set_behind(sink);
}

void
catching_up_lose(Sink *sink)
{
	behind = list_delete_oid(behind, sink->relid);
	set_behind(sink);
}

void
catching_up_end(Sink *sink, Batch *batch, const Partitions *partitions)
{
	/* once: a run that is lost between two parts leads to a fill */
	if (batch_find_run(batch, sink) == NULL)
		run_feed(list_make1(batch_get_run(batch, sink, partitions)),
				 kept_changes_sets(&kept), &batch_current_sink);
	if (batch->last_part)
		sink_set_state(sink, SINK_LIVE, NULL);
}

static void
drop_all(void)
{
	kept_changes_drop(&kept);
	list_free(behind);
	behind = NIL;
}

void
catching_up_end_part(Batch *batch)
{
	kept_changes_take(&kept, batch);
	if (!batch->last_part || batch->aligned || !kept_changes_are_too_many(&kept))
		return;

	ereport(LOG,
			(errmsg("sinks that wait for a snapshot are filled"),
			 errdetail("The changes kept for them exceed freshet.max_fill_backlog.")));
	drop_all();
}

void
catching_up_committed(const Batch *batch)
{
	if (batch->aligned)
		drop_all();
	else
		kept_changes_commit(&kept);
}

void
catching_up_aborted(void)
{
	kept_changes_abort(&kept);
}

void
catching_up_abandon(void)
{
	kept_changes_forget(&kept);
	drop_all();
}
