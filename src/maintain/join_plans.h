/*-------------------------------------------------------------------------
 *
 * join_plans.h
 *		Plans of queries over what has changed, kept over the batches.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JOIN_PLANS_H
#define FRESHET_JOIN_PLANS_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"

#include "join_query.h"

typedef struct JoinPlans JoinPlans;

/* They are kept as long as the context. */
extern JoinPlans *join_plans_create(MemoryContext context);

/* What a plan is made of. */
typedef Query *(*JoinQueryMaker) (void *arg);

/*
 * The plan of a query over what has changed of n occurrences, in about these numbers;
 * valid until the next call.  number: which query it is, of those of the sink; make
 * yields it, if it has to be planned.  All that it reads must be locked.
 */
extern PlannedStmt *join_plans_get(JoinPlans *plans, int n, const JoinChanges *changes,
								   int number, JoinQueryMaker make, void *arg);

#endif							/* FRESHET_JOIN_PLANS_H */
