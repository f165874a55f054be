/*-------------------------------------------------------------------------
 *
 * apply.c
 *		Write rows of a sink, and yield them as changes of the sink.
 *
 * Rows are written at the level of the executor, found through the sink's key
 * index: no SQL is run.  The worker is the only writer of a sink, so a row
 * found stays the current one until it is written here; users' writes are
 * refused by a trigger, and what they do in spite of it (ALTER TABLE) waits
 * for the lock that is held until the end of the batch.
 *
 * Defaults, constraints, indexes on expressions and triggers of the sink's
 * table are its owner's code, and already opening them runs it: the planner
 * folds constants.  Hence a writer lives in the sandbox from its opening to its
 * closing.
 *
 * Row-level triggers are fired as on a subscriber of logical replication: those
 * that are enabled for replicas, AFTER triggers by writer_end(), deferred ones
 * too.  At the end of the transaction the sandbox would be gone, and the server
 * refuses to queue them within one.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/detoast.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/nbtree.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_type_d.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/parse_func.h"
#include "parser/parse_relation.h"
#include "rewrite/rewriteHandler.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "base/process.h"
#include "feed.h"

/* Of all keys together, uncompressed; an entry may have 2704 bytes. */
#define KEY_LENGTH_LIMIT	2000

/*
 * Does the index serve to find a row by the keys of the plan?  Its columns
 * must be the keys, in any order.
 */
static bool
is_key_index(SinkWriter *writer, Relation index)
{
	SinkPlan   *plan = writer->sink->plan;
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indisvalid || !form->indimmediate ||
		form->indnkeyatts != plan->nkeys ||
		RelationGetIndexPredicate(index) != NIL)
		return false;

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		AttrNumber	attno = form->indkey.values[i];
		int			k;

		for (k = 0; k < plan->nkeys; k++)
		{
			if (writer->attnos[plan->keys[k].column] == attno &&
				plan->keys[k].collation == index->rd_indcollation[i])
				break;
		}
		if (k == plan->nkeys)
			return false;
		writer->key_order[i] = k;
	}
	return true;
}

/* Does the index find rows by the hash of the plan's columns? */
static bool
is_hash_index(SinkWriter *writer, Relation index)
{
	int			n = Min(writer->sink->plan->ncolumns, FRESHET_ROW_HASH_COLUMNS);
	FuncExpr   *call;
	Oid			anyoid = ANYOID;
	ListCell   *lc;

	if (index->rd_rel->relam != BTREE_AM_OID || !index->rd_index->indisvalid ||
		index->rd_index->indnkeyatts != 1 || index->rd_index->indkey.values[0] != 0 ||
		RelationGetIndexPredicate(index) != NIL)
		return false;

	call = linitial(RelationGetIndexExpressions(index));
	if (!IsA(call, FuncExpr) || list_length(call->args) != n ||
		call->funcid != LookupFuncName(list_make2(makeString(FRESHET_SCHEMA),
												  makeString(FRESHET_ROW_HASH)),
									   1, &anyoid, true))
		return false;
	foreach(lc, call->args)
	{
		Var		   *var = lfirst(lc);

		if (!IsA(var, Var) || var->varattno != writer->attnos[foreach_current_index(lc)])
			return false;
	}
	return true;
}

static void
open_key_index(SinkWriter *writer)
{
	int			nkeys = writer->sink->plan->nkeys;
	ResultRelInfo *rri = writer->result_rel;

	writer->key_index = NULL;
	writer->by_hash = writer->sink->plan->shape == SHAPE_BAG;
	if ((nkeys == 0 && !writer->by_hash) || !plan_has_key_index(writer->sink->plan))
		return;

	writer->key_order = palloc(nkeys * sizeof(int));
	for (int i = 0; i < rri->ri_NumIndices; i++)
	{
		if (writer->by_hash ? is_hash_index(writer, rri->ri_IndexRelationDescs[i]) :
			is_key_index(writer, rri->ri_IndexRelationDescs[i]))
		{
			writer->key_index = rri->ri_IndexRelationDescs[i];
			break;
		}
	}
	if (writer->key_index == NULL && writer->by_hash)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sink \"%s\" has lost the index on the hash of its rows",
						RelationGetRelationName(writer->rel)),
				 errhint("Drop the sink and create it anew.")));
	if (writer->key_index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sink \"%s\" has lost the unique index on its key",
						RelationGetRelationName(writer->rel)),
				 errhint("Create the unique index anew (with NULLS NOT DISTINCT) and call "
						 "freshet.rebuild_sink().")));

	if (writer->by_hash)
		nkeys = 1;
	writer->scan_keys = palloc0(nkeys * sizeof(ScanKeyData));
	for (int i = 0; i < nkeys; i++)
	{
		Oid			opfamily = writer->key_index->rd_opfamily[i];
		Oid			opcintype = writer->key_index->rd_opcintype[i];
		Oid			eqop = get_opfamily_member(opfamily, opcintype, opcintype,
											   BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&writer->scan_keys[i], 0, i + 1, BTEqualStrategyNumber,
							   InvalidOid, writer->key_index->rd_indcollation[i],
							   get_opcode(eqop), (Datum) 0);
	}
}

static void
prepare_key_equality(SinkWriter *writer)
{
	SinkPlan   *plan = writer->sink->plan;

	writer->key_equality = palloc0((plan->nkeys + 1) * sizeof(FmgrInfo));
	for (int i = 0; i < plan->nkeys; i++)
		fmgr_info(get_opcode(plan->keys[i].eqop), &writer->key_equality[i]);
}

/* Defaults of the columns that the owner added to the sink. */
static void
prepare_defaults(SinkWriter *writer)
{
	TupleDesc	desc = RelationGetDescr(writer->rel);

	writer->defaults = palloc0(desc->natts * sizeof(ExprState *));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		bool		ours = att->attisdropped || att->attgenerated;
		Expr	   *expr;

		for (int c = 0; c < writer->sink->plan->ncolumns; c++)
			ours |= writer->attnos[c] == att->attnum;
		if (ours)
			continue;
		expr = (Expr *) build_column_default(writer->rel, att->attnum);
		if (expr != NULL)
			writer->defaults[i] = ExecInitExpr(expression_planner(expr), NULL);
	}
}

SinkWriter *
writer_open(Sink *sink, ChangeSet *emit)
{
	SinkWriter *writer = palloc0(sizeof(SinkWriter));
	SinkPlan   *plan = sink->plan;

	writer->sink = sink;
	writer->emit = sink->has_dependants ? emit : NULL;
	process_lock_relation(sink->relid, RowExclusiveLock);
	writer->rel = try_table_open(sink->relid, NoLock);
	if (writer->rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a sink was dropped while it was maintained");
	/* rows that ALTER TABLE wrote anew would be invisible */
	feed_check_relation(sink->relid);

	writer->estate = CreateExecutorState();
	writer->result_rel = makeNode(ResultRelInfo);
	freshet_init_result_relation(writer->estate, writer->result_rel, writer->rel);
	/* where firing triggers looks for the relation; it would open another one */
	writer->estate->es_opened_result_relations = list_make1(writer->result_rel);
	writer->estate->es_output_cid = GetCurrentCommandId(true);
	freshet_eval_plan_qual_init(&writer->epqstate, writer->estate);
	ExecOpenIndices(writer->result_rel, false);

	writer->attnos = palloc(plan->ncolumns * sizeof(AttrNumber));
	for (int i = 0; i < plan->ncolumns; i++)
		writer->attnos[i] = sink_column_attno(sink, i);

	prepare_defaults(writer);
	prepare_key_equality(writer);
	writer->old_slot = table_slot_create(writer->rel, NULL);
	writer->new_slot = table_slot_create(writer->rel, NULL);
	open_key_index(writer);
	writer_make_visible();
	return writer;
}

void
writer_close(SinkWriter *writer)
{
	if (writer->index_scan != NULL)
		index_endscan(writer->index_scan);
	ExecDropSingleTupleTableSlot(writer->old_slot);
	ExecDropSingleTupleTableSlot(writer->new_slot);
	EvalPlanQualEnd(&writer->epqstate);
	ExecCloseResultRelations(writer->estate);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	FreeExecutorState(writer->estate);
	table_close(writer->rel, NoLock);
	pfree(writer);
}

void
writer_begin(SinkWriter *writer)
{
	ConstraintsSetStmt immediate = {T_ConstraintsSetStmt};

	Assert(InSecurityRestrictedOperation() && GetUserId() == writer->sink->owner);
	AfterTriggerSetState(&immediate);
	AfterTriggerBeginQuery();
}

void
writer_end(SinkWriter *writer)
{
	AfterTriggerEndQuery(writer->estate);
	writer_make_visible();
}

bool
writer_order_matters(const SinkWriter *writer)
{
	const ResultRelInfo *rri = writer->result_rel;

	for (int i = 0; i < rri->ri_NumIndices; i++)
	{
		const Form_pg_index form = rri->ri_IndexRelationDescs[i]->rd_index;

		if (rri->ri_IndexRelationDescs[i] != writer->key_index &&
			(form->indisunique || form->indisexclusion))
			return true;
	}
	return false;
}

void
writer_make_visible(void)
{
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}

bool
writer_sink_is_empty(SinkWriter *writer)
{
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);
	bool		empty = !table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot);

	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
	return empty;
}

/* The one row of a sink without a key. */
static bool
find_only_row(SinkWriter *writer)
{
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot);

	if (found)
		ExecMaterializeSlot(writer->old_slot);
	table_endscan(scan);
	return found;
}

/* The next row of the scan, which goes by scan_keys, into old_slot. */
static bool
next_found(SinkWriter *writer, bool rescan)
{
	int			nkeys = writer->by_hash ? 1 : writer->sink->plan->nkeys;
	MemoryContext oldcontext;
	bool		found;

	/* what the scan allocates must live as long as the scan */
	oldcontext = MemoryContextSwitchTo(writer->estate->es_query_cxt);
	if (writer->index_scan == NULL)
		writer->index_scan = freshet_index_beginscan(writer->rel, writer->key_index,
													 GetActiveSnapshot(), nkeys);
	if (rescan)
	{
		writer->index_scan->xs_snapshot = GetActiveSnapshot();
		index_rescan(writer->index_scan, writer->scan_keys, nkeys, NULL, 0);
	}
	found = index_getnext_slot(writer->index_scan, ForwardScanDirection, writer->old_slot);
	MemoryContextSwitchTo(oldcontext);
	return found;
}

bool
writer_find(SinkWriter *writer, const Datum *keys, const bool *nulls)
{
	ExecClearTuple(writer->old_slot);
	if (writer->sink->plan->nkeys == 0)
		return find_only_row(writer);

	for (int i = 0; i < writer->sink->plan->nkeys; i++)
	{
		ScanKey		key = &writer->scan_keys[i];
		int			k = writer->key_order[i];

		key->sk_flags = nulls[k] ? (SK_ISNULL | SK_SEARCHNULL) : 0;
		key->sk_argument = nulls[k] ? (Datum) 0 : keys[k];
	}
	return next_found(writer, true);
}

bool
writer_fetch(SinkWriter *writer, ItemPointer tid)
{
	return table_tuple_fetch_row_version(writer->rel, tid, GetActiveSnapshot(),
										 writer->old_slot);
}

/* Nearly always the same bytes; the look at them is what costs nothing. */
bool
writer_has_keys(SinkWriter *writer, const Datum *keys, const bool *nulls)
{
	SinkPlan   *plan = writer->sink->plan;

	for (int i = 0; i < plan->nkeys; i++)
	{
		const KeySpec *key = &plan->keys[i];
		Form_pg_attribute att;
		bool		isnull;
		Datum		value;

		if (key->column < 0)
			continue;
		value = writer_old_value(writer, key->column, &isnull);
		if (isnull != nulls[i])
			return false;
		att = TupleDescAttr(RelationGetDescr(writer->rel), writer->attnos[key->column] - 1);
		if (!isnull && !datum_image_eq(value, keys[i], att->attbyval, att->attlen) &&
			!DatumGetBool(FunctionCall2Coll(&writer->key_equality[i], key->collation, value,
											keys[i])))
			return false;
	}
	return true;
}

Datum
writer_old_value(SinkWriter *writer, int column, bool *isnull)
{
	return slot_getattr(writer->old_slot, writer->attnos[column], isnull);
}

/* A row for other sinks, as one that came from the log would be. */
static void
emit_change(SinkWriter *writer, TupleTableSlot *old, TupleTableSlot *new)
{
	ChangeList *list;
	HeapTuple	old_tuple = NULL;
	HeapTuple	new_tuple = NULL;
	TupleDesc	desc = RelationGetDescr(writer->rel);

	if (writer->emit == NULL)
		return;

	if (old != NULL)
		old_tuple = ExecCopySlotHeapTuple(old);
	if (old_tuple != NULL && HeapTupleHasExternal(old_tuple))
		old_tuple = toast_flatten_tuple(old_tuple, desc);
	if (new != NULL)
		new_tuple = ExecCopySlotHeapTuple(new);
	if (new_tuple != NULL && HeapTupleHasExternal(new_tuple))
		new_tuple = toast_flatten_tuple(new_tuple, desc);

	if (writer->emit_layout == NULL)
		writer->emit_layout = change_layout(writer->sink->relid, desc, true, NULL);
	list = change_set_get_list(writer->emit, writer->sink->relid, true);
	change_list_add(list, CHANGE_ROW, writer->emit_layout, old_tuple, new_tuple);
}

/*
 * Fill new_slot: the plan's columns from the values, the columns that the
 * owner added from the old row, if any, or their defaults.
 */
static void
fill_new_slot(SinkWriter *writer, const Datum *values, const bool *nulls, TupleTableSlot *old)
{
	TupleTableSlot *slot = writer->new_slot;
	int			natts = slot->tts_tupleDescriptor->natts;
	int			ncolumns = writer->sink->plan->ncolumns;

	ExecClearTuple(slot);
	if (old != NULL)
	{
		slot_getallattrs(old);
		memcpy(slot->tts_values, old->tts_values, natts * sizeof(Datum));
		memcpy(slot->tts_isnull, old->tts_isnull, natts * sizeof(bool));
	}
	else
	{
		ExprContext *econtext = GetPerTupleExprContext(writer->estate);

		memset(slot->tts_isnull, true, natts * sizeof(bool));
		for (int i = 0; i < natts; i++)
		{
			if (writer->defaults[i] != NULL)
				slot->tts_values[i] = ExecEvalExprSwitchContext(writer->defaults[i], econtext,
																&slot->tts_isnull[i]);
		}
	}

	for (int i = 0; i < ncolumns; i++)
	{
		slot->tts_values[writer->attnos[i] - 1] = values[i];
		slot->tts_isnull[writer->attnos[i] - 1] = nulls[i];
	}
	ExecStoreVirtualTuple(slot);
}

/* Does the sink have triggers of this kind?  They need not be enabled. */
#define has_trigger(writer, kind) \
	((writer)->rel->trigdesc != NULL && (writer)->rel->trigdesc->kind)

static void
trigger_interferes(SinkWriter *writer)
{
	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a BEFORE trigger of sink \"%s\" suppressed or changed a row",
					RelationGetRelationName(writer->rel)),
			 errdetail("A trigger can change the columns that were added to the sink, no others."),
			 errhint("Drop the trigger, or have it return its row, then call "
					 "freshet.rebuild_sink().")));
}

/*
 * A BEFORE trigger may set what the owner added, but neither suppress the row
 * nor change what freshet keeps.  A row that was not written has no place:
 * fill_new_slot() has cleared it.
 */
static void
check_written(SinkWriter *writer, const Datum *values, const bool *nulls)
{
	TupleTableSlot *slot = writer->new_slot;
	bool		same = ItemPointerIsValid(&slot->tts_tid);

	for (int i = 0; same && i < writer->sink->plan->ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(writer->rel),
											  writer->attnos[i] - 1);
		bool		isnull;
		Datum		value = slot_getattr(slot, writer->attnos[i], &isnull);

		same = isnull == nulls[i] &&
			(isnull || datum_image_eq(value, values[i], att->attbyval, att->attlen));
	}
	if (!same)
		trigger_interferes(writer);
}

/*
 * The keys of a rollup are whatever the query groups by, and may be longer
 * than an entry of a btree index.
 */
static void
check_key_length(SinkWriter *writer, const Datum *values, const bool *nulls)
{
	SinkPlan   *plan = writer->sink->plan;
	Size		length = 0;

	if (writer->key_index == NULL || plan->shape != SHAPE_ROLLUP)
		return;
	for (int i = 0; i < plan->nkeys; i++)
	{
		int			column = plan->keys[i].column;

		if (!nulls[column] &&
			TupleDescAttr(RelationGetDescr(writer->rel), writer->attnos[column] - 1)->attlen == -1)
			length += toast_raw_datum_size(values[column]);
	}
	if (length > KEY_LENGTH_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_FRESHET_LONG_KEY),
				 errmsg("a key is too long for the index on the key of sink \"%s\"",
						RelationGetRelationName(writer->rel)),
				 errdetail("The index is replaced, and the sink filled anew.")));
}

ItemPointerData
writer_insert(SinkWriter *writer, const Datum *values, const bool *nulls)
{
	check_key_length(writer, values, nulls);
	fill_new_slot(writer, values, nulls, NULL);
	ExecSimpleRelationInsert(writer->result_rel, writer->estate, writer->new_slot);
	if (has_trigger(writer, trig_insert_before_row))
		check_written(writer, values, nulls);
	emit_change(writer, NULL, writer->new_slot);
	writer->inserted++;
	process_step();
	ResetPerTupleExprContext(writer->estate);
	return writer->new_slot->tts_tid;
}

static bool
row_is_same(SinkWriter *writer, const Datum *values, const bool *nulls)
{
	TupleDesc	desc = RelationGetDescr(writer->rel);
	int			ncolumns = writer->sink->plan->ncolumns;

	for (int i = 0; i < ncolumns; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, writer->attnos[i] - 1);
		bool		isnull;
		Datum		old = writer_old_value(writer, i, &isnull);

		if (isnull != nulls[i] ||
			(!isnull && !datum_image_eq(old, values[i], att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

ItemPointerData
writer_update(SinkWriter *writer, const Datum *values, const bool *nulls)
{
	if (row_is_same(writer, values, nulls))
		return writer->old_slot->tts_tid;

	check_key_length(writer, values, nulls);
	fill_new_slot(writer, values, nulls, writer->old_slot);
	EvalPlanQualSetSlot(&writer->epqstate, writer->new_slot);
	ExecSimpleRelationUpdate(writer->result_rel, writer->estate, &writer->epqstate,
							 writer->old_slot, writer->new_slot);
	if (has_trigger(writer, trig_update_before_row))
		check_written(writer, values, nulls);
	emit_change(writer, writer->old_slot, writer->new_slot);
	writer->updated++;
	process_step();
	ResetPerTupleExprContext(writer->estate);
	return writer->new_slot->tts_tid;
}

void
writer_delete(SinkWriter *writer)
{
	ItemPointerData tid = writer->old_slot->tts_tid;

	EvalPlanQualSetSlot(&writer->epqstate, writer->old_slot);
	ExecSimpleRelationDelete(writer->result_rel, writer->estate, &writer->epqstate,
							 writer->old_slot);
	if (has_trigger(writer, trig_delete_before_row) &&
		table_tuple_fetch_row_version(writer->rel, &tid, SnapshotSelf, writer->new_slot))
		trigger_interferes(writer);
	emit_change(writer, writer->old_slot, NULL);
	writer->deleted++;
	process_step();
	ResetPerTupleExprContext(writer->estate);
}

/* One scan for all: a row that was deleted is seen by a scan that comes after it. */
int64
writer_delete_copies(SinkWriter *writer, int64 count, uint64 hash, const Datum *values,
					 const bool *nulls)
{
	int64		done = 0;
	bool		found;

	writer->scan_keys[0].sk_argument = Int64GetDatum((int64) hash);
	for (found = next_found(writer, true); found && done < count;
		 found = next_found(writer, false))
	{
		CHECK_FOR_INTERRUPTS();
		if (!row_is_same(writer, values, nulls))
			continue;
		writer_delete(writer);
		done++;
	}
	return done;
}

void
writer_delete_all(SinkWriter *writer)
{
	TableScanDesc scan;

	writer_make_visible();
	scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot))
	{
		CHECK_FOR_INTERRUPTS();
		writer_delete(writer);
	}
	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
	writer_make_visible();
}
