/*-------------------------------------------------------------------------
 *
 * row_diff.c
 *		Make a sink, or some of its rows, equal to a multiset of rows by writing
 *		what differs.
 *
 * Rows are equal if their values have the same image: 1.0 is not 1.00 here.
 * So types without an equality serve as well, and what is shown is what was
 * computed.
 *
 * Both sides are sorted by a hash of their images, which spills to disk where
 * it must, and merged.  Of the rows of one hash, of which there is hardly ever
 * more than one and its copies, each new row takes away one equal stored row;
 * what is left of the new ones is inserted, what is left of the stored ones
 * deleted.  Rows are inserted after all deletions: a unique index that the
 * owner has made is not violated on the way to rows that satisfy it.
 *
 * If there is none, and rows have a key, a row that goes is kept back until one of its
 * key comes, which then replaces it: columns that the owner has added keep their
 * values, and no index has to change.  Which of several it is does not matter; nor does
 * it if keys that differ share a hash.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"
#include "utils/tuplestore.h"
#include "utils/typcache.h"

#include "base/guc.h"
#include "row_diff.h"
#include "row_hash.h"

/* Columns of the rows that are sorted. */
#define HASH_ATTNO		1
#define TID_ATTNO		2		/* of a stored row */
#define FIRST_ATTNO		3

/* One side of the merge; "slot" has its current row. */
typedef struct SortedRows
{
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	bool		at_end;
	uint64		hash;
} SortedRows;

struct RowDiff
{
	SinkWriter *writer;
	int			ncolumns;
	TupleDesc	desc;
	TupleTableSlot *in_slot;	/* a row on its way to be sorted */
	SortedRows	wanted;
	SortedRows	stored;
	MemoryContext hash_context; /* reset for each row that is hashed */
	MemoryContext group_context;	/* reset for each hash */
	Tuplestorestate *inserts;

	/* rows that go, by the hash of their keys */
	int			nkeys;			/* 0: they are deleted at once */
	const KeySpec *keys;
	struct leaving_hash *leaving;
};

/* Stored rows of one hash that are to go. */
typedef struct LeavingRows
{
	uint64		hash;
	char		status;
	List	   *tids;			/* ItemPointer */
} LeavingRows;

#define SH_PREFIX leaving
#define SH_ELEMENT_TYPE LeavingRows
#define SH_KEY_TYPE uint64
#define SH_KEY hash
#define SH_HASH_KEY(tb, key) ((uint32) (key))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DEFINE
#define SH_DECLARE
#include "lib/simplehash.h"

/* As many rows are kept back as take about this part of freshet.work_mem. */
#define LEAVING_PART	4
#define LEAVING_SIZE	96		/* of one, with all that belongs to it */

/* More rows of one key are not kept back: they would not be counted. */
#define MAX_LEAVING_OF_KEY	16

static TupleDesc
sorted_desc(const SinkPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(FIRST_ATTNO - 1 + plan->ncolumns);

	TupleDescInitEntry(desc, HASH_ATTNO, "hash", INT8OID, -1, 0);
	TupleDescInitEntry(desc, TID_ATTNO, "tid", TIDOID, -1, 0);
	for (int i = 0; i < plan->ncolumns; i++)
	{
		const SinkColumn *column = &plan->columns[i];

		TupleDescInitEntry(desc, FIRST_ATTNO + i, NULL, column->type, column->typmod, 0);
		TupleDescInitEntryCollation(desc, FIRST_ATTNO + i, column->collation);
	}
	return desc;
}

static void
begin_image_sort(RowDiff *diff, SortedRows *rows)
{
	AttrNumber	attno = HASH_ATTNO;
	Oid			lt = lookup_type_cache(INT8OID, TYPECACHE_LT_OPR)->lt_opr;
	Oid			collation = InvalidOid;
	bool		nulls_first = false;

	rows->sort = tuplesort_begin_heap(diff->desc, 1, &attno, &lt, &collation, &nulls_first,
									  Max(freshet_work_mem / 4, 64), NULL, false);
	rows->slot = MakeSingleTupleTableSlot(diff->desc, &TTSOpsMinimalTuple);
}

RowDiff *
row_diff_begin(SinkWriter *writer)
{
	RowDiff    *diff = palloc0(sizeof(RowDiff));

	diff->writer = writer;
	diff->ncolumns = writer->sink->plan->ncolumns;
	diff->desc = sorted_desc(writer->sink->plan);
	diff->in_slot = MakeSingleTupleTableSlot(diff->desc, &TTSOpsVirtual);
	diff->hash_context = AllocSetContextCreate(CurrentMemoryContext, "freshet hashed row",
											   ALLOCSET_SMALL_SIZES);
	diff->group_context = AllocSetContextCreate(CurrentMemoryContext, "freshet rows of a hash",
												ALLOCSET_SMALL_SIZES);
	begin_image_sort(diff, &diff->wanted);
	return diff;
}

RowDiff *
row_diff_begin_some(SinkWriter *writer, int nkeys, const KeySpec *keys)
{
	RowDiff    *diff = row_diff_begin(writer);

	begin_image_sort(diff, &diff->stored);
	if (!writer_order_matters(writer))
	{
		diff->nkeys = nkeys;
		diff->keys = keys;
		diff->leaving = leaving_create(CurrentMemoryContext, 64, NULL);
	}
	return diff;
}

static uint64
hash_row(RowDiff *diff, const Datum *values, const bool *nulls)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(diff->hash_context);
	uint64		hash = row_hash(diff->desc, FIRST_ATTNO, diff->ncolumns, values, nulls);

	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(diff->hash_context);
	return hash;
}

/* Sort the row whose columns are in in_slot. */
static void
put_row(RowDiff *diff, SortedRows *rows, ItemPointer tid)
{
	TupleTableSlot *slot = diff->in_slot;
	Datum	   *values = slot->tts_values;
	bool	   *nulls = slot->tts_isnull;

	values[HASH_ATTNO - 1] = Int64GetDatum((int64) hash_row(diff, &values[FIRST_ATTNO - 1],
															&nulls[FIRST_ATTNO - 1]));
	nulls[HASH_ATTNO - 1] = false;
	values[TID_ATTNO - 1] = PointerGetDatum(tid);
	nulls[TID_ATTNO - 1] = tid == NULL;
	ExecStoreVirtualTuple(slot);
	tuplesort_puttupleslot(rows->sort, slot);
	ExecClearTuple(slot);
}

void
row_diff_add(RowDiff *diff, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	memcpy(&diff->in_slot->tts_values[FIRST_ATTNO - 1], slot->tts_values,
		   diff->ncolumns * sizeof(Datum));
	memcpy(&diff->in_slot->tts_isnull[FIRST_ATTNO - 1], slot->tts_isnull,
		   diff->ncolumns * sizeof(bool));
	put_row(diff, &diff->wanted, NULL);
}

void
row_diff_add_stored(RowDiff *diff, TupleTableSlot *slot)
{
	slot_getallattrs(slot);
	memcpy(&diff->in_slot->tts_values[FIRST_ATTNO - 1], slot->tts_values + 1,
		   diff->ncolumns * sizeof(Datum));
	memcpy(&diff->in_slot->tts_isnull[FIRST_ATTNO - 1], slot->tts_isnull + 1,
		   diff->ncolumns * sizeof(bool));
	put_row(diff, &diff->stored, (ItemPointer) DatumGetPointer(slot->tts_values[0]));
}

static void
sort_sink_rows(RowDiff *diff)
{
	SinkWriter *writer = diff->writer;
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);

	begin_image_sort(diff, &diff->stored);
	while (table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < diff->ncolumns; i++)
			diff->in_slot->tts_values[FIRST_ATTNO - 1 + i] =
				writer_old_value(writer, i, &diff->in_slot->tts_isnull[FIRST_ATTNO - 1 + i]);
		put_row(diff, &diff->stored, &writer->old_slot->tts_tid);
	}
	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
}

static void
next_of_side(SortedRows *rows)
{
	bool		isnull;

	rows->at_end = !tuplesort_gettupleslot(rows->sort, true, false, rows->slot, NULL);
	if (!rows->at_end)
		rows->hash = (uint64) DatumGetInt64(slot_getattr(rows->slot, HASH_ATTNO, &isnull));
}

static bool
same_images(RowDiff *diff, TupleTableSlot *a, TupleTableSlot *b)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(diff->hash_context);
	int			first = FIRST_ATTNO - 1;
	bool		same;

	slot_getallattrs(a);
	slot_getallattrs(b);
	same = row_image_eq(diff->desc, FIRST_ATTNO, diff->ncolumns,
						&a->tts_values[first], &a->tts_isnull[first],
						&b->tts_values[first], &b->tts_isnull[first]);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(diff->hash_context);
	return same;
}

static void
delete_row(RowDiff *diff, ItemPointer tid)
{
	if (!writer_fetch(diff->writer, tid))
		elog(ERROR, "could not fetch a row of sink %u", diff->writer->sink->relid);
	writer_delete(diff->writer);
}

/* Of the key of a row that is sorted. */
static uint64
hash_key(RowDiff *diff, TupleTableSlot *row)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(diff->hash_context);
	uint64		hash = 0;

	slot_getallattrs(row);
	for (int i = 0; i < diff->nkeys; i++)
	{
		int			column = FIRST_ATTNO - 1 + diff->keys[i].column;

		hash = hash_combine64(hash, row_hash(diff->desc, column + 1, 1,
											 &row->tts_values[column],
											 &row->tts_isnull[column]));
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(diff->hash_context);
	return hash;
}

/* A stored row is to go. */
static void
take_leave(RowDiff *diff, TupleTableSlot *row)
{
	bool		isnull;
	ItemPointer tid = (ItemPointer) DatumGetPointer(slot_getattr(row, TID_ATTNO, &isnull));
	LeavingRows *rows;
	MemoryContext oldcontext;
	bool		found;

	if (diff->nkeys == 0 ||
		diff->leaving->members * LEAVING_SIZE > (uint64) freshet_work_mem * 1024 / LEAVING_PART)
	{
		delete_row(diff, tid);
		return;
	}
	rows = leaving_insert(diff->leaving, hash_key(diff, row), &found);
	if (!found)
		rows->tids = NIL;
	if (list_length(rows->tids) >= MAX_LEAVING_OF_KEY)
	{
		delete_row(diff, tid);
		return;
	}
	oldcontext = MemoryContextSwitchTo(diff->leaving->ctx);
	tid = memcpy(palloc(sizeof(ItemPointerData)), tid, sizeof(ItemPointerData));
	rows->tids = lappend(rows->tids, tid);
	MemoryContextSwitchTo(oldcontext);
}

/* Replace one of the rows that are to go by this one; false if there is none. */
static bool
replace_leaving(RowDiff *diff, TupleTableSlot *row)
{
	LeavingRows *rows;
	ItemPointer tid;

	if (diff->nkeys == 0)
		return false;
	rows = leaving_lookup(diff->leaving, hash_key(diff, row));
	if (rows == NULL || rows->tids == NIL)
		return false;
	tid = llast(rows->tids);
	rows->tids = list_delete_last(rows->tids);
	if (!writer_fetch(diff->writer, tid))
		elog(ERROR, "could not fetch a row of sink %u", diff->writer->sink->relid);
	(void) writer_update(diff->writer, &row->tts_values[FIRST_ATTNO - 1],
						 &row->tts_isnull[FIRST_ATTNO - 1]);
	return true;
}

static void
delete_leaving(RowDiff *diff)
{
	leaving_iterator it;
	LeavingRows *rows;
	ListCell   *lc;

	if (diff->nkeys == 0)
		return;
	leaving_start_iterate(diff->leaving, &it);
	while ((rows = leaving_iterate(diff->leaving, &it)) != NULL)
	{
		foreach(lc, rows->tids)
			delete_row(diff, lfirst(lc));
	}
}

/*
 * The rows of one hash, of both sides.  The stored ones are taken into memory;
 * each new one takes an equal one away.
 */
static void
merge_group(RowDiff *diff, uint64 hash)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(diff->group_context);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(diff->desc, &TTSOpsMinimalTuple);
	List	   *stored = NIL;
	ListCell   *lc;

	for (; !diff->stored.at_end && diff->stored.hash == hash; next_of_side(&diff->stored))
		stored = lappend(stored, ExecCopySlotMinimalTuple(diff->stored.slot));

	for (; !diff->wanted.at_end && diff->wanted.hash == hash; next_of_side(&diff->wanted))
	{
		bool		found = false;

		CHECK_FOR_INTERRUPTS();
		/* from the end, where removing is cheap */
		for (int i = list_length(stored) - 1; !found && i >= 0; i--)
		{
			ExecStoreMinimalTuple(list_nth(stored, i), slot, false);
			found = same_images(diff, diff->wanted.slot, slot);
			if (found)
				stored = list_delete_nth_cell(stored, i);
		}
		if (!found)
			tuplestore_puttupleslot(diff->inserts, diff->wanted.slot);
	}
	foreach(lc, stored)
	{
		ExecStoreMinimalTuple(lfirst(lc), slot, false);
		take_leave(diff, slot);
	}
	ExecDropSingleTupleTableSlot(slot);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(diff->group_context);
}

static void
write_inserts(RowDiff *diff)
{
	TupleTableSlot *slot = diff->wanted.slot;

	ExecClearTuple(slot);
	while (tuplestore_gettupleslot(diff->inserts, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		if (!replace_leaving(diff, slot))
			writer_insert(diff->writer, &slot->tts_values[FIRST_ATTNO - 1],
						  &slot->tts_isnull[FIRST_ATTNO - 1]);
	}
	delete_leaving(diff);
}

void
row_diff_write(RowDiff *diff)
{
	diff->inserts = tuplestore_begin_heap(false, false, Max(freshet_work_mem / 4, 64));
	if (diff->stored.sort == NULL)
		sort_sink_rows(diff);
	tuplesort_performsort(diff->wanted.sort);
	tuplesort_performsort(diff->stored.sort);

	next_of_side(&diff->wanted);
	next_of_side(&diff->stored);
	while (!diff->wanted.at_end || !diff->stored.at_end)
	{
		/* in the sort's order, which is that of signed numbers */
		if (diff->stored.at_end ||
			(!diff->wanted.at_end && (int64) diff->wanted.hash < (int64) diff->stored.hash))
		{
			tuplestore_puttupleslot(diff->inserts, diff->wanted.slot);
			next_of_side(&diff->wanted);
		}
		else if (diff->wanted.at_end || diff->wanted.hash != diff->stored.hash)
		{
			take_leave(diff, diff->stored.slot);
			next_of_side(&diff->stored);
		}
		else
			merge_group(diff, diff->wanted.hash);
		CHECK_FOR_INTERRUPTS();
	}
	writer_make_visible();
	write_inserts(diff);
}

void
row_diff_end(RowDiff *diff)
{
	ExecDropSingleTupleTableSlot(diff->in_slot);
	ExecDropSingleTupleTableSlot(diff->wanted.slot);
	tuplesort_end(diff->wanted.sort);
	if (diff->stored.sort != NULL)
	{
		ExecDropSingleTupleTableSlot(diff->stored.slot);
		tuplesort_end(diff->stored.sort);
	}
	if (diff->inserts != NULL)
		tuplestore_end(diff->inserts);
}
