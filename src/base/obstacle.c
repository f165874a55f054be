/*-------------------------------------------------------------------------
 *
 * obstacle.c
 *		Locks that those who maintain sinks could not have.
 *
 * They do not wait for a lock but try again (process.c), so that neither pg_locks
 * nor pg_blocking_pids() knows of it.  Therefore what could not be had is noted in
 * shared memory, where the views find it, with the time since when it is so; and
 * after some seconds the server's log says it, once.
 *
 * An obstacle stays over the tries.  That of the worker is gone with a batch
 * that commits without having met it; that of the filler, when it has all that it
 * needs, or when it has not been met for a while, since the filler may not
 * come back.
 *
 * Who is in the way is looked up when it is asked for.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "obstacle.h"

#define LOG_AFTER_MS		5000
#define LOG_AGAIN_MS		600000
#define FILLER_FORGETS_MS	10000
#define SAME_TRY_MS			1000

static bool
is_there(const Obstacle *obstacle, TimestampTz now)
{
	return OidIsValid(obstacle->relid) &&
		(!obstacle->of_filler ||
		 !TimestampDifferenceExceeds(obstacle->seen, now, FILLER_FORGETS_MS));
}

/*
 * The entry, made if there is none, or NULL if there are too many.  Under the
 * slot's spinlock.
 */
static Obstacle *
get_entry(WorkerSlot *slot, bool filler, Oid relid, TimestampTz now)
{
	Obstacle   *unused = NULL;

	for (int i = 0; i < FRESHET_MAX_OBSTACLES; i++)
	{
		Obstacle   *entry = &slot->obstacles[i];

		if (!is_there(entry, now))
			unused = entry;
		else if (entry->relid == relid && entry->of_filler == filler)
			return entry;
	}
	if (unused == NULL)
		return NULL;
	unused->relid = relid;
	unused->pid = MyProcPid;
	unused->of_filler = filler;
	unused->since = now;
	unused->logged_at = 0;
	return unused;
}

static char *
describe_processes(const Obstacle *obstacle)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, obstacle_processes(obstacle))
	{
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		if (lfirst_int(lc) == 0)
			appendStringInfoString(&buf, "a prepared transaction");
		else
			appendStringInfo(&buf, "process %d", lfirst_int(lc));
	}
	return buf.data;
}

static void
log_obstacle(const Obstacle *obstacle, TimestampTz now)
{
	char	   *name = get_rel_name(obstacle->relid);
	char	   *processes = describe_processes(obstacle);

	ereport(LOG,
			(errmsg("%s has been waiting for a lock on \"%s\" for %ld s",
					obstacle->of_filler ? "the fill of a sink" : "the maintenance of sinks",
					name ? name : psprintf("%u", obstacle->relid),
					TimestampDifferenceMilliseconds(obstacle->since, now) / 1000),
			 processes[0] == '\0' ? 0 :
			 errdetail("In the way: %s.", processes),
			 errhint("The view freshet.worker shows it while it is so.")));
}

TimestampTz
obstacle_note(WorkerSlot *slot, bool filler, Oid relid, LOCKMODE mode)
{
	TimestampTz now = GetCurrentTimestamp();
	Obstacle   *entry;
	Obstacle	copy = {.since = now};
	bool		tell = false;

	SpinLockAcquire(&slot->mutex);
	entry = get_entry(slot, filler, relid, now);
	if (entry != NULL)
	{
		entry->mode = mode;
		entry->seen = now;
		tell = now - entry->since >= LOG_AFTER_MS * INT64CONST(1000) &&
			(entry->logged_at == 0 ||
			 now - entry->logged_at >= LOG_AGAIN_MS * INT64CONST(1000));
		if (tell)
			entry->logged_at = now;
		copy = *entry;
	}
	SpinLockRelease(&slot->mutex);
	if (tell)
		log_obstacle(&copy, now);
	return copy.since;
}

void
obstacle_clear(WorkerSlot *slot, bool filler, TimestampTz since)
{
	SpinLockAcquire(&slot->mutex);
	for (int i = 0; i < FRESHET_MAX_OBSTACLES; i++)
	{
		Obstacle   *entry = &slot->obstacles[i];

		if (entry->of_filler == filler && entry->seen < since)
			entry->relid = InvalidOid;
	}
	SpinLockRelease(&slot->mutex);
}

bool
obstacle_oldest(WorkerSlot *slot, Obstacle *obstacle)
{
	TimestampTz now = GetCurrentTimestamp();
	Obstacle	copy[FRESHET_MAX_OBSTACLES];
	TimestampTz newest = 0;

	SpinLockAcquire(&slot->mutex);
	memcpy(copy, slot->obstacles, sizeof(copy));
	SpinLockRelease(&slot->mutex);

	obstacle->relid = InvalidOid;
	for (int i = 0; i < FRESHET_MAX_OBSTACLES; i++)
	{
		if (is_there(&copy[i], now))
			newest = Max(newest, copy[i].seen);
	}
	for (int i = 0; i < FRESHET_MAX_OBSTACLES; i++)
	{
		/* what was not met by the newest try has made way for another */
		if (is_there(&copy[i], now) &&
			!TimestampDifferenceExceeds(copy[i].seen, newest, SAME_TRY_MS) &&
			(!OidIsValid(obstacle->relid) || copy[i].since < obstacle->since))
			*obstacle = copy[i];
	}
	return OidIsValid(obstacle->relid);
}

/* Would what it holds, or waits for, keep the obstacle's lock from being granted? */
static bool
is_in_the_way(const LockInstanceData *lock, const Obstacle *obstacle)
{
	LOCKMODE	mode;

	if (lock->locktag.locktag_type != LOCKTAG_RELATION ||
		lock->locktag.locktag_field1 != MyDatabaseId ||
		lock->locktag.locktag_field2 != obstacle->relid ||
		lock->leaderPid == obstacle->pid)
		return false;
	for (mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (((lock->holdMask & LOCKBIT_ON(mode)) != 0 || lock->waitLockMode == mode) &&
			DoLockModesConflict(mode, obstacle->mode))
			return true;
	}
	return false;
}

List *
obstacle_processes(const Obstacle *obstacle)
{
	LockData   *data = GetLockStatusData();
	List	   *pids = NIL;

	for (int i = 0; i < data->nelements; i++)
	{
		if (is_in_the_way(&data->locks[i], obstacle))
			pids = list_append_unique_int(pids, data->locks[i].leaderPid);
	}
	return pids;
}
