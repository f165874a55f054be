/*-------------------------------------------------------------------------
 *
 * stream.h
 *		The change stream: what its files share.
 *
 * output_plugin.c has the callbacks and decides when a line is written,
 * stream_filter.c what is streamed, stream_row.c takes rows apart, and
 * stream_json.c and stream_debezium.c are the formats.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STREAM_H
#define FRESHET_STREAM_H

#include "postgres.h"

#include "access/htup.h"
#include "lib/stringinfo.h"
#include "nodes/bitmapset.h"
#include "replication/logical.h"
#include "replication/reorderbuffer.h"
#include "utils/rel.h"

#include "json_format.h"
#include "stream_options.h"

/* A column that is streamed. */
typedef struct StreamColumn
{
	int			index;			/* from 0, in the row */
	JsonType   *type;
	char	   *label;			/* "name": with quotes, escapes and colon */
	int			label_len;
	bool		identity;		/* in the old row that the log gives */
	bool		varlena;
} StreamColumn;

/* The number of changes of one table in a transaction. */
typedef struct StreamCount
{
	char	   *name;
	int64		events;
} StreamCount;

/* The same relation is another one for changes that are not the worker's. */
typedef struct StreamRelationKey
{
	Oid			relid;
	uint32		is_sink;		/* no padding */
} StreamRelationKey;

/*
 * What is known of a relation whose changes came.  What hangs off "context"
 * is made anew when the entry has become invalid; not during a change.
 */
typedef struct StreamRelation
{
	StreamRelationKey key;
	bool		valid;			/* cleared by invalidations */
	bool		has_partitions; /* has been seen above one */
	MemoryContext context;
	bool		wanted;
	bool		is_sink;
	char	   *schema;			/* names under which it is streamed: those of */
	char	   *name;			/* a partitioned table, if it is asked for */
	Oid			published_as;	/* the relation of these names */
	int			natts;
	int			ncolumns;
	StreamColumn *columns;
	int			nkeys;			/* 0: no key known, or not streamed */
	int		   *keys;			/* indexes into columns */
	bool		identity_full;

	/* of the format: texts that are the same for every change */
	char	   *prefix[STREAM_OPERATIONS];
	int			prefix_len[STREAM_OPERATIONS];

	/* of the format debezium: its count in the present transaction */
	uint64		count_serial;
	StreamCount *count;
} StreamRelation;

/* An old or a new row, taken apart. */
typedef struct StreamRow
{
	Datum	   *values;
	bool	   *nulls;
	bool	   *unchanged;		/* a TOASTed value that the log does not have */
	bool		any_unchanged;
	int			allocated;
} StreamRow;

/*
 * A transaction under way.  One that is streamed before its end is kept from
 * block to block, the others use one after the other the same one.
 */
typedef struct StreamTxn
{
	TransactionId xid;
	XLogRecPtr	first_lsn;
	XLogRecPtr	final_lsn;		/* of its commit or prepare; invalid: not there yet */
	XLogRecPtr	end_lsn;
	TimestampTz commit_time;	/* 0: not committed yet */
	const char *gid;			/* of a prepared transaction */
	bool		streamed;
	bool		wrote;			/* any line */
	bool		wrote_sink;		/* a change of a sink */
	bool		ours;			/* the worker's, as the commit record says */
	StringInfoData batch;		/* content of the worker's message; empty: none */
	int64		events;
	List	   *counts;			/* StreamCount *, in the transaction's context */
	uint64		serial;			/* differs from those before */
} StreamTxn;

typedef struct StreamFormat StreamFormat;

typedef struct StreamState
{
	LogicalDecodingContext *ctx;
	StreamOptions *options;
	const StreamFormat *format;
	MemoryContext context;		/* lives as long as the decoding */
	MemoryContext txn_context;	/* reset at the end of each transaction */
	MemoryContext change_context;	/* reset after each change */
	bool		convert;		/* lines have to be converted to UTF-8 */

	StreamTxn  *txn;			/* the one whose callbacks are called */
	StreamTxn	own_txn;		/* for transactions that are not streamed */
	bool		block_open;		/* has stream_start been written? */

	/*
	 * A change's line is held back until it is known whether another one of
	 * its transaction follows.  It lacks its closing brace.
	 */
	StringInfoData line;		/* being made */
	StringInfoData held;
	bool		holding;
	XLogRecPtr	held_lsn;

	/* texts that are the same for all changes of a transaction */
	StringInfoData txn_text;
	XLogRecPtr	last_commit;	/* end of the transaction before */
	char	   *database;

	StreamRow	old_row;
	StreamRow	new_row;
	int			skipped;		/* changes since the last sign of life */

	int			settings_level;
} StreamState;

typedef enum StreamBoundary
{
	STREAM_BEGIN,
	STREAM_COMMIT,
	STREAM_BEGIN_PREPARE,
	STREAM_PREPARE,
	STREAM_COMMIT_PREPARED,
	STREAM_ROLLBACK_PREPARED,
	STREAM_BLOCK_START,
	STREAM_BLOCK_STOP,
	STREAM_BLOCK_ABORT,
	STREAM_BLOCK_PREPARE,
	STREAM_BLOCK_COMMIT
} StreamBoundary;

typedef struct StreamChange
{
	StreamOperation operation;
	StreamRelation *relation;
	const StreamRow *before;	/* or NULL */
	const StreamRow *after;
	XLogRecPtr	lsn;
	TransactionId xid;			/* of the subtransaction */
	bool		cascade;		/* of a TRUNCATE */
	bool		restart_identity;
} StreamChange;

/*
 * A format.  Lines of changes are made between stream_begin_line() and
 * stream_end_line(), without their closing brace; the others are appended to
 * "out" whole.
 */
struct StreamFormat
{
	/* texts of a relation, in its context, which is current */
	void		(*relation) (StreamState *state, StreamRelation *relation);
	/* txn_text of state->txn */
	void		(*transaction) (StreamState *state);
	void		(*change) (StreamState *state, const StreamChange *change);
	void		(*boundary) (StreamState *state, StringInfo out, StreamBoundary boundary,
							 XLogRecPtr lsn, TransactionId subxid);
	void		(*batch) (StreamState *state, StringInfo out);
};

extern const StreamFormat stream_format_json;
extern const StreamFormat stream_format_debezium;

/* output_plugin.c */
extern StringInfo stream_begin_line(StreamState *state);
extern void stream_end_line(StreamState *state, const StreamChange *change);

/* stream_row.c */
extern void stream_take_apart(StreamRow *row, StreamRelation *relation, TupleDesc desc,
							  HeapTuple tuple, MemoryContext context);
/* Give values that the new row lacks those of the old one, where it has them. */
extern void stream_fill_unchanged(StreamRow *new, const StreamRow *old, StreamRelation *relation);
extern void stream_put_row(StringInfo out, const StreamRelation *relation, const StreamRow *row,
						   bool old, const char *placeholder);
extern void stream_put_key(StringInfo out, const StreamRelation *relation, const StreamRow *row);
extern bool stream_key_complete(const StreamRelation *relation, const StreamRow *row);

#endif							/* FRESHET_STREAM_H */
