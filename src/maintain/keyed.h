/*-------------------------------------------------------------------------
 *
 * keyed.h
 *		What the files of the strategy "keyed" share.
 *
 * keyed.c collects what changed, affected_keys.c finds the keys that this
 * affects, keyed_write.c recomputes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEYED_H
#define FRESHET_KEYED_H

#include "postgres.h"

#include "apply.h"
#include "feed.h"
#include "group_table.h"
#include "key_query.h"
#include "run.h"

/* Queries of one sink; they live with its plan. */
typedef struct KeyedQueries
{
	KeyQuery  **to_keys;		/* by node: see affected_keys.c */
	KeyQuery   *documents;		/* see keyed_write.c */
	KeyQuery   *null_documents;
	KeyQuery   *all_documents;
	KeyQuery   *all_documents_parallel;
	KeyQuery   *missing_keys;
} KeyedQueries;

/*
 * A set of values that are not NULL together, or of keys; each entry has a
 * flag.  Not made before the first is added.
 */
typedef struct KeySet
{
	int			nkeys;
	KeySpec    *keys;
	TupleDesc	desc;			/* columns k1, k2, ... */
	MemoryContext context;		/* of the table and its entries; NULL: not made */
	MemoryContext entry_context;
	GroupTable	groups;
	int64		count;
	Tuplestorestate *spilled;	/* more of them, perhaps some twice; or NULL */
} KeySet;

/* What a changed row of a node says about the keys. */
typedef struct NodeState
{
	bool		direct;			/* its related columns are the key: key column i is */
	AttrNumber *key_attnos;		/* column key_attnos[i] */
	KeySet		related;		/* else: values of its related columns */
} NodeState;

typedef struct Keyed
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	Sink	   *sink;
	SinkPlan   *plan;
	const WideViewPlan *view;	/* its part */
	List	   *leaves;
	MemoryContext context;		/* of the whole */
	MemoryContext scratch;		/* of a row */
	NodeState  *nodes;
	KeySet		keys;			/* affected */
	int64		next_check;		/* number of values at which to look at memory */
	int64		nvalues;
	bool		everything;		/* a source was truncated: recompute all */
	SinkWriter *writer;
	Datum	   *values;			/* scratch, by key or column */
	bool	   *nulls;
} Keyed;

/* Add a row to a set; false if it was there.  The values are copied. */
extern bool key_set_add(Keyed *keyed, KeySet *set, const Datum *values, const bool *nulls);
extern void key_set_forget(KeySet *set);

/* The descriptor of its rows. */
extern TupleDesc key_set_desc(Keyed *keyed, KeySet *set);

/* The set's flags: of a row that is in it, or NULL. */
extern bool *key_set_flag(KeySet *set, const Datum *values, const bool *nulls);

/* Rows of a set for a query; those with a NULL, or those without.  To be ended
 * with tuplestore_end(). */
extern void key_set_rows(KeySet *set, bool with_nulls, KeyRows *rows);

/* Call back for the rows whose flag is not set. */
extern void key_set_unflagged(KeySet *set, ExecuteCallback callback, void *arg);

extern KeyedQueries *keyed_queries(Sink *sink);

/* After a value was added: do they take too much memory?  Cheap. */
extern bool keyed_memory_full(Keyed *keyed);

/* affected_keys.c */

/* Add to keyed->keys what the values collected for a node lead to. */
extern void affected_keys_find(Keyed *keyed, int node);

/* keyed_write.c */

/* Recompute the rows of the affected keys. */
extern void keyed_write_keys(Keyed *keyed);
/* Recompute all rows.  rows_done, a counter, may be NULL. */
extern void keyed_write_all(Keyed *keyed, int64 *rows_done);

#endif							/* FRESHET_KEYED_H */
