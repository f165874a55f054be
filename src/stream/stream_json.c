/*-------------------------------------------------------------------------
 *
 * stream_json.c
 *		The change stream's own format.
 *
 * A change is
 *	{"op":"update","schema":"public","table":"t","key":{...},"before":{...},
 *	"after":{...},"unchanged":["c"],"lsn":"0/16B3748","xid":123,
 *	"commit_time":"...","last":true}
 * The text up to the key is made once for a relation, the text after the xid
 * once for a transaction.  What the other lines have is in README.md.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "stream.h"

static const char *const operation_names[STREAM_OPERATIONS] =
{
	"insert", "update", "delete", "truncate"
};

static const char *const boundary_names[] =
{
	"begin", "commit", "begin_prepare", "prepare", "commit_prepared", "rollback_prepared",
	"stream_start", "stream_stop", "stream_abort", "stream_prepare", "stream_commit"
};

static void
json_relation(StreamState *state, StreamRelation *relation)
{
	for (int i = 0; i < STREAM_OPERATIONS; i++)
	{
		StringInfoData text;

		initStringInfo(&text);
		appendStringInfo(&text, "{\"op\":\"%s\",\"schema\":", operation_names[i]);
		json_put_cstring(&text, relation->schema);
		appendStringInfoString(&text, ",\"table\":");
		json_put_cstring(&text, relation->name);
		relation->prefix[i] = text.data;
		relation->prefix_len[i] = text.len;
	}
}

static void
json_transaction(StreamState *state)
{
	const StreamTxn *txn = state->txn;
	StringInfo	text = &state->txn_text;

	if (txn->commit_time != 0)
	{
		appendStringInfoString(text, ",\"commit_time\":");
		json_put_timestamptz(text, txn->commit_time);
	}
	else if (txn->streamed)
		appendStringInfoString(text, ",\"streamed\":true");
	else if (txn->gid != NULL)
	{
		appendStringInfoString(text, ",\"prepared\":true,\"gid\":");
		json_put_cstring(text, txn->gid);
	}
}

/* xid, and what is the same in all lines of the transaction */
static void
put_transaction(StringInfo out, const StreamState *state, TransactionId subxid)
{
	const StreamTxn *txn = state->txn;

	json_put_literal(out, ",\"xid\":");
	json_put_uint64(out, txn->xid);
	/* what is streamed may be rolled back to a savepoint later */
	if (txn->streamed && TransactionIdIsValid(subxid) && subxid != txn->xid)
	{
		json_put_literal(out, ",\"subxid\":");
		json_put_uint64(out, subxid);
	}
	json_put(out, state->txn_text.data, state->txn_text.len);
}

static void
put_unchanged(StringInfo out, const StreamRelation *relation, const StreamRow *row)
{
	const char *separator = "[";

	json_put_literal(out, ",\"unchanged\":");
	for (int i = 0; i < relation->ncolumns; i++)
	{
		const StreamColumn *column = &relation->columns[i];

		if (!row->unchanged[column->index])
			continue;
		json_put(out, separator, 1);
		/* the label is the name and a colon */
		json_put(out, column->label, column->label_len - 1);
		separator = ",";
	}
	json_put_char(out, ']');
}

/* Of the new row, else of the old one, as far as that has it. */
static void
put_key(StringInfo out, const StreamChange *change)
{
	const StreamRelation *relation = change->relation;
	const StreamRow *row = change->after;

	if (relation->nkeys == 0)
		return;
	if (row == NULL)
	{
		row = change->before;
		if (row == NULL || !stream_key_complete(relation, row))
			return;
	}
	else if (row->any_unchanged)
	{
		for (int i = 0; i < relation->nkeys; i++)
		{
			if (row->unchanged[relation->columns[relation->keys[i]].index])
				return;
		}
	}
	json_put_literal(out, ",\"key\":");
	stream_put_key(out, relation, row);
}

static void
json_change(StreamState *state, const StreamChange *change)
{
	const StreamRelation *relation = change->relation;
	StringInfo	out = stream_begin_line(state);

	json_put(out, relation->prefix[change->operation], relation->prefix_len[change->operation]);
	put_key(out, change);
	if (change->operation == STREAM_TRUNCATE)
	{
		json_put_literal(out, ",\"before\":null,\"after\":null");
		if (change->cascade)
			json_put_literal(out, ",\"cascade\":true");
		if (change->restart_identity)
			json_put_literal(out, ",\"restart_identity\":true");
	}
	else
	{
		json_put_literal(out, ",\"before\":");
		if (change->before != NULL)
			stream_put_row(out, relation, change->before, true, NULL);
		else
			json_put_literal(out, "null");
		json_put_literal(out, ",\"after\":");
		if (change->after != NULL)
			stream_put_row(out, relation, change->after, false, NULL);
		else
			json_put_literal(out, "null");
		if (change->after != NULL && change->after->any_unchanged)
			put_unchanged(out, relation, change->after);
	}
	json_put_literal(out, ",\"lsn\":");
	json_put_lsn(out, change->lsn);
	put_transaction(out, state, change->xid);
	stream_end_line(state, change);
}

static void
json_boundary(StreamState *state, StringInfo out, StreamBoundary boundary, XLogRecPtr lsn,
			  TransactionId subxid)
{
	const StreamTxn *txn = state->txn;
	bool		ends = boundary == STREAM_COMMIT || boundary == STREAM_PREPARE ||
		boundary == STREAM_COMMIT_PREPARED || boundary == STREAM_ROLLBACK_PREPARED ||
		boundary == STREAM_BLOCK_PREPARE || boundary == STREAM_BLOCK_COMMIT;

	appendStringInfo(out, "{\"op\":\"%s\",\"lsn\":", boundary_names[boundary]);
	json_put_lsn(out, lsn);
	if (ends && !XLogRecPtrIsInvalid(txn->end_lsn))
	{
		appendStringInfoString(out, ",\"end_lsn\":");
		json_put_lsn(out, txn->end_lsn);
	}
	if (boundary >= STREAM_PREPARE && boundary <= STREAM_ROLLBACK_PREPARED)
	{
		/* the text of the transaction is that of its rows, or has not been made */
		appendStringInfo(out, ",\"xid\":%u,\"gid\":", txn->xid);
		json_put_cstring(out, txn->gid);
		if (txn->commit_time != 0)
		{
			appendStringInfoString(out, ",\"commit_time\":");
			json_put_timestamptz(out, txn->commit_time);
		}
	}
	else
	{
		put_transaction(out, state, subxid);
		if (boundary == STREAM_BLOCK_PREPARE)
		{
			appendStringInfoString(out, ",\"gid\":");
			json_put_cstring(out, txn->gid);
		}
	}
	appendStringInfoChar(out, '}');
}

static void
json_batch(StreamState *state, StringInfo out)
{
	const StringInfo content = &state->txn->batch;

	appendStringInfoString(out, "{\"op\":\"batch\",\"lsn\":");
	json_put_lsn(out, state->txn->final_lsn);
	put_transaction(out, state, InvalidTransactionId);
	/* an object that is not empty, see keep_batch(): its braces become ours */
	json_put_char(out, ',');
	json_put_document(out, content->data + 1, content->len - 1);
}

const StreamFormat stream_format_json = {
	json_relation,
	json_transaction,
	json_change,
	json_boundary,
	json_batch
};
