/*-------------------------------------------------------------------------
 *
 * verify.h
 *		freshet.verify_sink(): a sink against its query, at the worker's
 *		snapshot, while writers run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_VERIFY_H
#define FRESHET_VERIFY_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "base/shmem.h"
#include "catalog/sink.h"

/*
 * For the worker.  A batch begins with verify_pending(), before its snapshot
 * is taken; true asks for a batch that is aligned to a snapshot, even if
 * there is nothing to apply.  Such a batch calls verify_offer() with its
 * snapshot as the last thing before its commit, and verify_committed() right
 * after it; an error on the way, or the worker's exit, verify_aborted().
 *
 * Both sleep on the latch of the process, and so may reset it.
 */
extern bool verify_pending(WorkerSlot *slot);
extern void verify_offer(WorkerSlot *slot, Snapshot snapshot);
extern void verify_committed(WorkerSlot *slot);
extern void verify_aborted(WorkerSlot *slot);

/* verify_compare.c: count the rows of the query, as "query_snapshot" sees
 * them, that the sink, as "sink_snapshot" sees it, lacks; and the converse. */
extern void verify_compare(Sink *sink, Snapshot query_snapshot, Snapshot sink_snapshot,
						   int64 *missing, int64 *unexpected);

#endif							/* FRESHET_VERIFY_H */
