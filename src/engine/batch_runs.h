/*-------------------------------------------------------------------------
 *
 * batch_runs.h
 *		The batch under way, its changes, and the runs of its sinks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_BATCH_RUNS_H
#define FRESHET_BATCH_RUNS_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/snapshot.h"

#include "catalog/sink.h"
#include "decoder.h"
#include "maintain/change_set.h"
#include "maintain/run.h"
#include "partitions.h"

/*
 * The batch under way.  The lists and the runs end with it, or with the part.
 */
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
	List	   *to_feed;		/* those of them to be fed the part */
	List	   *attached;		/* AttachedLeaf *, to be read at its end */
	List	   *unknown;		/* OIDs of sinks whose source changed in a way
								 * that the log does not tell */
	ChangeSet  *emitted;		/* changes of sinks by this batch */
	int64		changes;
	int64		written;		/* rows of sinks */
	bool		retry;
	bool		repeat;			/* the filler is free for the next sink */
} Batch;

/* The sink being maintained, or InvalidOid: it is to blame for an error. */
extern Oid	batch_current_sink;

/*
 * The changes of this part (List of ChangeSet *): with the last one, those of
 * sinks by this batch too.
 */
extern List *batch_sets(Batch *batch);
/* Those of a relation: List of ChangeList *. */
extern List *batch_lists(Batch *batch, Oid source);

/*
 * Have the sink's sources changed, in this part, in a way that the log does not tell,
 * or that a join cannot use?
 */
extern bool batch_is_unknown(Batch *batch, const Sink *sink);

/* The run of a sink that is open, or NULL. */
extern Run *batch_find_run(Batch *batch, Sink *sink);
/* The same, begun if there is none. */
extern Run *batch_get_run(Batch *batch, Sink *sink, const Partitions *partitions);

/* Write what a run has to write, and count it. */
extern void batch_finish_run(Batch *batch, Run *run);
/* The same of all sinks up to this level. */
extern void batch_finish_runs(Batch *batch, int level);

/* End the run of a sink, if there is one, without writing. */
extern void batch_discard_run(Batch *batch, Sink *sink);

/* After a fill: count the rows of the sink anew. */
extern void batch_count_rows(Sink *sink);

#endif							/* FRESHET_BATCH_RUNS_H */
