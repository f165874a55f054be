/*-------------------------------------------------------------------------
 *
 * refresh.c
 *		The strategy "refresh": run the query, and write what differs.
 *
 * It serves every query whose result depends on the rows of its sources alone.
 * Changes only say that there are some; the query is run at the snapshot of
 * the batch, once, when the batch is whole, with the rights of its definer
 * and without row-level security (a query under a policy raises an error).
 * What it yields is compared with the sink, unless that is empty, which is written as
 * its owner.
 *
 * Nothing of it serves a batch that is not aligned: the snapshot is ahead of
 * what was decoded.  The sink is behind then (engine/catching_up.c), and its query is
 * run when a batch has reached its snapshot.
 *
 * A new plan is a reason to run the query as well: a view or a function that
 * the query uses may have been replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "apply.h"
#include "base/names.h"
#include "base/process.h"
#include "key_query.h"
#include "refresh.h"
#include "row_diff.h"
#include "run.h"

typedef struct Refresh
{
	RowConsumer consumer;
	Sink	   *sink;
	List	   *leaves;
	MemoryContext context;
	SinkWriter *writer;
	bool		changed;
} Refresh;

/* While the query runs. */
typedef struct QueryResult
{
	RowDiff    *diff;			/* NULL: rows are inserted at once */
	SinkWriter *writer;
	int64	   *rows_done;
} QueryResult;

static void
refresh_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	((Refresh *) consumer)->changed = true;
}

static void
refresh_truncate(RowConsumer *consumer, int occurrence)
{
	((Refresh *) consumer)->changed = true;
}

static RowConsumer *
refresh_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet refresh",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Refresh    *refresh = palloc0(sizeof(Refresh));

	refresh->consumer.row = refresh_row;
	refresh->consumer.truncate = refresh_truncate;
	refresh->consumer.wants_same_identity = true;
	refresh->sink = sink;
	refresh->leaves = leaves;
	refresh->context = context;
	refresh->writer = writer_open(sink, emit);
	/* what changed while it was behind need not be known */
	refresh->changed = sink->run_anew || sink->state == SINK_BEHIND;
	MemoryContextSwitchTo(oldcontext);
	return &refresh->consumer;
}

static void
take_row(TupleTableSlot *slot, void *arg)
{
	QueryResult *result = arg;

	if (result->diff != NULL)
		row_diff_add(result->diff, slot);
	else
	{
		slot_getallattrs(slot);
		writer_insert(result->writer, slot->tts_values, slot->tts_isnull);
	}
	if (result->rows_done != NULL)
		(*result->rows_done)++;
}

char *
refresh_text(const Sink *sink)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT * FROM %s d", names_relation(sink->viewid));
	return sql.data;
}

RefreshQueries *
refresh_queries_create(MemoryContext context)
{
	RefreshQueries *queries = MemoryContextAllocZero(context, sizeof(RefreshQueries));

	queries->compared = key_query_create(context, false);
	queries->inserted = key_query_create(context, false);
	return queries;
}

static void
compare_all(Sink *sink, SinkWriter *writer, KeyQuery *query, int64 *rows_done)
{
	QueryResult result = {row_diff_begin(writer), writer, rows_done};

	key_query_run(query, refresh_text(sink), NULL, false, take_row, &result);
	writer_begin(writer);
	row_diff_write(result.diff);
	writer_end(writer);
	row_diff_end(result.diff);
}

/* Nothing is there to compare with, and rows can be written while the query runs. */
static void
insert_all(Sink *sink, SinkWriter *writer, KeyQuery *query, int64 *rows_done)
{
	QueryResult result = {NULL, writer, rows_done};

	/* none can be assigned within a parallel query */
	(void) GetCurrentTransactionId();
	writer_begin(writer);
	key_query_run(query, refresh_text(sink), NULL, true, take_row, &result);
	writer_end(writer);
}

/*
 * Triggers are run as the rows are written, and not under the settings of the query:
 * with them all rows are there before the first is written.
 */
static bool
can_insert_at_once(SinkWriter *writer)
{
	const TriggerDesc *triggers = writer->result_rel->ri_TrigDesc;

	return writer_sink_is_empty(writer) &&
		(triggers == NULL ||
		 (!triggers->trig_insert_before_row && !triggers->trig_insert_after_row));
}

void
refresh_write_all(Sink *sink, SinkWriter *writer, RefreshQueries *queries, int64 *rows_done)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet result",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	int			nestlevel = NewGUCNestLevel();

	process_lock_relation(sink->viewid, AccessShareLock);
	process_refuse_policies();
	if (can_insert_at_once(writer))
		insert_all(sink, writer, queries->inserted, rows_done);
	else
		compare_all(sink, writer, queries->compared, rows_done);
	AtEOXact_GUC(false, nestlevel);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

static void
run_query(Refresh *refresh, int64 *rows_done)
{
	Sink	   *sink = refresh->sink;
	MemoryContext oldcontext = MemoryContextSwitchTo(refresh->context);

	if (sink->run_cache == NULL)
		sink->run_cache = refresh_queries_create(sink->context);
	refresh_write_all(sink, refresh->writer, sink->run_cache, rows_done);
	refresh->changed = false;
	MemoryContextSwitchTo(oldcontext);
}

static void
refresh_fill(RowConsumer *consumer, int64 *rows_done)
{
	run_query((Refresh *) consumer, rows_done);
}

static void
refresh_flush(RowConsumer *consumer)
{
	Refresh    *refresh = (Refresh *) consumer;

	if (!refresh->changed)
		return;
	feed_check_sources(refresh->sink, refresh->leaves);
	run_query(refresh, NULL);
}

static void
refresh_close(RowConsumer *consumer, MaintainResult *result)
{
	Refresh    *refresh = (Refresh *) consumer;

	result->inserted = refresh->writer->inserted;
	result->updated = refresh->writer->updated;
	result->deleted = refresh->writer->deleted;
	writer_close(refresh->writer);
	MemoryContextDelete(refresh->context);
}

const RunMethods refresh_methods = {
	refresh_open,
	refresh_fill,
	refresh_flush,
	refresh_close
};
