/*-------------------------------------------------------------------------
 *
 * row_diff.h
 *		Make a sink, or some of its rows, equal to a multiset of rows by writing
 *		what differs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ROW_DIFF_H
#define FRESHET_ROW_DIFF_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "apply.h"

typedef struct RowDiff RowDiff;

/* In the current memory context, to be freed with it after row_diff_end(). */
extern RowDiff *row_diff_begin(SinkWriter *writer);

/*
 * The same, to be told which of the sink's rows are compared.  A row that goes is
 * replaced by one that comes, if they have the same values in these columns.
 */
extern RowDiff *row_diff_begin_some(SinkWriter *writer, int nkeys, const KeySpec *keys);

/* Such a row, each once: its TID, and the plan's columns. */
extern void row_diff_add_stored(RowDiff *diff, TupleTableSlot *slot);

/* A row that the sink is to have; its columns are the plan's. */
extern void row_diff_add(RowDiff *diff, TupleTableSlot *slot);

/*
 * Delete and insert rows so that the sink has those that were added, each as
 * often as it was.  Between writer_begin() and writer_end().
 */
extern void row_diff_write(RowDiff *diff);

extern void row_diff_end(RowDiff *diff);

#endif							/* FRESHET_ROW_DIFF_H */
