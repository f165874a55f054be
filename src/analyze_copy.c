/*-------------------------------------------------------------------------
 *
 * analyze_copy.c
 *		Key and outputs of a query without GROUP BY and aggregates.
 *
 * A copy needs a key by which a changed row of the source is found again: the
 * primary key, or else (a source that is a sink has none) a unique index
 * under which NULLs are equal or can't occur.  Its columns must be in the
 * select list as they are.  A hopping window makes several rows of one, which
 * window_start tells apart.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "analyze_internal.h"

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

/*
 * Is the index one that makes rows unique at all times, as equality of the
 * columns' types and collations sees it?  (A deferrable one does not: within a
 * transaction, two rows can have one key, and the second change of that key
 * would undo the first.)
 */
static bool
is_key_index(Relation rel, HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);
	oidvector  *opclasses;
	oidvector  *collations;
	bool		isnull;
	int			i;

	if (!index->indisunique || !index->indisvalid || !index->indimmediate ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		return false;

	opclasses = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															  Anum_pg_index_indclass, &isnull));
	collations = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															   Anum_pg_index_indcollation,
															   &isnull));
	for (i = 0; i < index->indnkeyatts; i++)
	{
		AttrNumber	attno = index->indkey.values[i];
		Form_pg_attribute att;

		if (attno <= 0)
			return false;		/* an expression */
		att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
		if (!att->attnotnull && !index->indnullsnotdistinct)
			return false;
		if (collations->values[i] != att->attcollation ||
			opclasses->values[i] != GetDefaultOpClass(att->atttypid, BTREE_AM_OID))
			return false;
	}
	return true;
}

/* Make the index the key of the copy, if its columns are all selected. */
static bool
use_key_index(SinkPlan *plan, Form_pg_index index)
{
	int			columns[INDEX_MAX_KEYS];
	int			i;

	for (i = 0; i < index->indnkeyatts; i++)
	{
		columns[i] = plain_column(plan, 1, index->indkey.values[i]);
		if (columns[i] < 0)
			return false;
	}
	plan->keys = palloc0(sizeof(KeySpec) * (index->indnkeyatts + 1));
	for (i = 0; i < index->indnkeyatts; i++)
		add_copy_key(plan, columns[i]);
	return true;
}

/* One pass over the indexes: the primary key's, or the others in OID order. */
static bool
find_key(SinkPlan *plan, Relation rel, List *indexes, bool primary, bool *exists)
{
	bool		found = false;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		Oid			indexid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
		Form_pg_index index;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", indexid);
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (index->indisprimary == primary && is_key_index(rel, tuple))
		{
			*exists = true;
			found = use_key_index(plan, index);
		}
		ReleaseSysCache(tuple);
		if (found)
			break;
	}
	return found;
}

static void
make_key(SinkPlan *plan)
{
	Relation	rel = table_open(plan->sources[0].relid, NoLock);
	List	   *indexes = RelationGetIndexList(rel);
	bool		exists = false;

	if (!find_key(plan, rel, indexes, true, &exists) &&
		!find_key(plan, rel, indexes, false, &exists))
	{
		const char *name = RelationGetRelationName(rel);

		if (!exists)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" has no primary key by which a sink can follow its rows",
							name),
					 errhint("Add a primary key that is not deferrable, or use GROUP BY.")));
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("the primary key of the source must be in the select list"),
				 errdetail("A sink without GROUP BY finds the rows of \"%s\" by it.", name),
				 errhint("Add its columns, as they are, to the select list.")));
	}
	table_close(rel, NoLock);
}

static void
make_window_key(SinkPlan *plan)
{
	int			column = plain_column(plan, INNER_VAR, 1);

	if (column >= 0)
		add_copy_key(plan, column);
	else if (plan->window->hop)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("window_start of freshet.hop must be in the select list"),
				 errdetail("A row is in several windows, which only window_start tells apart."),
				 errhint("Add window_start, as it is, to the select list.")));
}

void
analyze_copy(AnalyzeContext *ctx)
{
	SinkPlan  *plan = ctx->plan;
	ListCell   *lc;

	plan->shape = SHAPE_COPY;
	foreach(lc, ctx->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			analyze_output_column(plan, tle, analyze_row_expr(ctx, (Node *) tle->expr));
	}
	make_key(plan);
	if (plan->window != NULL)
		make_window_key(plan);
}
