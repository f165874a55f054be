/*-------------------------------------------------------------------------
 *
 * sink_table.c
 *		Making the table of a sink, and all that belongs to it.
 *
 * Everything is made with the rights of the caller, except the view that
 * holds the definition: nobody has CREATE in its schema, so it is made with
 * the rights of the bootstrap superuser, for the caller.  The query is
 * analyzed once, as the caller and under the caller's search_path, and the
 * view is made of the tree: a second analysis under other rights could find
 * other objects by the same names.
 *
 * Nothing is filled here.  The worker sees the new row in the catalogue after
 * the commit, and fills the sink at the snapshot of one of its batches.
 *
 * Locks: the caller holds ACCESS SHARE on the sources, to the end of the
 * transaction, so that they are still there when the definition depends on
 * them; ACCESS EXCLUSIVE is taken on a source whose replica identity must be
 * changed, which waits for all writers, so that every change after it has its
 * old row in the log.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/toasting.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "commands/view.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_relation.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/varlena.h"

#include "api.h"
#include "base/names.h"
#include "base/shmem.h"
#include "belongings.h"
#include "catalog/sink_catalog.h"
#include "catalog/source_identity.h"
#include "compile/analyze.h"
#include "compile/source_check.h"
#include "sink_table.h"

/* Pages of a sink leave room for the new versions of their rows. */
#define SINK_FILLFACTOR		80

/* What the built-in functions that are stable for that reason depend on. */
static const char *const recorded_settings[] = {
	"TimeZone",
	"DateStyle",
	"IntervalStyle",
	"lc_monetary",
	"lc_numeric",
	"lc_time",
	"extra_float_digits",
	"bytea_output",
};

void
sink_table_check_call(const char *function)
{
	shmem_require_setup();
	PreventCommandIfReadOnly(function);
	PreventCommandDuringRecovery(function);
	PreventCommandIfParallelMode(function);
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot create a sink within a security-restricted operation")));
}

RangeVar *
sink_table_target(text *name)
{
	RangeVar   *rv = makeRangeVarFromNameList(textToQualifiedNameList(name));
	Oid			nsp = RangeVarGetCreationNamespace(rv);

	if (rv->relpersistence == RELPERSISTENCE_TEMP || isAnyTempNamespace(nsp))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot create a sink as a temporary table"),
				 errdetail("A sink is written by a background worker, which cannot see the "
						   "temporary tables of a session.")));

	if (nsp == get_namespace_oid(FRESHET_SCHEMA, true) ||
		nsp == get_namespace_oid(FRESHET_STAGE_SCHEMA, true) ||
		nsp == get_namespace_oid(FRESHET_DEF_SCHEMA, true))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot create a sink in a schema of freshet"),
				 errhint("Choose another schema.")));

	/* no second look-up under a search_path that changed meanwhile */
	rv->schemaname = get_namespace_name(nsp);
	return rv;
}

/*
 * Retractions need the old values of the columns used.
 */
void
sink_table_ensure_identity(const SinkPlan *plan)
{
	List	   *insufficient = NIL;
	bool		suffices = source_identities_suffice(plan, &insufficient);
	ListCell   *lc;

	foreach(lc, insufficient)
	{
		Oid			relid = lfirst_oid(lc);
		char	   *name = names_relation(relid);
		bool		owner = freshet_owns_relation(relid, GetUserId());

		/* that of a partitioned table itself only tells new partitions theirs */
		if (!owner && suffices)
			continue;
		if (!owner)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("replica identity of table %s lacks columns that the sink needs",
							name),
					 errdetail("A change of a row is taken out of the sink by the row's old "
							   "values, which the log holds only as far as the replica "
							   "identity goes."),
					 errhint("Have the owner of the table run ALTER TABLE %s REPLICA IDENTITY "
							 "FULL.", name)));

		source_identity_set_full(relid);
		ereport(NOTICE,
				(errmsg("replica identity of table %s was set to FULL", name),
				 errdetail("The sink needs the old values of changed rows from the log.")));
	}
}

Oid
sink_table_make(RangeVar *rv, const SinkPlan *plan, Oid owner)
{
	CreateStmt *create = makeNode(CreateStmt);
	ObjectAddress address;

	create->relation = rv;
	for (int i = 0; i < plan->ncolumns; i++)
	{
		const SinkColumn *column = &plan->columns[i];

		create->tableElts = lappend(create->tableElts,
									makeColumnDef(column->name, column->type, column->typmod,
												  column->collation));
	}
	create->options = list_make1(makeDefElem("fillfactor",
											 (Node *) makeInteger(SINK_FILLFACTOR), -1));
	create->oncommit = ONCOMMIT_NOOP;
	/* the worker counts on what heap tables do */
	create->accessMethod = pstrdup("heap");

	address = DefineRelation(create, RELKIND_RELATION, owner, NULL, NULL);
	CommandCounterIncrement();
	NewRelationCreateToastTable(address.objectId, (Datum) 0);
	return address.objectId;
}

/* By which the copies of a row are found; see row_hash.c. */
static char *
hash_index_command(const char *name, const SinkPlan *plan)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE INDEX ON %s (" FRESHET_SCHEMA "." FRESHET_ROW_HASH "(", name);
	for (int i = 0; i < plan->ncolumns && i < FRESHET_ROW_HASH_COLUMNS; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(plan->columns[i].name));
	appendStringInfoString(&sql, "))");
	return sql.data;
}

char *
sink_table_index_command(Oid relid, const SinkPlan *plan)
{
	char	   *name = names_relation(relid);
	StringInfoData sql;

	if (plan->shape == SHAPE_BAG)
		return hash_index_command(name, plan);
	if (plan->nkeys == 0 || !plan_shows_keys(plan))
		return NULL;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE UNIQUE INDEX ON %s (", name);
	for (int i = 0; i < plan->nkeys; i++)
		appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(plan->columns[plan->keys[i].column].name));
	appendStringInfoString(&sql, ") NULLS NOT DISTINCT");
	return sql.data;
}

/*
 * By which the rows of a key are found.  A value of any length may be among the keys,
 * which only a hash index takes; it has one column.
 */
static void
make_lookup_index(const char *name, const SinkPlan *plan)
{
	const KeyedQueryPlan *keyed = plan_keyed_query(plan);
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < keyed->nkeys; i++)
	{
		const char *column = quote_identifier(plan->columns[keyed->keys[i].column].name);

		if (get_typlen(keyed->keys[i].type) > 0)
			appendStringInfo(&columns, "%s%s", columns.len > 0 ? ", " : "", column);
	}
	if (columns.len > 0)
		names_run(psprintf("CREATE INDEX ON %s (%s)", name, columns.data));
	else if (OidIsValid(GetDefaultOpClass(keyed->keys[0].type, HASH_AM_OID)))
		names_run(psprintf("CREATE INDEX ON %s USING hash (%s)", name,
						   quote_identifier(plan->columns[keyed->keys[0].column].name)));
}

/*
 * The key; and old rows in the log for those who consume the sink's changes.
 */
static void
make_sink_key(Oid relid, const SinkPlan *plan)
{
	char	   *index = sink_table_index_command(relid, plan);

	names_run(psprintf("ALTER TABLE %s REPLICA IDENTITY FULL", names_relation(relid)));
	if (plan->shape == SHAPE_KEYED_QUERY)
		make_lookup_index(names_relation(relid), plan);
	if (index != NULL)
		names_run(index);
}

static List *
view_columns(const Query *query)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node	   *expr = (Node *) tle->expr;
		ColumnDef  *def;

		if (tle->resjunk)
			continue;
		def = makeColumnDef(tle->resname, exprType(expr), exprTypmod(expr), exprCollation(expr));
		if (type_is_collatable(exprType(expr)) && !OidIsValid(def->collOid))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_COLLATION),
					 errmsg("collation of column \"%s\" is not determined", def->colname),
					 errhint("Say it in the query with COLLATE.")));
		result = lappend(result, def);
	}
	return result;
}

/* The view, made by the bootstrap superuser, owned by the current user. */
Oid
sink_table_make_definition(Oid relid, Query *query, const char *label)
{
	CreateStmt *create = makeNode(CreateStmt);
	Oid			userid;
	int			sec_context;
	ObjectAddress address;

	create->relation = makeRangeVar(pstrdup(FRESHET_DEF_SCHEMA),
									makeObjectName(get_rel_name(relid), psprintf("%u", relid),
												   label),
									-1);
	create->tableElts = view_columns(query);
	create->oncommit = ONCOMMIT_NOOP;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	address = DefineRelation(create, RELKIND_VIEW, userid, NULL, NULL);
	CommandCounterIncrement();
	/* scribbles on its argument */
	StoreViewQuery(address.objectId, copyObject(query), false);
	CommandCounterIncrement();
	SetUserIdAndSecContext(userid, sec_context);

	return address.objectId;
}

static void
record_settings(Sink *sink)
{
	int			n = lengthof(recorded_settings);

	sink->setting_names = palloc(n * sizeof(char *));
	sink->setting_values = palloc(n * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		const char *value = GetConfigOption(recorded_settings[i], true, false);

		if (value == NULL)
			continue;
		sink->setting_names[sink->nsettings] = pstrdup(recorded_settings[i]);
		sink->setting_values[sink->nsettings] = pstrdup(value);
		sink->nsettings++;
	}
}

void
sink_table_record(Sink *sink, const SinkPlan *plan, bool with_data)
{
	sink->strategy = plan_strategy(plan);
	sink->kind = unconstify(char *, plan_kind(plan));
	sink->paused = !with_data;
	sink->generation = 1;
	sink->ncolumns = plan->ncolumns;
	sink->columns = palloc(plan->ncolumns * sizeof(AttrNumber));
	for (int i = 0; i < plan->ncolumns; i++)
		sink->columns[i] = get_attnum(sink->relid, plan->columns[i].name);
	record_settings(sink);
	sink_catalog_insert(sink);
}

char *
sink_table_trigger_command(Oid relid)
{
	return psprintf("CREATE TRIGGER " FRESHET_SINK_TRIGGER " "
					"BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON %s "
					"FOR EACH STATEMENT EXECUTE FUNCTION freshet.refuse_write()",
					names_relation(relid));
}

/*
 * The trigger does not see the worker's writes: these are made below the
 * level of statements.
 */
static void
refuse_writes(Oid relid)
{
	char	   *name = names_relation(relid);

	names_run(sink_table_trigger_command(relid));
	/* also under session_replication_role = replica */
	names_run(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER " FRESHET_SINK_TRIGGER, name));
}

/*
 * The worker finds rows by the indexes that were made with the table.  So the
 * trigger, without which the sink is none, depends on them: DROP INDEX is refused
 * by PostgreSQL itself, and REINDEX CONCURRENTLY takes the dependency along.
 */
void
sink_table_keep_indexes(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	ObjectAddress trigger;
	ListCell   *lc;

	ObjectAddressSet(trigger, TriggerRelationId,
					 get_trigger_oid(relid, FRESHET_SINK_TRIGGER, false));
	foreach(lc, RelationGetIndexList(rel))
	{
		ObjectAddress index;

		ObjectAddressSet(index, RelationRelationId, lfirst_oid(lc));
		recordDependencyOn(&trigger, &index, DEPENDENCY_NORMAL);
	}
	table_close(rel, NoLock);
}

static void
refuse_sinks_as_partitions(const SinkPlan *plan)
{
	for (int i = 0; i < plan->nsources; i++)
	{
		Oid			relid = plan->sources[i].relid;

		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			sink_catalog_refuse_partitions(find_all_inheritors(relid, NoLock, NULL));
	}
}

Oid
sink_table_create(RangeVar *rv, const StrategyChoice *choice, Query *query,
				  Query *last, bool with_data)
{
	const SinkPlan *plan = choice->plan;
	Sink		sink = {0};

	refuse_sinks_as_partitions(plan);
	sink.relid = sink_table_make(rv, plan, InvalidOid);
	make_sink_key(sink.relid, plan);
	sink.definition_view = sink_table_make_definition(sink.relid, query, NULL);
	belongings_tie_view(sink.relid, sink.definition_view);
	sink.viewid = sink.definition_view;
	if (last != NULL)
	{
		sink.viewid = sink_table_make_definition(sink.relid, last, "stages");
		belongings_tie_view(sink.relid, sink.viewid);
	}
	sink.reason = plan_strategy(plan) == STRATEGY_DELTA ? NULL : choice->reason;
	refuse_writes(sink.relid);
	sink_table_keep_indexes(sink.relid);
	sink_table_record(&sink, plan, with_data);
	api_ensure_origin();
	return sink.relid;
}
