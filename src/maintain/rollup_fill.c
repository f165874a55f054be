/*-------------------------------------------------------------------------
 *
 * rollup_fill.c
 *		Fill a rollup: compute its groups from the rows of the source.
 *
 * Two ways.  Where it can, PostgreSQL's executor groups the rows, in parallel
 * workers if the planner thinks that worth while: a query built from the plan
 * yields for each group its keys, its number of rows and the states of its
 * aggregates (accum_agg.c).  It is run at the active snapshot, the batch's,
 * which parallel workers get together with the state of the transaction, so
 * that they see what it has written.  Nothing may be written while they run,
 * so the result goes to a tuplestore first; it is one row per group.
 *
 * A windowed rollup is filled by folding the rows of the source as added
 * ones: that is faster than the window function in FROM.  So is a rollup over
 * a partitioned table: its partitions must be those of the snapshot, and a
 * query would read those of the catalogue as it is now.  So is one whose keys
 * can look different (key_variants.h): a query yields one of them.
 *
 * If the sink has rows, the groups are gathered in memory and compared with
 * them when the run is finished, and only what differs is written.  If they do
 * not fit, or the rows do not show their keys, the rows are deleted first.
 * Readers see the old rows until the batch commits (TRUNCATE would empty the
 * sink for readers with older snapshots).  An empty sink takes the groups of a
 * query one by one.
 *
 * The query counts the rows that it reads (fill_watch.c).
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/tableam.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "base/process.h"
#include "execute.h"
#include "fill_watch.h"
#include "join_feed.h"
#include "key_hash.h"
#include "query_nodes.h"
#include "rollup_internal.h"
#include "run.h"
#include "source_query.h"

#define QUERY_NAME	"freshet: filling a rollup"

/*
 * Planning
 */

static Oid
accum_state_oid(void)
{
	Oid			argtypes[2] = {ANYELEMENTOID, INT4OID};
	oidvector  *vector = buildoidvector(argtypes, 2);
	Oid			namespace = get_namespace_oid(FRESHET_SCHEMA, false);

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid, CStringGetDatum("accum_state"),
						   PointerGetDatum(vector), ObjectIdGetDatum(namespace));
}

/* Does the aggregate of the definition yield the whole state? */
static bool
yields_state(const AggSpec *spec)
{
	return spec->kind == AGG_COUNT_STAR || spec->kind == AGG_COUNT ||
		spec->kind == AGG_MIN || spec->kind == AGG_MAX;
}

static Aggref *
state_aggregate(const AggSpec *spec)
{
	Oid			aggfnoid;
	Const	   *kind;

	if (yields_state(spec))
		return source_query_aggregate(spec);

	aggfnoid = accum_state_oid();
	if (!OidIsValid(aggfnoid))
		elog(ERROR, "aggregate freshet.accum_state does not exist");
	kind = makeConst(INT4OID, -1, InvalidOid, sizeof(int32), Int32GetDatum(spec->kind), false,
					 true);
	return source_query_aggref(aggfnoid, BYTEAOID, InvalidOid,
							   list_make2(copyObject(spec->arg), kind),
							   copyObject(spec->filter));
}

/* SELECT keys, count(*), states FROM source WHERE quals GROUP BY keys */
static Query *
fill_query(const Sink *sink)
{
	const SinkPlan *plan = sink->plan;
	const RollupPlan *rollup = plan_rollup(plan);
	List	   *tlist = NIL;
	List	   *groups = NIL;
	Query	   *query;

	for (int i = 0; i < plan->nkeys; i++)
	{
		const KeySpec *key = &plan->keys[i];
		SortGroupClause *clause = makeNode(SortGroupClause);

		tlist = query_target(tlist, copyObject(key->expr));
		clause->tleSortGroupRef = i + 1;
		llast_node(TargetEntry, tlist)->ressortgroupref = clause->tleSortGroupRef;
		clause->eqop = key->eqop;
		clause->sortop = key->sortop;
		clause->hashable = key_hash_is_built_in(key->type, key->eqop);
		groups = lappend(groups, clause);
	}
	tlist = query_target(tlist, (Expr *) source_query_aggref(F_COUNT_, INT8OID, InvalidOid, NIL,
															 NULL));
	for (int i = 0; i < rollup->naggs; i++)
		tlist = query_target(tlist, (Expr *) state_aggregate(&rollup->aggs[i]));

	query = source_query(plan, lcons(fill_watch_qual(sink->relid),
									 copyObject(rollup->rows.quals)), tlist);
	query->groupClause = groups;
	return query;
}

/*
 * Running
 */

static void
store_row(TupleTableSlot *slot, void *arg)
{
	tuplestore_puttupleslot(arg, slot);
}

/* Run the query; *desc is that of its rows. */
static Tuplestorestate *
store_query_rows(Query *query, TupleDesc *desc)
{
	Tuplestorestate *store = tuplestore_begin_heap(false, false, work_mem);
	int			nestlevel = NewGUCNestLevel();
	PlannedStmt *stmt;

	process_allow_parallel_query();
	stmt = pg_plan_query(query, QUERY_NAME, CURSOR_OPT_PARALLEL_OK, NULL);
	*desc = ExecCleanTypeFromTL(stmt->planTree->targetlist);
	execute_plan(stmt, QUERY_NAME, NULL, NULL, store_row, store);
	AtEOXact_GUC(false, nestlevel);
	return store;
}

/*
 * Groups
 */

/* The group from a row of the query; what it allocates is in the current context. */
static void
set_group(Rollup *rollup, RollupGroup *group, TupleTableSlot *slot)
{
	const SinkPlan *plan = rollup->plan;
	int			column = plan->nkeys + 1;
	bool		isnull;

	rollup_init_group(rollup, group);
	group->rows = DatumGetInt64(slot_getattr(slot, column++, &isnull));
	for (int i = 0; i < rollup->naggs; i++)
	{
		Datum		value = slot_getattr(slot, column++, &isnull);

		if (yields_state(&rollup->aggs[i]))
			accum_from_visible(&rollup->descs[i], &group->accums[i], value, isnull, group->rows);
		else if (!isnull)
		{
			bytea	   *bytes = DatumGetByteaPP(value);

			resetStringInfo(&rollup->state);
			appendBinaryStringInfo(&rollup->state, VARDATA_ANY(bytes),
								   VARSIZE_ANY_EXHDR(bytes));
			accum_deserialize(&rollup->descs[i], &group->accums[i], &rollup->state);
		}
	}
}

/* Among the groups in memory, to be compared with the sink's rows. */
static void
keep_group(Rollup *rollup, TupleTableSlot *slot)
{
	RowEval    *eval = rollup->eval;
	MemoryContext oldcontext = MemoryContextSwitchTo(eval->econtext->ecxt_per_tuple_memory);
	RollupGroup *group;

	for (int i = 0; i < rollup->plan->nkeys; i++)
		eval->values[i] = slot_getattr(slot, i + 1, &eval->nulls[i]);
	group = rollup_get_group(rollup);
	MemoryContextSwitchTo(rollup->group_context);
	set_group(rollup, group, slot);
	MemoryContextSwitchTo(oldcontext);
	ResetExprContext(eval->econtext);
}

/* As the table of groups has it. */
static uint32
hash_of_keys(Rollup *rollup, TupleTableSlot *slot)
{
	TupleTableSlot *key_slot = rollup->groups.key_slot;

	if (rollup->plan->nkeys == 0)
		return 0;
	ExecClearTuple(key_slot);
	for (int i = 0; i < rollup->plan->nkeys; i++)
		key_slot->tts_values[i] = slot_getattr(slot, i + 1, &key_slot->tts_isnull[i]);
	ExecStoreVirtualTuple(key_slot);
	return TupleHashTableHash(rollup->groups.table, key_slot);
}

/* To the sink, which has no row of it. */
static void
insert_group(Rollup *rollup, RollupGroup *scratch, MemoryContext context, TupleTableSlot *slot)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);

	set_group(rollup, scratch, slot);
	rollup_init_place(scratch, rollup->keeps_states ? hash_of_keys(rollup, slot) : 0);
	MemoryContextSwitchTo(oldcontext);
	rollup_write_group(rollup, scratch, slot);
	MemoryContextReset(context);
}

/*
 * Each group comes once, and whole, so that an empty sink, and one whose rows were
 * deleted because the groups take too much memory, can only get new rows.
 */
static void
take_groups(Rollup *rollup, Tuplestorestate *store, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet group",
												  ALLOCSET_DEFAULT_SIZES);
	RollupGroup *scratch = palloc0(rollup->group_size);
	bool		more = tuplestore_gettupleslot(store, true, false, slot);
	bool		keep = rollup->plan->nkeys == 0 || !writer_sink_is_empty(rollup->writer);

	for (; more && keep; more = tuplestore_gettupleslot(store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		keep_group(rollup, slot);
		keep = !rollup_memory_full(rollup);
	}

	if (more)
	{
		rollup->fresh = false;
		writer_begin(rollup->writer);
		if (rollup->ngroups > 0)
			writer_delete_all(rollup->writer);
		rollup_write_groups(rollup);
		rollup_forget_groups(rollup);
		for (; more; more = tuplestore_gettupleslot(store, true, false, slot))
		{
			CHECK_FOR_INTERRUPTS();
			insert_group(rollup, scratch, context, slot);
		}
		writer_end(rollup->writer);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
fill_by_query(Rollup *rollup)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet fill",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	TupleDesc	desc;
	Tuplestorestate *store = store_query_rows(fill_query(rollup->sink), &desc);

	take_groups(rollup, store, desc);
	tuplestore_end(store);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/* After a fill whose groups are all in memory. */
void
rollup_adopt_rows(Rollup *rollup)
{
	SinkWriter *writer = rollup->writer;
	SinkPlan   *plan = rollup->plan;
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot))
	{
		RollupGroup *group;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < plan->nkeys; i++)
			rollup->eval->values[i] = writer_old_value(writer, plan->keys[i].column,
													   &rollup->eval->nulls[i]);
		group = rollup_find_group(rollup);
		ResetExprContext(rollup->eval->econtext);
		if (group != NULL && !group->stored)
		{
			group->stored = true;
			group->place.row = writer->old_slot->tts_tid;
			if (rollup->variant_keys != NULL)
				key_variants_prefer(rollup->variant_keys, *rollup_variants(rollup, group),
									rollup->eval->values, rollup->eval->nulls);
		}
		else
			writer_delete(writer);
	}
	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
}

/* A join reads the partitions of the catalogue in any case. */
static bool
is_partitioned(const SinkPlan *plan)
{
	return plan->join == NULL &&
		get_rel_relkind(plan_row_source(plan)->relid) == RELKIND_PARTITIONED_TABLE;
}

void
rollup_fill(RowConsumer *consumer, int64 *rows_done)
{
	Rollup	   *rollup = (Rollup *) consumer;
	SinkPlan   *plan = rollup->plan;

	rollup->fresh = true;
	if (plan_rows(plan)->window == NULL && rollup->variant_keys == NULL && !is_partitioned(plan))
		fill_by_query(rollup);
	else
	{
		if (plan->nkeys == 0)
			(void) rollup_get_group(rollup);
		(void) join_feed_all(rollup->sink, rollup->leaves, consumer, rows_done);
	}
}
