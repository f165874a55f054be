/*-------------------------------------------------------------------------
 *
 * wide_view_query.c
 *		The definition of a wide view, as a query.
 *
 * The root's table is r, a lookup's t<number>.  Beside each stands a row of
 * its element: the columns in the document, and a subquery for each lookup
 * in it:
 *
 *	SELECT r.key, pg_catalog.to_jsonb(e.*) AS doc
 *	FROM root r, LATERAL (SELECT r.key AS key, r.x AS x,
 *		(SELECT e1.*::record
 *		 FROM lookup t1, LATERAL (SELECT t1.id AS id, ...) e1
 *		 WHERE t1.id OPERATOR(pg_catalog.=) r.x
 *		 ORDER BY ... LIMIT 1) AS object,
 *		ARRAY(SELECT e2.*::record
 *		 FROM lookup t2, LATERAL (SELECT ...) e2
 *		 WHERE ... ORDER BY ...) AS array) e
 *
 * Why so:
 *
 *	- A lateral subquery without FROM costs nothing: the planner replaces it
 *	  by its columns.  Nor does a subquery in the select list stand in the way
 *	  of joining the definition with keys, or of reading it in the order of
 *	  the root's key; documents are computed for the rows that are left.
 *	- Elements stay rows until the end, and become JSON in one go.  Made into
 *	  jsonb level by level, everything would be taken apart and put together
 *	  once more at each; and a row knows no limit of 100 arguments.  to_jsonb
 *	  of a row gives each column the form that to_jsonb of the column has, and
 *	  of an empty array [].
 *	- ARRAY(... ORDER BY) reads rows in the order of an index that has the
 *	  related columns and then the order's, where an aggregate with ORDER BY
 *	  sorts.
 *	- Columns, tables and operators are known by number once the query is
 *	  analyzed; so the definition survives their renaming, and the names in
 *	  the document stay what they were.
 *
 * What is built here is the tree that the grammar would make of such a text.
 * Parse analysis makes the Query of it: coercions, collations and what a view
 * needs to be shown and dumped are its business, and not done twice.
 *
 * The order of rows is total, so that a document does not depend on where its
 * rows lie: the order asked for, then the table's key, or without one all its
 * columns.  Key columns that are related are equal in all the rows.  Values
 * that are equal but look different (1.0 and 1.00) are told apart by their
 * text, for a table without a key.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/nbtree.h"
#include "catalog/pg_am.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/analyze.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "wide_view_query.h"

static SelectStmt *lookup_select(const WideNode *node);

static char *
table_alias(const WideNode *node)
{
	return node->parent == NULL ? "r" : psprintf("t%d", node->number);
}

static char *
element_alias(const WideNode *node)
{
	return node->parent == NULL ? "e" : psprintf("e%d", node->number);
}

static Node *
make_column_ref(char *alias, Node *field)
{
	ColumnRef  *ref = makeNode(ColumnRef);

	ref->fields = list_make2(makeString(alias), field);
	ref->location = -1;
	return (Node *) ref;
}

static Node *
column_ref(const WideNode *node, AttrNumber attno)
{
	return make_column_ref(table_alias(node), (Node *) makeString(wide_column_name(node, attno)));
}

/* The row of the element as a whole: e.* */
static Node *
element_ref(const WideNode *node)
{
	return make_column_ref(element_alias(node), (Node *) makeNode(A_Star));
}

static Node *
make_cast(Node *arg, Oid type)
{
	TypeCast   *cast = makeNode(TypeCast);

	cast->arg = arg;
	cast->typeName = makeTypeNameFromOid(type, -1);
	cast->location = -1;
	return (Node *) cast;
}

static Node *
make_collate(Node *arg, List *collation)
{
	CollateClause *collate = makeNode(CollateClause);

	collate->arg = arg;
	collate->collname = collation;
	collate->location = -1;
	return (Node *) collate;
}

/* name: NULL for that of the column */
static List *
add_target(List *targets, Node *value, char *name)
{
	ResTarget  *target = makeNode(ResTarget);

	target->name = name;
	target->val = value;
	target->location = -1;
	return lappend(targets, target);
}

/* The columns and lookups of an element. */
static SelectStmt *
element_select(const WideNode *node)
{
	SelectStmt *select = makeNode(SelectStmt);
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, node->columns)
	{
		AttrNumber	attno = (AttrNumber) lfirst_int(lc);

		select->targetList = add_target(select->targetList, column_ref(node, attno),
										wide_column_name(node, attno));
	}
	foreach(lc, node->children)
	{
		const WideNode *child = lfirst(lc);
		SubLink    *lookup = makeNode(SubLink);

		lookup->subLinkType = child->array ? ARRAY_SUBLINK : EXPR_SUBLINK;
		lookup->subselect = (Node *) lookup_select(child);
		lookup->location = -1;
		select->targetList = add_target(select->targetList, (Node *) lookup, child->name);
	}
	return select;
}

/* table t, LATERAL (the element) e */
static List *
from_clause(const WideNode *node)
{
	RangeVar   *table = makeRangeVar(get_namespace_name(get_rel_namespace(node->relid)),
									 get_rel_name(node->relid), -1);
	RangeSubselect *element = makeNode(RangeSubselect);

	table->alias = makeAlias(table_alias(node), NIL);
	element->lateral = true;
	element->subquery = (Node *) element_select(node);
	element->alias = makeAlias(element_alias(node), NIL);
	return list_make2(table, element);
}

static Form_pg_attribute
attribute(const WideNode *node, AttrNumber attno)
{
	return TupleDescAttr(node->desc, attno - 1);
}

static List *
operator_name(Oid opno)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
	Form_pg_operator form;
	List	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opno);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = list_make2(makeString(get_namespace_name(form->oprnamespace)),
						makeString(pstrdup(NameStr(form->oprname))));
	ReleaseSysCache(tuple);
	return result;
}

static List *
collation_name(Oid collation)
{
	HeapTuple	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	Form_pg_collation form;
	List	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	result = list_make2(makeString(get_namespace_name(form->collnamespace)),
						makeString(pstrdup(NameStr(form->collname))));
	ReleaseSysCache(tuple);
	return result;
}

/* An index on either column must be able to serve: own = outer, as they are. */
static Node *
where_clause(const WideNode *node)
{
	List	   *conditions = NIL;
	ListCell   *lc;

	foreach(lc, node->related)
	{
		const WideRelated *related = lfirst(lc);
		Oid			own_collation = attribute(node, related->attno)->attcollation;
		Oid			outer_collation = attribute(related->outer,
												related->outer_attno)->attcollation;
		Node	   *outer = column_ref(related->outer, related->outer_attno);

		if (own_collation != outer_collation && OidIsValid(own_collation) &&
			OidIsValid(outer_collation))
			outer = make_collate(outer, collation_name(own_collation));
		conditions = lappend(conditions, makeA_Expr(AEXPR_OP, operator_name(related->eqop),
													column_ref(node, related->attno), outer, -1));
	}
	return list_length(conditions) == 1 ? linitial(conditions) :
		(Node *) makeBoolExpr(AND_EXPR, conditions, -1);
}

/* Are values that the type's order has as equal one and the same? */
static bool
equal_is_identical(Form_pg_attribute att)
{
	Oid			opclass = GetDefaultOpClass(att->atttypid, BTREE_AM_OID);
	Oid			input = get_opclass_input_type(opclass);
	Oid			proc = get_opfamily_proc(get_opclass_family(opclass), input, input,
										 BTEQUALIMAGE_PROC);

	return OidIsValid(proc) &&
		DatumGetBool(OidFunctionCall1Coll(proc, att->attcollation, ObjectIdGetDatum(input)));
}

static List *
add_sort(List *order, Node *value, SortByDir dir, SortByNulls nulls)
{
	SortBy	   *sort = makeNode(SortBy);

	sort->node = value;
	sort->sortby_dir = dir;
	sort->sortby_nulls = nulls;
	sort->location = -1;
	return lappend(order, sort);
}

/* What orders the rows of a table without a key. */
static List *
add_all_columns(List *order, const WideNode *node)
{
	List	   *texts = NIL;

	for (AttrNumber attno = 1; attno <= node->desc->natts; attno++)
	{
		Form_pg_attribute att = attribute(node, attno);
		Node	   *text;
		TypeCacheEntry *type;

		if (att->attisdropped)
			continue;
		text = make_collate(make_cast(column_ref(node, attno), TEXTOID),
							collation_name(C_COLLATION_OID));
		type = lookup_type_cache(att->atttypid, TYPECACHE_LT_OPR);
		if (!OidIsValid(type->lt_opr))
			order = add_sort(order, text, SORTBY_DEFAULT, SORTBY_NULLS_DEFAULT);
		else
		{
			order = add_sort(order, column_ref(node, attno), SORTBY_DEFAULT,
							 SORTBY_NULLS_DEFAULT);
			if (!equal_is_identical(att))
				texts = add_sort(texts, text, SORTBY_DEFAULT, SORTBY_NULLS_DEFAULT);
		}
	}
	return list_concat(order, texts);
}

static bool
is_related(const WideNode *node, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, node->related)
	{
		if (((WideRelated *) lfirst(lc))->attno == attno)
			return true;
	}
	return false;
}

static List *
sort_clause(const WideNode *node)
{
	List	   *order = NIL;
	List	   *asked = NIL;
	ListCell   *lc;

	foreach(lc, node->order)
	{
		const WideOrder *item = lfirst(lc);

		asked = lappend_int(asked, item->attno);
		order = add_sort(order, column_ref(node, item->attno),
						 item->descending ? SORTBY_DESC : SORTBY_ASC,
						 item->nulls_first ? SORTBY_NULLS_FIRST : SORTBY_NULLS_LAST);
	}
	foreach(lc, node->key)
	{
		AttrNumber	attno = (AttrNumber) lfirst_int(lc);

		if (!is_related(node, attno) && !list_member_int(asked, attno))
			order = add_sort(order, column_ref(node, attno), SORTBY_DEFAULT,
							 SORTBY_NULLS_DEFAULT);
	}
	return node->key == NIL ? add_all_columns(order, node) : order;
}

static SelectStmt *
lookup_select(const WideNode *node)
{
	SelectStmt *select = makeNode(SelectStmt);

	select->targetList = add_target(NIL, make_cast(element_ref(node), RECORDOID), NULL);
	select->fromClause = from_clause(node);
	select->whereClause = where_clause(node);
	select->sortClause = sort_clause(node);
	if (!node->array)
	{
		A_Const    *one = makeNode(A_Const);

		one->val.ival.type = T_Integer;
		one->val.ival.ival = 1;
		one->location = -1;
		select->limitCount = (Node *) one;
		select->limitOption = LIMIT_OPTION_COUNT;
	}
	return select;
}

Query *
wide_view_query(const WideNode *root)
{
	SelectStmt *select = makeNode(SelectStmt);
	RawStmt    *raw = makeNode(RawStmt);
	List	   *to_jsonb = list_make2(makeString("pg_catalog"), makeString("to_jsonb"));
	Node	   *document = (Node *) makeFuncCall(to_jsonb, list_make1(element_ref(root)),
												 COERCE_EXPLICIT_CALL, -1);
	ListCell   *lc;

	foreach(lc, root->key)
		select->targetList = add_target(select->targetList,
										column_ref(root, (AttrNumber) lfirst_int(lc)), NULL);
	select->targetList = add_target(select->targetList, document, WIDE_VIEW_DOCUMENT);
	select->fromClause = from_clause(root);
	raw->stmt = (Node *) select;
	return parse_analyze_fixedparams(raw, "freshet: the definition of a wide view", NULL, 0, NULL);
}
