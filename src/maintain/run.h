/*-------------------------------------------------------------------------
 *
 * run.h
 *		Runs: the maintenance of one sink in one batch.
 *
 * Whatever the strategy, it is done in the batch's transaction, with its
 * snapshot active (copied, so that its command counter can move):
 *
 *		run = run_begin(sink, leaves, emit, netted);
 *		run_fill(run, rows_done);			or
 *		run_feed(runs, sets, &blame);	as often as there are changes
 *		run_finish(run, &result);		or run_discard(run)
 *
 * What the runs are fed is folded at once, row versions that came and went
 * within the batch included.  If that fails the batch is tried again with the
 * run netted: what it is fed is collected, and what is left of it evaluated
 * when the run is finished (net_rows.c).
 *
 * Several runs may be open at once.  What users define is evaluated in the
 * sink's sandbox, entered and left by each of these functions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_RUN_H
#define FRESHET_RUN_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "catalog/sink.h"
#include "change_set.h"
#include "feed.h"

typedef struct MaintainResult
{
	int64		changes;		/* of the sources */
	int64		inserted;
	int64		updated;
	int64		deleted;
} MaintainResult;

typedef struct Run Run;

/*
 * leaves: partitions of the sources at the snapshot; emit: receives the sink's
 * own changes, or NULL; netted: evaluate only what the batch leaves, and avoid
 * whatever else may fail without need.  The run lives in the current memory
 * context.
 */
extern Run *run_begin(Sink *sink, List *leaves, ChangeSet *emit, bool netted);

/*
 * Pass over changes of other partitions than these: a LeafSet * for each source
 * of the plan, NULL for one that is not partitioned.
 */
extern void run_set_counted(Run *run, List *counted);

/* Can the sink, whose plan is made, be maintained as it is?  Else it must be filled. */
extern bool run_is_possible(const Sink *sink);

/*
 * After ERRCODE_FRESHET_LONG_KEY: replace the index on the key of a rollup, in a
 * transaction of its own.  The sink is not possible then, and so filled.
 */
extern void run_replace_key_index(Oid sink_relid);

/*
 * Of a live sink with a plan made anew and nothing to do: has its table what it
 * takes to write it?  Raises the error that writing would raise.
 */
extern void run_check_table(Sink *sink);

/* Drop what was kept beside a sink that is gone. */
extern void run_drop_leavings(Oid sink_relid);

/* The sink that it maintains. */
extern Sink *run_sink(const Run *run);

/* Compute the sink anew from the sources' rows; rows_done, a counter, may be NULL. */
extern void run_fill(Run *run, int64 *rows_done);

/*
 * Feed the changes in these sets (List of ChangeSet *) to runs (List of Run *).
 * *blame is the sink at work at any time.
 */
extern void run_feed(List *runs, List *sets, Oid *blame);

/* Add the rows that a partition of a source has at the snapshot. */
extern void run_add_leaf(Run *run, int source, Oid leaf);

/* Write what has changed, and end the run. */
extern void run_finish(Run *run, MaintainResult *result);

/* End the run without writing. */
extern void run_discard(Run *run);

/*
 * The shapes of sinks, for run.c.  All but the last two, which may be NULL, are
 * called in the sink's sandbox.  What open() returns is the beginning of the
 * shape's own struct.
 */
typedef struct RunMethods
{
	RowConsumer *(*open) (Sink *sink, List *leaves, ChangeSet *emit);
	void		(*fill) (RowConsumer *consumer, int64 *rows_done);
	void		(*flush) (RowConsumer *consumer);
	void		(*close) (RowConsumer *consumer, MaintainResult *result);
	/* is all there that maintenance needs, beside the sink?  Else fill it. */
	bool		(*is_ready) (const Sink *sink);
	/* make what is needed, before a fill */
	void		(*prepare_fill) (Sink *sink);
} RunMethods;

extern const RunMethods rollup_methods;
extern const RunMethods copy_methods;
extern const RunMethods bag_methods;
extern const RunMethods keyed_methods;
extern const RunMethods keyed_query_methods;
extern const RunMethods refresh_methods;

#endif							/* FRESHET_RUN_H */
