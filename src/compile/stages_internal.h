/*-------------------------------------------------------------------------
 *
 * stages_internal.h
 *		What the files that take a query apart share with each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STAGES_INTERNAL_H
#define FRESHET_STAGES_INTERNAL_H

#include "base/freshet.h"

#include "query_stages.h"

/* An entry of FROM, and the query that has it. */
typedef struct StageReader
{
	Query	   *query;
	RangeTblEntry *rte;
} StageReader;

/*
 * stages.c
 */

/* Make a stage of a query, or find the one that is there for the same. */
extern int	stages_add(QueryStages *stages, Query *query, const char *reason);

/* An entry that reads a stage, in place of what the entry was. */
extern void stages_read(QueryStages *stages, int stage, Query *query, RangeTblEntry *rte);

/* SELECT of nothing yet FROM a stage. */
extern Query *stages_select_from(QueryStages *stages, int stage);

/*
 * with.c: put subqueries in the place of what WITH has.  False if that cannot be
 * done.
 */
extern bool with_resolve(Query *query);

/*
 * split.c: divide a query between a stage, which groups, and the query over it, into
 * which the query is turned.  False if it cannot be divided there.
 */

/* What is asked of groups, from the groups. */
extern bool split_groups(QueryStages *stages, Query *query, const char *reason);

/* Aggregates with DISTINCT: rows that differ, from what is made of them. */
extern bool split_distinct_aggregates(QueryStages *stages, Query *query);

/* Has it aggregates with DISTINCT? */
extern bool split_has_distinct_aggregates(const Query *query);

/* Have Vars of joins and of groups name what they stand for. */
extern void split_resolve_aliases(Query *query);

#endif							/* FRESHET_STAGES_INTERNAL_H */
