/*-------------------------------------------------------------------------
 *
 * flatten.h
 *		Make what a query selects from part of the query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FLATTEN_H
#define FRESHET_FLATTEN_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/*
 * Change the query so that Vars name entries of FROM rather than joins and
 * groups, and so that subqueries in FROM that only select, join and filter are
 * gone: what they read from is in FROM in their place, below a FromExpr with their
 * conditions.  So are views that do no more.
 *
 * True if there were views.  Then the rights on all that the query reads have been
 * checked, the current user's and those of the views' owners, as the executor would.
 * reader is what flatten_view() gave.
 */
extern bool flatten_query(Query *query, Oid reader);

/*
 * The query of a view of which the query selects columns and does no more, or the query
 * itself.  *reader is the user by whose rights it reads: the current one's, unless
 * it is a view's.
 */
extern Query *flatten_view(Query *query, Oid *reader);

/* An expression of the query (context) whose Vars name neither joins nor groups. */
extern Node *flatten_aliases(Node *node, void *context);

#endif							/* FRESHET_FLATTEN_H */
