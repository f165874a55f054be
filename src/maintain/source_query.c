/*-------------------------------------------------------------------------
 *
 * source_query.c
 *		Queries over the sources of a plan, for PostgreSQL's planner.
 *
 * A query is built from the plan's expressions, not from text, and neither
 * parsed nor rewritten.  Rights on the source were checked when the plan was
 * made, so the query asks for none.  Of a table that others inherit from, it
 * reads that table alone.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "parser/parse_relation.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "join_query.h"
#include "source_query.h"

RangeTblEntry *
source_query_table(Oid relid)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	Relation	rel = table_open(relid, AccessShareLock);
	TupleDesc	desc = RelationGetDescr(rel);

	rte->rtekind = RTE_RELATION;
	rte->relid = relid;
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = AccessShareLock;
	rte->inh = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	rte->inFromCl = true;
	rte->eref = makeAlias(RelationGetRelationName(rel), NIL);
	for (int i = 0; i < desc->natts; i++)
	{
		char	   *name = pstrdup(NameStr(TupleDescAttr(desc, i)->attname));

		rte->eref->colnames = lappend(rte->eref->colnames, makeString(name));
	}
	table_close(rel, NoLock);
	return rte;
}

Query *
source_query_from(RangeTblEntry *rte, List *quals, List *tlist)
{
	Query	   *query = makeNode(Query);
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = 1;
	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->hasAggs = contain_agg_clause((Node *) tlist);
	query->rtable = list_make1(rte);
#if PG_VERSION_NUM >= 160000
	/* the planner looks there for the user; no right is required */
	if (rte->rtekind == RTE_RELATION)
		(void) addRTEPermissionInfo(&query->rteperminfos, rte);
#endif
	query->jointree = makeFromExpr(list_make1(rtr), (Node *) make_ands_explicit(quals));
	query->targetList = tlist;
	return query;
}

RangeTblEntry *
source_query_subquery(Query *subquery)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	ListCell   *lc;

	rte->rtekind = RTE_SUBQUERY;
	rte->subquery = subquery;
	rte->inFromCl = true;
	rte->eref = makeAlias("s", NIL);
	foreach(lc, subquery->targetList)
		rte->eref->colnames = lappend(rte->eref->colnames,
									  makeString(lfirst_node(TargetEntry, lc)->resname));
	return rte;
}

Query *
source_query(const SinkPlan *plan, List *quals, List *tlist)
{
	RangeTblEntry *rte;

	if (plan->join != NULL)
		rte = source_query_subquery(join_query(plan));
	else
		rte = source_query_table(plan_row_source(plan)->relid);
	return source_query_from(rte, quals, tlist);
}

List *
source_query_target(List *tlist, Expr *expr)
{
	AttrNumber	resno = (AttrNumber) (list_length(tlist) + 1);

	return lappend(tlist, makeTargetEntry(expr, resno, psprintf("c%d", resno), false));
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
		agg->args = source_query_target(agg->args, lfirst(lc));
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
