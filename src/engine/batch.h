/*-------------------------------------------------------------------------
 *
 * batch.h
 *		One batch: snapshot, decode, maintain, commit.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_BATCH_H
#define FRESHET_BATCH_H

#include "postgres.h"

typedef struct BatchOutcome
{
	bool		nothing_to_do;	/* the extension or the last sink is gone */
	bool		behind;			/* more log is there: go on at once */
	bool		retry;			/* a sink waits for a transaction to become
								 * visible: look again soon */
} BatchOutcome;

/* Run one batch in a transaction of its own. */
extern void batch_run(BatchOutcome *outcome);

/* Confirm to the slot what is flushed by now; outside of a transaction. */
extern void batch_confirm(bool flush);

/* Where an error arose. */
typedef struct BatchFailure
{
	Oid			sink;			/* that was being maintained, or InvalidOid */
	bool		filling;		/* it was being filled */
} BatchFailure;

/* To be asked first. */
extern void batch_failure(BatchFailure *failure);

/*
 * After an error, and the abort: have the same changes maintained again, or, if
 * that can't be, forget what was decoded.  retry: it was nobody's fault; plans
 * that were made are as good as before, and are not made again, which would
 * take locks on all sources.
 */
extern void batch_abandon(bool retry);

/*
 * Lock the catalogue until the end of the transaction so that no sink can be
 * made; is there none?
 */
extern bool batch_lock_no_sink(void);

/*
 * Write what is to become of the sinks in which errors arose, each in a
 * transaction of its own.
 */
extern void batch_settle_troubles(void);

#endif							/* FRESHET_BATCH_H */
