/*-------------------------------------------------------------------------
 *
 * key_paths.h
 *		Queries from changed rows to keys, and from keys to the sink's rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_PATHS_H
#define FRESHET_KEY_PATHS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

#include "catalog/sink.h"
#include "join_query.h"

/*
 * SELECT the keys that the changes of an occurrence lead to on this path.  Reads
 * join_term_environment().
 */
extern Query *key_path_query(const SinkPlan *plan, const JoinChanges *changes, int occurrence,
							 const KeyPath *path);

/*
 * SELECT the TID and the plan's columns of the sink's rows with keys that are in rows
 * of this name and description.  nulls: bit i is set if key i is NULL in all of them.
 */
extern Query *key_rows_query(Sink *sink, char *name, TupleDesc desc, int64 count, int nulls);

#endif							/* FRESHET_KEY_PATHS_H */
