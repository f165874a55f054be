/*-------------------------------------------------------------------------
 *
 * key_looks.c
 *		A definition rewritten to show all looks of its groups' keys.
 *
 * Keys that are equal can look different: 1.0 and 1.00.  A group shows one of
 * them, and what is computed from keys is computed from that one; PostgreSQL
 * promises no more than that a row of the group has it.  So such columns are
 * verified against those of all rows, ungrouped: each row of the sink must be one
 * that a row could give.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "key_looks.h"

/* The columns of the group that an output reads: keys from 1 to nkeys, then aggregates. */
static Bitmapset *
group_columns(const SinkColumn *column)
{
	Bitmapset  *attrs = NULL;
	Bitmapset  *result = NULL;
	int			attr = -1;

	pull_varattnos((Node *) column->expr, 1, &attrs);
	while ((attr = bms_next_member(attrs, attr)) >= 0)
		result = bms_add_member(result, attr + FirstLowInvalidHeapAttributeNumber);
	return result;
}

Bitmapset *
key_looks_columns(const SinkPlan *plan)
{
	Bitmapset  *result = NULL;
	bool		variable = false;

	if (plan->shape != SHAPE_ROLLUP)
		return NULL;
	for (int i = 0; i < plan->nkeys; i++)
		variable |= plan->keys[i].variable;
	if (!variable)
		return NULL;

	for (int i = 0; i < plan->ncolumns; i++)
	{
		Bitmapset  *attrs = group_columns(&plan->columns[i]);

		if (bms_prev_member(attrs, -1) <= plan->nkeys)
			result = bms_add_member(result, i);
	}
	return result;
}

bool
key_looks_decide(const SinkPlan *plan, int column)
{
	Bitmapset  *attrs = group_columns(&plan->columns[column]);
	int			attr = -1;

	/* the key itself is compared as an equal one */
	if (IsA(plan->columns[column].expr, Var))
		return false;
	while ((attr = bms_next_member(attrs, attr)) >= 0)
	{
		if (attr <= plan->nkeys && plan->keys[attr - 1].variable)
			return true;
	}
	return false;
}

char *
key_looks_definition(Oid viewid, const Bitmapset *columns)
{
	Relation	view = table_open(viewid, AccessShareLock);
	Query	   *query = copyObject(get_view_query(view));
	List	   *targets = NIL;
	int			column = 0;
	ListCell   *lc;

	table_close(view, NoLock);
#if PG_VERSION_NUM >= 180000
	if (query->hasGroupRTE)
	{
		query->targetList = (List *) flatten_group_exprs(NULL, query,
														 (Node *) query->targetList);
		query->hasGroupRTE = false;
	}
#endif
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk || !bms_is_member(column++, columns))
			continue;
		tle->ressortgroupref = 0;
		tle->resno = list_length(targets) + 1;
		targets = lappend(targets, tle);
	}
	query->targetList = targets;
	query->groupClause = NIL;
	query->sortClause = NIL;
	query->hasAggs = false;
	return pg_get_querydef(query, false);
}
