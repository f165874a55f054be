/*-------------------------------------------------------------------------
 *
 * feed.h
 *		Feed the rows of changes, or of a whole table, to a consumer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FEED_H
#define FRESHET_FEED_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "base/shmem.h"
#include "catalog/sink.h"

typedef struct RowConsumer
{
	/* source: its index in the plan; sign +1: the row is added; -1: retracted */
	void		(*row) (struct RowConsumer *consumer, int source, TupleTableSlot *slot, int sign);
	/* all rows of the source so far are gone */
	void		(*truncate) (struct RowConsumer *consumer, int source);

	/*
	 * It wants the new row of an update that changed no column whose old value
	 * it needs, too; the old row is not in the log then.
	 */
	bool		wants_same_identity;

	/* its rows are netted: see run_begin() */
	bool		netted;
} RowConsumer;

/* Partitions of a source, sorted. */
typedef struct LeafSet
{
	int			n;
	Oid			relids[FLEXIBLE_ARRAY_MEMBER];
} LeafSet;

/* A sink over the source whose changes are fed, and what takes them. */
typedef struct FeedTarget
{
	const Sink *sink;
	int			source;			/* the index of the source in its plan */
	const LeafSet *counted;		/* if it is partitioned: changes of others are
								 * passed over */
	RowConsumer *consumer;
} FeedTarget;

/*
 * Rows of the change lists (List of ChangeList *) in order, each to all
 * targets, which have the same source.  Raises an error if an old row lacks a
 * column that a sink uses.  *blame is the sink at work at any time.  Returns
 * the number of changes.
 */
extern int64 feed_changes(const FeedTarget *targets, int ntargets, List *lists, Oid *blame);

/*
 * Lock the sink's sources, and make sure that the active snapshot sees
 * all of their rows: a table that was truncated or rewritten since looks empty
 * to older snapshots.  Ends the batch, to be tried again with a newer
 * snapshot, if so.
 */
extern void feed_check_sources(const Sink *sink, List *leaves);
/* The same of one relation. */
extern void feed_check_relation(Oid relid);

/*
 * All rows of the sink's first source that the snapshot sees, added.  leaves: the
 * partitions, if the source is partitioned.  Counts in stats if not NULL.
 */
extern int64 feed_table(const Sink *sink, List *leaves, Snapshot snapshot,
						RowConsumer *consumer, SinkStats *stats);

/*
 * The rows of one partition of a source, by its index in the plan, added.  Call
 * feed_check_sources() before.
 */
extern int64 feed_leaf(const Sink *sink, int source, Oid leaf, Snapshot snapshot,
					   RowConsumer *consumer);

#endif							/* FRESHET_FEED_H */
