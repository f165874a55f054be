/*-------------------------------------------------------------------------
 *
 * stream_debezium.c
 *		The change stream in the envelope of Debezium.
 *
 * After the public documentation of Debezium's connector for PostgreSQL: the
 * value of a change event without its schema, as its JSON converter writes it
 * with schemas disabled.  README.md describes each field, and what differs;
 * above all, values are written as in our own format, since without a schema
 * nobody could tell what an encoded one stands for.
 *
 * An update that changes the key is a deletion of the old and a creation of
 * the new one, as the connector has it.  A batch's message is an event of
 * operation "m", as the connector makes of logical decoding messages.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "common/base64.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "stream.h"

#define FRESHET_VERSION			"0.1"

/* What stands for a value that the log does not have. */
#define UNAVAILABLE_VALUE		"__debezium_unavailable_value"

static const char operation_codes[STREAM_OPERATIONS] = {'c', 'u', 'd', 't'};

static int64
unix_ms(TimestampTz time)
{
	return time / 1000 + (int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * 1000;
}

/* ,"schema":"public","table":"t" */
static void
put_table(StringInfo text, const char *schema, const char *table)
{
	appendStringInfoString(text, ",\"schema\":");
	json_put_cstring(text, schema);
	appendStringInfoString(text, ",\"table\":");
	json_put_cstring(text, table);
}

static void
debezium_relation(StreamState *state, StreamRelation *relation)
{
	StringInfoData text;

	initStringInfo(&text);
	put_table(&text, relation->schema, relation->name);
	for (int i = 0; i < STREAM_OPERATIONS; i++)
	{
		relation->prefix[i] = text.data;
		relation->prefix_len[i] = text.len;
	}
}

/* The source block up to "db" is the same for the whole transaction. */
static void
debezium_transaction(StreamState *state)
{
	StringInfo	text = &state->txn_text;
	const char *name = state->options->server_name;

	appendStringInfoString(text, ",\"source\":{\"version\":\"" FRESHET_VERSION "\","
						   "\"connector\":\"postgresql\",\"name\":");
	json_put_cstring(text, name != NULL ? name : state->database);
	appendStringInfo(text, ",\"ts_ms\":" INT64_FORMAT ",\"snapshot\":\"false\",\"db\":",
					 unix_ms(state->txn->commit_time));
	json_put_cstring(text, state->database);
}

/* The rest of the source block, from the place in the log on. */
static void
put_position(StringInfo out, const StreamState *state, XLogRecPtr lsn)
{
	json_put_literal(out, ",\"txId\":");
	json_put_uint64(out, state->txn->xid);
	json_put_literal(out, ",\"lsn\":");
	json_put_uint64(out, lsn);
	json_put_literal(out, ",\"xmin\":null}");
}

/* [last commit, this change], both as strings, in a string */
static void
put_sequence(StringInfo out, const StreamState *state, XLogRecPtr lsn)
{
	json_put_literal(out, ",\"sequence\":\"[");
	if (XLogRecPtrIsInvalid(state->last_commit))
		json_put_literal(out, "null");
	else
	{
		json_put_literal(out, "\\\"");
		json_put_uint64(out, state->last_commit);
		json_put_literal(out, "\\\"");
	}
	json_put_literal(out, ",\\\"");
	json_put_uint64(out, lsn);
	json_put_literal(out, "\\\"]\"");
}

static void
put_transaction_id(StringInfo out, const StreamTxn *txn)
{
	json_put_literal(out, "\"id\":\"");
	json_put_uint64(out, txn->xid);
	json_put_char(out, ':');
	json_put_uint64(out, txn->final_lsn);
	json_put_char(out, '"');
}

/* The count of the relation's events, under the name that it is streamed by. */
static StreamCount *
find_count(StreamState *state, StreamRelation *relation)
{
	MemoryContext oldcontext;
	StreamCount *count = NULL;
	char	   *name;
	ListCell   *lc;

	if (relation->count_serial == state->txn->serial)
		return relation->count;

	oldcontext = MemoryContextSwitchTo(state->txn_context);
	name = psprintf("%s.%s", relation->schema, relation->name);
	foreach(lc, state->txn->counts)
	{
		if (strcmp(((StreamCount *) lfirst(lc))->name, name) == 0)
			count = lfirst(lc);
	}
	if (count == NULL)
	{
		count = palloc(sizeof(StreamCount));
		count->name = name;
		count->events = 0;
		state->txn->counts = lappend(state->txn->counts, count);
	}
	MemoryContextSwitchTo(oldcontext);
	relation->count_serial = state->txn->serial;
	relation->count = count;
	return count;
}

static void
put_debezium_transaction(StringInfo out, StreamState *state, StreamRelation *relation)
{
	StreamCount *count;

	json_put_literal(out, ",\"transaction\":");
	if (!state->options->transactions)
	{
		json_put_literal(out, "null");
		return;
	}
	count = find_count(state, relation);
	json_put_char(out, '{');
	put_transaction_id(out, state->txn);
	json_put_literal(out, ",\"total_order\":");
	json_put_uint64(out, ++state->txn->events);
	json_put_literal(out, ",\"data_collection_order\":");
	json_put_uint64(out, ++count->events);
	json_put_char(out, '}');
}

static void
put_event(StreamState *state, const StreamChange *change, StreamOperation operation,
		  const StreamRow *before, const StreamRow *after)
{
	StreamRelation *relation = change->relation;
	StringInfo	out = stream_begin_line(state);

	json_put_literal(out, "{\"before\":");
	if (before != NULL)
		stream_put_row(out, relation, before, true, UNAVAILABLE_VALUE);
	else
		json_put_literal(out, "null");
	json_put_literal(out, ",\"after\":");
	if (after != NULL)
		stream_put_row(out, relation, after, false, UNAVAILABLE_VALUE);
	else
		json_put_literal(out, "null");
	json_put(out, state->txn_text.data, state->txn_text.len);
	put_sequence(out, state, change->lsn);
	json_put(out, relation->prefix[operation], relation->prefix_len[operation]);
	put_position(out, state, change->lsn);
	json_put_literal(out, ",\"op\":\"");
	json_put_char(out, operation_codes[operation]);
	json_put_literal(out, "\",\"ts_ms\":");
	json_put_uint64(out, unix_ms(GetCurrentTimestamp()));
	put_debezium_transaction(out, state, relation);
	stream_end_line(state, change);
}

/*
 * Does an update change the key?  Its text tells.  (A value of the key that the
 * log lacks is unchanged; but if the old row has it, the new one got it.)
 */
static bool
key_changes(const StreamChange *change)
{
	const StreamRelation *relation = change->relation;
	StringInfoData old;
	StringInfoData new;

	if (change->before == NULL || change->after == NULL ||
		!stream_key_complete(relation, change->before))
		return false;
	for (int i = 0; i < relation->nkeys; i++)
	{
		if (change->after->unchanged[relation->columns[relation->keys[i]].index])
			return false;
	}
	initStringInfo(&old);
	initStringInfo(&new);
	stream_put_key(&old, change->relation, change->before);
	stream_put_key(&new, change->relation, change->after);
	return old.len != new.len || memcmp(old.data, new.data, old.len) != 0;
}

static void
debezium_change(StreamState *state, const StreamChange *change)
{
	if (change->operation == STREAM_UPDATE && key_changes(change))
	{
		put_event(state, change, STREAM_DELETE, change->before, NULL);
		put_event(state, change, STREAM_INSERT, NULL, change->after);
	}
	else
		put_event(state, change, change->operation, change->before, change->after);
}

/* Only these two: what is not committed is never streamed in this format. */
static void
debezium_boundary(StreamState *state, StringInfo out, StreamBoundary boundary, XLogRecPtr lsn,
				  TransactionId subxid)
{
	const StreamTxn *txn = state->txn;
	ListCell   *lc;

	if (boundary == STREAM_BEGIN)
		appendStringInfoString(out, "{\"status\":\"BEGIN\",");
	else
		appendStringInfoString(out, "{\"status\":\"END\",");
	put_transaction_id(out, txn);
	appendStringInfo(out, ",\"ts_ms\":" INT64_FORMAT, unix_ms(txn->commit_time));
	if (boundary == STREAM_BEGIN)
	{
		appendStringInfoString(out, ",\"event_count\":null,\"data_collections\":null}");
		return;
	}
	appendStringInfo(out, ",\"event_count\":" INT64_FORMAT ",\"data_collections\":[",
					 txn->events);
	foreach(lc, txn->counts)
	{
		StreamCount *count = lfirst(lc);

		if (foreach_current_index(lc) > 0)
			appendStringInfoChar(out, ',');
		appendStringInfoString(out, "{\"data_collection\":");
		json_put_cstring(out, count->name);
		appendStringInfo(out, ",\"event_count\":" INT64_FORMAT "}", count->events);
	}
	appendStringInfoString(out, "]}");
}

static void
debezium_batch(StreamState *state, StringInfo out)
{
	const StringInfo content = &state->txn->batch;
	int			len = pg_b64_enc_len(content->len);
	char	   *encoded = MemoryContextAlloc(state->txn_context, len);

	/* base64, as the connector has it: nobody knows what is in a message */
	len = pg_b64_encode((const void *) content->data, content->len, encoded, len);
	json_put_literal(out, "{\"message\":{\"prefix\":\"freshet\",\"content\":\"");
	json_put(out, encoded, len);
	json_put_literal(out, "\"}");
	json_put(out, state->txn_text.data, state->txn_text.len);
	put_sequence(out, state, state->txn->final_lsn);
	put_table(out, "", "");
	put_position(out, state, state->txn->final_lsn);
	json_put_literal(out, ",\"op\":\"m\",\"ts_ms\":");
	json_put_uint64(out, unix_ms(GetCurrentTimestamp()));
	json_put_literal(out, ",\"transaction\":null}");
}

const StreamFormat stream_format_debezium = {
	debezium_relation,
	debezium_transaction,
	debezium_change,
	debezium_boundary,
	debezium_batch
};
