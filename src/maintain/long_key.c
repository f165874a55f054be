/*-------------------------------------------------------------------------
 *
 * long_key.c
 *		Sinks whose keys are longer than an entry of an index.
 *
 * A sink has a unique index on its key, for its users and to find rows by.  An
 * entry of such an index takes a third of a page at most; a rollup may group
 * by longer values: URLs, messages, documents.  That is known when the first
 * one comes.  Its batch ends by an error (ERRCODE_FRESHET_LONG_KEY), after
 * which the worker replaces the index, here, and tries again.
 *
 * In place of it there is an index by hash on the longest kind of key, which
 * serves users that look for a value.  Its name tells that the sink is one of
 * these: from then on its states are kept beside it, whose index is on a hash
 * of the keys (group_state.h), and freshet needs no other.  That nothing is
 * there twice is as true as before; but no index says so, and a copy or a wide
 * view over such a sink does not find a key any more.
 *
 * The index is dropped under ACCESS EXCLUSIVE, for which the worker waits no
 * longer than for other locks; if it is not to be had, the batch comes here
 * again.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/names.h"
#include "base/process.h"
#include "catalog/sink.h"
#include "run.h"

/* Are the columns of the index the keys? */
static bool
is_on_keys(const Sink *sink, Relation index)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || form->indnkeyatts != sink->plan->nkeys)
		return false;
	for (int i = 0; i < form->indnkeyatts; i++)
	{
		bool		found = false;

		for (int k = 0; k < sink->plan->nkeys; k++)
			found |= sink->columns[sink->plan->keys[k].column] == form->indkey.values[i];
		if (!found)
			return false;
	}
	return true;
}

static void
drop_key_indexes(const Sink *sink)
{
	Relation	rel = table_open(sink->relid, NoLock);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;

	table_close(rel, NoLock);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessExclusiveLock);
		bool		drop = is_on_keys(sink, index);
		ObjectAddress address;

		index_close(index, NoLock);
		if (!drop)
			continue;
		/* the owner may have made a constraint of it */
		if (OidIsValid(get_index_constraint(lfirst_oid(lc))))
			ObjectAddressSet(address, ConstraintRelationId, get_index_constraint(lfirst_oid(lc)));
		else
			ObjectAddressSet(address, RelationRelationId, lfirst_oid(lc));
		(void) deleteDependencyRecordsForSpecific(TriggerRelationId,
												  get_trigger_oid(sink->relid,
																  FRESHET_SINK_TRIGGER, false),
												  DEPENDENCY_NORMAL, RelationRelationId,
												  lfirst_oid(lc));
		CommandCounterIncrement();
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	CommandCounterIncrement();
}

/* The key that is most probably the long one; its type must have a hash function. */
static IndexElem *
hashed_key(const Sink *sink)
{
	IndexElem  *elem = NULL;

	for (int k = 0; k < sink->plan->nkeys; k++)
	{
		const KeySpec *key = &sink->plan->keys[k];

		if (!OidIsValid(GetDefaultOpClass(key->type, HASH_AM_OID)) ||
			(elem != NULL && get_typlen(key->type) != -1))
			continue;
		elem = makeNode(IndexElem);
		elem->name = get_attname(sink->relid, sink->columns[key->column], false);
	}
	return elem;
}

static void
make_long_key_index(const Sink *sink)
{
	IndexStmt  *stmt = makeNode(IndexStmt);
	IndexElem  *elem = hashed_key(sink);

	stmt->accessMethod = pstrdup(elem != NULL ? "hash" : "btree");
	if (elem == NULL)
	{
		/* of no use but for its name */
		elem = makeNode(IndexElem);
		elem->expr = (Node *) makeBoolConst(true, false);
	}
	elem->ordering = SORTBY_DEFAULT;
	elem->nulls_ordering = SORTBY_NULLS_DEFAULT;
	stmt->idxname = psprintf(FRESHET_LONG_KEY_INDEX "_%u", sink->relid);
	stmt->relation = makeRangeVar(get_namespace_name(get_rel_namespace(sink->relid)),
								  get_rel_name(sink->relid), -1);
	stmt->indexParams = list_make1(elem);
	(void) freshet_define_index(sink->relid, stmt);
	CommandCounterIncrement();
}

void
run_replace_key_index(Oid sink_relid)
{
	Sink	   *sink;

	process_lock_relation(sink_relid, AccessExclusiveLock);
	sink = sink_get(sink_relid);
	sink_make_plan(sink);
	if (sink->plan->shape != SHAPE_ROLLUP || !plan_has_key_index(sink->plan))
		return;
	drop_key_indexes(sink);
	make_long_key_index(sink);
}
