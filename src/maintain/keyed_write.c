/*-------------------------------------------------------------------------
 *
 * keyed_write.c
 *		The strategy "keyed": compute rows through the definition, write them.
 *
 * The rows of affected keys are computed by
 *
 *		SELECT d.key, d.doc FROM freshet_keys k JOIN definition d ON d.key = k.key
 *
 * The definition of a wide view has its documents in the select list, over the
 * root alone.  So it is pulled up into this query, the join is planned as the
 * numbers of keys and of rows demand, and documents are computed for its
 * result only.  Keys with a NULL (the root is a sink then), for which "=" finds
 * nothing, have a query of their own, which no index serves.
 *
 * A row is compared with the stored one, and written if it differs; a key for
 * which no row was computed is deleted.
 *
 * A key that goes may make room for another one, if the owner made other columns
 * unique.  After an error, therefore, the keys that the root lacks are then
 * asked for first, and all rows are deleted before all are computed.
 *
 * All rows are computed by reading the whole definition.  If the sink is
 * empty there is nothing to look up, and the query may be parallel: inserting
 * is the one way of writing that goes together with that.  Else each row is
 * compared as above, and then the rows whose keys the root lacks are deleted.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/names.h"
#include "base/process.h"
#include "keyed.h"

/* Around the writing of rows while a query runs. */
typedef struct RowWriting
{
	Keyed	   *keyed;
	bool		fresh;			/* the sink was empty: insert */
	int64	   *rows_done;
	int64		rows;
} RowWriting;

static void
begin_writing(RowWriting *writing, Keyed *keyed)
{
	memset(writing, 0, sizeof(RowWriting));
	writing->keyed = keyed;
	writer_begin(keyed->writer);
}

static void
end_writing(RowWriting *writing)
{
	writer_end(writing->keyed->writer);
}

static void
write_row(TupleTableSlot *slot, void *arg)
{
	RowWriting *writing = arg;
	Keyed	   *keyed = writing->keyed;
	MemoryContext oldcontext = MemoryContextSwitchTo(keyed->scratch);
	bool	   *flag;

	slot_getallattrs(slot);
	flag = key_set_flag(&keyed->keys, slot->tts_values, slot->tts_isnull);
	if (flag != NULL)
		*flag = true;

	if (!writing->fresh && writer_find(keyed->writer, slot->tts_values, slot->tts_isnull))
		writer_update(keyed->writer, slot->tts_values, slot->tts_isnull);
	else
		writer_insert(keyed->writer, slot->tts_values, slot->tts_isnull);

	if (writing->rows_done != NULL)
		*writing->rows_done = ++writing->rows;
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(keyed->scratch);
}

/* The keys are the first columns of the slot. */
static void
delete_row(TupleTableSlot *slot, void *arg)
{
	RowWriting *writing = arg;
	Keyed	   *keyed = writing->keyed;
	MemoryContext oldcontext = MemoryContextSwitchTo(keyed->scratch);
	bool	   *flag;

	slot_getallattrs(slot);
	flag = key_set_flag(&keyed->keys, slot->tts_values, slot->tts_isnull);
	if (flag != NULL)
		*flag = true;
	if (writer_find(keyed->writer, slot->tts_values, slot->tts_isnull))
		writer_delete(keyed->writer);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(keyed->scratch);
}

/*
 * Queries
 */

/* Columns of the definition, in the plan's order, which is its own. */
static void
append_columns(StringInfo sql, const Sink *sink)
{
	for (int i = 0; i < sink->plan->ncolumns; i++)
		appendStringInfo(sql, "%sd.%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(sink->viewid, i + 1, false)));
}

/* Condition on a key column and its counterpart in freshet_keys. */
static void
append_key_condition(StringInfo sql, const KeySpec *key, const char *column, int i,
					 bool with_nulls)
{
	const char *op = names_operator(key->eqop);

	appendStringInfoString(sql, i > 0 ? " AND " : "");
	/* IS NULL would hold of a row of NULLs, too */
	if (with_nulls)
		appendStringInfo(sql, "(%s %s k.k%d OR (%s IS NOT DISTINCT FROM NULL AND "
						 "k.k%d IS NOT DISTINCT FROM NULL))", column, op, i + 1, column, i + 1);
	else
		appendStringInfo(sql, "%s %s k.k%d", column, op, i + 1);
}

static char *
documents_query(const Sink *sink, bool with_nulls)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, sink);
	appendStringInfo(&sql, " FROM " KEY_QUERY_KEYS " k JOIN %s d ON ",
					 names_relation(sink->viewid));
	for (int i = 0; i < sink->plan->nkeys; i++)
		append_key_condition(&sql, &sink->plan->keys[i],
							 psprintf("d.%s", quote_identifier(get_attname(sink->viewid, i + 1,
																		   false))),
							 i, with_nulls);
	return sql.data;
}

static char *
all_documents_query(const Sink *sink)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	append_columns(&sql, sink);
	appendStringInfo(&sql, " FROM %s d", names_relation(sink->viewid));
	return sql.data;
}

static bool
is_not_null(Oid relid, AttrNumber attno)
{
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid), Int16GetDatum(attno));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* The keys that the root lacks. */
static char *
missing_keys_query(const Sink *sink)
{
	const SinkPlan *plan = sink->plan;
	const KeyedNode *root = &plan_wide_view(plan)->nodes[0];
	Oid			relid = plan_source_of(plan, 0)->relid;
	bool		nullable = false;
	StringInfoData sql;

	for (int i = 0; i < plan->nkeys; i++)
		nullable |= !is_not_null(relid, root->related[i].attno);

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT k.* FROM " KEY_QUERY_KEYS " k "
					 "WHERE NOT EXISTS (SELECT 1 FROM %s n0 WHERE ", names_relation(relid));
	for (int i = 0; i < plan->nkeys; i++)
		append_key_condition(&sql, &plan->keys[i],
							 psprintf("n0.%s",
									  quote_identifier(get_attname(relid, root->related[i].attno,
																   false))),
							 i, nullable);
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * Affected keys
 */

static void
compute_keys(RowWriting *writing, bool with_nulls)
{
	Keyed	   *keyed = writing->keyed;
	KeyedQueries *queries = keyed_queries(keyed->sink);
	KeyRows		rows;

	key_set_rows(&keyed->keys, with_nulls, &rows);
	if (rows.count > 0)
		key_query_run(with_nulls ? queries->null_documents : queries->documents,
					  documents_query(keyed->sink, with_nulls), &rows, false, write_row, writing);
	tuplestore_end(rows.store);
}

/* Delete the rows with these keys that the root lacks. */
static void
delete_missing(RowWriting *writing, KeyRows *rows)
{
	Sink	   *sink = writing->keyed->sink;

	if (rows->count > 0)
		key_query_run(keyed_queries(sink)->missing_keys, missing_keys_query(sink), rows, false,
					  delete_row, writing);
	tuplestore_end(rows->store);
}

static void
delete_missing_keys(RowWriting *writing)
{
	for (int with_nulls = 0; with_nulls <= 1; with_nulls++)
	{
		KeyRows		rows;

		key_set_rows(&writing->keyed->keys, with_nulls == 1, &rows);
		delete_missing(writing, &rows);
	}
}

void
keyed_write_keys(Keyed *keyed)
{
	RowWriting	writing;

	if (keyed->keys.count == 0)
		return;
	begin_writing(&writing, keyed);
	if (keyed->consumer.netted && writer_order_matters(keyed->writer))
		delete_missing_keys(&writing);
	compute_keys(&writing, false);
	compute_keys(&writing, true);
	key_set_unflagged(&keyed->keys, delete_row, &writing);
	end_writing(&writing);
}

/*
 * Everything
 */

/* The keys of the sink's rows. */
static void
stored_keys(Keyed *keyed, KeyRows *rows)
{
	SinkWriter *writer = keyed->writer;
	SinkPlan   *plan = keyed->plan;
	TableScanDesc scan = table_beginscan(writer->rel, GetActiveSnapshot(), 0, NULL);

	rows->desc = key_set_desc(keyed, &keyed->keys);
	rows->count = 0;
	rows->store = tuplestore_begin_heap(true, false, work_mem);
	while (table_scan_getnextslot(scan, ForwardScanDirection, writer->old_slot))
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < plan->nkeys; i++)
			keyed->values[i] = writer_old_value(writer, i, &keyed->nulls[i]);
		tuplestore_putvalues(rows->store, rows->desc, keyed->values, keyed->nulls);
		rows->count++;
	}
	table_endscan(scan);
	ExecClearTuple(writer->old_slot);
}

void
keyed_write_all(Keyed *keyed, int64 *rows_done)
{
	KeyedQueries *queries = keyed_queries(keyed->sink);
	RowWriting	writing;

	feed_check_sources(keyed->sink, keyed->leaves);
	process_lock_relation(keyed->sink->viewid, AccessShareLock);
	key_set_forget(&keyed->keys);

	begin_writing(&writing, keyed);
	if (keyed->consumer.netted && writer_order_matters(keyed->writer))
		writer_delete_all(keyed->writer);
	writing.fresh = writer_sink_is_empty(keyed->writer);
	writing.rows_done = rows_done;
	/* none can be assigned within a parallel query */
	(void) GetCurrentTransactionId();
	if (!writing.fresh)
	{
		KeyRows		rows;

		stored_keys(keyed, &rows);
		delete_missing(&writing, &rows);
	}
	key_query_run(writing.fresh ? queries->all_documents_parallel : queries->all_documents,
				  all_documents_query(keyed->sink), NULL, writing.fresh, write_row, &writing);
	end_writing(&writing);
}
