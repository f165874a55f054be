/*-------------------------------------------------------------------------
 *
 * rollup.c
 *		Fold changes into the groups of a rollup.
 *
 * One pass over the changes, then one write per group that changed.  A group
 * that is met for the first time is loaded, so the states in memory are whole:
 * adding is +1, retracting is -1, and no order of the two matters.  It is
 * loaded from its row in the sink, if the columns hold all of it, or else from
 * the table of states (group_state.h), whose row tells where the sink's is.
 *
 * Groups live in a TupleHashTable whose memory is bounded; the rows of groups
 * that do not fit are put aside (rollup_spill.c).  Nothing is computed from a
 * group, and nothing written, before the batch is whole.
 *
 * min and max forget: when their extreme is retracted the group is "stale",
 * and its extremes are computed again from the source before the group is
 * written (extreme.c).
 *
 * Filling is in rollup_fill.c.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "accum.h"
#include "apply.h"
#include "base/guc.h"
#include "extreme.h"
#include "rollup_internal.h"
#include "row_eval.h"
#include "run.h"

/* Rows of a batch after which the cache of keys is made. */
#define CACHE_FROM_ROWS			4096

static void rollup_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign);
static void rollup_truncate(RowConsumer *consumer, int occurrence);

/*
 * Compiling
 */

/*
 * Keys first, then the filter and the argument of each aggregate, which is
 * evaluated if the filter is true.
 */
static void
compile_input(Rollup *rollup)
{
	SinkPlan   *plan = rollup->plan;
	List	   *exprs = NIL;
	int		   *guards = palloc((plan->nkeys + 2 * rollup->naggs + 1) * sizeof(int));

	for (int i = 0; i < plan->nkeys; i++)
	{
		guards[i] = -1;
		exprs = lappend(exprs, plan->keys[i].expr);
	}

	rollup->args = palloc(Max(rollup->naggs, 1) * sizeof(int));
	rollup->filters = palloc(Max(rollup->naggs, 1) * sizeof(int));
	rollup->descs = palloc0(Max(rollup->naggs, 1) * sizeof(AccumDesc));
	for (int i = 0; i < rollup->naggs; i++)
	{
		const AggSpec *spec = &rollup->aggs[i];

		accum_prepare(&rollup->descs[i], spec);
		rollup->args[i] = rollup->filters[i] = -1;
		if (spec->filter != NULL)
		{
			guards[list_length(exprs)] = -1;
			rollup->filters[i] = list_length(exprs);
			exprs = lappend(exprs, spec->filter);
		}
		if (spec->arg != NULL)
		{
			guards[list_length(exprs)] = rollup->filters[i];
			rollup->args[i] = list_length(exprs);
			exprs = lappend(exprs, spec->arg);
		}
	}
	rollup->eval = row_eval_create(plan_rows(plan), exprs, guards);
}

/* From a group's keys and results to the sink's visible columns. */
static void
compile_output(Rollup *rollup)
{
	SinkPlan   *plan = rollup->plan;
	TupleDesc	desc = CreateTemplateTupleDesc(plan->nkeys + rollup->naggs);
	List	   *tlist = NIL;
	AttrNumber	attno = 1;

	for (int i = 0; i < plan->nkeys; i++, attno++)
	{
		TupleDescInitEntry(desc, attno, NULL, plan->keys[i].type, plan->keys[i].typmod, 0);
		TupleDescInitEntryCollation(desc, attno, plan->keys[i].collation);
	}
	for (int i = 0; i < rollup->naggs; i++, attno++)
		TupleDescInitEntry(desc, attno, NULL, rollup->aggs[i].resulttype, -1, 0);
	rollup->result_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);

	for (int i = 0; i < plan->ncolumns; i++)
		tlist = lappend(tlist, makeTargetEntry(plan->columns[i].expr, i + 1, NULL, false));
	rollup->out_econtext = CreateStandaloneExprContext();
	rollup->output = ExecBuildProjectionInfo(tlist, rollup->out_econtext,
											 MakeSingleTupleTableSlot(ExecTypeFromTL(tlist),
																	  &TTSOpsVirtual),
											 NULL, NULL);
}

static RowConsumer *
rollup_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet rollup",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Rollup	   *rollup = palloc0(sizeof(Rollup));

	rollup->consumer.row = rollup_row;
	rollup->consumer.truncate = rollup_truncate;
	rollup->context = context;
	rollup->group_context = AllocSetContextCreate(context, "freshet groups",
												  ALLOCSET_DEFAULT_SIZES);
	rollup->leaves = leaves;
	rollup->sink = sink;
	rollup->plan = sink->plan;
	rollup->naggs = plan_rollup(sink->plan)->naggs;
	rollup->keeps_states = plan_rollup(sink->plan)->keeps_states;
	rollup->aggs = plan_rollup(sink->plan)->aggs;
	rollup_reset_memory(rollup);
	rollup->variant_keys = variant_keys_create(sink->plan);
	rollup->group_size = offsetof(RollupGroup, accums) + rollup->naggs * sizeof(Accum) +
		(rollup->variant_keys != NULL ? sizeof(KeyVariants *) : 0);
	initStringInfo(&rollup->state);
	compile_input(rollup);
	compile_output(rollup);
	if (sink->plan->nkeys > 0)
		group_table_create(&rollup->groups, sink->plan->nkeys, sink->plan->keys,
						   rollup->group_size, context, rollup->group_context,
						   rollup->eval->econtext->ecxt_per_tuple_memory);
	rollup->writer = writer_open(sink, emit);
	MemoryContextSwitchTo(oldcontext);
	return &rollup->consumer;
}

static void
rollup_close(RowConsumer *consumer, MaintainResult *result)
{
	Rollup	   *rollup = (Rollup *) consumer;

	result->inserted = rollup->writer->inserted;
	result->updated = rollup->writer->updated;
	result->deleted = rollup->writer->deleted;
	if (rollup->states != NULL)
		group_states_close(rollup->states);
	writer_close(rollup->writer);
	rollup_spill_forget(rollup);
	row_eval_destroy(rollup->eval);
	FreeExprContext(rollup->out_econtext, true);
	MemoryContextDelete(rollup->context);
}

/*
 * Groups
 */

static GroupStates *
get_states(Rollup *rollup)
{
	MemoryContext oldcontext;

	if (likely(rollup->states != NULL))
		return rollup->states;
	oldcontext = MemoryContextSwitchTo(rollup->context);
	rollup->states = group_states_open(rollup->sink, rollup->writer->rel, &rollup->groups);
	MemoryContextSwitchTo(oldcontext);
	return rollup->states;
}

static void
lost_state(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of the sink is not what freshet wrote"),
			 errhint("Call freshet.rebuild_sink().")));
}

/* A group from its row, in the writer's old_slot, which holds all of it. */
static void
load_from_row(Rollup *rollup, RollupGroup *group)
{
	const RollupPlan *plan = plan_rollup(rollup->plan);
	bool		isnull;

	group->place.row = rollup->writer->old_slot->tts_tid;
	if (plan->rows_column >= 0)
	{
		group->rows = DatumGetInt64(writer_old_value(rollup->writer, plan->rows_column, &isnull));
		if (isnull)
			lost_state();
	}
	for (int i = 0; i < rollup->naggs; i++)
	{
		Datum		value = writer_old_value(rollup->writer, plan->aggs[i].visible, &isnull);

		if (isnull && !accum_is_extreme(&rollup->descs[i]))
			lost_state();
		accum_from_visible(&rollup->descs[i], &group->accums[i], value, isnull, group->rows);
	}
}

/* A group from what serialize_group() made of it. */
static void
load_from_state(Rollup *rollup, RollupGroup *group)
{
	group->rows = state_get_int64(&rollup->state);
	for (int i = 0; i < rollup->naggs; i++)
		accum_deserialize(&rollup->descs[i], &group->accums[i], &rollup->state);
	if (rollup->variant_keys != NULL)
		*rollup_variants(rollup, group) = key_variants_deserialize(rollup->variant_keys,
																   &rollup->state);
	state_check_end(&rollup->state);
}

static void
serialize_group(Rollup *rollup, RollupGroup *group)
{
	resetStringInfo(&rollup->state);
	state_put_int64(&rollup->state, group->rows);
	for (int i = 0; i < rollup->naggs; i++)
		accum_serialize(&rollup->descs[i], &group->accums[i], &rollup->state);
	if (rollup->variant_keys != NULL)
		key_variants_serialize(*rollup_variants(rollup, group), &rollup->state);
}

/* What the group was when it was last written; false if it is new. */
static bool
load_group(Rollup *rollup, RollupGroup *group)
{
	TupleTableSlot *keys = rollup->groups.key_slot;

	if (rollup->keeps_states)
	{
		if (!group_states_find(get_states(rollup), keys, &group->place, &rollup->state))
			return false;
		load_from_state(rollup, group);
		return true;
	}
	if (!writer_find(rollup->writer, keys ? keys->tts_values : NULL,
					 keys ? keys->tts_isnull : NULL))
		return false;
	load_from_row(rollup, group);
	return true;
}

void
rollup_init_place(RollupGroup *group, uint32 hash)
{
	group->place.hash = hash;
	ItemPointerSetInvalid(&group->place.tid);
	ItemPointerSetInvalid(&group->place.row);
}

void
rollup_init_group(Rollup *rollup, RollupGroup *group)
{
	group->rows = 0;
	group->stored = false;
	for (int i = 0; i < rollup->naggs; i++)
		accum_init(&rollup->descs[i], &group->accums[i]);
	if (rollup->variant_keys != NULL)
		*rollup_variants(rollup, group) = NULL;
}

/* A new group; its keys are in values and nulls of key_slot. */
static pg_noinline void
start_group(Rollup *rollup, RollupGroup *group, uint32 hash)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(rollup->group_context);

	rollup_init_group(rollup, group);
	rollup_init_place(group, hash);
	if (!rollup->fresh)
		group->stored = load_group(rollup, group);
	rollup->ngroups++;
	MemoryContextSwitchTo(oldcontext);
}

static RollupGroup *
total_group(Rollup *rollup)
{
	if (rollup->total == NULL)
	{
		rollup->total = MemoryContextAllocZero(rollup->group_context, rollup->group_size);
		start_group(rollup, rollup->total, 0);
	}
	return rollup->total;
}

void
rollup_forget_groups(Rollup *rollup)
{
	if (rollup->cache != NULL)
		key_cache_reset(rollup->cache);
	if (rollup->groups.table != NULL)
		ResetTupleHashTable(rollup->groups.table);
	MemoryContextReset(rollup->group_context);
	rollup->total = NULL;
	rollup->ngroups = 0;
}

/* NULL, and *hash that of the keys, if it is not in memory and must not be made. */
static inline RollupGroup *
lookup_group(Rollup *rollup, uint32 *hash)
{
	TupleTableSlot *key_slot = rollup->groups.key_slot;
	RowEval    *eval = rollup->eval;
	int			nkeys = rollup->plan->nkeys;
	TupleHashEntry entry;
	RollupGroup *group;
	bool		isnew = false;

	if (nkeys == 0)
		return total_group(rollup);
	if (likely(rollup->cache != NULL))
	{
		group = (RollupGroup *) key_cache_find(rollup->cache, eval->values, eval->nulls);
		if (group != NULL)
			return group;
	}

	ExecClearTuple(key_slot);
	for (int i = 0; i < nkeys; i++)
	{
		key_slot->tts_values[i] = eval->values[i];
		key_slot->tts_isnull[i] = eval->nulls[i];
	}
	ExecStoreVirtualTuple(key_slot);

	entry = LookupTupleHashEntry(rollup->groups.table, key_slot,
								 rollup->spilling ? NULL : &isnew, hash);
	if (unlikely(entry == NULL))
		return NULL;
	group = freshet_hash_additional(rollup->groups.table, entry, rollup->group_size,
									rollup->group_context);
	if (unlikely(isnew))
		start_group(rollup, group, *hash);
	if (likely(rollup->cache != NULL))
		key_cache_store(rollup->cache, &group->image);
	return group;
}

RollupGroup *
rollup_get_group(Rollup *rollup)
{
	uint32		hash;

	return lookup_group(rollup, &hash);
}

/*
 * Folding
 */

static pg_noinline void
make_cache(Rollup *rollup)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(rollup->context);

	rollup->cache = key_cache_create(rollup->plan);
	MemoryContextSwitchTo(oldcontext);
}

static pg_attribute_always_inline void
fold_row(Rollup *rollup, int sign)
{
	RowEval    *eval = rollup->eval;
	int			naggs = rollup->naggs;
	MemoryContext oldcontext = MemoryContextSwitchTo(eval->econtext->ecxt_per_tuple_memory);
	uint32		hash;
	RollupGroup *group = lookup_group(rollup, &hash);

	if (unlikely(group == NULL))
	{
		rollup_spill_row(rollup, hash, sign);
		MemoryContextSwitchTo(oldcontext);
		return;
	}

	MemoryContextSwitchTo(rollup->group_context);
	group->rows += sign;
	if (unlikely(rollup->variant_keys != NULL))
		key_variants_count(rollup->variant_keys, rollup_variants(rollup, group), eval->values,
						   eval->nulls, sign);
	for (int i = 0; i < naggs; i++)
	{
		int			filter = rollup->filters[i];
		int			arg = rollup->args[i];

		if (filter >= 0 && (eval->nulls[filter] || !DatumGetBool(eval->values[filter])))
			continue;
		if (arg >= 0)
			accum_fold(&rollup->descs[i], &group->accums[i], eval->values[arg],
					   eval->nulls[arg], sign);
		else
			accum_fold(&rollup->descs[i], &group->accums[i], (Datum) 0, false, sign);
	}
	MemoryContextSwitchTo(oldcontext);
}

void
rollup_fold(Rollup *rollup, int sign)
{
	fold_row(rollup, sign);
}

static void
rollup_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	Rollup	   *rollup = (Rollup *) consumer;

	/* making the cache is not worth while for the few rows of a live batch */
	if (unlikely(++rollup->nrows == CACHE_FROM_ROWS) && rollup->plan->nkeys > 0)
		make_cache(rollup);

	row_eval_begin(rollup->eval, slot);
	while (row_eval_next(rollup->eval))
		fold_row(rollup, sign);

	if (unlikely(rollup_memory_full(rollup)))
		rollup_spill_begin(rollup);
}

/* Everything before is void, the rows of the sink included. */
static void
rollup_truncate(RowConsumer *consumer, int occurrence)
{
	Rollup	   *rollup = (Rollup *) consumer;

	rollup_spill_forget(rollup);
	rollup_forget_groups(rollup);
	rollup_reset_memory(rollup);
	rollup->fresh = true;
	if (rollup->plan->nkeys == 0)
		(void) total_group(rollup);
}

/*
 * Writing
 */

/* The row of a group; valid until the next. */
static TupleTableSlot *
compute_row(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys)
{
	SinkPlan   *plan = rollup->plan;
	TupleTableSlot *slot = rollup->result_slot;

	ExecClearTuple(slot);
	for (int i = 0; i < plan->nkeys; i++)
		slot->tts_values[i] = slot_getattr(keys, i + 1, &slot->tts_isnull[i]);
	if (rollup->variant_keys != NULL)
		key_variants_show(rollup->variant_keys, *rollup_variants(rollup, group),
						  slot->tts_values, slot->tts_isnull);
	for (int i = 0; i < rollup->naggs; i++)
		slot->tts_values[plan->nkeys + i] = accum_result(&rollup->descs[i], &group->accums[i],
														 &slot->tts_isnull[plan->nkeys + i]);
	ExecStoreVirtualTuple(slot);
	rollup->out_econtext->ecxt_scantuple = slot;
	return ExecProject(rollup->output);
}

/*
 * Fetch the group's row in the sink.  Where it is was true when the state was
 * stored, and only freshet writes sinks; but a table is in its owner's hands,
 * so what is found there must be of the group, or it is searched for.
 */
static void
fetch_row(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys)
{
	SinkWriter *writer = rollup->writer;

	if (keys != NULL)
		slot_getsomeattrs(keys, rollup->plan->nkeys);
	if (ItemPointerIsValid(&group->place.row) && writer_fetch(writer, &group->place.row) &&
		(keys == NULL || writer_has_keys(writer, keys->tts_values, keys->tts_isnull)))
		return;
	if (rollup->keeps_states && plan_has_key_index(rollup->plan) &&
		writer_find(writer, keys ? keys->tts_values : NULL, keys ? keys->tts_isnull : NULL))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("a row of the sink is gone that freshet wrote"),
			 errhint("Call freshet.rebuild_sink().")));
}

void
rollup_write_group(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(rollup->out_econtext->ecxt_per_tuple_memory);
	bool		exists = rollup->plan->nkeys == 0 || group->rows > 0;

	if (rollup->plan->nkeys > 0 && group->rows < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row was retracted from a group that does not have it"),
				 errhint("Call freshet.rebuild_sink(), and report this as a bug.")));

	if (group->stored)
		fetch_row(rollup, group, keys);
	if (exists)
	{
		TupleTableSlot *row = compute_row(rollup, group, keys);

		if (group->stored)
			group->place.row = writer_update(rollup->writer, row->tts_values, row->tts_isnull);
		else
			group->place.row = writer_insert(rollup->writer, row->tts_values, row->tts_isnull);
		if (rollup->keeps_states)
		{
			serialize_group(rollup, group);
			group_states_store(get_states(rollup), keys, &group->place, &rollup->state);
		}
	}
	else if (group->stored)
	{
		writer_delete(rollup->writer);
		if (ItemPointerIsValid(&group->place.tid))
			group_states_delete(get_states(rollup), &group->place);
	}

	MemoryContextSwitchTo(oldcontext);
	ResetExprContext(rollup->out_econtext);
}

void
rollup_each_group(Rollup *rollup, GroupCallback callback, void *arg)
{
	TupleHashIterator it;
	TupleHashEntry entry;

	if (rollup->plan->nkeys == 0)
	{
		if (rollup->total != NULL)
			callback(rollup, rollup->total, NULL, arg);
		return;
	}

	InitTupleHashIterator(rollup->groups.table, &it);
	while ((entry = ScanTupleHashTable(rollup->groups.table, &it)) != NULL)
	{
		RollupGroup *group = freshet_hash_additional(rollup->groups.table, entry, rollup->group_size,
													rollup->group_context);

		CHECK_FOR_INTERRUPTS();
		ExecStoreMinimalTuple(freshet_hash_tuple(entry), rollup->groups.stored_slot, false);
		callback(rollup, group, rollup->groups.stored_slot, arg);
	}
	TermTupleHashIterator(&it);
}

static void
delete_callback(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg)
{
	if (group->rows == 0 && group->stored && rollup->plan->nkeys > 0)
	{
		rollup_write_group(rollup, group, keys);
		group->stored = false;
	}
}

static void
write_callback(Rollup *rollup, RollupGroup *group, TupleTableSlot *keys, void *arg)
{
	rollup_write_group(rollup, group, keys);
}

void
rollup_write_groups(Rollup *rollup)
{
	extreme_recompute(rollup);
	/* what goes makes room, should the owner have made other columns unique */
	if (!rollup->fresh)
		rollup_each_group(rollup, delete_callback, NULL);
	rollup_each_group(rollup, write_callback, NULL);
}

RollupGroup *
rollup_find_group(Rollup *rollup)
{
	TupleTableSlot *key_slot = rollup->groups.key_slot;
	TupleHashEntry entry;

	if (rollup->plan->nkeys == 0)
		return rollup->total;

	ExecClearTuple(key_slot);
	for (int i = 0; i < rollup->plan->nkeys; i++)
	{
		key_slot->tts_values[i] = rollup->eval->values[i];
		key_slot->tts_isnull[i] = rollup->eval->nulls[i];
	}
	ExecStoreVirtualTuple(key_slot);
	entry = LookupTupleHashEntry(rollup->groups.table, key_slot, NULL, NULL);
	return entry == NULL ? NULL :
		freshet_hash_additional(rollup->groups.table, entry, rollup->group_size, rollup->group_context);
}

/* Can the rows of the sink, which are void, not be told the groups in memory? */
static bool
must_clear(Rollup *rollup)
{
	return rollup->spilled != NULL || !plan_shows_keys(rollup->plan) ||
		(rollup->consumer.netted && writer_order_matters(rollup->writer));
}

/* Triggers are fired when all groups are written. */
static void
rollup_flush(RowConsumer *consumer)
{
	Rollup	   *rollup = (Rollup *) consumer;

	writer_begin(rollup->writer);
	if (rollup->fresh && rollup->keeps_states)
		group_states_delete_all(get_states(rollup));
	if (rollup->fresh && must_clear(rollup))
		writer_delete_all(rollup->writer);
	else if (rollup->fresh)
		rollup_adopt_rows(rollup);
	rollup_write_groups(rollup);
	rollup_forget_groups(rollup);
	if (rollup->spilled != NULL)
		rollup_spill_write(rollup);
	writer_end(rollup->writer);
}

static void
rollup_prepare_fill(Sink *sink)
{
	if (plan_rollup(sink->plan)->keeps_states)
		group_states_make(sink);
}

static bool
rollup_is_ready(const Sink *sink)
{
	return !plan_rollup(sink->plan)->keeps_states || group_states_ready(sink);
}

const RunMethods rollup_methods = {
	rollup_open,
	rollup_fill,
	rollup_flush,
	rollup_close,
	rollup_is_ready,
	rollup_prepare_fill
};
