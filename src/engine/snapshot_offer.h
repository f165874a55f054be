/*-------------------------------------------------------------------------
 *
 * snapshot_offer.h
 *		The worker's half of the exchange with a session that verifies a sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SNAPSHOT_OFFER_H
#define FRESHET_SNAPSHOT_OFFER_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "base/shmem.h"

/*
 * A batch begins with snapshot_offer_prepare(), in its transaction, before its
 * snapshot is taken and while nothing is locked; "sinks" are those of the batch
 * before.  True asks for a batch that is aligned to a snapshot, even if there is
 * nothing to apply, and means that what the session wants to read is locked.  Such
 * a batch calls snapshot_offer_make() with its snapshot as the last thing before
 * its commit, and snapshot_offer_committed() right after it; a batch that is not
 * aligned, an error on the way, or the worker's exit, snapshot_offer_aborted().
 *
 * They sleep on the latch of the process, and so may reset it.
 */
extern bool snapshot_offer_prepare(WorkerSlot *slot, List *sinks);
extern void snapshot_offer_make(WorkerSlot *slot, Snapshot snapshot);
extern void snapshot_offer_committed(WorkerSlot *slot);
extern void snapshot_offer_aborted(WorkerSlot *slot);

#endif							/* FRESHET_SNAPSHOT_OFFER_H */
