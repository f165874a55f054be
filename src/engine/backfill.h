/*-------------------------------------------------------------------------
 *
 * backfill.h
 *		The first fill of a sink, and its rebuilding.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_BACKFILL_H
#define FRESHET_BACKFILL_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "base/shmem.h"
#include "catalog/sink.h"

/* Report a fill in freshet.progress until backfill_end(); may be NULL. */
extern SinkStats *backfill_begin(Sink *sink);
extern void backfill_end(Sink *sink);

/* Before the batch's snapshot is taken: note whether a fill has committed. */
extern void backfill_before_snapshot(void);

/* In a batch, before sinks are maintained: end a fill that is not wanted. */
extern void backfill_check(List *sinks);

/*
 * Have a second worker fill the sink at the batch's snapshot, or wait until
 * it is free.  False if the sink is to be filled within the batch instead.
 */
extern bool backfill_start(Sink *sink, Snapshot snapshot);
extern bool backfill_is_running(Oid relid);

/* Keep changes (List of ChangeList *) of this batch for the sink being filled. */
extern void backfill_keep(Oid source, List *lists);
/* Has the fill committed?  Raises the error of one that failed. */
extern bool backfill_is_done(Sink *sink);
/* All changes that were kept: List of ChangeSet *. */
extern List *backfill_kept(void);
extern void backfill_forget(void);

/* End the fill of this sink, if one is running. */
extern void backfill_cancel(Sink *sink);

/* After a batch's commit; or after its error, if its changes come again. */
extern void backfill_committed(void);
extern void backfill_aborted(void);

/* After an error by which what was decoded is lost: end the fill under way. */
extern void backfill_abandon(void);

/* Has a fill come to an end since? */
extern bool backfill_needs_batch(void);

extern PGDLLEXPORT void freshet_filler_main(Datum main_arg);

#endif							/* FRESHET_BACKFILL_H */
