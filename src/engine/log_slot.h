/*-------------------------------------------------------------------------
 *
 * log_slot.h
 *		The replication slot of the database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_LOG_SLOT_H
#define FRESHET_LOG_SLOT_H

#include "postgres.h"

#include "progress.h"

/* Let this session load our output plugin, wherever the server restricts that. */
extern void log_slot_allow_plugin(void);

/*
 * Have the slot, and hold it until it is dropped or the process ends.  If it is
 * not there, or does not go with the progress, it is made anew, which waits for
 * the transactions that are running, and the progress begins anew.  Outside of
 * a transaction; false if the extension is gone.
 */
extern bool log_slot_ensure(void);

/* Note in the progress what it needs to know of the slot, which is held. */
extern void log_slot_describe(Progress *progress);

/* Drop the slot, of which nobody decodes, and begin anew.  As above. */
extern void log_slot_give_up(void);

/* Drop the slot, if there is one. */
extern void log_slot_drop(void);

/* Leave no half-made slot behind. */
extern void log_slot_after_error(void);

/*
 * Log that the slot, if it is held, keeps from being recycled, in bytes; and of
 * that, what the worker has not confirmed yet.
 */
extern uint64 log_slot_lag(uint64 *unconfirmed);

#endif							/* FRESHET_LOG_SLOT_H */
