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

	/* STRATEGY_REFRESH: why no better one, a phrase; and a hint, or NULL */
	char	   *reason;
	char	   *hint;
	double		cost;			/* of running the query, by the planner */
} StrategyChoice;

/*
 * Choose for a Query as parse analysis gives it (it is not modified), with the
 * rights of the current user.  Raises ERRCODE_FEATURE_NOT_SUPPORTED, naming the
 * construct, if none will do.
 */
extern void strategy_choose(const Query *query, StrategyChoice *choice);

#endif							/* FRESHET_STRATEGY_H */
