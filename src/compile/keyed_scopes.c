/*-------------------------------------------------------------------------
 *
 * keyed_scopes.c
 *		A query, at all its levels, in terms of the tables that it reads.
 *
 * A scope is a query: the definition, a subquery in FROM, a view, a WITH where it is
 * read, the query of a sublink.  Each place of a table in any of them is an
 * occurrence.
 *
 * A column of a scope can be followed to the tables if a value of it stands for all
 * rows of the scope that a changed row bears upon: if the scope groups, it must be
 * a key of the groups; under window functions, of all their partitions; under
 * DISTINCT ON, one of these expressions.  Then the rows with other values are what
 * they were, and a condition on the column may be pushed down.  (PostgreSQL pushes
 * conditions into subqueries by the same rules: subquery_is_pushdown_safe() and
 * its companions.)  Behind LIMIT and set operations nothing is followed.
 *
 * Conditions are collected where they say that a row takes part in nothing without
 * them: ANDed in WHERE and ON, and the comparison of IN.  To whom that applies is
 * the condition's domain: the condition of an outer join to the side that may be
 * missing; one within such a side, to that side; others, to the whole scope.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_clause.h"
#include "parser/parse_relation.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "definition.h"
#include "keyed_scopes.h"

typedef struct BuildContext
{
	ScopeTree  *tree;
	Scope	   *scope;			/* whose expressions are walked */
	int			sublink;
	const char *refused;
} BuildContext;

static Scope *build_scope(BuildContext *ctx, Query *query, Scope *parent, int sublink);

/*
 * Scopes
 */

/* The query of a WITH, and the scope that has it. */
static CommonTableExpr *
find_cte(Scope *scope, const RangeTblEntry *rte, Scope **where)
{
	ListCell   *lc;

	for (Index level = 0; level < rte->ctelevelsup && scope != NULL; level++)
		scope = scope->parent;
	*where = scope;
	if (scope == NULL)
		return NULL;
	foreach(lc, scope->query->cteList)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return cte;
	}
	return NULL;
}

static void
build_cte(BuildContext *ctx, Scope *scope, const RangeTblEntry *rte, ScopeEntry *entry)
{
	Scope	   *where;
	CommonTableExpr *cte = find_cte(scope, rte, &where);

	if (cte == NULL || cte->cterecursive || rte->self_reference)
		ctx->refused = "WITH RECURSIVE";
	else
		entry->scope = build_scope(ctx, castNode(Query, copyObject(cte->ctequery)), where, 0);
}

static void
build_entry(BuildContext *ctx, Scope *scope, RangeTblEntry *rte, ScopeEntry *entry)
{
	entry->occurrence = -1;
	if (ctx->refused != NULL)
		return;
	if (rte->rtekind == RTE_SUBQUERY)
		entry->scope = build_scope(ctx, rte->subquery, scope, 0);
	else if (rte->rtekind == RTE_CTE)
		build_cte(ctx, scope, rte, entry);
	else if (definition_reads_entry(rte) && get_rel_relkind(rte->relid) == RELKIND_VIEW)
	{
		Query	   *query = definition_query(rte->relid);

		if (query != NULL)
			entry->scope = build_scope(ctx, query, NULL, 0);
		else
			ctx->refused = "a view without a query";
	}
	else if (definition_reads_entry(rte))
	{
		entry->occurrence = plan_add_occurrence(ctx->tree->plan, rte->relid);
		scope->occurrences = bms_add_member(scope->occurrences, entry->occurrence);
	}
	if (entry->scope != NULL)
		scope->occurrences = bms_add_members(scope->occurrences, entry->scope->occurrences);
}

static bool
sublink_walker(Node *node, void *context)
{
	BuildContext *ctx = context;

	if (node == NULL || ctx->refused != NULL)
		return false;
	if (IsA(node, SubLink))
	{
		ScopeSublink *place = palloc0(sizeof(ScopeSublink));
		Scope	   *scope = ctx->scope;

		place->sublink = (SubLink *) node;
		place->outer = scope;
		(void) sublink_walker(place->sublink->testexpr, ctx);
		place->scope = build_scope(ctx, castNode(Query, place->sublink->subselect), scope,
								   ++ctx->tree->nsublinks);
		ctx->scope = scope;
		if (place->scope != NULL)
			scope->occurrences = bms_add_members(scope->occurrences, place->scope->occurrences);
		ctx->tree->sublinks = lappend(ctx->tree->sublinks, place);
		return false;
	}
	if (IsA(node, Query))
		return false;			/* those of the range table have been built */
	return expression_tree_walker(node, sublink_walker, context);
}

/* Everything that the query evaluates, of functions in FROM too. */
static void
build_sublinks(BuildContext *ctx, Scope *scope)
{
	Scope	   *saved = ctx->scope;

	ctx->scope = scope;
	(void) query_tree_walker(scope->query, sublink_walker, ctx,
							 QTW_IGNORE_RT_SUBQUERIES | QTW_IGNORE_CTE_SUBQUERIES |
							 QTW_IGNORE_JOINALIASES);
	ctx->scope = saved;
}

static Scope *
build_scope(BuildContext *ctx, Query *query, Scope *parent, int sublink)
{
	Scope	   *scope = palloc0(sizeof(Scope));
	ListCell   *lc;

	check_stack_depth();
	scope->query = query;
	scope->parent = parent;
	scope->sublink = sublink;
	scope->entries = palloc0((list_length(query->rtable) + 1) * sizeof(ScopeEntry));
	ctx->tree->scopes = lappend(ctx->tree->scopes, scope);
	foreach(lc, query->rtable)
		build_entry(ctx, scope, lfirst_node(RangeTblEntry, lc),
					&scope->entries[foreach_current_index(lc) + 1]);
	if (ctx->refused == NULL)
		build_sublinks(ctx, scope);
	return scope;
}

bool
scope_is_beyond_sublink(const ScopeTree *tree, int r, int o)
{
	ListCell   *lc;

	foreach(lc, tree->scopes)
	{
		Scope	   *scope = lfirst(lc);

		if (scope->sublink != 0 && bms_is_member(o, scope->occurrences) &&
			!bms_is_member(r, scope->occurrences))
			return true;
	}
	return false;
}

/*
 * Following columns
 */

static bool
is_partitioned_by(const Query *query, const TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, query->windowClause)
	{
		if (!targetIsInSortList(unconstify(TargetEntry *, tle), InvalidOid,
								lfirst_node(WindowClause, lc)->partitionClause))
			return false;
	}
	return true;
}

/* Does a value of this column stand for all that a changed row bears upon? */
static bool
can_follow(const Query *query, const TargetEntry *tle)
{
	if (query->setOperations != NULL || query->groupingSets != NIL ||
		query->limitCount != NULL || query->limitOffset != NULL ||
		expression_returns_set((Node *) tle->expr))
		return false;
	if ((query->groupClause != NIL || query->hasAggs || query->havingQual != NULL) &&
		!targetIsInSortList(unconstify(TargetEntry *, tle), InvalidOid, query->groupClause))
		return false;
	if (query->hasWindowFuncs && !is_partitioned_by(query, tle))
		return false;
	return !query->hasDistinctOn ||
		targetIsInSortList(unconstify(TargetEntry *, tle), InvalidOid, query->distinctClause);
}

Node *
scope_resolve_output(Scope *scope, AttrNumber resno)
{
	TargetEntry *tle = get_tle_by_resno(scope->query->targetList, resno);

	if (tle == NULL || tle->resjunk || !can_follow(scope->query, tle))
		return NULL;
	return scope_resolve(scope, (Node *) tle->expr);
}

typedef struct ResolveContext
{
	Scope	   *scope;
	bool		failed;
} ResolveContext;

static Node *
resolve_var(Var *var, ResolveContext *ctx)
{
	Scope	   *scope = ctx->scope;
	RangeTblEntry *rte;
	ScopeEntry *entry;
	Node	   *result = NULL;

	for (Index level = 0; level < var->varlevelsup && scope != NULL; level++)
		scope = scope->parent;
	if (scope == NULL || var->varattno <= 0)
		return NULL;
	rte = rt_fetch(var->varno, scope->query->rtable);
	entry = &scope->entries[var->varno];
	if (entry->occurrence >= 0)
		return (Node *) makeVar(entry->occurrence + 1, var->varattno, var->vartype,
								var->vartypmod, var->varcollid, 0);
	if (rte->rtekind == RTE_JOIN)
		result = scope_resolve(scope, list_nth(rte->joinaliasvars, var->varattno - 1));
#if PG_VERSION_NUM >= 180000
	else if (rte->rtekind == RTE_GROUP)
		result = scope_resolve(scope, list_nth(rte->groupexprs, var->varattno - 1));
#endif
	else if (entry->scope != NULL)
		result = scope_resolve_output(entry->scope, var->varattno);
	return result;
}

static Node *
resolve_mutator(Node *node, void *context)
{
	ResolveContext *ctx = context;

	if (node == NULL || ctx->failed)
		return NULL;
	switch (nodeTag(node))
	{
		case T_Var:
			{
				Node	   *result = resolve_var((Var *) node, ctx);

				ctx->failed |= result == NULL;
				return result;
			}
		case T_Aggref:
		case T_WindowFunc:
		case T_GroupingFunc:
		case T_SubLink:
		case T_Param:
		case T_Query:
			ctx->failed = true;
			return NULL;
		default:
			return expression_tree_mutator(node, resolve_mutator, context);
	}
}

Node *
scope_resolve(Scope *scope, Node *expr)
{
	ResolveContext ctx = {.scope = scope};
	Node	   *result;

	check_stack_depth();
	if (expression_returns_set(expr))
		return NULL;
	result = resolve_mutator(expr, &ctx);
	return ctx.failed ? NULL : result;
}

static bool
occurrences_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Bitmapset **result = context;

		*result = bms_add_member(*result, ((Var *) node)->varno - 1);
		return false;
	}
	return expression_tree_walker(node, occurrences_walker, context);
}

Bitmapset *
scope_occurrences(Node *expr)
{
	Bitmapset  *result = NULL;

	(void) occurrences_walker(expr, &result);
	return result;
}

/*
 * Conditions
 */

/* A column, or an expression of one occurrence that is there in any case. */
static bool
is_side(const ScopeTree *tree, Node *node, int *occurrence)
{
	Bitmapset  *members = scope_occurrences(node);

	while (IsA(node, RelabelType))
		node = (Node *) ((RelabelType *) node)->arg;
	return bms_get_singleton_member(members, occurrence) &&
		(IsA(node, Var) || !bms_is_member(*occurrence, tree->nullable));
}

static bool
is_equality(const ScopeTree *tree, Node *expr)
{
	OpExpr	   *op = (OpExpr *) expr;
	int			left;
	int			right;

	return IsA(expr, OpExpr) && list_length(op->args) == 2 && op_strict(op->opno) &&
		(op_mergejoinable(op->opno, exprType(linitial(op->args))) ||
		 op_hashjoinable(op->opno, exprType(linitial(op->args)))) &&
		is_side(tree, linitial(op->args), &left) && is_side(tree, lsecond(op->args), &right) &&
		left != right;
}

static ScopeCondition *
add_condition(ScopeTree *tree, Node *expr, const Bitmapset *domain)
{
	ScopeCondition *condition;
	Bitmapset  *occurrences = expr == NULL ? NULL : scope_occurrences(expr);

	if (bms_is_empty(occurrences) || !bms_overlap(domain, occurrences))
		return NULL;
	condition = palloc0(sizeof(ScopeCondition));
	condition->expr = expr;
	condition->occurrences = occurrences;
	condition->domain = bms_copy(domain);
	condition->equality = is_equality(tree, expr);
	tree->conditions = lappend(tree->conditions, condition);
	return condition;
}

/* Is it a column of a table that is never NULL where it is read? */
static bool
is_never_null(const ScopeTree *tree, Node *node)
{
	Var		   *var = (Var *) node;
	HeapTuple	tuple;
	bool		result;

	while (IsA(var, RelabelType))
		var = (Var *) ((RelabelType *) var)->arg;
	if (!IsA(var, Var) || bms_is_member(var->varno - 1, tree->nullable))
		return false;
	tuple = SearchSysCache2(ATTNUM,
							ObjectIdGetDatum(plan_source_of(tree->plan, var->varno - 1)->relid),
							Int16GetDatum(var->varattno));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * left = ANY (SELECT right): a row of the subquery matters to a row outside only if
 * they are equal; and if either can be NULL, only where NULL counts as false, as
 * it does in WHERE.
 */
static void
add_any_condition(ScopeTree *tree, ScopeSublink *place, OpExpr *op, bool in_where)
{
	Node	   *left;
	Node	   *right;
	Param	   *param;
	OpExpr	   *resolved;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 || !IsA(lsecond(op->args), Param))
		return;
	param = lsecond_node(Param, op->args);
	left = scope_resolve(place->outer, linitial(op->args));
	right = scope_resolve_output(place->scope, param->paramid);
	if (left == NULL || right == NULL ||
		(!in_where && !(is_never_null(tree, left) && is_never_null(tree, right))))
		return;
	resolved = copyObject(op);
	if (place->sublink->subLinkType == ALL_SUBLINK)
	{
		resolved->opno = get_negator(op->opno);
		resolved->opfuncid = InvalidOid;
		if (!OidIsValid(resolved->opno))
			return;
	}
	resolved->args = list_make2(left, right);
	if (is_equality(tree, (Node *) resolved))
		(void) add_condition(tree, (Node *) resolved, place->scope->occurrences);
}

static void
add_sublink_conditions(ScopeTree *tree, ScopeSublink *place, bool in_where)
{
	Node	   *test = place->sublink->testexpr;
	ListCell   *lc;

	if (place->sublink->subLinkType != ANY_SUBLINK && place->sublink->subLinkType != ALL_SUBLINK)
		return;
	if (test != NULL && is_andclause(test) && place->sublink->subLinkType == ANY_SUBLINK)
	{
		foreach(lc, ((BoolExpr *) test)->args)
			add_any_condition(tree, place, lfirst(lc), in_where);
	}
	else if (test != NULL)
		add_any_condition(tree, place, (OpExpr *) test, in_where);
}

static ScopeSublink *
find_sublink(const ScopeTree *tree, const SubLink *sublink)
{
	ListCell   *lc;

	foreach(lc, tree->sublinks)
	{
		if (((ScopeSublink *) lfirst(lc))->sublink == sublink)
			return lfirst(lc);
	}
	return NULL;
}

/* sublinks: note those that WHERE asks to be true. */
static void
collect_quals(ScopeTree *tree, Scope *scope, Node *quals, const Bitmapset *domain,
			  List **in_where)
{
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) canonicalize_qual((Expr *) copyObject(quals), false)))
		(void) add_condition(tree, scope_resolve(scope, lfirst(lc)), domain);
	foreach(lc, make_ands_implicit((Expr *) quals))
	{
		Node	   *node = lfirst(lc);

		if (IsA(node, SubLink) && ((SubLink *) node)->subLinkType == ANY_SUBLINK)
			*in_where = lappend(*in_where, find_sublink(tree, (SubLink *) node));
	}
}

static Bitmapset *
item_occurrences(Scope *scope, Node *item)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;

	if (IsA(item, RangeTblRef))
	{
		ScopeEntry *entry = &scope->entries[((RangeTblRef *) item)->rtindex];

		if (entry->scope != NULL)
			return bms_copy(entry->scope->occurrences);
		return entry->occurrence >= 0 ? bms_make_singleton(entry->occurrence) : NULL;
	}
	if (IsA(item, JoinExpr))
		return bms_union(item_occurrences(scope, ((JoinExpr *) item)->larg),
						 item_occurrences(scope, ((JoinExpr *) item)->rarg));
	foreach(lc, castNode(FromExpr, item)->fromlist)
		result = bms_add_members(result, item_occurrences(scope, lfirst(lc)));
	return result;
}

static void
add_nullable_side(ScopeTree *tree, Scope *scope, const JoinExpr *join, Node *item)
{
	NullableSide *side = palloc0(sizeof(NullableSide));
	ListCell   *lc;

	side->occurrences = item_occurrences(scope, item);
	side->table = IsA(item, RangeTblRef) ?
		scope->entries[((RangeTblRef *) item)->rtindex].occurrence : -1;
	side->resolved = true;
	foreach(lc, make_ands_implicit((Expr *) join->quals))
	{
		Node	   *expr = scope_resolve(scope, lfirst(lc));

		side->resolved &= expr != NULL;
		side->on = lappend(side->on, expr);
	}
	tree->nullable_sides = lappend(tree->nullable_sides, side);
	tree->nullable = bms_add_members(tree->nullable, side->occurrences);
}

/* Before conditions are looked at, which need to know. */
static void
collect_nullable_sides(ScopeTree *tree, Scope *scope, Node *item)
{
	JoinExpr   *join = (JoinExpr *) item;
	ListCell   *lc;

	if (IsA(item, FromExpr))
	{
		foreach(lc, ((FromExpr *) item)->fromlist)
			collect_nullable_sides(tree, scope, lfirst(lc));
	}
	if (!IsA(item, JoinExpr))
		return;
	if (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL)
		add_nullable_side(tree, scope, join, join->rarg);
	if (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL)
		add_nullable_side(tree, scope, join, join->larg);
	collect_nullable_sides(tree, scope, join->larg);
	collect_nullable_sides(tree, scope, join->rarg);
}

/* A condition of a full join says something of pairs alone. */
static void
collect_full_join(ScopeTree *tree, Scope *scope, JoinExpr *join)
{
	Bitmapset  *left = item_occurrences(scope, join->larg);
	Bitmapset  *right = item_occurrences(scope, join->rarg);
	ListCell   *lc;

	foreach(lc, make_ands_implicit((Expr *) join->quals))
	{
		Node	   *expr = scope_resolve(scope, lfirst(lc));
		Bitmapset  *members = expr == NULL ? NULL : scope_occurrences(expr);

		if (!bms_overlap(members, left) || !bms_overlap(members, right))
			continue;
		add_condition(tree, expr, left)->full = true;
		add_condition(tree, expr, right)->full = true;
	}
}

static void
collect_item(ScopeTree *tree, Scope *scope, Node *item, const Bitmapset *domain, List **in_where)
{
	JoinExpr   *join = (JoinExpr *) item;
	const Bitmapset *left = domain;
	const Bitmapset *right = domain;
	ListCell   *lc;

	if (IsA(item, FromExpr))
	{
		foreach(lc, ((FromExpr *) item)->fromlist)
			collect_item(tree, scope, lfirst(lc), domain, in_where);
		collect_quals(tree, scope, ((FromExpr *) item)->quals, domain, in_where);
	}
	if (!IsA(item, JoinExpr))
		return;

	if (join->jointype == JOIN_LEFT || join->jointype == JOIN_FULL)
		right = item_occurrences(scope, join->rarg);
	if (join->jointype == JOIN_RIGHT || join->jointype == JOIN_FULL)
		left = item_occurrences(scope, join->larg);
	collect_item(tree, scope, join->larg, left, in_where);
	collect_item(tree, scope, join->rarg, right, in_where);
	if (join->jointype == JOIN_FULL)
		collect_full_join(tree, scope, join);
	else
		collect_quals(tree, scope, join->quals, join->jointype == JOIN_RIGHT ? left : right,
					  in_where);
}

static void
collect_conditions(ScopeTree *tree)
{
	List	   *in_where = NIL;
	ListCell   *lc;

	foreach(lc, tree->scopes)
	{
		Scope	   *scope = lfirst(lc);

		collect_nullable_sides(tree, scope, (Node *) scope->query->jointree);
	}
	foreach(lc, tree->scopes)
	{
		Scope	   *scope = lfirst(lc);

		collect_item(tree, scope, (Node *) scope->query->jointree, scope->occurrences, &in_where);
	}
	foreach(lc, tree->sublinks)
		add_sublink_conditions(tree, lfirst(lc), list_member_ptr(in_where, lfirst(lc)));
}

ScopeTree *
keyed_scopes(Query *query, SinkPlan *plan, const char **refused)
{
	BuildContext ctx = {0};

	Assert(plan->noccurrences == 0);
	ctx.tree = palloc0(sizeof(ScopeTree));
	ctx.tree->plan = plan;
	ctx.tree->top = build_scope(&ctx, query, NULL, 0);
	*refused = ctx.refused;
	if (ctx.refused != NULL)
		return NULL;
	collect_conditions(ctx.tree);
	return ctx.tree;
}
