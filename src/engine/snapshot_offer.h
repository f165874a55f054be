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

#include "utils/snapshot.h"

#include "base/shmem.h"

/*
 * A batch begins with snapshot_offer_wanted(), before its snapshot is taken;
 * true asks for a batch that is aligned to a snapshot, even if there is
 * nothing to apply.  Such a batch calls snapshot_offer_make() with its snapshot
 * as the last thing before its commit, and snapshot_offer_committed() right
 * after it; an error on the way, or the worker's exit,
 * snapshot_offer_aborted().
 *
 * They sleep on the latch of the process, and so may reset it.
 */
extern bool snapshot_offer_wanted(WorkerSlot *slot);
extern void snapshot_offer_make(WorkerSlot *slot, Snapshot snapshot);
extern void snapshot_offer_committed(WorkerSlot *slot);
extern void snapshot_offer_aborted(WorkerSlot *slot);

#endif							/* FRESHET_SNAPSHOT_OFFER_H */
