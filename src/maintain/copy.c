/*-------------------------------------------------------------------------
 *
 * copy.c
 *		Maintain a filtered, projected copy of the source.
 *
 * The key is the source's primary key (and the window, if hop gives a row
 * several).  Changes are netted by key before anything is written: an added
 * row cancels an equal retracted one, whichever comes first.  So rows may
 * exchange their keys within a transaction (a deferrable primary key), and a
 * row that changed many times is written once.
 *
 * What remains of a key is at most one added row, which replaces the stored
 * one, or a retracted row alone, which deletes it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/tableam.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "base/guc.h"
#include "group_table.h"
#include "row_eval.h"
#include "run.h"

#define MEMORY_CHECK_INTERVAL	256

/* Rows of one key, as the sink's columns. */
typedef struct CopyEntry
{
	List	   *added;			/* MinimalTuple */
	List	   *retracted;
	bool		touched;
} CopyEntry;

typedef struct Copy
{
	RowConsumer consumer;
	Sink	   *sink;
	SinkPlan   *plan;
	List	   *leaves;
	MemoryContext context;
	MemoryContext row_context;	/* of the table and the rows */
	RowEval    *eval;			/* source row -> the sink's columns */
	GroupTable	groups;
	TupleTableSlot *row_slot;	/* minimal tuple of the sink's columns */
	int64		nrows;
	int64		next_check;
	bool		fresh;			/* filling an empty sink: nothing to look up */
	SinkWriter *writer;
} Copy;

static void copy_row(RowConsumer *consumer, int source, TupleTableSlot *slot, int sign);
static void copy_truncate(RowConsumer *consumer, int source);

static RowConsumer *
copy_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet copy",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Copy	   *copy = palloc0(sizeof(Copy));
	List	   *exprs = NIL;
	TupleDesc	desc;

	copy->consumer.row = copy_row;
	copy->consumer.truncate = copy_truncate;
	copy->sink = sink;
	copy->leaves = leaves;
	copy->plan = sink->plan;
	copy->context = context;
	copy->row_context = AllocSetContextCreate(context, "freshet copied rows",
											  ALLOCSET_DEFAULT_SIZES);
	copy->next_check = MEMORY_CHECK_INTERVAL;
	for (int i = 0; i < sink->plan->ncolumns; i++)
		exprs = lappend(exprs, sink->plan->columns[i].expr);
	copy->eval = row_eval_create(sink->plan, exprs, NULL);
	desc = copy->eval->result_slot->tts_tupleDescriptor;
	copy->row_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	group_table_create(&copy->groups, sink->plan->nkeys, sink->plan->keys, sizeof(CopyEntry),
					   context, copy->row_context,
					   copy->eval->econtext->ecxt_per_tuple_memory);
	copy->writer = writer_open(sink, emit);
	MemoryContextSwitchTo(oldcontext);
	return &copy->consumer;
}

static void
copy_close(RowConsumer *consumer, MaintainResult *result)
{
	Copy	   *copy = (Copy *) consumer;

	result->inserted = copy->writer->inserted;
	result->updated = copy->writer->updated;
	result->deleted = copy->writer->deleted;
	writer_close(copy->writer);
	row_eval_destroy(copy->eval);
	MemoryContextDelete(copy->context);
}

static void
forget_rows(Copy *copy)
{
	ResetTupleHashTable(copy->groups.table);
	MemoryContextReset(copy->row_context);
	copy->nrows = 0;
	copy->next_check = MEMORY_CHECK_INTERVAL;
}

/* Are the values in eval those of the row? */
static bool
same_row(Copy *copy, MinimalTuple row)
{
	TupleDesc	desc = copy->row_slot->tts_tupleDescriptor;

	ExecStoreMinimalTuple(row, copy->row_slot, false);
	slot_getallattrs(copy->row_slot);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (copy->row_slot->tts_isnull[i] != copy->eval->nulls[i] ||
			(!copy->eval->nulls[i] &&
			 !datum_image_eq(copy->row_slot->tts_values[i], copy->eval->values[i],
							 att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/* Remove a row equal to eval's from the list; false if there is none. */
static bool
cancel_row(Copy *copy, List **rows)
{
	ListCell   *lc;

	foreach(lc, *rows)
	{
		MinimalTuple row = lfirst(lc);

		if (same_row(copy, row))
		{
			ExecClearTuple(copy->row_slot);
			*rows = foreach_delete_current(*rows, lc);
			heap_free_minimal_tuple(row);
			return true;
		}
	}
	return false;
}

static void
write_entry(Copy *copy, CopyEntry *entry, TupleTableSlot *keys)
{
	SinkWriter *writer = copy->writer;
	bool		found;

	if (entry->added == NIL && entry->retracted == NIL)
		return;

	slot_getallattrs(keys);
	found = !copy->fresh && writer_find(writer, keys->tts_values, keys->tts_isnull);
	if (entry->added == NIL)
	{
		if (found)
			writer_delete(writer);
		return;
	}

	ExecStoreMinimalTuple(llast(entry->added), copy->row_slot, false);
	slot_getallattrs(copy->row_slot);
	if (found)
		writer_update(writer, copy->row_slot->tts_values, copy->row_slot->tts_isnull);
	else
		writer_insert(writer, copy->row_slot->tts_values, copy->row_slot->tts_isnull);
	ExecClearTuple(copy->row_slot);
}

static void
flush_rows(Copy *copy)
{
	TupleTableSlot *keys = copy->groups.stored_slot;
	TupleHashIterator it;
	TupleHashEntry entry;

	writer_begin(copy->writer);
	InitTupleHashIterator(copy->groups.table, &it);
	while ((entry = ScanTupleHashTable(copy->groups.table, &it)) != NULL)
	{
		CopyEntry  *rows = freshet_hash_additional(copy->groups.table, entry, sizeof(CopyEntry),
												   copy->row_context);

		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(freshet_hash_tuple(entry), keys, false);
		write_entry(copy, rows, keys);
	}
	TermTupleHashIterator(&it);
	writer_end(copy->writer);
}

static void
net_row(Copy *copy, int sign)
{
	RowEval    *eval = copy->eval;
	TupleTableSlot *key_slot = copy->groups.key_slot;
	TupleHashEntry hash_entry;
	CopyEntry  *entry;
	uint32		hash;
	bool		isnew;

	ExecClearTuple(key_slot);
	for (int i = 0; i < copy->plan->nkeys; i++)
	{
		key_slot->tts_values[i] = eval->values[copy->plan->keys[i].column];
		key_slot->tts_isnull[i] = eval->nulls[copy->plan->keys[i].column];
	}
	ExecStoreVirtualTuple(key_slot);
	hash_entry = LookupTupleHashEntry(copy->groups.table, key_slot, &isnew, &hash);
	entry = freshet_hash_additional(copy->groups.table, hash_entry, sizeof(CopyEntry),
									copy->row_context);
	if (isnew)
		entry->added = entry->retracted = NIL;

	MemoryContextSwitchTo(copy->row_context);
	if (!cancel_row(copy, sign > 0 ? &entry->retracted : &entry->added))
	{
		MinimalTuple row = ExecCopySlotMinimalTuple(eval->result_slot);

		if (sign > 0)
			entry->added = lappend(entry->added, row);
		else
			entry->retracted = lappend(entry->retracted, row);
		copy->nrows++;
	}
}

static void
copy_row(RowConsumer *consumer, int source, TupleTableSlot *slot, int sign)
{
	Copy	   *copy = (Copy *) consumer;

	row_eval_begin(copy->eval, slot);
	while (row_eval_next(copy->eval))
	{
		MemoryContext oldcontext = CurrentMemoryContext;

		net_row(copy, sign);
		MemoryContextSwitchTo(oldcontext);
	}

	if (unlikely(copy->nrows >= copy->next_check))
	{
		copy->next_check = copy->nrows + MEMORY_CHECK_INTERVAL;
		if (MemoryContextMemAllocated(copy->context, true) > (Size) freshet_work_mem * 1024 / 2)
		{
			flush_rows(copy);
			forget_rows(copy);
		}
	}
}

static void
copy_truncate(RowConsumer *consumer, int source)
{
	Copy	   *copy = (Copy *) consumer;

	forget_rows(copy);
	writer_begin(copy->writer);
	writer_delete_all(copy->writer);
	writer_end(copy->writer);
}

/* The rows of an empty sink are all new, and the source has each key once. */
static void
copy_fill(RowConsumer *consumer, SinkStats *stats)
{
	Copy	   *copy = (Copy *) consumer;

	copy_truncate(consumer, 0);
	copy->fresh = true;
	feed_table(copy->sink, copy->leaves, GetActiveSnapshot(), consumer, stats);
	flush_rows(copy);
	forget_rows(copy);
	copy->fresh = false;
}

static void
copy_flush(RowConsumer *consumer)
{
	flush_rows((Copy *) consumer);
}

const RunMethods copy_methods = {
	copy_open,
	copy_fill,
	copy_flush,
	copy_close
};
