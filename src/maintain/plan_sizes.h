/*-------------------------------------------------------------------------
 *
 * plan_sizes.h
 *		For what sizes a kept plan is right.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PLAN_SIZES_H
#define FRESHET_PLAN_SIZES_H

#include "postgres.h"

#include "nodes/plannodes.h"

typedef struct PlanSizes PlanSizes;

/* A plan serves sets of rows whose numbers are of the same class, a power of sixteen. */
extern int	plan_size_class(int64 count);

/* How large the tables of a plan are now; palloc'd.  They must be locked. */
extern PlanSizes *plan_sizes_note(const PlannedStmt *stmt);

/* Are they about as large still? */
extern bool plan_sizes_are_right(const PlanSizes *sizes);

#endif							/* FRESHET_PLAN_SIZES_H */
