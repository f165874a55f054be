/*-------------------------------------------------------------------------
 *
 * rewrites.c
 *		Changes of a table's rows that are not in the log.
 *
 * While a table is unlogged the log has nothing of what is done to it.  A table
 * that is SET UNLOGGED, changed and SET LOGGED between two snapshots looks to
 * both as if it had been rewritten, as VACUUM FULL does it.  But unlogged
 * storage has an initialization fork, and its making is logged, with the
 * transaction that made it: a physical record, which decoding passes over.  So
 * we look at the records that make storage.  If a transaction has made unlogged
 * storage, then each source, and partition of a source, whose file it has made
 * is one that may have changed unseen; this is judged at the transaction's end,
 * by its own view of pg_class.  A table that stays unlogged is caught by the
 * check of sources; one that is made logged again was made unlogged before,
 * in this transaction or an earlier one.
 *
 * Whatever may be turned off, be it event triggers or hooks of this library,
 * the log has it.
 *
 * ALTER TABLE may rewrite a table.  Columns that a definition uses keep type
 * and value, but for stored generated ones whose expression is set anew
 * (PostgreSQL 17).  The rows that it writes are logged under a name of their
 * own, and come to the decoder as those of a rewrite; VACUUM FULL and CLUSTER
 * log none.
 *
 * The storage that is noted lives in a memory context of its own until its
 * transaction ends, or decoding does.  After a restart the log is read from
 * before the first record of every transaction that has not been replayed.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/storage_xlog.h"
#include "common/relpath.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/process.h"
#include "rewrites.h"

typedef struct NewStorage
{
	TransactionId xid;			/* or of a subtransaction */
	Oid			filenode;
	bool		unlogged;
} NewStorage;

static NewStorage *storages = NULL; /* in TopMemoryContext */
static int	nstorages = 0;
static int	max_storages = 0;

static void
add_storage(TransactionId xid, Oid filenode, bool unlogged)
{
	if (nstorages == max_storages)
	{
		max_storages = Max(max_storages * 2, 16);
		if (storages == NULL)
			storages = MemoryContextAlloc(TopMemoryContext, max_storages * sizeof(NewStorage));
		else
			storages = repalloc(storages, max_storages * sizeof(NewStorage));
	}
	storages[nstorages].xid = xid;
	storages[nstorages].filenode = filenode;
	storages[nstorages].unlogged = unlogged;
	nstorages++;
}

static void
remove_storages(TransactionId xid)
{
	int			n = 0;

	for (int i = 0; i < nstorages; i++)
	{
		if (storages[i].xid != xid)
			storages[n++] = storages[i];
	}
	nstorages = n;
}

void
rewrites_forget(void)
{
	if (storages != NULL)
		pfree(storages);
	storages = NULL;
	nstorages = max_storages = 0;
}

static void
note_storage(XLogReaderState *reader)
{
	xl_smgr_create *create = (xl_smgr_create *) XLogRecGetData(reader);

	if (freshet_create_database(create) != MyDatabaseId)
		return;
	if (create->forkNum == MAIN_FORKNUM || create->forkNum == INIT_FORKNUM)
		add_storage(XLogRecGetXid(reader), freshet_create_filenode(create),
					create->forkNum == INIT_FORKNUM);
}

static void
note_abort(XLogReaderState *reader)
{
	xl_xact_parsed_abort parsed;

	ParseAbortRecord(XLogRecGetInfo(reader), (xl_xact_abort *) XLogRecGetData(reader), &parsed);
	remove_storages(TransactionIdIsValid(parsed.twophase_xid) ? parsed.twophase_xid :
					XLogRecGetXid(reader));
	for (int i = 0; i < parsed.nsubxacts; i++)
		remove_storages(parsed.subxacts[i]);
}

void
rewrites_note_record(XLogReaderState *reader)
{
	uint8		info;

	if (XLogRecGetRmid(reader) == RM_SMGR_ID)
	{
		info = XLogRecGetInfo(reader) & ~XLR_INFO_MASK;
		if (info == XLOG_SMGR_CREATE)
			note_storage(reader);
	}
	else if (nstorages > 0 && XLogRecGetRmid(reader) == RM_XACT_ID)
	{
		info = XLogRecGetInfo(reader) & XLOG_XACT_OPMASK;
		if (info == XLOG_XACT_ABORT || info == XLOG_XACT_ABORT_PREPARED)
			note_abort(reader);
	}
}

static bool
is_part_of(ReorderBufferTXN *txn, TransactionId xid)
{
	dlist_iter	iter;

	if (xid == txn->xid)
		return true;
	dlist_foreach(iter, &txn->subtxns)
	{
		if (dlist_container(ReorderBufferTXN, node, iter.cur)->xid == xid)
			return true;
	}
	return false;
}

/* Is the table's file, as the historic snapshot has it, one of these? */
static bool
has_file_of(Oid relid, const Oid *filenodes, int n)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	bool		result = false;

	if (!HeapTupleIsValid(tuple))
		return false;
	for (int i = 0; i < n; i++)
		result |= ((Form_pg_class) GETSTRUCT(tuple))->relfilenode == filenodes[i];
	ReleaseSysCache(tuple);
	return result;
}

/* No locks: the catalogues are those of the past. */
static bool
was_unlogged(Oid source, const Oid *filenodes, int n)
{
	ListCell   *lc;

	if (get_rel_relkind(source) != RELKIND_PARTITIONED_TABLE)
		return has_file_of(source, filenodes, n);
	foreach(lc, process_tree_of(source))
	{
		if (has_file_of(lfirst_oid(lc), filenodes, n))
			return true;
	}
	return false;
}

void
rewrites_end_transaction(ReorderBufferTXN *txn, List *sources, ChangeSet *set)
{
	Oid		   *filenodes;
	bool		unlogged = false;
	int			n = 0;
	int			left = 0;
	ListCell   *lc;

	if (nstorages == 0)
		return;

	filenodes = palloc(nstorages * sizeof(Oid));
	for (int i = 0; i < nstorages; i++)
	{
		if (!is_part_of(txn, storages[i].xid))
		{
			storages[left++] = storages[i];
			continue;
		}
		filenodes[n++] = storages[i].filenode;
		unlogged |= storages[i].unlogged;
	}
	nstorages = left;

	foreach(lc, sources)
	{
		if (unlogged && set != NULL && was_unlogged(lfirst_oid(lc), filenodes, n))
			change_list_set_unknown(change_set_get_list(set, lfirst_oid(lc), true));
	}
	pfree(filenodes);
}

bool
rewrites_may_change(Relation rel)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	return constr != NULL && constr->has_generated_stored;
}
