/*-------------------------------------------------------------------------
 *
 * kept_changes.h
 *		Changes that outlive their batch, for sinks that take them later.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEPT_CHANGES_H
#define FRESHET_KEPT_CHANGES_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "batch_runs.h"
#include "maintain/change_set.h"

/* Zeroed: none. */
typedef struct KeptChanges
{
	ChangeSet  *committed;		/* of batches that were committed */
	ChangeSet  *now;			/* of the batch under way */
	List	   *wanted;			/* relations, in this part; ends with the batch */
} KeptChanges;

/*
 * Those of these relations in this part of the batch are to be kept, once for all who
 * want them; and when nobody more wants any, keep them.
 */
extern void kept_changes_want(KeptChanges *kept, Batch *batch, List *relids);
extern void kept_changes_take(KeptChanges *kept, Batch *batch);

/* All of them, List of ChangeSet *, in the order of the log. */
extern List *kept_changes_sets(const KeptChanges *kept);

/* Are they more than freshet.max_fill_backlog? */
extern bool kept_changes_are_too_many(const KeptChanges *kept);

/* After the batch: those of it are kept for good, or come again. */
extern void kept_changes_commit(KeptChanges *kept);
extern void kept_changes_abort(KeptChanges *kept);

extern void kept_changes_drop(KeptChanges *kept);
/* The same when the decoder has destroyed all change sets. */
extern void kept_changes_forget(KeptChanges *kept);

#endif							/* FRESHET_KEPT_CHANGES_H */
