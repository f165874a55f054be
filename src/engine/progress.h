/*-------------------------------------------------------------------------
 *
 * progress.h
 *		The progress row: what the worker has applied.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PROGRESS_H
#define FRESHET_PROGRESS_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"

#include "base/shmem.h"

typedef struct Progress
{
	bool		valid;			/* written by the worker of this database */
	XLogRecPtr	lsn;
	TimestampTz commit_time;
	int			nheld_back;
	TransactionId *held_back;
} Progress;

/*
 * Read the row, in a transaction with an active snapshot; palloc'd.  The
 * counters of the sinks go to the worker's slot.  Not valid if there is none,
 * or if it came with a copy of another database or server.
 */
extern void progress_load(Progress *progress, WorkerSlot *slot);

/* Write it, with the counters of the worker's slot, in this transaction. */
extern void progress_store(const Progress *progress, WorkerSlot *slot);

/*
 * Delete it, durably: the slot that it is about is gone.  In a transaction of
 * its own.
 */
extern void progress_forget(void);

/*
 * Tell those who consume the changes of sinks from the log what they reflect:
 * a message in the transaction of the batch, with the prefix "freshet", whose
 * content is a JSON object.  commit_time is that of the newest transaction
 * applied, 0 if there was none.
 */
extern void progress_announce(XLogRecPtr lsn, TimestampTz commit_time, bool aligned);

#endif							/* FRESHET_PROGRESS_H */
