/*-------------------------------------------------------------------------
 *
 * definition.c
 *		The query of a view, and the relations that a query reads.
 *
 * Queries of views are read from their rules and not through the relcache: no
 * lock on a view is needed, so nobody's DROP can make the worker wait here.
 * What is found may be out of date by the time it is used; the caller locks
 * the relations, and looks again if an invalidation came with the locks.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_class.h"
#include "catalog/pg_rewrite.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "definition.h"

Query *
definition_query(Oid viewid)
{
	HeapTuple	tuple;
	Datum		value;
	bool		isnull;
	List	   *actions;

	tuple = SearchSysCache2(RULERELNAME, ObjectIdGetDatum(viewid),
							PointerGetDatum(ViewSelectRuleName));
	if (!HeapTupleIsValid(tuple))
		return NULL;

	value = SysCacheGetAttr(RULERELNAME, tuple, Anum_pg_rewrite_ev_action, &isnull);
	actions = isnull ? NIL : stringToNode(TextDatumGetCString(value));
	ReleaseSysCache(tuple);

	if (list_length(actions) != 1)
		elog(ERROR, "relation %u is not a view", viewid);
	return linitial_node(Query, actions);
}

bool
definition_reads_entry(const RangeTblEntry *rte)
{
	return rte->rtekind == RTE_RELATION && rte->inFromCl;
}

typedef struct RelationsContext
{
	List	   *sources;
	List	   *views;
} RelationsContext;

static bool relations_walker(Node *node, RelationsContext *context);

static void
add_relation(Oid relid, RelationsContext *context)
{
	Query	   *query;

	if (get_rel_relkind(relid) != RELKIND_VIEW)
	{
		context->sources = list_append_unique_oid(context->sources, relid);
		return;
	}
	/* a view cannot read itself, but it can be replaced so that it does */
	if (list_member_oid(context->views, relid))
		return;
	context->views = lappend_oid(context->views, relid);
	query = definition_query(relid);
	if (query != NULL)
		(void) relations_walker((Node *) query, context);
}

static bool
relations_walker(Node *node, RelationsContext *context)
{
	if (node == NULL)
		return false;
	check_stack_depth();
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (definition_reads_entry(rte))
			add_relation(rte->relid, context);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, relations_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, relations_walker, context);
}

void
definition_relations(Query *query, List **sources, List **views)
{
	RelationsContext context = {NIL, NIL};

	(void) relations_walker((Node *) query, &context);
	if (sources != NULL)
		*sources = context.sources;
	if (views != NULL)
		*views = context.views;
}
