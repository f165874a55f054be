/*-------------------------------------------------------------------------
 *
 * identities.c
 *		Setting back replica identities that no sink needs any more.
 *
 * freshet.source_identity says where freshet has set REPLICA IDENTITY FULL
 * (catalog/source_identity.c).  Whenever the list of sinks has been read anew the
 * worker looks whether each is still needed: whether some sink has a source there
 * whose old values the log would not have otherwise.  Their plans tell; of a sink
 * that has none, as it is paused, has failed, or something is locked, it is assumed.
 *
 * A table is set back in a transaction of its own, between two batches, when
 * nothing is locked: the worker asks for ACCESS EXCLUSIVE for LOCK_MS at the most,
 * since who wants to write the table waits behind it, and if it does not get it,
 * later again.  create_sink() holds a lock on its sources from before it looks at
 * their replica identity until its commit: so with this lock held, the catalogue has
 * all sinks that have found FULL, and whoever comes later finds the identity set
 * back.  The list of sinks that the last batch has left may lack one of them, which
 * that batch's snapshot did not see; then nothing is decided before the next one.
 *
 * A look at a thousand partitions takes a hundredth of a second or so: it is not
 * repeated whenever something is altered, but so that the batches have their time.
 *
 * The worker of a database whose last sink is gone stays until this is done.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "replication/origin.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/names.h"
#include "base/process.h"
#include "catalog/sink.h"
#include "catalog/sink_catalog.h"
#include "catalog/source_identity.h"
#include "compile/source_check.h"
#include "identities.h"

#define LOCK_MS			50
#define MIN_RETRY_MS	1000
#define MAX_RETRY_MS	60000

/* The reading of the list of sinks that was looked at, and how it ended. */
static uint64 looked_at = 0;
static bool some_left = true;
static TimestampTz retry_at = 0;
static int	retry_ms = 0;

/* A look takes one part in so many of the worker's time at the most. */
#define LOOK_SHARE		10
static TimestampTz not_before = 0;

bool
identities_left(void)
{
	return some_left || looked_at != sink_list_version();
}

TimestampTz
identities_retry_at(void)
{
	return retry_at;
}

/* Does the sink read this table, or a table that it is a partition of? */
static bool
reads(const Sink *sink, Oid relid)
{
	List	   *ancestors = get_rel_relispartition(relid) ? get_partition_ancestors(relid) : NIL;
	ListCell   *lc;

	foreach(lc, sink->sources)
	{
		if (lfirst_oid(lc) == relid || list_member_oid(ancestors, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* Lock a table of the catalogue, if it is there and the lock can be had. */
static bool
lock_catalog(const char *name, LOCKMODE lockmode)
{
	Oid			nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	Oid			relid = OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;

	/* whoever drops it keeps his lock until it is gone */
	return OidIsValid(relid) && process_try_lock_relation(relid, lockmode) &&
		get_relname_relid(name, nsp) == relid;
}

/* Does the list that the last batch has left have all sinks that there are? */
static bool
list_is_complete(void)
{
	bool		orphans;
	ListCell   *lc;
	ListCell   *lc2;

	if (!lock_catalog("sink", AccessShareLock) || !lock_catalog("sink_state", AccessShareLock))
		return false;
	foreach(lc, sink_catalog_read_all(NULL, CurrentMemoryContext, &orphans))
	{
		bool		found = false;

		foreach(lc2, sink_list_last())
			found |= ((Sink *) lfirst(lc2))->relid == ((Sink *) lfirst(lc))->relid;
		if (!found)
			return false;
	}
	return true;
}

/* By that list; *unsure: a plan that is to come may tell otherwise. */
static bool
is_needed(const SourceIdentity *identity, bool *unsure)
{
	ListCell   *lc;

	foreach(lc, sink_list_last())
	{
		Sink	   *sink = lfirst(lc);

		if (sink->planned ? source_needs_more(sink->plan, identity->relid, identity->identity,
											  identity->index) : reads(sink, identity->relid))
		{
			*unsure |= !sink->planned && !sink->paused && sink->state != SINK_FAILED;
			return true;
		}
	}
	return false;
}

/* Look at all, in a transaction, and put those aside that seem to be needed no more. */
static List *
find_unneeded(MemoryContext context, int *left, bool *unsure)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	List	   *unneeded = NIL;
	List	   *identities = NIL;
	bool		blind = !lock_catalog("source_identity", AccessShareLock);
	ListCell   *lc;

	if (!blind)
		identities = source_identity_list();
	if (identities != NIL)
		blind = sink_list_changed() || !list_is_complete();
	*left = 0;
	*unsure = blind;
	foreach(lc, identities)
	{
		SourceIdentity *identity = lfirst(lc);

		if (blind || !process_try_lock_relation(identity->relid, AccessShareLock))
		{
			*unsure = true;
			(*left)++;
			continue;
		}
		if (source_identity_is_full(identity->relid) && is_needed(identity, unsure))
			(*left)++;
		else
			unneeded = lappend(unneeded, identity);
		UnlockRelationOid(identity->relid, AccessShareLock);
	}
	MemoryContextSwitchTo(oldcontext);
	return unneeded;
}

static void
set_back(const SourceIdentity *identity)
{
	char	   *name = names_relation(identity->relid);
	char	   *why = NULL;

	if (source_identity_set_back(identity, &why))
		ereport(LOG, (errmsg("replica identity of table %s was set back", name),
					  errdetail("No sink needs the old values of changed rows any more.")));
	else
		ereport(LOG, (errmsg("replica identity of table %s stays FULL", name),
					  errdetail("%s", why)));
}

/* One of those, in a transaction; false if it is to be looked at again. */
static bool
settle_one(const SourceIdentity *identity)
{
	bool		unsure = false;

	if (!process_lock_briefly(identity->relid, AccessExclusiveLock, LOCK_MS) ||
		!lock_catalog("source_identity", RowExclusiveLock))
		return false;
	if (source_identity_is_full(identity->relid))
	{
		if (!list_is_complete() || is_needed(identity, &unsure))
			return false;
		set_back(identity);
	}
	source_identity_forget(identity->relid);
	return true;
}

static void
begin_transaction(void)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetLatestSnapshot());
}

static void
commit_transaction(void)
{
	PopActiveSnapshot();
	replorigin_session_origin_timestamp = GetCurrentTimestamp();
	CommitTransactionCommand();
}

/* Look at all, and set back what can be. */
static void
look(bool *unsure)
{
	MemoryContext context = CurrentMemoryContext;
	TimestampTz started = GetCurrentTimestamp();
	List	   *unneeded;
	ListCell   *lc;
	int			left;

	begin_transaction();
	unneeded = find_unneeded(context, &left, unsure);
	commit_transaction();
	not_before = GetCurrentTimestamp() + LOOK_SHARE * (GetCurrentTimestamp() - started);
	foreach(lc, unneeded)
	{
		begin_transaction();
		if (!settle_one(lfirst(lc)))
		{
			*unsure = true;
			left++;
		}
		commit_transaction();
	}
	MemoryContextSwitchTo(context);
	some_left = left > 0 || *unsure;
}

bool
identities_settle(void)
{
	bool		unsure;

	if (looked_at == sink_list_version() &&
		(retry_at == 0 || GetCurrentTimestamp() < retry_at))
		return false;
	if (GetCurrentTimestamp() < not_before)
	{
		retry_at = not_before;
		return false;
	}
	looked_at = sink_list_version();
	look(&unsure);
	retry_ms = !unsure ? 0 : retry_ms == 0 ? MIN_RETRY_MS : Min(retry_ms * 2, MAX_RETRY_MS);
	retry_at = !unsure ? 0 : TimestampTzPlusMilliseconds(GetCurrentTimestamp(), retry_ms);
	return (!some_left && sink_list_last() == NIL) || (some_left && sink_list_changed());
}

bool
identities_noted(void)
{
	return source_identity_list() != NIL;
}
