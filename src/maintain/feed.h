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

#include "catalog/sink.h"

typedef struct RowConsumer
{
	/* occurrence: see plan.h; sign +1: the row is added; -1: retracted */
	void		(*row) (struct RowConsumer *consumer, int occurrence, TupleTableSlot *slot,
						int sign);
	/* all rows of the occurrence so far are gone */
	void		(*truncate) (struct RowConsumer *consumer, int occurrence);

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

/* A place in a sink's query where a feed's rows go in, and what takes them. */
typedef struct FeedTarget
{
	const Sink *sink;
	int			occurrence;
	const LeafSet *counted;		/* if it is partitioned: changes of others are
								 * passed over */
	RowConsumer *consumer;
} FeedTarget;

/*
 * What makes signed rows of the changes of a batch: here of those of one
 * relation, each as it is, for all its occurrences.
 */
typedef struct Feed
{
	Oid			relid;
	int			ntargets;
	FeedTarget *targets;
} Feed;

/*
 * The changed rows in the batch's sets (List of ChangeSet *) in order, each to
 * all targets.  Raises an error if an old row lacks a column that a sink uses.
 * *blame is the sink at work at any time.  Returns the number of changes.
 */
extern int64 feed_changes(const Feed *feed, List *sets, Oid *blame);

/*
 * Lock all that a query over the sink's sources reads, the views of its
 * definition included: what PostgreSQL locks again is granted at once then.
 */
extern void feed_lock_sources(const Sink *sink, List *leaves);

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
 * All rows of an occurrence that the snapshot sees, added.  leaves: the
 * partitions, if it is partitioned.  Counts in rows_done if not NULL.
 */
extern int64 feed_table(const Sink *sink, int occurrence, List *leaves, Snapshot snapshot,
						RowConsumer *consumer, int64 *rows_done);

/* The rows of one partition of it, added.  Call feed_check_sources() before. */
extern int64 feed_leaf(const Sink *sink, int occurrence, Oid leaf, Snapshot snapshot,
					   RowConsumer *consumer);

#endif							/* FRESHET_FEED_H */
