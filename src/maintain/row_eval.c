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

static List *
make_target_list(List *exprs)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, exprs)
		result = lappend(result, makeTargetEntry(lfirst(lc), foreach_current_index(lc) + 1,
												 NULL, false));
	return result;
}

RowEval *
row_eval_create(const SinkPlan *plan, List *exprs)
{
	RowEval    *eval = palloc0(sizeof(RowEval));
	List	   *tlist = make_target_list(exprs);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(ExecTypeFromTL(tlist), &TTSOpsVirtual);

	eval->econtext = CreateStandaloneExprContext();
	eval->quals = plan->quals ? ExecInitQual(plan->quals, NULL) : NULL;
	eval->projection = ExecBuildProjectionInfo(tlist, eval->econtext, slot, NULL, NULL);
	eval->values = slot->tts_values;
	eval->nulls = slot->tts_isnull;

	eval->window = plan->window;
	if (plan->window != NULL)
	{
		TupleDesc	desc = CreateTemplateTupleDesc(2);

		TupleDescInitEntry(desc, 1, "window_start", TIMESTAMPTZOID, -1, 0);
		TupleDescInitEntry(desc, 2, "window_end", TIMESTAMPTZOID, -1, 0);
		eval->window_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
		eval->econtext->ecxt_innertuple = eval->window_slot;
		eval->ts = ExecInitExpr(plan->window->ts, NULL);
	}
	return eval;
}

void
row_eval_destroy(RowEval *eval)
{
	ExecDropSingleTupleTableSlot(eval->projection->pi_state.resultslot);
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
		Datum		ts = ExecEvalExprSwitchContext(eval->ts, eval->econtext, &isnull);

		eval->started = true;
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
