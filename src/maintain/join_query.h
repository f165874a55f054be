/*-------------------------------------------------------------------------
 *
 * join_query.h
 *		Queries over a plan's join: at the snapshot, and by what has changed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JOIN_QUERY_H
#define FRESHET_JOIN_QUERY_H

#include "postgres.h"

#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "compile/plan.h"

/*
 * The difference that a batch makes to the rows of an occurrence, netted: the
 * columns of its input, then, as int8, how often the row came more than it went.
 */
typedef struct JoinChanges
{
	TupleDesc	desc;
	Tuplestorestate *store;		/* made for random access; NULL: none */
	int64		count;			/* of rows */
} JoinChanges;

/* How an occurrence takes part in a query. */
typedef enum JoinSide
{
	SIDE_NEW,					/* its rows at the snapshot */
	SIDE_OLD,					/* its rows before the batch, if it has changed */
	SIDE_BOTH,					/* both, some of them twice */
	SIDE_CHANGES				/* the difference */
} JoinSide;

/* The description of the changes of an occurrence. */
extern TupleDesc join_changes_desc(const SinkPlan *plan, int occurrence);

/* SELECT the columns of the input and the weight FROM a side of an occurrence. */
extern Query *join_side_query(const SinkPlan *plan, const JoinChanges *changes, int occurrence,
							  JoinSide side);

/* SELECT the columns of the joined row FROM the sources WHERE the conditions. */
extern Query *join_query(const SinkPlan *plan);

/*
 * The term of the join's difference that the changes of one occurrence make:
 * these, joined with the occurrences before it as they were and those after it
 * as they are.  After the columns of the joined row come the factors of how often it
 * came, so many of them.
 */
extern Query *join_term_query(const SinkPlan *plan, const JoinChanges *changes, int changed);
extern int	join_term_weights(const JoinChanges *changes, int changed);

/*
 * The same of the changes of several occurrences together, with the others as they
 * are: the terms of all sets of occurrences that have changed add up to the difference,
 * if those of an even number are subtracted.
 */
extern Query *join_set_query(const SinkPlan *plan, const JoinChanges *changes,
							 const Bitmapset *set);

/* What that query reads the changes from. */
extern QueryEnvironment *join_term_environment(const SinkPlan *plan, const JoinChanges *changes);

#endif							/* FRESHET_JOIN_QUERY_H */
