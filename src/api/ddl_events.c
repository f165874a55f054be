/*-------------------------------------------------------------------------
 *
 * ddl_events.c
 *		Triggers: users do not write to sinks, dropped sinks leave the
 *		catalogue, definitions follow the owners of their sinks, new partitions
 *		of a source get its replica identity.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/names.h"
#include "belongings.h"
#include "catalog/sink_catalog.h"
#include "catalog/source_identity.h"

PG_FUNCTION_INFO_V1(freshet_refuse_write);
PG_FUNCTION_INFO_V1(freshet_on_sql_drop);
PG_FUNCTION_INFO_V1(freshet_on_ddl_end);

/* BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE, for each statement */
Datum
freshet_refuse_write(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function freshet.refuse_write() was not called as a trigger")));

	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot change sink \"%s\"", RelationGetRelationName(trigdata->tg_relation)),
			 errdetail("freshet keeps it equal to its query."),
			 errhint("Change the tables that the query reads.")));
}

/* Is this table in the first column of what SPI has just read? */
static bool
is_among_results(Oid relid)
{
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1,
										  &isnull);

		if (!isnull && DatumGetObjectId(value) == relid)
			return true;
	}
	return false;
}

/*
 * Event trigger at sql_drop.
 *
 * Runs after every DROP in the database, so the usual case, no sink dropped,
 * costs one pass over the few rows of freshet.sink.  A relation missing there
 * need not be of this command: another session may have dropped it and
 * removed its row at this very moment, and must not be interfered with.
 * Hence the second look.
 */
Datum
freshet_on_sql_drop(PG_FUNCTION_ARGS)
{
	Oid			nsp;
	List	   *vanished;
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function freshet.on_sql_drop() was not called as an event trigger")));

	/* the command may have dropped the extension */
	nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	if (!OidIsValid(nsp) || !OidIsValid(get_relname_relid("sink", nsp)))
		PG_RETURN_NULL();

	vanished = sink_catalog_vanished();
	if (vanished == NIL)
		PG_RETURN_NULL();

	SPI_connect();
	if (SPI_execute("SELECT objid FROM pg_catalog.pg_event_trigger_dropped_objects() "
					"WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
					"AND objsubid OPERATOR(pg_catalog.=) 0", true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the dropped objects");
	foreach(lc, vanished)
	{
		if (!is_among_results(lfirst_oid(lc)))
			continue;
		(void) sink_catalog_delete(lfirst_oid(lc));
		belongings_drop(lfirst_oid(lc));
	}
	SPI_finish();

	PG_RETURN_NULL();
}

/*
 * Partitions without REPLICA IDENTITY FULL, among the tables that the command
 * made or altered, of a source that has it and is read by a sink.
 */
static const char partitions_query[] =
"SELECT DISTINCT t.relid "
"FROM pg_catalog.pg_event_trigger_ddl_commands() d, "
"  LATERAL pg_catalog.pg_partition_tree(d.objid) t "
"  JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) t.relid "
"WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
"  AND t.isleaf AND c.relispartition AND c.relkind OPERATOR(pg_catalog.=) 'r' "
"  AND c.relreplident OPERATOR(pg_catalog.<>) 'f' "
"  AND EXISTS (SELECT FROM pg_catalog.pg_partition_ancestors(t.relid) a "
"    JOIN pg_catalog.pg_class p ON p.oid OPERATOR(pg_catalog.=) a.relid "
"      AND p.relreplident OPERATOR(pg_catalog.=) 'f' "
"    JOIN pg_catalog.pg_depend dep ON dep.refobjid OPERATOR(pg_catalog.=) p.oid "
"      AND dep.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass "
"      AND dep.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass "
"    JOIN pg_catalog.pg_rewrite r ON r.oid OPERATOR(pg_catalog.=) dep.objid "
"    JOIN freshet.sink s ON s.definition OPERATOR(pg_catalog.=) r.ev_class)";

/* The same, as a list of OIDs in the current memory context. */
static List *
partitions_to_identify(void)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	List	   *relids = NIL;
	Oid			save_userid;
	int			save_sec_context;

	/* the catalogue of sinks is not everybody's to read */
	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
	SPI_connect();
	/* not read-only: what the command has done must be seen */
	if (SPI_execute(partitions_query, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the partitions of sources");
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		Datum		relid = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1,
										  &isnull);
		MemoryContext spicontext = MemoryContextSwitchTo(oldcontext);

		relids = lappend_oid(relids, DatumGetObjectId(relid));
		MemoryContextSwitchTo(spicontext);
	}
	SPI_finish();
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return relids;
}

/*
 * A sink that has been given to another role is read with that role's rights.
 * Only those that this command has altered: others may be locked.
 */
static void
definitions_follow_owners(void)
{
	bool		orphans;
	List	   *sinks = sink_catalog_read_all(NULL, CurrentMemoryContext, &orphans);
	ListCell   *lc;

	SPI_connect();
	if (SPI_execute("SELECT objid FROM pg_catalog.pg_event_trigger_ddl_commands() "
					"WHERE classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass",
					true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the altered objects");
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (is_among_results(sink->relid))
			belongings_tie(sink);
	}
	SPI_finish();
}

/*
 * Event trigger at ddl_command_end of CREATE TABLE and ALTER TABLE.
 *
 * REPLICA IDENTITY FULL is not inherited by partitions that come later, and a
 * sink fails at the first row that is changed in one without it.  The user is
 * the owner of the partition, which the command has just locked.
 */
Datum
freshet_on_ddl_end(PG_FUNCTION_ARGS)
{
	Oid			nsp;
	ListCell   *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function freshet.on_ddl_end() was not called as an event trigger")));

	nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	if (!OidIsValid(nsp) || !OidIsValid(get_relname_relid("sink", nsp)) || !sink_catalog_any())
		PG_RETURN_NULL();

	if (((EventTriggerData *) fcinfo->context)->tag == CMDTAG_ALTER_TABLE)
		definitions_follow_owners();
	foreach(lc, partitions_to_identify())
	{
		char	   *name = names_relation(lfirst_oid(lc));

		if (!freshet_owns_relation(lfirst_oid(lc), GetUserId()))
			continue;
		source_identity_set_full(lfirst_oid(lc));
		ereport(NOTICE,
				(errmsg("replica identity of partition %s was set to FULL", name),
				 errdetail("Sinks need the old values of changed rows from the log.")));
	}
	PG_RETURN_NULL();
}
