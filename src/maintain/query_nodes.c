/*-------------------------------------------------------------------------
 *
 * query_nodes.c
 *		Parts of queries that are built as node trees.
 *
 * They are neither parsed nor rewritten, but given to PostgreSQL's planner.
 * Rights on the tables were checked when the sink's plan was made, so a query
 * asks for none.  Of a table that others inherit from, it reads that table alone.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "optimizer/clauses.h"
#include "parser/parse_relation.h"
#include "utils/rel.h"

#include "query_nodes.h"

RangeTblEntry *
query_table(Oid relid)
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

RangeTblEntry *
query_subquery(Query *subquery)
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

RangeTblEntry *
query_rows(char *name, TupleDesc desc, double count)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_NAMEDTUPLESTORE;
	rte->enrname = name;
	rte->enrtuples = count;
	rte->inFromCl = true;
	rte->eref = makeAlias(name, NIL);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		rte->coltypes = lappend_oid(rte->coltypes, att->atttypid);
		rte->coltypmods = lappend_int(rte->coltypmods, att->atttypmod);
		rte->colcollations = lappend_oid(rte->colcollations, att->attcollation);
		rte->eref->colnames = lappend(rte->eref->colnames, makeString(psprintf("c%d", i + 1)));
	}
	return rte;
}

Node *
query_reference(int rti)
{
	RangeTblRef *rtr = makeNode(RangeTblRef);

	rtr->rtindex = rti;
	return (Node *) rtr;
}

Query *
query_make(List *rtable, FromExpr *jointree, List *tlist)
{
	Query	   *query = makeNode(Query);

	query->commandType = CMD_SELECT;
	query->querySource = QSRC_ORIGINAL;
	query->canSetTag = true;
	query->rtable = rtable;
	query->jointree = jointree;
	query->targetList = tlist;
	return query;
}

Query *
query_select(RangeTblEntry *rte, List *quals, List *tlist)
{
	/* a member of UNION ALL is pulled up only if it has no condition, not even "true" */
	Node	   *condition = quals == NIL ? NULL : (Node *) make_ands_explicit(quals);
	FromExpr   *jointree = makeFromExpr(list_make1(query_reference(1)), condition);
	Query	   *query = query_make(list_make1(rte), jointree, tlist);

	query->hasAggs = contain_agg_clause((Node *) tlist);
#if PG_VERSION_NUM >= 160000
	/* the planner looks there for the user; no right is required */
	if (rte->rtekind == RTE_RELATION)
		(void) addRTEPermissionInfo(&query->rteperminfos, rte);
#endif
	return query;
}

List *
query_target(List *tlist, Expr *expr)
{
	AttrNumber	resno = (AttrNumber) (list_length(tlist) + 1);

	return lappend(tlist, makeTargetEntry(expr, resno, psprintf("c%d", resno), false));
}
