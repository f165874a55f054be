/*-------------------------------------------------------------------------
 *
 * drop_events.c
 *		Triggers: users do not write to sinks, and dropped sinks leave the
 *		catalogue.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/event_trigger.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "sink_catalog.h"

PG_FUNCTION_INFO_V1(freshet_refuse_write);
PG_FUNCTION_INFO_V1(freshet_on_sql_drop);

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

/* Was this table dropped by the command that fired the event trigger? */
static bool
was_dropped(Oid relid)
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
		if (was_dropped(lfirst_oid(lc)))
			(void) sink_catalog_delete(lfirst_oid(lc));
	}
	SPI_finish();

	PG_RETURN_NULL();
}
