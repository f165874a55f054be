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
	const char *no_key;			/* STRATEGY_REFRESH: why not by key, or NULL */
	double		cost;			/* of running the query, by the planner */
} StrategyChoice;

/*
 * Choose for a Query as parse analysis gives it (it is not modified), with the
 * rights of the current user.  Raises ERRCODE_FEATURE_NOT_SUPPORTED, naming the
 * construct, if none will do.
 */
extern void strategy_choose(const Query *query, StrategyChoice *choice);

#endif							/* FRESHET_STRATEGY_H */
