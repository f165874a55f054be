/*-------------------------------------------------------------------------
 *
 * stage_table.h
 *		The tables of the stages of a sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STAGE_TABLE_H
#define FRESHET_STAGE_TABLE_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

#include "compile/strategy.h"

/* A stage, as a table that is no sink's yet. */
typedef struct StageTable
{
	Oid			relid;
	Oid			viewid;			/* of its query */
	Query	   *query;
	SinkPlan   *plan;
	const char *reason;
} StageTable;

/* A query that was taken apart. */
typedef struct StagedQuery
{
	List	   *tables;			/* StageTable *, each after those that it reads */
	Query	   *last;			/* what is left, over them */
	StrategyChoice choice;		/* for that */
} StagedQuery;

/*
 * Take a query apart for a sink of this name, and make the tables of its stages.
 * NULL, and nothing is made, if it cannot be, or would gain nothing.  whole is what
 * strategy_by_changes() says of the query.
 */
extern StagedQuery *stage_tables_make(const Query *query, const StrategyChoice *whole,
									  const char *name);

/* The sink has been made: the stages become its own. */
extern void stage_tables_give(const StagedQuery *staged, Oid relid, bool with_data);

#endif							/* FRESHET_STAGE_TABLE_H */
