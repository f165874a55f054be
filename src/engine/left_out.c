/*-------------------------------------------------------------------------
 *
 * left_out.c
 *		Sinks that stand still until a lock is to be had.
 *
 * A batch that cannot have a lock comes to nothing, and is tried again: for a
 * moment that is the cheapest.  If it lasts (freshet.lock_patience), the sink for
 * which the lock is needed is left out, so that the others go on.  It stays as it
 * was at the last batch, in the state "behind", and what changes in its sources
 * is kept, until a batch gets the lock; then it is fed what was kept, and is live.
 * Nothing is computed anew.
 *
 * That the lock is one on the sink itself is the usual case, but it may be one on a
 * source that has to be read, or on a sink that is a source: then what stands on it
 * is left out, sink by sink.  The first has waited for the lock; the others, meeting
 * the same obstacle, are left out by the tries that follow at once.  For what stands on
 * a sink that is left out and does not have to be read, nothing changes meanwhile.
 *
 * Those that were left out since the same committed batch share one copy of the
 * changes (Keeping).  If more is kept than freshet.max_fill_backlog allows, or a source
 * changes in a way that the log does not tell, the sink is set building, and filled
 * when it comes back; so it is if the worker comes to its end, with all that was kept.
 * A sink that was not live when it met the lock is filled, too.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/process.h"
#include "catching_up.h"
#include "kept_changes.h"
#include "left_out.h"
#include "maintain/run.h"

/* What is kept for sinks that were live at the same batch. */
typedef struct Keeping
{
	KeptChanges kept;
	bool		begun;			/* a batch has been committed since */
} Keeping;

typedef struct LeftOut
{
	Oid			sink;
	Oid			obstacle;
	LOCKMODE	mode;
	Keeping    *keeping;		/* NULL: it has to be filled */
	bool		returns;		/* in the batch under way */
} LeftOut;

/* In TopMemoryContext. */
static List *left_out = NIL;
static List *keepings = NIL;

static LeftOut *
find_entry(Oid sink)
{
	ListCell   *lc;

	foreach(lc, left_out)
	{
		if (((LeftOut *) lfirst(lc))->sink == sink)
			return lfirst(lc);
	}
	return NULL;
}

/* One that has missed nothing yet. */
static Keeping *
fresh_keeping(void)
{
	Keeping    *keeping;
	ListCell   *lc;

	foreach(lc, keepings)
	{
		if (!((Keeping *) lfirst(lc))->begun)
			return lfirst(lc);
	}
	keeping = palloc0(sizeof(Keeping));
	keepings = lappend(keepings, keeping);
	return keeping;
}

void
left_out_add(Oid sink, Oid obstacle, LOCKMODE mode)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	LeftOut    *entry = find_entry(sink);

	if (entry == NULL)
	{
		entry = palloc0(sizeof(LeftOut));
		entry->sink = sink;
		entry->keeping = fresh_keeping();
		left_out = lappend(left_out, entry);
	}
	entry->obstacle = obstacle;
	entry->mode = mode;
	MemoryContextSwitchTo(oldcontext);
}

/* Let go what nobody is left for. */
static void
drop_unused_keepings(void)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, keepings)
	{
		Keeping    *keeping = lfirst(lc);
		bool		used = false;

		foreach(lc2, left_out)
			used |= ((LeftOut *) lfirst(lc2))->keeping == keeping;
		if (used)
			continue;
		kept_changes_drop(&keeping->kept);
		pfree(keeping);
		keepings = foreach_delete_current(keepings, lc);
	}
}

void
left_out_check(List *sinks)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, left_out)
	{
		LeftOut    *entry = lfirst(lc);
		bool		wanted = false;

		foreach(lc2, sinks)
		{
			Sink	   *sink = lfirst(lc2);

			wanted |= sink->relid == entry->sink && !sink->paused;
		}
		if (wanted)
			continue;
		left_out = foreach_delete_current(left_out, lc);
		pfree(entry);
	}
	drop_unused_keepings();
}

/* Its lock, if this is a time to come back. */
static bool
can_return(const LeftOut *entry, const Sink *sink, const Batch *batch)
{
	if (!batch->last_part)
		return false;
	if (!process_try_lock_relation(entry->obstacle, entry->mode))
	{
		(void) process_note_obstacle(entry->obstacle, entry->mode);
		return false;
	}
	return batch->aligned || (sink->planned && !catching_up_lacks_snapshot(sink, batch));
}

/* Of the sink as it was at the first batch that left it out. */
static bool
is_as_it_was(const LeftOut *entry, const Sink *sink, const Batch *batch)
{
	if (entry->keeping == NULL || batch->all_anew || sink->built_generation != sink->generation ||
		list_member_oid(batch->unknown, sink->relid))
		return false;
	return sink->state == (entry->keeping->begun ? SINK_BEHIND : SINK_LIVE);
}

static void
log_left_out(const LeftOut *entry)
{
	char	   *sink = get_rel_name(entry->sink);
	char	   *obstacle = get_rel_name(entry->obstacle);

	if (sink != NULL && obstacle != NULL)
		ereport(LOG,
				(errmsg("sink \"%s\" stands still until a lock on \"%s\" is to be had", sink,
						obstacle),
				 errdetail("The other sinks go on, and its changes are kept.")));
}

static void
keep(LeftOut *entry, Sink *sink, Batch *batch)
{
	kept_changes_want(&entry->keeping->kept, batch, sink->sources);
	if (sink->state == SINK_BEHIND)
		return;
	sink_set_state(sink, SINK_BEHIND, NULL);
	log_left_out(entry);
}

static void
lose(LeftOut *entry, Sink *sink)
{
	entry->keeping = NULL;
	sink_set_building(sink);
}

bool
left_out_of(Sink *sink, Batch *batch)
{
	LeftOut    *entry = left_out == NIL ? NULL : find_entry(sink->relid);

	if (entry == NULL)
		return false;
	if (can_return(entry, sink, batch))
	{
		entry->returns = true;
		return false;
	}
	if (is_as_it_was(entry, sink, batch) && !batch_is_unknown(batch, sink))
		keep(entry, sink, batch);
	else
		lose(entry, sink);
	return true;
}

bool
left_out_has_changes(const Sink *sink)
{
	LeftOut    *entry = left_out == NIL ? NULL : find_entry(sink->relid);

	return entry != NULL && entry->keeping != NULL;
}

void
left_out_end(Sink *sink, Batch *batch, const Partitions *partitions)
{
	LeftOut    *entry = find_entry(sink->relid);

	run_feed(list_make1(batch_get_run(batch, sink, partitions)),
			 kept_changes_sets(&entry->keeping->kept), &batch_current_sink);
	sink_set_state(sink, SINK_LIVE, NULL);
}

static void
give_up_keeping(Keeping *keeping)
{
	ListCell   *lc;

	ereport(LOG,
			(errmsg("sinks that wait for a lock are filled"),
			 errdetail("The changes kept for them exceed freshet.max_fill_backlog.")));
	foreach(lc, left_out)
	{
		LeftOut    *entry = lfirst(lc);

		if (entry->keeping == keeping)
			entry->keeping = NULL;
	}
}

void
left_out_end_part(Batch *batch)
{
	ListCell   *lc;

	foreach(lc, keepings)
	{
		Keeping    *keeping = lfirst(lc);

		kept_changes_take(&keeping->kept, batch);
		if (batch->last_part && kept_changes_are_too_many(&keeping->kept))
			give_up_keeping(keeping);
	}
}

bool
left_out_any(void)
{
	return left_out != NIL;
}

void
left_out_committed(void)
{
	ListCell   *lc;

	foreach(lc, left_out)
	{
		LeftOut    *entry = lfirst(lc);

		if (!entry->returns)
			continue;
		left_out = foreach_delete_current(left_out, lc);
		pfree(entry);
	}
	foreach(lc, keepings)
	{
		Keeping    *keeping = lfirst(lc);

		kept_changes_commit(&keeping->kept);
		keeping->begun = true;
	}
	drop_unused_keepings();
}

void
left_out_aborted(void)
{
	ListCell   *lc;

	foreach(lc, keepings)
		kept_changes_abort(&((Keeping *) lfirst(lc))->kept);
	foreach(lc, left_out)
		((LeftOut *) lfirst(lc))->returns = false;
}

void
left_out_abandon(void)
{
	ListCell   *lc;

	foreach(lc, keepings)
	{
		kept_changes_forget(&((Keeping *) lfirst(lc))->kept);
		pfree(lfirst(lc));
	}
	list_free(keepings);
	keepings = NIL;
	/* what they were left out for is met again, if it is still there */
	list_free_deep(left_out);
	left_out = NIL;
}
