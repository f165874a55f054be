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

/* Let this session load our output plugin, wherever the server restricts that. */
extern void log_slot_allow_plugin(void);

/* Is there a slot of this database that still has its log? */
extern bool log_slot_is_usable(void);

/*
 * Make the slot, in place of one that lost its log.  In a transaction of its
 * own that has not written.  Waits for the transactions that are running.
 */
extern void log_slot_make(void);

/* Stop decoding and drop the slot, if there is one. */
extern void log_slot_drop(void);

/* Log that the slot keeps from being recycled, in bytes; 0 without a slot. */
extern uint64 log_slot_lag(void);

#endif							/* FRESHET_LOG_SLOT_H */
