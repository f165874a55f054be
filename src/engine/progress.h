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
	bool		exists;			/* the row is of this database, */
	bool		valid;			/* and of this server's log: lsn is what it says */
	char		slot_name[NAMEDATALEN];
	XLogRecPtr	lsn;
	TimestampTz commit_time;
	int			nheld_back;
	TransactionId *held_back;

	/* the slot when the row was written: it can be newer, but not older */
	XLogRecPtr	confirmable;	/* it was never confirmed beyond this */
	XLogRecPtr	restart_lsn;
	TransactionId catalog_xmin;
} Progress;

/*
 * Read the row, in a transaction with an active snapshot; palloc'd.  The
 * counters of the sinks go to counters.c.  Not valid if there is none,
 * or if it came with a copy of another database or server, or from before this
 * server was promoted.
 */
extern void progress_load(Progress *progress);

/* Write it, with the counters of the sinks, in this transaction. */
extern void progress_store(const Progress *progress);

/*
 * Begin anew, durably: nothing is applied, and the slot of this name, which is
 * about to be made or dropped, is ours.  In a transaction of its own.
 */
extern void progress_forget(const char *slot_name);

/*
 * Tell those who consume the changes of sinks from the log what they reflect:
 * a message in the transaction of the batch, with the prefix "freshet", whose
 * content is a JSON object.  commit_time is that of the newest transaction
 * applied, 0 if there was none.
 */
extern void progress_announce(XLogRecPtr lsn, TimestampTz commit_time, bool aligned);

#endif							/* FRESHET_PROGRESS_H */
