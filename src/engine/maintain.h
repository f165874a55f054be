/*-------------------------------------------------------------------------
 *
 * maintain.h
 *		Bring all sinks up to date by the changes of one batch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_MAINTAIN_H
#define FRESHET_MAINTAIN_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "decoder.h"
#include "maintain/change_set.h"

/* The batch under way, as batch.c and maintain.c know it. */
typedef struct Batch
{
	Snapshot	snapshot;
	MemoryContext context;
	bool		aligned;
	List	   *sinks;
	DecodeResult part;			/* being maintained */
	bool		last_part;
	bool		all_anew;		/* there was no progress when decoding started:
								 * every sink has to be filled */
	bool		filling;		/* the sink at work is being filled */
	TimestampTz newest_commit;
	XLogRecPtr	end;			/* decoded up to here */
	List	   *runs;			/* Run *, those open */
	List	   *hungry;			/* those of them to be fed the part */
	List	   *attached;		/* AttachedLeaf *, to be read at its end */
	List	   *unknown;		/* OIDs of sinks whose source changed in a way
								 * that the log does not tell */
	ChangeSet  *emitted;		/* changes of sinks by this batch */
	int64		changes;
	int64		written;		/* rows of sinks */
	bool		retry;
	bool		again;			/* the filler is free for the next sink */
} Batch;

/* The sink being maintained, or InvalidOid: it is to blame for an error. */
extern Oid	maintain_current_sink;

/* Have the changes of every source of these sinks decoded. */
extern void maintain_set_interest(List *sinks);

/* Maintain the sinks by the part that was decoded. */
extern void maintain_sinks(Batch *batch);

/*
 * The sinks' counters, which are written with the progress, as they are at the
 * start of a batch; and back to that, if it has come to nothing.
 */
extern void maintain_save_counters(void);
extern void maintain_restore_counters(void);

/* Free the counters of sinks that are gone. */
extern void maintain_free_stats(List *sinks);

#endif							/* FRESHET_MAINTAIN_H */
