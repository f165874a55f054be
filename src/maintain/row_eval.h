/*-------------------------------------------------------------------------
 *
 * row_eval.h
 *		Evaluate a plan's expressions over source rows: windows, WHERE and a
 *		list of expressions, compiled once per batch.
 *
 * Nothing is evaluated that PostgreSQL's executor would not evaluate: what WHERE
 * rejects has neither windows nor expressions, and what a filter rejects not
 * the expression that it guards.
 *
 * One source row gives any number of evaluated rows: none if WHERE rejects
 * it, one per window.  Usage:
 *
 *	row_eval_begin(eval, slot);
 *	while (row_eval_next(eval))
 *		... eval->values, eval->nulls, valid until row_eval_begin ...
 *
 * Results live in eval->econtext's per-tuple memory, which the next
 * row_eval_begin() resets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ROW_EVAL_H
#define FRESHET_ROW_EVAL_H

#include "postgres.h"

#include "executor/executor.h"

#include "compile/plan.h"
#include "compile/window.h"

/* An expression that is evaluated if another one, of the projection, is true. */
typedef struct GuardedExpr
{
	int			column;			/* its place in the projection */
	int			filter;			/* the other one's */
	ExprState  *expr;
} GuardedExpr;

typedef struct RowEval
{
	const WindowSpec *window;
	ExprContext *econtext;
	ExprState  *row_quals;		/* before the windows of the row, or NULL */
	ExprState  *ts;				/* of the window, or NULL */
	ExprState  *quals;			/* of each window, or of the row; or NULL */
	ProjectionInfo *projection;
	int			nguarded;
	GuardedExpr *guarded;
	TupleTableSlot *result_slot;	/* of the projection: */
	Datum	   *values;
	bool	   *nulls;

	/* iteration over the windows of the row */
	TupleTableSlot *window_slot;
	bool		more;
	bool		started;
	TimestampTz ts_value;
	TimestampTz start;
} RowEval;

/*
 * In the current memory context, in which it stays.  filters: by expression,
 * the number of the boolean one without which it is not evaluated (its value is
 * null then), or -1; or NULL.
 */
extern RowEval *row_eval_create(const RowPlan *rows, List *exprs, const int *filters);
extern void row_eval_destroy(RowEval *eval);

/* For a plan with a window. */
extern bool row_eval_next_window(RowEval *eval);

/* After the projection. */
extern void row_eval_guarded(RowEval *eval);

static inline void
row_eval_begin(RowEval *eval, TupleTableSlot *slot)
{
	ResetExprContext(eval->econtext);
	eval->econtext->ecxt_scantuple = slot;
	eval->more = true;
	eval->started = false;
}

static inline bool
row_eval_next(RowEval *eval)
{
	for (;;)
	{
		if (eval->window != NULL)
		{
			if (!row_eval_next_window(eval))
				return false;
		}
		else if (!eval->more)
			return false;
		else
			eval->more = false;

		if (eval->quals == NULL || ExecQual(eval->quals, eval->econtext))
		{
			ExecProject(eval->projection);
			if (eval->nguarded > 0)
				row_eval_guarded(eval);
			return true;
		}
	}
}

#endif							/* FRESHET_ROW_EVAL_H */
