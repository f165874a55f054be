/*-------------------------------------------------------------------------
 *
 * source_query.h
 *		Queries over the sources of a plan, for PostgreSQL's planner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SOURCE_QUERY_H
#define FRESHET_SOURCE_QUERY_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "compile/plan.h"

/*
 * SELECT tlist FROM source WHERE quals, or from the join of the sources.  The
 * lists become part of the query, which the planner scribbles on: give it copies.
 */
extern Query *source_query(const SinkPlan *plan, List *quals, List *tlist);

/*
 * An aggregate; args is a List of Expr, NIL for count(*).  Expressions are
 * not copied.
 */
extern Aggref *source_query_aggref(Oid aggfnoid, Oid type, Oid input_collation, List *args,
								   Expr *filter);

/* The aggregate of the definition, with copies of its expressions. */
extern Aggref *source_query_aggregate(const AggSpec *spec);

#endif							/* FRESHET_SOURCE_QUERY_H */
