/*-------------------------------------------------------------------------
 *
 * changed_rows.c
 *		The changed rows of each occurrence of a plan, over a batch.
 *
 * Of a row the columns are kept that the plan reads of the occurrence.  Rows that
 * came and went within the batch cancel, by the images of these columns, before any
 * expression sees them.  What does not fit the memory, an equal part of
 * freshet.work_mem for each occurrence, is in temporary files of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "base/guc.h"
#include "changed_rows.h"
#include "signed_rows.h"

/* Those of one occurrence. */
typedef struct OccurrenceRows
{
	int			ncolumns;
	const AttrNumber *attnos;
	TupleDesc	desc;			/* of these columns */
	Datum	   *values;			/* and a weight behind them */
	bool	   *nulls;
	SignedRows *rows;			/* NULL: none came */
} OccurrenceRows;

struct ChangedRows
{
	MemoryContext context;
	int			noccurrences;
	OccurrenceRows *occurrences;
	JoinChanges *changes;
};

static int
memory_of_each(const ChangedRows *changed)
{
	return freshet_work_mem / (2 * changed->noccurrences);
}

static void
open_occurrence(ChangedRows *changed, const SinkPlan *plan, int n)
{
	OccurrenceRows *occurrence = &changed->occurrences[n];
	TupleDesc	desc = join_changes_desc(plan, n);

	occurrence->ncolumns = plan_inputs(plan)[n].ncolumns;
	occurrence->attnos = plan_inputs(plan)[n].attnos;
	occurrence->values = palloc0(desc->natts * sizeof(Datum));
	occurrence->nulls = palloc0(desc->natts * sizeof(bool));
	occurrence->desc = CreateTemplateTupleDesc(occurrence->ncolumns);
	for (int i = 1; i <= occurrence->ncolumns; i++)
		TupleDescCopyEntry(occurrence->desc, i, desc, i);
	changed->changes[n].desc = desc;
}

ChangedRows *
changed_rows_create(const SinkPlan *plan)
{
	ChangedRows *changed = palloc0(sizeof(ChangedRows));

	changed->context = CurrentMemoryContext;
	changed->noccurrences = plan->noccurrences;
	changed->occurrences = palloc0(plan->noccurrences * sizeof(OccurrenceRows));
	changed->changes = palloc0(plan->noccurrences * sizeof(JoinChanges));
	for (int i = 0; i < plan->noccurrences; i++)
		open_occurrence(changed, plan, i);
	return changed;
}

void
changed_rows_destroy(ChangedRows *changed)
{
	for (int i = 0; i < changed->noccurrences; i++)
	{
		if (changed->occurrences[i].rows != NULL)
			signed_rows_destroy(changed->occurrences[i].rows);
		if (changed->changes[i].store != NULL)
			tuplestore_end(changed->changes[i].store);
	}
}

void
changed_rows_put(ChangedRows *changed, int n, TupleTableSlot *slot, int sign)
{
	OccurrenceRows *occurrence = &changed->occurrences[n];

	if (occurrence->rows == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(changed->context);

		occurrence->rows = signed_rows_create(occurrence->desc, 0, NULL, NULL,
											  memory_of_each(changed));
		MemoryContextSwitchTo(oldcontext);
	}
	for (int i = 0; i < occurrence->ncolumns; i++)
		occurrence->values[i] = slot_getattr(slot, occurrence->attnos[i], &occurrence->nulls[i]);
	signed_rows_put_image(occurrence->rows, sign, occurrence->values, occurrence->nulls);
}

static void
net_occurrence(ChangedRows *changed, int n)
{
	OccurrenceRows *occurrence = &changed->occurrences[n];
	JoinChanges *changes = &changed->changes[n];
	int64		weight;
	Datum	   *values;
	bool	   *nulls;

	if (occurrence->rows == NULL)
		return;
	signed_rows_sort(occurrence->rows);
	while (signed_rows_get_net(occurrence->rows, &weight, &values, &nulls))
	{
		if (changes->store == NULL)
			changes->store = tuplestore_begin_heap(true, false, memory_of_each(changed));
		memcpy(occurrence->values, values, occurrence->ncolumns * sizeof(Datum));
		memcpy(occurrence->nulls, nulls, occurrence->ncolumns * sizeof(bool));
		occurrence->values[occurrence->ncolumns] = Int64GetDatum(weight);
		tuplestore_putvalues(changes->store, changes->desc, occurrence->values,
							 occurrence->nulls);
		changes->count++;
	}
	signed_rows_destroy(occurrence->rows);
	occurrence->rows = NULL;
}

int
changed_rows_net(ChangedRows *changed, JoinChanges **changes)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(changed->context);
	int			n = 0;

	for (int i = 0; i < changed->noccurrences; i++)
	{
		net_occurrence(changed, i);
		n += changed->changes[i].store != NULL;
	}
	MemoryContextSwitchTo(oldcontext);
	*changes = changed->changes;
	return n;
}
