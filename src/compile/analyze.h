/*-------------------------------------------------------------------------
 *
 * analyze.h
 *		From a query to a plan, or a refusal by name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ANALYZE_H
#define FRESHET_ANALYZE_H

#include "plan.h"

/*
 * Parse and analyze the text of a definition: exactly one SELECT without
 * parameters, else an error.  Runs with the rights of the current user.
 */
extern Query *analyze_query_text(const char *query);

/*
 * Choose the strategy of a rewritten-free Query (as parse analysis or
 * get_view_query() gives it; it is not modified) and make its plan in the
 * current memory context.  Raises ERRCODE_FEATURE_NOT_SUPPORTED, naming the
 * construct, with a HINT, if no strategy can maintain it.
 *
 * as_bag: a copy goes without a key, as one that was made so, though its source
 * may have got one since.
 */
extern SinkPlan *analyze_delta(const Query *query, bool as_bag);

/*
 * The plan of any query that means something as a table: it is run anew when
 * one of its sources changes.  Raises the same error if it means nothing.
 */
extern SinkPlan *analyze_refresh(const Query *query);

/*
 * The plan of a query whose rows are recomputed by key; one by which it is run, if
 * there is no key any more.
 */
extern SinkPlan *analyze_keyed_query(const Query *query);

/*
 * The plan of a wide view from its definition, which wide_view.c made.
 */
extern SinkPlan *analyze_wide_view(const Query *query);

/* Lines that tell a person the strategy and the reason, as List of char *. */
extern List *analyze_explain(const Query *query);

#endif							/* FRESHET_ANALYZE_H */
