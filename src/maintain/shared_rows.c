/*-------------------------------------------------------------------------
 *
 * shared_rows.c
 *		Have a row that many documents embed read once for all of them.
 *
 * In the definition of a wide view an object is a subquery in the select list,
 * which is run for each document: 100,000 accounts look up their one branch
 * 100,000 times, and each time pass over all the versions of it that have been
 * written since the snapshot.  PostgreSQL can remember what a subquery gave for
 * the same values (Memoize), but only if it stands in FROM.  So, for
 *
 *		SELECT r.id, to_jsonb(e.*) FROM accounts r,
 *			LATERAL (SELECT r.id, (SELECT ... WHERE b.bid = r.bid LIMIT 1) AS b) e
 *
 * the planner is given
 *
 *		SELECT r.id, to_jsonb(e.*) FROM accounts r,
 *			LATERAL (SELECT (SELECT ... WHERE b.bid = r.bid LIMIT 1) OFFSET 0) s,
 *			LATERAL (SELECT r.id, s.c1 AS b) e
 *
 * which is one row for each r as before; OFFSET 0 keeps it from being undone.  It
 * decides by its statistics whether remembering pays.
 *
 * Not for more objects than can be planned together with the rest: with more
 * tables in FROM than from_collapse_limit the keys would be joined last.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"

#include "shared_rows.h"

/* from_collapse_limit is 8; the keys, the root and its element are three. */
#define MAX_SHARED		4

/* An object: a subquery that gives one row at most. */
static bool
is_object(const TargetEntry *tle)
{
	const SubLink *link = (const SubLink *) tle->expr;

	return IsA(link, SubLink) && link->subLinkType == EXPR_SUBLINK &&
		castNode(Query, link->subselect)->limitCount != NULL;
}

/* LATERAL (SELECT expr OFFSET 0).  Levels of variables are those of the element. */
static RangeTblEntry *
make_shared(Expr *expr)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->hasSubLinks = true;
	query->jointree = makeFromExpr(NIL, NULL);
	query->targetList = list_make1(makeTargetEntry(expr, 1, pstrdup("c1"), false));
	query->limitOption = LIMIT_OPTION_COUNT;
	query->limitOffset = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64),
											Int64GetDatum(0), false, FLOAT8PASSBYVAL);

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = query;
	rte->lateral = true;
	rte->inFromCl = true;
	rte->alias = makeAlias("s", list_make1(makeString(pstrdup("c1"))));
	rte->eref = copyObject(rte->alias);
	return rte;
}

/* Take the objects of an element of the definition out into its FROM. */
static void
share_objects(Query *definition, Query *element, List **shared)
{
	ListCell   *lc;

	foreach(lc, element->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		RangeTblRef *ref;

		if (!is_object(tle) || list_length(*shared) == MAX_SHARED)
			continue;
		ref = makeNode(RangeTblRef);
		definition->rtable = lappend(definition->rtable, make_shared(tle->expr));
		ref->rtindex = list_length(definition->rtable);
		*shared = lappend(*shared, ref);
		tle->expr = (Expr *) makeVar(ref->rtindex, 1, exprType((Node *) tle->expr),
									 exprTypmod((Node *) tle->expr),
									 exprCollation((Node *) tle->expr), 1);
	}
}

/* The definition's FROM: the root, then its element. */
static void
rewrite_definition(Query *definition)
{
	List	   *shared = NIL;
	List	   *from = NIL;
	ListCell   *lc;

	foreach(lc, definition->jointree->fromlist)
	{
		RangeTblRef *ref = lfirst(lc);
		RangeTblEntry *rte;

		if (!IsA(ref, RangeTblRef))
			return;
		rte = rt_fetch(ref->rtindex, definition->rtable);
		if (rte->rtekind == RTE_SUBQUERY && rte->lateral &&
			rte->subquery->jointree->fromlist == NIL)
			share_objects(definition, rte->subquery, &shared);
		from = list_concat(from, shared);
		shared = NIL;
		from = lappend(from, ref);
	}
	definition->jointree->fromlist = from;
}

void
shared_rows_rewrite(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		/* the view, which the rewriter has expanded */
		if (rte->rtekind == RTE_SUBQUERY && !rte->lateral && rte->subquery != NULL)
			rewrite_definition(rte->subquery);
	}
}
