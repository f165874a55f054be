/*-------------------------------------------------------------------------
 *
 * announce.c
 *		What a commit does for freshet.
 *
 * All that a writer pays: at the end of a transaction that wrote, one
 * comparison, one atomic operation and, if the worker of the database sleeps,
 * one latch.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"

#include "announce.h"
#include "process.h"
#include "shmem.h"

/* End of the newest commit of this backend that has been announced. */
static XLogRecPtr announced_commit = InvalidXLogRecPtr;

/* Set when the launcher has to look for databases after the commit. */
static bool wake_launcher = false;

/* Nobody would tell it at COMMIT PREPARED. */
static bool refuse_prepare = false;

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

	if (event != XACT_EVENT_COMMIT || process_maintains() ||
		XactLastCommitEnd == announced_commit)
		return;

	announced_commit = XactLastCommitEnd;
	shmem_wake_worker(MyDatabaseId);
}

void
announce_to_launcher_at_commit(bool first)
{
	wake_launcher = true;
	refuse_prepare |= first;
}

void
announce_install_hook(void)
{
	RegisterXactCallback(announce_commit, NULL);
}
