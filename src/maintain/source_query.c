/*-------------------------------------------------------------------------
 *
 * source_query.c
 *		Queries over the sources of a plan, for PostgreSQL's planner.
 *
 * A query is built from the plan's expressions, not from text (query_nodes.c).  A
 * join of several sources is a subquery in place of the one source, which the
 * planner pulls up.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/pg_aggregate.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "join_query.h"
#include "query_nodes.h"
#include "source_query.h"

Query *
source_query(const SinkPlan *plan, List *quals, List *tlist)
{
	RangeTblEntry *rte;

	if (plan->join != NULL)
		rte = query_subquery(join_query(plan));
	else
		rte = query_table(plan_row_source(plan)->relid);
	return query_select(rte, quals, tlist);
}

static Oid
transition_type(Oid aggfnoid)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
	Oid			transtype;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggfnoid);
	transtype = ((Form_pg_aggregate) GETSTRUCT(tuple))->aggtranstype;
	ReleaseSysCache(tuple);
	return transtype;
}

Aggref *
source_query_aggref(Oid aggfnoid, Oid type, Oid input_collation, List *args, Expr *filter)
{
	Aggref	   *agg = makeNode(Aggref);
	ListCell   *lc;

	agg->aggfnoid = aggfnoid;
	agg->aggtype = type;
	agg->aggcollid = OidIsValid(get_typcollation(type)) ? input_collation : InvalidOid;
	agg->inputcollid = input_collation;
	agg->aggtranstype = transition_type(aggfnoid);
	foreach(lc, args)
	{
		agg->aggargtypes = lappend_oid(agg->aggargtypes, exprType(lfirst(lc)));
		agg->args = query_target(agg->args, lfirst(lc));
	}
	agg->aggstar = args == NIL;
	agg->aggfilter = filter;
	agg->aggkind = AGGKIND_NORMAL;
	agg->aggsplit = AGGSPLIT_SIMPLE;
	agg->aggno = -1;
	agg->aggtransno = -1;
	agg->location = -1;
	return agg;
}

Aggref *
source_query_aggregate(const AggSpec *spec)
{
	List	   *args = spec->arg == NULL ? NIL : list_make1(copyObject(spec->arg));

	/* count(1) is counted as count(*) is */
	return source_query_aggref(args == NIL ? F_COUNT_ : spec->aggfnoid, spec->resulttype,
							   spec->collation, args, copyObject(spec->filter));
}
