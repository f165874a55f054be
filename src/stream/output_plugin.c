/*-------------------------------------------------------------------------
 *
 * output_plugin.c
 *		The output plugin: callbacks of the change stream.
 *
 * The server asks the library for its callbacks whenever a decoding context
 * of a slot with plugin "freshet" is made.  In a worker these are the
 * decoder's; everybody else gets the change stream, one line of JSON for each
 * change.
 *
 * A line is finished only when it is known whether its transaction has
 * another one, since the last change says that it is the last.  So one line is
 * held back, never more, and memory does not grow with a transaction.  What a
 * change allocates is in a context that is reset after it.
 *
 * Positions.  A consumer that confirms the position of a line gets, after a
 * restart, the transactions that committed after it.  Lines carry their own
 * place in the log, which is before the commit, and only the last line of a
 * transaction carries the commit's end: so whoever crashed between two lines
 * of a transaction gets the transaction again, and whoever has confirmed its
 * last line does not.
 *
 * A transaction without a line for the consumer leaves no trace, unless it is
 * a prepared one: whether it had lines is not known after a restart, so the
 * lines about its end are always written.
 *
 * The text of types without a writer of their own depends on settings, which
 * are set when decoding starts: for the rest of the session in a walsender,
 * which does nothing else, and until the end of the decoding in a session that
 * calls a function.  An error's abort takes them back as well.
 *
 * State.  All of it hangs off the decoding context, and is gone with it, also
 * after an error.  An error may be caught by the server, if a transaction that
 * is streamed early aborts meanwhile; then the line being made is dropped, and
 * stream_stop follows.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <ctype.h>

#include "access/xact.h"
#include "commands/dbcommands.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "replication/output_plugin.h"
#include "replication/walsender.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "consumers.h"
#include "output_plugin.h"
#include "stream_filter.h"

/* Changes without a line after which the server may look at its timeouts. */
#define PROGRESS_CHANGES	100

/* A line's buffer that has grown beyond is given back after the transaction. */
#define KEPT_LINE_SIZE		(256 * 1024)

static const char *const output_settings[][2] =
{
	{"datestyle", "ISO"},
	{"intervalstyle", "iso_8601"},
	{"timezone", "UTC"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"lc_monetary", "C"},
	{"search_path", "pg_catalog"}
};

static inline StreamState *
get_state(LogicalDecodingContext *ctx)
{
	return (StreamState *) ctx->output_plugin_private;
}

/*
 * Lines
 */

static bool
is_ascii(const char *data, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(data[i]))
			return false;
	}
	return true;
}

/* Looking up a conversion needs a transaction, which not all callbacks have. */
static void
append_converted(StringInfo out, const StringInfo line)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	bool		own_transaction = !IsTransactionState();
	char	   *utf8;

	if (own_transaction)
	{
		StartTransactionCommand();
		MemoryContextSwitchTo(oldcontext);
	}
	utf8 = pg_server_to_any(line->data, line->len, PG_UTF8);
	appendStringInfoString(out, utf8);
	if (utf8 != line->data)
		pfree(utf8);
	if (own_transaction)
	{
		CommitTransactionCommand();
		MemoryContextSwitchTo(oldcontext);
	}
}

/* Write a whole line.  An invalid lsn stands for that of the callback. */
static void
write_line(StreamState *state, const StringInfo line, XLogRecPtr lsn)
{
	LogicalDecodingContext *ctx = state->ctx;
	XLogRecPtr	location = ctx->write_location;

	if (!XLogRecPtrIsInvalid(lsn))
		ctx->write_location = lsn;
	OutputPluginPrepareWrite(ctx, true);
	if (state->convert && !is_ascii(line->data, line->len))
		append_converted(ctx->out, line);
	else
		json_put(ctx->out, line->data, line->len);
	OutputPluginWrite(ctx, true);
	ctx->write_location = location;
	state->skipped = 0;
}

static void
release_held(StreamState *state, bool last, XLogRecPtr lsn)
{
	if (!state->holding)
		return;
	state->holding = false;
	if (last)
		json_put_literal(&state->held, ",\"last\":true}");
	else
		json_put_char(&state->held, '}');
	write_line(state, &state->held, lsn);
}

static void
write_boundary(StreamState *state, StreamBoundary boundary, XLogRecPtr lsn, TransactionId subxid,
			   XLogRecPtr location)
{
	StringInfoData line;
	MemoryContext oldcontext = MemoryContextSwitchTo(state->txn_context);

	initStringInfo(&line);
	state->format->boundary(state, &line, boundary, lsn, subxid);
	write_line(state, &line, location);
	pfree(line.data);
	MemoryContextSwitchTo(oldcontext);
}

StringInfo
stream_begin_line(StreamState *state)
{
	resetStringInfo(&state->line);
	return &state->line;
}

/* The line is complete: now the one before is known not to be the last. */
void
stream_end_line(StreamState *state, const StreamChange *change)
{
	StreamTxn  *txn = state->txn;
	StringInfoData swap;

	if (txn->streamed && !state->block_open)
	{
		write_boundary(state, STREAM_BLOCK_START, change->lsn, InvalidTransactionId, change->lsn);
		state->block_open = true;
	}
	else if (!txn->streamed && !txn->wrote && state->options->transactions)
		write_boundary(state, txn->gid != NULL ? STREAM_BEGIN_PREPARE : STREAM_BEGIN,
					   txn->first_lsn, InvalidTransactionId, txn->first_lsn);
	release_held(state, false, state->held_lsn);

	swap = state->held;
	state->held = state->line;
	state->line = swap;
	state->holding = true;
	state->held_lsn = change->lsn;
	txn->wrote = true;
	txn->wrote_sink |= change->relation->is_sink;
}

static void
skip_change(StreamState *state)
{
	if (++state->skipped < PROGRESS_CHANGES)
		return;
	state->skipped = 0;
#if PG_VERSION_NUM < 160000
	/* since 16 the server does it of its own accord */
	OutputPluginUpdateProgress(state->ctx, false);
#endif
}

/*
 * Transactions
 */

static void
use_txn(StreamState *state, StreamTxn *txn)
{
	state->txn = txn;
	resetStringInfo(&state->txn_text);
	state->format->transaction(state);
}

/* Where and when a transaction ends, as far as it is known. */
static void
note_end(StreamTxn *txn, const ReorderBufferTXN *rbtxn)
{
	txn->final_lsn = rbtxn->final_lsn;
	txn->end_lsn = rbtxn->end_lsn;
	txn->commit_time = freshet_commit_time(rbtxn);
	txn->ours = stream_is_ours(rbtxn->origin_id);
}

static void
begin_txn(StreamState *state, const ReorderBufferTXN *rbtxn, bool prepared)
{
	static uint64 serial = 0;
	StreamTxn  *txn = &state->own_txn;
	StringInfoData batch = txn->batch;

	memset(txn, 0, sizeof(StreamTxn));
	txn->batch = batch;
	resetStringInfo(&txn->batch);
	txn->serial = ++serial;
	txn->xid = rbtxn->xid;
	txn->first_lsn = rbtxn->first_lsn;
	note_end(txn, rbtxn);
	if (prepared)
	{
		txn->gid = rbtxn->gid;
		txn->commit_time = 0;
	}
	state->holding = false;
	use_txn(state, txn);
}

static void
shrink(StringInfo buffer)
{
	resetStringInfo(buffer);
	if (buffer->maxlen > KEPT_LINE_SIZE)
	{
		buffer->data = repalloc(buffer->data, KEPT_LINE_SIZE);
		buffer->maxlen = KEPT_LINE_SIZE;
	}
}

static void
forget_txn(StreamState *state)
{
	state->txn = NULL;
	state->holding = false;
	MemoryContextReset(state->txn_context);
	shrink(&state->line);
	shrink(&state->held);
}

/*
 * The end of the changes of the transaction: its last line, the worker's
 * batch, and the line about the end if there is to be one.  Only the very last
 * of these has the position of the callback.
 */
static void
end_txn(StreamState *state, StreamBoundary boundary, bool write_end, XLogRecPtr lsn)
{
	StreamTxn  *txn = state->txn;
	bool		batch = state->options->batches && txn->ours && txn->wrote_sink &&
		txn->batch.len > 0;
	MemoryContext oldcontext = MemoryContextSwitchTo(state->change_context);

	release_held(state, true, batch || write_end ? state->held_lsn : InvalidXLogRecPtr);
	if (batch)
	{
		StringInfoData line;

		initStringInfo(&line);
		state->format->batch(state, &line);
		write_line(state, &line, write_end ? lsn : InvalidXLogRecPtr);
	}
	if (write_end)
		write_boundary(state, boundary, lsn, InvalidTransactionId, InvalidXLogRecPtr);
	else if (!txn->wrote)
		OutputPluginUpdateProgress(state->ctx, true);
	MemoryContextReset(state->change_context);
	state->last_commit = txn->end_lsn;
	forget_txn(state);
	MemoryContextSwitchTo(oldcontext);
}

static void
begin_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn)
{
	StreamState *state = get_state(ctx);

	stream_filter_begin(state);
	begin_txn(state, rbtxn, false);
}

static void
commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr commit_lsn)
{
	StreamState *state = get_state(ctx);

	end_txn(state, STREAM_COMMIT, state->txn->wrote && state->options->transactions, commit_lsn);
}

/*
 * Changes
 */

static void
process_change(LogicalDecodingContext *ctx, Relation rel, ReorderBufferChange *rbchange)
{
	StreamState *state = get_state(ctx);
	StreamChange change = {0};
	StreamRelation *relation;
	HeapTuple	old = freshet_change_old_tuple(rbchange);
	HeapTuple	new = freshet_change_new_tuple(rbchange);
	MemoryContext oldcontext;

	change.operation = rbchange->action == REORDER_BUFFER_CHANGE_INSERT ? STREAM_INSERT :
		rbchange->action == REORDER_BUFFER_CHANGE_UPDATE ? STREAM_UPDATE : STREAM_DELETE;
	if (!state->options->operations[change.operation])
	{
		skip_change(state);
		return;
	}

	oldcontext = MemoryContextSwitchTo(state->change_context);
	relation = stream_filter_relation(state, rel, rbchange->origin_id);
	if (!relation->wanted || (state->options->local_only && !relation->is_sink &&
							  rbchange->origin_id != InvalidRepOriginId))
		skip_change(state);
	else
	{
		change.relation = relation;
		change.lsn = rbchange->lsn;
		change.xid = rbchange->txn != NULL ? rbchange->txn->xid : InvalidTransactionId;
		if (old != NULL && change.operation != STREAM_INSERT)
		{
			stream_take_apart(&state->old_row, relation, RelationGetDescr(rel), old,
							  state->context);
			change.before = &state->old_row;
		}
		if (new != NULL && change.operation != STREAM_DELETE)
		{
			stream_take_apart(&state->new_row, relation, RelationGetDescr(rel), new,
							  state->context);
			if (state->new_row.any_unchanged)
				stream_fill_unchanged(&state->new_row, change.before, relation);
			change.after = &state->new_row;
		}
		state->format->change(state, &change);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(state->change_context);
}

static void
change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, Relation rel,
		  ReorderBufferChange *change)
{
	process_change(ctx, rel, change);
}

/*
 * The log names the partitioned table and the partitions that a command
 * emptied.  A consumer who wants changes under the partitioned table's name
 * gets that one, or a partition emptied by itself under its own name; the
 * others get the partitions.
 */
static bool
truncate_wanted(StreamState *state, const StreamRelation *relation, Relation rel,
				ReorderBufferChange *change, int nrelations, Relation rels[])
{
	bool		partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;

	if (!relation->wanted || (state->options->local_only && !relation->is_sink &&
							  change->origin_id != InvalidRepOriginId))
		return false;
	if (!state->options->publish_via_root)
		return !partitioned;
	if (relation->published_as == RelationGetRelid(rel))
		return true;
	for (int i = 0; i < nrelations; i++)
	{
		if (RelationGetRelid(rels[i]) == relation->published_as &&
			stream_filter_relation(state, rels[i], change->origin_id)->wanted)
			return false;
	}
	return !partitioned;
}

static void
truncate_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, int nrelations,
			Relation rels[], ReorderBufferChange *rbchange)
{
	StreamState *state = get_state(ctx);
	MemoryContext oldcontext;

	if (!state->options->operations[STREAM_TRUNCATE])
		return;
	oldcontext = MemoryContextSwitchTo(state->change_context);
	for (int i = 0; i < nrelations; i++)
	{
		StreamRelation *relation = stream_filter_relation(state, rels[i], rbchange->origin_id);
		StreamRelation alone;
		StreamChange change = {0};

		if (!truncate_wanted(state, relation, rels[i], rbchange, nrelations, rels))
			continue;
		change.operation = STREAM_TRUNCATE;
		change.relation = relation;
		change.lsn = rbchange->lsn;
		change.xid = rbchange->txn != NULL ? rbchange->txn->xid : InvalidTransactionId;
		change.cascade = rbchange->data.truncate.cascade;
		change.restart_identity = rbchange->data.truncate.restart_seqs;
		if (relation->published_as != RelationGetRelid(rels[i]))
		{
			alone = *relation;
			alone.count_serial = 0;
			alone.schema = get_namespace_name(RelationGetNamespace(rels[i]));
			alone.name = RelationGetRelationName(rels[i]);
			state->format->relation(state, &alone);
			change.relation = &alone;
		}
		state->format->change(state, &change);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(state->change_context);
}

/* JSON text that can be taken into a line: an object that is not empty. */
static bool
is_json_object(const char *data, Size len)
{
	const char *c = data + 1;

	if (len < 3 || data[0] != '{' || data[len - 1] != '}' || strnlen(data, len) != len)
		return false;
	while (isspace((unsigned char) *c))
		c++;
	return *c != '}' &&
		pg_parse_json(freshet_json_lexer(data, len), &nullSemAction) == JSON_SUCCESS;
}

/*
 * The worker's message about its batch, kept until the end of the transaction.
 * Anybody can emit one like it, but it counts in the worker's transactions only.
 * There it is the last one: the functions of sinks have been called before it.
 */
static void
keep_batch(LogicalDecodingContext *ctx, bool transactional, const char *prefix, Size size,
		   const char *message)
{
	StreamState *state = get_state(ctx);
	MemoryContext oldcontext;

	if (!transactional || state->txn == NULL || strcmp(prefix, "freshet") != 0 ||
		!state->options->batches || state->options->sinks == NIL)
		return;
	oldcontext = MemoryContextSwitchTo(state->change_context);
	if (is_json_object(message, size))
	{
		MemoryContextSwitchTo(state->context);
		if (state->txn->batch.data == NULL)
			initStringInfo(&state->txn->batch);
		resetStringInfo(&state->txn->batch);
		appendBinaryStringInfo(&state->txn->batch, message, size);
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(state->change_context);
}

static void
message_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr lsn,
		   bool transactional, const char *prefix, Size size, const char *message)
{
	keep_batch(ctx, transactional, prefix, size, message);
}

static bool
filter_by_origin_cb(LogicalDecodingContext *ctx, RepOriginId origin)
{
	return stream_filter_origin(get_state(ctx), origin);
}

/*
 * Two-phase commits
 */

static void
begin_prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn)
{
	StreamState *state = get_state(ctx);

	stream_filter_begin(state);
	begin_txn(state, rbtxn, true);
}

static void
prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr prepare_lsn)
{
	end_txn(get_state(ctx), STREAM_PREPARE, true, prepare_lsn);
}

static void
end_prepared(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, StreamBoundary boundary,
			 XLogRecPtr lsn)
{
	StreamState *state = get_state(ctx);

	begin_txn(state, rbtxn, true);
	state->txn->commit_time = freshet_commit_time(rbtxn);
	end_txn(state, boundary, true, lsn);
}

static void
commit_prepared_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr commit_lsn)
{
	end_prepared(ctx, rbtxn, STREAM_COMMIT_PREPARED, commit_lsn);
}

static void
rollback_prepared_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn,
					 XLogRecPtr prepare_end_lsn, TimestampTz prepare_time)
{
	end_prepared(ctx, rbtxn, STREAM_ROLLBACK_PREPARED, rbtxn->final_lsn);
}

/*
 * Transactions streamed before their end.  What is known of each hangs off the
 * server's own state of it; "rbtxn" is the top-level one but in an abort.
 */

static void
stream_start_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn)
{
	StreamState *state = get_state(ctx);
	StreamTxn  *txn = rbtxn->output_plugin_private;

	stream_filter_begin(state);
	if (txn == NULL)
	{
		txn = MemoryContextAllocZero(state->context, sizeof(StreamTxn));
		txn->xid = rbtxn->xid;
		txn->first_lsn = rbtxn->first_lsn;
		txn->streamed = true;
		rbtxn->output_plugin_private = txn;
	}
	state->holding = false;
	state->block_open = false;
	use_txn(state, txn);
}

static void
stream_stop_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn)
{
	StreamState *state = get_state(ctx);

	release_held(state, false, state->held_lsn);
	if (state->block_open)
		write_boundary(state, STREAM_BLOCK_STOP, ctx->write_location, InvalidTransactionId,
					   InvalidXLogRecPtr);
	state->block_open = false;
	state->txn = NULL;
	MemoryContextReset(state->change_context);
}

static void
free_streamed(ReorderBufferTXN *rbtxn)
{
	StreamTxn  *txn = rbtxn->output_plugin_private;

	if (txn->batch.data != NULL)
		pfree(txn->batch.data);
	pfree(txn);
	rbtxn->output_plugin_private = NULL;
}

static void
stream_abort_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr abort_lsn)
{
	StreamState *state = get_state(ctx);
	ReorderBufferTXN *top = rbtxn->toptxn != NULL ? rbtxn->toptxn : rbtxn;
	StreamTxn  *txn = top->output_plugin_private;

	if (txn == NULL)
		return;
	if (txn->wrote)
	{
		use_txn(state, txn);
		write_boundary(state, STREAM_BLOCK_ABORT, abort_lsn, rbtxn->xid, InvalidXLogRecPtr);
	}
	if (top == rbtxn)
		free_streamed(top);
	forget_txn(state);
}

/* Its changes are all streamed; nothing of them is held back. */
static void
end_streamed(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, StreamBoundary boundary,
			 XLogRecPtr lsn)
{
	StreamState *state = get_state(ctx);
	StreamTxn  *txn = rbtxn->output_plugin_private;

	if (txn == NULL)
		return;
	note_end(txn, rbtxn);
	if (boundary == STREAM_BLOCK_PREPARE)
	{
		txn->gid = rbtxn->gid;
		txn->commit_time = 0;
	}
	use_txn(state, txn);
	end_txn(state, boundary, txn->wrote || boundary == STREAM_BLOCK_PREPARE, lsn);
	free_streamed(rbtxn);
}

static void
stream_commit_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr commit_lsn)
{
	end_streamed(ctx, rbtxn, STREAM_BLOCK_COMMIT, commit_lsn);
}

static void
stream_prepare_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, XLogRecPtr prepare_lsn)
{
	end_streamed(ctx, rbtxn, STREAM_BLOCK_PREPARE, prepare_lsn);
}

static void
stream_change_cb(LogicalDecodingContext *ctx, ReorderBufferTXN *rbtxn, Relation rel,
				 ReorderBufferChange *change)
{
	process_change(ctx, rel, change);
}

/*
 * Starting and stopping
 */

static void
set_output_settings(StreamState *state)
{
	bool		nest = IsTransactionState();

	if (nest)
		state->settings_level = NewGUCNestLevel();
	for (int i = 0; i < lengthof(output_settings); i++)
	{
		if (nest)
			(void) set_config_option(output_settings[i][0], output_settings[i][1],
									 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
		else
			SetConfigOption(output_settings[i][0], output_settings[i][1],
							PGC_USERSET, PGC_S_SESSION);
	}
}

/* The name of the database; a walsender has no transaction yet. */
static char *
database_name(MemoryContext context)
{
	bool		own_transaction = !IsTransactionState();
	MemoryContext oldcontext = CurrentMemoryContext;
	char	   *name;

	if (own_transaction)
		StartTransactionCommand();
	name = MemoryContextStrdup(context, get_database_name(MyDatabaseId));
	if (own_transaction)
		CommitTransactionCommand();
	MemoryContextSwitchTo(oldcontext);
	return name;
}

/*
 * A slot that streams transactions when they are prepared has only their end
 * at COMMIT PREPARED, also if the slot was read without it in between: what
 * was prepared then would be lost.
 */
static void
check_two_phase(const LogicalDecodingContext *ctx, const StreamOptions *options)
{
	if (!ctx->slot->data.two_phase)
		return;
	if (options->two_phase_given && !options->two_phase)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("option \"two_phase\" cannot be turned off for replication slot \"%s\"",
						NameStr(ctx->slot->data.name)),
				 errdetail("The slot was made with it, or has been read with it."),
				 errhint("Make a slot without it.")));
	if (options->format == STREAM_DEBEZIUM)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("format \"debezium\" cannot be read from replication slot \"%s\"",
						NameStr(ctx->slot->data.name)),
				 errdetail("The slot streams prepared transactions, which the envelope cannot tell "
						   "from committed ones."),
				 errhint("Make a slot without two_phase, or use format \"json\".")));
}

static void
startup_cb(LogicalDecodingContext *ctx, OutputPluginOptions *plugin_options, bool is_init)
{
	StreamState *state;
	StreamOptions *options = stream_options_parse(ctx->output_plugin_options);

	plugin_options->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	plugin_options->receive_rewrites = false;

	state = MemoryContextAllocZero(ctx->context, sizeof(StreamState));
	ctx->output_plugin_private = state;
	state->ctx = ctx;
	state->options = options;
	state->format = options->format == STREAM_DEBEZIUM ? &stream_format_debezium :
		&stream_format_json;
	consumers_note_options(is_init ? NULL : stream_options_text(ctx->output_plugin_options));
	if (is_init)
		return;

	ctx->streaming &= options->stream;
	check_two_phase(ctx, options);
	if (options->two_phase)
		ctx->twophase_opt_given = true;

	state->context = AllocSetContextCreate(ctx->context, "freshet stream",
										   ALLOCSET_DEFAULT_SIZES);
	state->txn_context = AllocSetContextCreate(state->context, "freshet streamed transaction",
											   ALLOCSET_SMALL_SIZES);
	state->change_context = AllocSetContextCreate(state->context, "freshet streamed change",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(state->context);
	initStringInfo(&state->line);
	initStringInfo(&state->held);
	initStringInfo(&state->txn_text);
	initStringInfo(&state->own_txn.batch);
	/* SQL's functions give text, also to a walsender that runs SQL */
	state->convert = am_walsender && !IsTransactionState() && GetDatabaseEncoding() != PG_UTF8;
	state->database = database_name(state->context);
	json_types_init(state->context);
	stream_filter_init(state);
	MemoryContextSwitchTo(ctx->context);
	set_output_settings(state);
}

static void
shutdown_cb(LogicalDecodingContext *ctx)
{
	StreamState *state = get_state(ctx);

	if (state == NULL)
		return;
	if (state->settings_level > 0)
		AtEOXact_GUC(true, state->settings_level);
	if (state->context != NULL)
		MemoryContextDelete(state->context);
	ctx->output_plugin_private = NULL;
}

void
stream_plugin_callbacks(OutputPluginCallbacks *cb)
{
	cb->startup_cb = startup_cb;
	cb->begin_cb = begin_cb;
	cb->change_cb = change_cb;
	cb->truncate_cb = truncate_cb;
	cb->commit_cb = commit_cb;
	cb->message_cb = message_cb;
	cb->filter_by_origin_cb = filter_by_origin_cb;
	cb->shutdown_cb = shutdown_cb;

	cb->begin_prepare_cb = begin_prepare_cb;
	cb->prepare_cb = prepare_cb;
	cb->commit_prepared_cb = commit_prepared_cb;
	cb->rollback_prepared_cb = rollback_prepared_cb;

	cb->stream_start_cb = stream_start_cb;
	cb->stream_stop_cb = stream_stop_cb;
	cb->stream_abort_cb = stream_abort_cb;
	cb->stream_prepare_cb = stream_prepare_cb;
	cb->stream_commit_cb = stream_commit_cb;
	cb->stream_change_cb = stream_change_cb;
	cb->stream_message_cb = message_cb;
	cb->stream_truncate_cb = truncate_cb;
}
