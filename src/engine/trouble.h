/*-------------------------------------------------------------------------
 *
 * trouble.h
 *		What becomes of a sink in whose maintenance an error arose.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_TROUBLE_H
#define FRESHET_TROUBLE_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

/* What is written about a sink after an error; see trouble_next(). */
typedef enum TroubleStep
{
	TROUBLE_NOTHING,			/* the batch is tried again */
	TROUBLE_LONG_KEY,			/* the index on its key is replaced */
	TROUBLE_FILL,				/* the sink is set building, to be filled */
	TROUBLE_FAIL				/* the sink is set failed */
} TroubleStep;

/*
 * An error arose in the maintenance of a sink; message is copied.  filling: it
 * was being filled; hopeless: nothing else is worth a try.
 */
extern void trouble_note(Oid relid, int sqlerrcode, const char *message, bool filling,
						 bool hopeless);

/*
 * The next sink about which something is to be written, and what; false if there
 * is none.  *message is valid until trouble_written(), which the caller calls
 * when that is committed.
 */
extern bool trouble_next(Oid *relid, TroubleStep *step, const char **message);
extern void trouble_written(Oid relid);

/* Are its rows to be netted before they are evaluated? */
extern bool trouble_is_netted(Oid relid);

/* Is it to be left alone for now? */
extern bool trouble_is_pausing(Oid relid);

/* A batch has been committed in which the sink was maintained, or filled. */
extern void trouble_maintained(Oid relid);
extern void trouble_filled(Oid relid);

/*
 * A batch begins, over these sinks: those that are gone or paused are forgotten,
 * and whose pause is over is not waited for any more.
 */
extern void trouble_begin_batch(List *sinks);

/* When the first of the sinks that pause is to be tried again; 0: none. */
extern TimestampTz trouble_retry_at(void);

#endif							/* FRESHET_TROUBLE_H */
