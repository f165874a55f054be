/*-------------------------------------------------------------------------
 *
 * with.c
 *		WITH, as subqueries in FROM.
 *
 * A query that WITH names means the same as a subquery wherever it is read: what
 * a sink may compute depends on rows alone.  If it is read several times there are
 * as many copies, which are simple enough to be made part of the query around them
 * or become one stage, since they are equal (stages.c).
 *
 * Names are looked up as parse analysis did: by the level at which they are
 * declared.  The queries of one WITH are resolved in their order, so that a copy
 * has nothing left to resolve.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"

#include "stages_internal.h"

typedef struct WithContext
{
	List	   *levels;			/* List * of CommonTableExpr *, the innermost first */
	bool		failed;
} WithContext;

static bool with_walker(Node *node, WithContext *ctx);

static CommonTableExpr *
find_declaration(const RangeTblEntry *rte, const WithContext *ctx)
{
	ListCell   *lc;

	if (rte->ctelevelsup >= list_length(ctx->levels))
		return NULL;
	foreach(lc, (List *) list_nth(ctx->levels, rte->ctelevelsup))
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		if (strcmp(cte->ctename, rte->ctename) == 0)
			return cte;
	}
	return NULL;
}

/* What it selects is all that a name stands for: no columns of queries around it. */
static bool
can_be_copied(const CommonTableExpr *cte)
{
	Query	   *query = (Query *) cte->ctequery;

	return !cte->cterecursive && cte->search_clause == NULL && cte->cycle_clause == NULL &&
		IsA(query, Query) && query->commandType == CMD_SELECT &&
		!contain_vars_of_level((Node *) query, 1);
}

static void
resolve_entry(RangeTblEntry *rte, WithContext *ctx)
{
	CommonTableExpr *cte;

	if (rte->rtekind != RTE_CTE)
		return;
	cte = find_declaration(rte, ctx);
	if (cte == NULL || rte->self_reference || !can_be_copied(cte))
	{
		ctx->failed = true;
		return;
	}
	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = copyObject((Query *) cte->ctequery);
	/* the names of its columns may be the declaration's */
	rte->alias = copyObject(rte->eref);
	rte->ctename = NULL;
	rte->ctelevelsup = 0;
	rte->coltypes = rte->coltypmods = rte->colcollations = NIL;
}

static bool
resolve_query(Query *query, WithContext *ctx)
{
	List	   *ctes = query->cteList;
	ListCell   *lc;

	check_stack_depth();
	if (query->hasRecursive || query->hasModifyingCTE)
		ctx->failed = true;
	ctx->levels = lcons(ctes, ctx->levels);
	foreach(lc, ctes)
		(void) with_walker(lfirst_node(CommonTableExpr, lc)->ctequery, ctx);
	query->cteList = NIL;
	(void) query_tree_walker(query, with_walker, ctx, QTW_EXAMINE_RTES_BEFORE);
	ctx->levels = list_delete_first(ctx->levels);
	return ctx->failed;
}

/* True ends the walk. */
static bool
with_walker(Node *node, WithContext *ctx)
{
	if (node == NULL || ctx->failed)
		return ctx->failed;
	if (IsA(node, RangeTblEntry))
	{
		resolve_entry((RangeTblEntry *) node, ctx);
		return ctx->failed;
	}
	if (IsA(node, Query))
		return resolve_query((Query *) node, ctx);
	return expression_tree_walker(node, with_walker, ctx);
}

bool
with_resolve(Query *query)
{
	WithContext ctx = {NIL, false};

	(void) resolve_query(query, &ctx);
	return !ctx.failed;
}
