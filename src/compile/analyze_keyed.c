/*-------------------------------------------------------------------------
 *
 * analyze_keyed.c
 *		By which keys the rows of a query can be recomputed.
 *
 * A key is a set of columns of the result.  If a changed row of any table leads to
 * the values that they have in all rows of the result on which it bears, before the
 * change or after it, then these rows can be recomputed by the query itself, with a
 * condition on the key, and nothing else need be looked at.
 *
 * How a changed row leads to a key says key_path_search.c.
 *
 * An occurrence that has no path has everything computed when it changes: one in a
 * subquery that is not correlated, say.
 *
 * Of the columns to which the most occurrences have a path those are taken that are the
 * key of a table, if there are such; of groups, all.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "analyze.h"
#include "analyze_keyed.h"
#include "key_path_search.h"
#include "table_key.h"

/* More columns than these make no better key. */
#define MAX_KEYS		5

/* Columns of the result that are looked at. */
#define MAX_CANDIDATES	64

/*
 * Choosing the key
 */

/* Columns that serve, if there are paths to them: List of KeyCandidate *. */
static List *
find_candidates(const ScopeTree *tree)
{
	List	   *candidates = NIL;
	int			column = 0;
	ListCell   *lc;

	foreach(lc, tree->top->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		KeyCandidate  *candidate;
		Node	   *expr;

		if (tle->resjunk)
			continue;
		column++;
		expr = scope_resolve_output(tree->top, tle->resno);
		if (expr == NULL || bms_is_empty(scope_occurrences(expr)) || column > MAX_CANDIDATES)
			continue;
		candidate = palloc0(sizeof(KeyCandidate));
		candidate->column = column - 1;
		candidate->expr = expr;
		candidate->type = lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
											TYPECACHE_BTREE_OPFAMILY);
		if (OidIsValid(candidate->type->eq_opr) && OidIsValid(candidate->type->lt_opr))
			candidates = lappend(candidates, candidate);
	}
	return candidates;
}

/* The occurrences that have their paths to a column. */
static Bitmapset *
leading_to(const ScopeTree *tree, KeyCandidate *candidate)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < tree->plan->noccurrences; i++)
	{
		if (key_paths_find(tree, i, list_make1(candidate)) != NIL)
			result = bms_add_member(result, i);
	}
	return result;
}

/*
 * Keep those to which the most occurrences have their paths.  When another one changes
 * everything has to be computed: *unreached, or -1.
 */
static List *
reachable(const ScopeTree *tree, List *candidates, int *unreached)
{
	Bitmapset  *best = NULL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		Bitmapset  *leading = leading_to(tree, lfirst(lc));

		if (bms_num_members(leading) > bms_num_members(best))
		{
			best = leading;
			result = NIL;
		}
		if (best != NULL && bms_equal(leading, best))
			result = lappend(result, lfirst(lc));
	}
	*unreached = 0;
	while (*unreached < tree->plan->noccurrences && bms_is_member(*unreached, best))
		(*unreached)++;
	if (*unreached == tree->plan->noccurrences)
		*unreached = -1;
	return result;
}

static KeyCandidate *
find_column(List *candidates, int occurrence, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, candidates)
	{
		KeyCandidate  *candidate = lfirst(lc);
		Var		   *var = (Var *) candidate->expr;

		if (IsA(var, Var) && var->varno == occurrence + 1 && var->varattno == attno)
			return candidate;
	}
	return NULL;
}

/* The candidates that are the key of an occurrence, or NIL. */
static List *
table_key_of(const ScopeTree *tree, int occurrence, List *candidates)
{
	Relation	rel = table_open(plan_source_of(tree->plan, occurrence)->relid, NoLock);
	List	   *result = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table_keys(rel))
	{
		result = NIL;
		foreach(lc2, (List *) lfirst(lc))
		{
			KeyCandidate  *candidate = find_column(candidates, occurrence,
												(AttrNumber) lfirst_int(lc2));

			if (candidate == NULL)
				break;
			result = lappend(result, candidate);
		}
		if (lc2 == NULL && result != NIL && list_length(result) <= MAX_KEYS)
			break;
		result = NIL;
	}
	table_close(rel, NoLock);
	return result;
}

static bool
has_groups(const Query *query)
{
	return query->groupClause != NIL || query->distinctClause != NIL || query->hasWindowFuncs;
}

/* Merged columns of full joins say which rows belong together. */
static List *
merged_columns(List *candidates)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		if (IsA(((KeyCandidate *) lfirst(lc))->expr, CoalesceExpr))
			result = lappend(result, lfirst(lc));
	}
	return result;
}

static List *
choose_key(const ScopeTree *tree, List *candidates)
{
	List	   *result = NIL;

	if (!has_groups(tree->top->query))
	{
		for (int pass = 0; pass < 2 && result == NIL; pass++)
		{
			for (int i = 0; i < tree->plan->noccurrences && result == NIL; i++)
			{
				/* one that cannot be missing is better */
				if (bms_is_member(i, tree->nullable) == (pass == 1))
					result = table_key_of(tree, i, candidates);
			}
		}
		if (result == NIL)
			result = merged_columns(candidates);
	}
	if (result == NIL)
		result = candidates;
	return list_truncate(list_copy(result), MAX_KEYS);
}

/*
 * The plan
 */

static Node *
input_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		const JoinInput *inputs = context;
		Var		   *var = copyObject((Var *) node);
		const JoinInput *input = &inputs[var->varno - 1];

		for (int i = 0; i < input->ncolumns; i++)
		{
			if (input->attnos[i] == var->varattno)
			{
				var->varattno = (AttrNumber) (i + 1);
				return (Node *) var;
			}
		}
		elog(ERROR, "column %d of occurrence %d is not read", var->varattno, var->varno);
	}
	return expression_tree_mutator(node, input_mutator, context);
}

static void
set_inputs(SinkPlan *plan, KeyedQueryPlan *keyed)
{
	keyed->inputs = palloc0(plan->noccurrences * sizeof(JoinInput));
	for (int i = 0; i < plan->noccurrences; i++)
	{
		const SourceUse *source = plan_source_of(plan, i);
		JoinInput  *input = &keyed->inputs[i];
		int			attno = -1;

		input->attnos = palloc((bms_num_members(source->used_attrs) + 1) * sizeof(AttrNumber));
		while ((attno = bms_next_member(source->used_attrs, attno)) >= 0)
		{
			/* the whole row as a value reads columns that were dropped, too */
			if (OidIsValid(get_atttype(source->relid, (AttrNumber) attno)))
				input->attnos[input->ncolumns++] = (AttrNumber) attno;
		}
	}
}

static void
set_paths(const ScopeTree *tree, KeyedQueryPlan *keyed, List *candidates)
{
	SinkPlan   *plan = tree->plan;
	ListCell   *lc;
	ListCell   *lc2;

	keyed->paths = palloc0(plan->noccurrences * sizeof(List *));
	for (int i = 0; i < plan->noccurrences; i++)
	{
		keyed->paths[i] = key_paths_find(tree, i, candidates);
		foreach(lc, keyed->paths[i])
		{
			KeyPath    *path = lfirst(lc);

			path->conditions = (List *) input_mutator((Node *) path->conditions, keyed->inputs);
			path->keys = (List *) input_mutator((Node *) path->keys, keyed->inputs);
			foreach(lc2, path->steps)
			{
				KeyStep    *step = lfirst(lc2);

				step->conditions = (List *) input_mutator((Node *) step->conditions,
														  keyed->inputs);
			}
		}
	}
}

/* What indexes may serve. */
static void
set_advice(const ScopeTree *tree, KeyedQueryPlan *keyed, List *candidates)
{
	ListCell   *lc;

	foreach(lc, candidates)
		keyed->exprs = lappend(keyed->exprs, input_mutator(((KeyCandidate *) lfirst(lc))->expr,
														   keyed->inputs));
	foreach(lc, tree->conditions)
	{
		const ScopeCondition *condition = lfirst(lc);

		if (condition->equality)
			keyed->equalities = list_append_unique(keyed->equalities,
												   input_mutator(condition->expr, keyed->inputs));
	}
}

static void
set_keys(SinkPlan *plan, KeyedQueryPlan *keyed, List *candidates)
{
	ListCell   *lc;

	keyed->nkeys = list_length(candidates);
	keyed->keys = palloc0(keyed->nkeys * sizeof(KeySpec));
	foreach(lc, candidates)
	{
		const KeyCandidate *candidate = lfirst(lc);
		const SinkColumn *column = &plan->columns[candidate->column];
		KeySpec    *key = &keyed->keys[foreach_current_index(lc)];

		key->type = column->type;
		key->typmod = column->typmod;
		key->collation = column->collation;
		key->eqop = candidate->type->eq_opr;
		key->sortop = candidate->type->lt_opr;
		key->column = candidate->column;
	}
}

/* Why it cannot be said of some changes, or of any, to which keys they lead. */
static const char *
lack_of_key(const ScopeTree *tree, List *candidates, int unreached)
{
	if (candidates == NIL)
		return "no column of the result tells which rows a change bears upon";
	return psprintf("no equality leads from \"%s\" to a column of the result",
					get_rel_name(plan_source_of(tree->plan, unreached)->relid));
}

bool
analyze_keyed(const Query *query, SinkPlan *plan, const char **reason)
{
	KeyedQueryPlan keyed = {0};
	int			unreached = -1;
	Occurrence *occurrences = plan->occurrences;
	int			noccurrences = plan->noccurrences;
	ScopeTree  *tree;
	List	   *candidates = NIL;

	*reason = NULL;
	plan->occurrences = NULL;
	plan->noccurrences = 0;
	tree = keyed_scopes(copyObject(unconstify(Query *, query)), plan, reason);
	if (tree != NULL && plan->noccurrences > 0)
	{
		List	   *all = find_candidates(tree);

		candidates = reachable(tree, all, &unreached);
		if (unreached >= 0)
			*reason = lack_of_key(tree, all, unreached);
	}
	if (candidates == NIL)
	{
		plan->occurrences = occurrences;
		plan->noccurrences = noccurrences;
		return false;
	}

	candidates = choose_key(tree, candidates);
	set_inputs(plan, &keyed);
	set_paths(tree, &keyed, candidates);
	set_keys(plan, &keyed, candidates);
	set_advice(tree, &keyed, candidates);
	/* of a table that leads to no key it does not matter what has changed */
	for (int i = 0; i < plan->noccurrences; i++)
	{
		if (keyed.paths[i] != NIL)
			plan_source_of(plan, i)->identity_attrs = plan_source_of(plan, i)->used_attrs;
	}
	plan->shape = SHAPE_KEYED_QUERY;
	plan->part.keyed_query = keyed;
	return true;
}

SinkPlan *
analyze_keyed_query(const Query *query)
{
	SinkPlan   *plan = analyze_refresh(query);
	const char *reason;

	(void) analyze_keyed(query, plan, &reason);
	return plan;
}
