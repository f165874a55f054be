/*-------------------------------------------------------------------------
 *
 * fill_watch.c
 *		Count the rows that a query reads which fills a sink.
 *
 * A query that groups a large table runs long before it yields its first row.
 * Meanwhile somebody wants to see how far it is, and a command on the database
 * may want the process gone, of which the executor knows nothing.  So the
 * query calls a function of ours for each row, freshet.fill_watch(sink) in its
 * WHERE, of which a support function tells the planner that it is always true.
 * It is the cheapest of the conditions, and so the first of them; and it is
 * volatile, so that it is neither folded nor moved out of the scan.  Whatever
 * node scans the source, it is called there: in parallel workers, too, whose
 * rows count like the leader's.
 *
 * Anybody may call it.  It does nothing in processes that do not fill sinks
 * nor help one that does.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/parallel.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/supportnodes.h"
#include "storage/proc.h"
#include "storage/spin.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#include "base/process.h"
#include "fill_watch.h"

PG_FUNCTION_INFO_V1(freshet_fill_watch);
PG_FUNCTION_INFO_V1(freshet_fill_watch_support);

/* Rows that are counted at a time. */
#define WATCH_ROWS	1024

Expr *
fill_watch_qual(Oid sink)
{
	Oid			argtypes[1] = {OIDOID};
	Oid			function = GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
										   CStringGetDatum("fill_watch"),
										   PointerGetDatum(buildoidvector(argtypes, 1)),
										   ObjectIdGetDatum(get_namespace_oid(FRESHET_SCHEMA,
																			  false)));
	Const	   *arg = makeConst(OIDOID, -1, InvalidOid, sizeof(Oid), ObjectIdGetDatum(sink),
								false, true);

	if (!OidIsValid(function))
		elog(ERROR, "function freshet.fill_watch does not exist");
	return (Expr *) makeFuncExpr(function, BOOLOID, list_make1(arg), InvalidOid, InvalidOid,
								 COERCE_EXPLICIT_CALL);
}

/* The slot of the worker or filler that this process is, or helps; or NULL. */
static WorkerSlot *
slot_filled_for(void)
{
	WorkerSlot *slot;
	PGPROC	   *leader;

	if (process_maintains())
		return MyWorkerSlot;
	if (!IsParallelWorker() || FreshetState == NULL)
		return NULL;
	slot = shmem_find_slot(MyDatabaseId);
	leader = MyProc->lockGroupLeader;
	if (slot == NULL || leader == NULL)
		return NULL;
	return leader->pid == slot->pid || leader->pid == slot->fill_pid ? slot : NULL;
}

static void
count_filling_rows(Oid sink, int rows)
{
	WorkerSlot *slot = slot_filled_for();
	SinkStats  *stats = slot ? shmem_sink_stats(slot, sink) : NULL;

	process_check_stop();
	if (stats == NULL)
		return;
	SpinLockAcquire(&slot->mutex);
	stats->rows_done += rows;
	SpinLockRelease(&slot->mutex);
}

Datum
freshet_fill_watch(PG_FUNCTION_ARGS)
{
	static uint32 rows = 0;

	process_step();
	if (unlikely(++rows % WATCH_ROWS == 0) && !PG_ARGISNULL(0))
		count_filling_rows(PG_GETARG_OID(0), WATCH_ROWS);
	PG_RETURN_BOOL(true);
}

Datum
freshet_fill_watch_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	if (!IsA(request, SupportRequestSelectivity))
		PG_RETURN_POINTER(NULL);
	((SupportRequestSelectivity *) request)->selectivity = 1.0;
	PG_RETURN_POINTER(request);
}
