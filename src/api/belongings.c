/*-------------------------------------------------------------------------
 *
 * belongings.c
 *		What belongs to a sink beside its table: its queries and its stages.
 *
 * They are dropped with the sink, and what would drop one of them drops the sink.
 * They are owned by the sink's owner.  Neither is so after a restore: a dump does not
 * carry these dependencies; nor does ALTER TABLE OWNER know of them.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "commands/tablecmds.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "belongings.h"
#include "catalog/sink_catalog.h"
#include "maintain/run.h"

/*
 * An internal dependency: DROP TABLE of the sink takes the view along, and
 * what would drop the view, as DROP TABLE source CASCADE, drops the sink.
 * A dump does not carry it, hence the look whether it is there.
 */
void
belongings_tie_view(Oid relid, Oid viewid)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		tied = false;
	ObjectAddress table;
	ObjectAddress view;

	ScanKeyInit(&keys[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(viewid));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend dep = (Form_pg_depend) GETSTRUCT(tuple);

		if (dep->deptype == DEPENDENCY_INTERNAL && dep->refclassid == RelationRelationId &&
			dep->refobjid == relid)
			tied = true;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	if (tied)
		return;

	ObjectAddressSet(table, RelationRelationId, relid);
	ObjectAddressSet(view, RelationRelationId, viewid);
	recordDependencyOn(&view, &table, DEPENDENCY_INTERNAL);
	CommandCounterIncrement();
}

static Oid
owner_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* It goes with its table, as an index or a sequence does: no rights are asked for. */
static void
give(Oid relid, Oid viewid)
{
	Oid			owner = owner_of(relid);
	Oid			view_owner = owner_of(viewid);

	if (owner == view_owner || !OidIsValid(owner) || !OidIsValid(view_owner))
		return;
	ATExecChangeOwner(viewid, owner, true, AccessExclusiveLock);
	CommandCounterIncrement();
}

void
belongings_tie_stage(Oid relid, Oid stage)
{
	belongings_tie_view(relid, stage);
	give(relid, stage);
}

void
belongings_tie(const Sink *sink)
{
	ListCell   *lc;

	belongings_tie_view(sink->relid, sink->definition_view);
	give(sink->relid, sink->definition_view);
	if (!sink->has_stages)
		return;
	belongings_tie_view(sink->relid, sink->viewid);
	give(sink->relid, sink->viewid);
	foreach(lc, sink_catalog_stages(sink->relid))
	{
		const Sink *stage = lfirst(lc);

		belongings_tie_stage(sink->relid, stage->relid);
		belongings_tie_view(stage->relid, stage->viewid);
		give(stage->relid, stage->viewid);
	}
}

/* Stages went with the sink, but for those of one that was restored and never rebuilt. */
void
belongings_drop(Oid relid)
{
	ListCell   *lc;

	run_drop_leavings(relid);
	foreach(lc, sink_catalog_stages(relid))
	{
		const Sink *stage = lfirst(lc);
		ObjectAddress table;

		ObjectAddressSet(table, RelationRelationId, stage->relid);
		if (OidIsValid(get_rel_namespace(stage->relid)))
			performDeletion(&table, DROP_CASCADE, PERFORM_DELETION_INTERNAL);
		(void) sink_catalog_delete(stage->relid);
	}
}
