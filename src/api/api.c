/*-------------------------------------------------------------------------
 *
 * api.c
 *		The SQL functions on sinks that exist, and freshet.explain().
 *
 * All run with the rights of the caller, who must own the sink.  What they
 * change is the sink's row in freshet.sink; the worker acts on it at its next
 * batch, which the commit wakes.
 *
 * A sink's row is changed under SHARE UPDATE EXCLUSIVE on its table: it
 * conflicts with itself and with DROP TABLE, but neither with readers nor
 * with the writes of the worker and the filler.  A fill that is of no use any
 * more is ended (base/fill_stop.c).
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "api.h"
#include "base/announce.h"
#include "base/fill_stop.h"
#include "base/guc.h"
#include "base/names.h"
#include "catalog/sink_catalog.h"
#include "compile/analyze.h"
#include "compile/source_check.h"
#include "compile/strategy.h"
#include "maintain/run.h"

PG_FUNCTION_INFO_V1(freshet_drop_sink);
PG_FUNCTION_INFO_V1(freshet_pause_sink);
PG_FUNCTION_INFO_V1(freshet_resume_sink);
PG_FUNCTION_INFO_V1(freshet_rebuild_sink);
PG_FUNCTION_INFO_V1(freshet_explain);

bool
api_may_see_errors(Oid relid)
{
	return freshet_owns_relation(relid, GetUserId()) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/* The rights are checked before the lock is waited for, and after it. */
Sink *
api_open_sink(Oid relid, LOCKMODE lockmode)
{
	for (int i = 0; i < 2; i++)
	{
		if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation with OID %u does not exist", relid)));
		if (!freshet_owns_relation(relid, GetUserId()))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, get_rel_name(relid));
		if (i == 0)
			LockRelationOid(relid, lockmode);
	}
	return sink_get(relid);
}

/*
 * The launcher takes this origin for the wish for a worker.  Two sessions
 * must not make it at once, or one would fail at the catalogue's unique
 * index; the lock on the database is kept to the end of the transaction.
 *
 * The caller has changed freshet.sink in this transaction, and thereby keeps
 * the worker from dropping the origin with what it thinks the last sink.
 */
static void
ensure_origin(void)
{
	char		name[NAMEDATALEN];
	bool		created = false;

	freshet_object_name(MyDatabaseId, name);
	if (replorigin_by_name(name, true) == InvalidRepOriginId)
	{
		LockSharedObject(DatabaseRelationId, MyDatabaseId, 0, ShareUpdateExclusiveLock);
		if (replorigin_by_name(name, true) == InvalidRepOriginId)
		{
			(void) replorigin_create(name);
			created = true;
		}
	}
	announce_to_launcher_at_commit(created);
}

void
api_ensure_origin(void)
{
	if (shmem_ensure_slot(MyDatabaseId) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("no freshet worker is left for this database"),
				 errdetail("There are sinks in freshet.max_workers (%d) other databases.",
						   freshet_max_workers),
				 errhint("Drop the sinks of one of them, or raise freshet.max_workers and restart "
						 "the server.")));
	ensure_origin();
}

/*
 * Where the origin is there is a worker, or there will be one.
 */
void
api_ask_for_worker(void)
{
	char		name[NAMEDATALEN];

	freshet_object_name(MyDatabaseId, name);
	if (replorigin_by_name(name, true) == InvalidRepOriginId &&
		wal_level >= WAL_LEVEL_LOGICAL && shmem_ensure_slot(MyDatabaseId) != NULL)
		ensure_origin();
}

/*
 * An internal dependency: DROP TABLE of the sink takes the view along, and
 * what would drop the view, as DROP TABLE source CASCADE, drops the sink.
 * A dump does not carry it, hence the look whether it is there.
 */
void
api_tie_definition(Oid relid, Oid viewid)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		tied = false;
	ObjectAddress table;
	ObjectAddress view;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(viewid));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(tuple);

		if (dep->deptype == DEPENDENCY_INTERNAL && dep->refclassid == RelationRelationId &&
			dep->refobjid == relid)
			tied = true;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (tied)
		return;

	ObjectAddressSet(table, RelationRelationId, relid);
	ObjectAddressSet(view, RelationRelationId, viewid);
	recordDependencyOn(&view, &table, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* It goes with its table, as an index or a sequence does: no rights are asked for. */
void
api_give_definition(Oid relid, Oid viewid)
{
	Oid			owner = owner_of(relid);
	Oid			view_owner = owner_of(viewid);

	if (owner == view_owner || !OidIsValid(owner) || !OidIsValid(view_owner))
		return;
	ATExecChangeOwner(viewid, owner, true, AccessExclusiveLock);
	CommandCounterIncrement();
}

static void
check_may_change(const char *function)
{
	shmem_require_setup();
	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
	PreventCommandIfParallelMode(function);
}

/* A fill that is under way ends. */
static void
lock_to_drop(Oid relid)
{
	FillStopWatch watched = fill_stop_watch(FILL_STOP_AWAITED);

	PG_TRY();
	{
		(void) api_open_sink(relid, AccessExclusiveLock);
	}
	PG_FINALLY();
	{
		fill_stop_unwatch(watched);
	}
	PG_END_TRY();
}

/*
 * drop_sink(sink regclass, cascade boolean)
 *
 * As a command, so that event triggers see it, ours among them; which may be
 * disabled, therefore the look whether the row is gone.
 */
Datum
freshet_drop_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	bool		cascade = PG_GETARG_BOOL(1);

	PreventCommandIfReadOnly("freshet.drop_sink()");
	PreventCommandDuringRecovery("freshet.drop_sink()");
	lock_to_drop(relid);

	names_run(psprintf("DROP TABLE %s%s", names_relation(relid), cascade ? " CASCADE" : ""));
	(void) sink_catalog_delete(relid);
	run_drop_leavings(relid);
	PG_RETURN_VOID();
}

/* pause_sink(sink regclass) */
Datum
freshet_pause_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Sink	   *sink;

	check_may_change("freshet.pause_sink()");
	sink = api_open_sink(relid, ShareUpdateExclusiveLock);
	if (!sink->paused)
		sink_catalog_update(relid, true, false);
	PG_RETURN_VOID();
}

/*
 * resume_sink(sink regclass)
 *
 * What happened during the pause is not kept: the sink is brought up to date
 * as by rebuild_sink().
 */
Datum
freshet_resume_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Sink	   *sink;

	check_may_change("freshet.resume_sink()");
	sink = api_open_sink(relid, ShareUpdateExclusiveLock);
	if (sink->paused)
	{
		sink_catalog_update(relid, false, true);
		api_ensure_origin();
	}
	PG_RETURN_VOID();
}

/*
 * rebuild_sink(sink regclass)
 *
 * Also makes what a dump does not carry, and mends what was lost otherwise.
 */
Datum
freshet_rebuild_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Sink	   *sink;

	check_may_change("freshet.rebuild_sink()");
	sink = api_open_sink(relid, ShareUpdateExclusiveLock);
	api_tie_definition(relid, sink->viewid);
	api_give_definition(relid, sink->viewid);
	sink_catalog_update(relid, false, true);
	api_ensure_origin();
	PG_RETURN_VOID();
}

/*
 * What stands between the query and a sink of the current user, as a list of
 * char *.  Errors become lines; a subtransaction cleans up after them.
 */
static List *
find_obstacles(const Query *query)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	SinkPlan   *volatile plan = NULL;
	List	   *volatile result = NIL;
	List	   *insufficient = NIL;
	SinkSandbox sandbox;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		StrategyChoice choice;

		sink_enter_analysis_sandbox(&sandbox);
		strategy_choose(query, &choice);
		sink_leave_sandbox(&sandbox);
		plan = choice.plan;
		source_check_all(plan, GetUserId());
		if (!source_identities_suffice(plan, &insufficient))
		{
			ListCell   *lc;

			foreach(lc, insufficient)
			{
				Oid			relid = lfirst_oid(lc);

				result = lappend(result, psprintf(freshet_owns_relation(relid, GetUserId()) ?
												  "create_sink will run ALTER TABLE %s REPLICA "
												  "IDENTITY FULL" :
												  "the owner has to run ALTER TABLE %s REPLICA "
												  "IDENTITY FULL first",
												  names_relation(relid)));
			}
		}
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(oldcontext);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(edata);
		/* a refused query: the explanation says so already */
		if (plan != NULL)
			result = lappend(result, psprintf("create_sink would fail: %s", edata->message));
	}
	PG_END_TRY();

	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	return result;
}

/* explain(query text) */
Datum
freshet_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Query	   *query = analyze_query_text(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	List	   *lines;
	SinkSandbox sandbox;
	ListCell   *lc;

	sink_enter_analysis_sandbox(&sandbox);
	lines = analyze_explain(query);
	sink_leave_sandbox(&sandbox);
	lines = list_concat(lines, find_obstacles(query));

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, lines)
	{
		Datum		value = CStringGetTextDatum((char *) lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}
