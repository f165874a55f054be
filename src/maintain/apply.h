/*-------------------------------------------------------------------------
 *
 * apply.h
 *		Write rows of a sink, and yield them as changes of the sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_APPLY_H
#define FRESHET_APPLY_H

#include "postgres.h"

#include "access/genam.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"

#include "catalog/sink.h"
#include "change_set.h"

typedef struct SinkWriter
{
	Sink	   *sink;
	Relation	rel;
	EState	   *estate;
	EPQState	epqstate;
	ResultRelInfo *result_rel;
	AttrNumber *attnos;			/* of the plan's columns */
	ExprState **defaults;		/* by column of the table: of those that the
								 * owner added; NULL elements: none */

	Relation	key_index;		/* NULL: the sink has one row, is never searched, or
								 * does not show its keys */
	int		   *key_order;		/* key number of each index column */
	bool		by_hash;		/* it is the index by row_hash() of rows
								 * without a key */
	ScanKey		scan_keys;
	FmgrInfo   *key_equality;	/* by key */
	IndexScanDesc index_scan;

	TupleTableSlot *old_slot;	/* the row found */
	TupleTableSlot *new_slot;

	ChangeSet  *emit;			/* NULL: nobody reads the sink's changes */
	ChangeLayout *emit_layout;

	int64		inserted;
	int64		updated;
	int64		deleted;
} SinkWriter;

/*
 * Open the sink for writing.  This and all that follows is done in the sink's
 * sandbox.  emit receives old and new rows if the sink has
 * dependants; may be NULL.
 */
extern SinkWriter *writer_open(Sink *sink, ChangeSet *emit);
extern void writer_close(SinkWriter *writer);

/*
 * Around writes: triggers that they queue are fired at the end.  What was
 * written is visible after it.
 */
extern void writer_begin(SinkWriter *writer);
extern void writer_end(SinkWriter *writer);

/*
 * Has the sink a unique index, or an exclusion constraint, beside the index of its
 * key?  Then one row has to be out of the way of another.
 */
extern bool writer_order_matters(const SinkWriter *writer);

/* What the transaction has written is seen after this call. */
extern void writer_make_visible(void);

/*
 * Find the row with these keys (in the order of plan->keys) into old_slot.
 * Sees what was visible at the last writer_make_visible().
 */
extern bool writer_find(SinkWriter *writer, const Datum *keys, const bool *nulls);

/*
 * A sink without a key: delete up to count rows that have just these values (by
 * the plan's columns), and return how many there were.  hash: row_hash() of the
 * first FRESHET_ROW_HASH_COLUMNS of them.
 */
extern int64 writer_delete_copies(SinkWriter *writer, int64 count, uint64 hash,
								  const Datum *values, const bool *nulls);

/* Does the transaction see no row of the sink?  Clears old_slot. */
extern bool writer_sink_is_empty(SinkWriter *writer);

/* Fetch a row that writer_find() or writer_insert() gave the TID of. */
extern bool writer_fetch(SinkWriter *writer, ItemPointer tid);

/* Value of column i of the plan in old_slot. */
extern Datum writer_old_value(SinkWriter *writer, int column, bool *isnull);

/* Are the keys of the row in old_slot these, as far as it shows them? */
extern bool writer_has_keys(SinkWriter *writer, const Datum *keys, const bool *nulls);

/* values and nulls are by the plan's columns.  The row's TID is returned. */
extern ItemPointerData writer_insert(SinkWriter *writer, const Datum *values,
									 const bool *nulls);
/* Replace the row in old_slot; does nothing if it is the same. */
extern ItemPointerData writer_update(SinkWriter *writer, const Datum *values, const bool *nulls);
/* Delete the row in old_slot. */
extern void writer_delete(SinkWriter *writer);
/* Delete all rows that the transaction sees. */
extern void writer_delete_all(SinkWriter *writer);

#endif							/* FRESHET_APPLY_H */
