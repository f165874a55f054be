/*-------------------------------------------------------------------------
 *
 * analyze_copy.c
 *		Key and outputs of a query without GROUP BY and aggregates.
 *
 * A changed row of the source is found again by a key (see table_key.c) whose
 * columns are in the select list as they are.  A hopping window makes several
 * rows of one, which window_start tells apart.  The rows of a join have the keys of
 * all its sources.  Without a key the copy is a bag,
 * whose rows are known by all of their values.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "analyze_internal.h"
#include "table_key.h"

/* Index of the output column that is just this column, or -1. */
static int
plain_column(const SinkPlan *plan, int varno, AttrNumber attno)
{
	int			c;

	for (c = 0; c < plan->ncolumns; c++)
	{
		const Var  *var = (const Var *) plan->columns[c].expr;

		if (IsA(var, Var) && var->varno == varno && var->varattno == attno)
			return c;
	}
	return -1;
}

static void
add_copy_key(SinkPlan *plan, int column)
{
	KeySpec    *key = &plan->keys[plan->nkeys++];
	SinkColumn *output = &plan->columns[column];
	TypeCacheEntry *type = lookup_type_cache(output->type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);

	if (!OidIsValid(type->eq_opr) || !OidIsValid(type->lt_opr))
		REFUSE(psprintf("a key of type %s", format_type_be(output->type)),
			   "A key needs a type that can be sorted.");
	key->expr = output->expr;
	key->type = output->type;
	key->typmod = output->typmod;
	key->collation = output->collation;
	key->eqop = type->eq_opr;
	key->sortop = type->lt_opr;
	key->column = column;
}

/* The output columns that are these columns of an occurrence; NIL if not all are selected. */
static List *
selected_columns(const SinkPlan *plan, int occurrence, List *attnos)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, attnos)
	{
		AttrNumber	attno = (AttrNumber) lfirst_int(lc);
		int			column;

		if (plan->join != NULL)
			attno = analyze_join_find(plan, occurrence, attno);
		column = attno == 0 ? -1 : plain_column(plan, 1, attno);
		if (column < 0)
			return NIL;
		columns = lappend_int(columns, column);
	}
	return columns;
}

/* The output columns that are a key of an occurrence; NIL if none is selected. */
static List *
key_columns(const SinkPlan *plan, int occurrence)
{
	Relation	rel = table_open(plan_source_of(plan, occurrence)->relid, NoLock);
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, table_keys(rel))
	{
		columns = selected_columns(plan, occurrence, lfirst(lc));
		if (columns != NIL)
			break;
	}
	table_close(rel, NoLock);
	return columns;
}

/*
 * The key is that of the source; a joined row has those of all its sources.
 * False if one of them is not in the select list.
 */
static bool
make_key(SinkPlan *plan)
{
	List	   *columns = NIL;
	ListCell   *lc;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		List	   *key = key_columns(plan, i);

		if (key == NIL)
			return false;
		columns = list_concat(columns, key);
	}
	plan->keys = palloc0(sizeof(KeySpec) * (list_length(columns) + 1));
	foreach(lc, columns)
		add_copy_key(plan, lfirst_int(lc));
	return true;
}

/* The rest of the key: a row is in several windows of hop. */
static bool
make_window_key(SinkPlan *plan)
{
	int			column = plain_column(plan, INNER_VAR, 1);

	if (column >= 0)
		add_copy_key(plan, column);
	return column >= 0 || !plan_rows(plan)->window->hop;
}

void
analyze_copy(AnalyzeContext *ctx)
{
	SinkPlan   *plan = ctx->plan;
	ListCell   *lc;

	foreach(lc, ctx->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			analyze_output_column(plan, tle, analyze_row_expr(ctx, (Node *) tle->expr));
	}
	if (ctx->as_bag || !make_key(plan) ||
		(plan_rows(plan)->window != NULL && !make_window_key(plan)))
	{
		plan->shape = SHAPE_BAG;
		plan->nkeys = 0;
	}
}
