/*-------------------------------------------------------------------------
 *
 * analyze_join.c
 *		Several sources: their inner join, whose rows the rest of a plan is about.
 *
 * Whatever FROM says, comma, CROSS JOIN, ON, USING or NATURAL, an inner join is
 * the product of its tables and a list of conditions.  Which columns the joined
 * row has is known when all expressions have been analyzed: each column that
 * one of them reads is added at the first sight.  So are the columns that the
 * join reads of its inputs.
 *
 * Conditions on the window alone are not the join's: the row is joined first,
 * and the windows that it is in follow from it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "analyze_internal.h"
#include "volatility.h"

/* What a row of a tuplesort can have, less some of freshet's own. */
#define MAX_JOINED_COLUMNS	1600

void
analyze_join_begin(AnalyzeContext *ctx)
{
	SinkPlan   *plan = ctx->plan;

	if (plan->noccurrences < 2)
		return;
	plan->join = palloc0(sizeof(JoinPlan));
	plan->join->inputs = palloc0(plan->noccurrences * sizeof(JoinInput));
}

/* Number of a column among those that the join reads of an occurrence, or 0. */
static int
find_input_column(const JoinInput *input, AttrNumber attno)
{
	for (int i = 0; i < input->ncolumns; i++)
	{
		if (input->attnos[i] == attno)
			return i + 1;
	}
	return 0;
}

static Var *
input_var(AnalyzeContext *ctx, int occurrence, const Var *var)
{
	JoinInput  *input = &ctx->plan->join->inputs[occurrence];
	int			column = find_input_column(input, var->varattno);

	if (column == 0)
	{
		input->attnos = input->attnos == NULL ? palloc(sizeof(AttrNumber)) :
			repalloc(input->attnos, (input->ncolumns + 1) * sizeof(AttrNumber));
		input->attnos[input->ncolumns++] = var->varattno;
		column = input->ncolumns;
	}
	return makeVar(occurrence + 1, (AttrNumber) column, var->vartype, var->vartypmod,
				   var->varcollid, 0);
}

AttrNumber
analyze_join_find(const SinkPlan *plan, int occurrence, AttrNumber attno)
{
	int			column = find_input_column(&plan->join->inputs[occurrence], attno);
	ListCell   *lc;

	foreach(lc, plan->join->columns)
	{
		Var		   *var = lfirst_node(Var, lc);

		if (var->varno == occurrence + 1 && var->varattno == column)
			return (AttrNumber) (foreach_current_index(lc) + 1);
	}
	return 0;
}

Var *
analyze_join_var(AnalyzeContext *ctx, int occurrence, const Var *var)
{
	JoinPlan   *join = ctx->plan->join;
	Var		   *input = input_var(ctx, occurrence, var);
	AttrNumber	column;

	if (ctx->in_join)
		return input;
	column = analyze_join_find(ctx->plan, occurrence, var->varattno);
	if (column == 0)
	{
		join->columns = lappend(join->columns, input);
		column = (AttrNumber) list_length(join->columns);
	}
	return makeVar(1, column, var->vartype, var->vartypmod, var->varcollid, 0);
}

static bool
window_walker(Node *node, void *rti)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == *(Index *) rti;
	return expression_tree_walker(node, window_walker, rti);
}

static void
add_condition(AnalyzeContext *ctx, Node *node)
{
	Expr	   *expr;

	volatility_check(node, &ctx->settings_functions);
	ctx->in_join = true;
	expr = expression_planner((Expr *) analyze_renumber(ctx, node));
	ctx->in_join = false;
	volatility_check((Node *) expr, &ctx->settings_functions);
	ctx->plan->join->conditions = list_concat(ctx->plan->join->conditions,
											  make_ands_implicit(expr));
}

void
analyze_join_conditions(AnalyzeContext *ctx)
{
	List	   *of_window = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, ctx->conditions)
	{
		foreach(lc2, make_ands_implicit(lfirst(lc)))
		{
			if (ctx->window_rti != 0 && window_walker(lfirst(lc2), &ctx->window_rti))
				of_window = lappend(of_window, lfirst(lc2));
			else
				add_condition(ctx, lfirst(lc2));
		}
	}
	ctx->conditions = of_window;
}

void
analyze_join_uses(SinkPlan *plan)
{
	/* a row of a term has a weight for each occurrence, and goes through a sort */
	if (list_length(plan->join->columns) + plan->noccurrences > MAX_JOINED_COLUMNS)
		REFUSE(psprintf("a join that reads more than %d columns", MAX_JOINED_COLUMNS),
			   "Read fewer columns of its tables.");
	for (int i = 0; i < plan->noccurrences; i++)
	{
		const JoinInput *input = &plan->join->inputs[i];
		SourceUse  *source = plan_source_of(plan, i);

		for (int c = 0; c < input->ncolumns; c++)
			source->used_attrs = bms_add_member(source->used_attrs, input->attnos[c]);
	}
}
