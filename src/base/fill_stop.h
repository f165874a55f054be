/*-------------------------------------------------------------------------
 *
 * fill_stop.h
 *		How a session ends the fill of a sink that it pauses, rebuilds or drops.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FILL_STOP_H
#define FRESHET_FILL_STOP_H

#include "postgres.h"

/*
 * Sessions
 */

extern void fill_stop_install_hooks(void);

/* If this transaction commits, a fill of the sink is of no use any more. */
extern void fill_stop_at_commit(Oid sink);

/*
 * Between these, should this session wait for the lock with which it will drop
 * a sink, the fill that holds the lock is ended; all: whatever it waits for, as it
 * is about to drop all sinks.  The result is to be passed to the second.
 */
typedef enum FillStopWatch
{
	FILL_STOP_NONE,
	FILL_STOP_AWAITED,
	FILL_STOP_ALL
} FillStopWatch;

extern FillStopWatch fill_stop_watch(FillStopWatch watch);
extern void fill_stop_unwatch(FillStopWatch before);

/*
 * Processes that fill
 */

/* Between these the fill can be ended, by an error that is nobody's fault. */
extern void fill_stop_begin(Oid sink);
extern void fill_stop_end(void);

/* Was the error that has just been caught of that kind?  Forgets it. */
extern bool fill_stop_take(void);

#endif							/* FRESHET_FILL_STOP_H */
