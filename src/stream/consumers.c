/*-------------------------------------------------------------------------
 *
 * consumers.c
 *		Slots of the change stream: what they asked for, how far they are.
 *
 * The server does not keep the options that a consumer starts with.  The
 * plugin notes them in shared memory, in an array with an entry for each of
 * the server's replication slots, at the same index.  An entry is believed
 * only while the slot there has the name that is noted; a new slot clears
 * what its predecessor left.  Entries are under the library's LWLock.
 *
 * The launcher looks at all of these slots every few seconds while there is
 * one, and warns of those that keep more log than freshet.max_wal_lag.  They
 * are not given up, as the worker's is: what their consumers have read cannot
 * be rebuilt from here.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "replication/slot.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/guc.h"
#include "base/names.h"
#include "base/shmem.h"
#include "consumers.h"

PG_FUNCTION_INFO_V1(freshet_stream_options);

#define OPTIONS_LEN			512
#define CHECK_EVERY_MS		10000
#define WARN_EVERY_MS		(10 * 60 * 1000)

typedef struct ConsumerEntry
{
	NameData	slot;
	char		options[OPTIONS_LEN];
	TimestampTz warned_at;		/* of the launcher alone; 0: not too far behind */
} ConsumerEntry;

/* NULL if the library was not loaded by shared_preload_libraries. */
static ConsumerEntry *entries = NULL;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static Size
entries_size(void)
{
	return mul_size(max_replication_slots, sizeof(ConsumerEntry));
}

static void
consumers_shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(entries_size());
}

static void
consumers_shmem_startup(void)
{
	bool		found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	entries = ShmemInitStruct("freshet consumers", entries_size(), &found);
	if (!found)
		memset(entries, 0, entries_size());
	LWLockRelease(AddinShmemInitLock);
}

void
consumers_install_hooks(void)
{
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = consumers_shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = consumers_shmem_startup;
}

void
consumers_note_options(const char *options)
{
	ConsumerEntry *entry;

	if (entries == NULL || MyReplicationSlot == NULL)
		return;
	entry = &entries[MyReplicationSlot - ReplicationSlotCtl->replication_slots];
	LWLockAcquire(FreshetState->lock, LW_EXCLUSIVE);
	memset(entry, 0, sizeof(ConsumerEntry));
	if (options != NULL)
	{
		entry->slot = MyReplicationSlot->data.name;
		strlcpy(entry->options, options, OPTIONS_LEN);
	}
	LWLockRelease(FreshetState->lock);

	/* it may be the first one to look at */
	if (options == NULL)
		shmem_wake_launcher();
}

/*
 * Is it a slot of a consumer?  In that case, a copy of what it is now.  The
 * caller holds ReplicationSlotControlLock.
 */
static bool
copy_consumer(ReplicationSlot *slot, ReplicationSlotPersistentData *data)
{
	char		name[NAMEDATALEN];

	if (!slot->in_use)
		return false;
	SpinLockAcquire(&slot->mutex);
	*data = slot->data;
	SpinLockRelease(&slot->mutex);
	freshet_object_name(data->database, name);
	return OidIsValid(data->database) && strcmp(NameStr(data->plugin), "freshet") == 0 &&
		strcmp(NameStr(data->name), name) != 0;
}

/*
 * stream_options() -> setof (slot_name, options)
 */
Datum
freshet_stream_options(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (entries == NULL)
		return (Datum) 0;

	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlotPersistentData data;
		ConsumerEntry entry;
		bool		consumer;
		Datum		values[2];
		bool		nulls[2] = {0};

		LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
		consumer = copy_consumer(&ReplicationSlotCtl->replication_slots[i], &data);
		LWLockRelease(ReplicationSlotControlLock);
		LWLockAcquire(FreshetState->lock, LW_SHARED);
		entry = entries[i];
		LWLockRelease(FreshetState->lock);

		if (!consumer || strcmp(NameStr(entry.slot), NameStr(data.name)) != 0)
			continue;
		/* text, not cut within a character */
		entry.options[pg_mbcliplen(entry.options, strlen(entry.options), OPTIONS_LEN - 1)] = '\0';
		values[0] = NameGetDatum(&entry.slot);
		values[1] = CStringGetTextDatum(entry.options);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

static void
warn_of(const ReplicationSlotPersistentData *data, uint64 lag, ConsumerEntry *entry)
{
	TimestampTz now = GetCurrentTimestamp();

	if (entry->warned_at != 0 &&
		now < TimestampTzPlusMilliseconds(entry->warned_at, WARN_EVERY_MS))
		return;
	entry->warned_at = now;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("replication slot \"%s\" of a consumer holds back " UINT64_FORMAT
					" MB of write-ahead log, more than freshet.max_wal_lag",
					NameStr(data->name), lag / (1024 * 1024)),
			 errhint("Have its consumer read and confirm, or drop it with "
					 "pg_drop_replication_slot().")));
}

long
consumers_check(void)
{
	XLogRecPtr	end = GetXLogInsertRecPtr();
	bool		any = false;

	if (entries == NULL)
		return -1;

	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlotPersistentData data;
		bool		consumer;

		LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
		consumer = copy_consumer(&ReplicationSlotCtl->replication_slots[i], &data);
		LWLockRelease(ReplicationSlotControlLock);

		any |= consumer;
		if (consumer && freshet_max_wal_lag >= 0 && !XLogRecPtrIsInvalid(data.restart_lsn) &&
			data.restart_lsn < end &&
			end - data.restart_lsn > (uint64) freshet_max_wal_lag * 1024 * 1024)
			warn_of(&data, end - data.restart_lsn, &entries[i]);
		else
			entries[i].warned_at = 0;
	}
	return any ? CHECK_EVERY_MS : -1;
}
