/*-------------------------------------------------------------------------
 *
 * group_state.c
 *		The states of a rollup's groups, in a table that only freshet writes.
 *
 * What a group's visible columns do not hold (the number of its rows, sums
 * from which can be subtracted, keys that are not selected) is kept in a table
 * beside the sink: freshet_stage.groups_<OID of the sink>.  So the sink shows
 * the columns of its query and nothing else, and no byte that a user could
 * write is ever taken for a state.  Its owner is the extension's; nobody else
 * has a right on it or on its schema.  It is a member of the extension, hence
 * not dumped, and it is dropped when the sink is: by the event trigger, or, if
 * that did not fire, by the worker.
 *
 * A row has the group's keys, their hash, the place of the group's row in the
 * sink, and the state (group_state.h does not know of what).  States are found
 * by an index on the hash, and compared by the keys: so a key may be longer
 * than an index entry, and of a type that cannot be indexed.
 *
 * The place of the sink's row is its TID, and the file in which it is one:
 * VACUUM FULL and the like move the rows to another.  Then the row has to be
 * found by its keys (writer_find()).  If not all keys are shown it cannot be,
 * and the sink is filled anew: group_states_ready() looks at the first row,
 * since all rows are moved together.
 *
 * The table is made, or emptied, by whoever fills the sink, in the transaction
 * of the fill.  It is written at the level of the heap: no trigger, no
 * constraint, no user's code.  Its rows are updated in place as a rule
 * (HOT): the hash does not change.
 *
 * Locks: the sink first, then its states; ROW EXCLUSIVE both, to the end of the
 * transaction.  Nobody but freshet and autovacuum locks the table; it is
 * dropped under ACCESS EXCLUSIVE if that can be had at once, and else emptied.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/heapam.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "catalog/toasting.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/process.h"
#include "group_state.h"

/* Columns after the keys. */
#define HASH_COLUMN(nkeys)		((nkeys) + 1)
#define FILE_COLUMN(nkeys)		((nkeys) + 2)
#define ROW_COLUMN(nkeys)		((nkeys) + 3)
#define STATE_COLUMN(nkeys)		((nkeys) + 4)
#define NCOLUMNS(nkeys)			((nkeys) + 4)

/* Pages have room for the new versions of their rows. */
#define STATES_FILLFACTOR		70

/*
 * The table
 */

static void
table_name(Oid sink_relid, char *name)
{
	snprintf(name, NAMEDATALEN, "groups_%u", sink_relid);
}

static Oid
table_oid(Oid sink_relid)
{
	char		name[NAMEDATALEN];
	Oid			nsp = get_namespace_oid(FRESHET_STAGE_SCHEMA, true);

	table_name(sink_relid, name);
	return OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;
}

static TupleDesc
make_descriptor(const SinkPlan *plan)
{
	int			n = plan->nkeys;
	TupleDesc	desc = CreateTemplateTupleDesc(NCOLUMNS(n));

	for (int i = 0; i < n; i++)
	{
		const KeySpec *key = &plan->keys[i];

		TupleDescInitEntry(desc, i + 1, psprintf("k%d", i + 1), key->type, key->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, key->collation);
	}
	TupleDescInitEntry(desc, HASH_COLUMN(n), "hash", INT4OID, -1, 0);
	TupleDescInitEntry(desc, FILE_COLUMN(n), "file", OIDOID, -1, 0);
	TupleDescInitEntry(desc, ROW_COLUMN(n), "row", TIDOID, -1, 0);
	TupleDescInitEntry(desc, STATE_COLUMN(n), "state", BYTEAOID, -1, 0);
	return desc;
}

static int
number_of_columns(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			n = 0;

	if (HeapTupleIsValid(tuple))
	{
		n = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;
		ReleaseSysCache(tuple);
	}
	return n;
}

/* Has the table the columns that the plan wants? */
static bool
columns_fit(Oid relid, const SinkPlan *plan)
{
	TupleDesc	wanted = make_descriptor(plan);
	bool		fit = number_of_columns(relid) == wanted->natts;

	for (int i = 0; fit && i < wanted->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(wanted, i);
		Oid			type;
		int32		typmod;
		Oid			collation;

		get_atttypetypmodcoll(relid, i + 1, &type, &typmod, &collation);
		fit = type == att->atttypid && typmod == att->atttypmod &&
			collation == att->attcollation;
	}
	FreeTupleDesc(wanted);
	return fit;
}

/* Are the rows of the sink where the first state says? */
static bool
rows_are_in_place(const Sink *sink, Oid relid)
{
	Relation	sink_rel;
	Relation	rel;
	TupleTableSlot *slot;
	TableScanDesc scan;
	bool		result = true;

	process_lock_relation(sink->relid, AccessShareLock);
	process_lock_relation(relid, AccessShareLock);
	sink_rel = try_table_open(sink->relid, NoLock);
	rel = try_table_open(relid, NoLock);
	if (sink_rel == NULL || rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a sink was dropped while it was maintained");

	slot = table_slot_create(rel, NULL);
	scan = table_beginscan(rel, GetActiveSnapshot(), 0, NULL);
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		bool		isnull;
		Datum		file = slot_getattr(slot, FILE_COLUMN(sink->plan->nkeys), &isnull);

		result = !isnull && DatumGetObjectId(file) == freshet_relation_file(sink_rel);
	}
	table_endscan(scan);
	ExecDropSingleTupleTableSlot(slot);
	table_close(rel, NoLock);
	table_close(sink_rel, NoLock);
	return result;
}

bool
group_states_ready(const Sink *sink)
{
	Oid			relid = table_oid(sink->relid);

	if (!OidIsValid(relid) || !columns_fit(relid, sink->plan))
		return false;
	return plan_has_key_index(sink->plan) || rows_are_in_place(sink, relid);
}

static void
make_index(Oid relid, const char *table)
{
	IndexStmt  *stmt = makeNode(IndexStmt);
	IndexElem  *elem = makeNode(IndexElem);

	elem->name = pstrdup("hash");
	elem->ordering = SORTBY_DEFAULT;
	elem->nulls_ordering = SORTBY_NULLS_DEFAULT;
	stmt->idxname = psprintf("%s_hash", table);
	stmt->relation = makeRangeVar(pstrdup(FRESHET_STAGE_SCHEMA), pstrdup(table), -1);
	stmt->accessMethod = pstrdup("btree");
	stmt->indexParams = list_make1(elem);
	(void) freshet_define_index(relid, stmt);
	CommandCounterIncrement();
}

static Oid
schema_owner(Oid nsp)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(nsp));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", nsp);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* No default privileges: nobody but the owner has any right on it. */
static void
make_state_table(const Sink *sink)
{
	Oid			nsp = get_namespace_oid(FRESHET_STAGE_SCHEMA, false);
	char		name[NAMEDATALEN];
	Datum		options;
	Oid			relid;
	ObjectAddress table;
	ObjectAddress extension;

	table_name(sink->relid, name);
	options = transformRelOptions((Datum) 0,
								  list_make1(makeDefElem("fillfactor",
														 (Node *) makeInteger(STATES_FILLFACTOR),
														 -1)),
								  NULL, NULL, false, false);
	relid = heap_create_with_catalog(name, nsp, InvalidOid, InvalidOid, InvalidOid, InvalidOid,
									 schema_owner(nsp), HEAP_TABLE_AM_OID,
									 make_descriptor(sink->plan), NIL, RELKIND_RELATION,
									 RELPERSISTENCE_PERMANENT, false, false, ONCOMMIT_NOOP,
									 options, false, false, true, InvalidOid, NULL);
	CommandCounterIncrement();
	NewRelationCreateToastTable(relid, (Datum) 0);
	if (sink->plan->nkeys > 0)
		make_index(relid, name);
	CreateComments(relid, RelationRelationId, 0,
				   "internal: the states of a sink's groups; written by the worker alone");

	ObjectAddressSet(table, RelationRelationId, relid);
	ObjectAddressSet(extension, ExtensionRelationId,
					 get_extension_oid(FRESHET_EXTENSION, false));
	recordDependencyOn(&table, &extension, DEPENDENCY_EXTENSION);
	CommandCounterIncrement();
}

static void
drop_table(Oid relid)
{
	ObjectAddress table;

	ObjectAddressSet(table, RelationRelationId, relid);
	/* it goes, the extension does not */
	performDeletion(&table, DROP_RESTRICT,
					PERFORM_DELETION_INTERNAL | PERFORM_DELETION_SKIP_EXTENSIONS);
	CommandCounterIncrement();
}

static void
empty_table(Oid relid)
{
	Relation	rel;
	GroupStates states = {0};

	process_lock_relation(relid, RowExclusiveLock);
	rel = table_open(relid, NoLock);
	states.rel = rel;
	states.slot = table_slot_create(rel, NULL);
	group_states_delete_all(&states);
	ExecDropSingleTupleTableSlot(states.slot);
	table_close(rel, NoLock);
}

void
group_states_make(const Sink *sink)
{
	Oid			relid = table_oid(sink->relid);
	Oid			save_userid;
	int			save_sec_context;

	if (OidIsValid(relid) && !ConditionalLockRelationOid(relid, AccessExclusiveLock) &&
		columns_fit(relid, sink->plan))
	{
		empty_table(relid);
		return;
	}

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
	if (OidIsValid(relid))
	{
		process_lock_relation(relid, AccessExclusiveLock);
		drop_table(relid);
	}
	make_state_table(sink);
	SetUserIdAndSecContext(save_userid, save_sec_context);
}

void
group_states_drop(Oid sink_relid)
{
	Oid			relid = table_oid(sink_relid);

	if (OidIsValid(relid))
		drop_table(relid);
}

/*
 * States
 */

/* Are the keys of a found row those that are looked for? */
static ExprState *
compile_comparison(const SinkPlan *plan, Relation rel, const GroupTable *groups)
{
	AttrNumber *columns = palloc(plan->nkeys * sizeof(AttrNumber));
	Oid		   *functions = palloc(plan->nkeys * sizeof(Oid));
	Oid		   *collations = palloc(plan->nkeys * sizeof(Oid));
	int			n = 0;

	for (int i = 0; i < plan->nkeys; i++)
	{
		if (group_key_is_implied(plan->nkeys, plan->keys, i))
			continue;
		columns[n] = i + 1;
		functions[n] = get_opcode(plan->keys[i].eqop);
		collations[n] = plan->keys[i].collation;
		n++;
	}
	return ExecBuildGroupingEqual(RelationGetDescr(rel), groups->key_slot->tts_tupleDescriptor,
								  &TTSOpsBufferHeapTuple, &TTSOpsVirtual, n, columns, functions,
								  collations, NULL);
}

GroupStates *
group_states_open(const Sink *sink, Relation sink_rel, const GroupTable *groups)
{
	GroupStates *states = palloc0(sizeof(GroupStates));
	Oid			relid = table_oid(sink->relid);
	List	   *indexes;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("sink \"%s\" has lost the states of its groups",
						RelationGetRelationName(sink_rel)),
				 errhint("Call freshet.rebuild_sink().")));
	process_lock_relation(relid, RowExclusiveLock);
	states->rel = try_table_open(relid, NoLock);
	if (states->rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a sink was dropped while it was maintained");

	states->nkeys = sink->plan->nkeys;
	states->file = freshet_relation_file(sink_rel);
	states->slot = table_slot_create(states->rel, NULL);
	states->values = palloc(NCOLUMNS(states->nkeys) * sizeof(Datum));
	states->nulls = palloc0(NCOLUMNS(states->nkeys) * sizeof(bool));
	states->scan_context = CurrentMemoryContext;
	if (states->nkeys == 0)
		return states;

	indexes = RelationGetIndexList(states->rel);
	if (list_length(indexes) != 1)
		elog(ERROR, "table \"%s\" has not one index", RelationGetRelationName(states->rel));
	states->index = index_open(linitial_oid(indexes), RowExclusiveLock);
	ScanKeyInit(&states->scan_key, 1, BTEqualStrategyNumber, F_INT4EQ, (Datum) 0);
	states->econtext = CreateStandaloneExprContext();
	states->same_keys = compile_comparison(sink->plan, states->rel, groups);
	return states;
}

void
group_states_close(GroupStates *states)
{
	if (states->scan != NULL)
		index_endscan(states->scan);
	if (states->index != NULL)
		index_close(states->index, NoLock);
	if (states->econtext != NULL)
		FreeExprContext(states->econtext, true);
	ExecDropSingleTupleTableSlot(states->slot);
	table_close(states->rel, NoLock);
}

/* The next row with the hash, in the slot. */
static bool
next_candidate(GroupStates *states)
{
	/* what the scan allocates must live as long as the scan */
	MemoryContext oldcontext = MemoryContextSwitchTo(states->scan_context);
	bool		found = index_getnext_slot(states->scan, ForwardScanDirection, states->slot);

	MemoryContextSwitchTo(oldcontext);
	return found;
}

static void
begin_search(GroupStates *states, uint32 hash)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(states->scan_context);

	states->scan_key.sk_argument = Int32GetDatum((int32) hash);
	if (states->scan == NULL)
		states->scan = freshet_index_beginscan(states->rel, states->index, GetActiveSnapshot(),
											   1);
	else
		states->scan->xs_snapshot = GetActiveSnapshot();
	index_rescan(states->scan, &states->scan_key, 1, NULL, 0);
	MemoryContextSwitchTo(oldcontext);
}

static bool
find_by_keys(GroupStates *states, TupleTableSlot *keys, uint32 hash)
{
	begin_search(states, hash);
	while (next_candidate(states))
	{
		bool		same;

		states->econtext->ecxt_innertuple = states->slot;
		states->econtext->ecxt_outertuple = keys;
		same = ExecQual(states->same_keys, states->econtext);
		ResetExprContext(states->econtext);
		if (same)
			return true;
	}
	return false;
}

/* The only row there is. */
static bool
find_only_state(GroupStates *states)
{
	TableScanDesc scan = table_beginscan(states->rel, GetActiveSnapshot(), 0, NULL);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, states->slot);

	if (found)
		ExecMaterializeSlot(states->slot);
	table_endscan(scan);
	return found;
}

/* A value of the row found, which cannot be null. */
static Datum
found_value(GroupStates *states, int column)
{
	bool		isnull;
	Datum		value = slot_getattr(states->slot, column, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column %d of table \"%s\" is null", column,
						RelationGetRelationName(states->rel))));
	return value;
}

bool
group_states_find(GroupStates *states, TupleTableSlot *keys, GroupPlace *place, StringInfo state)
{
	int			n = states->nkeys;
	Datum		value;
	bytea	   *bytes;

	if (n == 0 ? !find_only_state(states) : !find_by_keys(states, keys, place->hash))
		return false;

	place->tid = states->slot->tts_tid;
	ItemPointerSetInvalid(&place->row);
	if (DatumGetObjectId(found_value(states, FILE_COLUMN(n))) == states->file)
		place->row = *(ItemPointer) DatumGetPointer(found_value(states, ROW_COLUMN(n)));

	value = found_value(states, STATE_COLUMN(n));
	bytes = DatumGetByteaPP(value);
	resetStringInfo(state);
	appendBinaryStringInfo(state, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes));
	if ((Pointer) bytes != DatumGetPointer(value))
		pfree(bytes);
	ExecClearTuple(states->slot);
	return true;
}

/* Is the row found already what is to be stored? */
static bool
is_same(GroupStates *states, const GroupPlace *place, const StringInfoData *state)
{
	int			n = states->nkeys;
	ItemPointer row = (ItemPointer) DatumGetPointer(found_value(states, ROW_COLUMN(n)));
	Datum		value = found_value(states, STATE_COLUMN(n));
	bytea	   *bytes;

	if (DatumGetObjectId(found_value(states, FILE_COLUMN(n))) != states->file ||
		!ItemPointerEquals(row, unconstify(ItemPointerData *, &place->row)))
		return false;
	bytes = DatumGetByteaPP(value);
	return VARSIZE_ANY_EXHDR(bytes) == state->len &&
		memcmp(VARDATA_ANY(bytes), state->data, state->len) == 0;
}

static void
insert_index_entry(GroupStates *states, HeapTuple tuple)
{
	Datum		value = states->values[HASH_COLUMN(states->nkeys) - 1];
	bool		isnull = false;

	if (states->index != NULL)
		(void) index_insert(states->index, &value, &isnull, &tuple->t_self, states->rel,
							UNIQUE_CHECK_NO, false, NULL);
}

void
group_states_store(GroupStates *states, TupleTableSlot *keys, GroupPlace *place,
				   const StringInfoData *state)
{
	int			n = states->nkeys;
	bool		replace = ItemPointerIsValid(&place->tid);
	TupleTableSlot *old = states->slot;
	HeapTuple	tuple;
	bytea	   *bytes;

	if (replace)
	{
		if (!table_tuple_fetch_row_version(states->rel, &place->tid, GetActiveSnapshot(), old))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a state vanished from table \"%s\" while it was maintained",
							RelationGetRelationName(states->rel))));
		if (is_same(states, place, state))
		{
			ExecClearTuple(old);
			return;
		}
		keys = old;				/* what is out of line stays there */
	}

	for (int i = 0; i < n; i++)
		states->values[i] = slot_getattr(keys, i + 1, &states->nulls[i]);
	states->values[HASH_COLUMN(n) - 1] = Int32GetDatum((int32) place->hash);
	states->values[FILE_COLUMN(n) - 1] = ObjectIdGetDatum(states->file);
	states->values[ROW_COLUMN(n) - 1] = PointerGetDatum(&place->row);
	bytes = palloc(VARHDRSZ + state->len);
	SET_VARSIZE(bytes, VARHDRSZ + state->len);
	memcpy(VARDATA(bytes), state->data, state->len);
	states->values[STATE_COLUMN(n) - 1] = PointerGetDatum(bytes);
	tuple = heap_form_tuple(RelationGetDescr(states->rel), states->values, states->nulls);
	pfree(bytes);

	if (replace)
		freshet_simple_heap_update(states->rel, &place->tid, tuple);
	else
		simple_heap_insert(states->rel, tuple);
	if (!replace || !HeapTupleIsHeapOnly(tuple))
		insert_index_entry(states, tuple);
	place->tid = tuple->t_self;
	heap_freetuple(tuple);
	ExecClearTuple(old);
}

void
group_states_delete(GroupStates *states, GroupPlace *place)
{
	simple_heap_delete(states->rel, &place->tid);
	ItemPointerSetInvalid(&place->tid);
}

void
group_states_delete_all(GroupStates *states)
{
	TableScanDesc scan = table_beginscan(states->rel, GetActiveSnapshot(), 0, NULL);

	while (table_scan_getnextslot(scan, ForwardScanDirection, states->slot))
	{
		CHECK_FOR_INTERRUPTS();
		simple_heap_delete(states->rel, &states->slot->tts_tid);
	}
	table_endscan(scan);
	ExecClearTuple(states->slot);
}
