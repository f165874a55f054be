/*-------------------------------------------------------------------------
 *
 * execute.h
 *		Run a planned query, and give its rows to a callback.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EXECUTE_H
#define FRESHET_EXECUTE_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "nodes/params.h"
#include "nodes/plannodes.h"
#include "utils/queryenvironment.h"

/* The slot is the executor's, and valid during the call. */
typedef void (*ExecuteCallback) (TupleTableSlot *slot, void *arg);

/*
 * Run the plan of a SELECT at the active snapshot, with the rights of the
 * current user.  text: shown in errors and logs; params and env may be NULL.
 * The executor may scribble on the plan, unless it is a CachedPlan's.
 */
extern void execute_plan(PlannedStmt *stmt, const char *text, ParamListInfo params,
						 QueryEnvironment *env, ExecuteCallback callback, void *arg);

/*
 * Have a query read these rows by a name, as triggers read transition tables.  The
 * store must be made for random access; name and desc are not copied.
 */
extern void execute_register_rows(QueryEnvironment *env, char *name, TupleDesc desc,
								  Tuplestorestate *store, int64 count);

#endif							/* FRESHET_EXECUTE_H */
