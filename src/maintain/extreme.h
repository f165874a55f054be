/*-------------------------------------------------------------------------
 *
 * extreme.h
 *		Compute min and max of stale groups again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EXTREME_H
#define FRESHET_EXTREME_H

#include "rollup_internal.h"

/*
 * Recompute the extremes of every group in memory that lost one, from the
 * source at the active snapshot.  Does nothing if there is none.
 */
extern void extreme_recompute(Rollup *rollup);

#endif							/* FRESHET_EXTREME_H */
