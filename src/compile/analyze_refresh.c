/*-------------------------------------------------------------------------
 *
 * analyze_refresh.c
 *		The plan of a query that is run anew when one of its sources changes.
 *
 * The last strategy: it serves any query whose result depends on the rows of
 * its sources alone.  Nothing has to be understood but which relations it
 * reads, through views, subqueries and WITH at any depth, which of their
 * columns, and that no function in it gives another result for the same
 * rows.  What is refused here has no meaning as a table that is kept equal to
 * a query.
 *
 * Rights need no look: the query is run as its definer, and the executor
 * checks them, those of the owners of views included.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "analyze.h"
#include "analyze_internal.h"
#include "definition.h"
#include "source_check.h"
#include "volatility.h"

typedef struct RefreshContext
{
	SinkPlan   *plan;
	List	   *levels;			/* Query *, the innermost first */
	List	   *views;			/* OIDs, those being looked into */
	List	   *settings_functions;
} RefreshContext;

static bool refresh_walker(Node *node, RefreshContext *ctx);

static void
refuse_parts(const Query *query)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		REFUSE("a statement that writes", "Write a SELECT.");
	if (query->hasModifyingCTE)
		REFUSE("WITH a statement that writes", "Use only SELECT in WITH.");
	if (query->rowMarks != NIL || query->hasForUpdate)
		REFUSE("FOR UPDATE or FOR SHARE", "Leave it out: freshet never locks rows of a source.");
}

static SourceUse *
add_source_read(SinkPlan *plan, Oid relid)
{
	int			i = plan_find_source(plan, relid);

	if (i >= 0)
		return &plan->sources[i];
	return plan_source_of(plan, plan_add_occurrence(plan, relid));
}

static void
look_into_view(Oid viewid, RefreshContext *ctx)
{
	List	   *levels = ctx->levels;
	Query	   *query = definition_query(viewid);

	if (query == NULL || list_member_oid(ctx->views, viewid))
		return;
	ctx->views = lcons_oid(viewid, ctx->views);
	ctx->levels = NIL;
	(void) refresh_walker((Node *) query, ctx);
	ctx->levels = levels;
	ctx->views = list_delete_first(ctx->views);
}

static void
add_entry(const RangeTblEntry *rte, RefreshContext *ctx)
{
	Relation	rel;

	if (!definition_reads_entry(rte))
		return;
	if (rte->tablesample != NULL)
		REFUSE("TABLESAMPLE", "Use WHERE with a condition on the row.");

	rel = table_open(rte->relid, AccessShareLock);
	if (rel->rd_rel->relkind == RELKIND_VIEW)
		look_into_view(rte->relid, ctx);
	else
	{
		source_check_kind(rel, rte->inh);
		(void) add_source_read(ctx->plan, rte->relid);
	}
	table_close(rel, NoLock);
}

/* Note a column of a source as used. */
static void
use_column(const Var *var, RefreshContext *ctx)
{
	Query	   *query = list_nth(ctx->levels, var->varlevelsup);
	RangeTblEntry *rte = rt_fetch(var->varno, query->rtable);
	SourceUse  *source;

	if (rte->rtekind == RTE_JOIN)
	{
		/* what the column stands for, on the same level */
		List	   *levels = ctx->levels;

		ctx->levels = list_copy_tail(levels, var->varlevelsup);
		if (var->varattno > 0)
			(void) refresh_walker(list_nth(rte->joinaliasvars, var->varattno - 1), ctx);
		else
			(void) refresh_walker((Node *) rte->joinaliasvars, ctx);
		ctx->levels = levels;
		return;
	}
	if (rte->rtekind != RTE_RELATION || get_rel_relkind(rte->relid) == RELKIND_VIEW)
		return;
	if (var->varattno == TableOidAttributeNumber)
		return;
	if (var->varattno < 0)
		REFUSE(psprintf("system column \"%s\"", get_rte_attribute_name(rte, var->varattno)),
			   "Its value is not in the log: use ordinary columns.");

	source = add_source_read(ctx->plan, rte->relid);
	if (var->varattno > 0)
		source->used_attrs = bms_add_member(source->used_attrs, var->varattno);
	else
	{
		Relation	rel = table_open(rte->relid, NoLock);

		source->used_attrs = bms_add_range(source->used_attrs, 1,
										   RelationGetNumberOfAttributes(rel));
		table_close(rel, NoLock);
	}
}

/* 1.0 or 1.00, say, for a group that has both, is up to the query's plan. */
static bool
chooses_among_equals(const Query *query)
{
	return query->hasAggs || query->hasWindowFuncs || query->groupClause != NIL ||
		query->groupingSets != NIL || query->distinctClause != NIL ||
		query->setOperations != NULL || query->limitCount != NULL || query->limitOffset != NULL;
}

static bool
walk_query(Query *query, RefreshContext *ctx)
{
	ListCell   *lc;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	refuse_parts(query);
	ctx->plan->chooses_among_equals |= chooses_among_equals(query);
	foreach(lc, query->rtable)
		add_entry(lfirst_node(RangeTblEntry, lc), ctx);

	ctx->levels = lcons(query, ctx->levels);
	(void) query_tree_walker(query, refresh_walker, ctx, QTW_IGNORE_JOINALIASES);
	ctx->levels = list_delete_first(ctx->levels);
	return false;
}

static bool
note_function(Oid funcid, void *context)
{
	SinkPlan   *plan = ((RefreshContext *) context)->plan;

	if (funcid >= FirstNormalObjectId)
		plan->functions = list_append_unique_oid(plan->functions, funcid);
	return false;
}

static bool
refresh_walker(Node *node, RefreshContext *ctx)
{
	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, note_function, ctx);
	if (IsA(node, Query))
	{
		/* those of views as well: what they call is part of the result */
		if (ctx->levels == NIL)
			volatility_check_query((Query *) node, &ctx->settings_functions);
		return walk_query((Query *) node, ctx);
	}
	if (IsA(node, Var))
		use_column((Var *) node, ctx);
	return expression_tree_walker(node, refresh_walker, ctx);
}

SinkPlan *
analyze_refresh(const Query *query)
{
	RefreshContext ctx = {0};
	Query	   *copy = copyObject((Query *) query);
	ListCell   *lc;

	ctx.plan = palloc0(sizeof(SinkPlan));
	ctx.plan->shape = SHAPE_REFRESH;

	(void) refresh_walker((Node *) copy, &ctx);
	analyze_check_outputs(copy);
	foreach(lc, copy->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		SinkColumn *column;

		if (tle->resjunk)
			continue;
		analyze_output_column(ctx.plan, tle, NULL);
		/* a sum may have been made in another order */
		column = &ctx.plan->columns[ctx.plan->ncolumns - 1];
		column->approximate = column->type == FLOAT4OID || column->type == FLOAT8OID;
	}
	ctx.plan->uses_settings = ctx.settings_functions != NIL;
	return ctx.plan;
}
