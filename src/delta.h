/*-------------------------------------------------------------------------
 *
 * delta.h
 *		The strategy "delta": fold changes into the sink, without a query.
 *
 * Called in the batch's transaction with its snapshot active (copied, so that
 * its command counter can move).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DELTA_H
#define FRESHET_DELTA_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "change_set.h"
#include "feed.h"
#include "shmem.h"
#include "sink.h"

/*
 * What a maintenance run reads and writes.
 */
typedef struct MaintainInput
{
	bool		fill;			/* compute the sink anew from the source's rows */
	List	   *lists;			/* else, or after: ChangeList * of the source */
	List	   *leaves;			/* partitions of the source at the snapshot */
	ChangeSet  *emit;			/* receives the sink's own changes, or NULL */
	SinkStats  *stats;			/* rows done while filling; may be NULL */
} MaintainInput;

typedef struct MaintainResult
{
	int64		changes;		/* of the source */
	int64		inserted;
	int64		updated;
	int64		deleted;
} MaintainResult;

/* Fold the input into the sink. */
extern void delta_maintain(Sink *sink, const MaintainInput *input, MaintainResult *result);

/* Its two shapes; in the sandbox of the sink's definer. */
extern void rollup_maintain(Sink *sink, const MaintainInput *input, MaintainResult *result);
extern void copy_maintain(Sink *sink, const MaintainInput *input, MaintainResult *result);

#endif							/* FRESHET_DELTA_H */
