/*-------------------------------------------------------------------------
 *
 * delta.h
 *		The strategy "delta": fold changes into the sink, without a query.
 *
 * A run maintains one sink in one batch, in the batch's transaction, with its
 * snapshot active (copied, so that its command counter can move):
 *
 *		run = delta_begin(sink, leaves, emit);
 *		delta_fill(run, stats);			or
 *		delta_feed(runs, lists, ...);	as often as there are changes
 *		delta_finish(run, &result);		or delta_discard(run)
 *
 * Several runs may be open at once.  What users define is evaluated in the
 * sink's sandbox, entered and left by each of these functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DELTA_H
#define FRESHET_DELTA_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "change_set.h"
#include "feed.h"
#include "shmem.h"
#include "sink.h"

typedef struct MaintainResult
{
	int64		changes;		/* of the source */
	int64		inserted;
	int64		updated;
	int64		deleted;
} MaintainResult;

typedef struct DeltaRun DeltaRun;

/*
 * leaves: partitions of the source at the snapshot; emit: receives the sink's
 * own changes, or NULL.  The run lives in the current memory context.
 */
extern DeltaRun *delta_begin(Sink *sink, List *leaves, ChangeSet *emit);

/* Compute the sink anew from the source's rows; stats may be NULL. */
extern void delta_fill(DeltaRun *run, SinkStats *stats);

/*
 * Fold changes of the source (List of ChangeList *) into runs (List of
 * DeltaRun *) whose sinks have the same source.  *blame is the sink at work at
 * any time.
 */
extern void delta_feed(List *runs, List *lists, Oid *blame);

/* Write what has changed, and end the run. */
extern void delta_finish(DeltaRun *run, MaintainResult *result);

/* End the run without writing. */
extern void delta_discard(DeltaRun *run);

/*
 * The two shapes, for delta.c.  All are called in the sandbox of the sink's
 * definer.  What open() returns is the beginning of the shape's own struct.
 */
typedef struct DeltaMethods
{
	RowConsumer *(*open) (Sink *sink, List *leaves, ChangeSet *emit);
	void		(*fill) (RowConsumer *consumer, SinkStats *stats);
	void		(*flush) (RowConsumer *consumer);
	void		(*close) (RowConsumer *consumer, MaintainResult *result);
} DeltaMethods;

extern const DeltaMethods rollup_methods;
extern const DeltaMethods copy_methods;

#endif							/* FRESHET_DELTA_H */
