/*-------------------------------------------------------------------------
 *
 * wait_events.c
 *		What pg_stat_activity says that processes wait for.
 *
 * Servers from version 17 on let an extension name its wait events; the others
 * say "Extension" of all of them.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "utils/wait_event.h"

#include "wait_events.h"

#if PG_VERSION_NUM >= 170000

static const char *const names[] = {
	[WAIT_LAUNCHER_MAIN] = "FreshetLauncherMain",
	[WAIT_WORKER_MAIN] = "FreshetWorkerMain",
	[WAIT_FILLER_START] = "FreshetFillerStart",
	[WAIT_SNAPSHOT_EXCHANGE] = "FreshetSnapshotExchange",
	[WAIT_SINKS_FRESH] = "FreshetSinksFresh",
	[WAIT_WORKER_LEAVE] = "FreshetWorkerLeave",
};

/* The number of a name is the server's; here as long as the process. */
uint32
freshet_wait_event(FreshetWait wait)
{
	static uint32 events[lengthof(names)];

	if (events[wait] == 0)
		events[wait] = WaitEventExtensionNew(names[wait]);
	return events[wait];
}

#else

uint32
freshet_wait_event(FreshetWait wait)
{
	return PG_WAIT_EXTENSION;
}

#endif
