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

#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "net_rows.h"
#include "signed_rows.h"

/* A row, and how often it came more than it went. */
typedef struct NetEntry
{
	MinimalTuple row;
	int64		count;
} NetEntry;

/* The rows of one source. */
typedef struct NetSource
{
	TupleDesc	desc;			/* the longest that came; NULL: no row did */
	bool		truncated;
	int			nused;
	AttrNumber *used;			/* the columns that the sink reads */
	TupleDesc	used_desc;
	Datum	   *values;			/* by them */
	bool	   *nulls;
	SignedRows *rows;
} NetSource;

typedef struct NetRows
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	RowConsumer *target;
	MemoryContext context;
	int			nsources;
	NetSource  *sources;
} NetRows;

/*
 * Collecting
 */

static void
begin_collecting(NetRows *net, NetSource *source, TupleDesc desc)
{
	source->used_desc = CreateTemplateTupleDesc(source->nused);
	for (int i = 0; i < source->nused; i++)
		TupleDescCopyEntry(source->used_desc, i + 1, desc, source->used[i]);
	source->rows = signed_rows_create(source->used_desc, 0, NULL, NULL, freshet_work_mem / 2);
}

static void
net_row(RowConsumer *consumer, int source_number, TupleTableSlot *slot, int sign)
{
	NetRows    *net = (NetRows *) consumer;
	NetSource  *source = &net->sources[source_number];
	TupleDesc	desc = slot->tts_tupleDescriptor;
	uint32		hash = 0;

	if (source->desc == NULL || source->desc->natts < desc->natts || source->rows == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(net->context);

		source->desc = CreateTupleDescCopy(desc);
		if (source->rows == NULL)
			begin_collecting(net, source, desc);
		MemoryContextSwitchTo(oldcontext);
	}

	for (int i = 0; i < source->nused; i++)
	{
		Form_pg_attribute att = TupleDescAttr(source->used_desc, i);

		source->values[i] = slot_getattr(slot, source->used[i], &source->nulls[i]);
		hash = hash_combine(hash, source->nulls[i] ? 0 :
							datum_image_hash(source->values[i], att->attbyval, att->attlen));
	}
	signed_rows_put(source->rows, hash, sign, source->values, source->nulls);
}

static void
forget_rows(NetSource *source)
{
	if (source->rows != NULL)
		signed_rows_destroy(source->rows);
	source->rows = NULL;
}

static void
net_truncate(RowConsumer *consumer, int source_number)
{
	NetSource  *source = &((NetRows *) consumer)->sources[source_number];

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
	net->nsources = sink->plan->nsources;
	net->sources = palloc0(net->nsources * sizeof(NetSource));
	for (int i = 0; i < net->nsources; i++)
	{
		NetSource  *source = &net->sources[i];
		Bitmapset  *used = sink->plan->sources[i].used_attrs;
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

	for (int i = 0; i < net->nsources; i++)
		forget_rows(&net->sources[i]);
	MemoryContextDelete(net->context);
}

/*
 * Delivering
 */

typedef struct Delivery
{
	NetRows    *net;
	int			source_number;
	TupleTableSlot *used_slot;	/* a row that was kept */
	TupleTableSlot *slot;		/* the same as a row of the source */
	MemoryContext context;		/* of the entries */
	List	   *entries;		/* NetEntry *: rows of one hash */
} Delivery;

static void
deliver_entry(Delivery *delivery, const NetEntry *entry)
{
	NetSource  *source = &delivery->net->sources[delivery->source_number];
	TupleTableSlot *used = delivery->used_slot;
	TupleTableSlot *slot = ExecStoreAllNullTuple(delivery->slot);

	ExecStoreMinimalTuple(entry->row, used, false);
	slot_getallattrs(used);
	for (int i = 0; i < source->nused; i++)
	{
		slot->tts_values[source->used[i] - 1] = used->tts_values[i];
		slot->tts_isnull[source->used[i] - 1] = used->tts_isnull[i];
	}
	for (int64 i = 0; i < Abs(entry->count); i++)
		delivery->net->target->row(delivery->net->target, delivery->source_number, slot,
								   entry->count > 0 ? 1 : -1);
}

static void
deliver_entries(Delivery *delivery)
{
	ListCell   *lc;

	foreach(lc, delivery->entries)
		deliver_entry(delivery, lfirst(lc));
	delivery->entries = NIL;
	ExecClearTuple(delivery->used_slot);
	MemoryContextReset(delivery->context);
}

/* Count a row among those of the same hash, which are few. */
static void
count_row(Delivery *delivery, int sign, Datum *values, bool *nulls)
{
	TupleTableSlot *used = delivery->used_slot;
	TupleDesc	desc = used->tts_tupleDescriptor;
	MemoryContext oldcontext = MemoryContextSwitchTo(delivery->context);
	NetEntry   *entry = NULL;
	ListCell   *lc;

	foreach(lc, delivery->entries)
	{
		bool		same = true;

		entry = lfirst(lc);
		ExecStoreMinimalTuple(entry->row, used, false);
		slot_getallattrs(used);
		for (int i = 0; same && i < desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(desc, i);

			same = used->tts_isnull[i] == nulls[i] &&
				(nulls[i] || datum_image_eq(used->tts_values[i], values[i], att->attbyval,
											att->attlen));
		}
		if (same)
			break;
		entry = NULL;
	}
	if (entry == NULL)
	{
		entry = palloc(sizeof(NetEntry));
		entry->row = heap_form_minimal_tuple(desc, values, nulls);
		entry->count = 0;
		delivery->entries = lappend(delivery->entries, entry);
	}
	entry->count += sign;
	MemoryContextSwitchTo(oldcontext);
}

static void
deliver_source(NetRows *net, int source_number)
{
	NetSource  *source = &net->sources[source_number];
	Delivery	delivery = {.net = net,.source_number = source_number};
	uint32		previous = 0;
	uint32		hash;
	int			sign;
	Datum	   *values;
	bool	   *nulls;

	delivery.used_slot = MakeSingleTupleTableSlot(source->used_desc, &TTSOpsMinimalTuple);
	delivery.slot = MakeSingleTupleTableSlot(source->desc, &TTSOpsVirtual);
	delivery.context = AllocSetContextCreate(net->context, "freshet netted rows of one hash",
											 ALLOCSET_DEFAULT_SIZES);
	signed_rows_sort(source->rows);
	while (signed_rows_get(source->rows, &hash, &sign, &values, &nulls))
	{
		if (hash != previous)
			deliver_entries(&delivery);
		previous = hash;
		count_row(&delivery, sign, values, nulls);
	}
	deliver_entries(&delivery);
	ExecDropSingleTupleTableSlot(delivery.used_slot);
	ExecDropSingleTupleTableSlot(delivery.slot);
	MemoryContextDelete(delivery.context);
	forget_rows(source);
}

void
net_rows_deliver(RowConsumer *consumer)
{
	NetRows    *net = (NetRows *) consumer;
	MemoryContext oldcontext = MemoryContextSwitchTo(net->context);

	for (int i = 0; i < net->nsources; i++)
	{
		if (net->sources[i].truncated)
			net->target->truncate(net->target, i);
		if (net->sources[i].rows != NULL)
			deliver_source(net, i);
	}
	MemoryContextSwitchTo(oldcontext);
}
