/*-------------------------------------------------------------------------
 *
 * wide_view_spec.h
 *		The specification of a wide view, as a tree of tables.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WIDE_VIEW_SPEC_H
#define FRESHET_WIDE_VIEW_SPEC_H

#include "access/tupdesc.h"
#include "nodes/pg_list.h"

#include "wide_view_json.h"

typedef struct WideNode WideNode;

/* own column = column of an enclosing node */
typedef struct WideRelated
{
	AttrNumber	attno;
	WideNode   *outer;
	AttrNumber	outer_attno;
	Oid			eqop;			/* own type, outer type */
} WideRelated;

typedef struct WideOrder
{
	AttrNumber	attno;
	bool		descending;
	bool		nulls_first;
} WideOrder;

/* The root, or a lookup. */
struct WideNode
{
	int			number;			/* 0: the root; lookups follow, in list order */
	const SpecEntry *entry;		/* NULL: the root */
	List	   *path;			/* names (char *); NIL: the root */
	char	   *name;			/* the last of them */
	bool		array;
	Oid			relid;			/* locked in ACCESS SHARE mode */
	TupleDesc	desc;
	List	   *key;			/* attribute numbers (table_keys), or NIL */
	List	   *columns;		/* attribute numbers in the document */
	List	   *related;		/* WideRelated * */
	List	   *order;			/* WideOrder *, as asked for */
	WideNode   *parent;			/* NULL: the root */
	List	   *children;		/* WideNode *, in list order */
};

/*
 * The tree of a root and the lookups that the text specifies, all checked, or
 * an error.  Names are resolved as the current user, under its search_path.
 */
extern WideNode *wide_spec_parse(Oid root, const char *lookups);

/* Name of a column of a node's table. */
extern char *wide_column_name(const WideNode *node, AttrNumber attno);

#endif							/* FRESHET_WIDE_VIEW_SPEC_H */
