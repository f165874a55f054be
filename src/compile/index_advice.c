/*-------------------------------------------------------------------------
 *
 * index_advice.c
 *		Indexes that the maintenance of a wide view or of a join needs.
 *
 * Of a wide view, two questions are asked at each change, for each lookup:
 *
 *	- Which rows of the lookup belong to a given element?  An index on the
 *	  lookup's related columns answers it.
 *	- Which rows of the enclosing table is a given row of the lookup related
 *	  to?  An index on the columns of the other side.  If a lookup is related
 *	  to several enclosing elements, the innermost leads to the others.  It is
 *	  not asked of a lookup that is related to the root's key: the row itself
 *	  tells the document.
 *
 * Of a join it is one, asked in both directions for each two occurrences that
 * conditions of equality of columns relate: which rows of this one is a row of the
 * other joined with?
 *
 * So it is of a query that is recomputed by key, whose rows are found by the key, too.
 *
 * Without an index the answer is there nevertheless, after reading the whole
 * table; so a missing one is worth a NOTICE, not an error.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/names.h"
#include "index_advice.h"

/* An index wanted. */
typedef struct Wanted
{
	Oid			relid;
	int			ncolumns;
	AttrNumber	attnos[INDEX_MAX_KEYS];
	Oid			collations[INDEX_MAX_KEYS]; /* of the comparison */
	int			number;			/* order in which they are reported */
	const char *purpose;		/* what it is for, as a noun phrase */
} Wanted;

static int
find_attno(const Wanted *wanted, AttrNumber attno)
{
	for (int i = 0; i < wanted->ncolumns; i++)
	{
		if (wanted->attnos[i] == attno)
			return i;
	}
	return -1;
}

/* More columns than an index can have are of no use. */
static void
add_index_column(Wanted *wanted, AttrNumber attno, Oid collation)
{
	if (wanted->ncolumns == INDEX_MAX_KEYS || find_attno(wanted, attno) >= 0)
		return;
	wanted->attnos[wanted->ncolumns] = attno;
	wanted->collations[wanted->ncolumns++] = collation;
}

/* Does column i of the index compare as the type's default b-tree does? */
static bool
index_column_serves(const Wanted *wanted, Oid am, AttrNumber attno, Oid opclass, Oid collation)
{
	int			column = find_attno(wanted, attno);

	return column >= 0 && collation == wanted->collations[column] &&
		opclass == GetDefaultOpClass(get_atttype(wanted->relid, attno), am);
}

static Oid
access_method(Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(indexid));
	Oid			am;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	am = ((Form_pg_class) GETSTRUCT(tuple))->relam;
	ReleaseSysCache(tuple);
	return am;
}

/*
 * The leading columns must be those wanted, in any order; or fewer, if these
 * are unique.
 */
static bool
index_serves(const Wanted *wanted, Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	Form_pg_index index;
	oidvector  *opclasses;
	oidvector  *collations;
	Oid			am = access_method(indexid);
	bool		isnull;
	bool		result;
	int			n = 0;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", indexid);
	index = (Form_pg_index) GETSTRUCT(tuple);
	opclasses = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															  Anum_pg_index_indclass, &isnull));
	collations = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															   Anum_pg_index_indcollation,
															   &isnull));
	while (n < index->indnkeyatts && n < wanted->ncolumns &&
		   index_column_serves(wanted, am, index->indkey.values[n], opclasses->values[n],
							   collations->values[n]))
		n++;
	result = index->indisvalid && heap_attisnull(tuple, Anum_pg_index_indpred, NULL) &&
		(am == BTREE_AM_OID || am == HASH_AM_OID) &&
		(n == wanted->ncolumns ||
		 (n == index->indnkeyatts && index->indisunique && index->indimmediate));
	ReleaseSysCache(tuple);
	return result;
}

/* The table's indexes, and those that we have just created or named. */
static bool
exists(const Wanted *wanted, List *named)
{
	Relation	rel = table_open(wanted->relid, NoLock);
	bool		result = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
		result = result || index_serves(wanted, lfirst_oid(lc));
	table_close(rel, NoLock);

	foreach(lc, named)
	{
		const Wanted *other = lfirst(lc);
		int			n = 0;

		if (other->relid != wanted->relid || other->ncolumns < wanted->ncolumns)
			continue;
		for (int i = 0; i < wanted->ncolumns; i++)
		{
			int			column = find_attno(wanted, other->attnos[i]);

			n += column >= 0 && wanted->collations[column] == other->collations[i];
		}
		result = result || n == wanted->ncolumns;
	}
	return result;
}

static char *
index_command(const Wanted *wanted)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE INDEX ON %s (", names_relation(wanted->relid));
	for (int i = 0; i < wanted->ncolumns; i++)
	{
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(wanted->relid, wanted->attnos[i], &type, &typmod, &collation);
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(wanted->relid, wanted->attnos[i], false)));
		if (collation != wanted->collations[i])
			appendStringInfo(&sql, " COLLATE %s",
							 generate_collation_name(wanted->collations[i]));
	}
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/* What the advice is for. */
static const char *
advised(const SinkPlan *plan)
{
	if (plan->shape == SHAPE_WIDE_VIEW)
		return "wide view";
	return plan->shape == SHAPE_KEYED_QUERY ? "query" : "join";
}

static void
create_index(const SinkPlan *plan, const Wanted *wanted)
{
	char	   *command = index_command(wanted);

	if (!freshet_owns_relation(wanted->relid, GetUserId()))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s to create an index that the %s needs",
						get_rel_name(wanted->relid), advised(plan)),
				 errhint("Have the owner run %s, or leave create_indexes out.", command)));
	names_run(command);
	ereport(NOTICE,
			(errmsg("created an index for the %s: %s", advised(plan), command),
			 errdetail("It serves %s.", wanted->purpose)));
}

static void
name_index(const SinkPlan *plan, const Wanted *wanted)
{
	ereport(NOTICE,
			(errmsg("an index is missing for the %s: %s", advised(plan), index_command(wanted)),
			 errdetail("Without it, %s reads the whole table.", wanted->purpose),
			 errhint("Create it, or call %s with create_indexes => true.",
					 plan->shape == SHAPE_WIDE_VIEW ? "create_wide_view" : "create_sink")));
}

/* Index on the lookup: from an element to its rows. */
static Wanted *
own_side(const SinkPlan *plan, int n)
{
	const KeyedNode *node = &plan_wide_view(plan)->nodes[n];
	Wanted	   *wanted = palloc0(sizeof(Wanted));

	wanted->relid = plan_source_of(plan, n)->relid;
	for (int i = 0; i < node->nrelated; i++)
		add_index_column(wanted, node->related[i].attno, node->related[i].collation);
	wanted->purpose = psprintf("finding the rows of \"%s\" that belong to a row of \"%s\"",
							   get_rel_name(wanted->relid),
							   get_rel_name(plan_source_of(plan, node->parent)->relid));
	return wanted;
}

/* Index on the enclosing table: from a row of the lookup to the elements. */
static Wanted *
outer_side(const SinkPlan *plan, int n)
{
	const KeyedNode *node = &plan_wide_view(plan)->nodes[n];
	Wanted	   *wanted = palloc0(sizeof(Wanted));
	int			innermost = 0;

	/* nodes that enclose each other are numbered from outside to inside */
	for (int i = 0; i < node->nrelated; i++)
		innermost = Max(innermost, node->related[i].outer_node);

	wanted->relid = plan_source_of(plan, innermost)->relid;
	for (int i = 0; i < node->nrelated; i++)
	{
		const RelatedColumn *related = &node->related[i];

		if (related->outer_node == innermost)
			add_index_column(wanted, related->outer_attno, related->collation);
	}
	wanted->purpose = psprintf("finding the rows of \"%s\" that a row of \"%s\" belongs to",
							   get_rel_name(wanted->relid),
							   get_rel_name(plan_source_of(plan, n)->relid));
	return wanted;
}

/* The column of an occurrence that one side of a condition is, or NULL. */
static const Var *
plain_side(const Node *node)
{
	while (IsA(node, RelabelType))
		node = (const Node *) ((const RelabelType *) node)->arg;
	return IsA(node, Var) ? (const Var *) node : NULL;
}

/* Is it an equality of a column of n (own) and one of other? */
static bool
relates(const Node *condition, int n, int other, const Var **own)
{
	const OpExpr *op = (const OpExpr *) condition;
	const Var  *left;
	const Var  *right;

	if (!IsA(op, OpExpr) || list_length(op->args) != 2 ||
		!op_mergejoinable(op->opno, exprType(linitial(op->args))))
		return false;
	left = plain_side(linitial(op->args));
	right = plain_side(lsecond(op->args));
	if (left == NULL || right == NULL)
		return false;
	*own = left->varno == n + 1 ? left : right;
	return (left->varno == n + 1 && right->varno == other + 1) ||
		(left->varno == other + 1 && right->varno == n + 1);
}

/* Index on n: from a row of the other to the rows that it is joined with; or NULL. */
static Wanted *
joined_side(const SinkPlan *plan, List *conditions, int n, int other)
{
	Wanted	   *wanted = palloc0(sizeof(Wanted));
	ListCell   *lc;

	wanted->relid = plan_source_of(plan, n)->relid;
	foreach(lc, conditions)
	{
		const Var  *own;

		if (relates(lfirst(lc), n, other, &own))
			add_index_column(wanted, plan_inputs(plan)[n].attnos[own->varattno - 1],
							 ((OpExpr *) lfirst(lc))->inputcollid);
	}
	if (wanted->ncolumns == 0)
		return NULL;
	wanted->purpose = psprintf("finding the rows of \"%s\" that a row of \"%s\" is joined with",
							   get_rel_name(wanted->relid),
							   get_rel_name(plan_source_of(plan, other)->relid));
	return wanted;
}

static List *
wanted_by_join(const SinkPlan *plan, List *conditions)
{
	List	   *wanted = NIL;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		for (int j = 0; j < plan->noccurrences; j++)
		{
			Wanted	   *index = i == j ? NULL : joined_side(plan, conditions, i, j);

			if (index != NULL)
				wanted = lappend(wanted, index);
		}
	}
	return wanted;
}

/* By which the rows of a key are found, if it is one of columns of one occurrence. */
static List *
wanted_by_key(const SinkPlan *plan)
{
	Wanted	   *wanted = palloc0(sizeof(Wanted));
	int			occurrence = -1;
	ListCell   *lc;

	foreach(lc, plan_keyed_query(plan)->exprs)
	{
		const Var  *var = plain_side(lfirst(lc));

		if (var == NULL || (occurrence >= 0 && var->varno != occurrence + 1))
			return NIL;
		occurrence = var->varno - 1;
		add_index_column(wanted, plan_inputs(plan)[occurrence].attnos[var->varattno - 1],
						 var->varcollid);
	}
	wanted->relid = plan_source_of(plan, occurrence)->relid;
	wanted->purpose = psprintf("finding the rows of \"%s\" with a key of the result",
							   get_rel_name(wanted->relid));
	return list_make1(wanted);
}

static List *
wanted_by_wide_view(const SinkPlan *plan)
{
	const WideViewPlan *view = plan_wide_view(plan);
	AttrNumber *key_attnos = palloc(plan->nkeys * sizeof(AttrNumber));
	List	   *wanted = NIL;

	for (int i = 1; i < view->nnodes; i++)
	{
		wanted = lappend(wanted, own_side(plan, i));
		if (!plan_knows_root_key(plan, i, key_attnos))
			wanted = lappend(wanted, outer_side(plan, i));
	}
	return wanted;
}

/* Wider ones first: they may serve for narrower ones. */
static int
compare_width(const ListCell *a, const ListCell *b)
{
	const Wanted *x = lfirst(a);
	const Wanted *y = lfirst(b);

	if (x->ncolumns != y->ncolumns)
		return y->ncolumns - x->ncolumns;
	return x->number - y->number;
}

/* List of Wanted *: those that are not there, on stages or on the other tables. */
static List *
find_missing(const SinkPlan *plan, bool of_stages)
{
	Oid			nsp = get_namespace_oid(FRESHET_STAGE_SCHEMA, true);
	List	   *wanted = NIL;
	List	   *missing = NIL;
	ListCell   *lc;

	if (plan->shape == SHAPE_WIDE_VIEW)
		wanted = wanted_by_wide_view(plan);
	else if (plan->join != NULL)
		wanted = wanted_by_join(plan, plan->join->conditions);
	else if (plan->shape == SHAPE_KEYED_QUERY)
		wanted = list_concat(wanted_by_key(plan),
							 wanted_by_join(plan, plan_keyed_query(plan)->equalities));
	foreach(lc, wanted)
		((Wanted *) lfirst(lc))->number = foreach_current_index(lc);
	list_sort(wanted, compare_width);

	foreach(lc, wanted)
	{
		bool		of_stage = get_rel_namespace(((Wanted *) lfirst(lc))->relid) == nsp;

		if (of_stage == of_stages && !exists(lfirst(lc), missing))
			missing = lappend(missing, lfirst(lc));
	}
	return missing;
}

void
index_advice(const SinkPlan *plan, bool create)
{
	ListCell   *lc;

	foreach(lc, find_missing(plan, false))
	{
		if (create)
			create_index(plan, lfirst(lc));
		else
			name_index(plan, lfirst(lc));
	}
}

List *
index_advice_commands(const SinkPlan *plan)
{
	List	   *commands = NIL;
	ListCell   *lc;

	foreach(lc, find_missing(plan, false))
		commands = lappend(commands, index_command(lfirst(lc)));
	return commands;
}

/* An entry of an index cannot be longer than a third of a page. */
static bool
has_short_entries(const Wanted *wanted)
{
	for (int i = 0; i < wanted->ncolumns; i++)
	{
		Oid			type = get_atttype(wanted->relid, wanted->attnos[i]);

		if (get_typlen(type) <= 0)
			return false;
	}
	return true;
}

List *
index_advice_of_stages(const SinkPlan *plan)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, find_missing(plan, true))
	{
		Wanted	   *wanted = lfirst(lc);
		AdvisedIndex *index;

		if (!has_short_entries(wanted))
			continue;
		index = palloc(sizeof(AdvisedIndex));
		index->relid = wanted->relid;
		index->command = index_command(wanted);
		result = lappend(result, index);
	}
	return result;
}
