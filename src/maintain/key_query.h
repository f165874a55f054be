/*-------------------------------------------------------------------------
 *
 * key_query.h
 *		Queries over a set of keys, planned for its size.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_QUERY_H
#define FRESHET_KEY_QUERY_H

#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/tuplestore.h"

#include "execute.h"

/* The name under which a query reads the keys. */
#define KEY_QUERY_KEYS	"freshet_keys"

/* Rows that a query reads in its FROM as freshet_keys (k1, k2, ...). */
typedef struct KeyRows
{
	TupleDesc	desc;
	Tuplestorestate *store;		/* made for random access */
	int64		count;
} KeyRows;

typedef struct KeyQuery KeyQuery;

/*
 * Its plans are kept as long as the context.  by_index: use indexes even where
 * reading the whole of a table looks cheaper.
 */
extern KeyQuery *key_query_create(MemoryContext context, bool by_index);

/*
 * Run a SELECT at the active snapshot, with the rights of the current user,
 * and give its rows to the callback.  The text is parsed and planned when it
 * differs from that of the last call, or the number of keys does by much.
 *
 * keys may be NULL.  parallel: use parallel workers; then the callback can
 * insert rows, if the transaction has an xid, but not update or delete any.
 */
extern void key_query_run(KeyQuery *query, const char *sql, const KeyRows *keys, bool parallel,
						  ExecuteCallback callback, void *arg);

/* The planner's estimate of what that would cost. */
extern double key_query_cost(KeyQuery *query, const char *sql, const KeyRows *keys);

#endif							/* FRESHET_KEY_QUERY_H */
