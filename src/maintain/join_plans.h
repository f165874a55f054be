/*-------------------------------------------------------------------------
 *
 * join_plans.h
 *		Plans of a join's terms, kept over the batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JOIN_PLANS_H
#define FRESHET_JOIN_PLANS_H

#include "postgres.h"

#include "nodes/plannodes.h"

#include "compile/plan.h"
#include "join_query.h"

typedef struct JoinPlans JoinPlans;

/* They are kept as long as the context. */
extern JoinPlans *join_plans_create(MemoryContext context);

/*
 * The plan of a term, made for changes of about this number; valid until the
 * next call.  All that it reads must be locked.
 */
extern PlannedStmt *join_plans_get(JoinPlans *plans, const SinkPlan *plan,
								   const JoinChanges *changes, int changed, int *nweights);

#endif							/* FRESHET_JOIN_PLANS_H */
