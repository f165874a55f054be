/*-------------------------------------------------------------------------
 *
 * rollup_internal.h
 *		The groups of a rollup under maintenance: what rollup.c shares with
 *		rollup_fill.c, rollup_spill.c and extreme.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ROLLUP_INTERNAL_H
#define FRESHET_ROLLUP_INTERNAL_H

#include "postgres.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"

#include "accum.h"
#include "apply.h"
#include "catalog/sink.h"
#include "feed.h"
#include "group_state.h"
#include "group_table.h"
#include "key_cache.h"
#include "key_variants.h"
#include "row_eval.h"
#include "signed_rows.h"

typedef struct RollupGroup
{
	KeyImage	image;			/* first: see key_cache.h */
	bool		stored:1;		/* it has a row in the sink */
	bool		recomputing:1;	/* its extremes, by extreme.c */
	int64		rows;			/* source rows in the group */
	GroupPlace	place;			/* of its row in the sink, and of its state */
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
	int			naggs;
	bool		keeps_states;	/* as the plan says */
	const AggSpec *aggs;
	int		   *args;			/* by aggregate: column in eval, or -1 */
	int		   *filters;
	AccumDesc  *descs;

	VariantKeys *variant_keys;	/* NULL: equal keys look the same */

	/* groups */
	Size		group_size;
	GroupTable	groups;			/* if there are keys: else */
	RollupGroup *total;			/* the only group */
	KeyCache   *cache;			/* in front of the table; NULL in small batches */
	int64		nrows;
	int64		ngroups;
	int64		next_check;		/* number of groups at which to look at memory */
	bool		fresh;			/* filling, or the source was truncated: groups do
								 * not start from the sink, whose rows are void */
	SignedRows *spilled;		/* rows of groups that did not fit, or NULL */
	bool		spilling;		/* no group is made any more */

	/* group -> row of the sink */
	TupleTableSlot *result_slot;
	ExprContext *out_econtext;
	ProjectionInfo *output;
	SinkWriter *writer;

	/* states of groups, if the plan keeps them beside the sink */
	GroupStates *states;		/* opened at the first need */
	StringInfoData state;
} Rollup;

/* Where a group has its variants of keys, behind the accumulators. */
static inline KeyVariants **
rollup_variants(Rollup *rollup, RollupGroup *group)
{
	return (KeyVariants **) &group->accums[rollup->naggs];
}

/* keys is NULL if there are none. */
typedef void (*GroupCallback) (Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg);

extern void rollup_each_group(Rollup *rollup, GroupCallback callback, void *arg);

/* The group with the keys in eval's values: NULL if it was never made. */
extern RollupGroup *rollup_find_group(Rollup *rollup);
/* The same, made if need be. */
extern RollupGroup *rollup_get_group(Rollup *rollup);

/* A group that is stored nowhere; the hash of its keys. */
extern void rollup_init_place(RollupGroup *group, uint32 hash);
/* A group without rows. */
extern void rollup_init_group(Rollup *rollup, RollupGroup *group);

/* Add or retract the row in eval's values. */
extern void rollup_fold(Rollup *rollup, int sign);

/* Between writer_begin() and writer_end(): write a group's row as it is now. */
extern void rollup_write_group(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys);
/* The same with all groups in memory. */
extern void rollup_write_groups(Rollup *rollup);
extern void rollup_forget_groups(Rollup *rollup);

/* rollup_spill.c */

extern bool rollup_measure_memory(Rollup *rollup);

/* After a group may have been made: do they take the memory that they may? */
static inline bool
rollup_memory_full(Rollup *rollup)
{
	return unlikely(rollup->ngroups >= rollup->next_check) && rollup_measure_memory(rollup);
}

/* No group is in memory. */
extern void rollup_reset_memory(Rollup *rollup);

/* From now on put aside the rows of groups that are not in memory. */
extern void rollup_spill_begin(Rollup *rollup);
/* The row in eval's values; hash is that of its keys. */
extern void rollup_spill_row(Rollup *rollup, uint32 hash, int sign);
/* Between writer_begin() and writer_end(): fold the rows put aside, write their groups. */
extern void rollup_spill_write(Rollup *rollup);
extern void rollup_spill_forget(Rollup *rollup);

/* rollup_fill.c */
extern void rollup_fill(RowConsumer *consumer, int64 *rows_done);
/* Tell the groups which rows of the sink they have; delete the others. */
extern void rollup_adopt_rows(Rollup *rollup);

#endif							/* FRESHET_ROLLUP_INTERNAL_H */
