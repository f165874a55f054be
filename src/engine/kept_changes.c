/*-------------------------------------------------------------------------
 *
 * kept_changes.c
 *		Changes that outlive their batch, for sinks that take them later.
 *
 * They are copies, as the lists of a batch end with it.  Those of the batch under
 * way are apart until it has committed: if it is tried again they come again.
 * Like all change sets they spill when memory is short; on disk they are bounded
 * by freshet.max_fill_backlog.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "base/guc.h"
#include "kept_changes.h"

static void
keep_list(ChangeSet *set, Oid relid, ChangeList *list)
{
	ChangeList *copy = change_set_get_list(set, relid, true);
	ChangeIterator it;
	Change		change;

	change_iterator_begin(&it, list);
	while (change_iterator_next(&it, &change))
	{
		if (change.kind == CHANGE_TRUNCATE)
			change_list_add_truncate(copy);
		else
			change_list_add(copy, change.kind, change.layout,
							change.has_old ? &change.old : NULL,
							change.has_new ? &change.new : NULL);
	}
	change_iterator_end(&it);
}

void
kept_changes_want(KeptChanges *kept, Batch *batch, List *relids)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

	kept->wanted = list_union_oid(kept->wanted, relids);
	MemoryContextSwitchTo(oldcontext);
}

void
kept_changes_take(KeptChanges *kept, Batch *batch)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (kept->now == NULL && kept->wanted != NIL)
		kept->now = change_set_create();
	foreach(lc, kept->wanted)
	{
		foreach(lc2, batch_lists(batch, lfirst_oid(lc)))
			keep_list(kept->now, lfirst_oid(lc), lfirst(lc2));
	}
	kept->wanted = NIL;
}

List *
kept_changes_sets(const KeptChanges *kept)
{
	List	   *sets = NIL;

	if (kept->committed != NULL)
		sets = lappend(sets, kept->committed);
	if (kept->now != NULL)
		sets = lappend(sets, kept->now);
	return sets;
}

bool
kept_changes_are_too_many(const KeptChanges *kept)
{
	Size		size = 0;
	ListCell   *lc;

	foreach(lc, kept_changes_sets(kept))
		size += change_set_size(lfirst(lc));
	return freshet_max_fill_backlog >= 0 &&
		size > (Size) freshet_max_fill_backlog * 1024 * 1024;
}

void
kept_changes_commit(KeptChanges *kept)
{
	ListCell   *lc;

	if (kept->now == NULL)
		return;
	if (kept->committed == NULL)
	{
		kept->committed = kept->now;
		kept->now = NULL;
		return;
	}
	foreach(lc, change_set_relids(kept->now))
		keep_list(kept->committed, lfirst_oid(lc),
				  change_set_get_list(kept->now, lfirst_oid(lc), false));
	kept_changes_abort(kept);
}

void
kept_changes_abort(KeptChanges *kept)
{
	if (kept->now != NULL)
		change_set_destroy(kept->now);
	kept->now = NULL;
	kept->wanted = NIL;
	/* an error may have come while they were read */
	if (kept->committed != NULL)
		change_set_end_reading(kept->committed);
}

void
kept_changes_drop(KeptChanges *kept)
{
	kept_changes_abort(kept);
	if (kept->committed != NULL)
		change_set_destroy(kept->committed);
	kept->committed = NULL;
}

void
kept_changes_forget(KeptChanges *kept)
{
	kept->committed = kept->now = NULL;
	kept->wanted = NIL;
}
