/*-------------------------------------------------------------------------
 *
 * exchange.h
 *		The exchange by which a session gets the worker's snapshot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EXCHANGE_H
#define FRESHET_EXCHANGE_H

#include "postgres.h"

#include "shmem.h"

/* The phase, and whose exchange it is; pid may be NULL. */
extern VerifyPhase exchange_phase(WorkerSlot *slot, pid_t *pid);

/* From one phase of one session's exchange to the next; false if it is not in it. */
extern bool exchange_advance(WorkerSlot *slot, VerifyPhase from, VerifyPhase to, pid_t pid);

/*
 * Sleep while this exchange is in this phase, for "patience" ms at the most;
 * returns the phase, VERIFY_NONE if the exchange is over.
 */
extern VerifyPhase exchange_sleep_while(WorkerSlot *slot, VerifyPhase phase, pid_t pid,
										long patience);

#endif							/* FRESHET_EXCHANGE_H */
