/*-------------------------------------------------------------------------
 *
 * process.c
 *		Which process this is, and what those that maintain sinks share.
 *
 * The worker of a database and its filler run the same code: that of the rooms
 * below the engine, which asks nothing of them but what is here.  The same code
 * runs in sessions that verify a sink, where an error is just an error.
 *
 * Locks on relations: who maintains never waits for one while it holds another.
 * A user's transaction may want several of them too (TRUNCATE a, b; a
 * migration), in another order, and if both waited for each other it could be
 * the user's that PostgreSQL's deadlock check ends.  So every relation that a
 * batch is about to read or write is locked here, without waiting, before
 * PostgreSQL's own code gets to lock it again, which then succeeds at once; if a
 * lock is not to be had all are let go, and the batch is tried again a little
 * later.  A request that queues behind ours makes the next batch's conditional
 * one fail, so that batches do not starve it.
 *
 * What is waited for all the same, by lock_timeout at the most, are locks that
 * are held for moments (extending a relation), and those on rows that somebody
 * has locked in a sink.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "obstacle.h"
#include "process.h"
#include "subtransaction.h"

FreshetProcess freshet_process = PROCESS_OTHER;
WorkerSlot *MyWorkerSlot = NULL;
pid_t		process_worker_pid = 0;
volatile uint64 process_steps = 0;
volatile bool process_fill_unwanted = false;

/* Set before an error that is nobody's fault. */
static bool retrying = false;
static LockFailure lock_failure = {InvalidOid};

void
process_check_stop(void)
{
	if (process_maintains() && (MyWorkerSlot->stop || MyWorkerSlot->pid != process_worker_pid))
		proc_exit(0);
	if (process_fill_unwanted)
		process_retry(ERRCODE_QUERY_CANCELED, "the fill of a sink is not wanted any more");
}

bool
process_try_lock_relation(Oid relid, LOCKMODE lockmode)
{
	if (process_maintains())
		return ConditionalLockRelationOid(relid, lockmode);
	LockRelationOid(relid, lockmode);
	return true;
}

TimestampTz
process_note_obstacle(Oid relid, LOCKMODE lockmode)
{
	return obstacle_note(MyWorkerSlot, freshet_process == PROCESS_FILLER, relid, lockmode);
}

bool
process_take_lock_failure(LockFailure *failure)
{
	*failure = lock_failure;
	lock_failure.relid = InvalidOid;
	return OidIsValid(failure->relid);
}

void
process_lock_relation(Oid relid, LOCKMODE lockmode)
{
	char	   *name;

	if (process_try_lock_relation(relid, lockmode))
		return;
	lock_failure.relid = relid;
	lock_failure.mode = lockmode;
	lock_failure.since = process_note_obstacle(relid, lockmode);
	name = get_rel_name(relid);
	process_retry(ERRCODE_LOCK_NOT_AVAILABLE,
				  psprintf("somebody else has locked \"%s\", or is about to",
						   name ? name : psprintf("%u", relid)));
}

/* The lock that somebody does not wait for long for. */
typedef struct BriefLock
{
	Oid			relid;
	LOCKMODE	lockmode;
	int			ms;
} BriefLock;

static bool
lock_briefly(void *arg)
{
	const BriefLock *lock = arg;
	int			level = NewGUCNestLevel();

	(void) set_config_option("lock_timeout", psprintf("%d", lock->ms), PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	LockRelationOid(lock->relid, lock->lockmode);
	AtEOXact_GUC(true, level);
	return true;
}

bool
process_lock_briefly(Oid relid, LOCKMODE lockmode, int ms)
{
	BriefLock	lock = {relid, lockmode, ms};
	ErrorData  *error = subtransaction_try(lock_briefly, &lock);

	if (error != NULL && error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(error);
	return error == NULL;
}

/*
 * PostgreSQL's own find_all_inheritors() fails if a partition that it has just
 * found is dropped, as it may be when nothing is locked.
 */
List *
process_tree_of(Oid relid)
{
	List	   *relids = list_make1_oid(relid);
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			relids = list_concat(relids, find_inheritance_children(lfirst_oid(lc), NoLock));
	}
	return relids;
}

void
process_unlock_all(List *relids, LOCKMODE lockmode)
{
	ListCell   *lc;

	foreach(lc, relids)
		UnlockRelationOid(lfirst_oid(lc), lockmode);
}

Oid
process_lock_all(List *relids, LOCKMODE lockmode)
{
	List	   *locked = NIL;
	Oid			obstacle = InvalidOid;
	ListCell   *lc;

	foreach(lc, relids)
	{
		if (!ConditionalLockRelationOid(lfirst_oid(lc), lockmode))
		{
			obstacle = lfirst_oid(lc);
			process_unlock_all(locked, lockmode);
			break;
		}
		locked = lappend_oid(locked, lfirst_oid(lc));
	}
	list_free(locked);
	return obstacle;
}

bool
process_try_lock_tree(Oid relid, LOCKMODE lockmode)
{
	ListCell   *lc;

	foreach(lc, process_tree_of(relid))
	{
		if (!process_try_lock_relation(lfirst_oid(lc), lockmode))
			return false;
	}
	return true;
}

void
process_lock_tree(Oid relid, LOCKMODE lockmode)
{
	ListCell   *lc;

	foreach(lc, process_tree_of(relid))
		process_lock_relation(lfirst_oid(lc), lockmode);
}

/* Nothing else takes a lock on a relation as an object. */
void
process_lock_fill(Oid sink)
{
	LOCKTAG		tag;

	SET_LOCKTAG_OBJECT(tag, MyDatabaseId, RelationRelationId, sink, 0);
	if (LockAcquire(&tag, ExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL)
		process_retry(ERRCODE_LOCK_NOT_AVAILABLE, "another process still fills the sink");
}

void
process_retry(int sqlerrcode, const char *message)
{
	retrying = process_maintains();
	ereport(ERROR, (errcode(sqlerrcode), errmsg("%s", message)));
}

bool
process_take_retry(void)
{
	bool		result = retrying;

	retrying = false;
	return result;
}

bool
process_error_is_lasting(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:	/* deadlock, serialization */
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
			return false;
		default:
			return sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE;
	}
}

/* Whatever the database or its administrator sets for sessions in general. */
void
process_set_session(void)
{
	static const char *const settings[][2] = {
		/* ALTER DATABASE ... SET role is for those who log in */
		{"role", "none"},
		/* maintenance runs short queries: compiling them would take longer */
		{"jit", "off"},
		{"search_path", "pg_catalog, pg_temp"},
		/* sinks' triggers fire as on a subscriber: if enabled for replicas */
		{"session_replication_role", "replica"},
		/* a lost commit is decoded again */
		{"synchronous_commit", "off"},
		{"statement_timeout", "0"},
		/* see the head of this file */
		{"lock_timeout", "100ms"},
		{"max_parallel_workers_per_gather", "0"},
		{"default_transaction_read_only", "off"},
		{"transaction_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
	};

	for (int i = 0; i < lengthof(settings); i++)
	{
		if (GetConfigOption(settings[i][0], true, false) != NULL)
			SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET, PGC_S_SESSION);
	}
}

void
process_refuse_policies(void)
{
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

void
process_allow_parallel_query(void)
{
	const char *workers = GetConfigOptionResetString("max_parallel_workers_per_gather");

	(void) set_config_option("max_parallel_workers_per_gather", workers, PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	/* a leader that only waits would not look at process_check_stop() */
	(void) set_config_option("parallel_leader_participation", "on", PGC_USERSET,
							 PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}
