/*-------------------------------------------------------------------------
 *
 * keyed_scopes.h
 *		A query, at all its levels, in terms of the tables that it reads.
 *
 * For analyze_keyed.c alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEYED_SCOPES_H
#define FRESHET_KEYED_SCOPES_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "plan.h"

typedef struct Scope Scope;

/* What an entry of a scope's range table is; neither: nothing that changes. */
typedef struct ScopeEntry
{
	int			occurrence;		/* a table; or -1 */
	Scope	   *scope;			/* a subquery, a view, WITH; or NULL */
} ScopeEntry;

/* One query of those that make up a definition. */
struct Scope
{
	Query	   *query;
	Scope	   *parent;			/* the one that varlevelsup 1 leads to */
	ScopeEntry *entries;		/* by range table index, from 1 */
	Bitmapset  *occurrences;	/* in it, at any depth */
	int			sublink;		/* of a sublink: its number; else 0 */
};

/* A side of an outer join that may be missing. */
typedef struct NullableSide
{
	Bitmapset  *occurrences;
	int			table;			/* the occurrence that it is, and no more; or -1 */
	List	   *on;				/* all conditions of the join, resolved */
	bool		resolved;		/* they could be */
} NullableSide;

/*
 * A condition without which a row of any occurrence of the domain takes part in no
 * row of the result.
 */
typedef struct ScopeCondition
{
	Node	   *expr;			/* over Var(occurrence + 1, attno) */
	Bitmapset  *occurrences;	/* that it reads */
	Bitmapset  *domain;
	bool		equality;		/* of columns or expressions of two occurrences */
	bool		full;			/* of a full join: without it a row is there, too,
								 * but not with the domain's */
} ScopeCondition;

typedef struct ScopeTree
{
	SinkPlan   *plan;			/* occurrences are added to it */
	Scope	   *top;
	List	   *scopes;			/* Scope * */
	List	   *sublinks;		/* ScopeSublink * */
	List	   *nullable_sides; /* NullableSide * */
	Bitmapset  *nullable;		/* all occurrences of these */
	List	   *conditions;		/* ScopeCondition * */
	int			nsublinks;
} ScopeTree;

/* The scope of a sublink, and where the sublink stands. */
typedef struct ScopeSublink
{
	SubLink    *sublink;
	Scope	   *outer;
	Scope	   *scope;
} ScopeSublink;

/*
 * Take the query apart; NULL, and the construct as a phrase, if that cannot be done.
 * Occurrences are added to the plan, in which there must be none.
 */
extern ScopeTree *keyed_scopes(Query *query, SinkPlan *plan, const char **refused);

/*
 * An expression of a scope over the tables' columns; NULL if it is not one: an
 * aggregate, a column of a subquery by which its rows cannot be told apart.
 */
extern Node *scope_resolve(Scope *scope, Node *expr);

/* The same of an output column of the scope. */
extern Node *scope_resolve_output(Scope *scope, AttrNumber resno);

/* The occurrences that a resolved expression reads. */
extern Bitmapset *scope_occurrences(Node *expr);

/* Is o part of a sublink that r is not part of? */
extern bool scope_is_beyond_sublink(const ScopeTree *tree, int r, int o);

#endif							/* FRESHET_KEYED_SCOPES_H */
