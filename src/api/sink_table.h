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

#include "catalog/sink.h"
#include "compile/strategy.h"

/* May a sink be made here and now?  function names the caller in errors. */
extern void sink_table_check_call(const char *function);

/* The name of the new table, with its schema. */
extern RangeVar *sink_table_target(text *name);

/* Have the log hold the old values that the plan needs, or raise an error. */
extern void sink_table_ensure_identity(const SinkPlan *plan);

/*
 * The table, its key, its definition, its row in the catalogue.  The plan is the
 * chosen one for the query, or for what is left of it over its stages, if it was taken
 * apart ("last", else NULL), and everything that it needs has been checked.
 */
extern Oid	sink_table_create(RangeVar *rv, const StrategyChoice *choice, Query *query,
							  Query *last, bool with_data);

/*
 * For the tables of stages, which are made otherwise.
 */

/* The table alone, of this owner. */
extern Oid	sink_table_make(RangeVar *rv, const SinkPlan *plan, Oid owner);

/* The command that makes the index by which its rows are found, or NULL. */
extern char *sink_table_index_command(Oid relid, const SinkPlan *plan);

/* The command that makes the trigger by which users' writes are refused. */
extern char *sink_table_trigger_command(Oid relid);

/* Have DROP INDEX refused of those that are there. */
extern void sink_table_keep_indexes(Oid relid);

/* A view of the query, of the current user.  The label tells it from another; or NULL. */
extern Oid	sink_table_make_definition(Oid relid, Query *query, const char *label);

/* The row in the catalogue; what it says of the plan and of settings is filled in. */
extern void sink_table_record(Sink *sink, const SinkPlan *plan, bool with_data);

#endif							/* FRESHET_SINK_TABLE_H */
