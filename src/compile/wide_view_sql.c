/*-------------------------------------------------------------------------
 *
 * wide_view_sql.c
 *		The definition of a wide view, as text.
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
 *	- Columns, tables and operators are known by number once the text is
 *	  analyzed; so the definition survives their renaming, and the names in
 *	  the document stay what they were.
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

#include "access/nbtree.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "commands/defrem.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "base/names.h"
#include "wide_view_sql.h"

static void append_lookup(StringInfo sql, const WideNode *node);

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

static char *
column_ref(const WideNode *node, AttrNumber attno)
{
	return psprintf("%s.%s", table_alias(node), quote_identifier(wide_column_name(node, attno)));
}

/* table t, LATERAL (SELECT the columns and lookups of an element) e */
static void
append_from(StringInfo sql, const WideNode *node)
{
	const char *separator = "";
	ListCell   *lc;

	check_stack_depth();
	appendStringInfo(sql, " FROM %s %s, LATERAL (SELECT ", names_relation(node->relid),
					 table_alias(node));
	foreach(lc, node->columns)
	{
		AttrNumber	attno = (AttrNumber) lfirst_int(lc);

		appendStringInfo(sql, "%s%s AS %s", separator, column_ref(node, attno),
						 quote_identifier(wide_column_name(node, attno)));
		separator = ", ";
	}
	foreach(lc, node->children)
	{
		const WideNode *child = lfirst(lc);

		appendStringInfoString(sql, separator);
		append_lookup(sql, child);
		appendStringInfo(sql, " AS %s", quote_identifier(child->name));
		separator = ", ";
	}
	appendStringInfo(sql, ") %s", element_alias(node));
}

static Form_pg_attribute
attribute(const WideNode *node, AttrNumber attno)
{
	return TupleDescAttr(node->desc, attno - 1);
}

/* An index on either column must be able to serve: own = outer, as they are. */
static void
append_relation(StringInfo sql, const WideNode *node)
{
	const char *separator = " WHERE ";
	ListCell   *lc;

	foreach(lc, node->related)
	{
		const WideRelated *related = lfirst(lc);
		Oid			own_collation = attribute(node, related->attno)->attcollation;
		Oid			outer_collation = attribute(related->outer,
												related->outer_attno)->attcollation;

		appendStringInfo(sql, "%s%s %s %s", separator, column_ref(node, related->attno),
						 names_operator(related->eqop),
						 column_ref(related->outer, related->outer_attno));
		if (own_collation != outer_collation && OidIsValid(own_collation) &&
			OidIsValid(outer_collation))
			appendStringInfo(sql, " COLLATE %s", generate_collation_name(own_collation));
		separator = " AND ";
	}
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

/* What orders the rows of a table without a key. */
static List *
all_columns_order(const WideNode *node)
{
	List	   *order = NIL;
	List	   *texts = NIL;

	for (AttrNumber attno = 1; attno <= node->desc->natts; attno++)
	{
		Form_pg_attribute att = attribute(node, attno);
		char	   *text = psprintf("%s::pg_catalog.text COLLATE pg_catalog.\"C\"",
									column_ref(node, attno));
		TypeCacheEntry *type;

		if (att->attisdropped)
			continue;
		type = lookup_type_cache(att->atttypid, TYPECACHE_LT_OPR);
		if (!OidIsValid(type->lt_opr))
			order = lappend(order, text);
		else
		{
			order = lappend(order, column_ref(node, attno));
			if (!equal_is_identical(att))
				texts = lappend(texts, text);
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

static void
append_order(StringInfo sql, const WideNode *node)
{
	List	   *order = NIL;
	List	   *asked = NIL;
	ListCell   *lc;
	const char *separator = " ORDER BY ";

	foreach(lc, node->order)
	{
		const WideOrder *item = lfirst(lc);

		asked = lappend_int(asked, item->attno);
		order = lappend(order, psprintf("%s %s NULLS %s", column_ref(node, item->attno),
										item->descending ? "DESC" : "ASC",
										item->nulls_first ? "FIRST" : "LAST"));
	}
	foreach(lc, node->key)
	{
		AttrNumber	attno = (AttrNumber) lfirst_int(lc);

		if (!is_related(node, attno) && !list_member_int(asked, attno))
			order = lappend(order, column_ref(node, attno));
	}
	if (node->key == NIL)
		order = list_concat(order, all_columns_order(node));

	foreach(lc, order)
	{
		appendStringInfo(sql, "%s%s", separator, (char *) lfirst(lc));
		separator = ", ";
	}
}

static void
append_lookup(StringInfo sql, const WideNode *node)
{
	appendStringInfo(sql, "%s(SELECT %s.*::pg_catalog.record", node->array ? "ARRAY" : "",
					 element_alias(node));
	append_from(sql, node);
	append_relation(sql, node);
	append_order(sql, node);
	appendStringInfoString(sql, node->array ? ")" : " LIMIT 1)");
}

char *
wide_view_sql(const WideNode *root)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	foreach(lc, root->key)
		appendStringInfo(&sql, "%s, ", column_ref(root, (AttrNumber) lfirst_int(lc)));
	appendStringInfo(&sql, "pg_catalog.to_jsonb(%s.*) AS %s", element_alias(root),
					 WIDE_VIEW_DOCUMENT);
	append_from(&sql, root);
	return sql.data;
}
