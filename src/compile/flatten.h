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
 * conditions.
 */
extern void flatten_query(Query *query);

#endif							/* FRESHET_FLATTEN_H */
