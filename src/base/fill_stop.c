/*-------------------------------------------------------------------------
 *
 * fill_stop.c
 *		How a session ends the fill of a sink that it pauses, rebuilds or drops.
 *
 * A fill may take hours, in the filler or in a batch of the worker.  What
 * is being filled is in shared memory (FillPlace), and so is that somebody wants
 * it ended.  Who fills looks at it by a timer, and cancels its statement, as a
 * user would cancel it.  Wherever the fill is, it ends within a moment.
 *
 * Pausing and rebuilding take a lock that a fill lets through, and end the fill
 * when they are committed: what is rolled back ends nothing.  Two orders have to
 * be thought of.  Who fills first says so, then looks at the newest row of the sink
 * (fill.c); a session first commits, then looks for who fills.  So one of the two
 * sees the other.  (What was prepared is committed by who knows nothing of it: it
 * ends a fill by the filler, since the worker sees the row, but waits for one in
 * the worker's own batch.)
 *
 * Dropping takes ACCESS EXCLUSIVE, for which a session waits in the depths of
 * PostgreSQL's own code: DROP SCHEMA, DROP OWNED and DROP EXTENSION get there in
 * their own ways.  During such a command a timer looks what the session is waiting
 * for; if it is the lock on a sink that is being filled, that is the time to end
 * the fill.  The rights have been checked by then (api/sink_ddl.c).  Other commands that
 * want the lock wait: a fill
 * would never come to its end where somebody takes it every few minutes.
 *
 * A fill that is ended for nothing, since the session then rolls back, begins
 * again; as nothing of it was committed, that is all.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/pg_list.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/memutils.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "fill_stop.h"
#include "process.h"
#include "shmem.h"

#define LOOK_EVERY_MS	100

/*
 * Sessions
 */

typedef struct UnwantedFill
{
	Oid			sink;
	int			level;			/* of the transaction that may yet be rolled back */
} UnwantedFill;

/* In TopTransactionContext. */
static List *unwanted = NIL;

static volatile FillStopWatch watching = FILL_STOP_NONE;
static WorkerSlot *watched_slot = NULL;
static TimeoutId watch_timer;

static void
start_timer(TimeoutId timer)
{
	enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), LOOK_EVERY_MS),
						 LOOK_EVERY_MS);
}

/* End the fill of this sink, or, if it is InvalidOid, of any, if it is under way. */
static void
want_ended(WorkerSlot *slot, Oid sink)
{
	for (int i = 0; i < FILL_PLACES; i++)
	{
		Oid			filled = pg_atomic_read_u32(&slot->fills[i].sink);

		if (OidIsValid(filled) && (!OidIsValid(sink) || filled == sink))
			pg_atomic_write_u32(&slot->fills[i].unwanted, filled);
	}
}

void
fill_stop_at_commit(Oid sink)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	UnwantedFill *entry = palloc(sizeof(UnwantedFill));

	entry->sink = sink;
	entry->level = GetCurrentTransactionNestLevel();
	unwanted = lappend(unwanted, entry);
	MemoryContextSwitchTo(oldcontext);
}

/* Runs when the transaction has left the proc array: others see what it did. */
static void
end_unwanted(XactEvent event, void *arg)
{
	WorkerSlot *slot;
	ListCell   *lc;

	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	slot = event == XACT_EVENT_COMMIT && unwanted != NIL ? shmem_find_slot(MyDatabaseId) : NULL;
	if (slot != NULL)
	{
		pg_memory_barrier();
		foreach(lc, unwanted)
			want_ended(slot, ((UnwantedFill *) lfirst(lc))->sink);
	}
	unwanted = NIL;
}

static void
end_subtransaction(SubXactEvent event, SubTransactionId mine, SubTransactionId parent, void *arg)
{
	int			level = GetCurrentTransactionNestLevel();
	ListCell   *lc;

	foreach(lc, unwanted)
	{
		UnwantedFill *entry = lfirst(lc);

		if (entry->level < level)
			continue;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			entry->level = level - 1;
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			unwanted = foreach_delete_current(unwanted, lc);
	}
}

/*
 * In a signal handler.  What this process waits for is set by itself, and cleared
 * by who grants the lock, whose object then stays, as it is ours.
 */
static void
look_at_wait(void)
{
	LOCK	   *lock = *(LOCK *volatile *) &MyProc->waitLock;

	if (lock == NULL)
		return;
	if (watching == FILL_STOP_ALL)
		want_ended(watched_slot, InvalidOid);
	else if (watching == FILL_STOP_AWAITED && lock->tag.locktag_type == LOCKTAG_RELATION)
		want_ended(watched_slot, lock->tag.locktag_field2);
}

FillStopWatch
fill_stop_watch(FillStopWatch watch)
{
	static bool registered = false;
	FillStopWatch before = watching;

	watched_slot = shmem_find_slot(MyDatabaseId);
	if (watched_slot == NULL || watch <= before)
		return before;
	if (!registered)
		watch_timer = RegisterTimeout(USER_TIMEOUT, look_at_wait);
	registered = true;
	watching = watch;
	if (before == FILL_STOP_NONE)
		start_timer(watch_timer);
	return before;
}

void
fill_stop_unwatch(FillStopWatch before)
{
	if (watching != FILL_STOP_NONE && before == FILL_STOP_NONE)
		disable_timeout(watch_timer, false);
	watching = before;
}

void
fill_stop_install_hooks(void)
{
	RegisterXactCallback(end_unwanted, NULL);
	RegisterSubXactCallback(end_subtransaction, NULL);
}

/*
 * Processes that fill
 */

/* Of the fill under way here; NULL: there is none. */
static FillPlace *place = NULL;
static TimeoutId fill_timer;

/*
 * In a signal handler.  A function of the user's can catch the error, therefore
 * it is also raised between two rows (process_step()).
 */
static void
look_at_place(void)
{
	if (place == NULL ||
		pg_atomic_read_u32(&place->unwanted) != pg_atomic_read_u32(&place->sink))
		return;
	process_fill_unwanted = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
fill_stop_begin(Oid sink)
{
	static bool registered = false;

	if (!registered)
		fill_timer = RegisterTimeout(USER_TIMEOUT, look_at_place);
	registered = true;
	process_fill_unwanted = false;
	place = &MyWorkerSlot->fills[freshet_process == PROCESS_FILLER ? FILL_BY_FILLER :
								 FILL_BY_WORKER];
	pg_atomic_write_u32(&place->unwanted, InvalidOid);
	/* a barrier: who commits later than the caller looks, sees it */
	(void) pg_atomic_exchange_u32(&place->sink, sink);
	start_timer(fill_timer);
}

static void
close_place(void)
{
	if (place == NULL)
		return;
	disable_timeout(fill_timer, false);
	pg_atomic_write_u32(&place->sink, InvalidOid);
	place = NULL;
}

void
fill_stop_end(void)
{
	close_place();
	/* not later, when it would hit something else */
	CHECK_FOR_INTERRUPTS();
	process_fill_unwanted = false;
}

bool
fill_stop_take(void)
{
	bool		result = process_fill_unwanted;

	close_place();
	process_fill_unwanted = false;
	return result;
}
