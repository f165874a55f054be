/*-------------------------------------------------------------------------
 *
 * sink_guard.c
 *		What must hold of a sink's table and of its definition.
 *
 * A sink is its owner's table, and most of what can be done to a table does a
 * sink no harm.  What is looked for here does: ways by which others than the
 * worker could write it, by which its rows could be lost or belong to another
 * table too, by which a writer of another table would have to look at it, and
 * changes of the columns that the worker writes.
 *
 * It is looked for twice.  A command that brings it about is refused
 * (sink_ddl.c).  Should it have come about all the same, by a server without the
 * library or by a hand in the system's catalogues, the worker meets it when it
 * makes the sink's plan, which it does whenever the table has changed, and the
 * sink fails with the same message.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "compile/definition.h"
#include "sink_guard.h"

#define GUARD_ERROR(rel, message, detail, hint) \
	ereport(ERROR, \
			(errcode(ERRCODE_INVALID_TABLE_DEFINITION), \
			 errmsg(message, RelationGetRelationName(rel)), \
			 errdetail("%s", (detail)), \
			 errhint("%s", (hint))))

static void
guard_storage(Relation rel)
{
	Form_pg_class form = rel->rd_rel;

	if (form->relkind != RELKIND_RELATION || form->relam != HEAP_TABLE_AM_OID)
		GUARD_ERROR(rel, "sink \"%s\" must be an ordinary heap table",
					"The worker counts on what heap tables do.",
					"Leave its access method as it is.");
	if (form->relpersistence != RELPERSISTENCE_PERMANENT)
		GUARD_ERROR(rel, "sink \"%s\" cannot be unlogged",
					"A crash would empty it, and what it is maintained from.",
					"Leave it, or make it, LOGGED.");
}

/* Rows of another table are none of the query's, and whoever may write the parent could write the sink. */
static void
check_inheritance(Relation rel)
{
	if (rel->rd_rel->relispartition || has_superclass(RelationGetRelid(rel)))
		GUARD_ERROR(rel, "sink \"%s\" cannot be a partition or inherit from another table",
					"It would be written by whoever writes to that table.",
					"Read both by a view with UNION ALL.");
	if (rel->rd_rel->relhassubclass &&
		find_inheritance_children(RelationGetRelid(rel), NoLock) != NIL)
		GUARD_ERROR(rel, "no table can inherit from sink \"%s\"",
					"Its rows would be shown with those of the sink.",
					"Use CREATE TABLE (LIKE ...) for a table with the same columns.");
}

/* Others read it as they may; the owner sees what freshet sees. */
static void
check_security(Relation rel)
{
	if (rel->rd_rel->relforcerowsecurity)
		GUARD_ERROR(rel, "row-level security cannot be forced on the owner of sink \"%s\"",
					"The sink is read as its owner, who must see all of it.",
					"Use ALTER TABLE ... NO FORCE ROW LEVEL SECURITY.");
}

/* Is this the trigger that refuses writes, as it was made? */
static bool
is_guard(const Trigger *trigger)
{
	char	   *function = get_func_name(trigger->tgfoid);

	return strcmp(trigger->tgname, FRESHET_SINK_TRIGGER) == 0 &&
		trigger->tgenabled == TRIGGER_FIRES_ALWAYS &&
		trigger->tgtype == (TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
							TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE) &&
		trigger->tgqual == NULL && trigger->tgnattr == 0 &&
		function != NULL && strcmp(function, "refuse_write") == 0 &&
		get_func_namespace(trigger->tgfoid) == get_namespace_oid(FRESHET_SCHEMA, true);
}

/* Is the table at this end of a foreign key?  Triggers tell, which it has on both tables. */
static bool
has_foreign_key(Relation rel, int end)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
	{
		if (RI_FKey_trigger_type(triggers->triggers[i].tgfoid) == end)
			return true;
	}
	return false;
}

/* Those of one to the sink are not for the worker, which deletes and updates as the query says. */
static void
check_triggers(Relation rel)
{
	/* The relation's own is freed when an invalidation comes, as it can with each look-up. */
	TriggerDesc *triggers = CopyTriggerDesc(rel->trigdesc);
	bool		guarded = false;

	for (int i = 0; triggers != NULL && i < triggers->numtriggers; i++)
		guarded |= is_guard(&triggers->triggers[i]);
	FreeTriggerDesc(triggers);
	if (has_foreign_key(rel, RI_TRIGGER_PK))
		GUARD_ERROR(rel, "a foreign key cannot refer to sink \"%s\"",
					"The rows of a sink come and go as its query says.",
					"Refer to a table that the query reads.");
	if (!guarded)
		GUARD_ERROR(rel, "sink \"%s\" must keep the trigger that refuses writes",
					"Nobody but freshet writes to a sink.",
					"Leave trigger " FRESHET_SINK_TRIGGER " as it was made, enabled ALWAYS.");
}

/* The rows that a subscription brings would come past the trigger. */
static void
check_subscriptions(Relation rel)
{
	Relation	catalog = table_open(SubscriptionRelRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	ScanKeyInit(&key, Anum_pg_subscription_rel_srrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(rel)));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (found)
		GUARD_ERROR(rel, "sink \"%s\" cannot be the target of a subscription",
					"Nobody but freshet writes to a sink.",
					"Subscribe to it under another name, or leave it out of the publication.");
}

static bool
draws_numbers(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, NextValueExpr) ||
		(IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL))
		return true;
	return expression_tree_walker(node, draws_numbers, context);
}

/* The worker's transaction is read-only for whatever is evaluated. */
static void
check_numbered(Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);
	bool		numbered = false;

	for (int i = 0; i < desc->natts; i++)
		numbered |= !TupleDescAttr(desc, i)->attisdropped &&
			TupleDescAttr(desc, i)->attidentity != '\0';
	for (int i = 0; desc->constr != NULL && i < desc->constr->num_defval; i++)
		numbered |= draws_numbers(stringToNode(desc->constr->defval[i].adbin), NULL);
	if (numbered)
		GUARD_ERROR(rel, "a column of sink \"%s\" cannot draw its values from a sequence",
					"The rows of a sink come and go as its query says, and are made anew when it is "
					"rebuilt.",
					"Number the rows by row_number() when reading the sink.");
}

/* The columns that the query fills are still there, and of the query's types. */
static void
guard_columns(const Sink *sink, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < sink->ncolumns; i++)
	{
		AttrNumber	attno = sink->columns[i];
		Form_pg_attribute att = attno > 0 && attno <= desc->natts ?
			TupleDescAttr(desc, attno - 1) : NULL;
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(sink->viewid),
											Int16GetDatum(i + 1));
		bool		good = att != NULL && !att->attisdropped && att->attgenerated == '\0';

		/* bookkeeping columns come after those of the query */
		if (HeapTupleIsValid(tuple))
		{
			Form_pg_attribute query = (Form_pg_attribute) GETSTRUCT(tuple);

			good = good && att->atttypid == query->atttypid &&
				att->atttypmod == query->atttypmod && att->attcollation == query->attcollation;
			ReleaseSysCache(tuple);
		}
		if (!good)
			GUARD_ERROR(rel, "columns of sink \"%s\" must be those of its query",
						"A column that the query fills was dropped, or its type was changed.",
						"Drop the sink and create it anew with another query.");
	}
}

static void
check_definition(const Sink *sink, Relation rel)
{
	Query	   *query = definition_query(sink->definition_view);
	AttrNumber	attno = 0;
	ListCell   *lc;
	bool		good = true;

	/* gone: by a transaction that the caller does not see yet */
	if (query == NULL)
		return;
	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		char	   *name;

		if (tle->resjunk)
			continue;
		name = get_attname(sink->definition_view, ++attno, true);
		good &= name != NULL && strcmp(name, tle->resname) == 0;
	}
	if (!good)
		GUARD_ERROR(rel, "columns of the definition of sink \"%s\" cannot be renamed",
					"The query is written with these names.",
					"Rename the columns of the sink's table, or of a view over it.");
}

void
sink_guard_check_others(Relation rel)
{
	if (has_foreign_key(rel, RI_TRIGGER_FK))
		GUARD_ERROR(rel, "sink \"%s\" cannot have a foreign key",
					"It would fail those who write to the other table.",
					"Put the foreign key on a table that the query reads.");
}

void
sink_guard_check(const Sink *sink, Relation rel)
{
	sink_guard_check_others(rel);
	guard_storage(rel);
	check_inheritance(rel);
	check_security(rel);
	guard_columns(sink, rel);
	check_numbered(rel);
	check_triggers(rel);
	check_subscriptions(rel);
	check_definition(sink, rel);
}

/* Of the query of a view; not 0. */
static uint32
view_hash(Oid viewid)
{
	HeapTuple	tuple = SearchSysCache2(RULERELNAME, ObjectIdGetDatum(viewid),
										PointerGetDatum(ViewSelectRuleName));
	uint32		hash = 0;
	bool		isnull;
	Datum		value;

	if (HeapTupleIsValid(tuple))
	{
		value = SysCacheGetAttr(RULERELNAME, tuple, Anum_pg_rewrite_ev_action, &isnull);
		if (!isnull)
		{
			char	   *action = TextDatumGetCString(value);

			hash = hash_bytes((unsigned char *) action, strlen(action));
		}
		ReleaseSysCache(tuple);
	}
	return hash == 0 ? 1 : hash;
}

/* Of what a function was last made by: it changes when the function is replaced. */
static uint32
function_hash(Oid funcid)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	TransactionId xmin = InvalidTransactionId;

	if (HeapTupleIsValid(tuple))
	{
		xmin = HeapTupleHeaderGetRawXmin(tuple->t_data);
		ReleaseSysCache(tuple);
	}
	return hash_combine(murmurhash32(funcid), murmurhash32(xmin));
}

int64
sink_guard_definition_hash(const Sink *sink)
{
	uint64		views = 0;
	ListCell   *lc;

	foreach(lc, sink->views)
		views = hash_combine((uint32) views, view_hash(lfirst_oid(lc)));
	/* a query that is run for some keys would keep what another function gave for others */
	if (sink->plan->shape == SHAPE_KEYED_QUERY)
	{
		foreach(lc, sink->plan->functions)
			views = hash_combine((uint32) views, function_hash(lfirst_oid(lc)));
	}
	if (sink->viewid != sink->definition_view)
		views = hash_combine((uint32) views, view_hash(sink->viewid));
	return (int64) (views << 32 | view_hash(sink->definition_view));
}

bool
sink_guard_is_query_of(const Sink *sink, int64 hash)
{
	return (uint32) hash == view_hash(sink->definition_view);
}
