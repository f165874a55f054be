/*-------------------------------------------------------------------------
 *
 * stages.c
 *		Take a query apart into stages.
 *
 * What has rules for single changes are simple queries: one that selects, joins
 * and filters, and one that groups the rows of such a one.  A query that is more
 * is divided, from the inside to the outside, until each part is simple:
 *
 *	- a subquery in FROM, or in WITH, that groups is a stage, and is read in its
 *	  place; so is a view that groups, read by a stage that selects all of it;
 *	- what is asked of groups (HAVING, DISTINCT, a window function, LIMIT) is
 *	  asked of the rows of a stage that groups (split.c);
 *	- DISTINCT is GROUP BY all columns, and an aggregate with DISTINCT one over
 *	  the groups of its argument.
 *
 * Equal queries are one stage.  What is left over the stages may be something that
 * has no rules (a LIMIT, say): then it is run whenever a stage changes, and it is
 * the caller's to decide whether that is better than to run the whole.
 *
 * A query of a view is never made part of a stage: its tables are read by the
 * rights of its owner, and it can be replaced.  (flatten_query() reads it for the
 * stage, again and again.)  So what is made here follows from the query alone.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/sysattr.h"
#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_relation.h"
#include "storage/lockdefs.h"
#include "utils/lsyscache.h"

#include "definition.h"
#include "stages.h"
#include "stages_internal.h"

static void take_level(QueryStages *stages, Query *query);

/*
 * Stages
 */

static bool
is_name_taken(List *targets, const TargetEntry *tle)
{
	ListCell   *lc;

	foreach(lc, targets)
	{
		TargetEntry *other = lfirst_node(TargetEntry, lc);

		if (other == tle)
			return false;
		if (!other->resjunk && strcmp(other->resname, tle->resname) == 0)
			return true;
	}
	return false;
}

/* Columns in FROM need no names of their own, those of a table do. */
static void
name_columns(Query *query)
{
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		int			n = tle->resno;

		if (tle->resjunk)
			continue;
		if (tle->resname == NULL || SystemAttributeByName(tle->resname) != NULL ||
			strcmp(tle->resname, "?column?") == 0 ||
			strncmp(tle->resname, FRESHET_COLUMN_PREFIX, strlen(FRESHET_COLUMN_PREFIX)) == 0)
			tle->resname = psprintf("column%d", n);
		while (is_name_taken(query->targetList, tle))
			tle->resname = psprintf("column%d", n++);
	}
}

int
stages_add(QueryStages *stages, Query *query, const char *reason)
{
	QueryStage *stage;
	ListCell   *lc;

	if (query->limitCount == NULL && query->limitOffset == NULL)
		query->sortClause = NIL;
	name_columns(query);
	foreach(lc, stages->stages)
	{
		stage = lfirst(lc);
		if (equal(stage->query, query))
			return foreach_current_index(lc);
	}
	stage = palloc0(sizeof(QueryStage));
	stage->query = query;
	stage->reason = reason;
	stages->stages = lappend(stages->stages, stage);
	return list_length(stages->stages) - 1;
}

static List *
column_names(const Query *query)
{
	List	   *names = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			names = lappend(names, makeString(pstrdup(tle->resname)));
	}
	return names;
}

void
stages_read(QueryStages *stages, int stage, Query *query, RangeTblEntry *rte)
{
	QueryStage *read = list_nth(stages->stages, stage);
	StageReader *reader = palloc(sizeof(StageReader));
	List	   *names = column_names(read->query);
	Bitmapset  *columns;

	columns = bms_add_range(NULL, 1 - FirstLowInvalidHeapAttributeNumber,
							list_length(names) - FirstLowInvalidHeapAttributeNumber);
	rte->rtekind = RTE_RELATION;
	/* no table's number: tells stages that are not made yet from each other */
	rte->relid = stage + 1;
	rte->relkind = RELKIND_RELATION;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	rte->lateral = false;
	rte->security_barrier = false;
	rte->subquery = NULL;
	if (rte->eref == NULL)
		rte->eref = makeAlias("stage", names);
	freshet_set_selected_columns(query, rte, columns);

	reader->query = query;
	reader->rte = rte;
	read->readers = lappend(read->readers, reader);
}

Query *
stages_select_from(QueryStages *stages, int stage)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	ref->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	stages_read(stages, stage, query, rte);
	return query;
}

void
stages_bind(QueryStage *stage, Oid relid)
{
	ListCell   *lc;

	foreach(lc, stage->readers)
	{
		StageReader *reader = lfirst(lc);

		freshet_set_entry_relid(reader->query, reader->rte, relid);
	}
}

/*
 * Taking apart
 */

static bool
is_grouped(const Query *query)
{
	return query->hasAggs || query->groupClause != NIL;
}

static bool
is_limited(const Query *query)
{
	return query->limitCount != NULL || query->limitOffset != NULL;
}

/* Does it nothing but group? */
static bool
is_rollup(const Query *query)
{
	return is_grouped(query) && query->groupingSets == NIL && query->havingQual == NULL &&
		query->distinctClause == NIL && !query->hasWindowFuncs && !query->hasTargetSRFs &&
		query->setOperations == NULL && query->rowMarks == NIL && !is_limited(query);
}

/* A column of the query that is the first entry of FROM, selected as it is. */
static TargetEntry *
select_column(const TargetEntry *tle, char *name)
{
	Node	   *expr = (Node *) tle->expr;
	Var		   *var = makeVar(1, tle->resno, exprType(expr), exprTypmod(expr),
							  exprCollation(expr), 0);

	return makeTargetEntry((Expr *) var, tle->resno, name, false);
}

/* All columns of a view, as one who reads it sees them. */
static Query *
select_view(const RangeTblEntry *view, const Query *definition)
{
	Query	   *query = makeNode(Query);
	RangeTblEntry *rte = makeNode(RangeTblEntry);
	RangeTblRef *ref = makeNode(RangeTblRef);
	Bitmapset  *columns = NULL;
	ListCell   *lc;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->rtable = list_make1(rte);
	ref->rtindex = 1;
	query->jointree = makeFromExpr(list_make1(ref), NULL);
	foreach(lc, definition->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		query->targetList = lappend(query->targetList,
									select_column(tle, get_attname(view->relid, tle->resno,
																   false)));
		columns = bms_add_member(columns, tle->resno - FirstLowInvalidHeapAttributeNumber);
	}
	rte->rtekind = RTE_RELATION;
	rte->relid = view->relid;
	rte->relkind = RELKIND_VIEW;
	rte->rellockmode = AccessShareLock;
	rte->inh = true;
	rte->inFromCl = true;
	rte->eref = makeAlias(get_rel_name(view->relid), column_names(query));
	freshet_set_selected_columns(query, rte, columns);
	return query;
}

static void
take_view(QueryStages *stages, Query *query, RangeTblEntry *rte)
{
	Query	   *definition;
	int			stage;

	if (get_rel_relkind(rte->relid) != RELKIND_VIEW || !definition_reads_entry(rte))
		return;
	definition = definition_query(rte->relid);
	if (definition == NULL || definition->cteList != NIL || !is_rollup(definition))
		return;
	stage = stages_add(stages, select_view(rte, definition), "a view that groups");
	stages_read(stages, stage, query, rte);
}

static void
take_subquery(QueryStages *stages, Query *query, RangeTblEntry *rte)
{
	/* one for each row of the tables beside it */
	if (rte->lateral || contain_vars_of_level((Node *) rte->subquery, 1))
		return;
	take_level(stages, rte->subquery);
	if (is_rollup(rte->subquery))
		stages_read(stages, stages_add(stages, rte->subquery, "a subquery in FROM that groups"),
					query, rte);
}

/* A branch of UNION and the like has to be a subquery. */
static void
take_branch(QueryStages *stages, RangeTblEntry *rte)
{
	Query	   *branch = rte->subquery;
	Query	   *query;
	ListCell   *lc;

	take_level(stages, branch);
	if (!is_rollup(branch))
		return;
	query = stages_select_from(stages, stages_add(stages, branch, "a branch that groups"));
	foreach(lc, branch->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			query->targetList = lappend(query->targetList, select_column(tle, tle->resname));
	}
	rte->subquery = query;
}

static void
take_entries(QueryStages *stages, Query *query)
{
	ListCell   *lc;

	foreach(lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind == RTE_RELATION && query->setOperations == NULL)
			take_view(stages, query, rte);
		else if (rte->rtekind == RTE_SUBQUERY && query->setOperations != NULL)
			take_branch(stages, rte);
		else if (rte->rtekind == RTE_SUBQUERY)
			take_subquery(stages, query, rte);
	}
}

/* What the query asks of groups, beyond their keys and aggregates. */
static const char *
asked_of_groups(const Query *query)
{
	if (query->havingQual != NULL)
		return "HAVING";
	if (query->distinctClause != NIL)
		return "DISTINCT over groups";
	if (query->hasWindowFuncs)
		return "a window function over groups";
	if (is_limited(query))
		return "LIMIT or OFFSET over groups";
	if (query->hasTargetSRFs)
		return "a set-returning function over groups";
	return NULL;
}

static void
take_level(QueryStages *stages, Query *query)
{
	check_stack_depth();
	if (query->commandType != CMD_SELECT || query->rowMarks != NIL)
		return;
	take_entries(stages, query);
	if (query->setOperations != NULL || query->groupingSets != NIL || query->hasDistinctOn)
		return;

	if (is_grouped(query) && asked_of_groups(query) != NULL &&
		!split_groups(stages, query, asked_of_groups(query)))
		return;
	if (query->distinctClause != NIL && !is_grouped(query) && !query->hasWindowFuncs &&
		!query->hasTargetSRFs && !is_limited(query))
	{
		query->groupClause = query->distinctClause;
		query->distinctClause = NIL;
		query->sortClause = NIL;
	}
	if (is_rollup(query) && split_has_distinct_aggregates(query))
		(void) split_distinct_aggregates(stages, query);
}

QueryStages *
stages_take_apart(const Query *query)
{
	QueryStages *stages = palloc0(sizeof(QueryStages));

	stages->last = copyObject((Query *) query);
	if (!with_resolve(stages->last))
		return NULL;
	take_level(stages, stages->last);
	if (stages->stages == NIL && equal(stages->last, query))
		return NULL;
	return stages;
}
