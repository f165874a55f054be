/*-------------------------------------------------------------------------
 *
 * bag.c
 *		Maintain a filtered, projected copy whose rows have no key.
 *
 * The same row may be there many times, and a changed row is known by its
 * values alone, byte by byte as the sink stores them.  What the batch adds and
 * retracts is collected, netted and written when the batch is whole: copies
 * that are too many are found by the sink's index on a hash of the row and
 * deleted, then those that are missing are inserted.  Which of several equal
 * copies goes does not matter.
 *
 * A row of the sink that is to go and is not there is an error: the sink was
 * not what its query gave, because a function is not as immutable as it was
 * declared, or was replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/tuplestore.h"

#include "apply.h"
#include "base/guc.h"
#include "join_feed.h"
#include "row_diff.h"
#include "row_eval.h"
#include "row_hash.h"
#include "run.h"
#include "signed_rows.h"

typedef struct Bag
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	Sink	   *sink;
	List	   *leaves;
	MemoryContext context;
	RowEval    *eval;			/* source row -> the sink's columns */
	TupleDesc	desc;			/* of these */
	SignedRows *rows;			/* NULL: none came */
	bool		truncated;
	RowDiff    *diff;			/* while it is filled */
	SinkWriter *writer;
} Bag;

static void
collect_row(Bag *bag, int sign)
{
	RowEval    *eval = bag->eval;

	if (bag->rows == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(bag->context);

		bag->rows = signed_rows_create(bag->desc, 0, NULL, NULL, freshet_work_mem / 2);
		MemoryContextSwitchTo(oldcontext);
	}
	signed_rows_put_image(bag->rows, sign, eval->values, eval->nulls);
}

static void
bag_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	Bag		   *bag = (Bag *) consumer;

	row_eval_begin(bag->eval, slot);
	while (row_eval_next(bag->eval))
	{
		if (bag->diff != NULL)
			row_diff_add(bag->diff, bag->eval->projection->pi_state.resultslot);
		else
			collect_row(bag, sign);
	}
}

static void
forget_bag(Bag *bag)
{
	if (bag->rows != NULL)
		signed_rows_destroy(bag->rows);
	bag->rows = NULL;
}

static void
bag_truncate(RowConsumer *consumer, int occurrence)
{
	Bag		   *bag = (Bag *) consumer;

	forget_bag(bag);
	bag->truncated = true;
}

static RowConsumer *
bag_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet bag",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Bag		   *bag = palloc0(sizeof(Bag));
	List	   *exprs = NIL;

	bag->consumer.row = bag_row;
	bag->consumer.truncate = bag_truncate;
	bag->sink = sink;
	bag->leaves = leaves;
	bag->context = context;
	for (int i = 0; i < sink->plan->ncolumns; i++)
		exprs = lappend(exprs, sink->plan->columns[i].expr);
	bag->eval = row_eval_create(plan_rows(sink->plan), exprs, NULL);
	bag->desc = bag->eval->projection->pi_state.resultslot->tts_tupleDescriptor;
	bag->writer = writer_open(sink, emit);
	MemoryContextSwitchTo(oldcontext);
	return &bag->consumer;
}

static void
bag_close(RowConsumer *consumer, MaintainResult *result)
{
	Bag		   *bag = (Bag *) consumer;

	result->inserted = bag->writer->inserted;
	result->updated = bag->writer->updated;
	result->deleted = bag->writer->deleted;
	forget_bag(bag);
	writer_close(bag->writer);
	row_eval_destroy(bag->eval);
	MemoryContextDelete(bag->context);
}

static void
delete_copies(Bag *bag, int64 count, const Datum *values, const bool *nulls)
{
	int			n = Min(bag->desc->natts, FRESHET_ROW_HASH_COLUMNS);
	uint64		hash = row_hash(bag->desc, 1, n, values, nulls);

	if (writer_delete_copies(bag->writer, count, hash, values, nulls) < count)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("sink \"%s\" lacks a row that is to be taken out of it",
						get_rel_name(bag->sink->relid)),
				 errdetail("For a row that has changed, the query gives another result now than "
						   "when the row was added."),
				 errhint("See that the functions in the query are immutable, then run "
						 "freshet.rebuild_sink().")));
}

/* Deletions first; the rows to insert wait meanwhile. */
static void
write_net_rows(Bag *bag)
{
	Tuplestorestate *inserts = tuplestore_begin_heap(false, false, freshet_work_mem / 4);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(bag->desc, &TTSOpsMinimalTuple);
	int64		count;
	Datum	   *values;
	bool	   *nulls;

	signed_rows_sort(bag->rows);
	while (signed_rows_get_net(bag->rows, &count, &values, &nulls))
	{
		if (count < 0)
			delete_copies(bag, -count, values, nulls);
		for (int64 i = 0; i < count; i++)
			tuplestore_putvalues(inserts, bag->desc, values, nulls);
	}

	writer_make_visible();
	while (tuplestore_gettupleslot(inserts, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		slot_getallattrs(slot);
		writer_insert(bag->writer, slot->tts_values, slot->tts_isnull);
	}
	ExecDropSingleTupleTableSlot(slot);
	tuplestore_end(inserts);
}

static void
bag_flush(RowConsumer *consumer)
{
	Bag		   *bag = (Bag *) consumer;
	MemoryContext oldcontext;

	if (!bag->truncated && bag->rows == NULL)
		return;
	oldcontext = MemoryContextSwitchTo(bag->context);
	writer_begin(bag->writer);
	if (bag->truncated)
		writer_delete_all(bag->writer);
	if (bag->rows != NULL)
		write_net_rows(bag);
	writer_end(bag->writer);
	forget_bag(bag);
	MemoryContextSwitchTo(oldcontext);
}

/* What is stored already stays. */
static void
bag_fill(RowConsumer *consumer, int64 *rows_done)
{
	Bag		   *bag = (Bag *) consumer;
	MemoryContext context = AllocSetContextCreate(bag->context, "freshet filled bag",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);

	forget_bag(bag);
	bag->truncated = false;
	bag->diff = row_diff_begin(bag->writer);
	(void) join_feed_all(bag->sink, bag->leaves, consumer, rows_done);
	writer_begin(bag->writer);
	row_diff_write(bag->diff);
	writer_end(bag->writer);
	row_diff_end(bag->diff);
	bag->diff = NULL;
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

const RunMethods bag_methods = {
	bag_open,
	bag_fill,
	bag_flush,
	bag_close
};
