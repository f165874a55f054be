/*-------------------------------------------------------------------------
 *
 * stages.h
 *		Take a query apart into stages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STAGES_H
#define FRESHET_STAGES_H

#include "postgres.h"

#include "query_stages.h"

/*
 * Take apart a Query as parse analysis gives it, which is not modified.  NULL if
 * there is nothing to take apart, or something that no stage can be made of.
 */
extern QueryStages *stages_take_apart(const Query *query);

/* The table of a stage has been made: have it read by those who do. */
extern void stages_bind(QueryStage *stage, Oid relid);

#endif							/* FRESHET_STAGES_H */
