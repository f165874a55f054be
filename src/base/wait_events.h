/*-------------------------------------------------------------------------
 *
 * wait_events.h
 *		What pg_stat_activity says that processes wait for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WAIT_EVENTS_H
#define FRESHET_WAIT_EVENTS_H

#include "postgres.h"

typedef enum FreshetWait
{
	WAIT_LAUNCHER_MAIN,			/* the launcher has nothing to do */
	WAIT_WORKER_MAIN,			/* the worker has nothing to do, or pauses */
	WAIT_FILLER_START,			/* for the filler to take over the snapshot */
	WAIT_SNAPSHOT_EXCHANGE,		/* for the other side of verify_sink() */
	WAIT_SINKS_FRESH,			/* wait(): for a batch */
	WAIT_WORKER_LEAVE			/* a command on a database: for its worker to end */
} FreshetWait;

/* For WaitLatch() and ConditionVariableSleep(). */
extern uint32 freshet_wait_event(FreshetWait wait);

#endif							/* FRESHET_WAIT_EVENTS_H */
