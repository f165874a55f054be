/*-------------------------------------------------------------------------
 *
 * watchdog.c
 *		End the maintenance of a sink that does not come back.
 *
 * All sinks of a database are maintained by one process, and a function in the
 * definition of one of them can loop for ever.  A timer looks from time to time
 * during a batch: if the same sink is at work and not a single row of it has been
 * dealt with for freshet.sink_timeout, its statement is cancelled, as a user
 * would cancel it.  Much work is not taken for that, as process_steps tells.
 *
 * The filler is not watched: it holds up nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/process.h"
#include "watchdog.h"

/* So often does it look within freshet.sink_timeout. */
#define LOOKS	10

static TimeoutId timer;
static volatile Oid *current_sink;

/* What it saw at the last look, and how often it has seen the same since. */
static Oid	seen_sink;
static uint64 seen_steps;
static volatile int same = 0;
static volatile bool alarm_raised = false;

/* In a signal handler. */
static void
look(void)
{
	if (!OidIsValid(*current_sink) || *current_sink != seen_sink || process_steps != seen_steps)
	{
		seen_sink = *current_sink;
		seen_steps = process_steps;
		same = 0;
		return;
	}
	if (++same < LOOKS)
		return;
	same = 0;
	alarm_raised = true;
	QueryCancelPending = true;
	InterruptPending = true;
	SetLatch(MyLatch);
}

void
watchdog_init(volatile Oid *sink)
{
	current_sink = sink;
	timer = RegisterTimeout(USER_TIMEOUT, look);
}

void
watchdog_start(void)
{
	int			every = Max(freshet_sink_timeout / LOOKS, 1);

	if (freshet_sink_timeout == 0)
		return;
	same = 0;
	seen_sink = InvalidOid;
	enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), every), every);
}

void
watchdog_stop(void)
{
	disable_timeout(timer, false);
}

bool
watchdog_take_alarm(void)
{
	bool		result = alarm_raised;

	alarm_raised = false;
	return result;
}
