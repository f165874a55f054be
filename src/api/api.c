/*-------------------------------------------------------------------------
 *
 * api.c
 *		The SQL functions on sinks that exist.
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

#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "api.h"
#include "base/announce.h"
#include "base/fill_stop.h"
#include "base/guc.h"
#include "base/names.h"
#include "belongings.h"
#include "catalog/sink_catalog.h"

PG_FUNCTION_INFO_V1(freshet_drop_sink);
PG_FUNCTION_INFO_V1(freshet_pause_sink);
PG_FUNCTION_INFO_V1(freshet_resume_sink);
PG_FUNCTION_INFO_V1(freshet_rebuild_sink);

bool
api_may_see_errors(Oid relid)
{
	return freshet_owns_relation(relid, GetUserId()) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

void
api_refuse_stage(const Sink *sink)
{
	if (OidIsValid(sink->stage_of))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a stage of sink \"%s\"", get_rel_name(sink->relid),
						get_rel_name(sink->stage_of)),
				 errhint("Call the function for that sink.")));
}

/* The rights are checked before the lock is waited for, and after it. */
Sink *
api_open_sink(Oid relid, LOCKMODE lockmode)
{
	Sink	   *sink;

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
	sink = sink_get(relid);
	api_refuse_stage(sink);
	return sink;
}

/* Change the row of a sink, and those of its stages. */
static void
update_sink(const Sink *sink, bool paused, bool new_generation)
{
	ListCell   *lc;

	foreach(lc, sink->has_stages ? sink_catalog_stages(sink->relid) : NIL)
	{
		Oid			stage = ((Sink *) lfirst(lc))->relid;

		LockRelationOid(stage, ShareUpdateExclusiveLock);
		sink_catalog_update(stage, paused, new_generation);
	}
	sink_catalog_update(sink->relid, paused, new_generation);
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
	belongings_drop(relid);
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
		update_sink(sink, true, false);
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
		update_sink(sink, false, true);
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
	belongings_tie(sink);
	update_sink(sink, false, true);
	api_ensure_origin();
	PG_RETURN_VOID();
}
