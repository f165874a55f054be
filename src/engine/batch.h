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

/*
 * After an error, and the abort: forget what was decoded.  Returns the sink
 * that was being maintained when the error arose, or InvalidOid.
 */
extern Oid	batch_abandon(void);

/*
 * Lock the catalogue until the end of the transaction so that no sink can be
 * made; is there none?
 */
extern bool batch_lock_no_sink(void);

/* Set a sink failed, in a transaction of its own. */
extern void batch_fail_sink(Oid relid, const char *message);

#endif							/* FRESHET_BATCH_H */
