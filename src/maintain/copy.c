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
 * Nothing is written before the batch is whole: a row that is corrected later in
 * it is not the sink's.  Rows that do not fit the memory are put aside
 * (signed_rows.c) and read by key at the end; a row of another key then says
 * that those in memory are whole, and may be written.  A fill needs no netting,
 * since the source has each key once: its rows are written as they come.
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
#include "join_feed.h"
#include "row_eval.h"
#include "run.h"
#include "signed_rows.h"

/* Rows are counted, and memory measured, in steps of so many. */
#define MEMORY_CHECK_INTERVAL	256

/* Of the memory of a run, the rows put aside get a quarter. */
#define SPILL_MEMORY	(freshet_work_mem / 8)
#define ROWS_MEMORY		((Size) freshet_work_mem * 1024 / 8 * 3)

/* Rows of one key, as the sink's columns. */
typedef struct CopyEntry
{
	uint32		hash;			/* of the key */
	List	   *added;			/* MinimalTuple */
	List	   *retracted;
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
	SignedRows *spilled;		/* rows that did not fit, or NULL */
	bool		truncated;		/* the source was: the sink's rows are void */
	bool		filling;
	bool		fresh;			/* the sink is empty: nothing to look up */
	SinkWriter *writer;
} Copy;

static void copy_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign);
static void copy_truncate(RowConsumer *consumer, int occurrence);
static void forget_spilled(Copy *copy);

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
	copy->eval = row_eval_create(plan_rows(sink->plan), exprs, NULL);
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
	forget_spilled(copy);
	row_eval_destroy(copy->eval);
	MemoryContextDelete(copy->context);
}

static void
forget_netted(Copy *copy)
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
delete_entry(Copy *copy, CopyEntry *entry, TupleTableSlot *keys)
{
	if (entry->added != NIL || entry->retracted == NIL)
		return;
	slot_getallattrs(keys);
	if (writer_find(copy->writer, keys->tts_values, keys->tts_isnull))
		writer_delete(copy->writer);
}

static void
write_entry(Copy *copy, CopyEntry *entry, TupleTableSlot *keys)
{
	SinkWriter *writer = copy->writer;
	bool		found;

	if (entry->added == NIL)
		return;
	slot_getallattrs(keys);
	found = !copy->fresh && writer_find(writer, keys->tts_values, keys->tts_isnull);
	ExecStoreMinimalTuple(llast(entry->added), copy->row_slot, false);
	slot_getallattrs(copy->row_slot);
	if (found)
		writer_update(writer, copy->row_slot->tts_values, copy->row_slot->tts_isnull);
	else
		writer_insert(writer, copy->row_slot->tts_values, copy->row_slot->tts_isnull);
	ExecClearTuple(copy->row_slot);
}

typedef void (*EntryCallback) (Copy *copy, CopyEntry *entry, TupleTableSlot *keys);

static void
each_entry(Copy *copy, EntryCallback callback)
{
	TupleTableSlot *keys = copy->groups.stored_slot;
	TupleHashIterator it;
	TupleHashEntry entry;

	InitTupleHashIterator(copy->groups.table, &it);
	while ((entry = ScanTupleHashTable(copy->groups.table, &it)) != NULL)
	{
		CopyEntry  *rows = freshet_hash_additional(copy->groups.table, entry, sizeof(CopyEntry),
												   copy->row_context);

		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(freshet_hash_tuple(entry), keys, false);
		callback(copy, rows, keys);
	}
	TermTupleHashIterator(&it);
}

/*
 * Between writer_begin() and writer_end().  What goes makes room for what comes,
 * should the owner have made other columns unique.
 */
static void
write_rows(Copy *copy)
{
	if (!copy->fresh)
		each_entry(copy, delete_entry);
	each_entry(copy, write_entry);
	forget_netted(copy);
}

static TupleTableSlot *
store_key(Copy *copy, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = copy->groups.key_slot;

	ExecClearTuple(slot);
	for (int i = 0; i < copy->plan->nkeys; i++)
	{
		slot->tts_values[i] = values[copy->plan->keys[i].column];
		slot->tts_isnull[i] = nulls[copy->plan->keys[i].column];
	}
	return ExecStoreVirtualTuple(slot);
}

/* The rows in memory with the key of a row of the sink's columns, or NULL. */
static CopyEntry *
find_netted(Copy *copy, const Datum *values, const bool *nulls)
{
	TupleHashEntry entry = LookupTupleHashEntry(copy->groups.table,
												store_key(copy, values, nulls), NULL, NULL);

	return entry == NULL ? NULL :
		freshet_hash_additional(copy->groups.table, entry, sizeof(CopyEntry), copy->row_context);
}

/* Add or retract the row in eval's values. */
static void
net_copied_row(Copy *copy, int sign)
{
	RowEval    *eval = copy->eval;
	MemoryContext oldcontext;
	TupleHashEntry hash_entry;
	CopyEntry  *entry;
	uint32		hash;
	bool		isnew;

	hash_entry = LookupTupleHashEntry(copy->groups.table,
									  store_key(copy, eval->values, eval->nulls), &isnew, &hash);
	entry = freshet_hash_additional(copy->groups.table, hash_entry, sizeof(CopyEntry),
									copy->row_context);
	if (isnew)
	{
		entry->hash = hash;
		entry->added = entry->retracted = NIL;
	}

	oldcontext = MemoryContextSwitchTo(copy->row_context);
	if (!cancel_row(copy, sign > 0 ? &entry->retracted : &entry->added))
	{
		MinimalTuple row = ExecCopySlotMinimalTuple(eval->result_slot);

		if (sign > 0)
			entry->added = lappend(entry->added, row);
		else
			entry->retracted = lappend(entry->retracted, row);
		copy->nrows++;
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * Rows that do not fit
 */

static void
forget_spilled(Copy *copy)
{
	if (copy->spilled != NULL)
		signed_rows_destroy(copy->spilled);
	copy->spilled = NULL;
}

static bool
memory_full(Copy *copy)
{
	if (likely(copy->nrows < copy->next_check))
		return false;
	copy->next_check = copy->nrows + MEMORY_CHECK_INTERVAL;
	return MemoryContextMemAllocated(copy->context, true) > ROWS_MEMORY;
}

static void
begin_spilling(Copy *copy)
{
	MemoryContext oldcontext;
	int			nkeys = copy->plan->nkeys;
	int		   *columns = palloc(nkeys * sizeof(int));

	for (int i = 0; i < nkeys; i++)
		columns[i] = copy->plan->keys[i].column;

	/* not where the rows' memory is measured */
	oldcontext = MemoryContextSwitchTo(MemoryContextGetParent(copy->context));
	copy->spilled = signed_rows_create(copy->row_slot->tts_tupleDescriptor, nkeys,
									   copy->plan->keys, columns, SPILL_MEMORY);
	MemoryContextSwitchTo(oldcontext);
	pfree(columns);
}

static void
spill_netted(Copy *copy, uint32 hash, int sign, List *rows)
{
	TupleTableSlot *slot = copy->row_slot;
	ListCell   *lc;

	foreach(lc, rows)
	{
		ExecStoreMinimalTuple(lfirst(lc), slot, false);
		slot_getallattrs(slot);
		signed_rows_put(copy->spilled, hash, sign, slot->tts_values, slot->tts_isnull);
	}
	ExecClearTuple(slot);
}

static void
spill_entry(Copy *copy, CopyEntry *entry, TupleTableSlot *keys)
{
	spill_netted(copy, entry->hash, -1, entry->retracted);
	spill_netted(copy, entry->hash, 1, entry->added);
}

/* Put the rows in memory, which are netted as far as that goes, aside. */
static void
spill_rows(Copy *copy)
{
	if (copy->spilled == NULL)
		begin_spilling(copy);
	each_entry(copy, spill_entry);
	forget_netted(copy);
}

static void
write_spilled(Copy *copy)
{
	TupleTableSlot *slot = copy->eval->result_slot;
	int			natts = slot->tts_tupleDescriptor->natts;
	bool		full = false;
	uint32		hash;
	int			sign;
	Datum	   *values;
	bool	   *nulls;

	signed_rows_sort(copy->spilled);
	while (signed_rows_get(copy->spilled, &hash, &sign, &values, &nulls))
	{
		ResetExprContext(copy->eval->econtext);
		full = full || memory_full(copy);
		if (full && find_netted(copy, values, nulls) == NULL)
		{
			write_rows(copy);
			full = false;
		}
		ExecClearTuple(slot);
		memcpy(slot->tts_values, values, natts * sizeof(Datum));
		memcpy(slot->tts_isnull, nulls, natts * sizeof(bool));
		ExecStoreVirtualTuple(slot);
		net_copied_row(copy, sign);
	}
	write_rows(copy);
	forget_spilled(copy);
}

/*
 * The run
 */

static void
copy_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	Copy	   *copy = (Copy *) consumer;

	row_eval_begin(copy->eval, slot);
	while (row_eval_next(copy->eval))
		net_copied_row(copy, sign);

	if (unlikely(memory_full(copy)))
	{
		if (copy->filling)
			write_rows(copy);
		else
			spill_rows(copy);
	}
}

/* Everything before is void, the rows of the sink included. */
static void
copy_truncate(RowConsumer *consumer, int occurrence)
{
	Copy	   *copy = (Copy *) consumer;

	forget_netted(copy);
	forget_spilled(copy);
	copy->truncated = true;
}

/* After a truncation: delete the rows of the sink that no row in memory replaces. */
static void
delete_void_rows(Copy *copy)
{
	SinkWriter *writer = copy->writer;
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot))
	{
		CopyEntry  *entry;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < copy->plan->nkeys; i++)
		{
			int			column = copy->plan->keys[i].column;

			copy->eval->values[column] = writer_old_value(writer, column,
														  &copy->eval->nulls[column]);
		}
		entry = find_netted(copy, copy->eval->values, copy->eval->nulls);
		ResetExprContext(copy->eval->econtext);
		if (entry == NULL || entry->added == NIL)
			writer_delete(writer);
	}
	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
}

static void
copy_fill(RowConsumer *consumer, int64 *rows_done)
{
	Copy	   *copy = (Copy *) consumer;

	writer_begin(copy->writer);
	writer_delete_all(copy->writer);
	copy->fresh = copy->filling = true;
	(void) join_feed_all(copy->sink, copy->leaves, consumer, rows_done);
	write_rows(copy);
	copy->fresh = copy->filling = false;
	writer_end(copy->writer);
}

static void
copy_flush(RowConsumer *consumer)
{
	Copy	   *copy = (Copy *) consumer;

	writer_begin(copy->writer);
	if (copy->truncated && (copy->spilled != NULL || writer_order_matters(copy->writer)))
	{
		writer_delete_all(copy->writer);
		copy->fresh = true;
	}
	else if (copy->truncated)
		delete_void_rows(copy);

	if (copy->spilled != NULL)
	{
		spill_rows(copy);
		write_spilled(copy);
	}
	else
		write_rows(copy);
	writer_end(copy->writer);
}

const RunMethods copy_methods = {
	copy_open,
	copy_fill,
	copy_flush,
	copy_close
};
