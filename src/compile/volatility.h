/*-------------------------------------------------------------------------
 *
 * volatility.h
 *		Which functions may be called by a definition.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_VOLATILITY_H
#define FRESHET_VOLATILITY_H

#include "nodes/pg_list.h"
#include "nodes/parsenodes.h"

/*
 * Raises an error, naming the function, if the value of the expression can
 * change while the rows that it reads stay the same.  Functions that depend
 * on session settings alone are accepted, and added to *settings_functions
 * (a List of OIDs).
 */
extern void volatility_check(Node *expr, List **settings_functions);

/* The same for all expressions of a query, those of its subqueries included. */
extern void volatility_check_query(Query *query, List **settings_functions);

#endif							/* FRESHET_VOLATILITY_H */
