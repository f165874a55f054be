/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Questions about a plan and its expressions.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "nodes/nodeFuncs.h"

#include "plan.h"

SinkStrategy
plan_strategy(const SinkPlan *plan)
{
	switch (plan->shape)
	{
		case SHAPE_ROLLUP:
		case SHAPE_COPY:
		case SHAPE_BAG:
			return STRATEGY_DELTA;
		case SHAPE_WIDE_VIEW:
		case SHAPE_KEYED_QUERY:
			return STRATEGY_KEYED;
		case SHAPE_REFRESH:
			return STRATEGY_REFRESH;
	}
	pg_unreachable();
}

bool
plan_needs_snapshot(const SinkPlan *plan)
{
	return plan_runs_query(plan) || plan->join != NULL;
}

bool
plan_takes_changes(const SinkPlan *plan)
{
	return plan->shape != SHAPE_REFRESH;
}

bool
plan_reads_sources(const SinkPlan *plan)
{
	const RollupPlan *rollup;

	if (plan->join != NULL)
		return true;
	if (plan->shape != SHAPE_ROLLUP)
		return plan_strategy(plan) != STRATEGY_DELTA;
	rollup = plan_rollup(plan);
	for (int i = 0; i < rollup->naggs; i++)
	{
		if (rollup->aggs[i].kind == AGG_MIN || rollup->aggs[i].kind == AGG_MAX)
			return true;
	}
	return false;
}

const char *
plan_kind(const SinkPlan *plan)
{
	switch (plan->shape)
	{
		case SHAPE_ROLLUP:
			return "rollup";
		case SHAPE_COPY:
			return "copy";
		case SHAPE_BAG:
			return "bag";
		case SHAPE_WIDE_VIEW:
			return "wide view";
		case SHAPE_KEYED_QUERY:
		case SHAPE_REFRESH:
			return "query";
	}
	pg_unreachable();
}

bool
plan_shows_keys(const SinkPlan *plan)
{
	for (int i = 0; i < plan->nkeys; i++)
	{
		if (plan->keys[i].column < 0)
			return false;
	}
	return true;
}

bool
plan_has_key_index(const SinkPlan *plan)
{
	return plan_shows_keys(plan) &&
		!(plan->shape == SHAPE_ROLLUP && plan_rollup(plan)->long_keys);
}

int
plan_find_source(const SinkPlan *plan, Oid relid)
{
	for (int i = 0; i < plan->nsources; i++)
	{
		if (plan->sources[i].relid == relid)
			return i;
	}
	return -1;
}

static int
find_or_add_source(SinkPlan *plan, Oid relid)
{
	int			source = plan_find_source(plan, relid);

	if (source >= 0)
		return source;
	source = plan->nsources++;
	plan->sources = plan->sources == NULL ? palloc(sizeof(SourceUse)) :
		repalloc(plan->sources, plan->nsources * sizeof(SourceUse));
	memset(&plan->sources[source], 0, sizeof(SourceUse));
	plan->sources[source].relid = relid;
	return source;
}

int
plan_add_occurrence(SinkPlan *plan, Oid relid)
{
	int			occurrence = plan->noccurrences++;

	plan->occurrences = plan->occurrences == NULL ? palloc(sizeof(Occurrence)) :
		repalloc(plan->occurrences, plan->noccurrences * sizeof(Occurrence));
	plan->occurrences[occurrence].source = find_or_add_source(plan, relid);
	return occurrence;
}

bool
plan_knows_root_key(const SinkPlan *plan, int n, AttrNumber *key_attnos)
{
	const KeyedNode *node = &plan_wide_view(plan)->nodes[n];
	const KeyedNode *root = &plan_wide_view(plan)->nodes[0];

	for (int k = 0; k < plan->nkeys; k++)
	{
		int			i;

		for (i = 0; i < node->nrelated; i++)
		{
			const RelatedColumn *column = &node->related[i];

			if (n == 0 && i == k)
				break;
			if (n > 0 && column->outer_node == 0 &&
				column->outer_attno == root->related[k].attno &&
				column->type == plan->keys[k].type &&
				column->collation == plan->keys[k].collation &&
				column->eqop == plan->keys[k].eqop)
				break;
		}
		if (i == node->nrelated)
			return false;
		key_attnos[k] = node->related[i].attno;
	}
	return true;
}

static bool
window_var_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
		return ((Var *) node)->varno == INNER_VAR;
	return expression_tree_walker(node, window_var_walker, context);
}

bool
plan_uses_window(const void *node)
{
	return window_var_walker((Node *) unconstify(void *, node), NULL);
}

bool
plan_is_window_column(const Expr *expr, AttrNumber attno)
{
	const Var  *var = (const Var *) expr;

	return IsA(var, Var) && var->varno == INNER_VAR && var->varattno == attno;
}

bool
plan_cannot_fail(const Expr *expr)
{
	while (IsA(expr, RelabelType))
		expr = ((const RelabelType *) expr)->arg;
	return IsA(expr, Var) || IsA(expr, Const);
}
