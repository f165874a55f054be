/*-------------------------------------------------------------------------
 *
 * analyze_rollup.c
 *		Keys, aggregates and outputs of a query with GROUP BY or aggregates.
 *
 * An output is an expression over the group: in a copy of it, a part that is
 * a grouping expression becomes a reference to the key, and an aggregate one
 * to the aggregate's result.  Whatever column of the source is left then is
 * not determined by the group alone.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "analyze_internal.h"
#include "equality.h"
#include "volatility.h"

/* Reference to column i (from 0) of the group: the keys, then the aggregates. */
static Var *
group_var(int i, Oid type, int32 typmod, Oid collation)
{
	return makeVar(1, (AttrNumber) (i + 1), type, typmod, collation, 0);
}

/* Is expr nothing but column i (from 0) of the group? */
static bool
is_group_column(const Expr *expr, int i)
{
	return IsA(expr, Var) && ((const Var *) expr)->varattno == i + 1;
}

static void
add_key(AnalyzeContext *ctx, const SortGroupClause *clause)
{
	TargetEntry *tle = get_sortgroupref_tle(clause->tleSortGroupRef, ctx->query->targetList);
	Node	   *expr = (Node *) tle->expr;
	KeySpec    *key;

	/* A key that is there already adds nothing. */
	if (list_member(ctx->group_exprs, expr))
		return;

	key = &ctx->plan->keys[ctx->plan->nkeys];
	key->type = exprType(expr);
	key->typmod = exprTypmod(expr);
	key->collation = exprCollation(expr);
	key->eqop = clause->eqop;
	key->sortop = clause->sortop;
	key->column = -1;
	if (get_typtype(key->type) == TYPTYPE_PSEUDO || !OidIsValid(key->sortop))
		REFUSE(psprintf("GROUP BY of type %s", format_type_be(key->type)),
			   "A key needs a type that can be stored and sorted: group by a cast of it.");
	key->variable = equality_is_loose(key->type, key->typmod, key->collation, key->eqop);
	key->expr = analyze_row_expr(ctx, expr);

	ctx->group_exprs = lappend(ctx->group_exprs, expr);
	ctx->plan->nkeys++;
}

static void
make_keys(AnalyzeContext *ctx)
{
	ListCell   *lc;

	ctx->plan->keys = palloc0(sizeof(KeySpec) * (list_length(ctx->query->groupClause) + 1));
	foreach(lc, ctx->query->groupClause)
		add_key(ctx, lfirst_node(SortGroupClause, lc));
}

/*
 * MIN or MAX, if the aggregate is declared to be equal to the first row in an
 * order (so are bool_and and bool_or).
 */
static bool
extreme_kind(const Aggref *agg, AggSpec *spec)
{
	HeapTuple	tuple;
	bool		descending;

	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(agg->aggfnoid));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", agg->aggfnoid);
	spec->sortop = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop;
	ReleaseSysCache(tuple);

	/* The value kept is an input, so it must have the type of the result. */
	if (!OidIsValid(spec->sortop) || list_length(agg->args) != 1 ||
		agg->aggtype != spec->argtype ||
		!OidIsValid(get_equality_op_for_ordering_op(spec->sortop, &descending)))
		return false;
	spec->kind = descending ? AGG_MAX : AGG_MIN;
	return true;
}

/* Find how the aggregate is maintained; false if it can't be. */
static bool
aggregate_kind(const Aggref *agg, AggSpec *spec)
{
	switch (agg->aggfnoid)
	{
		case F_COUNT_:
			spec->kind = AGG_COUNT_STAR;
			return true;
		case F_COUNT_ANY:
			spec->kind = AGG_COUNT;
			return true;
		case F_SUM_INT2:
		case F_SUM_INT4:
			spec->kind = AGG_SUM_INT;
			return true;
		case F_SUM_INT8:
			spec->kind = AGG_SUM_INT8;
			return true;
		case F_AVG_INT2:
		case F_AVG_INT4:
		case F_AVG_INT8:
			spec->kind = AGG_AVG_INT;
			return true;
		case F_SUM_NUMERIC:
			spec->kind = AGG_SUM_NUMERIC;
			return true;
		case F_AVG_NUMERIC:
			spec->kind = AGG_AVG_NUMERIC;
			return true;
		case F_SUM_FLOAT4:
			spec->kind = AGG_SUM_FLOAT4;
			return true;
		case F_SUM_FLOAT8:
			spec->kind = AGG_SUM_FLOAT8;
			return true;
		case F_AVG_FLOAT4:
		case F_AVG_FLOAT8:
			spec->kind = AGG_AVG_FLOAT;
			return true;
		case F_SUM_MONEY:
			spec->kind = AGG_SUM_MONEY;
			return true;
		case F_SUM_INTERVAL:
			spec->kind = AGG_SUM_INTERVAL;
			return true;
		case F_AVG_INTERVAL:
			spec->kind = AGG_AVG_INTERVAL;
			return true;
		default:
			return extreme_kind(agg, spec);
	}
}

static void
refuse_aggregate_clauses(const Aggref *agg)
{
	if (agg->aggkind != AGGKIND_NORMAL)
		REFUSE(psprintf("ordered-set aggregate %s", format_procedure(agg->aggfnoid)),
			   "Use count, sum, avg, min or max.");
	if (agg->aggdistinct != NIL)
		REFUSE(psprintf("DISTINCT in aggregate %s", format_procedure(agg->aggfnoid)),
			   "Group by the argument in one sink, and aggregate over that sink.");
	if (agg->aggorder != NIL)
		REFUSE(psprintf("ORDER BY in aggregate %s", format_procedure(agg->aggfnoid)),
			   "Leave it out: the order of the rows does not matter to the sink's aggregates.");
	if (agg->aggvariadic)
		REFUSE(psprintf("VARIADIC in aggregate %s", format_procedure(agg->aggfnoid)),
			   "Use count, sum, avg, min or max.");
}

static void
set_filter(AnalyzeContext *ctx, AggSpec *spec, const Aggref *agg)
{
	Const	   *con;

	if (agg->aggfilter == NULL)
		return;
	spec->filter = analyze_row_expr(ctx, (Node *) agg->aggfilter);
	con = (Const *) spec->filter;
	if (IsA(con, Const) && !con->constisnull && DatumGetBool(con->constvalue))
		spec->filter = NULL;
}

/* Number of the aggregate in the plan; equal ones share one. */
static int
find_or_add_aggregate(AnalyzeContext *ctx, Aggref *agg)
{
	RollupPlan *rollup = &ctx->plan->part.rollup;
	AggSpec    *spec;
	ListCell   *lc;

	foreach(lc, ctx->aggrefs)
	{
		if (equal(lfirst(lc), agg))
			return foreach_current_index(lc);
	}

	refuse_aggregate_clauses(agg);
	rollup->aggs = rollup->aggs == NULL ? palloc(sizeof(AggSpec)) :
		repalloc(rollup->aggs, sizeof(AggSpec) * (rollup->naggs + 1));
	spec = &rollup->aggs[rollup->naggs];
	memset(spec, 0, sizeof(AggSpec));
	spec->aggfnoid = agg->aggfnoid;
	spec->argtypmod = -1;
	spec->resulttype = agg->aggtype;
	spec->resulttypmod = exprTypmod((Node *) agg);
	spec->collation = agg->inputcollid;
	spec->visible = -1;
	if (list_length(agg->args) == 1)
	{
		Node	   *arg = (Node *) linitial_node(TargetEntry, agg->args)->expr;

		spec->argtype = exprType(arg);
		spec->argtypmod = exprTypmod(arg);
		spec->arg = analyze_row_expr(ctx, arg);
	}
	if (!aggregate_kind(agg, spec))
		REFUSE(psprintf("aggregate %s", format_procedure(agg->aggfnoid)),
			   "Use count, sum, avg, min or max.");

	/* count(1) */
	if (spec->kind == AGG_COUNT && IsA(spec->arg, Const) && !((Const *) spec->arg)->constisnull)
	{
		spec->kind = AGG_COUNT_STAR;
		spec->arg = NULL;
		spec->argtype = InvalidOid;
		spec->argtypmod = -1;
	}
	set_filter(ctx, spec, agg);

	ctx->aggrefs = lappend(ctx->aggrefs, agg);
	return rollup->naggs++;
}

/* From an expression of the query to one over the group. */
static Node *
group_mutator(Node *node, void *context)
{
	AnalyzeContext *ctx = context;
	SinkPlan   *plan = ctx->plan;
	ListCell   *lc;

	if (node == NULL)
		return NULL;

	foreach(lc, ctx->group_exprs)
	{
		int			i = foreach_current_index(lc);

		if (equal(lfirst(lc), node))
			return (Node *) group_var(i, plan->keys[i].type, plan->keys[i].typmod,
									  plan->keys[i].collation);
	}

	if (IsA(node, Aggref))
	{
		Aggref	   *agg = (Aggref *) node;
		int			i = find_or_add_aggregate(ctx, agg);

		return (Node *) group_var(plan->nkeys + i, agg->aggtype, exprTypmod(node),
								  agg->aggcollid);
	}

	/* The parser lets it pass if the primary key is in GROUP BY. */
	if (IsA(node, Var))
	{
		RangeTblEntry *rte = rt_fetch(((Var *) node)->varno, ctx->query->rtable);
		AttrNumber	attno = ((Var *) node)->varattno;

		REFUSE(psprintf("column \"%s\", which is neither grouped nor aggregated,",
						attno == 0 ? rte->eref->aliasname : get_rte_attribute_name(rte, attno)),
			   "Add it to GROUP BY.");
	}
	return expression_tree_mutator(node, group_mutator, context);
}

/* Does an expression over the group read a sum or average of floats? */
static bool
approximate_walker(Node *node, SinkPlan *plan)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		const AggSpec *aggs = plan_rollup(plan)->aggs;
		int			i = ((Var *) node)->varattno - 1 - plan->nkeys;

		return i >= 0 && (aggs[i].kind == AGG_SUM_FLOAT4 ||
						  aggs[i].kind == AGG_SUM_FLOAT8 ||
						  aggs[i].kind == AGG_AVG_FLOAT);
	}
	return expression_tree_walker(node, approximate_walker, (void *) plan);
}

static void
make_outputs(AnalyzeContext *ctx)
{
	SinkPlan   *plan = ctx->plan;
	ListCell   *lc;

	foreach(lc, ctx->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Expr	   *expr;
		SinkColumn *column;

		if (tle->resjunk)
			continue;
		volatility_check((Node *) tle->expr, &ctx->settings_functions);
		expr = (Expr *) group_mutator((Node *) tle->expr, ctx);
		expr = expression_planner(expr);
		volatility_check((Node *) expr, &ctx->settings_functions);
		analyze_output_column(plan, tle, expr);
		column = &plan->columns[plan->ncolumns - 1];
		column->approximate = approximate_walker((Node *) expr, plan);
	}
}

/* Index of the output column that is column i of the group alone, or -1. */
static int
visible_column(const SinkPlan *plan, int i)
{
	int			c;

	for (c = 0; c < plan->ncolumns; c++)
	{
		if (is_group_column(plan->columns[c].expr, i))
			return c;
	}
	return -1;
}

/*
 * Can the aggregate's state be read from its result?  (Not for the sum of a
 * column that is NOT NULL now: dropping the constraint would change the
 * columns that the sink needs.)
 */
static bool
result_is_state(const AggSpec *spec)
{
	return spec->kind == AGG_COUNT_STAR || spec->kind == AGG_COUNT ||
		spec->kind == AGG_MIN || spec->kind == AGG_MAX;
}

/* Do the columns hold all of a group? */
static void
find_states(SinkPlan *plan)
{
	RollupPlan *rollup = &plan->part.rollup;

	rollup->rows_column = -1;
	for (int i = 0; i < plan->nkeys; i++)
	{
		plan->keys[i].column = visible_column(plan, i);
		if (plan->keys[i].column < 0 || plan->keys[i].variable)
			rollup->keeps_states = true;
	}
	for (int i = 0; i < rollup->naggs; i++)
	{
		AggSpec    *spec = &rollup->aggs[i];

		if (result_is_state(spec))
			spec->visible = visible_column(plan, plan->nkeys + i);
		if (spec->visible < 0)
			rollup->keeps_states = true;
		if (spec->kind == AGG_COUNT_STAR && spec->filter == NULL && rollup->rows_column < 0)
			rollup->rows_column = spec->visible;
	}
	if (plan->nkeys > 0 && rollup->rows_column < 0)
		rollup->keeps_states = true;
}

void
analyze_rollup(AnalyzeContext *ctx)
{
	make_keys(ctx);
	make_outputs(ctx);
	find_states(ctx->plan);
}
