/*-------------------------------------------------------------------------
 *
 * left_out.h
 *		Sinks that stand still until a lock is to be had.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_LEFT_OUT_H
#define FRESHET_LEFT_OUT_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "batch_runs.h"
#include "catalog/sink.h"
#include "partitions.h"

/* After an error: from the next batch on, leave the sink out until this lock is to be had. */
extern void left_out_add(Oid sink, Oid obstacle, LOCKMODE mode);

/* Before sinks are maintained: forget those that are not to be maintained anyway. */
extern void left_out_check(List *sinks);

/*
 * Is the sink to be left alone, in this part of the batch?  Then all is done; else it is
 * not left out any more, if the batch commits.
 */
extern bool left_out_of(Sink *sink, Batch *batch);

/* Of one that is behind and comes back: has the worker what changed since? */
extern bool left_out_has_changes(const Sink *sink);

/* Feed it what was kept: it is live with the end of this batch. */
extern void left_out_end(Sink *sink, Batch *batch, const Partitions *partitions);

/* Every sink has had this part. */
extern void left_out_end_part(Batch *batch);

/* Is one left out, for whose lock the worker is to look again soon? */
extern bool left_out_any(void);

/*
 * After the batch's commit; after its error, if its changes come again, or else,
 * since all changes are lost.
 */
extern void left_out_committed(void);
extern void left_out_aborted(void);
extern void left_out_abandon(void);

#endif							/* FRESHET_LEFT_OUT_H */
