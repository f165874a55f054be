/*-------------------------------------------------------------------------
 *
 * extreme.c
 *		Compute min and max of stale groups again, and what their keys look like.
 *
 * Two ways.  One query per group, restricted to the group's keys and, for a
 * windowed rollup, to the times of the window, so that the source's indexes
 * serve; or one pass over the whole source for all stale groups together, the
 * one way for keys (key_variants.h).
 * The planner's costs choose.  Both read the source at the active snapshot.
 *
 * PostgreSQL computes a min or max by the first row of an index scan if it can.
 * Its costs say how far that row is if rows of the group are spread evenly, and
 * they are not: of an index that does not begin with the group's keys it may
 * read all.  So such a plan serves only where the index yields no row but of
 * the group; else the rows of the group are aggregated, which is what its costs
 * say, and so they are for the whole source.
 *
 * In a batch that is not aligned (catching up) that snapshot is newer than
 * the changes applied.  The recomputed extreme may then be that of a later
 * time; but the changes in between are still to come, and folding an added
 * value that is known already or retracting one that is beyond the extreme
 * (which makes the group stale again) leads to the right end.
 *
 * A query tests keys before WHERE where its plan is so.  If a key fails on a row
 * that WHERE rejects, the batch is tried again with the run netted: then one
 * pass, which evaluates as the definition does, takes the query's place.
 *
 * The query is built from the plan's expressions (source_query.c).
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "tcop/tcopprot.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "execute.h"
#include "extreme.h"
#include "join_feed.h"
#include "query_nodes.h"
#include "run.h"
#include "source_query.h"

#define QUERY_NAME	"freshet: extremes of a group"

static bool
is_extreme(const AggSpec *spec)
{
	return spec->kind == AGG_MIN || spec->kind == AGG_MAX;
}

static bool
has_extremes(Rollup *rollup)
{
	for (int i = 0; i < rollup->naggs; i++)
	{
		if (is_extreme(&rollup->aggs[i]))
			return true;
	}
	return false;
}

/* Is it unknown what the group's keys look like? */
static bool
keys_are_stale(Rollup *rollup, RollupGroup *group)
{
	return rollup->variant_keys != NULL &&
		key_variants_are_stale(*rollup_variants(rollup, group), group->rows);
}

static bool
group_is_stale(Rollup *rollup, RollupGroup *group)
{
	if (keys_are_stale(rollup, group))
		return true;
	for (int i = 0; i < rollup->naggs; i++)
	{
		if (is_extreme(&rollup->aggs[i]) &&
			accum_is_stale(&rollup->descs[i], &group->accums[i]))
			return true;
	}
	return false;
}

typedef struct StaleGroups
{
	int64		n;
	bool		keys;			/* keys of some, too */
} StaleGroups;

static void
count_stale(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg)
{
	StaleGroups *stale = arg;

	/* a group without rows goes away, or has no extreme */
	stale->n += group_is_stale(rollup, group);
	stale->keys |= keys_are_stale(rollup, group);
}

/*
 * One query per group
 */

typedef struct ExtremeGroup
{
	Rollup	   *rollup;
	RollupGroup *group;
} ExtremeGroup;

/*
 * Can a query over the source alone compute the extremes of one group?  With
 * a window, only if window_start is a key, and the window's columns are used
 * in keys alone.
 */
static bool
group_query_possible(const SinkPlan *plan)
{
	const RollupPlan *rollup = plan_rollup(plan);
	bool		has_start = rollup->rows.window == NULL;

	for (int i = 0; i < plan->nkeys; i++)
	{
		if (plan_is_window_column(plan->keys[i].expr, 1))
			has_start = true;
		else if (!plan_is_window_column(plan->keys[i].expr, 2) &&
				 plan_uses_window(plan->keys[i].expr))
			return false;
	}
	if (plan_uses_window(rollup->rows.quals))
		return false;
	for (int i = 0; i < rollup->naggs; i++)
	{
		if (is_extreme(&rollup->aggs[i]) &&
			(plan_uses_window(rollup->aggs[i].arg) ||
			 plan_uses_window(rollup->aggs[i].filter)))
			return false;
	}
	return has_start;
}

/*
 * The query tests the keys, and the time, in an order of its own: of rows, too,
 * that WHERE rejects.  Can that fail?
 */
static bool
group_query_is_safe(const SinkPlan *plan)
{
	const RowPlan *rows = plan_rows(plan);

	if (rows->quals == NIL && (plan->join == NULL || plan->join->conditions == NIL))
		return true;
	for (int i = 0; i < plan->nkeys; i++)
	{
		if (!plan_cannot_fail(plan->keys[i].expr))
			return false;
	}
	return rows->window == NULL || plan_cannot_fail(rows->window->ts);
}

static Param *
make_param(int id, Oid type, int32 typmod, Oid collation)
{
	Param	   *param = makeNode(Param);

	param->paramkind = PARAM_EXTERN;
	param->paramid = id;
	param->paramtype = type;
	param->paramtypmod = typmod;
	param->paramcollid = collation;
	param->location = -1;
	return param;
}

typedef enum WindowKind
{
	WINDOW_FINITE,
	WINDOW_INFINITE,			/* of an infinite time: starts and ends there */
	WINDOW_NULL					/* of rows without a time */
} WindowKind;

static Expr *
compare_time(Oid opno, Expr *ts, int paramid)
{
	return make_opclause(opno, BOOLOID, false, copyObject(ts),
						 (Expr *) make_param(paramid, TIMESTAMPTZOID, -1, InvalidOid),
						 InvalidOid, InvalidOid);
}

/* WHERE the row is in the group whose keys are the parameters. */
static List *
group_quals(const SinkPlan *plan, const bool *nulls, WindowKind window)
{
	const WindowSpec *spec = plan_rows(plan)->window;
	List	   *quals = copyObject(plan_rows(plan)->quals);

	for (int i = 0; i < plan->nkeys; i++)
	{
		const KeySpec *key = &plan->keys[i];

		if (plan_is_window_column(key->expr, 1) || plan_is_window_column(key->expr, 2))
			continue;
		if (nulls[i])
		{
			NullTest   *test = makeNode(NullTest);

			test->arg = copyObject(key->expr);
			test->nulltesttype = IS_NULL;
			test->argisrow = false;
			test->location = -1;
			quals = lappend(quals, test);
		}
		else
			quals = lappend(quals,
							make_opclause(key->eqop, BOOLOID, false, copyObject(key->expr),
										  (Expr *) make_param(i + 1, key->type, key->typmod,
															  key->collation),
										  InvalidOid, key->collation));
	}

	if (spec != NULL && window == WINDOW_NULL)
	{
		NullTest   *test = makeNode(NullTest);

		test->arg = copyObject(spec->ts);
		test->nulltesttype = IS_NULL;
		test->location = -1;
		quals = lappend(quals, test);
	}
	else if (spec != NULL)
	{
		TypeCacheEntry *type = lookup_type_cache(TIMESTAMPTZOID,
												 TYPECACHE_LT_OPR | TYPECACHE_EQ_OPR);
		Expr	   *ts = spec->ts;

		if (window == WINDOW_INFINITE)
			return lappend(quals, compare_time(type->eq_opr, ts, plan->nkeys + 1));
		quals = lappend(quals, compare_time(get_negator(type->lt_opr), ts, plan->nkeys + 1));
		quals = lappend(quals, compare_time(type->lt_opr, ts, plan->nkeys + 2));
	}
	return quals;
}

/*
 * probe: the first row of an index may be taken.  A FILTER keeps PostgreSQL from
 * it.
 */
static PlannedStmt *
plan_extreme(const SinkPlan *plan, List *quals, bool probe)
{
	const RollupPlan *rollup = plan_rollup(plan);
	List	   *tlist = NIL;

	for (int i = 0; i < rollup->naggs; i++)
	{
		Aggref	   *agg;

		if (!is_extreme(&rollup->aggs[i]))
			continue;
		agg = source_query_aggregate(&rollup->aggs[i]);
		if (!probe && agg->aggfilter == NULL)
			agg->aggfilter = (Expr *) makeBoolConst(true, false);
		tlist = query_target(tlist, (Expr *) agg);
	}
	return pg_plan_query(source_query(plan, quals, tlist), QUERY_NAME, 0, NULL);
}

/*
 * Does an expression refer to the group, that is, to a parameter?  If there are
 * nulls among the keys, IS NULL counts as well.
 */
static bool
refers_to_group(Node *node, const bool *with_nulls)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return ((Param *) node)->paramkind == PARAM_EXTERN;
	if (IsA(node, NullTest) && ((NullTest *) node)->nulltesttype == IS_NULL && *with_nulls)
		return true;
	return expression_tree_walker(node, refers_to_group, unconstify(bool *, with_nulls));
}

/* The column of the index that an index condition compares, or 0. */
static int
index_column(const Node *node)
{
	if (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return IsA(node, Var) && ((Var *) node)->varno == INDEX_VAR ? ((Var *) node)->varattno : 0;
}

/*
 * Do the conditions on the group stand on the first columns of the index, each
 * an equality?  Then the scan meets its rows only, in the order of what comes
 * next in the index.
 */
static bool
conditions_lead(List *conditions, const bool *with_nulls)
{
	Bitmapset  *equal = NULL;
	Bitmapset  *group = NULL;
	int			next = 1;
	ListCell   *lc;

	foreach(lc, conditions)
	{
		Node	   *node = lfirst(lc);
		OpExpr	   *op = (OpExpr *) node;
		int			column = 0;

		if (IsA(node, NullTest))
		{
			if (((NullTest *) node)->nulltesttype == IS_NULL)
				column = index_column((Node *) ((NullTest *) node)->arg);
		}
		else if (IsA(node, OpExpr) && list_length(op->args) == 2 &&
				 op_mergejoinable(op->opno, exprType(linitial(op->args))))
			column = index_column(linitial(op->args));
		if (column > 0)
			equal = bms_add_member(equal, column);
		if (!refers_to_group(node, with_nulls))
			continue;
		if (column == 0)
			return false;
		group = bms_add_member(group, column);
	}
	while (bms_is_member(next, equal))
		next++;
	return bms_prev_member(group, -1) < next;
}

/* Does a part of a plan read rows that are not of the group? */
static bool
reads_others(Plan *plan, const bool *with_nulls)
{
	List	   *inputs = NIL;
	List	   *conditions = NIL;
	ListCell   *lc;

	if (plan == NULL)
		return false;
	if (IsA(plan, Append))
		inputs = ((Append *) plan)->appendplans;
	else if (IsA(plan, MergeAppend))
		inputs = ((MergeAppend *) plan)->mergeplans;
	else if (IsA(plan, IndexScan))
		conditions = ((IndexScan *) plan)->indexqual;
	else if (IsA(plan, IndexOnlyScan))
		conditions = ((IndexOnlyScan *) plan)->indexqual;

	if (refers_to_group((Node *) plan->qual, with_nulls) ||
		!conditions_lead(conditions, with_nulls))
		return true;
	foreach(lc, inputs)
	{
		if (reads_others(lfirst(lc), with_nulls))
			return true;
	}
	return reads_others(plan->lefttree, with_nulls) || reads_others(plan->righttree, with_nulls);
}

/* The plan of the query over one group. */
static PlannedStmt *
plan_group_query(const SinkPlan *plan, const bool *nulls, WindowKind window)
{
	PlannedStmt *stmt = plan_extreme(plan, group_quals(plan, nulls, window), true);
	bool		with_nulls = window == WINDOW_NULL;
	ListCell   *lc;

	for (int i = 0; i < plan->nkeys; i++)
		with_nulls |= nulls[i];

	/* what takes the first row is a subplan */
	foreach(lc, stmt->subplans)
	{
		if (reads_others(lfirst(lc), &with_nulls))
			return plan_extreme(plan, group_quals(plan, nulls, window), false);
	}
	return stmt;
}

/* The one row of a query. */
static void
take_extremes(TupleTableSlot *slot, void *arg)
{
	ExtremeGroup *target = arg;
	Rollup	   *rollup = target->rollup;
	MemoryContext oldcontext = MemoryContextSwitchTo(rollup->group_context);
	int			column = 1;

	for (int i = 0; i < rollup->naggs; i++)
	{
		bool		isnull;
		Datum		value;

		if (!is_extreme(&rollup->aggs[i]))
			continue;
		value = slot_getattr(slot, column++, &isnull);
		accum_set_extreme(&rollup->descs[i], &target->group->accums[i], value, isnull);
	}
	MemoryContextSwitchTo(oldcontext);
}

static void
set_param(ParamListInfo params, int id, Oid type, Datum value, bool isnull)
{
	ParamExternData *param = &params->params[id - 1];

	param->value = value;
	param->isnull = isnull;
	param->pflags = PARAM_FLAG_CONST;
	param->ptype = type;
}

typedef struct GroupQuery
{
	PlannedStmt *stmt;			/* for groups without null keys */
	MemoryContext context;		/* reset after each group */
} GroupQuery;

/* Recompute one group. */
static void
recompute_group(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg)
{
	const SinkPlan *plan = rollup->plan;
	GroupQuery *query = arg;
	PlannedStmt *stmt = query->stmt;
	MemoryContext oldcontext;
	ParamListInfo params;
	bool	   *nulls;
	bool		special = false;
	WindowKind	window = WINDOW_FINITE;
	ExtremeGroup target = {rollup, group};

	if (!group_is_stale(rollup, group))
		return;

	oldcontext = MemoryContextSwitchTo(query->context);
	params = makeParamList(plan->nkeys + 2);
	nulls = palloc0((plan->nkeys + 1) * sizeof(bool));
	set_param(params, plan->nkeys + 1, TIMESTAMPTZOID, (Datum) 0, true);
	set_param(params, plan->nkeys + 2, TIMESTAMPTZOID, (Datum) 0, true);
	for (int i = 0; i < plan->nkeys; i++)
	{
		Datum		value = slot_getattr(keys, i + 1, &nulls[i]);

		set_param(params, i + 1, plan->keys[i].type, value, nulls[i]);
		special |= nulls[i];
		if (plan_is_window_column(plan->keys[i].expr, 1))
		{
			if (nulls[i])
				window = WINDOW_NULL;
			else if (TIMESTAMP_NOT_FINITE(DatumGetTimestampTz(value)))
				window = WINDOW_INFINITE;
			set_param(params, plan->nkeys + 1, TIMESTAMPTZOID, value, nulls[i]);
			if (window == WINDOW_FINITE)
				set_param(params, plan->nkeys + 2, TIMESTAMPTZOID,
						  TimestampTzGetDatum(window_end(plan_rows(plan)->window,
														 DatumGetTimestampTz(value))), false);
		}
	}
	special |= window != WINDOW_FINITE;
	if (special)
		stmt = plan_group_query(plan, nulls, window);
	execute_plan(stmt, QUERY_NAME, params, NULL, take_extremes, &target);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(query->context);
}

static void
recompute_by_queries(Rollup *rollup, PlannedStmt *stmt)
{
	GroupQuery	query;

	query.stmt = stmt;
	query.context = AllocSetContextCreate(CurrentMemoryContext, "freshet extremes of a group",
										  ALLOCSET_DEFAULT_SIZES);
	rollup_each_group(rollup, recompute_group, &query);
	MemoryContextDelete(query.context);
}

/*
 * One pass for all
 */

typedef struct PassConsumer
{
	RowConsumer consumer;
	Rollup	   *rollup;
} PassConsumer;

static void
begin_pass(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(rollup->group_context);

	group->recomputing = group_is_stale(rollup, group);
	for (int i = 0; group->recomputing && i < rollup->naggs; i++)
	{
		if (is_extreme(&rollup->aggs[i]))
			accum_set_extreme(&rollup->descs[i], &group->accums[i], (Datum) 0, true);
	}
	if (group->recomputing && rollup->variant_keys != NULL)
		key_variants_forget(rollup_variants(rollup, group));
	MemoryContextSwitchTo(oldcontext);
}

static void
pass_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	Rollup	   *rollup = ((PassConsumer *) consumer)->rollup;
	RowEval    *eval = rollup->eval;

	row_eval_begin(eval, slot);
	while (row_eval_next(eval))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(eval->econtext->ecxt_per_tuple_memory);
		RollupGroup *group = rollup_find_group(rollup);

		MemoryContextSwitchTo(rollup->group_context);
		if (group != NULL && group->recomputing && rollup->variant_keys != NULL)
			key_variants_count(rollup->variant_keys, rollup_variants(rollup, group),
							   eval->values, eval->nulls, 1);
		for (int i = 0; group != NULL && group->recomputing && i < rollup->naggs; i++)
		{
			int			filter = rollup->filters[i];
			int			arg = rollup->args[i];

			if (!is_extreme(&rollup->aggs[i]) ||
				(filter >= 0 && (eval->nulls[filter] || !DatumGetBool(eval->values[filter]))))
				continue;
			accum_fold(&rollup->descs[i], &group->accums[i], eval->values[arg],
					   eval->nulls[arg], 1);
		}
		MemoryContextSwitchTo(oldcontext);
	}
}

static void
one_pass(Rollup *rollup)
{
	PassConsumer pass;

	pass.consumer.row = pass_row;
	pass.consumer.truncate = NULL;
	pass.rollup = rollup;
	rollup_each_group(rollup, begin_pass, NULL);
	(void) join_feed_all(rollup->sink, rollup->leaves, &pass.consumer, NULL);
}

/* A query reads the partitions of the catalogue as it is now. */
static bool
partitions_are_current(Rollup *rollup)
{
	List	   *now = NIL;
	ListCell   *lc;

	/* a join has no other way */
	if (rollup->plan->join != NULL ||
		get_rel_relkind(plan_row_source(rollup->plan)->relid) != RELKIND_PARTITIONED_TABLE)
		return true;
	foreach(lc, find_all_inheritors(plan_row_source(rollup->plan)->relid, AccessShareLock, NULL))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_RELATION)
			now = lappend_oid(now, lfirst_oid(lc));
	}
	return list_difference_oid(now, rollup->leaves) == NIL &&
		list_difference_oid(rollup->leaves, now) == NIL;
}

void
extreme_recompute(Rollup *rollup)
{
	const SinkPlan *plan = rollup->plan;
	StaleGroups stale = {0};

	if (!has_extremes(rollup) && rollup->variant_keys == NULL)
		return;
	rollup_each_group(rollup, count_stale, &stale);
	if (stale.n == 0)
		return;

	feed_check_sources(rollup->sink, rollup->leaves);
	if (!stale.keys && group_query_possible(plan) && partitions_are_current(rollup) &&
		(!rollup->consumer.netted || group_query_is_safe(plan)))
	{
		bool	   *nulls = palloc0((plan->nkeys + 1) * sizeof(bool));
		PlannedStmt *one = plan_group_query(plan, nulls, WINDOW_FINITE);
		PlannedStmt *whole = plan_extreme(plan, copyObject(plan_rows(plan)->quals), false);

		if (one->planTree->total_cost * stale.n <= whole->planTree->total_cost || plan->nkeys == 0)
		{
			recompute_by_queries(rollup, one);
			return;
		}
	}
	one_pass(rollup);
}
