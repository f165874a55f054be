/*-------------------------------------------------------------------------
 *
 * group_table.h
 *		Hash tables by keys: those of a plan, or others.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_GROUP_TABLE_H
#define FRESHET_GROUP_TABLE_H

#include "postgres.h"

#include "nodes/execnodes.h"

#include "compile/plan.h"

typedef struct GroupTable
{
	TupleHashTable table;
	TupleTableSlot *key_slot;	/* virtual: keys to look up */
	TupleTableSlot *stored_slot;	/* keys of an entry */
} GroupTable;

/*
 * Do the other keys determine key i?  So for window_end if window_start is a
 * key: it need not be compared.
 */
extern bool group_key_is_implied(int nkeys, const KeySpec *keys, int i);

/*
 * Make a table whose entries have "size" bytes of additional data, in the
 * current memory context; entries and their keys go to entry_context, and
 * hash functions may leave garbage in scratch_context.
 */
extern void group_table_create(GroupTable *groups, int nkeys, const KeySpec *keys, Size size,
							   MemoryContext table_context, MemoryContext entry_context,
							   MemoryContext scratch_context);

#endif							/* FRESHET_GROUP_TABLE_H */
