/*-------------------------------------------------------------------------
 *
 * wide_view_json.h
 *		The lookups of a wide view as JSON: their form, apart from any table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WIDE_VIEW_JSON_H
#define FRESHET_WIDE_VIEW_JSON_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A string of the specification, and where it stands: "lookups[2].path". */
typedef struct SpecString
{
	char	   *value;
	char	   *place;
} SpecString;

/* A pair of a relation: [[outer, own], ...] */
typedef struct SpecPair
{
	char	   *place;
	SpecString	outer;
	SpecString	own;
} SpecPair;

typedef struct SpecEntry
{
	char	   *place;			/* "lookups[2]" */
	SpecString	table;
	SpecString	path;
	bool		array;			/* the type: array, or else object */
	List	   *relation;		/* SpecPair *, at least one */
	List	   *columns;		/* SpecString *; NIL stands for all */
	List	   *order_by;		/* SpecString * */
} SpecEntry;

/*
 * Raise an error about the place; msg and hint are errmsg's and errhint's
 * arguments in parentheses.
 */
#define SPEC_ERROR(place, sqlstate, msg, hint) \
	ereport(ERROR, \
			(errcode(sqlstate), \
			 errmsg msg, \
			 errdetail("It is at %s.", (place)), \
			 errhint hint))

/* The entries (List of SpecEntry *), or an error that names the place. */
extern List *wide_json_parse(const char *lookups);

/*
 * Of candidates (List of char *), the one that was perhaps meant by name, or
 * NULL.
 */
extern const char *wide_closest_name(const char *name, List *candidates);

#endif							/* FRESHET_WIDE_VIEW_JSON_H */
