/*-------------------------------------------------------------------------
 *
 * wide_view_spec.c
 *		The specification of a wide view, as a tree of tables.
 *
 * Three passes over the list of lookups, so that its order does not matter:
 *
 *	1. each lookup by itself: path, table, columns, order;
 *	2. paths become a tree: every lookup finds its parent;
 *	3. relations: columns of the elements that enclose a lookup.
 *
 * Names of columns and of elements are taken as they stand, without folding
 * to lower case; those with a dot or a quote in them are written in double
 * quotes.  Table names are read as SQL does.  Every error tells the place in
 * the specification.
 *
 * Related columns must be comparable by an "=" that a b-tree index of either
 * column serves: the equality of one operator family, without a cast.  If
 * their collations differ, the lookup's is used for both, which decides the
 * same as long as both are deterministic.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/typcache.h"
#include "utils/varlena.h"

#include "source_check.h"
#include "table_key.h"
#include "wide_view_spec.h"

/* Each level of a document is two of the query. */
#define MAX_WIDE_DEPTH	50

/* Longer paths are not taken apart. */
#define MAX_PATH_NAMES	1000

#define QUOTING_HINT \
	"Names are separated by dots; a name that contains a dot or a quote is written in double " \
	"quotes, with quotes in it doubled."

/* ----------------------------------------------------------------
 *		Names
 * ----------------------------------------------------------------
 */

/*
 * Read a name, which may be quoted, and step behind it; an unquoted one ends
 * at any of the characters "stops".
 */
static char *
scan_name(const char **position, const char *stops, const SpecString *string)
{
	const char *p = *position;
	StringInfoData name;

	initStringInfo(&name);
	if (*p == '"')
	{
		for (p++; *p != '\0' && !(p[0] == '"' && p[1] != '"'); p++)
		{
			if (*p == '"')
				p++;
			appendStringInfoChar(&name, *p);
		}
		if (*p == '\0')
			SPEC_ERROR(string->place, ERRCODE_INVALID_NAME,
					   ("unterminated quoted name in \"%s\"", string->value), (QUOTING_HINT));
		p++;
	}
	else
	{
		size_t		length = strcspn(p, stops);

		appendBinaryStringInfo(&name, p, length);
		p += length;
		if (strchr(name.data, '"') != NULL)
			SPEC_ERROR(string->place, ERRCODE_INVALID_NAME,
					   ("misplaced quote in \"%s\"", string->value), (QUOTING_HINT));
	}

	if (name.len == 0)
		SPEC_ERROR(string->place, ERRCODE_INVALID_NAME,
				   ("empty name in \"%s\"", string->value), (QUOTING_HINT));
	if (name.len >= NAMEDATALEN)
		SPEC_ERROR(string->place, ERRCODE_NAME_TOO_LONG,
				   ("name \"%s\" is too long", name.data),
				   ("A name can have %d bytes at most.", NAMEDATALEN - 1));
	*position = p;
	return repalloc(name.data, name.len + 1);
}

/* Names with dots between them. */
static List *
scan_path(const SpecString *string)
{
	const char *p = string->value;
	List	   *path = list_make1(scan_name(&p, ".", string));

	while (*p == '.' && list_length(path) < MAX_PATH_NAMES)
	{
		p++;
		path = lappend(path, scan_name(&p, ".", string));
	}
	if (*p == '.')
		SPEC_ERROR(string->place, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				   ("a path of more than %d names", MAX_PATH_NAMES),
				   ("A document can have %d levels of lookups at most.", MAX_WIDE_DEPTH));
	if (*p != '\0')
		SPEC_ERROR(string->place, ERRCODE_INVALID_NAME,
				   ("misplaced quote in \"%s\"", string->value), (QUOTING_HINT));
	return path;
}

/* A single name. */
static char *
scan_column(const SpecString *string)
{
	const char *p = string->value;
	char	   *name = scan_name(&p, "", string);

	if (*p != '\0')
		SPEC_ERROR(string->place, ERRCODE_INVALID_NAME,
				   ("misplaced quote in \"%s\"", string->value), (QUOTING_HINT));
	return name;
}

static bool
same_path(List *a, List *b)
{
	ListCell   *lc1;
	ListCell   *lc2;

	if (list_length(a) != list_length(b))
		return false;
	forboth(lc1, a, lc2, b)
	{
		if (strcmp(lfirst(lc1), lfirst(lc2)) != 0)
			return false;
	}
	return true;
}

/* Nodes by their paths. */
typedef struct PathEntry
{
	List	   *path;			/* hash key: what it points to */
	WideNode   *node;
} PathEntry;

static uint32
hash_path(const void *key, Size keysize)
{
	uint32		hash = 0;
	ListCell   *lc;

	foreach(lc, *(List *const *) key)
	{
		const char *name = lfirst(lc);

		hash = hash_combine(hash, hash_bytes((const unsigned char *) name, strlen(name)));
	}
	return hash;
}

static int
match_path(const void *a, const void *b, Size keysize)
{
	return same_path(*(List *const *) a, *(List *const *) b) ? 0 : 1;
}

static HTAB *
make_path_table(void)
{
	HASHCTL		ctl;

	ctl.keysize = sizeof(List *);
	ctl.entrysize = sizeof(PathEntry);
	ctl.hash = hash_path;
	ctl.match = match_path;
	ctl.hcxt = CurrentMemoryContext;
	return hash_create("freshet paths", 64, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT);
}

static WideNode *
find_node(HTAB *paths, List *path)
{
	PathEntry  *entry = hash_search(paths, &path, HASH_FIND, NULL);

	return entry == NULL ? NULL : entry->node;
}

/* As the specification would write it. */
static char *
path_text(List *path)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, path)
	{
		const char *name = lfirst(lc);

		if (text.len > 0)
			appendStringInfoChar(&text, '.');
		if (strpbrk(name, ".\"") == NULL)
			appendStringInfoString(&text, name);
		else
		{
			appendStringInfoChar(&text, '"');
			for (; *name != '\0'; name++)
			{
				if (*name == '"')
					appendStringInfoChar(&text, '"');
				appendStringInfoChar(&text, *name);
			}
			appendStringInfoChar(&text, '"');
		}
	}
	return text.data;
}

/* ----------------------------------------------------------------
 *		Columns
 * ----------------------------------------------------------------
 */

static Form_pg_attribute
find_attribute(const WideNode *node, AttrNumber attno)
{
	return TupleDescAttr(node->desc, attno - 1);
}

char *
wide_column_name(const WideNode *node, AttrNumber attno)
{
	return NameStr(find_attribute(node, attno)->attname);
}

static AttrNumber
find_column(const WideNode *node, const char *name)
{
	for (int i = 0; i < node->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(node->desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return InvalidAttrNumber;
}

static AttrNumber
require_column(const WideNode *node, const char *name, const char *place)
{
	AttrNumber	attno = find_column(node, name);
	List	   *names = NIL;
	const char *closest;

	if (attno != InvalidAttrNumber)
		return attno;

	for (int i = 0; i < node->desc->natts; i++)
	{
		if (!TupleDescAttr(node->desc, i)->attisdropped)
			names = lappend(names, NameStr(TupleDescAttr(node->desc, i)->attname));
	}
	closest = wide_closest_name(name, names);
	if (closest != NULL)
		SPEC_ERROR(place, ERRCODE_UNDEFINED_COLUMN,
				   ("column \"%s\" of table \"%s\" does not exist", name,
					get_rel_name(node->relid)),
				   ("Perhaps you meant \"%s\".", closest));
	SPEC_ERROR(place, ERRCODE_UNDEFINED_COLUMN,
			   ("column \"%s\" of table \"%s\" does not exist", name, get_rel_name(node->relid)),
			   ("Name a column of the table, exactly as it is written there."));
	return InvalidAttrNumber;	/* keep compiler quiet */
}

/*
 * Those asked for, or all but the bookkeeping columns of a sink.
 */
static void
set_columns(WideNode *node)
{
	ListCell   *lc;

	if (node->entry == NULL || node->entry->columns == NIL)
	{
		for (int i = 0; i < node->desc->natts; i++)
		{
			Form_pg_attribute att = TupleDescAttr(node->desc, i);

			if (!att->attisdropped && strncmp(NameStr(att->attname), FRESHET_COLUMN_PREFIX,
											  strlen(FRESHET_COLUMN_PREFIX)) != 0)
				node->columns = lappend_int(node->columns, att->attnum);
		}
		return;
	}

	foreach(lc, node->entry->columns)
	{
		const SpecString *string = lfirst(lc);
		char	   *name = scan_column(string);
		AttrNumber	attno = require_column(node, name, string->place);

		if (list_member_int(node->columns, attno))
			SPEC_ERROR(string->place, ERRCODE_DUPLICATE_COLUMN,
					   ("column \"%s\" occurs more than once", name), ("Remove one of them."));
		node->columns = lappend_int(node->columns, attno);
	}
}

/* The next word, in lower case, or an empty one. */
static char *
scan_word(const char **position)
{
	const char *p = *position + strspn(*position, " \t\r\n");
	size_t		length = strcspn(p, " \t\r\n");
	char	   *word = pnstrdup(p, length);

	*position = p + length;
	for (char *c = word; *c != '\0'; c++)
		*c = pg_ascii_tolower((unsigned char) *c);
	return word;
}

/* "column [asc | desc] [nulls first | nulls last]" */
static WideOrder *
scan_order(const WideNode *node, const SpecString *string)
{
	WideOrder  *order = palloc0(sizeof(WideOrder));
	const char *p = string->value + strspn(string->value, " \t\r\n");
	char	   *name = scan_name(&p, " \t\r\n", string);
	char	   *word = scan_word(&p);
	TypeCacheEntry *type;

	order->attno = require_column(node, name, string->place);
	type = lookup_type_cache(find_attribute(node, order->attno)->atttypid, TYPECACHE_LT_OPR);
	if (!OidIsValid(type->lt_opr))
		SPEC_ERROR(string->place, ERRCODE_UNDEFINED_FUNCTION,
				   ("column \"%s\" of type %s cannot be sorted", name,
					format_type_be(type->type_id)),
				   ("Order by columns of types that have an order."));

	order->descending = strcmp(word, "desc") == 0;
	if (order->descending || strcmp(word, "asc") == 0)
		word = scan_word(&p);
	order->nulls_first = order->descending;
	if (strcmp(word, "nulls") == 0)
	{
		word = scan_word(&p);
		order->nulls_first = strcmp(word, "first") == 0;
		if (order->nulls_first || strcmp(word, "last") == 0)
			word = scan_word(&p);
		else
			word = "nulls";
	}
	if (*word != '\0')
		SPEC_ERROR(string->place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("unknown direction in order_by: \"%s\"", string->value),
				   ("Write the column, then \"asc\" or \"desc\", then \"nulls first\" or "
					"\"nulls last\"; a name with spaces goes in double quotes."));
	return order;
}

static void
set_order(WideNode *node)
{
	ListCell   *lc;

	foreach(lc, node->entry->order_by)
	{
		WideOrder  *order = scan_order(node, lfirst(lc));
		ListCell   *lc2;

		foreach(lc2, node->order)
		{
			if (((WideOrder *) lfirst(lc2))->attno == order->attno)
				SPEC_ERROR(((SpecString *) lfirst(lc))->place, ERRCODE_DUPLICATE_COLUMN,
						   ("column \"%s\" occurs more than once in order_by",
							wide_column_name(node, order->attno)), ("Remove one of them."));
		}
		node->order = lappend(node->order, order);
	}
}

/* ----------------------------------------------------------------
 *		Tables
 * ----------------------------------------------------------------
 */

/* Errors that the system raises get the place as their context. */
static void
place_callback(void *arg)
{
	errcontext("the lookups of the wide view, at %s", (const char *) arg);
}

/* For a hint; only after a name was not found. */
static const char *
closest_table(const RangeVar *rv)
{
	List	   *namespaces = fetch_search_path(true);
	List	   *names = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (rv->schemaname != NULL)
		namespaces = list_make1_oid(get_namespace_oid(rv->schemaname, true));
	rel = table_open(RelationRelationId, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class class = (Form_pg_class) GETSTRUCT(tuple);

		if ((class->relkind == RELKIND_RELATION || class->relkind == RELKIND_PARTITIONED_TABLE) &&
			list_member_oid(namespaces, class->relnamespace))
			names = lappend(names, pstrdup(NameStr(class->relname)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return wide_closest_name(rv->relname, names);
}

static Oid
resolve_table(const SpecString *string)
{
	RangeVar   *rv = makeRangeVarFromNameList(stringToQualifiedNameList(string->value
#if PG_VERSION_NUM >= 160000
																		,NULL
#endif
																		));
	Oid			relid = RangeVarGetRelid(rv, AccessShareLock, true);
	const char *closest;

	if (OidIsValid(relid))
		return relid;

	closest = closest_table(rv);
	if (closest != NULL)
		SPEC_ERROR(string->place, ERRCODE_UNDEFINED_TABLE,
				   ("table \"%s\" does not exist", string->value),
				   ("Perhaps you meant \"%s\".", quote_identifier(closest)));
	SPEC_ERROR(string->place, ERRCODE_UNDEFINED_TABLE,
			   ("table \"%s\" does not exist", string->value),
			   ("Write the name as in SQL; a table that is not in the search_path needs its "
				"schema."));
	return InvalidOid;			/* keep compiler quiet */
}

/* The lock is kept. */
static void
set_table(WideNode *node, Oid relid)
{
	Relation	rel = table_open(relid, AccessShareLock);
	List	   *keys;

	source_check_kind(rel, rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE && rel->rd_rel->relhassubclass &&
		find_inheritance_children(relid, AccessShareLock) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" cannot be part of a wide view",
						RelationGetRelationName(rel)),
				 errdetail("Other tables inherit from it."),
				 errhint("Use a partitioned table.")));
	keys = table_keys(rel);
	node->relid = relid;
	node->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	node->key = keys != NIL ? linitial(keys) : NIL;
	table_close(rel, NoLock);
}

static WideNode *
make_lookup(const SpecEntry *entry, int number)
{
	WideNode   *node = palloc0(sizeof(WideNode));
	ErrorContextCallback callback;

	node->number = number;
	node->entry = entry;
	node->array = entry->array;
	node->path = scan_path(&entry->path);
	node->name = llast(node->path);
	if (list_length(node->path) > MAX_WIDE_DEPTH)
		SPEC_ERROR(entry->path.place, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
				   ("path of %d names is too deep", list_length(node->path)),
				   ("A document can have %d levels of lookups at most.", MAX_WIDE_DEPTH));

	callback.callback = place_callback;
	callback.arg = entry->table.place;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	set_table(node, resolve_table(&entry->table));
	error_context_stack = callback.previous;

	set_columns(node);
	set_order(node);
	return node;
}

/* ----------------------------------------------------------------
 *		The tree
 * ----------------------------------------------------------------
 */

static void
add_path(HTAB *paths, WideNode *node)
{
	bool		found;
	PathEntry  *entry = hash_search(paths, &node->path, HASH_ENTER, &found);

	/* the root's path is empty, which no lookup's is */
	if (found)
		SPEC_ERROR(node->entry->path.place, ERRCODE_DUPLICATE_OBJECT,
				   ("path \"%s\" is used by two lookups", path_text(node->path)),
				   ("%s has it as well: choose another path for one of them.",
					entry->node->entry->place));
	entry->node = node;
}

static void
set_parent(HTAB *paths, WideNode *node)
{
	List	   *path = list_truncate(list_copy(node->path), list_length(node->path) - 1);
	WideNode   *parent = find_node(paths, path);
	AttrNumber	attno;

	if (parent == NULL)
		SPEC_ERROR(node->entry->path.place, ERRCODE_UNDEFINED_OBJECT,
				   ("path \"%s\" is inside \"%s\", which no lookup has as its path",
					path_text(node->path), path_text(path)),
				   ("Add a lookup with the path \"%s\", anywhere in the list, or choose a path "
					"inside another one.", path_text(path)));

	attno = find_column(parent, node->name);
	if (attno != InvalidAttrNumber && list_member_int(parent->columns, attno))
		SPEC_ERROR(node->entry->path.place, ERRCODE_DUPLICATE_COLUMN,
				   ("path \"%s\" is the name of a column of table \"%s\" as well",
					path_text(node->path), get_rel_name(parent->relid)),
				   ("Choose another path, or leave the column out by \"columns\" of its lookup."));

	node->parent = parent;
	parent->children = lappend(parent->children, node);
	if (list_length(parent->columns) + list_length(parent->children) > MaxTupleAttributeNumber)
		SPEC_ERROR(node->entry->path.place, ERRCODE_TOO_MANY_COLUMNS,
				   ("an element of the document would have more than %d columns and lookups",
					MaxTupleAttributeNumber),
				   ("Leave columns out by \"columns\"."));
}

/* ----------------------------------------------------------------
 *		Relations
 * ----------------------------------------------------------------
 */

static bool
encloses(const WideNode *outer, const WideNode *node)
{
	while ((node = node->parent) != NULL)
	{
		if (node == outer)
			return true;
	}
	return false;
}

/* A column of the root is not there: is it one of the parent, named as if of the root? */
static void
check_plain_column(const WideNode *node, const WideNode *root, const SpecString *string,
				   const char *name)
{
	if (find_column(root, name) == InvalidAttrNumber && node->parent != root &&
		find_column(node->parent, name) != InvalidAttrNumber)
		SPEC_ERROR(string->place, ERRCODE_UNDEFINED_COLUMN,
				   ("column \"%s\" of table \"%s\" does not exist", name,
					get_rel_name(root->relid)),
				   ("A column of the enclosing element is written with its path: \"%s\".",
					path_text(lappend(list_copy(node->parent->path), unconstify(char *, name)))));
}

/* The column that the first half of a pair names. */
static WideNode *
resolve_outer(HTAB *paths, const WideNode *node, const SpecString *string, AttrNumber *attno)
{
	List	   *path = scan_path(string);
	char	   *name = llast(path);
	WideNode   *outer;

	path = list_truncate(path, list_length(path) - 1);
	outer = find_node(paths, path);
	if (outer == NULL)
		SPEC_ERROR(string->place, ERRCODE_UNDEFINED_OBJECT,
				   ("no lookup has the path \"%s\"", path_text(path)),
				   ("A column of the root is named alone; one of an enclosing element, by that "
					"element's path, a dot and the column."));
	if (!encloses(outer, node))
	{
		if (outer == node)
			SPEC_ERROR(string->place, ERRCODE_INVALID_PARAMETER_VALUE,
					   ("lookup \"%s\" is related to itself", path_text(node->path)),
					   ("The first column of a pair is one of an enclosing element or of the "
						"root."));
		SPEC_ERROR(string->place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("lookup \"%s\" is related to \"%s\", which does not enclose it",
					path_text(node->path), path_text(path)),
				   ("Nest the lookup under it, for instance at the path \"%s\".",
					path_text(lappend(list_copy(path), node->name))));
	}

	if (path == NIL)
		check_plain_column(node, outer, string, name);
	*attno = require_column(outer, name, string->place);
	return outer;
}

/*
 * The equality of the default b-tree operator family of both types, or
 * InvalidOid.
 */
static Oid
find_equality(Oid own, Oid outer)
{
	Oid			own_class = GetDefaultOpClass(getBaseType(own), BTREE_AM_OID);
	Oid			outer_class = GetDefaultOpClass(getBaseType(outer), BTREE_AM_OID);
	Oid			own_input;
	Oid			outer_input;

	if (!OidIsValid(own_class) || !OidIsValid(outer_class) ||
		get_opclass_family(own_class) != get_opclass_family(outer_class))
		return InvalidOid;

	/* array, enum, record, range: of one and the same type */
	own_input = get_opclass_input_type(own_class);
	outer_input = get_opclass_input_type(outer_class);
	if ((get_typtype(own_input) == TYPTYPE_PSEUDO || get_typtype(outer_input) == TYPTYPE_PSEUDO) &&
		getBaseType(own) != getBaseType(outer))
		return InvalidOid;
	return get_opfamily_member(get_opclass_family(own_class), own_input, outer_input,
							   BTEqualStrategyNumber);
}

static void
check_related_column(const WideNode *node, AttrNumber attno, const char *place)
{
#if PG_VERSION_NUM >= 180000
	if (find_attribute(node, attno)->attgenerated == ATTRIBUTE_GENERATED_VIRTUAL)
		SPEC_ERROR(place, ERRCODE_FEATURE_NOT_SUPPORTED,
				   ("virtual generated column \"%s\" cannot relate a lookup",
					wide_column_name(node, attno)),
				   ("Its value is not in the log: make it STORED."));
#endif
}

static WideRelated *
make_related(HTAB *paths, const WideNode *node, const SpecPair *pair)
{
	WideRelated *related = palloc0(sizeof(WideRelated));
	Form_pg_attribute own;
	Form_pg_attribute outer;

	related->outer = resolve_outer(paths, node, &pair->outer, &related->outer_attno);
	related->attno = require_column(node, scan_column(&pair->own), pair->own.place);
	check_related_column(related->outer, related->outer_attno, pair->outer.place);
	check_related_column(node, related->attno, pair->own.place);

	own = find_attribute(node, related->attno);
	outer = find_attribute(related->outer, related->outer_attno);
	related->eqop = find_equality(own->atttypid, outer->atttypid);
	if (!OidIsValid(related->eqop))
		SPEC_ERROR(pair->place, ERRCODE_DATATYPE_MISMATCH,
				   ("column \"%s\" of type %s cannot be related to column \"%s\" of type %s",
					NameStr(own->attname), format_type_be(own->atttypid),
					NameStr(outer->attname), format_type_be(outer->atttypid)),
				   ("Related columns need types that an index compares without a cast: change "
					"the type of one of them."));
	if (op_volatile(related->eqop) != PROVOLATILE_IMMUTABLE)
		SPEC_ERROR(pair->place, ERRCODE_DATATYPE_MISMATCH,
				   ("comparing column \"%s\" of type %s with column \"%s\" of type %s depends on "
					"settings", NameStr(own->attname), format_type_be(own->atttypid),
					NameStr(outer->attname), format_type_be(outer->atttypid)),
				   ("Related columns need types that compare alike at all times: change the type "
					"of one of them."));
	if (own->attcollation != outer->attcollation &&
		((OidIsValid(own->attcollation) && !get_collation_isdeterministic(own->attcollation)) ||
		 (OidIsValid(outer->attcollation) && !get_collation_isdeterministic(outer->attcollation))))
		SPEC_ERROR(pair->place, ERRCODE_COLLATION_MISMATCH,
				   ("columns \"%s\" and \"%s\" have different collations, not both deterministic",
					NameStr(own->attname), NameStr(outer->attname)),
				   ("Give both columns the same collation."));
	return related;
}

WideNode *
wide_spec_parse(Oid root, const char *lookups)
{
	List	   *entries = wide_json_parse(lookups);
	WideNode   *tree = palloc0(sizeof(WideNode));
	HTAB	   *paths = make_path_table();
	List	   *nodes = NIL;	/* of the lookups */
	ListCell   *lc;

	set_table(tree, root);
	set_columns(tree);
	add_path(paths, tree);
	foreach(lc, entries)
	{
		WideNode   *node;

		CHECK_FOR_INTERRUPTS();
		node = make_lookup(lfirst(lc), list_length(nodes) + 1);
		add_path(paths, node);
		nodes = lappend(nodes, node);
	}

	foreach(lc, nodes)
		set_parent(paths, lfirst(lc));

	foreach(lc, nodes)
	{
		WideNode   *node = lfirst(lc);
		ListCell   *lc2;

		CHECK_FOR_INTERRUPTS();
		foreach(lc2, node->entry->relation)
			node->related = lappend(node->related, make_related(paths, node, lfirst(lc2)));
	}
	return tree;
}
