/*-------------------------------------------------------------------------
 *
 * analyze_keyed.h
 *		By which keys the rows of a query can be recomputed, and how they are found.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ANALYZE_KEYED_H
#define FRESHET_ANALYZE_KEYED_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "plan.h"

/*
 * Make the plan of a query that is run (analyze_refresh()) one that recomputes its rows
 * by key.  False if there is no key; then the plan is what it was.  reason: why, or why
 * some changes lead to no key, as a phrase; or NULL.
 */
extern bool analyze_keyed(const Query *query, SinkPlan *plan, const char **reason);

#endif							/* FRESHET_ANALYZE_KEYED_H */
