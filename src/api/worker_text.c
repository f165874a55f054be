/*-------------------------------------------------------------------------
 *
 * worker_text.c
 *		What the worker is at, in sentences: why somebody who waits waits.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xlog.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "api.h"
#include "base/guc.h"

typedef struct WorkerView
{
	pid_t		pid;
	WorkerState state;
	XLogRecPtr	applied_lsn;
	TimestampTz batch_started;	/* 0: none is running */
	TimestampTz unapplied_since;
} WorkerView;

static void
look_at_worker(WorkerSlot *slot, WorkerView *view)
{
	bool		flagged = pg_atomic_read_u32(&slot->wakeup) != 0;

	SpinLockAcquire(&slot->mutex);
	view->pid = slot->pid;
	view->state = slot->state;
	view->applied_lsn = slot->applied_lsn;
	view->batch_started = slot->batch_started;
	view->unapplied_since = api_unapplied_since(slot, flagged);
	SpinLockRelease(&slot->mutex);
}

static const char *
describe_state(const WorkerView *view)
{
	switch (view->state)
	{
		case WORKER_STARTING:
			return "The worker is starting.";
		case WORKER_IDLE:
			return "The worker is idle.";
		case WORKER_BATCH:
			return "The worker is in a batch.";
		case WORKER_CATCHING_UP:
			return "The worker is catching up with the log.";
		case WORKER_BACKOFF:
			return "The worker waits after an error.";
	}
	return "The state of the worker is unknown.";
}

static uint64
unapplied_bytes(const WorkerView *view)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();

	if (XLogRecPtrIsInvalid(view->applied_lsn) || end < view->applied_lsn)
		return 0;
	return end - view->applied_lsn;
}

static int64
seconds_since(TimestampTz time)
{
	return time == 0 ? 0 : Max(GetCurrentTimestamp() - time, 0) / USECS_PER_SEC;
}

char *
api_describe_worker(WorkerSlot *slot)
{
	StringInfoData text;
	WorkerView	view;
	uint64		bytes;

	if (slot != NULL)
		look_at_worker(slot, &view);
	if (slot == NULL || view.pid == 0)
		return pstrdup("The worker of this database is not running.");

	initStringInfo(&text);
	appendStringInfoString(&text, describe_state(&view));
	bytes = unapplied_bytes(&view);
	if (bytes > 0 && view.unapplied_since != 0)
		appendStringInfo(&text, " It has not applied " UINT64_FORMAT " kB of log yet, the oldest "
						 "of it " INT64_FORMAT " s old.",
						 bytes / 1024, seconds_since(view.unapplied_since));
	if (view.batch_started != 0 && view.state != WORKER_BACKOFF)
		appendStringInfo(&text, " Its batch has been running for " INT64_FORMAT " s.",
						 seconds_since(view.batch_started));
	return text.data;
}

bool
api_worker_is_behind(WorkerSlot *slot)
{
	WorkerView	view;

	look_at_worker(slot, &view);
	return view.pid != 0 && (view.state == WORKER_CATCHING_UP ||
							 unapplied_bytes(&view) >
							 (uint64) freshet_max_batch_size * 1024 * 1024);
}
