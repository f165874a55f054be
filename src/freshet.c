/*-------------------------------------------------------------------------
 *
 * freshet.c
 *		Loading of the library: settings, shared memory, hooks, launcher.
 *
 * The library does its work only when it is loaded by
 * shared_preload_libraries.  Loaded later (CREATE EXTENSION on a server that
 * is not set up), it defines the SQL functions alone, and those that need the
 * worker say which line of postgresql.conf is missing.
 *
 * What a writer pays: at the end of a transaction that wrote, one comparison,
 * one atomic operation and, if the worker of the database sleeps, one latch.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/guc.h"
#include "base/shmem.h"
#include "engine/database_ddl.h"
#include "engine/launcher.h"

PG_MODULE_MAGIC;

bool		freshet_is_worker = false;

/* End of the newest commit of this backend that has been announced. */
static XLogRecPtr announced_commit = InvalidXLogRecPtr;

/* Set when the launcher has to look for databases after the commit. */
static bool wake_launcher = false;

/* Nobody would tell it at COMMIT PREPARED. */
static bool refuse_prepare = false;

void		_PG_init(void);

/*
 * Wake the worker after a transaction that wrote something.
 *
 * Runs when the transaction has left the proc array, so the worker's next
 * snapshot sees it.  XactLastCommitEnd moves for every transaction that wrote
 * log, COMMIT PREPARED included (which has no transaction id of its own).
 */
static void
announce_commit(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_PRE_PREPARE && refuse_prepare)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has created the first sink of a "
						"database"),
				 errhint("Create the sink in a transaction of its own.")));

	if (event == XACT_EVENT_COMMIT && wake_launcher)
	{
		if (!shmem_set_wanted(MyDatabaseId))
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("no freshet worker is left for this database"),
					 errhint("Raise freshet.max_workers.")));
		shmem_wake_launcher();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		wake_launcher = refuse_prepare = false;

	if (event != XACT_EVENT_COMMIT || freshet_is_worker ||
		XactLastCommitEnd == announced_commit)
		return;

	announced_commit = XactLastCommitEnd;
	shmem_wake_worker(MyDatabaseId);
}

void
freshet_wake_launcher_at_commit(bool first)
{
	wake_launcher = true;
	refuse_prepare |= first;
}

void
freshet_object_name(Oid dboid, char *buf)
{
	snprintf(buf, NAMEDATALEN, "%s%u", FRESHET_OBJECT_PREFIX, dboid);
}

Oid
freshet_catalog_relid(const char *name)
{
	Oid			nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	Oid			relid = OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"freshet\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION freshet.")));
	return relid;
}

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	guc_define();
	shmem_install_hooks();
	database_ddl_install_hook();
	RegisterXactCallback(announce_commit, NULL);
	launcher_register();
}
