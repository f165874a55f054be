/*-------------------------------------------------------------------------
 *
 * unread.h
 *		Does a sink read any column that an update changed?
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_UNREAD_H
#define FRESHET_UNREAD_H

#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"

#include "compile/plan.h"

typedef struct UpdateColumns
{
	TupleDesc	desc;
	char	   *compared;		/* by column: NOT_COMPARED or what came of it */
	TupleTableSlot *old;
	TupleTableSlot *new;
} UpdateColumns;

/*
 * The columns of a source that a plan reads, with rows of this descriptor:
 * attribute numbers; 0 stands for all of them.
 */
extern Bitmapset *unread_columns(const SinkPlan *plan, int occurrence, TupleDesc desc);

/* For updates of rows with this descriptor. */
extern UpdateColumns *unread_create(TupleDesc desc);

/* The next update; the slots keep its rows. */
extern void unread_begin(UpdateColumns *columns, TupleTableSlot *old, TupleTableSlot *new);

/* Do both rows have the same values in these columns? */
extern bool unread_is_same(UpdateColumns *columns, const Bitmapset *read);

#endif							/* FRESHET_UNREAD_H */
