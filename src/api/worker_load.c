/*-------------------------------------------------------------------------
 *
 * worker_load.c
 *		What the worker is at, and what it takes: figures of freshet.worker.
 *
 * Phase and memory are what the worker last told (engine/phase.c).  What it has
 * spilled nobody counts: it is the size of its temporary files, of its filler's, and of
 * those that PostgreSQL's reorder buffer keeps beside the replication slot.  Files may go while
 * they are looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <sys/stat.h>

#include "access/htup_details.h"
#include "catalog/pg_tablespace_d.h"
#include "common/file_utils.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/names.h"
#include "base/shmem.h"

PG_FUNCTION_INFO_V1(freshet_worker_load);

#define WORKER_LOAD_COLUMNS		5

static const char *
phase_name(BatchPhase phase)
{
	switch (phase)
	{
		case PHASE_NONE:
			return NULL;
		case PHASE_PREPARING:
			return "preparing";
		case PHASE_DECODING:
			return "decoding";
		case PHASE_MAINTAINING:
			return "maintaining";
		case PHASE_WRITING:
			return "writing";
		case PHASE_FILLING:
			return "filling";
		case PHASE_COMMITTING:
			return "committing";
	}
	return NULL;
}

/* Bytes of the files of a directory whose names begin so; 0 if there is none. */
static int64
size_of_files(const char *path, const char *prefix)
{
	DIR		   *dir = AllocateDir(path);
	struct dirent *entry;
	int64		size = 0;

	if (dir == NULL)
		return 0;
	while ((entry = ReadDirExtended(dir, path, LOG)) != NULL)
	{
		char		file[MAXPGPATH * 2];
		struct stat st;

		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
			continue;
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode))
			size += st.st_size;
	}
	FreeDir(dir);
	return size;
}

/* The temporary files of a process, in whatever tablespace. */
static int64
size_of_temporary_files(pid_t pid)
{
	char		prefix[MAXPGPATH];
	char		path[MAXPGPATH];
	DIR		   *dir = AllocateDir("pg_tblspc");
	struct dirent *entry;
	int64		size;

	snprintf(prefix, sizeof(prefix), "%s%d.", PG_TEMP_FILE_PREFIX, (int) pid);
	TempTablespacePath(path, DEFAULTTABLESPACE_OID);
	size = size_of_files(path, prefix);
	if (dir == NULL)
		return size;
	while ((entry = ReadDirExtended(dir, "pg_tblspc", LOG)) != NULL)
	{
		if (entry->d_name[0] == '.')
			continue;
		TempTablespacePath(path, atooid(entry->d_name));
		size += size_of_files(path, prefix);
	}
	FreeDir(dir);
	return size;
}

static int64
size_of_decoded_files(const char *slot_name)
{
	char		path[MAXPGPATH];

	snprintf(path, sizeof(path), "pg_replslot/%s", slot_name);
	return size_of_files(path, "xid");
}

/*
 * worker_load() -> (phase, phase_since, phase_sink, memory_bytes, spilled_bytes)
 */
Datum
freshet_worker_load(PG_FUNCTION_ARGS)
{
	WorkerSlot *slot = shmem_find_slot(MyDatabaseId);
	TupleDesc	desc;
	Datum		values[WORKER_LOAD_COLUMNS] = {0};
	bool		nulls[WORKER_LOAD_COLUMNS] = {true, true, true, true, true};
	char		slot_name[NAMEDATALEN];
	const char *phase;
	bool		in_batch;
	pid_t		pid;
	pid_t		filler;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (slot != NULL)
	{
		SpinLockAcquire(&slot->mutex);
		pid = slot->pid;
		filler = slot->fill_task == FILL_TASK_RUNNING ? slot->fill_pid : 0;
		in_batch = pid != 0 && slot->state != WORKER_BACKOFF && slot->phase != PHASE_NONE;
		phase = in_batch ? phase_name(slot->phase) : NULL;
		values[1] = TimestampTzGetDatum(slot->phase_since);
		values[2] = ObjectIdGetDatum(slot->phase_sink);
		values[3] = Int64GetDatum(slot->memory);
		strlcpy(slot_name, slot->slot_name, NAMEDATALEN);
		SpinLockRelease(&slot->mutex);

		nulls[0] = nulls[1] = !in_batch;
		nulls[2] = !in_batch || !OidIsValid(DatumGetObjectId(values[2]));
		nulls[3] = nulls[4] = pid == 0;
		if (in_batch)
			values[0] = CStringGetTextDatum(phase);
		if (pid != 0)
			values[4] = Int64GetDatum(size_of_temporary_files(pid) +
									  (filler != 0 ? size_of_temporary_files(filler) : 0) +
									  size_of_decoded_files(slot_name));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls)));
}
