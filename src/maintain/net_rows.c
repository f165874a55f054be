/*-------------------------------------------------------------------------
 *
 * net_rows.c
 *		Collect the changed rows of a batch, and pass on what is left of them.
 *
 * A row that is inserted and corrected, or deleted, before the batch's
 * snapshot S is in the log in a form that S does not have.  The definition may
 * fail on it.  So after an error a batch is run again with its rows netted:
 * those that came and went cancel, and only the difference between two
 * snapshots is evaluated.  It costs a sort, which is why it is not done at
 * once.
 *
 * Rows are the same if the columns that the sink reads are, byte by byte; how
 * a value is stored, compressed or not, does not matter.  So a row also
 * cancels that was changed in other columns only, or before and after the
 * table was altered.
 *
 * This is for sinks that fold a retracted row as they do an added one: every
 * column that they read is in the old row.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "net_rows.h"
#include "signed_rows.h"

/* The rows of one occurrence. */
typedef struct NetOccurrence
{
	TupleDesc	desc;			/* the longest that came; NULL: no row did */
	bool		truncated;
	int			nused;
	AttrNumber *used;			/* the columns that the sink reads */
	TupleDesc	used_desc;
	Datum	   *values;			/* by them */
	bool	   *nulls;
	SignedRows *rows;
} NetOccurrence;

typedef struct NetRows
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	RowConsumer *target;
	MemoryContext context;
	int			noccurrences;
	NetOccurrence *occurrences;
} NetRows;

/*
 * Collecting
 */

static void
begin_collecting(NetRows *net, NetOccurrence *source, TupleDesc desc)
{
	source->used_desc = CreateTemplateTupleDesc(source->nused);
	for (int i = 0; i < source->nused; i++)
		TupleDescCopyEntry(source->used_desc, i + 1, desc, source->used[i]);
	source->rows = signed_rows_create(source->used_desc, 0, NULL, NULL, freshet_work_mem / 2);
}

static void
net_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	NetRows    *net = (NetRows *) consumer;
	NetOccurrence *source = &net->occurrences[occurrence];
	TupleDesc	desc = slot->tts_tupleDescriptor;

	if (source->desc == NULL || source->desc->natts < desc->natts || source->rows == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(net->context);

		source->desc = CreateTupleDescCopy(desc);
		if (source->rows == NULL)
			begin_collecting(net, source, desc);
		MemoryContextSwitchTo(oldcontext);
	}

	for (int i = 0; i < source->nused; i++)
		source->values[i] = slot_getattr(slot, source->used[i], &source->nulls[i]);
	signed_rows_put_image(source->rows, sign, source->values, source->nulls);
}

static void
forget_rows(NetOccurrence *source)
{
	if (source->rows != NULL)
		signed_rows_destroy(source->rows);
	source->rows = NULL;
}

static void
net_truncate(RowConsumer *consumer, int occurrence)
{
	NetOccurrence *source = &((NetRows *) consumer)->occurrences[occurrence];

	forget_rows(source);
	source->truncated = true;
}

RowConsumer *
net_rows_create(const Sink *sink, RowConsumer *target)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet netted rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	NetRows    *net = palloc0(sizeof(NetRows));

	net->consumer.row = net_row;
	net->consumer.truncate = net_truncate;
	net->target = target;
	net->context = context;
	net->noccurrences = sink->plan->noccurrences;
	net->occurrences = palloc0(net->noccurrences * sizeof(NetOccurrence));
	for (int i = 0; i < net->noccurrences; i++)
	{
		NetOccurrence *source = &net->occurrences[i];
		Bitmapset  *used = plan_source_of(sink->plan, i)->used_attrs;
		int			n = bms_num_members(used);
		int			attno = -1;

		source->used = palloc(Max(n, 1) * sizeof(AttrNumber));
		source->values = palloc(Max(n, 1) * sizeof(Datum));
		source->nulls = palloc(Max(n, 1) * sizeof(bool));
		while ((attno = bms_next_member(used, attno)) >= 0)
			source->used[source->nused++] = attno;
	}
	MemoryContextSwitchTo(oldcontext);
	return &net->consumer;
}

void
net_rows_destroy(RowConsumer *consumer)
{
	NetRows    *net = (NetRows *) consumer;

	for (int i = 0; i < net->noccurrences; i++)
		forget_rows(&net->occurrences[i]);
	MemoryContextDelete(net->context);
}

/*
 * Delivering
 */

/* A row that was kept, as one of the occurrence, as often as it came or went. */
static void
deliver_row(NetRows *net, int occurrence, TupleTableSlot *slot, int64 count,
			const Datum *values, const bool *nulls)
{
	NetOccurrence *source = &net->occurrences[occurrence];

	ExecStoreAllNullTuple(slot);
	for (int i = 0; i < source->nused; i++)
	{
		slot->tts_values[source->used[i] - 1] = values[i];
		slot->tts_isnull[source->used[i] - 1] = nulls[i];
	}
	for (int64 i = count < 0 ? -count : count; i > 0; i--)
		net->target->row(net->target, occurrence, slot, count > 0 ? 1 : -1);
}

static void
deliver_occurrence(NetRows *net, int occurrence)
{
	NetOccurrence *source = &net->occurrences[occurrence];
	TupleTableSlot *slot = MakeSingleTupleTableSlot(source->desc, &TTSOpsVirtual);
	int64		count;
	Datum	   *values;
	bool	   *nulls;

	signed_rows_sort(source->rows);
	while (signed_rows_get_net(source->rows, &count, &values, &nulls))
		deliver_row(net, occurrence, slot, count, values, nulls);
	ExecDropSingleTupleTableSlot(slot);
	forget_rows(source);
}

void
net_rows_deliver(RowConsumer *consumer)
{
	NetRows    *net = (NetRows *) consumer;
	MemoryContext oldcontext = MemoryContextSwitchTo(net->context);

	for (int i = 0; i < net->noccurrences; i++)
	{
		if (net->occurrences[i].truncated)
			net->target->truncate(net->target, i);
		if (net->occurrences[i].rows != NULL)
			deliver_occurrence(net, i);
	}
	MemoryContextSwitchTo(oldcontext);
}
