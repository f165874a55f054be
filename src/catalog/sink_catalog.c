/*-------------------------------------------------------------------------
 *
 * sink_catalog.c
 *		Reading and writing freshet.sink and freshet.sink_state.
 *
 * Both tables are small (a row for each sink), so every search reads them
 * whole.  They are read and written as the system's own catalogues are, not
 * by SQL: no privileges on them are needed, no user's code can come between,
 * and a session at REPEATABLE READ sees what is there now, not what was there
 * when its transaction began.  The worker, to the contrary, passes the
 * snapshot of its batch.
 *
 * Two classes of writers, kept apart so that they never touch the same row:
 * users (through api.c) write freshet.sink, the worker writes
 * freshet.sink_state.
 *
 * Each write of freshet.sink sends a relcache invalidation for it, by which
 * the worker's cache notices.  Invalidations are sent after the transaction
 * has left the proc array and after the callbacks at its end: a worker woken
 * by such a callback could look too early and sleep again.  Hence the
 * wake-up here, at the very end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/fill_stop.h"
#include "base/names.h"
#include "base/process.h"
#include "base/shmem.h"
#include "sink_catalog.h"

/* Attribute numbers; freshet--0.1.sql makes the tables. */
enum
{
	ANUM_SINK_RELID = 1,
	ANUM_SINK_DEFINITION,
	ANUM_SINK_KIND,
	ANUM_SINK_STRATEGY,
	ANUM_SINK_REFRESH_EVERY,
	ANUM_SINK_SETTINGS,
	ANUM_SINK_COLUMNS,
	ANUM_SINK_PAUSED,
	ANUM_SINK_GENERATION,
	ANUM_SINK_CREATED_AT,
	ANUM_SINK_QUERY,
	ANUM_SINK_STAGE_OF,
	ANUM_SINK_REASON,
	NATTS_SINK = ANUM_SINK_REASON
};

enum
{
	ANUM_STATE_RELID = 1,
	ANUM_STATE_STATE,
	ANUM_STATE_GENERATION,
	ANUM_STATE_SINCE,
	ANUM_STATE_ERROR,
	ANUM_STATE_LEAVES,
	ANUM_STATE_ATTACHED,
	ANUM_STATE_DEFINITION,
	NATTS_STATE = ANUM_STATE_DEFINITION
};

/*
 * The library may be newer than the extension of this database, or older: it
 * must not read what is laid out otherwise.
 */
Relation
sink_catalog_open(const char *name, int natts, LOCKMODE lockmode)
{
	Oid			relid = freshet_catalog_relid(name);
	Relation	rel;

	process_lock_relation(relid, lockmode);
	rel = try_table_open(relid, NoLock);
	if (rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "extension \"freshet\" has just been dropped");
	if (RelationGetDescr(rel)->natts != natts)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"freshet\" of this database is not of the version of the "
						"library"),
				 errhint("Run ALTER EXTENSION freshet UPDATE, or DROP EXTENSION and CREATE "
						 "EXTENSION.")));
	return rel;
}

static bool
is_laid_out(Oid nsp, const char *name, int natts)
{
	Oid			relid = get_relname_relid(name, nsp);
	Relation	rel;
	bool		result;

	if (!OidIsValid(relid))
		return false;
	rel = try_table_open(relid, AccessShareLock);
	if (rel == NULL)
		return false;
	result = RelationGetDescr(rel)->natts == natts;
	table_close(rel, AccessShareLock);
	return result;
}

bool
sink_catalog_is_ours(void)
{
	Oid			nsp = get_namespace_oid(FRESHET_SCHEMA, true);

	return OidIsValid(nsp) && is_laid_out(nsp, "sink", NATTS_SINK) &&
		is_laid_out(nsp, "sink_state", NATTS_STATE) &&
		is_laid_out(nsp, "source_identity", SOURCE_IDENTITY_NATTS);
}

static const char *const state_names[] = {
	[SINK_BUILDING] = "building",
	[SINK_LIVE] = "live",
	[SINK_BEHIND] = "behind",
	[SINK_PAUSED] = "paused",
	[SINK_FAILED] = "failed",
};

static const char *const strategy_names[] = {
	[STRATEGY_DELTA] = "delta",
	[STRATEGY_KEYED] = "keyed",
	[STRATEGY_REFRESH] = "refresh",
};

static bool wake_at_end = false;

const char *
sink_state_name(SinkState state)
{
	return state_names[state];
}

static int
find_name(const char *const *names, int n, Datum value, const char *what)
{
	char	   *name = TextDatumGetCString(value);

	for (int i = 0; i < n; i++)
	{
		if (strcmp(names[i], name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("unknown %s \"%s\" in the catalogue of freshet", what, name)));
}

/* A column that is NOT NULL. */
static Datum
required(HeapTuple tuple, int attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	if (isnull)
		elog(ERROR, "column %d in the catalogue of freshet is null", attnum);
	return value;
}

static Oid
tuple_relid(HeapTuple tuple, TupleDesc desc)
{
	/* the first column of both tables */
	return DatumGetObjectId(required(tuple, ANUM_SINK_RELID, desc));
}

/* 'name=value' each. */
static void
read_settings(Sink *sink, Datum array)
{
	Datum	   *elems;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT,
					  &elems, NULL, &n);
	sink->setting_names = palloc0(Max(n, 1) * sizeof(char *));
	sink->setting_values = palloc0(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		char	   *name = TextDatumGetCString(elems[i]);
		char	   *value = strchr(name, '=');

		if (value == NULL)
			continue;
		*value++ = '\0';
		sink->setting_names[sink->nsettings] = name;
		sink->setting_values[sink->nsettings] = value;
		sink->nsettings++;
	}
}

static void
read_columns(Sink *sink, Datum array)
{
	Datum	   *elems;

	deconstruct_array(DatumGetArrayTypeP(array), INT2OID, sizeof(int16), true, TYPALIGN_SHORT,
					  &elems, NULL, &sink->ncolumns);
	sink->columns = palloc(Max(sink->ncolumns, 1) * sizeof(AttrNumber));
	for (int i = 0; i < sink->ncolumns; i++)
		sink->columns[i] = DatumGetInt16(elems[i]);
}

/* InvalidOid for null. */
static Oid
optional_oid(HeapTuple tuple, int attnum, TupleDesc desc)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, attnum, desc, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/* In the current memory context. */
static Sink *
make_sink(HeapTuple tuple, TupleDesc desc)
{
	Sink	   *sink = palloc0(sizeof(Sink));
	Datum		reason;
	bool		isnull;

	sink->context = CurrentMemoryContext;
	sink->relid = tuple_relid(tuple, desc);
	sink->definition_view = DatumGetObjectId(required(tuple, ANUM_SINK_DEFINITION, desc));
	sink->viewid = optional_oid(tuple, ANUM_SINK_QUERY, desc);
	if (!OidIsValid(sink->viewid))
		sink->viewid = sink->definition_view;
	sink->has_stages = sink->viewid != sink->definition_view;
	sink->stage_of = optional_oid(tuple, ANUM_SINK_STAGE_OF, desc);
	reason = heap_getattr(tuple, ANUM_SINK_REASON, desc, &isnull);
	sink->reason = isnull ? NULL : TextDatumGetCString(reason);
	sink->kind = TextDatumGetCString(required(tuple, ANUM_SINK_KIND, desc));
	sink->strategy = find_name(strategy_names, lengthof(strategy_names),
							   required(tuple, ANUM_SINK_STRATEGY, desc), "strategy");
	sink->paused = DatumGetBool(required(tuple, ANUM_SINK_PAUSED, desc));
	sink->generation = DatumGetInt64(required(tuple, ANUM_SINK_GENERATION, desc));
	read_settings(sink, required(tuple, ANUM_SINK_SETTINGS, desc));
	read_columns(sink, required(tuple, ANUM_SINK_COLUMNS, desc));
	sink->state = SINK_BUILDING;
	return sink;
}

static List *
oid_list(Datum array)
{
	List	   *result = NIL;
	Datum	   *elems;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), OIDOID, sizeof(Oid), true, TYPALIGN_INT,
					  &elems, NULL, &n);
	for (int i = 0; i < n; i++)
		result = lappend_oid(result, DatumGetObjectId(elems[i]));
	return result;
}

/* Add what freshet.sink_state says; in the sink's memory context. */
static void
add_state(Sink *sink, HeapTuple tuple, TupleDesc desc)
{
	Datum		value;
	bool		isnull;

	sink->state = find_name(state_names, lengthof(state_names),
							required(tuple, ANUM_STATE_STATE, desc), "state");
	sink->built_generation = DatumGetInt64(required(tuple, ANUM_STATE_GENERATION, desc));

	value = heap_getattr(tuple, ANUM_STATE_ERROR, desc, &isnull);
	sink->error = isnull ? NULL : TextDatumGetCString(value);

	sink->leaves = oid_list(required(tuple, ANUM_STATE_LEAVES, desc));
	sink->attached = oid_list(required(tuple, ANUM_STATE_ATTACHED, desc));
	sink->built_definition = DatumGetInt64(required(tuple, ANUM_STATE_DEFINITION, desc));
}

static Sink *
find_sink(List *sinks, Oid relid)
{
	ListCell   *lc;

	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid == relid)
			return sink;
	}
	return NULL;
}

List *
sink_catalog_read_all(Snapshot snapshot, MemoryContext parent, bool *orphans)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(parent);
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *sinks = NIL;

	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		MemoryContext context = AllocSetContextCreate(parent, "freshet sink",
													  ALLOCSET_SMALL_SIZES);
		Sink	   *sink;

		MemoryContextSwitchTo(context);
		sink = make_sink(tuple, RelationGetDescr(rel));
		MemoryContextSwitchTo(parent);
		sinks = lappend(sinks, sink);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	*orphans = false;
	rel = sink_catalog_open("sink_state", NATTS_STATE, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Sink	   *sink = find_sink(sinks, tuple_relid(tuple, RelationGetDescr(rel)));

		if (sink == NULL)
		{
			*orphans = true;
			continue;
		}
		MemoryContextSwitchTo(sink->context);
		add_state(sink, tuple, RelationGetDescr(rel));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	MemoryContextSwitchTo(oldcontext);
	return sinks;
}

/* The tuple of a sink in one of the two tables, copied, or NULL. */
static HeapTuple
find_tuple(Relation rel, Oid relid, Snapshot snapshot)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, snapshot, 0, NULL);
	HeapTuple	result = NULL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (tuple_relid(tuple, RelationGetDescr(rel)) == relid)
		{
			result = heap_copytuple(tuple);
			break;
		}
	}
	systable_endscan(scan);
	return result;
}

Sink *
sink_catalog_read(Oid relid, Snapshot snapshot)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	HeapTuple	tuple = find_tuple(rel, relid, snapshot);
	Sink	   *sink = tuple ? make_sink(tuple, RelationGetDescr(rel)) : NULL;

	table_close(rel, AccessShareLock);
	if (sink == NULL)
		return NULL;

	rel = sink_catalog_open("sink_state", NATTS_STATE, AccessShareLock);
	tuple = find_tuple(rel, relid, snapshot);
	if (tuple)
		add_state(sink, tuple, RelationGetDescr(rel));
	table_close(rel, AccessShareLock);
	return sink;
}

List *
sink_catalog_stages(Oid relid)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *relids = NIL;
	List	   *result = NIL;
	HeapTuple	tuple;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (optional_oid(tuple, ANUM_SINK_STAGE_OF, RelationGetDescr(rel)) == relid)
			relids = lappend_oid(relids, tuple_relid(tuple, RelationGetDescr(rel)));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	/* they are made one after the other */
	list_sort(relids, list_oid_cmp);
	foreach(lc, relids)
		result = lappend(result, sink_catalog_read(lfirst_oid(lc), NULL));
	return result;
}

bool
sink_catalog_any(void)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	bool		result = HeapTupleIsValid(systable_getnext(scan));

	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static bool
is_written_here(HeapTuple tuple)
{
	return TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetXmin(tuple->t_data));
}

bool
sink_catalog_written_here(Oid relid)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	HeapTuple	tuple = find_tuple(rel, relid, NULL);
	bool		result = tuple != NULL && is_written_here(tuple);

	table_close(rel, AccessShareLock);
	return result;
}

Oid
sink_catalog_made_here(void)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	TupleDesc	desc = RelationGetDescr(rel);
	Oid			result = InvalidOid;
	HeapTuple	tuple;

	while (!OidIsValid(result) && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (is_written_here(tuple) &&
			!OidIsValid(optional_oid(tuple, ANUM_SINK_STAGE_OF, desc)) &&
			DatumGetTimestampTz(required(tuple, ANUM_SINK_CREATED_AT, desc)) ==
			GetCurrentTransactionStartTimestamp())
			result = tuple_relid(tuple, desc);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

void
sink_catalog_refuse_partitions(List *relids)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = tuple_relid(tuple, RelationGetDescr(rel));

		if (list_member_oid(relids, relid))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("partition \"%s\" of a source is a sink", get_rel_name(relid)),
					 errdetail("What freshet writes to a sink does not reach the sinks over a "
							   "table that it is a partition of."),
					 errhint("Detach it; a sink that has failed for it needs "
							 "freshet.rebuild_sink() then.")));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

List *
sink_catalog_vanished(void)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *result = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = tuple_relid(tuple, RelationGetDescr(rel));

		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			result = lappend_oid(result, relid);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

/* See the head of this file. */
static void
wake_worker_at_end(ResourceReleasePhase phase, bool isCommit, bool isTopLevel, void *arg)
{
	if (!wake_at_end || !isTopLevel || phase != RESOURCE_RELEASE_AFTER_LOCKS)
		return;

	wake_at_end = false;
	if (isCommit)
		shmem_wake_worker(MyDatabaseId);
}

static void
announce_write(Relation rel)
{
	static bool registered = false;

	if (!registered)
	{
		RegisterResourceReleaseCallback(wake_worker_at_end, NULL);
		registered = true;
	}
	wake_at_end = true;
	CacheInvalidateRelcache(rel);
	CommandCounterIncrement();
}

static Datum
settings_array(const Sink *sink)
{
	Datum	   *elems = palloc(Max(sink->nsettings, 1) * sizeof(Datum));

	for (int i = 0; i < sink->nsettings; i++)
		elems[i] = CStringGetTextDatum(psprintf("%s=%s", sink->setting_names[i],
												sink->setting_values[i]));
	return PointerGetDatum(construct_array(elems, sink->nsettings, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

static Datum
columns_array(const Sink *sink)
{
	Datum	   *elems = palloc(Max(sink->ncolumns, 1) * sizeof(Datum));

	for (int i = 0; i < sink->ncolumns; i++)
		elems[i] = Int16GetDatum(sink->columns[i]);
	return PointerGetDatum(construct_array(elems, sink->ncolumns, INT2OID, sizeof(int16), true,
										   TYPALIGN_SHORT));
}

void
sink_catalog_insert(const Sink *sink)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, RowExclusiveLock);
	Datum		values[NATTS_SINK] = {0};
	bool		nulls[NATTS_SINK] = {0};

	values[ANUM_SINK_RELID - 1] = ObjectIdGetDatum(sink->relid);
	values[ANUM_SINK_DEFINITION - 1] = ObjectIdGetDatum(sink->definition_view);
	values[ANUM_SINK_QUERY - 1] = ObjectIdGetDatum(sink->viewid);
	nulls[ANUM_SINK_QUERY - 1] = sink->viewid == sink->definition_view;
	values[ANUM_SINK_STAGE_OF - 1] = ObjectIdGetDatum(sink->stage_of);
	nulls[ANUM_SINK_STAGE_OF - 1] = !OidIsValid(sink->stage_of);
	nulls[ANUM_SINK_REASON - 1] = sink->reason == NULL;
	if (sink->reason != NULL)
		values[ANUM_SINK_REASON - 1] = CStringGetTextDatum(sink->reason);
	values[ANUM_SINK_KIND - 1] = CStringGetTextDatum(sink->kind);
	values[ANUM_SINK_STRATEGY - 1] = CStringGetTextDatum(strategy_names[sink->strategy]);
	values[ANUM_SINK_REFRESH_EVERY - 1] = (Datum) 0;
	nulls[ANUM_SINK_REFRESH_EVERY - 1] = true;
	values[ANUM_SINK_SETTINGS - 1] = settings_array(sink);
	values[ANUM_SINK_COLUMNS - 1] = columns_array(sink);
	values[ANUM_SINK_PAUSED - 1] = BoolGetDatum(sink->paused);
	values[ANUM_SINK_GENERATION - 1] = Int64GetDatum(sink->generation);
	values[ANUM_SINK_CREATED_AT - 1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());

	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	announce_write(rel);

	/* keep the lock: the worker gives up the last sink under a stronger one */
	table_close(rel, NoLock);
}

void
sink_catalog_update(Oid relid, bool paused, bool new_generation)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, RowExclusiveLock);
	HeapTuple	tuple = find_tuple(rel, relid, NULL);
	TupleDesc	desc = RelationGetDescr(rel);
	Datum		values[NATTS_SINK] = {0};
	bool		nulls[NATTS_SINK] = {0};
	bool		replace[NATTS_SINK] = {0};

	if (tuple == NULL)
		elog(ERROR, "sink %u is missing in the catalogue of freshet", relid);

	replace[ANUM_SINK_PAUSED - 1] = true;
	values[ANUM_SINK_PAUSED - 1] = BoolGetDatum(paused);
	if (new_generation)
	{
		replace[ANUM_SINK_GENERATION - 1] = true;
		values[ANUM_SINK_GENERATION - 1] =
			Int64GetDatum(DatumGetInt64(required(tuple, ANUM_SINK_GENERATION, desc)) + 1);
	}

	tuple = heap_modify_tuple(tuple, desc, values, nulls, replace);
	CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	announce_write(rel);
	fill_stop_at_commit(relid);
	table_close(rel, NoLock);
}

bool
sink_catalog_delete(Oid relid)
{
	Relation	rel = sink_catalog_open("sink", NATTS_SINK, RowExclusiveLock);
	HeapTuple	tuple = find_tuple(rel, relid, NULL);

	if (tuple != NULL)
	{
		CatalogTupleDelete(rel, &tuple->t_self);
		announce_write(rel);
	}
	table_close(rel, NoLock);
	return tuple != NULL;
}

static Datum
oid_list_array(List *oids)
{
	Datum	   *elems = palloc(Max(list_length(oids), 1) * sizeof(Datum));
	ListCell   *lc;
	int			n = 0;

	foreach(lc, oids)
		elems[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(elems, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

void
sink_state_write(const Sink *sink, SinkState state, int64 generation, const char *error)
{
	Relation	rel = sink_catalog_open("sink_state", NATTS_STATE, RowExclusiveLock);
	HeapTuple	old = find_tuple(rel, sink->relid, NULL);
	HeapTuple	tuple;
	Datum		values[NATTS_STATE] = {0};
	bool		nulls[NATTS_STATE] = {0};

	values[ANUM_STATE_RELID - 1] = ObjectIdGetDatum(sink->relid);
	values[ANUM_STATE_STATE - 1] = CStringGetTextDatum(state_names[state]);
	values[ANUM_STATE_GENERATION - 1] = Int64GetDatum(generation);
	values[ANUM_STATE_SINCE - 1] = TimestampTzGetDatum(GetCurrentTimestamp());
	if (error)
		values[ANUM_STATE_ERROR - 1] = CStringGetTextDatum(error);
	else
		nulls[ANUM_STATE_ERROR - 1] = true;
	values[ANUM_STATE_LEAVES - 1] = oid_list_array(sink->leaves);
	values[ANUM_STATE_ATTACHED - 1] = oid_list_array(sink->attached);
	values[ANUM_STATE_DEFINITION - 1] = Int64GetDatum(sink->built_definition);

	tuple = heap_form_tuple(RelationGetDescr(rel), values, nulls);
	if (old == NULL)
		CatalogTupleInsert(rel, tuple);
	else
	{
		tuple->t_self = old->t_self;
		CatalogTupleUpdate(rel, &tuple->t_self, tuple);
	}
	CommandCounterIncrement();
	table_close(rel, RowExclusiveLock);
}

List *
sink_state_delete_orphans(void)
{
	List	   *relids = NIL;
	Relation	sinks = sink_catalog_open("sink", NATTS_SINK, AccessShareLock);
	Relation	rel = sink_catalog_open("sink_state", NATTS_STATE, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Oid			relid = tuple_relid(tuple, RelationGetDescr(rel));

		if (find_tuple(sinks, relid, NULL) != NULL)
			continue;
		relids = lappend_oid(relids, relid);
		CatalogTupleDelete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	CommandCounterIncrement();
	table_close(rel, RowExclusiveLock);
	table_close(sinks, AccessShareLock);
	return relids;
}
