/*-------------------------------------------------------------------------
 *
 * signed_rows.c
 *		Rows with a sign, any number of them, read back with those of a key
 *		together.
 *
 * What does not fit the memory of a run goes here: a tuplesort, which is
 * bounded and spills, by the hash of the keys and then by the keys, which serve
 * types whose values all have one hash (group_table.c), and those that happen to
 * share one.  A key whose type has no order is not compared: its rows come
 * together with those that have the same hash.
 *
 * A sort does not keep the order in which rows came.  Of a key the added rows are
 * first: an extreme forgets a value with the first of its retractions, and would
 * take for new what is added after that, though it went as well (accum.c).
 *
 * The temporary files are the transaction's, which closes them if it aborts.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/tuplesort.h"

#include "base/process.h"
#include "row_hash.h"
#include "signed_rows.h"

/* Columns of the tuplesort before those of the rows; the sign is negated. */
#define HASH_COLUMN		0
#define SIGN_COLUMN		1
#define OWN_COLUMNS		2

/* A row, and how often it came more than it went. */
typedef struct NetEntry
{
	MinimalTuple row;
	int64		count;
} NetEntry;

struct SignedRows
{
	MemoryContext context;		/* of the whole */
	Tuplesortstate *sort;
	TupleTableSlot *in;
	TupleTableSlot *out;
	int			natts;			/* of the rows */
	int64		nread;

	/* signed_rows_get_net() */
	MemoryContext net_context;	/* of the entries */
	List	   *entries;		/* NetEntry *: what is left to yield of one hash */
	TupleTableSlot *entry_slot;
	bool		ahead;			/* "out" has the first row of the next hash */
	uint32		ahead_hash;
	int			ahead_sign;
};

static TupleDesc
make_desc(TupleDesc rows)
{
	TupleDesc	desc = CreateTemplateTupleDesc(OWN_COLUMNS + rows->natts);

	TupleDescInitEntry(desc, HASH_COLUMN + 1, "hash", INT4OID, -1, 0);
	TupleDescInitEntry(desc, SIGN_COLUMN + 1, "sign", INT4OID, -1, 0);
	for (int i = 0; i < rows->natts; i++)
		TupleDescCopyEntry(desc, OWN_COLUMNS + i + 1, rows, i + 1);
	return desc;
}

static Tuplesortstate *
begin_sort(TupleDesc desc, int nkeys, const KeySpec *keys, const int *columns, int memory)
{
	int			n = 1;
	AttrNumber *attnos = palloc((nkeys + OWN_COLUMNS) * sizeof(AttrNumber));
	Oid		   *operators = palloc((nkeys + OWN_COLUMNS) * sizeof(Oid));
	Oid		   *collations = palloc0((nkeys + OWN_COLUMNS) * sizeof(Oid));
	bool	   *nulls_first = palloc0((nkeys + OWN_COLUMNS) * sizeof(bool));

	attnos[0] = HASH_COLUMN + 1;
	operators[0] = Int4LessOperator;
	for (int i = 0; i < nkeys; i++)
	{
		if (!OidIsValid(keys[i].sortop))
			continue;
		attnos[n] = OWN_COLUMNS + columns[i] + 1;
		operators[n] = keys[i].sortop;
		collations[n] = keys[i].collation;
		n++;
	}
	attnos[n] = SIGN_COLUMN + 1;
	operators[n++] = Int4LessOperator;
	return tuplesort_begin_heap(desc, n, attnos, operators, collations, nulls_first,
								Max(memory, 64), NULL, TUPLESORT_NONE);
}

SignedRows *
signed_rows_create(TupleDesc desc, int nkeys, const KeySpec *keys, const int *columns,
				   int memory)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet signed rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	SignedRows *rows = palloc0(sizeof(SignedRows));
	TupleDesc	sort_desc = make_desc(desc);

	rows->context = context;
	rows->natts = desc->natts;
	rows->in = MakeSingleTupleTableSlot(sort_desc, &TTSOpsVirtual);
	rows->out = MakeSingleTupleTableSlot(sort_desc, &TTSOpsMinimalTuple);
	rows->entry_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	rows->net_context = AllocSetContextCreate(context, "freshet netted rows of one hash",
											  ALLOCSET_SMALL_SIZES);
	rows->sort = begin_sort(sort_desc, nkeys, keys, columns, memory);
	MemoryContextSwitchTo(oldcontext);
	return rows;
}

void
signed_rows_destroy(SignedRows *rows)
{
	ExecDropSingleTupleTableSlot(rows->in);
	ExecDropSingleTupleTableSlot(rows->out);
	ExecDropSingleTupleTableSlot(rows->entry_slot);
	tuplesort_end(rows->sort);
	MemoryContextDelete(rows->context);
}

void
signed_rows_put(SignedRows *rows, uint32 hash, int sign, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = rows->in;
	MemoryContext oldcontext = MemoryContextSwitchTo(rows->context);

	ExecClearTuple(slot);
	slot->tts_values[HASH_COLUMN] = Int32GetDatum((int32) hash);
	slot->tts_values[SIGN_COLUMN] = Int32GetDatum(-sign);
	slot->tts_isnull[HASH_COLUMN] = slot->tts_isnull[SIGN_COLUMN] = false;
	memcpy(slot->tts_values + OWN_COLUMNS, values, rows->natts * sizeof(Datum));
	memcpy(slot->tts_isnull + OWN_COLUMNS, nulls, rows->natts * sizeof(bool));
	tuplesort_puttupleslot(rows->sort, ExecStoreVirtualTuple(slot));
	MemoryContextSwitchTo(oldcontext);
}

void
signed_rows_put_image(SignedRows *rows, int sign, const Datum *values, const bool *nulls)
{
	TupleDesc	desc = rows->entry_slot->tts_tupleDescriptor;

	signed_rows_put(rows, (uint32) row_hash(desc, 1, rows->natts, values, nulls), sign, values,
					nulls);
}

void
signed_rows_sort(SignedRows *rows)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(rows->context);

	tuplesort_performsort(rows->sort);
	MemoryContextSwitchTo(oldcontext);
}

bool
signed_rows_get(SignedRows *rows, uint32 *hash, int *sign, Datum **values, bool **nulls)
{
	TupleTableSlot *slot = rows->out;

	if ((++rows->nread & 1023) == 0)
	{
		process_check_stop();
		CHECK_FOR_INTERRUPTS();
	}
	if (!tuplesort_gettupleslot(rows->sort, true, false, slot, NULL))
		return false;

	slot_getallattrs(slot);
	*hash = (uint32) DatumGetInt32(slot->tts_values[HASH_COLUMN]);
	*sign = -DatumGetInt32(slot->tts_values[SIGN_COLUMN]);
	*values = slot->tts_values + OWN_COLUMNS;
	*nulls = slot->tts_isnull + OWN_COLUMNS;
	return true;
}

/* Count a row among those of the same hash, which are few. */
static void
count_row(SignedRows *rows, int sign, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = rows->entry_slot;
	MemoryContext oldcontext = MemoryContextSwitchTo(rows->net_context);
	NetEntry   *entry;
	ListCell   *lc;

	foreach(lc, rows->entries)
	{
		entry = lfirst(lc);
		ExecStoreMinimalTuple(entry->row, slot, false);
		slot_getallattrs(slot);
		if (row_image_eq(slot->tts_tupleDescriptor, 1, rows->natts, slot->tts_values,
						 slot->tts_isnull, values, nulls))
			break;
	}
	if (lc == NULL)
	{
		entry = palloc0(sizeof(NetEntry));
		entry->row = freshet_form_minimal_tuple(slot->tts_tupleDescriptor,
												unconstify(Datum *, values),
												unconstify(bool *, nulls));
		rows->entries = lappend(rows->entries, entry);
	}
	entry->count += sign;
	MemoryContextSwitchTo(oldcontext);
}

/* Take in the rows of the next hash; false if there are none. */
static bool
count_next_hash(SignedRows *rows)
{
	Datum	   *values = rows->out->tts_values + OWN_COLUMNS;
	bool	   *nulls = rows->out->tts_isnull + OWN_COLUMNS;
	uint32		hash;

	ExecClearTuple(rows->entry_slot);
	MemoryContextReset(rows->net_context);
	rows->entries = NIL;
	if (!rows->ahead &&
		!signed_rows_get(rows, &rows->ahead_hash, &rows->ahead_sign, &values, &nulls))
		return false;

	hash = rows->ahead_hash;
	do
	{
		count_row(rows, rows->ahead_sign, values, nulls);
		rows->ahead = signed_rows_get(rows, &rows->ahead_hash, &rows->ahead_sign, &values,
									  &nulls);
	} while (rows->ahead && rows->ahead_hash == hash);
	return true;
}

bool
signed_rows_get_net(SignedRows *rows, int64 *count, Datum **values, bool **nulls)
{
	for (;;)
	{
		while (rows->entries != NIL)
		{
			NetEntry   *entry = llast(rows->entries);
			TupleTableSlot *slot = rows->entry_slot;

			rows->entries = list_delete_last(rows->entries);
			if (entry->count == 0)
				continue;
			ExecStoreMinimalTuple(entry->row, slot, false);
			slot_getallattrs(slot);
			*count = entry->count;
			*values = slot->tts_values;
			*nulls = slot->tts_isnull;
			return true;
		}
		if (!count_next_hash(rows))
			return false;
	}
}
