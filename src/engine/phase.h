/*-------------------------------------------------------------------------
 *
 * phase.h
 *		What the worker is at, for freshet.worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PHASE_H
#define FRESHET_PHASE_H

#include "postgres.h"

#include "base/shmem.h"

/* The batch is in this phase now; sink: it works on this one, or InvalidOid. */
extern void phase_enter(BatchPhase phase, Oid sink);

#endif							/* FRESHET_PHASE_H */
