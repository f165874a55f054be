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

#include "shmem.h"
#include "sink.h"

/* Report a phase of the fill in freshet.progress; backfill_end() ends it. */
extern SinkStats *backfill_begin(Sink *sink, FillPhase phase);
extern void backfill_end(Sink *sink);

/* Small enough to be filled within the batch? */
extern bool backfill_is_inline(Sink *sink);

/*
 * Go on with the fill of a large sink, in a batch: start it at the batch's
 * snapshot, or keep the changes, or finish it when it has committed.
 */
extern void backfill_maintain(Sink *sink, List *lists);

/* Forget all fills under way: after an error. */
extern void backfill_abandon(void);

#endif							/* FRESHET_BACKFILL_H */
