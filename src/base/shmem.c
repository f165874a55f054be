/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		Shared memory.
 *
 * An array of slots, one for each database that has a worker or a session
 * waiting for one.  A slot's database is changed under the LWLock; its other
 * fields are protected by its spinlock.  Pointers to slots stay valid for
 * ever, but a slot may be given to another database: when its own is dropped, and
 * no session of that database exists, or when there is no other slot and its own
 * has no sinks and no worker any more.  Sessions look for theirs again while
 * they wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "shmem.h"

FreshetShared *FreshetState = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

/* The slot of this session's database, found once. */
static WorkerSlot *my_slot = NULL;

static Size
shmem_size(void)
{
	return add_size(offsetof(FreshetShared, slots),
					mul_size(freshet_max_workers, sizeof(WorkerSlot)));
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();

	RequestAddinShmemSpace(shmem_size());
	RequestNamedLWLockTranche("freshet", 1);
}

static void
shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	FreshetState = ShmemInitStruct("freshet", shmem_size(), &found);
	if (!found)
	{
		memset(FreshetState, 0, shmem_size());
		FreshetState->lock = &(GetNamedLWLockTranche("freshet"))->lock;
		FreshetState->nslots = freshet_max_workers;
		for (int i = 0; i < FreshetState->nslots; i++)
		{
			WorkerSlot *slot = &FreshetState->slots[i];

			SpinLockInit(&slot->mutex);
			pg_atomic_init_u32(&slot->wakeup, 0);
			for (int j = 0; j < FILL_PLACES; j++)
			{
				pg_atomic_init_u32(&slot->fills[j].sink, InvalidOid);
				pg_atomic_init_u32(&slot->fills[j].unwanted, InvalidOid);
			}
			ConditionVariableInit(&slot->cv);
		}
	}
	LWLockRelease(AddinShmemInitLock);
}

void
shmem_install_hooks(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

static WorkerSlot *
search_slots(Oid dboid)
{
	for (int i = 0; i < FreshetState->nslots; i++)
	{
		if (FreshetState->slots[i].dboid == dboid)
			return &FreshetState->slots[i];
	}
	return NULL;
}

WorkerSlot *
shmem_find_slot(Oid dboid)
{
	WorkerSlot *slot;

	if (FreshetState == NULL)
		return NULL;

	LWLockAcquire(FreshetState->lock, LW_SHARED);
	slot = search_slots(dboid);
	LWLockRelease(FreshetState->lock);
	return slot;
}

/* Back to the state of a slot without a database; the spinlock is kept. */
static void
reset_slot(WorkerSlot *slot)
{
	slot->dboid = InvalidOid;
	slot->wanted = false;
	slot->stop = false;
	slot->pid = 0;
	slot->restart_at = 0;
	pg_atomic_write_u32(&slot->wakeup, 0);
	for (int i = 0; i < FILL_PLACES; i++)
		pg_atomic_write_u32(&slot->fills[i].sink, InvalidOid);
	SpinLockAcquire(&slot->mutex);
	slot->latch = NULL;
	slot->state = WORKER_STARTING;
	slot->errors = 0;
	slot->slot_name[0] = '\0';
	slot->wait_requested = 0;
	slot->wait_served = 0;
	slot->applied_lsn = InvalidXLogRecPtr;
	slot->applied_commit_time = 0;
	slot->applied_at = 0;
	slot->batch_started = 0;
	slot->phase = PHASE_NONE;
	slot->phase_sink = InvalidOid;
	slot->memory = 0;
	slot->flagged_since = 0;
	slot->unapplied_since = 0;
	slot->aligned_once = false;
	slot->held_back = 0;
	slot->batches = 0;
	slot->changes = 0;
	slot->last_error_at = 0;
	slot->last_error[0] = '\0';
	memset(slot->sinks, 0, sizeof(slot->sinks));
	memset(slot->obstacles, 0, sizeof(slot->obstacles));
	slot->verify_phase = VERIFY_NONE;
	slot->verify_pid = 0;
	slot->fill_task = FILL_TASK_NONE;
	SpinLockRelease(&slot->mutex);
}

/* One that nobody has use for, though its database is there; or NULL. */
static WorkerSlot *
search_unused_slot(void)
{
	for (int i = 0; i < FreshetState->nslots; i++)
	{
		WorkerSlot *slot = &FreshetState->slots[i];

		if (!slot->wanted && !slot->stop && slot->pid == 0 &&
			slot->verify_phase == VERIFY_NONE && slot->fill_task == FILL_TASK_NONE)
			return slot;
	}
	return NULL;
}

WorkerSlot *
shmem_ensure_slot(Oid dboid)
{
	WorkerSlot *slot;

	if (FreshetState == NULL)
		return NULL;

	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	slot = search_slots(dboid);
	if (slot == NULL)
	{
		slot = search_slots(InvalidOid);
		if (slot == NULL)
			slot = search_unused_slot();
		if (slot != NULL)
		{
			reset_slot(slot);
			slot->dboid = dboid;
		}
	}
	LWLockRelease(FreshetState->lock);
	return slot;
}

bool
shmem_set_wanted(Oid dboid)
{
	WorkerSlot *slot = shmem_ensure_slot(dboid);

	if (slot != NULL)
		slot->wanted = true;
	return slot != NULL;
}

void
shmem_free_slot(Oid dboid)
{
	WorkerSlot *slot;

	if (FreshetState == NULL)
		return;

	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	slot = search_slots(dboid);
	if (slot != NULL)
		reset_slot(slot);
	LWLockRelease(FreshetState->lock);
}

/*
 * Called at the end of every transaction that wrote: the search is done once
 * per session, and again only while the database has no slot.  The flag is set
 * before the latch, and the worker clears it before it takes its snapshot;
 * so a worker that is busy gets one wake-up for all commits of its batch.
 */
void
shmem_wake_worker(Oid dboid)
{
	Latch	   *latch;
	TimestampTz now;

	if (FreshetState == NULL || !OidIsValid(dboid))
		return;

	/*
	 * Without the lock, which all writers of the server would share.  A slot
	 * that is being taken just now belongs to a worker that is about to look
	 * at the log anyway; one that was given away gets a wake-up for nothing.
	 */
	if (my_slot == NULL || my_slot->dboid != dboid)
		my_slot = search_slots(dboid);
	if (my_slot == NULL)
		return;

	if (pg_atomic_exchange_u32(&my_slot->wakeup, 1) != 0)
		return;

	now = GetCurrentTimestamp();
	SpinLockAcquire(&my_slot->mutex);
	my_slot->flagged_since = now;
	latch = my_slot->latch;
	SpinLockRelease(&my_slot->mutex);
	if (latch != NULL)
		SetLatch(latch);
}

void
shmem_wake_launcher(void)
{
	if (FreshetState == NULL)
		return;

	LWLockAcquire(FreshetState->lock, LW_SHARED);
	if (FreshetState->launcher_latch != NULL)
		SetLatch(FreshetState->launcher_latch);
	LWLockRelease(FreshetState->lock);
}

/* Places are given by the worker (engine/counters.c), under the spinlock. */
SinkStats *
shmem_sink_stats(WorkerSlot *slot, Oid relid)
{
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		if (slot->sinks[i].relid == relid)
			return &slot->sinks[i];
	}
	return NULL;
}

void
shmem_require_setup(void)
{
	if (FreshetState == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("freshet must be loaded via shared_preload_libraries"),
				 errhint("Put this line in postgresql.conf and restart the server: "
						 "shared_preload_libraries = 'freshet'")));

	if (wal_level < WAL_LEVEL_LOGICAL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("freshet needs the logical write-ahead log"),
				 errhint("Put this line in postgresql.conf and restart the server: "
						 "wal_level = logical")));
}
