/*-------------------------------------------------------------------------
 *
 * key_paths.c
 *		Queries from changed rows to keys, and from keys to the sink's rows.
 *
 * A path (compile/analyze_keyed.c) is a join that begins with the changes of an
 * occurrence.  The others on it are read at the snapshot, together with what the
 * batch has changed in them: one of these may have been there before, with the
 * changed row, and be gone.
 *
 * Both are node trees that are given to the planner as they are, so that no rights on
 * the tables behind a view, nor on the schema of the sink, are asked for.  What the
 * owner sees of them is the keys, by which the definition is asked under its own
 * rights.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "base/process.h"
#include "key_paths.h"
#include "query_nodes.h"

/* The join as far as it is built. */
typedef struct PathJoin
{
	const SinkPlan *plan;
	const JoinChanges *changes;
	List	   *rtable;
	Node	   *from;
	Index	   *places;			/* by occurrence, in the range table; 0: not there */
	Index	   *outer_joins;	/* by occurrence, that of the outer join that may make
								 * it NULL, or 0 */
} PathJoin;

static Node *
place_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		const PathJoin *join = context;
		Var		   *var = copyObject((Var *) node);
		int			occurrence = var->varno - 1;

		var->varno = join->places[occurrence];
		Assert(var->varno > 0);
#if PG_VERSION_NUM >= 160000
		if (join->outer_joins[occurrence] != 0)
			var->varnullingrels = bms_make_singleton(join->outer_joins[occurrence]);
#endif
		return (Node *) var;
	}
	return expression_tree_mutator(node, place_mutator, context);
}

static Node *
placed_conditions(PathJoin *join, List *conditions)
{
	if (conditions == NIL)
		return NULL;
	return place_mutator((Node *) make_ands_explicit(copyObject(conditions)), join);
}

static Node *
add_side(PathJoin *join, int occurrence, JoinSide side)
{
	Query	   *query = join_side_query(join->plan, &join->changes[occurrence], occurrence, side);

	join->rtable = lappend(join->rtable, query_subquery(query));
	join->places[occurrence] = list_length(join->rtable);
	return query_reference(join->places[occurrence]);
}

/* The entry that an outer join needs; none of its columns is read through it. */
static Index
add_outer_join(PathJoin *join)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_JOIN;
	rte->jointype = JOIN_LEFT;
	rte->inFromCl = true;
	rte->eref = makeAlias("j", NIL);
	join->rtable = lappend(join->rtable, rte);
	return list_length(join->rtable);
}

static void
add_step(PathJoin *join, const KeyStep *step)
{
	JoinExpr   *expr = makeNode(JoinExpr);
	bool		changed = join->changes[step->occurrence].store != NULL;

	expr->jointype = step->outer ? JOIN_LEFT : JOIN_INNER;
	expr->larg = join->from;
	expr->rarg = add_side(join, step->occurrence, changed ? SIDE_BOTH : SIDE_NEW);
	/* within ON the columns are not NULL yet */
	expr->quals = placed_conditions(join, step->conditions);
	if (step->outer)
	{
		expr->rtindex = add_outer_join(join);
		join->outer_joins[step->occurrence] = expr->rtindex;
	}
	join->from = (Node *) expr;
}

Query *
key_path_query(const SinkPlan *plan, const JoinChanges *changes, int occurrence,
			   const KeyPath *path)
{
	PathJoin	join = {.plan = plan,.changes = changes};
	List	   *tlist = NIL;
	ListCell   *lc;

	join.places = palloc0(plan->noccurrences * sizeof(Index));
	join.outer_joins = palloc0(plan->noccurrences * sizeof(Index));
	join.from = add_side(&join, occurrence, SIDE_CHANGES);
	foreach(lc, path->steps)
		add_step(&join, lfirst(lc));
	foreach(lc, path->keys)
		tlist = query_target(tlist, (Expr *) place_mutator(lfirst(lc), &join));
	return query_make(join.rtable, makeFromExpr(list_make1(join.from),
												placed_conditions(&join, path->conditions)),
					  tlist);
}

static Var *
sink_var(Sink *sink, int column)
{
	const SinkColumn *c = &sink->plan->columns[column];

	return makeVar(2, sink_column_attno(sink, column), c->type, c->typmod, c->collation, 0);
}

static Expr *
key_condition(Sink *sink, const KeySpec *key, int i, bool is_null)
{
	NullTest   *test;
	Var		   *var;

	if (!is_null)
	{
		var = makeVar(1, (AttrNumber) (i + 1), key->type, key->typmod, key->collation, 0);
		return make_opclause(key->eqop, BOOLOID, false, (Expr *) sink_var(sink, key->column),
							 (Expr *) var, InvalidOid, key->collation);
	}
	test = makeNode(NullTest);
	test->arg = (Expr *) sink_var(sink, key->column);
	test->nulltesttype = IS_NULL;
	/* a row of NULLs is no NULL */
	test->argisrow = false;
	test->location = -1;
	return (Expr *) test;
}

Query *
key_rows_query(Sink *sink, char *name, TupleDesc desc, int64 count, int nulls)
{
	const KeyedQueryPlan *keyed = plan_keyed_query(sink->plan);
	Var		   *tid = makeVar(2, SelfItemPointerAttributeNumber, TIDOID, -1, InvalidOid, 0);
	List	   *tlist = query_target(NIL, (Expr *) tid);
	List	   *conditions = NIL;
	Query	   *query;

	for (int i = 0; i < sink->plan->ncolumns; i++)
		tlist = query_target(tlist, (Expr *) sink_var(sink, i));
	for (int i = 0; i < keyed->nkeys; i++)
		conditions = lappend(conditions, key_condition(sink, &keyed->keys[i], i,
													   (nulls & (1 << i)) != 0));
	query = query_select(query_table(sink->relid), NIL, tlist);
	query->rtable = lcons(query_rows(name, desc, count), query->rtable);
	query->jointree = makeFromExpr(list_make2(query_reference(1), query_reference(2)),
								   (Node *) make_ands_explicit(conditions));
	return query;
}
