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
#include "unread.h"

/* The columns whose old values the sink needs must be in the old row. */
static void
check_identity(const FeedTarget *target, const ChangeLayout *layout)
{
	const SourceUse *source = plan_source_of(target->sink->plan, target->occurrence);
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

static int
compare_oids(const void *a, const void *b)
{
	Oid			x = *(const Oid *) a;
	Oid			y = *(const Oid *) b;

	return x < y ? -1 : x > y;
}

/*
 * Those of the targets for which the changes of a table count: all, but for a
 * partition that has come or gone (partitions.c of the engine).
 */
static int
choose_targets(const FeedTarget *targets, int ntargets, Oid relid, FeedTarget *chosen)
{
	int			n = 0;

	for (int i = 0; i < ntargets; i++)
	{
		const LeafSet *counted = targets[i].counted;

		if (counted == NULL ||
			relid == plan_source_of(targets[i].sink->plan, targets[i].occurrence)->relid ||
			bsearch(&relid, counted->relids, counted->n, sizeof(Oid), compare_oids) != NULL)
			chosen[n++] = targets[i];
	}
	return n;
}

/* The feeding of a list of changes. */
typedef struct ListFeed
{
	const FeedTarget *all_targets;
	int			nall;
	Oid		   *blame;

	/* of rows with the present layout */
	int			ntargets;		/* those for which they count */
	FeedTarget *targets;
	ChangeLayout *layout;
	TupleTableSlot *old_slot;
	TupleTableSlot *new_slot;
	UpdateColumns *columns;
	Bitmapset **read;			/* by target: the columns that it reads */
	bool		checked;		/* by check_identity() */
} ListFeed;

static void
end_layout(ListFeed *feed)
{
	if (feed->old_slot == NULL)
		return;
	ExecDropSingleTupleTableSlot(feed->old_slot);
	ExecDropSingleTupleTableSlot(feed->new_slot);
}

static void
begin_layout(ListFeed *feed, ChangeLayout *layout)
{
	end_layout(feed);
	feed->layout = layout;
	feed->ntargets = choose_targets(feed->all_targets, feed->nall, layout->relid, feed->targets);
	feed->old_slot = MakeSingleTupleTableSlot(layout->desc, &TTSOpsHeapTuple);
	feed->new_slot = MakeSingleTupleTableSlot(layout->desc, &TTSOpsHeapTuple);
	feed->columns = unread_create(layout->desc);
	for (int i = 0; i < feed->ntargets; i++)
		feed->read[i] = unread_columns(feed->targets[i].sink->plan,
									   feed->targets[i].occurrence, layout->desc);
	feed->checked = false;
}

static void
check_identities(ListFeed *feed)
{
	for (int i = 0; i < feed->ntargets; i++)
	{
		*feed->blame = feed->targets[i].sink->relid;
		check_identity(&feed->targets[i], feed->layout);
	}
	feed->checked = true;
}

static inline void
feed_row(ListFeed *feed, int i, TupleTableSlot *slot, int sign)
{
	RowConsumer *consumer = feed->targets[i].consumer;

	*feed->blame = feed->targets[i].sink->relid;
	consumer->row(consumer, feed->targets[i].occurrence, slot, sign);
}

/*
 * The log has no old row, since no column of the identity was changed.  Those
 * that a delta sink uses are among these.
 */
static void
feed_same_identity(ListFeed *feed, Change *change)
{
	ExecStoreHeapTuple(&change->new, feed->new_slot, false);
	for (int i = 0; i < feed->ntargets; i++)
	{
		if (feed->targets[i].consumer->wants_same_identity &&
			!bms_is_subset(feed->read[i], feed->layout->identity_attrs))
			feed_row(feed, i, feed->new_slot, 1);
	}
}

static void
feed_update(ListFeed *feed, Change *change)
{
	ExecStoreHeapTuple(&change->old, feed->old_slot, false);
	ExecStoreHeapTuple(&change->new, feed->new_slot, false);
	unread_begin(feed->columns, feed->old_slot, feed->new_slot);
	for (int i = 0; i < feed->ntargets; i++)
	{
		if (unread_is_same(feed->columns, feed->read[i]))
			continue;
		feed_row(feed, i, feed->old_slot, -1);
		feed_row(feed, i, feed->new_slot, 1);
	}
}

static void
feed_change(ListFeed *feed, Change *change)
{
	TupleTableSlot *slot = feed->new_slot;

	if (change->kind == CHANGE_SAME_IDENTITY)
	{
		feed_same_identity(feed, change);
		return;
	}
	if (change->has_old && change->has_new)
	{
		feed_update(feed, change);
		return;
	}

	/* the sinks use no column of a row that the log lacks: any will do */
	if (change->kind == CHANGE_BLIND_DELETE)
		ExecStoreAllNullTuple(slot);
	else
		ExecStoreHeapTuple(change->has_old ? &change->old : &change->new, slot, false);
	for (int i = 0; i < feed->ntargets; i++)
		feed_row(feed, i, slot, change->has_new ? 1 : -1);
}

static void
feed_list(const FeedTarget *targets, int ntargets, ChangeList *list, Oid *blame)
{
	ListFeed	feed = {.all_targets = targets,.nall = ntargets,.blame = blame};
	ChangeIterator it;
	Change		change;
	int			n = 0;

	feed.targets = palloc(ntargets * sizeof(FeedTarget));
	feed.read = palloc(ntargets * sizeof(Bitmapset *));
	change_iterator_begin(&it, list);
	while (change_iterator_next(&it, &change))
	{
		process_step();
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
				targets[i].consumer->truncate(targets[i].consumer, targets[i].occurrence);
			}
			continue;
		}

		if (change.layout != feed.layout)
			begin_layout(&feed, change.layout);
		if (feed.ntargets == 0)
			continue;
		if (!feed.checked && (change.has_old || change.kind != CHANGE_ROW))
			check_identities(&feed);
		feed_change(&feed, &change);
	}
	change_iterator_end(&it);
	end_layout(&feed);
	pfree(feed.targets);
	pfree(feed.read);
}

int64
feed_changes(const Feed *feed, List *sets, Oid *blame)
{
	int64		count = 0;
	ListCell   *lc;

	foreach(lc, change_sets_get_lists(sets, feed->relid))
	{
		feed_list(feed->targets, feed->ntargets, lfirst(lc), blame);
		count += change_list_count(lfirst(lc));
	}
	return count;
}

static int64
feed_relation(Relation rel, Relation root, int occurrence, Snapshot snapshot,
			  RowConsumer *consumer, int64 *rows_done)
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
			consumer->row(consumer, occurrence, execute_attr_map_slot(map, slot, root_slot), 1);
		else
			consumer->row(consumer, occurrence, slot, 1);

		process_step();
		if ((++count & 1023) == 0)
		{
			if (rows_done != NULL)
				*rows_done += 1024;
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
void
feed_check_relation(Oid relid)
{
	HeapTuple	tuple;
	TransactionId xmin;

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
feed_lock_sources(const Sink *sink, List *leaves)
{
	ListCell   *lc;

	for (int i = 0; i < sink->plan->nsources; i++)
		process_lock_tree(sink->plan->sources[i].relid, AccessShareLock);
	foreach(lc, leaves)
		process_lock_relation(lfirst_oid(lc), AccessShareLock);
	foreach(lc, sink->views)
		process_lock_relation(lfirst_oid(lc), AccessShareLock);
	process_lock_relation(sink->viewid, AccessShareLock);
}

void
feed_check_sources(const Sink *sink, List *leaves)
{
	ListCell   *lc;

	feed_lock_sources(sink, leaves);
	for (int i = 0; i < sink->plan->nsources; i++)
		feed_check_relation(sink->plan->sources[i].relid);
	foreach(lc, leaves)
		feed_check_relation(lfirst_oid(lc));
}

int64
feed_table(const Sink *sink, int occurrence, List *leaves, Snapshot snapshot,
		   RowConsumer *consumer, int64 *rows_done)
{
	Relation	root;
	int64		count = 0;
	ListCell   *lc;

	feed_check_sources(sink, leaves);
	root = table_open(plan_source_of(sink->plan, occurrence)->relid, NoLock);
	if (root->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		count = feed_relation(root, root, occurrence, snapshot, consumer, rows_done);

	foreach(lc, leaves)
	{
		Relation	leaf = try_table_open(lfirst_oid(lc), NoLock);

		/* dropped since the snapshot: the next batch takes its rows away */
		if (leaf == NULL)
			continue;
		count += feed_relation(leaf, root, occurrence, snapshot, consumer, rows_done);
		table_close(leaf, NoLock);
	}

	table_close(root, NoLock);
	return count;
}

int64
feed_leaf(const Sink *sink, int occurrence, Oid relid, Snapshot snapshot,
		  RowConsumer *consumer)
{
	Relation	leaf;
	Relation	root;
	int64		count;

	process_lock_relation(relid, AccessShareLock);
	process_lock_relation(plan_source_of(sink->plan, occurrence)->relid, AccessShareLock);
	leaf = try_table_open(relid, NoLock);

	/* dropped since the snapshot: the next batch takes its rows away */
	if (leaf == NULL)
		return 0;
	root = table_open(plan_source_of(sink->plan, occurrence)->relid, NoLock);
	count = feed_relation(leaf, root, occurrence, snapshot, consumer, NULL);
	table_close(root, NoLock);
	table_close(leaf, NoLock);
	return count;
}
