/*-------------------------------------------------------------------------
 *
 * exchange.c
 *		The exchange by which a session gets the worker's snapshot.
 *
 * Its phases are in the worker's slot (VerifyPhase in shmem.h), and moved on by
 * the worker (engine/snapshot_offer.c) and the session (api/verify.c) in turn.
 * The session's process tells one exchange from the next.  Both sleep on the
 * slot's condition variable, and so may reset their latches.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "pgstat.h"
#include "storage/condition_variable.h"
#include "utils/timestamp.h"

#include "exchange.h"
#include "wait_events.h"

VerifyPhase
exchange_phase(WorkerSlot *slot, pid_t *pid)
{
	VerifyPhase phase;

	SpinLockAcquire(&slot->mutex);
	phase = slot->verify_phase;
	if (pid)
		*pid = slot->verify_pid;
	SpinLockRelease(&slot->mutex);
	return phase;
}

bool
exchange_advance(WorkerSlot *slot, VerifyPhase from, VerifyPhase to, pid_t pid)
{
	bool		done;

	SpinLockAcquire(&slot->mutex);
	done = slot->verify_phase == from && slot->verify_pid == pid;
	if (done)
		slot->verify_phase = to;
	SpinLockRelease(&slot->mutex);

	if (done)
		ConditionVariableBroadcast(&slot->cv);
	return done;
}

VerifyPhase
exchange_sleep_while(WorkerSlot *slot, VerifyPhase phase, pid_t pid, long patience)
{
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), patience);
	VerifyPhase now;
	pid_t		now_pid;

	ConditionVariablePrepareToSleep(&slot->cv);
	for (;;)
	{
		long		left;

		now = exchange_phase(slot, &now_pid);
		if (now_pid != pid)
			now = VERIFY_NONE;
		if (now != phase)
			break;
		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);
		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&slot->cv, left,
										   freshet_wait_event(WAIT_SNAPSHOT_EXCHANGE));
	}
	ConditionVariableCancelSleep();
	return now;
}
