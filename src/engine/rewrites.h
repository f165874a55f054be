/*-------------------------------------------------------------------------
 *
 * rewrites.h
 *		Changes of a table's rows that are not in the log.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_REWRITES_H
#define FRESHET_REWRITES_H

#include "postgres.h"

#include "access/xlogreader.h"
#include "nodes/pg_list.h"
#include "replication/reorderbuffer.h"
#include "utils/relcache.h"

#include "maintain/change_set.h"

/* Look at a record, before it is decoded. */
extern void rewrites_note_record(XLogReaderState *reader);

/*
 * At the end of a transaction that is replayed, under its historic snapshot: set
 * the lists of those sources unknown whose rows it may have changed without
 * logging them.  set may be NULL, if nobody wants to know.
 */
extern void rewrites_end_transaction(ReorderBufferTXN *txn, List *sources, ChangeSet *set);

/* May ALTER TABLE write the rows anew with other values in their columns? */
extern bool rewrites_may_change(Relation rel);

/* Decoding has ended. */
extern void rewrites_forget(void);

#endif							/* FRESHET_REWRITES_H */
