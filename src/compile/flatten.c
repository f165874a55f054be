/*-------------------------------------------------------------------------
 *
 * flatten.c
 *		Make what a query selects from part of the query.
 *
 * A subquery in FROM that only selects, joins and filters says nothing that the
 * query around it could not say itself: its tables are appended to the range
 * table, its conditions take its place in the join tree, and its columns are
 * replaced by the expressions that they stand for.  PostgreSQL's planner does
 * the same (prepjointree.c); here it is done for the analysis, and only for
 * inner joins, under which no column of the subquery can become null.
 *
 * So it is with views, whose queries are read by the rights of their owners.  As
 * what has been taken apart does not tell any more by whose rights a table is read,
 * they are checked here, by the columns that parse analysis has found to be read.
 * Views that are security barriers stay: a condition around them must not see
 * their rows before their own conditions have.
 *
 * What is not that simple stays as it is, for the analysis to refuse by name.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "analyze_internal.h"
#include "definition.h"
#include "flatten.h"
#include "source_check.h"

Node *
flatten_aliases(Node *node, void *context)
{
	Query	   *query = context;

#if PG_VERSION_NUM >= 180000
	if (query->hasGroupRTE)
		node = flatten_group_exprs(NULL, query, node);
#endif
#if PG_VERSION_NUM >= 160000
	return flatten_join_alias_vars(NULL, query, node);
#else
	return flatten_join_alias_vars(query, node);
#endif
}

/* Does it only select, join and filter?  An order means nothing in FROM. */
static bool
is_simple(const RangeTblEntry *rte)
{
	const Query *query = rte->subquery;

	return rte->rtekind == RTE_SUBQUERY && !rte->lateral && !rte->security_barrier &&
		query->commandType == CMD_SELECT && query->utilityStmt == NULL &&
		!query->hasAggs && !query->hasWindowFuncs && !query->hasTargetSRFs &&
		!query->hasSubLinks && !query->hasDistinctOn && !query->hasForUpdate &&
		query->cteList == NIL && query->groupClause == NIL && query->groupingSets == NIL &&
		query->havingQual == NULL && query->distinctClause == NIL &&
		query->limitCount == NULL && query->limitOffset == NULL &&
		query->rowMarks == NIL && query->setOperations == NULL &&
		query->jointree->fromlist != NIL;
}

/* The columns of a subquery that is taken apart. */
typedef struct Columns
{
	int			rti;
	RangeTblEntry *rte;
	List	   *targets;
} Columns;

static Node *
column_mutator(Node *node, void *context)
{
	Columns    *columns = context;
	Var		   *var = (Var *) node;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && var->varno == columns->rti && var->varlevelsup == 0)
	{
		TargetEntry *tle;

		if (var->varattno == InvalidAttrNumber)
			REFUSE(psprintf("the whole row \"%s\" as a value", columns->rte->eref->aliasname),
				   "Name the columns one by one.");
		tle = get_tle_by_resno(columns->targets, var->varattno);
		if (tle == NULL || tle->resjunk)
			elog(ERROR, "subquery has no column %d", var->varattno);
		return copyObject((Node *) tle->expr);
	}
	return expression_tree_mutator(node, column_mutator, columns);
}

/* Replace all expressions of a query, arguments of functions in FROM among them. */
static void
replace_expressions(Query *query, Node *(*replace) (Node *node, void *context), void *context)
{
	ListCell   *lc;

	query->targetList = (List *) replace((Node *) query->targetList, context);
	query->jointree = (FromExpr *) replace((Node *) query->jointree, context);
	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_FUNCTION)
			rte->functions = (List *) replace((Node *) rte->functions, context);
	}
}

/* The place of the subquery in the join tree goes to what it reads from. */
static Node *
replace_reference(Node *item, int rti, FromExpr *from)
{
	ListCell   *lc;

	if (IsA(item, RangeTblRef))
		return ((RangeTblRef *) item)->rtindex == rti ? (Node *) from : item;
	if (IsA(item, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) item;

		join->larg = replace_reference(join->larg, rti, from);
		join->rarg = replace_reference(join->rarg, rti, from);
		return item;
	}
	foreach(lc, ((FromExpr *) item)->fromlist)
		lfirst(lc) = replace_reference(lfirst(lc), rti, from);
	return item;
}

/* Something to be read, by whose rights. */
typedef struct Reading
{
	SourceUse	use;
	Oid			userid;
} Reading;

typedef struct FlattenContext
{
	Oid			userid;			/* by whose rights the present query reads */
	List	   *readings;		/* Reading * */
	bool		views;			/* one was taken apart */
} FlattenContext;

static void flatten_level(Query *query, FlattenContext *ctx);

/* Note an entry that is a table or a view. */
static void
note_reading(const Query *query, RangeTblEntry *rte, FlattenContext *ctx)
{
	Reading    *reading = palloc0(sizeof(Reading));
	Bitmapset  *selected = freshet_selected_columns(query, rte);
	int			member = -1;

	reading->use.relid = rte->relid;
	reading->userid = ctx->userid;
	while ((member = bms_next_member(selected, member)) >= 0)
	{
		if (member + FirstLowInvalidHeapAttributeNumber > 0)
			reading->use.used_attrs =
				bms_add_member(reading->use.used_attrs,
							   member + FirstLowInvalidHeapAttributeNumber);
	}
	ctx->readings = lappend(ctx->readings, reading);
}

/* By whose rights does the query of a view read that userid selects from? */
static Oid
view_reader(Oid viewid, Oid userid)
{
	Relation	rel = relation_open(viewid, AccessShareLock);
	Oid			result = RelationHasSecurityInvoker(rel) ? userid : rel->rd_rel->relowner;

	relation_close(rel, NoLock);
	return result;
}

/*
 * Make a subquery of an entry that is a view, if it is a simple one.  *owner
 * receives the user by whose rights it reads.
 */
static bool
open_view(RangeTblEntry *rte, FlattenContext *ctx, Oid *owner)
{
	Relation	rel = relation_open(rte->relid, AccessShareLock);
	RangeTblEntry opened = *rte;
	bool		simple = false;

	opened.rtekind = RTE_SUBQUERY;
	opened.security_barrier = RelationIsSecurityView(rel);
	opened.subquery = definition_query(rte->relid);
	*owner = view_reader(rte->relid, ctx->userid);
	simple = opened.subquery != NULL && is_simple(&opened);
	relation_close(rel, NoLock);
	if (simple)
	{
		rte->rtekind = RTE_SUBQUERY;
		rte->subquery = opened.subquery;
		ctx->views = true;
	}
	return simple;
}

static void
pull_up(Query *query, int rti, FlattenContext *ctx)
{
	RangeTblEntry *rte = rt_fetch(rti, query->rtable);
	Query	   *subquery = rte->subquery;
	Columns		columns = {rti, rte, NIL};

	flatten_level(subquery, ctx);
	OffsetVarNodes((Node *) subquery, list_length(query->rtable), 0);
	columns.targets = subquery->targetList;

	replace_expressions(query, column_mutator, &columns);
	query->rtable = list_concat(query->rtable, subquery->rtable);
	query->jointree = (FromExpr *) replace_reference((Node *) query->jointree, rti,
													 subquery->jointree);
}

/* The entries of FROM under inner joins, as places in the range table. */
static List *
find_entries(Query *query, Node *item)
{
	ListCell   *lc;
	List	   *found = NIL;

	check_stack_depth();
	if (IsA(item, RangeTblRef))
		return list_make1_int(((RangeTblRef *) item)->rtindex);
	if (IsA(item, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) item;

		if (join->jointype != JOIN_INNER)
			return NIL;
		return list_concat(find_entries(query, join->larg), find_entries(query, join->rarg));
	}
	foreach(lc, ((FromExpr *) item)->fromlist)
		found = list_concat(found, find_entries(query, lfirst(lc)));
	return found;
}

static void
flatten_level(Query *query, FlattenContext *ctx)
{
	ListCell   *lc;

	replace_expressions(query, flatten_aliases, query);
	foreach(lc, find_entries(query, (Node *) query->jointree))
	{
		int			rti = lfirst_int(lc);
		RangeTblEntry *rte = rt_fetch(rti, query->rtable);
		Oid			userid = ctx->userid;

		if (rte->rtekind == RTE_RELATION)
		{
			note_reading(query, rte, ctx);
			if (get_rel_relkind(rte->relid) != RELKIND_VIEW ||
				!open_view(rte, ctx, &ctx->userid))
			{
				ctx->userid = userid;
				continue;
			}
		}
		else if (!is_simple(rte))
			continue;
		pull_up(query, rti, ctx);
		ctx->userid = userid;
	}
}

/* The only entry of FROM if it is a view, and the query selects its columns and no more. */
static RangeTblEntry *
selected_view(const Query *query)
{
	RangeTblEntry selecting = {.type = T_RangeTblEntry, .rtekind = RTE_SUBQUERY};
	RangeTblEntry *rte;
	Node	   *item;
	ListCell   *lc;

	selecting.subquery = (Query *) query;
	if (!is_simple(&selecting) || query->sortClause != NIL || query->jointree->quals != NULL ||
		list_length(query->jointree->fromlist) != 1)
		return NULL;
	item = linitial(query->jointree->fromlist);
	if (!IsA(item, RangeTblRef))
		return NULL;
	rte = rt_fetch(((RangeTblRef *) item)->rtindex, query->rtable);
	if (rte->rtekind != RTE_RELATION || get_rel_relkind(rte->relid) != RELKIND_VIEW)
		return NULL;
	foreach(lc, query->targetList)
	{
		Var		   *var = (Var *) lfirst_node(TargetEntry, lc)->expr;

		if (!IsA(var, Var) || var->varattno <= 0)
			return NULL;
	}
	return rte;
}

/* The columns that are selected of a view's query, then what it needs for itself. */
static List *
selected_targets(const Query *query, const Query *view)
{
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		TargetEntry *own = get_tle_by_resno(view->targetList, ((Var *) tle->expr)->varattno);

		if (own == NULL || own->resjunk)
			elog(ERROR, "view has no column %d", ((Var *) tle->expr)->varattno);
		own = copyObject(own);
		own->resno = list_length(targets) + 1;
		own->resname = tle->resname;
		own->resjunk = tle->resjunk;
		targets = lappend(targets, own);
	}
	foreach(lc, view->targetList)
	{
		TargetEntry *own = copyObject(lfirst_node(TargetEntry, lc));

		if (own->ressortgroupref == 0)
			continue;
		own->resno = list_length(targets) + 1;
		own->resjunk = true;
		targets = lappend(targets, own);
	}
	return targets;
}

Query *
flatten_view(Query *query, Oid *reader)
{
	RangeTblEntry *rte;

	*reader = GetUserId();
	while ((rte = selected_view(query)) != NULL)
	{
		FlattenContext ctx = {.userid = *reader};
		Query	   *view = definition_query(rte->relid);
		RangeTblEntry reading = {.type = T_RangeTblEntry, .rtekind = RTE_SUBQUERY};

		/* a simple one is made part of the query */
		reading.subquery = view;
		if (view == NULL || is_simple(&reading))
			break;
		note_reading(query, rte, &ctx);
		source_check_rights(&((Reading *) linitial(ctx.readings))->use, *reader);
		*reader = view_reader(rte->relid, *reader);
		view->targetList = selected_targets(query, view);
		query = view;
	}
	return query;
}

bool
flatten_query(Query *query, Oid reader)
{
	/* the user's own query is judged by the plan's columns, those of views here */
	FlattenContext ctx = {.userid = reader, .views = reader != GetUserId()};
	ListCell   *lc;

	flatten_level(query, &ctx);
	foreach(lc, ctx.views ? ctx.readings : NIL)
	{
		Reading    *reading = lfirst(lc);

		source_check_rights(&reading->use, reading->userid);
	}
	return ctx.views;
}
