/*-------------------------------------------------------------------------
 *
 * join_query.c
 *		Queries over a plan's join: at the snapshot, and by what has changed.
 *
 * Let A, B, ... be the occurrences, D their differences, 0 the time of the last
 * batch and 1 that of this one's snapshot S.  Then
 *
 *		A1 x B1 x C1 - A0 x B0 x C0 =
 *			DA x B1 x C1  +  A0 x DB x C1  +  A0 x B0 x DC
 *
 * for any conditions, one term for each occurrence that has changed.  Only S can
 * be read; but a table as it was is the table as it is without its difference,
 * so A0 is A1 UNION ALL -DA.  If few occurrences have changed this is multiplied out,
 *
 *		DA x B1 + A1 x DB - DA x DB
 *
 * one term for each set of them: more terms, but of tables alone, of which the planner
 * has statistics.  Rows have weights: 1 in a table, the number of
 * times that it came more than it went in a difference.  The weight of a joined
 * row is the product of those of its parts.
 *
 * Each occurrence is a subquery with the columns of the join's input, which the
 * planner pulls up: the table in UNION ALL, too, so that its indexes serve.
 * Differences are ephemeral named relations, as transition tables of triggers.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "execute.h"
#include "join_query.h"
#include "query_nodes.h"

static char *
changes_name(int occurrence)
{
	return psprintf("freshet_changes_%d", occurrence + 1);
}

TupleDesc
join_changes_desc(const SinkPlan *plan, int occurrence)
{
	const JoinInput *input = &plan_inputs(plan)[occurrence];
	Oid			relid = plan_source_of(plan, occurrence)->relid;
	TupleDesc	desc = CreateTemplateTupleDesc(input->ncolumns + 1);
	AttrNumber	column = 1;

	for (; column <= input->ncolumns; column++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(relid, input->attnos[column - 1], &type, &typmod, &collation);
		TupleDescInitEntry(desc, column, NULL, type, typmod, 0);
		TupleDescInitEntryCollation(desc, column, collation);
	}
	TupleDescInitEntry(desc, column, "weight", INT8OID, -1, 0);
	return desc;
}

static Expr *
weight_of_one(void)
{
	return (Expr *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(1), false,
							  FLOAT8PASSBYVAL);
}

/* A column of the changes, or of a query that has the same columns. */
static Var *
changes_var(const JoinChanges *changes, int varno, AttrNumber column)
{
	Form_pg_attribute att = TupleDescAttr(changes->desc, column - 1);

	return makeVar(varno, column, att->atttypid, att->atttypmod, att->attcollation, 0);
}

/* The rows at the snapshot. */
static Query *
table_side(const SinkPlan *plan, const JoinChanges *changes, int occurrence)
{
	List	   *tlist = NIL;
	AttrNumber	column = 1;

	for (; column < changes->desc->natts; column++)
	{
		Var		   *var = changes_var(changes, 1, column);

		var->varattno = plan_inputs(plan)[occurrence].attnos[column - 1];
		tlist = query_target(tlist, (Expr *) var);
	}
	tlist = query_target(tlist, weight_of_one());
	return query_select(query_table(plan_source_of(plan, occurrence)->relid), NIL, tlist);
}

/* The difference, or what takes it away. */
static Query *
changes_side(const JoinChanges *changes, int occurrence, bool negated)
{
	List	   *tlist = NIL;

	for (AttrNumber column = 1; column <= changes->desc->natts; column++)
	{
		Expr	   *expr = (Expr *) changes_var(changes, 1, column);

		if (negated && column == changes->desc->natts)
			expr = (Expr *) makeFuncExpr(F_INT8UM, INT8OID, list_make1(expr), InvalidOid,
										 InvalidOid, COERCE_EXPLICIT_CALL);
		tlist = query_target(tlist, expr);
	}
	return query_select(query_rows(changes_name(occurrence), changes->desc, changes->count), NIL,
						tlist);
}

/* The rows at the snapshot and those that have changed; or without these. */
static Query *
changed_side(const SinkPlan *plan, const JoinChanges *changes, int occurrence, bool without)
{
	Query	   *query;
	SetOperationStmt *op = makeNode(SetOperationStmt);
	List	   *tlist = NIL;
	Query	   *now = table_side(plan, changes, occurrence);
	Query	   *change = changes_side(changes, occurrence, without);

	/*
	 * An index of the table serves only if all members of the UNION ALL can be asked
	 * for rows of a given column.  The planner can have that of a subquery, but not of
	 * what it reads from if it is pulled up, which a condition prevents.
	 */
	change->jointree->quals = makeBoolConst(true, false);
	op->op = SETOP_UNION;
	op->all = true;
	op->larg = query_reference(1);
	op->rarg = query_reference(2);
	for (AttrNumber column = 1; column <= changes->desc->natts; column++)
	{
		Var		   *var = changes_var(changes, 1, column);

		op->colTypes = lappend_oid(op->colTypes, var->vartype);
		op->colTypmods = lappend_int(op->colTypmods, var->vartypmod);
		op->colCollations = lappend_oid(op->colCollations, var->varcollid);
		tlist = query_target(tlist, (Expr *) var);
	}

	query = query_make(list_make2(query_subquery(now), query_subquery(change)),
					   makeFromExpr(NIL, NULL), tlist);
	query->setOperations = (Node *) op;
	return query;
}

Query *
join_side_query(const SinkPlan *plan, const JoinChanges *changes, int occurrence, JoinSide side)
{
	switch (side)
	{
		case SIDE_CHANGES:
			return changes_side(changes, occurrence, false);
		case SIDE_OLD:
			return changed_side(plan, changes, occurrence, true);
		case SIDE_BOTH:
			return changed_side(plan, changes, occurrence, false);
		case SIDE_NEW:
			return table_side(plan, changes, occurrence);
	}
	pg_unreachable();
}

/* The join of these sides; tlist is over them. */
static Query *
join_sides(const SinkPlan *plan, List *sides, List *tlist)
{
	List	   *rtable = NIL;
	List	   *references = NIL;
	Node	   *conditions = (Node *) make_ands_explicit(copyObject(plan->join->conditions));
	ListCell   *lc;

	foreach(lc, sides)
	{
		rtable = lappend(rtable, query_subquery(lfirst(lc)));
		references = lappend(references, query_reference(list_length(rtable)));
	}
	return query_make(rtable, makeFromExpr(references, conditions), tlist);
}

static List *
joined_columns(const SinkPlan *plan)
{
	List	   *tlist = NIL;
	ListCell   *lc;

	foreach(lc, plan->join->columns)
		tlist = query_target(tlist, copyObject(lfirst(lc)));
	return tlist;
}

Query *
join_query(const SinkPlan *plan)
{
	List	   *sides = NIL;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		JoinChanges none = {.desc = join_changes_desc(plan, i)};

		sides = lappend(sides, join_side_query(plan, &none, i, SIDE_NEW));
	}
	return join_sides(plan, sides, joined_columns(plan));
}

Query *
join_term_query(const SinkPlan *plan, const JoinChanges *changes, int changed)
{
	List	   *tlist = joined_columns(plan);
	List	   *sides = NIL;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		JoinSide	side = SIDE_NEW;

		if (i <= changed && changes[i].store != NULL)
		{
			side = i == changed ? SIDE_CHANGES : SIDE_OLD;
			tlist = query_target(tlist, (Expr *) changes_var(&changes[i], i + 1,
															 changes[i].desc->natts));
		}
		sides = lappend(sides, join_side_query(plan, &changes[i], i, side));
	}
	return join_sides(plan, sides, tlist);
}

Query *
join_set_query(const SinkPlan *plan, const JoinChanges *changes, const Bitmapset *set)
{
	List	   *tlist = joined_columns(plan);
	List	   *sides = NIL;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		bool		member = bms_is_member(i, set);

		if (member)
			tlist = query_target(tlist, (Expr *) changes_var(&changes[i], i + 1,
															 changes[i].desc->natts));
		sides = lappend(sides, join_side_query(plan, &changes[i], i,
											   member ? SIDE_CHANGES : SIDE_NEW));
	}
	return join_sides(plan, sides, tlist);
}

int
join_term_weights(const JoinChanges *changes, int changed)
{
	int			n = 0;

	for (int i = 0; i <= changed; i++)
		n += changes[i].store != NULL;
	return n;
}

QueryEnvironment *
join_term_environment(const SinkPlan *plan, const JoinChanges *changes)
{
	QueryEnvironment *env = create_queryEnv();

	for (int i = 0; i < plan->noccurrences; i++)
	{
		if (changes[i].store != NULL)
			execute_register_rows(env, changes_name(i), changes[i].desc, changes[i].store,
								  changes[i].count);
	}
	return env;
}
