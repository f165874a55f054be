/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		The cluster's launcher: which databases need a worker.
 *
 * A database wants a worker if a replication origin named freshet_<oid>
 * exists: origins are in a shared catalogue, create_sink() makes the one of
 * its database in the same transaction as the sink, and the worker drops it
 * with the last sink.
 *
 * While the server runs, "wanted" in the database's slot in shared memory
 * says the same.  It is set when a create_sink() commits, and once after the
 * server's start by the scout: a background worker that connects to some
 * database, for a process without one cannot open the catalogue of origins,
 * reads it, and ends.  The other databases are visited afterwards, one by one:
 * pg_upgrade takes no origins along, and one that has sinks gets its own again.
 *
 * The launcher itself is connected to no database and starts no transaction
 * after its first.  It sleeps until its latch is set: by a create_sink(), by
 * the postmaster when a worker has started or ended, by a command that had
 * stopped a worker.  A worker that died is started again after a second, so
 * that a fault which comes back at once does not keep a core busy.  And while
 * the change stream has consumers it looks every few seconds how much log
 * their slots keep.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "catalog/pg_replication_origin.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "replication/origin.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/names.h"
#include "base/process.h"
#include "base/shmem.h"
#include "base/wait_events.h"
#include "catalog/sink_catalog.h"
#include "launcher.h"

#define RESTART_DELAY_MS	1000

/* Given at preload, and so known to the launcher, which the postmaster forks. */
static LauncherChore chore = NULL;

/* Databases to which no scout has been sent yet, and the one that is on its way. */
static List *left_to_scout = NIL;
static BackgroundWorkerHandle *scout_handle = NULL;

void
launcher_register(LauncherChore given)
{
	BackgroundWorker worker;

	/* the servers that pg_upgrade runs are its own */
	if (IsBinaryUpgrade)
		return;

	chore = given;
	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "freshet", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "freshet_launcher_main", sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "freshet launcher", sizeof(worker.bgw_name));
	strlcpy(worker.bgw_type, "freshet launcher", sizeof(worker.bgw_type));
	RegisterBackgroundWorker(&worker);
}

/* OID in the name of an origin of ours, or InvalidOid. */
static Oid
origin_database(const char *name)
{
	const char *digits = name + strlen(FRESHET_OBJECT_PREFIX);
	char	   *end;
	unsigned long oid;

	if (strncmp(name, FRESHET_OBJECT_PREFIX, strlen(FRESHET_OBJECT_PREFIX)) != 0 ||
		*digits < '1' || *digits > '9')
		return InvalidOid;
	oid = strtoul(digits, &end, 10);
	return *end == '\0' && oid <= PG_UINT32_MAX ? (Oid) oid : InvalidOid;
}

/*
 * The scout: note the databases that want a worker.  An origin whose database
 * is gone (dropped while freshet was not loaded) is dropped here.
 */
static void
note_wanted_databases(void)
{
	Relation	rel = table_open(ReplicationOriginRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List	   *orphans = NIL;
	HeapTuple	tup;
	ListCell   *lc;

	while (HeapTupleIsValid(tup = systable_getnext(scan)))
	{
		Form_pg_replication_origin origin = (Form_pg_replication_origin) GETSTRUCT(tup);
		char	   *name = text_to_cstring(&origin->roname);
		Oid			dboid = origin_database(name);

		if (!OidIsValid(dboid))
			continue;
		if (!SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(dboid)))
			orphans = lappend(orphans, name);
		else if (!shmem_set_wanted(dboid))
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no freshet worker is left for database %u", dboid),
					 errhint("Raise freshet.max_workers.")));
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	foreach(lc, orphans)
		replorigin_drop_by_name(lfirst(lc), true, true);
}

/*
 * Origins do not come along when a cluster is upgraded by pg_upgrade: make that
 * of a database that has sinks.
 */
static void
ensure_origin_of_this_database(void)
{
	char		name[NAMEDATALEN];

	if (!OidIsValid(get_extension_oid("freshet", true)) || !sink_catalog_any())
		return;
	freshet_object_name(MyDatabaseId, name);
	if (replorigin_by_name(name, true) == InvalidRepOriginId)
		(void) replorigin_create(name);
	(void) shmem_set_wanted(MyDatabaseId);
}

void
freshet_scout_main(Datum main_arg)
{
	freshet_process = PROCESS_SCOUT;
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg), InvalidOid, 0);

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	note_wanted_databases();
	PopActiveSnapshot();
	CommitTransactionCommand();
	FreshetState->scouted = true;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	ensure_origin_of_this_database();
	PopActiveSnapshot();
	CommitTransactionCommand();
	shmem_wake_launcher();
}

void
launcher_init_worker(BackgroundWorker *worker, const char *function, const char *type, Oid dboid)
{
	memset(worker, 0, sizeof(*worker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker->bgw_library_name, "freshet", sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function, sizeof(worker->bgw_function_name));
	snprintf(worker->bgw_name, BGW_MAXLEN, "%s for database %u", type, dboid);
	strlcpy(worker->bgw_type, type, BGW_MAXLEN);
	worker->bgw_main_arg = ObjectIdGetDatum(dboid);
	worker->bgw_notify_pid = MyProcPid;
}

/* Databases that can be connected to, those that nobody drops first. */
static List *
databases_to_scout_from(void)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tup;
	List	   *result = NIL;
	MemoryContext context = CurrentMemoryContext;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tup = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tup);
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		if (database->datallowconn && database->datistemplate)
			result = lcons_oid(database->oid, result);
		else if (database->datallowconn)
			result = lappend_oid(result, database->oid);
		MemoryContextSwitchTo(oldcontext);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	return result;
}

/* Send a scout to the first of the databases, which is left to be done if it cannot go. */
static bool
send_scout(void)
{
	BackgroundWorker worker;

	launcher_init_worker(&worker, "freshet_scout_main", "freshet scout",
						 linitial_oid(left_to_scout));
	if (!RegisterDynamicBackgroundWorker(&worker, &scout_handle))
	{
		scout_handle = NULL;
		return false;
	}
	left_to_scout = list_delete_first(left_to_scout);
	return true;
}

/* Send scouts until one has come through. */
static void
scout(void)
{
	MemoryContextSwitchTo(TopMemoryContext);
	left_to_scout = databases_to_scout_from();
	while (left_to_scout != NIL)
	{
		FreshetState->scouted = false;
		if (!send_scout())
			break;
		if (WaitForBackgroundWorkerShutdown(scout_handle) == BGWH_POSTMASTER_DIED)
			proc_exit(1);
		if (FreshetState->scouted)
			return;
	}
	ereport(WARNING,
			(errmsg("freshet could not find out which databases have sinks"),
			 errhint("Raise max_worker_processes.")));
}

/*
 * Go on with the other databases, one at a time, beside all else.  The end of a
 * scout sets the latch.  Returns how long to sleep, in ms, or -1.
 */
static long
scout_on(void)
{
	pid_t		pid;

	if (scout_handle != NULL)
	{
		if (GetBackgroundWorkerPid(scout_handle, &pid) != BGWH_STOPPED)
			return -1;
		pfree(scout_handle);
		scout_handle = NULL;
	}
	return left_to_scout == NIL || send_scout() ? -1 : RESTART_DELAY_MS;
}

static void
start_worker(Oid dboid)
{
	BackgroundWorker worker;

	launcher_init_worker(&worker, "freshet_worker_main", "freshet worker", dboid);
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("could not start the freshet worker of database %u", dboid),
				 errhint("Raise max_worker_processes.")));
}

/*
 * Start what is missing; returns how long to sleep, in ms, -1 for until the
 * latch is set.
 */
static long
start_missing_workers(void)
{
	long		sleep = -1;

	for (int i = 0; i < FreshetState->nslots; i++)
	{
		WorkerSlot *slot = &FreshetState->slots[i];
		TimestampTz now = GetCurrentTimestamp();

		if (!OidIsValid(slot->dboid) || !slot->wanted || slot->stop ||
			(slot->pid != 0 && BackendPidGetProc(slot->pid) != NULL))
			continue;

		if (slot->restart_at > now)
		{
			long		left = TimestampDifferenceMilliseconds(now, slot->restart_at);

			sleep = sleep < 0 ? left : Min(sleep, left);
			continue;
		}
		slot->restart_at = TimestampTzPlusMilliseconds(now, RESTART_DELAY_MS);
		start_worker(slot->dboid);

		/* look again whether it came up: it may fail before it has a slot */
		sleep = sleep < 0 ? RESTART_DELAY_MS : Min(sleep, RESTART_DELAY_MS);
	}
	return sleep;
}

static void
launcher_exit(int code, Datum arg)
{
	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	FreshetState->launcher_latch = NULL;
	FreshetState->launcher_pid = 0;
	LWLockRelease(FreshetState->lock);
}

void
freshet_launcher_main(Datum main_arg)
{
	freshet_process = PROCESS_LAUNCHER;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);

	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	FreshetState->launcher_latch = MyLatch;
	FreshetState->launcher_pid = MyProcPid;
	LWLockRelease(FreshetState->lock);
	before_shmem_exit(launcher_exit, 0);
	scout();

	for (;;)
	{
		long		sleep;
		long		next_check;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}

		sleep = start_missing_workers();
		next_check = chore();
		if (next_check >= 0)
			sleep = sleep < 0 ? next_check : Min(sleep, next_check);
		next_check = scout_on();
		if (next_check >= 0)
			sleep = sleep < 0 ? next_check : Min(sleep, next_check);
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | (sleep >= 0 ? WL_TIMEOUT : 0),
						 sleep, freshet_wait_event(WAIT_LAUNCHER_MAIN));
	}
}
