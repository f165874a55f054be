/*-------------------------------------------------------------------------
 *
 * partitions.h
 *		Partitions of sources that come and go.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PARTITIONS_H
#define FRESHET_PARTITIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "catalog/sink.h"
#include "maintain/feed.h"

/* A leaf whose rows are to be added as they are at the snapshot. */
typedef struct AddedLeaf
{
	int			source;			/* the index of its source in the plan */
	Oid			relid;
} AddedLeaf;

/* The partitions of a sink's sources, compared with those of the batch before. */
typedef struct Partitions
{
	List	   *relids;			/* OIDs of all that the snapshot sees, branches too, */
	List	   *attached;		/* and a number for each that changes when it, or
								 * a branch above it, is attached anew */
	List	   *leaves;			/* OIDs of those that have rows of their own */
	List	   *counted;		/* LeafSet * of each source, NULL for a table */
	List	   *added;			/* AddedLeaf * */
	bool		changed;		/* since the batch before */
	bool		lost;			/* and so that the sink has to be filled */
} Partitions;

/*
 * Look at them under the active snapshot; in the current memory context, or kept
 * from an earlier look since when nothing has changed.  Raises an error if one of
 * them is a sink.
 */
extern Partitions *partitions_look(const Sink *sink, bool aligned);

/* The active snapshot sees a change of the catalogues that was decoded before. */
extern void partitions_forget(void);

/* Have them stored with the sink's next state. */
extern void partitions_note(Sink *sink, const Partitions *partitions);

/*
 * Around what is read at a snapshot (the first not in a filler): an error, which has the transaction tried
 * again, if a partition was attached meanwhile.
 */
extern void partitions_before_snapshot(void);
extern void partitions_check(List *sinks);

#endif							/* FRESHET_PARTITIONS_H */
