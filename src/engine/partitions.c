/*-------------------------------------------------------------------------
 *
 * partitions.c
 *		Partitions of sources that come and go.
 *
 * ATTACH, DETACH and DROP of a partition bring and take rows of which the log
 * has nothing.  The log has what was changed in a partition while it belonged
 * to the source, and that alone does not make the difference of two snapshots.
 *
 * So with each sink the partitions are stored that it has counted, by the rows
 * of pg_inherits that attach them.  Such a row comes with ATTACH (or CREATE
 * TABLE ... PARTITION OF), goes with DETACH, and is never made again: its xmin,
 * and those of the branches above, tell one attachment from the next.  A
 * partition with the attachment that is stored has belonged to the source all
 * the time, and all its changes are in the log.  Of the others:
 *
 * - One that was there and is not, or was attached anew: its rows of then are
 *	 not known any more.  The sink is filled.
 *
 * - One that was made as a partition, where it is, below a counted branch: it
 *	 was empty, so that its changes are all there is to it.  They count from the
 *	 first.  This is what daily partitions are; it costs nothing.
 *
 * - One that was attached: its rows at the snapshot are added, all of them, and
 *	 its changes are not fed, for they are in these rows.  If it is large the
 *	 sink is filled instead, which the filler does beside other batches.
 *
 * Changes of a partition that is not there at the snapshot, but was in between,
 * are not fed either.
 *
 * This holds if all that is read in the batch is of its snapshot.  In a batch
 * that is not aligned the partitions are of a time that the changes have not
 * reached; what was read of an attached one (a minimum, a document) would stay if
 * it was gone again before the changes get there.  So the sink is filled then.
 *
 * The catalogues are read under the snapshot, past the caches.  PostgreSQL's
 * queries go by the partitions of the moment.  One that was attached since the
 * snapshot may have been read, too, and may be gone again before the next: such
 * a batch is tried again.  (It cannot be gone before the end of this one, which
 * has locked the tables that it has read.)
 *
 * Looks are kept ("Look"), since a source may have a thousand partitions, and a
 * batch nothing to do with any.  One serves as long as no relation was invalidated.
 * The messages of a change that the snapshot sees may be still to come; but the
 * batch that sees it first has decoded it, or has had it held back, and both are
 * noticed.  If the batch is not aligned neither need be true, and it looks itself.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "common/hashfn.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "base/process.h"
#include "catalog/sink_catalog.h"
#include "partitions.h"

typedef struct Partition
{
	Oid			relid;
	Oid			attached;		/* see Partitions */
	int			source;
	bool		leaf;
	bool		counted;		/* its changes make the difference */
} Partition;

/*
 * Invalidations of relations, and how many there were before the snapshot;
 * nobody knows it in a filler, whose snapshot is older than its session.
 */
static uint64 changes_noticed = 1;
static uint64 noticed_before = 0;

/* What was found in a batch, and is so until something changes. */
typedef struct Look
{
	Oid			sink;			/* hash key */
	List	   *stored;			/* the sink's leaves and attachments then */
	List	   *attached;
	bool		aligned;
	uint64		batch;
	Partitions *found;
} Look;

static MemoryContext look_context = NULL;
static HTAB *looks = NULL;		/* Look, in look_context */
static uint64 looked_at = 0;	/* changes_noticed then */
static uint64 batch_number = 0; /* 0: in a filler, which looks once */

/* What is read. */
typedef struct PartitionTree
{
	const Sink *sink;
	Snapshot	snapshot;
	Relation	inherits;
	Relation	class;
	Relation	attribute;
	uint64	   *stored;			/* the sink's, sorted; see pair() */
	int			nstored;
	int			source;			/* being read */
	List	   *all;			/* Partition * */
	bool		has_new;		/* an attachment that is not stored */
} PartitionTree;

static char
relkind_at_snapshot(PartitionTree *tree, Oid relid)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char		relkind = '\0';

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(tree->class, ClassOidIndexId, true, tree->snapshot, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		relkind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;
	systable_endscan(scan);
	return relkind;
}

/*
 * Was the table made as a partition of the table whose partition it is now,
 * and has it been so ever since?
 *
 * ATTACH and DETACH change a row of pg_attribute for each column, in place of
 * which CREATE TABLE ... PARTITION OF makes it as it shall be; a row that was
 * never changed proves it.  Of all columns, since one that was added to the
 * parent later says nothing; those of the partition key cannot have been.
 */
static bool
was_made_in_place(PartitionTree *tree, Oid relid)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		unchanged = true;
	int			ncolumns = 0;

	ScanKeyInit(&key, Anum_pg_attribute_attrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(tree->attribute, AttributeRelidNumIndexId, true,
							  tree->snapshot, 1, &key);
	while (unchanged && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tuple);

		if (att->attnum <= 0 || att->attisdropped)
			continue;
		ncolumns++;
		unchanged = (tuple->t_data->t_infomask & HEAP_UPDATED) == 0 && att->attinhcount > 0;
	}
	systable_endscan(scan);
	return unchanged && ncolumns > 0;
}

static inline uint64
pair(Oid relid, Oid attached)
{
	return (uint64) relid << 32 | attached;
}

static int
compare_pairs(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return x < y ? -1 : x > y;
}

static void
sort_stored(PartitionTree *tree)
{
	ListCell   *lc;
	ListCell   *lc2;

	tree->stored = palloc(Max(list_length(tree->sink->leaves), 1) * sizeof(uint64));
	forboth(lc, tree->sink->leaves, lc2, tree->sink->attached)
		tree->stored[tree->nstored++] = pair(lfirst_oid(lc), lfirst_oid(lc2));
	qsort(tree->stored, tree->nstored, sizeof(uint64), compare_pairs);
}

static bool
is_among(const uint64 *pairs, int n, Oid relid, Oid attached)
{
	uint64		wanted = pair(relid, attached);

	return bsearch(&wanted, pairs, n, sizeof(uint64), compare_pairs) != NULL;
}

static bool
is_stored(const PartitionTree *tree, Oid relid, Oid attached)
{
	return is_among(tree->stored, tree->nstored, relid, attached);
}

static void
read_partitions(PartitionTree *tree, Oid parent, Oid attached, bool counted)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *children = NIL;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_inherits_inhparent, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(parent));
	scan = systable_beginscan(tree->inherits, InheritsParentIndexId, true, tree->snapshot,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_inherits link = (Form_pg_inherits) GETSTRUCT(tuple);
		TransactionId xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
		Partition  *child;

		if (link->inhdetachpending)
			continue;
		child = palloc(sizeof(Partition));
		child->relid = link->inhrelid;
		child->attached = hash_combine(attached, hash_bytes_uint32(xmin));
		child->source = tree->source;
		children = lappend(children, child);
	}
	systable_endscan(scan);

	foreach(lc, children)
	{
		Partition  *child = lfirst(lc);
		char		relkind = relkind_at_snapshot(tree, child->relid);

		child->leaf = relkind == RELKIND_RELATION;
		child->counted = is_stored(tree, child->relid, child->attached);
		if (!child->counted)
		{
			tree->has_new = true;
			child->counted = counted && was_made_in_place(tree, child->relid);
		}
		tree->all = lappend(tree->all, child);
		if (relkind == RELKIND_PARTITIONED_TABLE)
			read_partitions(tree, child->relid, child->attached, child->counted);
	}
	list_free(children);
}

static LeafSet *
counted_leaves(List *all, int source)
{
	LeafSet    *set = palloc(offsetof(LeafSet, relids) + list_length(all) * sizeof(Oid));
	ListCell   *lc;

	set->n = 0;
	foreach(lc, all)
	{
		Partition  *partition = lfirst(lc);

		if (partition->source == source && partition->leaf && partition->counted)
			set->relids[set->n++] = partition->relid;
	}
	qsort(set->relids, set->n, sizeof(Oid), oid_cmp);
	return set;
}

/* Is each that is stored still there? */
static bool
none_is_gone(const PartitionTree *tree)
{
	int			found = 0;
	ListCell   *lc;

	foreach(lc, tree->all)
	{
		Partition  *partition = lfirst(lc);

		if (is_stored(tree, partition->relid, partition->attached))
			found++;
	}
	return found == tree->nstored;
}

/* Would reading them within the batch hold up the other sinks for long? */
static bool
are_large(List *added)
{
	uint64		size = 0;
	ListCell   *lc;

	foreach(lc, added)
	{
		Oid			relid = ((AddedLeaf *) lfirst(lc))->relid;
		Relation	rel;

		process_lock_relation(relid, AccessShareLock);
		rel = try_table_open(relid, NoLock);
		if (rel == NULL)
			continue;
		size += (uint64) RelationGetNumberOfBlocks(rel) * BLCKSZ;
		table_close(rel, NoLock);
	}
	return size > (uint64) freshet_fill_threshold * 1024 * 1024;
}

/* Sort out what has been read. */
static void
compare(Partitions *partitions, const PartitionTree *tree, bool aligned)
{
	ListCell   *lc;

	foreach(lc, tree->all)
	{
		Partition  *partition = lfirst(lc);

		partitions->relids = lappend_oid(partitions->relids, partition->relid);
		partitions->attached = lappend_oid(partitions->attached, partition->attached);
		if (partition->leaf)
			partitions->leaves = lappend_oid(partitions->leaves, partition->relid);
		if (partition->leaf && !partition->counted)
		{
			AddedLeaf  *added = palloc(sizeof(AddedLeaf));

			added->source = partition->source;
			added->relid = partition->relid;
			partitions->added = lappend(partitions->added, added);
		}
	}

	partitions->changed = tree->has_new || list_length(tree->all) != tree->nstored;
	if (!partitions->changed)
		return;
	sink_catalog_refuse_partitions(partitions->leaves);
	partitions->lost = !none_is_gone(tree) ||
		(partitions->added != NIL && (!aligned || are_large(partitions->added)));
}

static void
read_tree(PartitionTree *tree, const Sink *sink, Snapshot snapshot, Partitions *partitions)
{
	memset(tree, 0, sizeof(PartitionTree));
	tree->sink = sink;
	tree->snapshot = snapshot;
	sort_stored(tree);
	tree->inherits = table_open(InheritsRelationId, AccessShareLock);
	tree->class = table_open(RelationRelationId, AccessShareLock);
	tree->attribute = table_open(AttributeRelationId, AccessShareLock);
	for (int i = 0; i < sink->plan->nsources; i++)
	{
		Oid			relid = sink->plan->sources[i].relid;
		LeafSet    *counted = NULL;

		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
		{
			tree->source = i;
			read_partitions(tree, relid, relid, true);
			counted = counted_leaves(tree->all, i);
		}
		partitions->counted = lappend(partitions->counted, counted);
	}
	table_close(tree->attribute, AccessShareLock);
	table_close(tree->class, AccessShareLock);
	table_close(tree->inherits, AccessShareLock);
}

/* An earlier look, if it is as good as one of now. */
static Partitions *
kept_look(const Sink *sink, bool aligned)
{
	const Look *look;

	if (looked_at != changes_noticed)
	{
		if (look_context != NULL)
			MemoryContextReset(look_context);
		looks = NULL;
		looked_at = changes_noticed;
	}
	look = looks == NULL ? NULL : hash_search(looks, &sink->relid, HASH_FIND, NULL);
	if (look == NULL || (look->batch != batch_number && !(look->aligned && aligned)) ||
		!equal(look->stored, sink->leaves) || !equal(look->attached, sink->attached))
		return NULL;
	return look->found;
}

static Partitions *
copy_unchanged(const Partitions *partitions)
{
	Partitions *copy = palloc0(sizeof(Partitions));
	ListCell   *lc;

	copy->relids = list_copy(partitions->relids);
	copy->attached = list_copy(partitions->attached);
	copy->leaves = list_copy(partitions->leaves);
	foreach(lc, partitions->counted)
	{
		const LeafSet *set = lfirst(lc);
		Size		size = set ? offsetof(LeafSet, relids) + set->n * sizeof(Oid) : 0;

		copy->counted = lappend(copy->counted, set ? memcpy(palloc(size), set, size) : NULL);
	}
	return copy;
}

static void
keep_look(const Sink *sink, bool aligned, const Partitions *partitions)
{
	MemoryContext oldcontext;
	Look	   *look;

	/* what changed is about to be stored, and the next look is another */
	if (batch_number == 0 || partitions->changed || looked_at != changes_noticed)
		return;
	if (look_context == NULL)
		look_context = AllocSetContextCreate(TopMemoryContext, "freshet partitions",
											 ALLOCSET_DEFAULT_SIZES);
	if (looks == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(Look);
		ctl.hcxt = look_context;
		looks = hash_create("freshet looks at partitions", 64, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	oldcontext = MemoryContextSwitchTo(look_context);
	look = hash_search(looks, &sink->relid, HASH_ENTER, NULL);
	look->stored = list_copy(sink->leaves);
	look->attached = list_copy(sink->attached);
	look->aligned = aligned;
	look->batch = batch_number;
	look->found = copy_unchanged(partitions);
	MemoryContextSwitchTo(oldcontext);
}

void
partitions_forget(void)
{
	changes_noticed++;
}

Partitions *
partitions_look(const Sink *sink, bool aligned)
{
	Partitions *partitions = kept_look(sink, aligned);
	PartitionTree tree;

	if (partitions != NULL)
		return partitions;
	partitions = palloc0(sizeof(Partitions));
	read_tree(&tree, sink, GetActiveSnapshot(), partitions);
	compare(partitions, &tree, aligned);
	keep_look(sink, aligned, partitions);
	return partitions;
}

void
partitions_note(Sink *sink, const Partitions *partitions)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(sink->context);

	sink->leaves = list_copy(partitions->relids);
	sink->attached = list_copy(partitions->attached);
	MemoryContextSwitchTo(oldcontext);
}

static void
partition_changed(Datum arg, Oid relid)
{
	changes_noticed++;
}

void
partitions_before_snapshot(void)
{
	static bool registered = false;

	if (!registered)
		CacheRegisterRelcacheCallback(partition_changed, (Datum) 0);
	registered = true;
	noticed_before = changes_noticed;
	batch_number++;
}

/* Is there an attachment that the active snapshot does not see? */
static bool
was_attached_since(const Sink *sink)
{
	Partitions	partitions = {0};
	PartitionTree seen;
	PartitionTree newest;
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	uint64	   *pairs;
	ListCell   *lc;
	bool		found = true;

	read_tree(&seen, sink, GetActiveSnapshot(), &partitions);
	read_tree(&newest, sink, snapshot, &partitions);
	UnregisterSnapshot(snapshot);

	pairs = palloc(Max(list_length(seen.all), 1) * sizeof(uint64));
	foreach(lc, seen.all)
	{
		Partition  *partition = lfirst(lc);

		pairs[foreach_current_index(lc)] = pair(partition->relid, partition->attached);
	}
	qsort(pairs, list_length(seen.all), sizeof(uint64), compare_pairs);
	foreach(lc, newest.all)
	{
		Partition  *partition = lfirst(lc);

		found = is_among(pairs, list_length(seen.all), partition->relid, partition->attached);
		if (!found)
			break;
	}
	return !found;
}

void
partitions_check(List *sinks)
{
	ListCell   *lc;

	AcceptInvalidationMessages();
	if (changes_noticed == noticed_before)
		return;
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (sink->planned && was_attached_since(sink))
			process_retry(ERRCODE_T_R_SERIALIZATION_FAILURE,
						 "a partition was attached to a source while its sinks were maintained");
	}
}
