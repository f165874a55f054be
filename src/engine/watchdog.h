/*-------------------------------------------------------------------------
 *
 * watchdog.h
 *		End the maintenance of a sink that does not come back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WATCHDOG_H
#define FRESHET_WATCHDOG_H

#include "postgres.h"

/* Once, in the worker: *sink is the sink at work at any time, or InvalidOid. */
extern void watchdog_init(volatile Oid *sink);

/* Around a batch; an error's handler stops it too. */
extern void watchdog_start(void);
extern void watchdog_stop(void);

/* Did it raise the error that has just been caught?  Forgets it. */
extern bool watchdog_take_alarm(void);

#endif							/* FRESHET_WATCHDOG_H */
