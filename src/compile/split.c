/*-------------------------------------------------------------------------
 *
 * split.c
 *		Divide a query that groups between a stage and what is over it.
 *
 * The stage has the tables, the conditions and the groups of the query, and as
 * columns the keys and the aggregates that the query names anywhere; in the query
 * they are replaced by the stage's columns.  A column that is neither is left
 * where it is determined by the primary key that is grouped: then the query
 * cannot be divided.
 *
 * An aggregate with DISTINCT is one over groups by the keys and its argument.
 * Aggregates beside it are taken of each of these groups, and put together: a sum
 * of sums is the sum, the greatest of the greatest the greatest.  That is so for
 * exact types alone.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "flatten.h"
#include "stages_internal.h"

typedef struct Split
{
	List	   *targets;		/* TargetEntry *: the columns of the stage */
	List	   *clauses;		/* SortGroupClause *: its keys, the first columns */
	int			nkeys;			/* of the query's own */
	Expr	   *argument;		/* of the aggregates with DISTINCT, or NULL */
	Var		   *argument_var;	/* ... as a column of the stage */
	bool		failed;
} Split;

/*
 * Aliases
 */

void
split_resolve_aliases(Query *query)
{
	ListCell   *lc;

	query->targetList = (List *) flatten_aliases((Node *) query->targetList, query);
	query->havingQual = flatten_aliases(query->havingQual, query);
	query->jointree = (FromExpr *) flatten_aliases((Node *) query->jointree, query);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* under the name of a join its tables could not be named, should it be written */
		if (rte->rtekind == RTE_JOIN)
			rte->alias = NULL;
	}
#if PG_VERSION_NUM >= 180000
	if (query->hasGroupRTE && llast_node(RangeTblEntry, query->rtable)->rtekind == RTE_GROUP)
	{
		query->rtable = list_delete_last(query->rtable);
		query->hasGroupRTE = false;
	}
#endif
}

/*
 * Columns of the stage
 */

static Var *
column_var(const TargetEntry *tle)
{
	Node	   *expr = (Node *) tle->expr;

	return makeVar(1, tle->resno, exprType(expr), exprTypmod(expr), exprCollation(expr), 0);
}

/* A column of the stage with this value, which is added if there is none. */
static TargetEntry *
find_or_add_column(Split *split, Node *expr, const char *name)
{
	TargetEntry *tle;
	ListCell   *lc;

	foreach(lc, split->targets)
	{
		tle = lfirst_node(TargetEntry, lc);
		if (equal(tle->expr, expr))
			return tle;
	}
	tle = makeTargetEntry(copyObject((Expr *) expr), list_length(split->targets) + 1,
						  pstrdup(name ? name : "?column?"), false);
	split->targets = lappend(split->targets, tle);
	return tle;
}

static TargetEntry *
add_key(Split *split, Node *expr, const char *name, const SortGroupClause *clause)
{
	TargetEntry *tle = find_or_add_column(split, expr, name);
	SortGroupClause *copy;

	if (tle->ressortgroupref != 0)
		return tle;
	tle->ressortgroupref = tle->resno;
	copy = copyObject((SortGroupClause *) clause);
	copy->tleSortGroupRef = tle->resno;
	split->clauses = lappend(split->clauses, copy);
	return tle;
}

/* What to call it, or NULL. */
static const char *
column_name(const Query *query, const TargetEntry *tle)
{
	const Var  *var = (const Var *) tle->expr;

	if (tle->resname == NULL && IsA(var, Var) && var->varattno > 0)
		return get_rte_attribute_name(rt_fetch(var->varno, query->rtable), var->varattno);
	return tle->resname;
}

static void
add_keys(Split *split, const Query *query)
{
	ListCell   *lc;

	foreach(lc, query->groupClause)
	{
		SortGroupClause *clause = lfirst_node(SortGroupClause, lc);
		TargetEntry *tle = get_sortgroupref_tle(clause->tleSortGroupRef, query->targetList);

		(void) add_key(split, (Node *) tle->expr, column_name(query, tle), clause);
	}
	split->nkeys = list_length(split->targets);
}

/* The key that an expression is, or NULL. */
static TargetEntry *
find_key(const Split *split, const Node *expr)
{
	ListCell   *lc;

	/* a constant is one wherever it stands */
	if (IsA(expr, Const))
		return NULL;
	foreach(lc, split->targets)
	{
		if (foreach_current_index(lc) == split->nkeys)
			break;
		if (equal(lfirst_node(TargetEntry, lc)->expr, expr))
			return lfirst(lc);
	}
	return NULL;
}

/*
 * The query between its two parts: the stage gets what is below the groups, and
 * the query reads it.  The rest of the query is its caller's.
 */
static void
read_groups(QueryStages *stages, Query *query, const Split *split, const char *reason)
{
	Query	   *groups = makeNode(Query);
	Query	   *over;
	ListCell   *lc;
	ListCell   *lc2;

	groups->commandType = CMD_SELECT;
	groups->canSetTag = true;
	groups->rtable = query->rtable;
	groups->jointree = query->jointree;
#if PG_VERSION_NUM >= 160000
	groups->rteperminfos = query->rteperminfos;
#endif
	groups->targetList = split->targets;
	groups->groupClause = split->clauses;
	groups->hasAggs = contain_aggs_of_level((Node *) split->targets, 0);
	groups->hasSubLinks = checkExprHasSubLink((Node *) groups->jointree) ||
		checkExprHasSubLink((Node *) split->targets);

	/* entries that read stages are the new query's */
	foreach(lc, stages->stages)
	{
		foreach(lc2, ((QueryStage *) lfirst(lc))->readers)
		{
			StageReader *reader = lfirst(lc2);

			if (reader->query == query)
				reader->query = groups;
		}
	}
	if (split_has_distinct_aggregates(groups))
		(void) split_distinct_aggregates(stages, groups);

	over = stages_select_from(stages, stages_add(stages, groups, reason));
	query->rtable = over->rtable;
	query->jointree = over->jointree;
#if PG_VERSION_NUM >= 160000
	query->rteperminfos = over->rteperminfos;
#endif
	foreach(lc, stages->stages)
	{
		foreach(lc2, ((QueryStage *) lfirst(lc))->readers)
		{
			StageReader *reader = lfirst(lc2);

			if (reader->query == over)
				reader->query = query;
		}
	}
}

/*
 * What is asked of groups
 */

static Node *
groups_mutator(Node *node, Split *split)
{
	TargetEntry *tle;

	if (node == NULL || split->failed)
		return node;
	tle = find_key(split, node);
	if (tle != NULL)
		return (Node *) column_var(tle);
	switch (nodeTag(node))
	{
		case T_Aggref:
			tle = find_or_add_column(split, node, get_func_name(((Aggref *) node)->aggfnoid));
			return (Node *) column_var(tle);
		case T_Var:
		case T_GroupingFunc:
			split->failed = true;
			return node;
		case T_SubLink:
			/* of this query's columns it may name none */
			split->failed = contain_vars_of_level(((SubLink *) node)->subselect, 1) ||
				contain_aggs_of_level(((SubLink *) node)->subselect, 1);
			break;
		case T_Query:
			return node;
		default:
			break;
	}
	return expression_tree_mutator(node, groups_mutator, split);
}

bool
split_groups(QueryStages *stages, Query *query, const char *reason)
{
	Split		split = {0};
	List	   *targets;
	Node	   *having;

	split_resolve_aliases(query);
	add_keys(&split, query);
	targets = (List *) groups_mutator((Node *) query->targetList, &split);
	having = groups_mutator(query->havingQual, &split);
	if (split.failed || split.targets == NIL)
		return false;

	read_groups(stages, query, &split, reason);
	query->targetList = targets;
	query->jointree->quals = having;
	query->groupClause = NIL;
	query->groupDistinct = false;
	query->havingQual = NULL;
	query->hasAggs = false;
	query->hasSubLinks = checkExprHasSubLink((Node *) targets) || checkExprHasSubLink(having);
	return true;
}

/*
 * Aggregates with DISTINCT
 */

static bool
distinct_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref) && ((Aggref *) node)->aggdistinct != NIL)
		return true;
	return expression_tree_walker(node, distinct_walker, context);
}

bool
split_has_distinct_aggregates(const Query *query)
{
	return query->hasAggs && distinct_walker((Node *) query->targetList, NULL);
}

static Aggref *
make_aggregate(Oid aggfnoid, Oid result, Oid collation, Oid inputcollid, Var *arg)
{
	Aggref	   *agg = makeNode(Aggref);

	agg->aggfnoid = aggfnoid;
	agg->aggtype = result;
	agg->aggcollid = collation;
	agg->inputcollid = inputcollid;
	agg->aggargtypes = list_make1_oid(arg->vartype);
	agg->args = list_make1(makeTargetEntry((Expr *) arg, 1, NULL, false));
	agg->aggkind = AGGKIND_NORMAL;
	agg->aggsplit = AGGSPLIT_SIMPLE;
	agg->aggno = -1;
	agg->aggtransno = -1;
	agg->location = -1;
	return agg;
}

static Expr *
call(Oid funcid, Oid result, List *args)
{
	return (Expr *) makeFuncExpr(funcid, result, args, InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* Over the stage: the sum of a column that is bigint or numeric, as numeric. */
static Expr *
sum_of(const TargetEntry *tle)
{
	Var		   *var = column_var(tle);

	return (Expr *) make_aggregate(var->vartype == NUMERICOID ? F_SUM_NUMERIC : F_SUM_INT8,
								   NUMERICOID, InvalidOid, InvalidOid, var);
}

/* The column of the stage that has another aggregate of the same argument. */
static TargetEntry *
add_partial(Split *split, const Aggref *agg, Oid aggfnoid, Oid result)
{
	Aggref	   *partial = copyObject((Aggref *) agg);

	partial->aggfnoid = aggfnoid;
	partial->aggtype = result;
	return find_or_add_column(split, (Node *) partial, get_func_name(aggfnoid));
}

/* Is it the first or last value in an order, of the type of its argument? */
static bool
is_extreme(const Aggref *agg)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(agg->aggfnoid));
	bool		sorted = false;

	if (HeapTupleIsValid(tuple))
	{
		sorted = OidIsValid(((Form_pg_aggregate) GETSTRUCT(tuple))->aggsortop);
		ReleaseSysCache(tuple);
	}
	return sorted && list_length(agg->args) == 1 &&
		exprType((Node *) linitial_node(TargetEntry, agg->args)->expr) == agg->aggtype;
}

/* An aggregate of rows, put together from those of the stage's groups. */
static Node *
put_together(Split *split, Aggref *agg)
{
	TargetEntry *tle;
	Expr	   *sum;
	Expr	   *count;
	CoalesceExpr *coalesce;

	if (agg->aggorder != NIL || agg->aggkind != AGGKIND_NORMAL || agg->aggvariadic)
	{
		split->failed = true;
		return (Node *) agg;
	}
	switch (agg->aggfnoid)
	{
		case F_COUNT_:
		case F_COUNT_ANY:
			tle = find_or_add_column(split, (Node *) agg, "count");
			/* of no groups, as there are over no rows, it is 0 */
			coalesce = makeNode(CoalesceExpr);
			coalesce->coalescetype = INT8OID;
			coalesce->args = list_make2(call(F_INT8_NUMERIC, INT8OID, list_make1(sum_of(tle))),
										makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
												  Int64GetDatum(0), false, FLOAT8PASSBYVAL));
			coalesce->location = -1;
			return (Node *) coalesce;
		case F_SUM_INT2:
		case F_SUM_INT4:
			tle = find_or_add_column(split, (Node *) agg, "sum");
			return (Node *) call(F_INT8_NUMERIC, INT8OID, list_make1(sum_of(tle)));
		case F_SUM_INT8:
		case F_SUM_NUMERIC:
			tle = find_or_add_column(split, (Node *) agg, "sum");
			return (Node *) sum_of(tle);
		case F_AVG_INT2:
			sum = sum_of(add_partial(split, agg, F_SUM_INT2, INT8OID));
			break;
		case F_AVG_INT4:
			sum = sum_of(add_partial(split, agg, F_SUM_INT4, INT8OID));
			break;
		case F_AVG_INT8:
			sum = sum_of(add_partial(split, agg, F_SUM_INT8, NUMERICOID));
			break;
		case F_AVG_NUMERIC:
			sum = sum_of(add_partial(split, agg, F_SUM_NUMERIC, NUMERICOID));
			break;
		default:
			if (is_extreme(agg))
			{
				tle = find_or_add_column(split, (Node *) agg, get_func_name(agg->aggfnoid));
				return (Node *) make_aggregate(agg->aggfnoid, agg->aggtype, agg->aggcollid,
											   agg->inputcollid, column_var(tle));
			}
			split->failed = true;
			return (Node *) agg;
	}
	/* without a value the sum is null, and not divided */
	count = sum_of(add_partial(split, agg, F_COUNT_ANY, INT8OID));
	return (Node *) call(F_NUMERIC_DIV, NUMERICOID, list_make2(sum, count));
}

/* One with DISTINCT: of the argument, which the stage has once for each value. */
static Node *
aggregate_distinct(Split *split, Aggref *agg)
{
	TargetEntry *arg = linitial(agg->args);

	if (list_length(agg->args) != 1 || list_length(agg->aggdistinct) != 1 ||
		list_length(agg->aggorder) > 1 || agg->aggfilter != NULL ||
		agg->aggkind != AGGKIND_NORMAL || agg->aggvariadic ||
		(split->argument != NULL && !equal(split->argument, arg->expr)))
	{
		split->failed = true;
		return (Node *) agg;
	}
	if (split->argument == NULL)
	{
		split->argument = arg->expr;
		split->argument_var = column_var(add_key(split, (Node *) arg->expr, "value",
												 linitial(agg->aggdistinct)));
	}
	return (Node *) make_aggregate(agg->aggfnoid, agg->aggtype, agg->aggcollid, agg->inputcollid,
								   copyObject(split->argument_var));
}

static Node *
distinct_mutator(Node *node, Split *split)
{
	TargetEntry *tle;

	if (node == NULL || split->failed)
		return node;
	tle = find_key(split, node);
	if (tle != NULL)
		return (Node *) column_var(tle);
	if (IsA(node, Aggref))
		return ((Aggref *) node)->aggdistinct != NIL ?
			aggregate_distinct(split, (Aggref *) node) : put_together(split, (Aggref *) node);
	if (IsA(node, Var) || IsA(node, GroupingFunc) || IsA(node, SubLink))
	{
		split->failed = true;
		return node;
	}
	return expression_tree_mutator(node, distinct_mutator, split);
}

bool
split_distinct_aggregates(QueryStages *stages, Query *query)
{
	Split		split = {0};
	List	   *targets;

	split_resolve_aliases(query);
	add_keys(&split, query);
	targets = (List *) distinct_mutator((Node *) query->targetList, &split);
	if (split.failed)
		return false;

	read_groups(stages, query, &split, "DISTINCT in an aggregate");
	query->targetList = targets;
	query->hasSubLinks = false;
	return true;
}
