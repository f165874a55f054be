/*-------------------------------------------------------------------------
 *
 * row_eval.c
 *		Evaluate a plan's expressions over source rows.
 *
 * Everything here lives for one batch: compiled expressions may hold
 * resources of the transaction that they were first run in.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/timestamp.h"

#include "row_eval.h"

/* The columns of the projection: those of guarded expressions are null at first. */
static List *
make_target_list(RowEval *eval, List *exprs, const int *filters)
{
	List	   *result = NIL;
	ListCell   *lc;

	eval->guarded = palloc(Max(list_length(exprs), 1) * sizeof(GuardedExpr));
	foreach(lc, exprs)
	{
		int			column = foreach_current_index(lc);
		Expr	   *expr = lfirst(lc);

		if (filters != NULL && filters[column] >= 0 && !plan_cannot_fail(expr))
		{
			GuardedExpr *guarded = &eval->guarded[eval->nguarded++];

			guarded->column = column;
			guarded->filter = filters[column];
			guarded->expr = ExecInitExpr(expr, NULL);
			expr = (Expr *) makeNullConst(exprType((Node *) expr), exprTypmod((Node *) expr),
										  exprCollation((Node *) expr));
		}
		result = lappend(result, makeTargetEntry(expr, column + 1, NULL, false));
	}
	return result;
}

/*
 * The call of a window function in FROM is joined to the row: conditions on
 * the row alone are tested before it is evaluated.
 */
static void
prepare_quals(RowEval *eval, const RowPlan *rows)
{
	List	   *row_quals = NIL;
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, rows->quals)
	{
		if (rows->window != NULL && !plan_uses_window(lfirst(lc)))
			row_quals = lappend(row_quals, lfirst(lc));
		else
			quals = lappend(quals, lfirst(lc));
	}
	eval->row_quals = row_quals ? ExecInitQual(row_quals, NULL) : NULL;
	eval->quals = quals ? ExecInitQual(quals, NULL) : NULL;
}

RowEval *
row_eval_create(const RowPlan *rows, List *exprs, const int *filters)
{
	RowEval    *eval = palloc0(sizeof(RowEval));
	List	   *tlist = make_target_list(eval, exprs, filters);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(ExecTypeFromTL(tlist), &TTSOpsVirtual);

	eval->econtext = CreateStandaloneExprContext();
	prepare_quals(eval, rows);
	eval->projection = ExecBuildProjectionInfo(tlist, eval->econtext, slot, NULL, NULL);
	eval->result_slot = slot;
	eval->values = slot->tts_values;
	eval->nulls = slot->tts_isnull;

	eval->window = rows->window;
	if (rows->window != NULL)
	{
		TupleDesc	desc = CreateTemplateTupleDesc(2);

		TupleDescInitEntry(desc, 1, "window_start", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(desc, 2, "window_end", TIMESTAMPTZOID, -1, 0);
		eval->window_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
		eval->econtext->ecxt_innertuple = eval->window_slot;
		eval->ts = ExecInitExpr(rows->window->ts, NULL);
	}
	return eval;
}

void
row_eval_guarded(RowEval *eval)
{
	for (int i = 0; i < eval->nguarded; i++)
	{
		const GuardedExpr *guarded = &eval->guarded[i];

		if (eval->nulls[guarded->filter] || !DatumGetBool(eval->values[guarded->filter]))
			continue;
		eval->values[guarded->column] =
			ExecEvalExprSwitchContext(guarded->expr, eval->econtext,
									  &eval->nulls[guarded->column]);
	}
}

void
row_eval_destroy(RowEval *eval)
{
	ExecDropSingleTupleTableSlot(eval->result_slot);
	if (eval->window_slot != NULL)
		ExecDropSingleTupleTableSlot(eval->window_slot);
	FreeExprContext(eval->econtext, true);
}

static void
store_window(RowEval *eval, bool isnull)
{
	TupleTableSlot *slot = eval->window_slot;

	ExecClearTuple(slot);
	slot->tts_isnull[0] = slot->tts_isnull[1] = isnull;
	if (!isnull)
	{
		slot->tts_values[0] = TimestampTzGetDatum(eval->start);
		slot->tts_values[1] = TimestampTzGetDatum(window_end(eval->window, eval->start));
	}
	ExecStoreVirtualTuple(slot);
}

/*
 * A row without a time is in one window of nulls (tumble is a strict function
 * of one row) or in none (hop is one of a set).
 */
bool
row_eval_next_window(RowEval *eval)
{
	if (!eval->started)
	{
		bool		isnull;
		Datum		ts;

		eval->started = true;
		if (eval->row_quals != NULL && !ExecQual(eval->row_quals, eval->econtext))
		{
			eval->more = false;
			return false;
		}
		ts = ExecEvalExprSwitchContext(eval->ts, eval->econtext, &isnull);
		if (isnull)
		{
			eval->more = false;
			if (eval->window->hop)
				return false;
			store_window(eval, true);
			return true;
		}
		eval->ts_value = DatumGetTimestampTz(ts);
		eval->start = window_first(eval->window, eval->ts_value);
	}
	else if (!eval->more || !eval->window->hop)
		return false;
	else
		eval->start = window_next(eval->window, eval->start);

	if (!window_contains(eval->window, eval->start, eval->ts_value))
	{
		eval->more = false;
		return false;
	}
	store_window(eval, false);
	return true;
}
