/*-------------------------------------------------------------------------
 *
 * sink_table.h
 *		Making the table of a sink, and all that belongs to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SINK_TABLE_H
#define FRESHET_SINK_TABLE_H

#include "postgres.h"

#include "nodes/primnodes.h"

#include "compile/plan.h"

/* May a sink be made here and now?  function names the caller in errors. */
extern void sink_table_check_call(const char *function);

/* The name of the new table, with its schema. */
extern RangeVar *sink_table_target(text *name);

/* Have the log hold the old values that the plan needs, or raise an error. */
extern void sink_table_ensure_identity(const SinkPlan *plan);

/*
 * The table, its key, its definition, its row in the catalogue.  The plan is
 * the query's, and everything that it needs has been checked.
 */
extern Oid	sink_table_create(RangeVar *rv, const SinkPlan *plan, Query *query, bool with_data);

#endif							/* FRESHET_SINK_TABLE_H */
