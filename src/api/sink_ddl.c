/*-------------------------------------------------------------------------
 *
 * sink_ddl.c
 *		Commands that would spoil a sink, and what commands do to sinks.
 *
 * Hooks rather than event triggers and triggers: these can be disabled, and do
 * not fire under session_replication_role = replica.
 *
 * After each command that defines something, the sinks that it has touched are
 * looked at, and an error takes back what the guards of a sink forbid
 * (sink_guard.c).  It is not the command that is judged but what it has made of
 * the sink: there are many ways to drop a column.  What a command has touched is
 * told by the invalidations of its own changes.
 *
 * Only sinks that the worker has taken on are guarded, and not those that have
 * failed: a restored sink comes in pieces, and a spoiled one must be mended.  What
 * would harm the writers of other tables is refused for all.
 *
 * A table that is dropped leaves the catalogue of sinks at once, and with the end
 * of the command what was kept beside it.  (The event
 * trigger freshet_on_sql_drop does the same in a server without the hooks.)
 *
 * While a command that drops waits for the lock of a sink, a fill that has it is
 * ended (base/fill_stop.c).
 *
 * A type that gets other names inside, those of an enum or of a composite's
 * attributes, changes what text and documents of its values say, and no row is
 * written: the sinks whose query has values of it are rebuilt.
 *
 * Locks: a sink is looked at only under a lock that the command has taken;
 * rebuilding takes the lock of freshet.rebuild_sink().
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/typcache.h"

#include "api.h"
#include "base/fill_stop.h"
#include "belongings.h"
#include "catalog/sink_catalog.h"
#include "catalog/sink_guard.h"
#include "catalog/source_identity.h"
#include "compile/definition.h"
#include "identity_ddl.h"
#include "sink_ddl.h"

#define MAX_TOUCHED		64

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static object_access_hook_type prev_object_access = NULL;

/* Relations that the present command has touched; more than fit are all. */
static bool watching = false;
static Oid	touched[MAX_TOUCHED];
static int	ntouched = 0;
static bool all_touched = false;

/* Sinks that it has dropped; in TopTransactionContext. */
static List *dropped = NIL;

static void
sink_ddl_relcache_callback(Datum arg, Oid relid)
{
	if (!watching || all_touched)
		return;
	if (!OidIsValid(relid) || ntouched == MAX_TOUCHED)
	{
		all_touched = true;
		return;
	}
	for (int i = 0; i < ntouched; i++)
	{
		if (touched[i] == relid)
			return;
	}
	touched[ntouched++] = relid;
}

static bool
is_touched(Oid relid)
{
	for (int i = 0; i < ntouched; i++)
	{
		if (touched[i] == relid)
			return true;
	}
	return all_touched;
}

/* Has the worker taken it on, and is it to be maintained? */
static bool
is_guarded(const Sink *sink)
{
	switch (sink->state)
	{
		case SINK_LIVE:
		case SINK_BEHIND:
		case SINK_PAUSED:
			return true;
		case SINK_BUILDING:
			return sink->built_definition != 0;
		case SINK_FAILED:
			return false;
	}
	return false;
}

/* The relation if it is there and, unless any lock will do, locked by this session. */
static Relation
open_touched(Oid relid, bool unlocked)
{
	Relation	rel = RelationIdGetRelation(relid);

	if (rel != NULL && !unlocked && !CheckRelationLockedByMe(rel, AccessShareLock, true))
	{
		RelationClose(rel);
		rel = NULL;
	}
	return rel;
}

static void
check_new_definition(const Sink *sink)
{
	Relation	view;
	bool		same;

	if (sink->built_definition == 0 || !is_touched(sink->definition_view))
		return;
	view = open_touched(sink->definition_view, false);
	if (view == NULL)
		return;
	same = sink_guard_is_query_of(sink, sink->built_definition);
	RelationClose(view);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot change the query of sink \"%s\"", get_rel_name(sink->relid)),
				 errdetail("The rows of the sink are those of the query that it was made with."),
				 errhint("Drop the sink and create it anew with another query.")));
}

static void
check_sinks(List *sinks, bool unlocked)
{
	ListCell   *lc;

	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);
		Relation	rel;

		if (!unlocked && !is_touched(sink->relid) && !is_touched(sink->definition_view))
			continue;
		if (is_guarded(sink))
			check_new_definition(sink);
		rel = open_touched(sink->relid, unlocked || is_touched(sink->definition_view));
		if (rel == NULL)
			continue;
		sink_guard_check_others(rel);
		if (is_guarded(sink))
			sink_guard_check(sink, rel);
		RelationClose(rel);
	}
}

/*
 * Types that have got other names inside
 */

static bool
has_component(Oid typid, Oid component)
{
	Oid			inner;

	check_stack_depth();
	if (typid == component)
		return true;
	inner = getBaseType(typid);
	if (inner == typid)
		inner = get_element_type(typid);
	if (!OidIsValid(inner))
		inner = get_range_subtype(typid);
	if (!OidIsValid(inner))
		inner = get_multirange_range(typid);
	if (OidIsValid(inner))
		return has_component(inner, component);

	if (get_typtype(typid) == TYPTYPE_COMPOSITE)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_copy(typid, -1);

		for (int i = 0; i < desc->natts; i++)
		{
			if (!TupleDescAttr(desc, i)->attisdropped &&
				has_component(TupleDescAttr(desc, i)->atttypid, component))
				return true;
		}
	}
	return false;
}

/* Is there an expression whose value is, or holds, one of the type? */
static bool
values_walker(Node *node, Oid *typid)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Query:
			return query_tree_walker((Query *) node, values_walker, (void *) typid, 0);
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_RowExpr:
		case T_FieldSelect:
		case T_CoerceViaIO:
		case T_CoerceToDomain:
			if (has_component(exprType(node), *typid))
				return true;
			break;
		default:
			break;
	}
	return expression_tree_walker(node, values_walker, (void *) typid);
}

static bool
has_values_of(const Sink *sink, Oid typid)
{
	Query	   *query = definition_query(sink->definition_view);
	List	   *views = NIL;
	ListCell   *lc;

	if (query == NULL)
		return false;
	if (values_walker((Node *) query, &typid))
		return true;
	definition_relations(query, NULL, &views);
	foreach(lc, views)
	{
		query = definition_query(lfirst_oid(lc));
		if (query != NULL && values_walker((Node *) query, &typid))
			return true;
	}
	return false;
}

static void
rebuild_with_values_of(List *sinks, Oid typid)
{
	ListCell   *lc;

	if (!OidIsValid(typid))
		return;
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (!is_guarded(sink) || !has_values_of(sink, typid))
			continue;
		LockRelationOid(sink->relid, ShareUpdateExclusiveLock);
		sink_catalog_update(sink->relid, sink->paused, true);
	}
}

/* Can the command have given a row type other columns, or other names to them? */
static bool
changes_row_types(Node *command)
{
	ListCell   *lc;

	if (IsA(command, RenameStmt))
		return ((RenameStmt *) command)->renameType == OBJECT_ATTRIBUTE ||
			((RenameStmt *) command)->renameType == OBJECT_COLUMN;
	if (!IsA(command, AlterTableStmt))
		return false;
	foreach(lc, ((AlterTableStmt *) command)->cmds)
	{
		AlterTableType subtype = lfirst_node(AlterTableCmd, lc)->subtype;

		if (subtype == AT_AddColumn || subtype == AT_DropColumn || subtype == AT_AlterColumnType)
			return true;
	}
	return false;
}

static void
follow_types(List *sinks, Node *command)
{
	if (IsA(command, AlterEnumStmt) && ((AlterEnumStmt *) command)->oldVal != NULL)
	{
		TypeName   *name = makeTypeNameFromNameList(((AlterEnumStmt *) command)->typeName);

		rebuild_with_values_of(sinks, typenameTypeId(NULL, name));
	}
	else if (changes_row_types(command))
	{
		for (int i = 0; i < ntouched; i++)
			rebuild_with_values_of(sinks, get_rel_type_id(touched[i]));
	}
}

/*
 * The hooks
 */

static void
look_at_sinks(Node *command)
{
	MemoryContext context;
	MemoryContext oldcontext;
	List	   *sinks;
	ListCell   *lc;
	bool		orphans;

	/* the invalidations of what the command has changed last */
	CommandCounterIncrement();
	if (!sink_catalog_is_ours())
		return;

	foreach(lc, dropped)
		belongings_drop(lfirst_oid(lc));
	/* there may be no worker: a restored sink that was never rebuilt */
	if (dropped != NIL && source_identity_list() != NIL)
		api_ask_for_worker();
	dropped = NIL;
	identity_ddl_after(command);

	context = AllocSetContextCreate(CurrentMemoryContext, "freshet sinks touched by a command",
									ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	sinks = sink_catalog_read_all(NULL, context, &orphans);
	check_sinks(sinks, IsA(command, CreateSubscriptionStmt) ||
				IsA(command, AlterSubscriptionStmt));
	follow_types(sinks, command);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/* Outside of a transaction there is nothing to look at. */
static bool
defines_something(Node *command)
{
	return GetCommandLogLevel(command) == LOGSTMT_DDL && IsTransactionState() &&
		OidIsValid(MyDatabaseId);
}

static bool
drops_freshet(const DropStmt *command)
{
	Oid			extension = get_extension_oid("freshet", true);
	ListCell   *lc;

	if (command->removeType != OBJECT_EXTENSION || !OidIsValid(extension) ||
		!freshet_owns_extension(extension, GetUserId()))
		return false;
	foreach(lc, command->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "freshet") == 0)
			return true;
	}
	return false;
}

/*
 * Which fills are to end if the command has to wait for their locks?  Only a command
 * whose rights PostgreSQL checks before it waits; what is on a table is locked first,
 * and an extension too.
 */
static FillStopWatch
fills_to_stop(Node *command)
{
	if (IsA(command, DropOwnedStmt))
		return FILL_STOP_AWAITED;
	if (!IsA(command, DropStmt))
		return FILL_STOP_NONE;
	switch (((DropStmt *) command)->removeType)
	{
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			return FILL_STOP_NONE;
		default:
			return drops_freshet((DropStmt *) command) ? FILL_STOP_ALL : FILL_STOP_AWAITED;
	}
}

static void
run_sink_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				 ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *queryEnv,
				 DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
							qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv,
								dest, qc);
}

/*
 * Commands can be within commands (a schema's elements, an extension's script, a
 * function): what the inner one has touched is looked at when it ends.
 */
static void
sink_ddl_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
				 ProcessUtilityContext context, ParamListInfo params,
				 QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	bool		save_watching = watching;
	Node	   *command = pstmt->utilityStmt;
	FillStopWatch watched;
	List	   *identities;

	if (!defines_something(command))
	{
		run_sink_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		return;
	}

	watched = fill_stop_watch(fills_to_stop(command));
	PG_TRY();
	{
		if (!watching)
		{
			ntouched = 0;
			all_touched = false;
			dropped = NIL;
			watching = true;
		}
		identities = identity_ddl_before(command);
		run_sink_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
		if (IsTransactionState())
		{
			look_at_sinks(command);
			identity_ddl_set_back(identities);
		}
	}
	PG_FINALLY();
	{
		watching = save_watching;
		fill_stop_unwatch(watched);
	}
	PG_END_TRY();
}

/*
 * What was kept beside the sink is dropped when the command ends; should there be
 * none, the worker does it.
 */
static void
note_dropped(Oid relid)
{
	MemoryContext oldcontext;

	(void) sink_catalog_delete(relid);
	if (!watching)
		return;
	oldcontext = MemoryContextSwitchTo(TopTransactionContext);
	dropped = lappend_oid(dropped, relid);
	MemoryContextSwitchTo(oldcontext);
}

static void
forget_dropped(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);

	if (access != OAT_DROP || classId != RelationRelationId || subId != 0 ||
		(get_rel_relkind(objectId) != RELKIND_RELATION &&
		 get_rel_relkind(objectId) != RELKIND_PARTITIONED_TABLE) || !sink_catalog_is_ours())
		return;
	/* the worker forgets those that somebody has changed */
	if (source_identity_is_full(objectId))
		source_identity_forget(objectId);
	if (sink_catalog_read(objectId, NULL) != NULL)
		note_dropped(objectId);
}

void
sink_ddl_install_hooks(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = sink_ddl_utility;
	prev_object_access = object_access_hook;
	object_access_hook = forget_dropped;
	CacheRegisterRelcacheCallback(sink_ddl_relcache_callback, (Datum) 0);
}
