/*-------------------------------------------------------------------------
 *
 * decoder.h
 *		From the write-ahead log to change sets aligned to a snapshot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DECODER_H
#define FRESHET_DECODER_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "replication/output_plugin.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "maintain/change_set.h"

#define DECODE_PART_SIZE	((Size) 2 * 1024 * 1024)

/* What one call of decoder_decode() found. */
typedef struct DecodeResult
{
	List	   *sets;			/* ChangeSet *, in the order of commits; to be
								 * destroyed by the caller */
	int			transactions;
	TimestampTz newest_commit;	/* 0: none */
	XLogRecPtr	end;			/* decoded up to here */
} DecodeResult;

/*
 * Start decoding at the slot's position, in a transaction: skip what the
 * progress (applied, and held_back xids in an array) says is applied.
 */
extern void decoder_start(XLogRecPtr applied, const TransactionId *held_back, int nheld_back);
/* A transaction that is under way, and keeps the log from its beginning on. */
typedef struct LongTransaction
{
	TransactionId xid;
	Oid			database;
	int			pid;			/* 0: it is prepared */
} LongTransaction;

/*
 * The oldest transaction of this database that is under way in what was decoded;
 * false if there is none.  Those of other databases are forgotten, so that the
 * slot need not keep the log for them.  Outside of a batch.
 */
extern bool decoder_oldest_transaction(LongTransaction *result);

extern bool decoder_is_started(void);
/* Free everything, change sets included; outside of a transaction or in one. */
extern void decoder_stop(void);

extern XLogRecPtr decoder_position(void);

/*
 * The relations whose changes are wanted: ordinary tables, and partitioned
 * ones for all their leaves.  A list that differs from the one before raises
 * the number by which decoder_holds_older_interest() goes.
 */
extern void decoder_set_interest(List *relids);

/*
 * Decode up to the record that ends at or after upto, which must be flushed,
 * or until about DECODE_PART_SIZE of changes are there: then end is before
 * upto, and the caller goes on with the same snapshot.
 *
 * Transactions that the snapshot sees go into the result, others are held
 * back; those held back before that it now sees come first.
 */
extern void decoder_decode(Snapshot snapshot, XLogRecPtr upto, DecodeResult *result);

/*
 * The batch came to nothing before a change of this part was applied for good:
 * the next call of decoder_decode() yields its sets again.
 */
extern void decoder_give_back(DecodeResult *result);

/* Transactions held back. */
extern int	decoder_held_back_count(void);
extern TransactionId *decoder_held_back_xids(void); /* palloc'd */
extern XLogRecPtr decoder_oldest_held_back(void);	/* start of its commit record */
/* Was one of them decoded before the present interest? */
extern bool decoder_holds_older_interest(void);

/* Tell the slot that everything before lsn is applied and flushed. */
extern void decoder_confirm(XLogRecPtr lsn);

/* Fill in the output plugin's callbacks for the worker. */
extern void decoder_plugin_callbacks(OutputPluginCallbacks *cb);

#endif							/* FRESHET_DECODER_H */
