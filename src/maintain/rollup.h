/*-------------------------------------------------------------------------
 *
 * rollup.h
 *		The groups of a rollup under maintenance: what rollup.c shares with
 *		rollup_fill.c and extreme.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ROLLUP_H
#define FRESHET_ROLLUP_H

#include "postgres.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"

#include "accum.h"
#include "apply.h"
#include "catalog/sink.h"
#include "feed.h"
#include "group_table.h"
#include "key_cache.h"
#include "row_eval.h"

typedef struct RollupGroup
{
	KeyImage	image;			/* first: see key_cache.h */
	int64		rows;			/* source rows in the group */
	bool		stored;			/* it has a row in the sink: */
	ItemPointerData tid;
	bool		recomputing;	/* its extremes, by extreme.c */
	Accum		accums[FLEXIBLE_ARRAY_MEMBER];
} RollupGroup;

typedef struct Rollup
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	Sink	   *sink;
	SinkPlan   *plan;
	List	   *leaves;
	MemoryContext context;		/* of the whole */
	MemoryContext group_context;	/* of the groups and their states */

	/* source row -> keys, arguments, filters */
	RowEval    *eval;
	int		   *args;			/* by aggregate: column in eval, or -1 */
	int		   *filters;
	AccumDesc  *descs;

	/* groups */
	Size		group_size;
	GroupTable	groups;			/* if there are keys: else */
	RollupGroup *total;			/* the only group */
	KeyCache   *cache;			/* in front of the table; NULL in small batches */
	int64		nrows;
	int64		ngroups;
	int64		next_check;		/* number of groups at which to look at memory */
	bool		fresh;			/* filling: groups do not start from the sink */

	/* group -> row of the sink */
	TupleTableSlot *result_slot;
	ExprContext *out_econtext;
	ProjectionInfo *output;
	int		   *out_column;		/* by plan column: column in output, or -1 */
	StringInfoData state;
	Datum	   *values;			/* by plan column */
	bool	   *nulls;
	SinkWriter *writer;
} Rollup;

/* keys is NULL if there are none. */
typedef void (*GroupCallback) (Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg);

extern void rollup_each_group(Rollup *rollup, GroupCallback callback, void *arg);

/* The group with the keys in eval's values: NULL if it was never made. */
extern RollupGroup *rollup_find_group(Rollup *rollup);
/* The same, made if need be. */
extern RollupGroup *rollup_get_group(Rollup *rollup);

/* A group without rows. */
extern void rollup_init_group(Rollup *rollup, RollupGroup *group);

/* Between writer_begin() and writer_end(): write a group's row as it is now. */
extern void rollup_write_group(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys);
/* Write all groups in memory; forget them. */
extern void rollup_flush_groups(Rollup *rollup);
extern void rollup_forget_groups(Rollup *rollup);

extern void rollup_check_memory(Rollup *rollup);

/*
 * After a group may have been made: write and forget all if they take too
 * much memory.  That ends filling "fresh": the sink's rows are deleted first.
 */
static inline void
rollup_bound_memory(Rollup *rollup)
{
	if (unlikely(rollup->ngroups >= rollup->next_check))
		rollup_check_memory(rollup);
}

/* rollup_fill.c */
extern void rollup_fill(RowConsumer *consumer, SinkStats *stats);

#endif							/* FRESHET_ROLLUP_H */
