/*-------------------------------------------------------------------------
 *
 * progress.c
 *		The progress row: what the worker has applied.
 *
 * One row, written in the transaction of each batch that wrote anything, so
 * that it is true of the sinks by construction.  It also keeps the exact
 * counters of the sinks, which would else need a row each.
 *
 * A copied database (CREATE DATABASE ... TEMPLATE, a restored dump, another
 * server) brings a row that is about another log: database and system
 * identifier tell.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replication/message.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgrprotos.h"
#include "utils/json.h"
#include "utils/pg_lsn.h"
#include "utils/snapmgr.h"

#include "base/names.h"
#include "counters.h"
#include "progress.h"

static int64 *
int8_array(Datum datum, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (int64 *) ARR_DATA_PTR(array);
}

static uint32 *
oid_array(Datum datum, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(datum);

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	return (uint32 *) ARR_DATA_PTR(array);
}

/*
 * Columns: lsn, commit_time, held_back, relids, rows, changes, slot_name,
 * confirmable, restart_lsn, catalog_xmin, valid.
 */
static void
load_row(HeapTuple tuple, TupleDesc desc, Progress *progress, MemoryContext context)
{
	bool		isnull;
	Datum		value;
	uint32	   *oids;
	int64	   *rows;
	int64	   *changes;
	int			n;

	progress->exists = true;
	progress->lsn = DatumGetLSN(SPI_getbinval(tuple, desc, 1, &isnull));
	strlcpy(progress->slot_name, NameStr(*DatumGetName(SPI_getbinval(tuple, desc, 7, &isnull))),
			NAMEDATALEN);
	progress->confirmable = DatumGetLSN(SPI_getbinval(tuple, desc, 8, &isnull));
	progress->restart_lsn = DatumGetLSN(SPI_getbinval(tuple, desc, 9, &isnull));
	progress->catalog_xmin = DatumGetTransactionId(SPI_getbinval(tuple, desc, 10, &isnull));
	progress->valid = DatumGetBool(SPI_getbinval(tuple, desc, 11, &isnull));
	value = SPI_getbinval(tuple, desc, 2, &isnull);
	progress->commit_time = isnull ? 0 : DatumGetTimestampTz(value);

	oids = oid_array(SPI_getbinval(tuple, desc, 3, &isnull), &n);
	progress->nheld_back = n;
	progress->held_back = MemoryContextAlloc(context, Max(n, 1) * sizeof(TransactionId));
	memcpy(progress->held_back, oids, n * sizeof(TransactionId));

	rows = int8_array(SPI_getbinval(tuple, desc, 5, &isnull), &n);
	changes = int8_array(SPI_getbinval(tuple, desc, 6, &isnull), &n);
	oids = oid_array(SPI_getbinval(tuple, desc, 4, &isnull), &n);
	counters_load(n, oids, rows, changes);
}

void
progress_load(Progress *progress)
{
	MemoryContext context = CurrentMemoryContext;
	Oid			argtypes[3] = {OIDOID, INT8OID, INT8OID};
	Datum		args[3];

	memset(progress, 0, sizeof(Progress));
	args[0] = ObjectIdGetDatum(MyDatabaseId);
	args[1] = Int64GetDatum((int64) GetSystemIdentifier());
	args[2] = Int64GetDatum((int64) GetWALInsertionTimeLine());

	SPI_connect();
	if (SPI_execute_with_args("SELECT lsn, commit_time, held_back, relids, rows, changes, "
							  "slot_name, confirmable, restart_lsn, catalog_xmin, "
							  "system_identifier = $2 AND timeline = $3 "
							  "FROM freshet.applied WHERE dboid = $1",
							  3, argtypes, args, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the progress of freshet");
	if (SPI_processed > 0)
		load_row(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, progress, context);
	else
		counters_load(0, NULL, NULL, NULL);
	SPI_finish();

	/* a server that was put back in time has yet to write that far */
	if (XLogRecPtrIsInvalid(progress->lsn) || progress->lsn > GetXLogInsertRecPtr())
		progress->valid = false;
}

static Datum
make_array(Oid type, int len, const Datum *values, int n)
{
	bool		byval = true;
	char		align = len == 8 ? TYPALIGN_DOUBLE : TYPALIGN_INT;

#ifndef USE_FLOAT8_BYVAL
	byval = len <= 4;
#endif
	return PointerGetDatum(construct_array((Datum *) values, n, type, len, byval, align));
}

/* Three arrays: relids, rows, changes. */
static void
store_counters(Datum *args)
{
	int			n = counters_count();
	Oid		   *relids = palloc(Max(n, 1) * sizeof(Oid));
	int64	   *rows = palloc(Max(n, 1) * sizeof(int64));
	int64	   *changes = palloc(Max(n, 1) * sizeof(int64));
	Datum	   *values = palloc(Max(n, 1) * sizeof(Datum));

	counters_store(relids, rows, changes);
	for (int i = 0; i < n; i++)
		values[i] = ObjectIdGetDatum(relids[i]);
	args[0] = make_array(OIDOID, 4, values, n);
	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(rows[i]);
	args[1] = make_array(INT8OID, 8, values, n);
	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(changes[i]);
	args[2] = make_array(INT8OID, 8, values, n);
}

void
progress_store(const Progress *progress)
{
	static SPIPlanPtr plan = NULL;
	Oid			argtypes[13] = {NAMEOID, INT8OID, OIDOID, PG_LSNOID, TIMESTAMPTZOID,
	XIDARRAYOID, OIDARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8OID, PG_LSNOID, PG_LSNOID, XIDOID};
	Datum		args[13];
	char		nulls[14] = "             ";
	NameData	name;
	Datum	   *held_back;

	SPI_connect();
	if (plan == NULL)
	{
		plan = SPI_prepare("INSERT INTO freshet.applied AS a (slot_name, system_identifier, "
						   "dboid, lsn, commit_time, held_back, relids, rows, changes, "
						   "timeline, confirmable, restart_lsn, catalog_xmin) "
						   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) "
						   "ON CONFLICT (id) DO UPDATE SET slot_name = excluded.slot_name, "
						   "system_identifier = excluded.system_identifier, "
						   "dboid = excluded.dboid, lsn = excluded.lsn, "
						   "commit_time = excluded.commit_time, "
						   "held_back = excluded.held_back, relids = excluded.relids, "
						   "rows = excluded.rows, changes = excluded.changes, "
						   "timeline = excluded.timeline, confirmable = excluded.confirmable, "
						   "restart_lsn = excluded.restart_lsn, "
						   "catalog_xmin = excluded.catalog_xmin",
						   13, argtypes);
		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare the writing of freshet's progress");
	}

	namestrcpy(&name, progress->slot_name);
	args[0] = NameGetDatum(&name);
	args[1] = Int64GetDatum((int64) GetSystemIdentifier());
	args[2] = ObjectIdGetDatum(MyDatabaseId);
	args[3] = LSNGetDatum(progress->lsn);
	args[4] = TimestampTzGetDatum(progress->commit_time);
	if (progress->commit_time == 0)
		nulls[4] = 'n';

	held_back = palloc(Max(progress->nheld_back, 1) * sizeof(Datum));
	for (int i = 0; i < progress->nheld_back; i++)
		held_back[i] = TransactionIdGetDatum(progress->held_back[i]);
	args[5] = make_array(XIDOID, 4, held_back, progress->nheld_back);
	store_counters(&args[6]);
	args[9] = Int64GetDatum((int64) GetWALInsertionTimeLine());
	args[10] = LSNGetDatum(progress->confirmable);
	args[11] = LSNGetDatum(progress->restart_lsn);
	args[12] = TransactionIdGetDatum(progress->catalog_xmin);

	if (SPI_execute_plan(plan, args, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not write the progress of freshet");
	SPI_finish();
}

void
progress_forget(const char *slot_name)
{
	Oid			argtypes[4] = {NAMEOID, INT8OID, OIDOID, INT8OID};
	Datum		args[4];
	NameData	name;

	namestrcpy(&name, slot_name);
	args[0] = NameGetDatum(&name);
	args[1] = Int64GetDatum((int64) GetSystemIdentifier());
	args[2] = ObjectIdGetDatum(MyDatabaseId);
	args[3] = Int64GetDatum((int64) GetWALInsertionTimeLine());

	SPI_connect();
	if (SPI_execute("DELETE FROM freshet.applied", false, 0) != SPI_OK_DELETE ||
		SPI_execute_with_args("INSERT INTO freshet.applied (slot_name, system_identifier, "
							  "dboid, timeline, lsn, confirmable, restart_lsn, catalog_xmin) "
							  "VALUES ($1, $2, $3, $4, '0/0', '0/0', '0/0', '0')",
							  4, argtypes, args, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not forget the progress of freshet");
	SPI_finish();
	ForceSyncCommit();
}

void
progress_announce(XLogRecPtr lsn, TimestampTz commit_time, bool aligned)
{
	StringInfoData json;
	char		buf[MAXDATELEN + 1];
	int			utc = 0;

	initStringInfo(&json);
	appendStringInfo(&json, "{\"applied_lsn\":\"%X/%X\"", LSN_FORMAT_ARGS(lsn));
	if (commit_time != 0)
		appendStringInfo(&json, ",\"applied_commit_time\":\"%s\"",
						 JsonEncodeDateTime(buf, TimestampTzGetDatum(commit_time),
											TIMESTAMPTZOID, &utc));
	appendStringInfo(&json, ",\"aligned\":%s}", aligned ? "true" : "false");
	freshet_log_message(FRESHET_MESSAGE_PREFIX, json.data, json.len);
	pfree(json.data);
}
