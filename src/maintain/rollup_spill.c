/*-------------------------------------------------------------------------
 *
 * rollup_spill.c
 *		Rows of groups that do not fit the memory of a rollup.
 *
 * A group is computed and written once, when the batch is whole: what it is
 * in between may be something that no snapshot has, and neither expressions
 * nor constraints nor sinks above may see it.  So when the groups take the
 * memory that they may take, those in memory go on to be updated, as in hash
 * aggregation, and the rows of others are put aside, evaluated: keys, filters,
 * arguments and sign.
 *
 * At the end, when the groups in memory are written and forgotten, these rows
 * are read by key (signed_rows.c).  All groups in memory are whole whenever a
 * row begins another one: then they may be written, and are if memory is full.
 * So neither the number of groups nor that of the rows of one is limited by
 * memory, and no way leads back from here.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "rollup_internal.h"
#include "signed_rows.h"

/* Of the memory of a run, the rows put aside get a quarter. */
#define SPILL_MEMORY	(freshet_work_mem / 8)
#define GROUPS_MEMORY	((Size) freshet_work_mem * 1024 / 8 * 3)

/* Groups are counted, and memory measured, in steps of so many new ones. */
#define MEMORY_CHECK_INTERVAL	256

void
rollup_reset_memory(Rollup *rollup)
{
	rollup->next_check = MEMORY_CHECK_INTERVAL;
}

pg_noinline bool
rollup_measure_memory(Rollup *rollup)
{
	rollup->next_check = rollup->ngroups + MEMORY_CHECK_INTERVAL;
	return MemoryContextMemAllocated(rollup->context, true) > GROUPS_MEMORY;
}

void
rollup_spill_begin(Rollup *rollup)
{
	int			nkeys = rollup->plan->nkeys;
	int		   *columns = palloc(Max(nkeys, 1) * sizeof(int));
	MemoryContext oldcontext;

	for (int i = 0; i < nkeys; i++)
		columns[i] = i;

	/* not where the groups' memory is measured */
	oldcontext = MemoryContextSwitchTo(MemoryContextGetParent(rollup->context));
	rollup->spilled = signed_rows_create(rollup->eval->result_slot->tts_tupleDescriptor, nkeys,
										 rollup->plan->keys, columns, SPILL_MEMORY);
	MemoryContextSwitchTo(oldcontext);
	rollup->spilling = true;
	rollup->next_check = PG_INT64_MAX;
	pfree(columns);
}

void
rollup_spill_row(Rollup *rollup, uint32 hash, int sign)
{
	signed_rows_put(rollup->spilled, hash, sign, rollup->eval->values, rollup->eval->nulls);
}

void
rollup_spill_forget(Rollup *rollup)
{
	if (rollup->spilled != NULL)
		signed_rows_destroy(rollup->spilled);
	rollup->spilled = NULL;
	rollup->spilling = false;
}

void
rollup_spill_write(Rollup *rollup)
{
	SignedRows *rows = rollup->spilled;
	RowEval    *eval = rollup->eval;
	int			natts = eval->result_slot->tts_tupleDescriptor->natts;
	bool		full = false;
	uint32		hash;
	int			sign;
	Datum	   *values;
	bool	   *nulls;

	rollup->spilling = false;
	rollup_reset_memory(rollup);
	signed_rows_sort(rows);
	while (signed_rows_get(rows, &hash, &sign, &values, &nulls))
	{
		ResetExprContext(eval->econtext);
		memcpy(eval->values, values, natts * sizeof(Datum));
		memcpy(eval->nulls, nulls, natts * sizeof(bool));
		full = full || rollup_memory_full(rollup);
		if (full && rollup_find_group(rollup) == NULL)
		{
			rollup_write_groups(rollup);
			rollup_forget_groups(rollup);
			rollup_reset_memory(rollup);
			full = false;

			/* extremes are recomputed by the same evaluation */
			memcpy(eval->values, values, natts * sizeof(Datum));
			memcpy(eval->nulls, nulls, natts * sizeof(bool));
		}
		rollup_fold(rollup, sign);
	}
	rollup_write_groups(rollup);
	rollup_forget_groups(rollup);
	rollup_spill_forget(rollup);
}
