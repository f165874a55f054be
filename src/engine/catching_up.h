/*-------------------------------------------------------------------------
 *
 * catching_up.h
 *		Sinks that stand still until a batch reaches its snapshot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_CATCHING_UP_H
#define FRESHET_CATCHING_UP_H

#include "postgres.h"

#include "batch_runs.h"
#include "catalog/sink.h"
#include "partitions.h"

/* Does the sink need the snapshot, which this batch does not reach? */
extern bool catching_up_lacks_snapshot(const Sink *sink, const Batch *batch);

/* Of one that is behind: has the worker what changed since? */
extern bool catching_up_has_changes(const Sink *sink);

/* The sink is behind: keep what changes, in this part of the batch. */
extern void catching_up_keep(Sink *sink, Batch *batch);

/* The same, but it has changed in a way that cannot be kept: it will be filled. */
extern void catching_up_lose(Sink *sink);

/* Feed it what was kept: it is live with the end of this batch. */
extern void catching_up_end(Sink *sink, Batch *batch, const Partitions *partitions);

/* Every sink has had this part. */
extern void catching_up_end_part(Batch *batch);

/*
 * After the batch's commit; after its error, if its changes come again, or else,
 * since all changes are lost.
 */
extern void catching_up_committed(const Batch *batch);
extern void catching_up_aborted(void);
extern void catching_up_abandon(void);

#endif							/* FRESHET_CATCHING_UP_H */
