/*-------------------------------------------------------------------------
 *
 * changed_rows.h
 *		The changed rows of each occurrence of a plan, over a batch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_CHANGED_ROWS_H
#define FRESHET_CHANGED_ROWS_H

#include "postgres.h"

#include "executor/tuptable.h"

#include "compile/plan.h"
#include "join_query.h"

typedef struct ChangedRows ChangedRows;

/* For a plan with inputs, in the current memory context, for the current transaction. */
extern ChangedRows *changed_rows_create(const SinkPlan *plan);
extern void changed_rows_destroy(ChangedRows *changed);

/* A row of the occurrence that came (+1) or went (-1). */
extern void changed_rows_put(ChangedRows *changed, int occurrence, TupleTableSlot *slot,
							 int sign);

/*
 * When all are in: what is left of them, by occurrence.  Returns how many occurrences
 * have changed.
 */
extern int	changed_rows_net(ChangedRows *changed, JoinChanges **changes);

#endif							/* FRESHET_CHANGED_ROWS_H */
