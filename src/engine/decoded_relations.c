/*-------------------------------------------------------------------------
 *
 * decoded_relations.c
 *		What the decoder knows of the relations whose changes it meets.
 *
 * A change of a table, or of a leaf, is listed under every source that it
 * belongs to: itself, the partitioned tables above it.  Which these are, how
 * the leaf's rows are converted and how they are laid out is found out once for
 * a relation, under the historic snapshot of the callback that meets it, and
 * holds until an invalidation.
 *
 * Most relations of a database mean nothing to any sink, and many are made to
 * be dropped: those have an entry without memory of its own, and what is out of
 * date is swept when it is much, between two calls of the decoder.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/tupconvert.h"
#include "catalog/partition.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "decoded_relations.h"
#include "rewrites.h"

/* Entries out of date that are worth a sweep. */
#define SWEEP_RELATIONS	64

static MemoryContext relations_context = NULL;
static HTAB *relations = NULL;
static int	ninvalid = 0;		/* of these, about */
static DecodedRelation *last_relation = NULL;	/* of the change before */
static List *interest = NIL;	/* in relations_context */

static void
invalidate(DecodedRelation *entry)
{
	if (entry->valid)
		ninvalid++;
	entry->valid = false;
}

static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS seq;
	DecodedRelation *entry;

	if (relations == NULL)
		return;
	if (OidIsValid(relid))
	{
		entry = hash_search(relations, &relid, HASH_FIND, NULL);
		if (entry != NULL)
			invalidate(entry);
		return;
	}
	hash_seq_init(&seq, relations);
	while ((entry = hash_seq_search(&seq)) != NULL)
		invalidate(entry);
}

void
decoded_relations_start(MemoryContext context)
{
	static bool callback_registered = false;
	HASHCTL		ctl;

	if (!callback_registered)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	callback_registered = true;

	relations_context = context;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(DecodedRelation);
	ctl.hcxt = context;
	relations = hash_create("freshet decoded relations", 128, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

void
decoded_relations_stop(void)
{
	relations_context = NULL;
	relations = NULL;
	ninvalid = 0;
	last_relation = NULL;
	interest = NIL;
}

bool
decoded_relations_set_interest(List *relids)
{
	MemoryContext oldcontext;

	if (list_difference_oid(relids, interest) == NIL &&
		list_difference_oid(interest, relids) == NIL)
		return false;

	oldcontext = MemoryContextSwitchTo(relations_context);
	list_free(interest);
	interest = list_copy(relids);
	MemoryContextSwitchTo(oldcontext);
	relation_changed((Datum) 0, InvalidOid);
	return true;
}

List *
decoded_relations_interest(void)
{
	return interest;
}

static Bitmapset *
identity_columns(Relation rel)
{
	Bitmapset  *attrs = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	Bitmapset  *result = NULL;
	int			x = -1;

	while ((x = bms_next_member(attrs, x)) >= 0)
		result = bms_add_member(result, x + FirstLowInvalidHeapAttributeNumber);
	bms_free(attrs);
	return result;
}

/*
 * The layout of rows of "rows_of" (a root), as identified by "identity_of"
 * (the leaf whose changes were logged).
 */
static ChangeLayout *
make_layout(Relation rows_of, Relation identity_of, bool full)
{
	Bitmapset  *attrs = full ? NULL : identity_columns(identity_of);

	if (identity_of != rows_of && attrs != NULL)
	{
		/* numbers of the leaf's columns to those of the root */
		Bitmapset  *mapped = NULL;
		int			attno = -1;

		while ((attno = bms_next_member(attrs, attno)) >= 0)
		{
			Form_pg_attribute att = TupleDescAttr(RelationGetDescr(identity_of), attno - 1);
			AttrNumber	root_attno = get_attnum(RelationGetRelid(rows_of), NameStr(att->attname));

			if (AttributeNumberIsValid(root_attno))
				mapped = bms_add_member(mapped, root_attno);
		}
		attrs = mapped;
	}
	return change_layout(RelationGetRelid(identity_of), RelationGetDescr(rows_of), full, attrs);
}

static void
add_decoded_target(DecodedRelation *entry, Relation rel, Oid source)
{
	DecodedTarget *target = palloc0(sizeof(DecodedTarget));
	bool		full = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
	Relation	root;

	target->source = source;
	if (source == RelationGetRelid(rel))
		target->layout = make_layout(rel, rel, full);
	else
	{
		root = RelationIdGetRelation(source);
		if (!RelationIsValid(root))
			elog(ERROR, "could not open relation with OID %u", source);
		target->layout = make_layout(root, rel, full);
		target->map = convert_tuples_by_name(CreateTupleDescCopyConstr(RelationGetDescr(rel)),
											 target->layout->desc);
		RelationClose(root);
	}
	change_layout_keep(target->layout);
	entry->targets = lappend(entry->targets, target);
}

static void
forget_relation(DecodedRelation *entry)
{
	ListCell   *lc;

	foreach(lc, entry->targets)
	{
		DecodedTarget *target = lfirst(lc);

		if (target->layout != NULL)
			change_layout_let_go(target->layout);
	}
	entry->targets = NIL;
	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	entry->context = NULL;
}

/* Those that were dropped, too, were invalidated, and are never met again. */
void
decoded_relations_sweep(void)
{
	HASH_SEQ_STATUS seq;
	DecodedRelation *entry;

	if (ninvalid < SWEEP_RELATIONS)
		return;
	hash_seq_init(&seq, relations);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		if (entry->valid)
			continue;
		forget_relation(entry);
		(void) hash_search(relations, &entry->relid, HASH_REMOVE, NULL);
	}
	last_relation = NULL;
	ninvalid = 0;
}

/* Of a relation and those above it, the ones that are sources. */
static List *
interesting(Oid relid, Relation rel)
{
	List	   *relids = list_make1_oid(relid);
	ListCell   *lc;

	if (rel->rd_rel->relispartition)
		relids = list_concat(relids, get_partition_ancestors(relid));
	foreach(lc, relids)
	{
		if (!list_member_oid(interest, lfirst_oid(lc)))
			relids = foreach_delete_current(relids, lc);
	}
	return relids;
}

/*
 * The rows that ALTER TABLE writes anew come as those of a table that is made
 * for them.  They say only that a source may have other rows than before.
 */
static void
examine_rewrite(DecodedRelation *entry, Oid relid)
{
	Relation	rel = RelationIdGetRelation(relid);
	ListCell   *lc;

	if (!RelationIsValid(rel))
		return;
	if (rewrites_may_change(rel))
	{
		foreach(lc, interesting(relid, rel))
		{
			DecodedTarget *target = palloc0(sizeof(DecodedTarget));

			target->source = lfirst_oid(lc);
			entry->targets = lappend(entry->targets, target);
		}
	}
	RelationClose(rel);
}

/* Find out about a relation, under the historic snapshot of a callback. */
static void
examine_relation(DecodedRelation *entry, Relation rel)
{
	MemoryContext oldcontext;
	ListCell   *lc;

	forget_relation(entry);
	entry->valid = true;
	entry->rewrite = OidIsValid(rel->rd_rel->relrewrite);
	entry->context = AllocSetContextCreate(relations_context, "freshet decoded relation",
										   ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(entry->context);
	if (entry->rewrite)
		examine_rewrite(entry, rel->rd_rel->relrewrite);
	foreach(lc, interesting(entry->relid, rel))
		add_decoded_target(entry, rel, lfirst_oid(lc));
	MemoryContextSwitchTo(oldcontext);

	/* as most tables of a database: they shall not cost memory */
	if (entry->targets == NIL)
		forget_relation(entry);
}

static DecodedRelation *
find_decoded(Oid relid)
{
	bool		found;
	DecodedRelation *entry = hash_search(relations, &relid, HASH_ENTER, &found);

	if (!found)
	{
		entry->valid = false;
		entry->context = NULL;
		entry->targets = NIL;
		entry->rewrite = false;
	}
	return entry;
}

DecodedRelation *
decoded_relation(Relation rel)
{
	DecodedRelation *entry = last_relation;

	if (unlikely(entry == NULL || entry->relid != RelationGetRelid(rel)))
		last_relation = entry = find_decoded(RelationGetRelid(rel));
	if (unlikely(!entry->valid))
		examine_relation(entry, rel);
	return entry;
}
