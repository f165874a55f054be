/*-------------------------------------------------------------------------
 *
 * index_advice.h
 *		Indexes that the maintenance of a wide view or of a join needs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_INDEX_ADVICE_H
#define FRESHET_INDEX_ADVICE_H

#include "plan.h"

/*
 * Report the indexes that are missing, by a NOTICE for each, or create them,
 * which the current user must be allowed to.
 */
extern void index_advice(const SinkPlan *plan, bool create);

/* The commands that would create them, as List of char *. */
extern List *index_advice_commands(const SinkPlan *plan);

/* An index that is missing of a stage. */
typedef struct AdvisedIndex
{
	Oid			relid;
	char	   *command;
} AdvisedIndex;

/*
 * Of stages, which nobody can give indexes: as List of AdvisedIndex *.  None whose
 * entries could be too long.
 */
extern List *index_advice_of_stages(const SinkPlan *plan);

#endif							/* FRESHET_INDEX_ADVICE_H */
