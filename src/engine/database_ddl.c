/*-------------------------------------------------------------------------
 *
 * database_ddl.c
 *		Commands on databases, which the worker must get out of the way of.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME TO or SET TABLESPACE, and CREATE
 * DATABASE ... TEMPLATE fail while anybody is connected to the database, and
 * the worker is, for good.  So before such a command of one who may run it,
 * the worker is asked to leave, by the flag "stop" in its slot, and waited
 * for; the launcher starts none while the flag is set.  After the command, or
 * its failure, the flag is cleared.
 *
 * The flag is cleared by the session that set it, also when that is
 * terminated.  Two such commands on one database exclude each other by the
 * lock on the database, but not before the flag is set: the first to end may
 * let the worker in again before the second has begun, which then fails as it
 * would have without freshet.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <signal.h>

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "replication/origin.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/names.h"
#include "base/shmem.h"
#include "base/wait_events.h"
#include "database_ddl.h"

#define WORKER_LEAVES_MS	30000
#define POLL_MS				10

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* Dropped by the current transaction; its worker stays out until the end. */
static Oid	dropped_database = InvalidOid;

/* What the hook gets, to be passed on. */
typedef struct UtilityCall
{
	PlannedStmt *pstmt;
	const char *queryString;
	bool		readOnlyTree;
	ProcessUtilityContext context;
	ParamListInfo params;
	QueryEnvironment *queryEnv;
	DestReceiver *dest;
	QueryCompletion *qc;
} UtilityCall;

static void
run_utility(const UtilityCall *call)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(call->pstmt, call->queryString, call->readOnlyTree, call->context,
							call->params, call->queryEnv, call->dest, call->qc);
	else
		standard_ProcessUtility(call->pstmt, call->queryString, call->readOnlyTree,
								call->context, call->params, call->queryEnv, call->dest,
								call->qc);
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple;
	bool		result = superuser();

	if (result)
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

static bool
is_template(Oid dboid)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dboid));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* Name of the template of a CREATE DATABASE. */
static const char *
template_name(const CreatedbStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "template") == 0 && option->arg != NULL)
			return defGetString(option);
	}
	return "template1";
}

static bool
sets_tablespace(const AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
			return true;
	}
	return false;
}

/*
 * The database that must be free of sessions for the command to succeed, if
 * it is such a command and the current user may run it; else InvalidOid.
 */
static Oid
database_to_free(Node *command)
{
	const char *name = NULL;
	Oid			dboid;

	if (IsA(command, DropdbStmt))
		name = ((DropdbStmt *) command)->dbname;
	else if (IsA(command, RenameStmt) &&
			 ((RenameStmt *) command)->renameType == OBJECT_DATABASE)
		name = ((RenameStmt *) command)->subname;
	else if (IsA(command, AlterDatabaseStmt) && sets_tablespace((AlterDatabaseStmt *) command))
		name = ((AlterDatabaseStmt *) command)->dbname;
	else if (IsA(command, CreatedbStmt))
		name = template_name((CreatedbStmt *) command);

	if (name == NULL || !IsTransactionState())
		return InvalidOid;
	dboid = get_database_oid(name, true);
	if (!OidIsValid(dboid) || dboid == MyDatabaseId)
		return InvalidOid;

	if (freshet_owns_database(dboid, GetUserId()))
		return dboid;
	if (IsA(command, CreatedbStmt) && is_template(dboid) && may_create_databases())
		return dboid;
	return InvalidOid;
}

static void
set_stop(WorkerSlot *slot, Oid dboid, bool stop)
{
	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	if (slot->dboid == dboid)
		slot->stop = stop;
	LWLockRelease(FreshetState->lock);
}

/*
 * The slot is not released before the process leaves; DROP DATABASE minds.  Its
 * name may have a number at its end: see log_slot.c.
 */
static bool
replication_slot_active(Oid dboid)
{
	char		name[NAMEDATALEN];
	bool		active = false;

	freshet_object_name(dboid, name);
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];

		if (!slot->in_use || strncmp(NameStr(slot->data.name), name, strlen(name)) != 0)
			continue;
		SpinLockAcquire(&slot->mutex);
		active |= slot->active_pid != 0 && slot->data.database == dboid;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ReplicationSlotControlLock);
	return active;
}

/*
 * The latch is set even if the wake-up flag was set already.  A worker that is
 * making its slot may wait for transactions, and looks at no flag meanwhile.
 */
static void
rouse_worker(WorkerSlot *slot, Oid dboid)
{
	Latch	   *latch;
	pid_t		starting = 0;

	shmem_wake_worker(dboid);
	SpinLockAcquire(&slot->mutex);
	latch = slot->latch;
	if (slot->state == WORKER_STARTING)
		starting = slot->pid;
	SpinLockRelease(&slot->mutex);
	if (latch != NULL)
		SetLatch(latch);
	if (starting != 0)
		(void) kill(starting, SIGTERM);
}

/*
 * If the worker does not leave in time the command is tried nevertheless: its
 * own message is as good as any.
 */
static void
await_worker_gone(WorkerSlot *slot, Oid dboid)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), WORKER_LEAVES_MS);

	rouse_worker(slot, dboid);
	while (slot->pid != 0 || replication_slot_active(dboid))
	{
		if (GetCurrentTimestamp() >= deadline)
			break;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, POLL_MS,
						 freshet_wait_event(WAIT_WORKER_LEAVE));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

typedef struct StoppedWorker
{
	WorkerSlot *slot;
	Oid			dboid;
} StoppedWorker;

static void
let_worker_in(int code, Datum arg)
{
	StoppedWorker *stopped = (StoppedWorker *) DatumGetPointer(arg);

	set_stop(stopped->slot, stopped->dboid, false);
	shmem_wake_launcher();
}

/*
 * A database that is gone leaves nothing behind.  The launcher sees the
 * origin, and the database, until the commit: the slot keeps it from starting
 * a worker.
 */
static void
forget_database(Oid dboid)
{
	char		name[NAMEDATALEN];

	freshet_object_name(dboid, name);
	replorigin_drop_by_name(name, true, false);
	dropped_database = dboid;
}

static void
database_ddl_xact_callback(XactEvent event, void *arg)
{
	WorkerSlot *slot;

	if (!OidIsValid(dropped_database))
		return;

	if (event == XACT_EVENT_COMMIT)
		shmem_free_slot(dropped_database);
	else if (event == XACT_EVENT_ABORT)
	{
		slot = shmem_find_slot(dropped_database);
		if (slot != NULL)
			set_stop(slot, dropped_database, false);
		shmem_wake_launcher();
	}
	else
		return;
	dropped_database = InvalidOid;
}

static void
run_without_worker(const UtilityCall *call, WorkerSlot *slot, Oid dboid)
{
	StoppedWorker stopped;
	bool		drop = IsA(call->pstmt->utilityStmt, DropdbStmt);

	stopped.slot = slot;
	stopped.dboid = dboid;

	PG_ENSURE_ERROR_CLEANUP(let_worker_in, PointerGetDatum(&stopped));
	{
		set_stop(slot, dboid, true);
		await_worker_gone(slot, dboid);
		run_utility(call);
		if (drop)
			forget_database(dboid);
	}
	PG_END_ENSURE_ERROR_CLEANUP(let_worker_in, PointerGetDatum(&stopped));

	if (!drop)
		let_worker_in(0, PointerGetDatum(&stopped));
}

/*
 * The slot of a database whose worker is, or might be, running; the origin
 * says that the launcher is about to start one.
 */
static WorkerSlot *
slot_to_stop(Oid dboid)
{
	WorkerSlot *slot;
	char		name[NAMEDATALEN];

	if (!OidIsValid(dboid))
		return NULL;
	slot = shmem_find_slot(dboid);
	if (slot != NULL)
		return slot;
	freshet_object_name(dboid, name);
	if (replorigin_by_name(name, true) != InvalidRepOriginId)
		return shmem_ensure_slot(dboid);
	return NULL;
}

static void
database_ddl_hook(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				  ProcessUtilityContext context, ParamListInfo params,
				  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	UtilityCall call = {pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc};
	WorkerSlot *slot = NULL;
	Oid			dboid = InvalidOid;

	/* in a transaction block these commands fail anyway, but for RENAME */
	if (FreshetState != NULL && context == PROCESS_UTILITY_TOPLEVEL)
	{
		dboid = database_to_free(pstmt->utilityStmt);
		slot = slot_to_stop(dboid);
	}

	if (slot != NULL)
		run_without_worker(&call, slot, dboid);
	else
		run_utility(&call);
}

void
database_ddl_install_hook(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = database_ddl_hook;
	RegisterXactCallback(database_ddl_xact_callback, NULL);
}
