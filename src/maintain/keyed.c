/*-------------------------------------------------------------------------
 *
 * keyed.c
 *		The strategy "keyed": recompute the rows of affected keys.
 *
 * A wide view has a row for each row of the root, computed from it and from
 * lookups that are joined to it, and to each other, by equality of columns:
 * a tree of nodes, with the root at the top.
 *
 * A changed row of a node affects the keys that it can be joined to, upwards,
 * before the change or after it.  What the join needs of the row is its
 * related columns, in the old row and in the new one; these are collected
 * here, in a set for each node.  At the end of the batch affected_keys.c
 * joins each set with the enclosing nodes' tables at the batch's snapshot S,
 * up to the root, and keyed_write.c computes the keys' rows at S through the
 * definition and writes those that differ.
 *
 * Why the join may be made at S although the row was joined to other rows
 * before: let a document hold row r before the batch, through rows p1 (of the
 * root), p2, ... of the enclosing nodes.  Those among them that the batch
 * changed are changes themselves, and their old values were collected.  Of
 * the changed rows in the chain, r among them, take the one nearest to the
 * root: all above it are unchanged, so they are there at S, and its own join
 * finds the root's key.
 *
 * For the same reason it does no harm to look earlier, when the batch is not
 * aligned and S is beyond what was decoded: rows that are missing at S were
 * changed by something that is still to come, which then is the one nearest to
 * the root, and what was computed too early is computed again.
 *
 * Often no join is needed: if a node's related columns are the root's key
 * (order items by order_id), they are the affected key.
 *
 * Sets are bounded by half of freshet.work_mem: beyond it they are put aside, in
 * temporary files.  When the batch is whole they are read again, and the rows of as
 * many keys as fit are recomputed at a time.  Nothing is written before, so that
 * no constraint, trigger or sink above meets a half of what has changed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"

#include "base/guc.h"
#include "base/process.h"
#include "keyed.h"

#define MEMORY_CHECK_INTERVAL	1024

/* What a set keeps in memory of its rows in files: as little as can be. */
#define SPILL_MEMORY_KB	64

/*
 * Sets
 */

static void
make_set(Keyed *keyed, KeySet *set)
{
	MemoryContext oldcontext;

	set->context = AllocSetContextCreate(keyed->context, "freshet key set",
										 ALLOCSET_DEFAULT_SIZES);
	set->entry_context = AllocSetContextCreate(set->context, "freshet keys",
											   ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(set->context);
	set->desc = CreateTemplateTupleDesc(set->nkeys);
	for (int i = 0; i < set->nkeys; i++)
	{
		TupleDescInitEntry(set->desc, i + 1, psprintf("k%d", i + 1), set->keys[i].type,
						   set->keys[i].typmod, 0);
		TupleDescInitEntryCollation(set->desc, i + 1, set->keys[i].collation);
	}
	group_table_create(&set->groups, set->nkeys, set->keys, sizeof(bool), set->context,
					   set->entry_context, keyed->scratch);
	MemoryContextSwitchTo(oldcontext);
}

TupleDesc
key_set_desc(Keyed *keyed, KeySet *set)
{
	if (set->context == NULL)
		make_set(keyed, set);
	return set->desc;
}

static TupleTableSlot *
put_related(KeySet *set, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = set->groups.key_slot;

	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, set->nkeys * sizeof(Datum));
	memcpy(slot->tts_isnull, nulls, set->nkeys * sizeof(bool));
	return ExecStoreVirtualTuple(slot);
}

static bool *
entry_flag(KeySet *set, TupleHashEntry entry)
{
	return freshet_hash_additional(set->groups.table, entry, sizeof(bool), set->entry_context);
}

bool
key_set_add(Keyed *keyed, KeySet *set, const Datum *values, const bool *nulls)
{
	TupleHashEntry entry;
	bool		isnew;
	uint32		hash;

	if (set->context == NULL)
		make_set(keyed, set);
	entry = LookupTupleHashEntry(set->groups.table, put_related(set, values, nulls), &isnew, &hash);
	if (isnew)
	{
		*entry_flag(set, entry) = false;
		set->count++;
		keyed->nvalues++;
	}
	return isnew;
}

bool *
key_set_flag(KeySet *set, const Datum *values, const bool *nulls)
{
	TupleHashEntry entry;
	uint32		hash;

	if (set->count == 0)
		return NULL;
	entry = LookupTupleHashEntry(set->groups.table, put_related(set, values, nulls), NULL, &hash);
	return entry == NULL ? NULL : entry_flag(set, entry);
}

/* Put the rows aside. */
static void
spill_set(Keyed *keyed, KeySet *set)
{
	TupleHashIterator it;
	TupleHashEntry entry;

	if (set->count == 0)
		return;
	if (set->spilled == NULL)
	{
		/* not among what the bound is for */
		MemoryContext oldcontext = MemoryContextSwitchTo(MemoryContextGetParent(keyed->context));

		set->spilled = tuplestore_begin_heap(false, false, SPILL_MEMORY_KB);
		MemoryContextSwitchTo(oldcontext);
	}
	InitTupleHashIterator(set->groups.table, &it);
	while ((entry = ScanTupleHashTable(set->groups.table, &it)) != NULL)
	{
		ExecStoreMinimalTuple(freshet_hash_tuple(entry), set->groups.stored_slot, false);
		tuplestore_puttupleslot(set->spilled, set->groups.stored_slot);
	}
	TermTupleHashIterator(&it);
}

static void
end_spilled(KeySet *set)
{
	if (set->spilled != NULL)
		tuplestore_end(set->spilled);
	set->spilled = NULL;
}

void
key_set_forget(KeySet *set)
{
	if (set->count > 0)
	{
		ResetTupleHashTable(set->groups.table);
		MemoryContextReset(set->entry_context);
	}
	set->count = 0;
}

void
key_set_rows(KeySet *set, bool with_nulls, KeyRows *rows)
{
	TupleHashIterator it;
	TupleHashEntry entry;

	rows->desc = set->desc;
	rows->count = 0;
	rows->store = tuplestore_begin_heap(true, false, work_mem);
	if (set->count == 0)
		return;

	InitTupleHashIterator(set->groups.table, &it);
	while ((entry = ScanTupleHashTable(set->groups.table, &it)) != NULL)
	{
		TupleTableSlot *slot = set->groups.stored_slot;
		bool		has_null = false;

		ExecStoreMinimalTuple(freshet_hash_tuple(entry), slot, false);
		for (int i = 0; i < set->nkeys; i++)
			has_null |= slot_attisnull(slot, i + 1);
		if (has_null != with_nulls)
			continue;
		tuplestore_puttupleslot(rows->store, slot);
		rows->count++;
	}
	TermTupleHashIterator(&it);
}

void
key_set_unflagged(KeySet *set, ExecuteCallback callback, void *arg)
{
	TupleHashIterator it;
	TupleHashEntry entry;

	if (set->count == 0)
		return;
	InitTupleHashIterator(set->groups.table, &it);
	while ((entry = ScanTupleHashTable(set->groups.table, &it)) != NULL)
	{
		if (*entry_flag(set, entry))
			continue;
		ExecStoreMinimalTuple(freshet_hash_tuple(entry), set->groups.stored_slot, false);
		callback(set->groups.stored_slot, arg);
	}
	TermTupleHashIterator(&it);
}

/* Compare values as the type does by default, or not at all. */
static void
set_key_spec(KeySpec *spec, const RelatedColumn *column)
{
	TypeCacheEntry *type = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);

	memset(spec, 0, sizeof(KeySpec));
	spec->type = column->type;
	spec->typmod = column->typmod;
	spec->collation = column->collation;
	spec->eqop = type->eq_opr;
	spec->sortop = type->lt_opr;
	if (!OidIsValid(spec->eqop))
		elog(ERROR, "type %u has no equality operator", column->type);
}

/*
 * The run
 */

bool
keyed_memory_full(Keyed *keyed)
{
	if (likely(keyed->nvalues < keyed->next_check))
		return false;
	keyed->next_check = keyed->nvalues + MEMORY_CHECK_INTERVAL;
	return MemoryContextMemAllocated(keyed->context, true) > (Size) freshet_work_mem * 1024 / 2;
}

/* Make room for others. */
static void
forget_sets(Keyed *keyed)
{
	key_set_forget(&keyed->keys);
	for (int i = 0; i < keyed->view->nnodes; i++)
		key_set_forget(&keyed->nodes[i].related);
	keyed->nvalues = 0;
	keyed->next_check = MEMORY_CHECK_INTERVAL;
}

/* Recompute what has been collected, and forget it. */
static void
flush(Keyed *keyed)
{
	if (keyed->everything)
		keyed_write_all(keyed, NULL);
	else if (keyed->nvalues > 0)
	{
		feed_check_sources(keyed->sink, keyed->leaves);
		process_lock_relation(keyed->sink->viewid, AccessShareLock);
		for (int i = 0; i < keyed->view->nnodes; i++)
		{
			if (keyed->nodes[i].related.count > 0)
				affected_keys_find(keyed, i);
		}
		keyed_write_keys(keyed);
	}

	forget_sets(keyed);
}

static void
spill(Keyed *keyed)
{
	spill_set(keyed, &keyed->keys);
	for (int i = 0; i < keyed->view->nnodes; i++)
		spill_set(keyed, &keyed->nodes[i].related);
	forget_sets(keyed);
}

/* Read back what was put aside of a set, as much as fits at a time. */
static void
flush_spilled(Keyed *keyed, KeySet *set)
{
	TupleTableSlot *slot;

	if (set->spilled == NULL)
		return;
	slot = MakeSingleTupleTableSlot(set->desc, &TTSOpsMinimalTuple);
	while (tuplestore_gettupleslot(set->spilled, true, false, slot))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(keyed->scratch);

		slot_getallattrs(slot);
		(void) key_set_add(keyed, set, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(keyed->scratch);
		if (keyed_memory_full(keyed))
			flush(keyed);
	}
	ExecDropSingleTupleTableSlot(slot);
	end_spilled(set);
}

/* What the row's related columns say; a NULL among them joins nothing. */
static void
collect(Keyed *keyed, int n, TupleTableSlot *slot)
{
	KeyedNode  *node = &keyed->view->nodes[n];
	NodeState  *state = &keyed->nodes[n];
	int			nvalues = state->direct ? keyed->plan->nkeys : node->nrelated;

	for (int i = 0; i < nvalues; i++)
	{
		AttrNumber	attno = state->direct ? state->key_attnos[i] : node->related[i].attno;

		keyed->values[i] = slot_getattr(slot, attno, &keyed->nulls[i]);
		if (keyed->nulls[i] && n > 0)
			return;
	}
	(void) key_set_add(keyed, state->direct ? &keyed->keys : &state->related, keyed->values,
					   keyed->nulls);
}

static void
keyed_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	Keyed	   *keyed = (Keyed *) consumer;
	MemoryContext oldcontext;

	if (keyed->everything)
		return;
	oldcontext = MemoryContextSwitchTo(keyed->scratch);
	collect(keyed, occurrence, slot);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(keyed->scratch);

	if (keyed_memory_full(keyed))
		spill(keyed);
}

static void
keyed_truncate(RowConsumer *consumer, int occurrence)
{
	((Keyed *) consumer)->everything = true;
}

static void
open_node(Keyed *keyed, int n)
{
	KeyedNode  *node = &keyed->view->nodes[n];
	NodeState  *state = &keyed->nodes[n];

	state->key_attnos = palloc(keyed->plan->nkeys * sizeof(AttrNumber));
	state->direct = plan_knows_root_key(keyed->plan, n, state->key_attnos);
	state->related.nkeys = node->nrelated;
	state->related.keys = palloc(node->nrelated * sizeof(KeySpec));
	for (int i = 0; i < node->nrelated; i++)
		set_key_spec(&state->related.keys[i], &node->related[i]);
}

static RowConsumer *
keyed_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet keyed",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Keyed	   *keyed = palloc0(sizeof(Keyed));
	int			nvalues = sink->plan->ncolumns;

	keyed->consumer.row = keyed_row;
	keyed->consumer.truncate = keyed_truncate;
	keyed->consumer.wants_same_identity = true;
	keyed->sink = sink;
	keyed->plan = sink->plan;
	keyed->view = plan_wide_view(sink->plan);
	keyed->leaves = leaves;
	keyed->context = context;
	keyed->scratch = AllocSetContextCreate(context, "freshet keyed row", ALLOCSET_DEFAULT_SIZES);
	keyed->next_check = MEMORY_CHECK_INTERVAL;
	keyed->keys.nkeys = sink->plan->nkeys;
	keyed->keys.keys = sink->plan->keys;
	keyed->nodes = palloc0(keyed->view->nnodes * sizeof(NodeState));
	for (int i = 0; i < keyed->view->nnodes; i++)
	{
		open_node(keyed, i);
		nvalues = Max(nvalues, keyed->view->nodes[i].nrelated);
	}
	keyed->values = palloc(nvalues * sizeof(Datum));
	keyed->nulls = palloc(nvalues * sizeof(bool));
	keyed->writer = writer_open(sink, emit);
	MemoryContextSwitchTo(oldcontext);
	return &keyed->consumer;
}

static void
keyed_fill(RowConsumer *consumer, int64 *rows_done)
{
	keyed_write_all((Keyed *) consumer, rows_done);
}

static void
keyed_flush(RowConsumer *consumer)
{
	Keyed	   *keyed = (Keyed *) consumer;

	if (!keyed->everything)
	{
		flush_spilled(keyed, &keyed->keys);
		for (int i = 0; i < keyed->view->nnodes; i++)
			flush_spilled(keyed, &keyed->nodes[i].related);
	}
	flush(keyed);
}

static void
keyed_close(RowConsumer *consumer, MaintainResult *result)
{
	Keyed	   *keyed = (Keyed *) consumer;

	result->inserted = keyed->writer->inserted;
	result->updated = keyed->writer->updated;
	result->deleted = keyed->writer->deleted;
	writer_close(keyed->writer);
	end_spilled(&keyed->keys);
	for (int i = 0; i < keyed->view->nnodes; i++)
		end_spilled(&keyed->nodes[i].related);
	MemoryContextDelete(keyed->context);
}

KeyedQueries *
keyed_queries(Sink *sink)
{
	MemoryContext oldcontext;
	int			nnodes = plan_wide_view(sink->plan)->nnodes;
	KeyedQueries *queries = sink->run_cache;

	if (queries != NULL)
		return queries;

	oldcontext = MemoryContextSwitchTo(sink->context);
	queries = palloc0(sizeof(KeyedQueries));
	queries->to_keys = palloc0(nnodes * sizeof(KeyQuery *));
	for (int i = 0; i < nnodes; i++)
		queries->to_keys[i] = key_query_create(sink->context, false);
	queries->documents = key_query_create(sink->context, true);
	queries->null_documents = key_query_create(sink->context, false);
	queries->all_documents = key_query_create(sink->context, false);
	queries->all_documents_parallel = key_query_create(sink->context, false);
	queries->missing_keys = key_query_create(sink->context, false);
	MemoryContextSwitchTo(oldcontext);
	sink->run_cache = queries;
	return queries;
}

const RunMethods keyed_methods = {
	keyed_open,
	keyed_fill,
	keyed_flush,
	keyed_close
};
