/*-------------------------------------------------------------------------
 *
 * trouble.c
 *		What becomes of a sink in whose maintenance an error arose.
 *
 * The error may have come from a row version, or a group, that exists between
 * two snapshots alone, and then it means nothing.  So a sink is not set failed
 * before its query has failed at a snapshot:
 *
 * 1. The batch is tried again with the sink's rows netted (maintain/net_rows.c):
 *	  only the difference of two snapshots is evaluated.  The sink stays netted
 *	  for a while, since what wrote such rows will go on doing so.
 * 2. If that fails, the sink is set building, and is filled at the snapshot of a
 *	  batch.
 * 3. A fill, too, is tried again as a netted run, which deletes before it inserts.
 *	  If that fails by an error that will come back, the sink is set failed.  If
 *	  the error is of a kind that may pass, a lock or a lack of memory, the fill is
 *	  tried again after a pause, which doubles; after some ten minutes in vain the
 *	  sink is set failed too.  A definition can raise whatever it likes.
 *
 * Whatever the error, the other sinks wait for no more than the batches that
 * fail, which are two, and one for each of the tries in 3.
 *
 * This is the worker's memory of it, a list in TopMemoryContext, which an error
 * does not touch; it goes with the worker, and a new one begins at 1.  What is
 * to be written to the catalogue is written by the worker in a transaction of
 * its own, and asked for again until that has been committed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "catalog/sink.h"
#include "trouble.h"

#define NETTED_BATCHES		1000
#define MIN_PAUSE_MS		1000
#define MAX_PAUSE_MS		60000
#define MAX_TRIES			15		/* of a fill: 1 + 2 + ... + 32 + 9 * 60 s */

typedef struct Trouble
{
	Oid			relid;
	int			netted;			/* batches for which it stays so */
	bool		filling;		/* netting was not enough */
	int			tries;			/* fills that failed */
	TimestampTz not_before;		/* of the next one */
	TroubleStep step;			/* to be written */
	char	   *message;
} Trouble;

static List *troubles = NIL;

static Trouble *
find_trouble(Oid relid)
{
	ListCell   *lc;

	foreach(lc, troubles)
	{
		if (((Trouble *) lfirst(lc))->relid == relid)
			return lfirst(lc);
	}
	return NULL;
}

static void
forget(Trouble *trouble)
{
	troubles = list_delete_ptr(troubles, trouble);
	if (trouble->message != NULL)
		pfree(trouble->message);
	pfree(trouble);
}

static void
pause_fill(Trouble *trouble)
{
	int64		ms = Min((int64) MIN_PAUSE_MS << Min(trouble->tries, 10), MAX_PAUSE_MS);

	trouble->tries++;
	trouble->not_before = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
}

void
trouble_note(Oid relid, int sqlerrcode, const char *message, bool filling, bool hopeless)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	Trouble    *trouble = find_trouble(relid);

	if (trouble == NULL)
	{
		trouble = palloc0(sizeof(Trouble));
		trouble->relid = relid;
		troubles = lappend(troubles, trouble);
	}
	if (trouble->message != NULL)
		pfree(trouble->message);
	trouble->message = pstrdup(message);
	MemoryContextSwitchTo(oldcontext);

	/* that is not the query's fault, and has a remedy */
	if (sqlerrcode == ERRCODE_FRESHET_LONG_KEY)
	{
		trouble->step = TROUBLE_LONG_KEY;
		return;
	}
	if (filling && trouble->netted == 0)
		/* the order of writes may be to blame, of which a netted run takes care */
		trouble->filling = true;
	else if (filling || trouble->filling)
	{
		trouble->filling = true;
		pause_fill(trouble);
		if (process_error_is_lasting(sqlerrcode) || trouble->tries >= MAX_TRIES)
			hopeless = true;
	}
	else if (trouble->netted > 0)
	{
		trouble->filling = true;
		trouble->step = TROUBLE_FILL;
	}
	trouble->netted = NETTED_BATCHES;
	if (hopeless)
		trouble->step = TROUBLE_FAIL;
}

bool
trouble_next(Oid *relid, TroubleStep *step, const char **message)
{
	ListCell   *lc;

	foreach(lc, troubles)
	{
		Trouble    *trouble = lfirst(lc);

		if (trouble->step == TROUBLE_NOTHING)
			continue;
		*relid = trouble->relid;
		*step = trouble->step;
		*message = trouble->message;
		return true;
	}
	return false;
}

void
trouble_written(Oid relid)
{
	Trouble    *trouble = find_trouble(relid);

	if (trouble == NULL)
		return;
	if (trouble->step == TROUBLE_FAIL)
		forget(trouble);
	else
		trouble->step = TROUBLE_NOTHING;
}

bool
trouble_is_netted(Oid relid)
{
	Trouble    *trouble = troubles == NIL ? NULL : find_trouble(relid);

	return trouble != NULL && trouble->netted > 0;
}

bool
trouble_is_pausing(Oid relid)
{
	Trouble    *trouble = troubles == NIL ? NULL : find_trouble(relid);

	return trouble != NULL && trouble->not_before > GetCurrentTimestamp();
}

void
trouble_maintained(Oid relid)
{
	Trouble    *trouble = troubles == NIL ? NULL : find_trouble(relid);

	if (trouble != NULL && !trouble->filling && --trouble->netted <= 0)
		forget(trouble);
}

/* It goes on netted, as whoever writes such rows goes on writing. */
void
trouble_filled(Oid relid)
{
	Trouble    *trouble = troubles == NIL ? NULL : find_trouble(relid);

	if (trouble == NULL)
		return;
	trouble->filling = false;
	trouble->tries = 0;
	trouble->not_before = 0;
}

static bool
is_worth_keeping(Oid relid, List *sinks)
{
	ListCell   *lc;

	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->relid == relid)
			return !sink->paused;
	}
	return false;
}

void
trouble_begin_batch(List *sinks)
{
	List	   *all = troubles == NIL ? NIL : list_copy(troubles);
	TimestampTz now = troubles == NIL ? 0 : GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, all)
	{
		Trouble    *trouble = lfirst(lc);

		if (!is_worth_keeping(trouble->relid, sinks))
			forget(trouble);
		else if (trouble->not_before <= now)
			trouble->not_before = 0;
	}
	list_free(all);
}

TimestampTz
trouble_retry_at(void)
{
	TimestampTz first = 0;
	ListCell   *lc;

	foreach(lc, troubles)
	{
		Trouble    *trouble = lfirst(lc);

		if (trouble->not_before != 0 && (first == 0 || trouble->not_before < first))
			first = trouble->not_before;
	}
	return first;
}
