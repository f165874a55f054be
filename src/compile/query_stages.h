/*-------------------------------------------------------------------------
 *
 * query_stages.h
 *		A query that was taken apart into stages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_QUERY_STAGES_H
#define FRESHET_QUERY_STAGES_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * A part of a query that becomes a table of its own.  Until that is made, entries
 * of FROM that read it are entries of a table without an OID.
 */
typedef struct QueryStage
{
	Query	   *query;			/* over tables and the stages before it */
	const char *reason;			/* the construct that asks for it */
	List	   *readers;		/* StageReader * */
} QueryStage;

typedef struct QueryStages
{
	List	   *stages;			/* QueryStage *, each after those that it reads */
	Query	   *last;			/* what is left of the query */
} QueryStages;

#endif							/* FRESHET_QUERY_STAGES_H */
