/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Settings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <float.h>
#include <limits.h>

#include "utils/guc.h"

#include "guc.h"

int			freshet_batch_interval = 5;
int			freshet_max_batch_size = 256;
int			freshet_work_mem = 65536;
int			freshet_max_wal_lag = 10240;
int			freshet_max_workers = 8;
int			freshet_fill_threshold = 64;
int			freshet_max_fill_backlog = 10240;
int			freshet_sink_timeout = 60000;
int			freshet_lock_patience = 5000;
double		freshet_refresh_cost_limit = 100000;
bool		freshet_check_stream_privileges = true;
bool		freshet_debug_flush_caches = false;

void
guc_define(void)
{
	DefineCustomIntVariable("freshet.batch_interval",
							"Least time between the starts of two batches.",
							"A commit that comes later is applied at once.",
							&freshet_batch_interval,
							5, 0, 60000,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.max_batch_size",
							"Most write-ahead log that one batch reads.",
							"A worker that is farther behind catches up in slices of this size.",
							&freshet_max_batch_size,
							256, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.work_mem",
							"Memory for changes and groups of one batch.",
							"What is beyond it goes to temporary files.",
							&freshet_work_mem,
							65536, 64, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.max_wal_lag",
							"Write-ahead log that the worker's slot may hold back.",
							"Beyond it the worker gives up its slot and rebuilds all sinks; the "
							"slots of consumers are warned of. -1 means no limit.",
							&freshet_max_wal_lag,
							10240, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.fill_threshold",
							"Size of a source from which a new sink is filled by a second worker.",
							"Smaller sources are read by the worker itself, within a batch.",
							&freshet_fill_threshold,
							64, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.max_fill_backlog",
							"Changes that may be kept while a second worker fills a sink.",
							"Beyond it the sink fails. -1 means no limit.",
							&freshet_max_fill_backlog,
							10240, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MB,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.sink_timeout",
							"Time that the maintenance of a sink may take for a single row.",
							"A sink whose function does not come back fails, and the others go "
							"on. 0 means no limit.",
							&freshet_sink_timeout,
							60000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.lock_patience",
							"Time that all sinks wait for a lock that one of them needs.",
							"Then the others go on, and it follows when the lock is to be had. "
							"-1 means no limit.",
							&freshet_lock_patience,
							5000, -1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("freshet.debug_flush_caches",
							 "Flush the worker's catalogue caches at every record of the log.",
							 "For tests: what relies on an entry of a cache is found out.",
							 &freshet_debug_flush_caches,
							 false,
							 PGC_SIGHUP, GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							 NULL, NULL, NULL);

	/* raising it is at the cost of all other sinks */
	DefineCustomRealVariable("freshet.refresh_cost_limit",
							 "Estimated cost of a query that may be run at each change.",
							 "A query that is neither cheaper nor of a kind to which single "
							 "changes can be applied makes no sink.",
							 &freshet_refresh_cost_limit,
							 100000, 0, DBL_MAX,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	/* not for those who are checked */
	DefineCustomBoolVariable("freshet.check_stream_privileges",
							 "Must consumers of the change stream be allowed to SELECT?",
							 "If not, whoever has REPLICATION reads the changes of all tables.",
							 &freshet_check_stream_privileges,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("freshet.max_workers",
							"Most databases of this server that have sinks.",
							NULL,
							&freshet_max_workers,
							8, 1, 1024,
							PGC_POSTMASTER, 0,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("freshet");
}
