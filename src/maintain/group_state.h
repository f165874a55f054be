/*-------------------------------------------------------------------------
 *
 * group_state.h
 *		The states of a rollup's groups, in a table that only freshet writes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_GROUP_STATE_H
#define FRESHET_GROUP_STATE_H

#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "executor/executor.h"
#include "lib/stringinfo.h"

#include "catalog/sink.h"
#include "group_table.h"

typedef struct GroupStates
{
	Relation	rel;
	Relation	index;			/* on the hash of the keys; NULL if there are none */
	int			nkeys;
	Oid			file;			/* where the rows of the sink are, see group_state.c */

	IndexScanDesc scan;			/* made at the first search */
	MemoryContext scan_context;
	ScanKeyData scan_key;
	TupleTableSlot *slot;		/* the row found */
	ExprState  *same_keys;
	ExprContext *econtext;

	Datum	   *values;			/* of a row to write */
	bool	   *nulls;
} GroupStates;

/* Where a group's state is, and what of it is not in the group itself. */
typedef struct GroupPlace
{
	ItemPointerData tid;		/* of the state; invalid: not stored yet */
	ItemPointerData row;		/* of the row in the sink */
	uint32		hash;			/* of the keys */
} GroupPlace;

/*
 * Is the table there, for this plan and these rows of the sink?  (It is not
 * after a restore.)  Only asked for plans that keep states.
 */
extern bool group_states_ready(const Sink *sink);

/*
 * An empty table in place of the one that there may be.  Outside of any
 * sandbox.
 */
extern void group_states_make(const Sink *sink);
/* Drop the table of a sink that is gone, if it has one. */
extern void group_states_drop(Oid sink_relid);

/*
 * For a writer of the sink, with the file of its rows.  "groups" is the table
 * by whose keys states are found (NULL: there are no keys).
 */
extern GroupStates *group_states_open(const Sink *sink, Relation sink_rel,
									  const GroupTable *groups);
extern void group_states_close(GroupStates *states);

/*
 * Find the state of the group with these keys, whose hash is in place: fill
 * in the rest of place, and state.  place->row is invalid if the row is where
 * the sink's rows are no more.  keys is NULL if there are none.
 */
extern bool group_states_find(GroupStates *states, TupleTableSlot *keys, GroupPlace *place,
							  StringInfo state);

/* Store the state of a group at its place, anew or in place of the old one. */
extern void group_states_store(GroupStates *states, TupleTableSlot *keys, GroupPlace *place,
							   const StringInfoData *state);
extern void group_states_delete(GroupStates *states, GroupPlace *place);
extern void group_states_delete_all(GroupStates *states);

#endif							/* FRESHET_GROUP_STATE_H */
