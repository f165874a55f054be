/*-------------------------------------------------------------------------
 *
 * strategy.h
 *		The cheapest strategy that is exact for a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STRATEGY_H
#define FRESHET_STRATEGY_H

#include "plan.h"

/* What was chosen for a query. */
typedef struct StrategyChoice
{
	SinkPlan   *plan;

	/* not STRATEGY_DELTA: why it is not, a phrase; and a hint, or NULL */
	char	   *reason;
	char	   *hint;
	bool		foreign;		/* that is the replica identity of a table of others */
	const char *no_key;			/* STRATEGY_REFRESH: why not by key, or NULL */
	double		cost;			/* of running the query, by the planner */
} StrategyChoice;

/*
 * Is there one by single changes?  If not, the reason why is noted.  The query is as
 * parse analysis gives it, and not modified; the rights are the current user's.
 */
extern bool strategy_by_changes(const Query *query, StrategyChoice *choice);

/* After that: is there one that recomputes what a change affects? */
extern bool strategy_by_key(const Query *query, StrategyChoice *choice);

/*
 * After both: have it run whole.  Raises ERRCODE_FEATURE_NOT_SUPPORTED, naming the
 * construct, if that will not do either.
 */
extern void strategy_run_whole(const Query *query, StrategyChoice *choice);

/* Of running the query, by the planner; and how many rows it yields (or NULL). */
extern double strategy_cost(const Query *query, double *rows);

/*
 * Choose for a Query as parse analysis gives it (it is not modified), with the
 * rights of the current user.  Raises ERRCODE_FEATURE_NOT_SUPPORTED, naming the
 * construct, if none will do.
 */
extern void strategy_choose(const Query *query, StrategyChoice *choice);

#endif							/* FRESHET_STRATEGY_H */
