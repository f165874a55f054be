/*-------------------------------------------------------------------------
 *
 * feed.c
 *		Feed the rows of changes, or of a whole table, to a consumer.
 *
 * Rows come in a slot whose descriptor may differ from call to call: the
 * table may have been altered between two changes, and a partition may number
 * its columns otherwise (those are converted).  Columns that a definition
 * uses keep number and type, because the definition's view depends on them.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/tupconvert.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "change_set.h"
#include "base/process.h"
#include "feed.h"

/* The columns whose old values the sink needs must be in the old row. */
static void
check_identity(const FeedTarget *target, const ChangeLayout *layout)
{
	const SourceUse *source = &target->sink->plan->sources[target->source];
	Oid			relid = layout->relid;
	char	   *name;

	if (layout->identity_full || bms_is_subset(source->identity_attrs, layout->identity_attrs))
		return;

	if (get_rel_name(relid) == NULL)
		relid = source->relid;
	name = quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)),
									  get_rel_name(relid));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("a row of %s was changed while its replica identity lacked columns that "
					"the sink uses", name),
			 errdetail("Run ALTER TABLE %s REPLICA IDENTITY FULL, then freshet.rebuild_sink().",
					   name)));
}

static inline void
feed_row(const FeedTarget *targets, int ntargets, TupleTableSlot *slot, int sign, Oid *blame)
{
	for (int i = 0; i < ntargets; i++)
	{
		*blame = targets[i].sink->relid;
		targets[i].consumer->row(targets[i].consumer, targets[i].source, slot, sign);
	}
}

/* The columns that a delta sink uses are those of the identity: no change. */
static void
feed_same_identity(const FeedTarget *targets, int ntargets, TupleTableSlot *slot, Oid *blame)
{
	for (int i = 0; i < ntargets; i++)
	{
		if (targets[i].consumer->wants_same_identity)
			feed_row(&targets[i], 1, slot, 1, blame);
	}
}

static void
feed_list(const FeedTarget *targets, int ntargets, ChangeList *list, Oid *blame)
{
	ChangeIterator it;
	Change		change;
	ChangeLayout *layout = NULL;
	TupleTableSlot *slot = NULL;
	bool		checked = false;
	int			n = 0;

	change_iterator_begin(&it, list);
	while (change_iterator_next(&it, &change))
	{
		if ((++n & 1023) == 0)
		{
			process_check_stop();
			CHECK_FOR_INTERRUPTS();
		}

		if (change.kind == CHANGE_TRUNCATE)
		{
			for (int i = 0; i < ntargets; i++)
			{
				*blame = targets[i].sink->relid;
				targets[i].consumer->truncate(targets[i].consumer, targets[i].source);
			}
			continue;
		}

		if (change.layout != layout)
		{
			if (slot != NULL)
				ExecDropSingleTupleTableSlot(slot);
			layout = change.layout;
			slot = MakeSingleTupleTableSlot(layout->desc, &TTSOpsHeapTuple);
			checked = false;
		}
		if (!checked && (change.has_old || change.kind != CHANGE_ROW))
		{
			for (int i = 0; i < ntargets; i++)
			{
				*blame = targets[i].sink->relid;
				check_identity(&targets[i], layout);
			}
			checked = true;
		}

		if (change.kind == CHANGE_SAME_IDENTITY)
		{
			ExecStoreHeapTuple(&change.new, slot, false);
			feed_same_identity(targets, ntargets, slot, blame);
			continue;
		}
		if (change.kind == CHANGE_BLIND_DELETE)
		{
			/* the sinks use no column at all: any row will do */
			feed_row(targets, ntargets, ExecStoreAllNullTuple(slot), -1, blame);
			continue;
		}
		if (change.has_old)
		{
			ExecStoreHeapTuple(&change.old, slot, false);
			feed_row(targets, ntargets, slot, -1, blame);
		}
		if (change.has_new)
		{
			ExecStoreHeapTuple(&change.new, slot, false);
			feed_row(targets, ntargets, slot, 1, blame);
		}
	}
	change_iterator_end(&it);
	if (slot != NULL)
		ExecDropSingleTupleTableSlot(slot);
}

int64
feed_changes(const FeedTarget *targets, int ntargets, List *lists, Oid *blame)
{
	int64		count = 0;
	ListCell   *lc;

	foreach(lc, lists)
	{
		feed_list(targets, ntargets, lfirst(lc), blame);
		count += change_list_count(lfirst(lc));
	}
	return count;
}

static int64
feed_relation(Relation rel, Relation root, Snapshot snapshot, RowConsumer *consumer,
			  SinkStats *stats)
{
	TableScanDesc scan;
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	TupleTableSlot *root_slot = NULL;
	AttrMap    *map = NULL;
	int64		count = 0;

	if (rel != root)
	{
		TupleConversionMap *conversion = convert_tuples_by_name(RelationGetDescr(rel),
																RelationGetDescr(root));

		map = conversion ? conversion->attrMap : NULL;
		root_slot = MakeSingleTupleTableSlot(RelationGetDescr(root), &TTSOpsVirtual);
	}

	scan = table_beginscan(rel, snapshot, 0, NULL);
	while (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		if (map != NULL)
			consumer->row(consumer, 0, execute_attr_map_slot(map, slot, root_slot), 1);
		else
			consumer->row(consumer, 0, slot, 1);

		if ((++count & 1023) == 0)
		{
			if (stats != NULL)
				stats->rows_done += 1024;
			process_check_stop();
			CHECK_FOR_INTERRUPTS();
		}
	}
	table_endscan(scan);

	ExecDropSingleTupleTableSlot(slot);
	if (root_slot != NULL)
		ExecDropSingleTupleTableSlot(root_slot);
	return count;
}

/* The newest row of pg_class tells when the table got its present file. */
static void
check_not_rewritten(Oid relid)
{
	HeapTuple	tuple;
	TransactionId xmin;

	process_lock_relation(relid, AccessShareLock);
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		return;
	xmin = HeapTupleHeaderGetXmin(tuple->t_data);
	ReleaseSysCache(tuple);
	if (TransactionIdIsNormal(xmin) && !TransactionIdIsCurrentTransactionId(xmin) &&
		XidInMVCCSnapshot(xmin, GetActiveSnapshot()))
		process_retry(ERRCODE_T_R_SERIALIZATION_FAILURE,
					 "a table was altered while a sink was about to read it");
}

void
feed_check_sources(const Sink *sink, List *leaves)
{
	ListCell   *lc;

	for (int i = 0; i < sink->plan->nsources; i++)
		check_not_rewritten(sink->plan->sources[i].relid);
	foreach(lc, leaves)
		check_not_rewritten(lfirst_oid(lc));
}

int64
feed_table(const Sink *sink, List *leaves, Snapshot snapshot, RowConsumer *consumer,
		   SinkStats *stats)
{
	Relation	root;
	int64		count = 0;
	ListCell   *lc;

	feed_check_sources(sink, leaves);
	root = table_open(sink->plan->sources[0].relid, NoLock);
	if (root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		count = feed_relation(root, root, snapshot, consumer, stats);

	foreach(lc, leaves)
	{
		Relation	leaf = try_table_open(lfirst_oid(lc), AccessShareLock);

		/* dropped since the snapshot: the next batch takes its rows away */
		if (leaf == NULL)
			continue;
		count += feed_relation(leaf, root, snapshot, consumer, stats);
		table_close(leaf, NoLock);
	}

	table_close(root, NoLock);
	return count;
}

/* Attaching makes a new row of pg_inherits, by another transaction. */
static const char leaves_query[] =
"WITH RECURSIVE part (oid, chain) AS ("
"  SELECT inhrelid, xmin::pg_catalog.text FROM pg_catalog.pg_inherits "
"  WHERE inhparent = $1 AND NOT inhdetachpending "
"  UNION ALL SELECT i.inhrelid, p.chain || ',' || i.xmin::pg_catalog.text "
"  FROM pg_catalog.pg_inherits i "
"  JOIN part p ON i.inhparent = p.oid AND NOT i.inhdetachpending) "
"SELECT c.oid, pg_catalog.hashtext(part.chain)::pg_catalog.oid "
"FROM pg_catalog.pg_class c JOIN part USING (oid) "
"WHERE c.relkind = 'r' ORDER BY c.oid";

static void
append_leaves(Oid relid, List **leaves, List **attached)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	Oid			argtypes[1] = {OIDOID};
	Datum		args[1];

	args[0] = ObjectIdGetDatum(relid);
	SPI_connect();
	if (SPI_execute_with_args(leaves_query, 1, argtypes, args, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the partitions of a source");

	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		Datum		oid = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull);
		Datum		number = SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull);
		MemoryContext spicontext = MemoryContextSwitchTo(oldcontext);

		*leaves = lappend_oid(*leaves, DatumGetObjectId(oid));
		*attached = lappend_oid(*attached, DatumGetObjectId(number));
		MemoryContextSwitchTo(spicontext);
	}
	SPI_finish();
}

List *
feed_leaves(const Sink *sink, List **attached)
{
	List	   *leaves = NIL;

	*attached = NIL;
	for (int i = 0; i < sink->plan->nsources; i++)
	{
		Oid			relid = sink->plan->sources[i].relid;

		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			append_leaves(relid, &leaves, attached);
	}
	return leaves;
}
