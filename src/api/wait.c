/*-------------------------------------------------------------------------
 *
 * wait.c
 *		freshet.wait(): until what was committed before the call is in the
 *		sinks.
 *
 * A waiter draws a ticket from the worker's slot and wakes the worker.  The
 * worker notes the newest ticket before it takes the snapshot of a batch, so
 * all that was committed when the ticket was drawn is in that snapshot; with
 * the commit of a batch that reached its snapshot it serves all tickets up to
 * the one noted, and signals the slot's condition variable.
 *
 * The caller's own transaction, if it has written, is not committed and is
 * not waited for; if it has made a sink, that is an error.  A caller at
 * REPEATABLE READ waits for what it cannot see before its next transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "api.h"
#include "base/process.h"
#include "base/wait_events.h"
#include "catalog/sink_catalog.h"

/* How long to sleep before looking again at what nobody announces. */
#define LOOK_AGAIN_MS	1000
#define POLL_MS			50

PG_FUNCTION_INFO_V1(freshet_wait);
PG_FUNCTION_INFO_V1(freshet_wait_sink);
PG_FUNCTION_INFO_V1(freshet_wait_text);

TimestampTz
api_deadline(const Interval *timeout)
{
	Datum		now = TimestampTzGetDatum(GetCurrentTimestamp());

	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval, now,
												   IntervalPGetDatum(timeout)));
}

void
api_timeout_error(const char *what, WorkerSlot *slot)
{
	char		error[FRESHET_ERROR_LEN] = "";
	const char *state = api_describe_worker(slot);

	if (slot != NULL && has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS))
	{
		SpinLockAcquire(&slot->mutex);
		if (slot->last_error_at >= slot->applied_at)
			memcpy(error, slot->last_error, sizeof(error));
		SpinLockRelease(&slot->mutex);
	}

	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("timeout while waiting for %s", what),
			 error[0] ? errdetail("%s Its last error was: %s", state, error) :
			 errdetail("%s", state),
			 errhint("The views freshet.worker and freshet.status, and the server's log, tell "
					 "more.")));
}

static long
remaining_ms(TimestampTz deadline, long most)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	return Min(left, most);
}

/*
 * A ticket of this slot that is not served yet, or 0 if the one in *ticket
 * is.  The slot may have been given up and set up anew since it was drawn.
 */
static uint64
check_ticket(WorkerSlot *slot, uint64 ticket, XLogRecPtr *lsn)
{
	bool		draw;

	SpinLockAcquire(&slot->mutex);
	draw = ticket == 0 || slot->wait_requested < ticket;
	if (draw)
		ticket = ++slot->wait_requested;
	else if (slot->wait_served >= ticket)
	{
		ticket = 0;
		*lsn = slot->applied_lsn;
	}
	SpinLockRelease(&slot->mutex);
	return ticket;
}

/* Until the worker has served a ticket, or has nothing to do any more. */
static XLogRecPtr
wait_for_worker(TimestampTz deadline)
{
	WorkerSlot *slot = NULL;
	WorkerSlot *prepared = NULL;
	uint64		ticket = 0;
	XLogRecPtr	lsn = InvalidXLogRecPtr;

	for (;;)
	{
		long		left;

		CHECK_FOR_INTERRUPTS();

		slot = shmem_find_slot(MyDatabaseId);
		if (slot != prepared)
		{
			ConditionVariableCancelSleep();
			prepared = slot;
			ticket = 0;
			if (slot != NULL)
				ConditionVariablePrepareToSleep(&slot->cv);
		}
		if (slot != NULL)
		{
			ticket = check_ticket(slot, ticket, &lsn);
			if (ticket == 0)
				break;
			shmem_wake_worker(MyDatabaseId);
		}

		left = remaining_ms(deadline, slot ? LOOK_AGAIN_MS : POLL_MS);
		if (left <= 0)
			api_timeout_error("the sinks to be fresh", slot);

		if (slot == NULL)
		{
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
							 freshet_wait_event(WAIT_SINKS_FRESH));
			ResetLatch(MyLatch);
		}
		else if (!ConditionVariableTimedSleep(&slot->cv, left, freshet_wait_event(WAIT_SINKS_FRESH)))
			continue;

		/* the last sink may have been dropped, and the worker gone with it */
		if (!sink_catalog_any())
		{
			lsn = GetXLogInsertRecPtr();
			break;
		}
	}

	ConditionVariableCancelSleep();
	return lsn;
}

static void
check_may_wait(void)
{
	shmem_require_setup();
	if (process_maintains())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot execute %s within a worker of freshet", "freshet.wait()")));
	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot execute %s during recovery", "freshet.wait()")));
}

static void
refuse_own(Oid relid)
{
	if (!OidIsValid(relid))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("sink \"%s\" was made or altered in this transaction", get_rel_name(relid)),
			 errdetail("The worker sees that when the transaction has been committed."),
			 errhint("Commit it first, and wait in the next one.")));
}

/* wait(timeout interval) */
Datum
freshet_wait(PG_FUNCTION_ARGS)
{
	TimestampTz deadline;

	check_may_wait();
	deadline = api_deadline(PG_GETARG_INTERVAL_P(0));
	if (!sink_catalog_any())
		PG_RETURN_LSN(GetXLogInsertRecPtr());
	refuse_own(sink_catalog_made_here());
	PG_RETURN_LSN(wait_for_worker(deadline));
}

/* True if the sink is live; an error if waiting is in vain. */
static bool
sink_is_live(Oid relid)
{
	Sink	   *sink = sink_get(relid);
	char	   *name = get_rel_name(relid);

	if (sink->paused)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sink \"%s\" is paused", name),
				 errhint("Run freshet.resume_sink() first.")));
	if (sink->built_generation != sink->generation)
		return false;
	if (sink->state == SINK_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("sink \"%s\" has failed", name),
				 sink->error && api_may_see_errors(relid) ? errdetail("%s", sink->error) : 0,
				 errhint("Mend the cause, then run freshet.rebuild_sink().")));
	return sink->state == SINK_LIVE;
}

/* wait(sink regclass, timeout interval) */
Datum
freshet_wait_sink(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	TimestampTz deadline;

	check_may_wait();
	deadline = api_deadline(PG_GETARG_INTERVAL_P(1));
	if (!sink_get(relid)->paused && sink_catalog_written_here(relid))
		refuse_own(relid);
	for (;;)
	{
		WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
		long		left;

		CHECK_FOR_INTERRUPTS();

		/* from here on no batch ends unnoticed */
		if (slot != NULL)
			ConditionVariablePrepareToSleep(&slot->cv);

		/* served while live: the batch that served it was the sink's too */
		if (sink_is_live(relid))
		{
			XLogRecPtr	lsn;

			ConditionVariableCancelSleep();
			lsn = wait_for_worker(deadline);
			if (sink_is_live(relid))
				PG_RETURN_LSN(lsn);
			continue;
		}

		left = remaining_ms(deadline, slot ? LOOK_AGAIN_MS : POLL_MS);
		if (left <= 0)
			api_timeout_error("the sink to be live", slot);
		if (slot != NULL)
		{
			(void) ConditionVariableTimedSleep(&slot->cv, left, freshet_wait_event(WAIT_SINKS_FRESH));
			ConditionVariableCancelSleep();
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 freshet_wait_event(WAIT_SINKS_FRESH));
		ResetLatch(MyLatch);
	}
}

/* The relation of this name, or InvalidOid, also if it cannot be a name. */
static Oid
find_relation(const char *text)
{
	List	   *names;

	if (!SplitIdentifierString(pstrdup(text), '.', &names) ||
		list_length(names) < 1 || list_length(names) > 2)
		return InvalidOid;
	/* its elements are char *, not String nodes */
	return RangeVarGetRelid(makeRangeVar(list_length(names) == 2 ? linitial(names) : NULL,
										 llast(names), -1), NoLock, true);
}

static bool
is_interval(char *text)
{
	char		buffer[MAXDATELEN * 2];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nfields;
	int			dtype;
	struct pg_itm_in itm;

	return ParseDateTime(text, buffer, sizeof(buffer), field, ftype, MAXDATEFIELDS,
						 &nfields) == 0 &&
		(DecodeInterval(field, ftype, nfields, INTERVAL_FULL_RANGE, &dtype, &itm) == 0 ||
		 DecodeISO8601Interval(text, &dtype, &itm) == 0);
}

/* wait(sink_or_timeout text) */
Datum
freshet_wait_text(PG_FUNCTION_ARGS)
{
	char	   *given = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Oid			relid = find_relation(given);
	Datum		timeout;

	if (!OidIsValid(relid) && is_interval(given))
	{
		timeout = DirectFunctionCall3(interval_in, CStringGetDatum(given),
									  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
		return DirectFunctionCall1(freshet_wait, timeout);
	}

	/* which raises the error if there is none */
	if (!OidIsValid(relid))
		relid = DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(given)));
	timeout = DirectFunctionCall3(interval_in, CStringGetDatum("1 minute"),
								  ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
	return DirectFunctionCall2(freshet_wait_sink, ObjectIdGetDatum(relid), timeout);
}
