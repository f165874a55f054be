/*-------------------------------------------------------------------------
 *
 * fill.h
 *		The way of a sink that has to be computed anew.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FILL_H
#define FRESHET_FILL_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "batch_runs.h"
#include "catalog/sink.h"
#include "partitions.h"

/* Before the batch's snapshot is taken: note whether the filler has committed. */
extern void fill_before_snapshot(void);

/* In a batch, before sinks are maintained: end a fill that is not wanted. */
extern void fill_check(List *sinks);

/*
 * Is there nothing to be done for a sink without a plan, if none of its sources
 * has changed?  A new plan is a reason to refresh a sink.
 */
extern bool fill_is_settled(Sink *sink, Batch *batch);

/* Note that batch_is_unknown(). */
extern void fill_note_unknown(Sink *sink, Batch *batch);
/* It cannot be filled yet, and cannot go on from what it has. */
extern void fill_put_off(Sink *sink, Batch *batch);

/* Note that its changes have been lost. */
extern void fill_note_lost(Sink *sink, Batch *batch);

/*
 * Move the sink on as far as this part of the batch lets it; false if it is live,
 * and has to be maintained.
 */
extern bool fill_move_on(Sink *sink, Batch *batch, const Partitions *partitions);

/* Has the filler begun with it? */
extern bool fill_is_under_way(Oid sink);

/* Has the filler come to its end, and the sink is locked by somebody else? */
extern bool fill_awaits_lock(void);

/* End the fill of this sink, if it is under way. */
extern void fill_cancel(Sink *sink);

/*
 * After the batch's commit, what it has kept is kept for good.  After its error,
 * if its changes come again, it has kept nothing; or else the fill under way ends,
 * since what was decoded for it is lost.
 */
extern void fill_committed(void);
extern void fill_aborted(void);
extern void fill_abandon(void);

/* Has a fill come to an end since? */
extern bool fill_needs_batch(void);

#endif							/* FRESHET_FILL_H */
