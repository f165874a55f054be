/*-------------------------------------------------------------------------
 *
 * sink_cache.c
 *		The worker's cache of the sink catalogue, plans, and the sandbox.
 *
 * The cache is a list of Sinks, read under the snapshot of a batch and kept
 * until an invalidation says that the catalogue, or a relation or function
 * that a definition may name, has changed; then everything is read anew and
 * the old list is freed.  That is a matter of a millisecond, and such changes
 * are rare.
 *
 * Invalidations may arrive wherever a lock is taken, also while a list is
 * being made or used.  The callbacks only count them.  A list is good while
 * the count is the one from before it was read; and it stays allocated until
 * the next sink_list(), whatever arrives meanwhile.
 *
 * The catalogue is read under the batch's snapshot, the system's catalogues
 * under the newest one, as PostgreSQL's caches are.  So a sink can be in
 * freshet.sink although its table is gone already, by a transaction that the
 * batch does not see: it is left out in silence, and its row will be gone at
 * the next batch.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "common/pg_prng.h"
#include "libpq/be-fsstubs.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/names.h"
#include "base/process.h"
#include "compile/analyze.h"
#include "compile/definition.h"
#include "compile/source_check.h"
#include "sink_catalog.h"
#include "sink_guard.h"

/* Counted by the callbacks; never zero once they are registered. */
static uint64 invalidations = 1;

/* The list, the context it hangs off, the count when it was read. */
static List *cached_sinks = NIL;
static MemoryContext cached_context = NULL;
static uint64 cached_at = 0;
static bool cached_orphans = false;

/* Left by a reading that failed, to be freed by the next. */
static MemoryContext unfinished_context = NULL;

/* Relations whose invalidation matters; in TopMemoryContext. */
static Oid *watched = NULL;
static int	nwatched = 0;

/* From before a reading until the relations found there are watched (for
 * longer, if an error came): everything matters. */
static bool watch_all = true;

/* Has the current transaction changed Sinks in the list? */
static bool changed_in_xact = false;

void
sink_cache_invalidate(void)
{
	invalidations++;
}

static void
relcache_callback(Datum arg, Oid relid)
{
	if (!OidIsValid(relid) || watch_all)
	{
		invalidations++;
		return;
	}
	for (int i = 0; i < nwatched; i++)
	{
		if (watched[i] == relid)
		{
			invalidations++;
			return;
		}
	}
}

static void
syscache_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	invalidations++;
}

/* What an aborted transaction has changed in the list did not happen. */
static void
forget_changes(void)
{
	if (changed_in_xact)
		invalidations++;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		forget_changes();
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_COMMIT)
		changed_in_xact = false;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid, SubTransactionId parentSubid,
				 void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_changes();
}

/*
 * Functions and operators can be inlined or folded into a plan, and roles
 * decide what an owner may read.  Changes of types come as invalidations of
 * the relations that use them, or are looked up at run time.
 */
void
sink_cache_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(OPEROID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_callback, (Datum) 0);
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* Fill in what comes from the definition; false if the sink is gone. */
static bool
complete_sink(Sink *sink)
{
	MemoryContext oldcontext;
	Query	   *query;

	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(sink->relid)) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(sink->viewid)) ||
		!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(sink->definition_view)))
		return false;

	oldcontext = MemoryContextSwitchTo(sink->context);
	query = definition_query(sink->viewid);
	if (query != NULL)
		definition_relations(query, &sink->sources, &sink->views);
	MemoryContextSwitchTo(oldcontext);
	return query != NULL;
}

static int
compare_sinks(const ListCell *a, const ListCell *b)
{
	const Sink *x = lfirst(a);
	const Sink *y = lfirst(b);

	if (x->level != y->level)
		return x->level < y->level ? -1 : 1;
	if (x->relid != y->relid)
		return x->relid < y->relid ? -1 : 1;
	return 0;
}

/*
 * Levels, and who depends on whom.  Sinks cannot form a cycle, since a view
 * cannot be made before its sources; the number of passes is bounded all the
 * same.
 */
static void
order_sinks(List *sinks)
{
	bool		changed = true;
	ListCell   *i;
	ListCell   *j;

	for (int pass = 0; changed && pass <= list_length(sinks); pass++)
	{
		changed = false;
		foreach(i, sinks)
		{
			Sink	   *sink = lfirst(i);

			foreach(j, sinks)
			{
				Sink	   *other = lfirst(j);

				if (!list_member_oid(sink->sources, other->relid))
					continue;
				sink->source_is_sink = true;
				other->has_dependants = true;
				if (sink->level <= other->level)
				{
					sink->level = other->level + 1;
					changed = true;
				}
			}
		}
	}
	list_sort(sinks, compare_sinks);
}

/*
 * Note what to watch.  The new array is complete before it replaces the old
 * one, as a callback may read it at any lock taken in here.
 */
static void
watch_relations(void)
{
	List	   *relids = NIL;
	ListCell   *lc;
	Oid		   *new;
	Oid		   *old = watched;
	int			n = 0;

	relids = lappend_oid(relids, freshet_catalog_relid("sink"));
	relids = lappend_oid(relids, freshet_catalog_relid("sink_state"));
	foreach(lc, cached_sinks)
	{
		Sink	   *sink = lfirst(lc);

		relids = lappend_oid(relids, sink->relid);
		relids = lappend_oid(relids, sink->viewid);
		relids = lappend_oid(relids, sink->definition_view);
		relids = list_concat(relids, sink->sources);
		relids = list_concat(relids, sink->views);
		relids = list_concat(relids, sink->leaves);
	}

	new = MemoryContextAlloc(TopMemoryContext, list_length(relids) * sizeof(Oid));
	foreach(lc, relids)
		new[n++] = lfirst_oid(lc);

	nwatched = 0;
	watched = new;
	nwatched = n;
	if (old)
		pfree(old);
	list_free(relids);
}

static void
read_sinks(void)
{
	MemoryContext context;
	uint64		count = invalidations;
	List	   *all;
	List	   *sinks = NIL;
	ListCell   *lc;
	bool		orphans;

	if (unfinished_context)
		MemoryContextDelete(unfinished_context);
	unfinished_context = NULL;
	context = AllocSetContextCreate(TopMemoryContext, "freshet sinks", ALLOCSET_SMALL_SIZES);
	unfinished_context = context;
	watch_all = true;

	all = sink_catalog_read_all(GetActiveSnapshot(), context, &orphans);
	foreach(lc, all)
	{
		Sink	   *sink = lfirst(lc);
		MemoryContext oldcontext;

		if (!complete_sink(sink))
			continue;
		oldcontext = MemoryContextSwitchTo(context);
		sinks = lappend(sinks, sink);
		MemoryContextSwitchTo(oldcontext);
	}
	order_sinks(sinks);

	/* from here on nothing fails but for lack of memory */
	if (cached_context)
		MemoryContextDelete(cached_context);
	cached_context = context;
	unfinished_context = NULL;
	cached_sinks = sinks;
	cached_orphans = orphans;
	cached_at = count;
	watch_relations();
	watch_all = false;
}

bool
sink_list_changed(void)
{
	AcceptInvalidationMessages();
	return cached_at != invalidations;
}

List *
sink_list(void)
{
	AcceptInvalidationMessages();
	if (cached_at != invalidations)
		read_sinks();
	return cached_sinks;
}

uint64
sink_list_version(void)
{
	return cached_at;
}

List *
sink_relations_read(const Sink *sink)
{
	List	   *relids = lappend_oid(list_copy(sink->views), sink->viewid);
	ListCell   *lc;

	foreach(lc, sink->sources)
		relids = list_concat(relids, process_tree_of(lfirst_oid(lc)));
	return relids;
}

List *
sink_list_last(void)
{
	return cached_sinks;
}

/* Of one that does not come from the list. */
static void
find_sources_that_are_sinks(Sink *sink)
{
	ListCell   *lc;

	sink->source_is_sink = false;
	foreach(lc, sink->sources)
		sink->source_is_sink |= sink_catalog_read(lfirst_oid(lc), NULL) != NULL;
}

void
sink_take_as_defined(Sink *sink)
{
	if (!sink->has_stages)
		return;
	sink->viewid = sink->definition_view;
	sink->strategy = STRATEGY_REFRESH;
	sink->kind = "query";
	sink->sources = sink->views = NIL;
	(void) complete_sink(sink);
	find_sources_that_are_sinks(sink);
}

Sink *
sink_get(Oid relid)
{
	Sink	   *sink = sink_catalog_read(relid, NULL);
	char	   *name;

	if (sink != NULL && complete_sink(sink))
	{
		find_sources_that_are_sinks(sink);
		return sink;
	}

	name = get_rel_name(relid);
	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"%s\" is not a sink", name),
			 errhint("The view freshet.status lists the sinks.")));
}

void
sink_check_wanted(Oid relid, int64 generation)
{
	Sink	   *sink = sink_catalog_read(relid, NULL);

	if (sink == NULL || sink->paused || sink->generation != generation)
		process_retry(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
					  "a sink was paused, rebuilt or dropped before it was filled");
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	/* dropped since the batch's snapshot: the next one does not see it */
	if (!HeapTupleIsValid(tuple))
		process_retry(ERRCODE_UNDEFINED_TABLE, "a relation of the sink was dropped");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Does the table still have what the plan writes?  Its owner may have changed
 * a column, and a replaced function may have changed the plan.
 */
static void
check_columns(const Sink *sink)
{
	bool		good = sink->plan->ncolumns == sink->ncolumns;

	for (int i = 0; good && i < sink->ncolumns; i++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(sink->relid),
											Int16GetDatum(sink->columns[i]));
		Form_pg_attribute att;

		if (!HeapTupleIsValid(tuple))
		{
			good = false;
			break;
		}
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		good = !att->attisdropped && att->atttypid == sink->plan->columns[i].type &&
			att->atttypmod == sink->plan->columns[i].typmod;
		ReleaseSysCache(tuple);
	}

	if (strcmp(plan_kind(sink->plan), sink->kind) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rows of sink \"%s\" have lost their key",
						get_rel_name(sink->relid)),
				 errhint("Give the source its key back, or drop the sink and create it anew.")));
	if (!good)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("columns of sink \"%s\" are not those of its query any more",
						get_rel_name(sink->relid)),
				 errhint("Drop the sink and create it anew.")));
}

static SinkPlan *
make_plan(const Sink *sink, const Query *query)
{
	switch (sink->strategy)
	{
		case STRATEGY_DELTA:
			return analyze_delta(query, strcmp(sink->kind, "bag") == 0);
		case STRATEGY_KEYED:
			return strcmp(sink->kind, "query") == 0 ? analyze_keyed_query(query) :
				analyze_wide_view(query);
		case STRATEGY_REFRESH:
			return analyze_refresh(query);
	}
	pg_unreachable();
}

/*
 * The definition is read with the rights of the view's owner, which are none
 * of the sink's owner if the two differ.  They do not, since the view follows
 * its table (ddl_events.c), unless somebody went around that.
 */
static void
check_definition_owner(const Sink *sink)
{
	if (relation_owner(sink->viewid) != sink->owner ||
		relation_owner(sink->definition_view) != sink->owner)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the definition of sink \"%s\" does not belong to the sink's owner",
						get_rel_name(sink->relid)),
				 errhint("Call freshet.rebuild_sink().")));
}

bool
sink_can_plan(const Sink *sink)
{
	ListCell   *lc;

	if (!process_try_lock_relation(sink->relid, AccessShareLock))
		return false;
	foreach(lc, sink->sources)
	{
		if (!process_try_lock_tree(lfirst_oid(lc), AccessShareLock))
			return false;
	}
	foreach(lc, sink->views)
	{
		if (!process_try_lock_relation(lfirst_oid(lc), AccessShareLock))
			return false;
	}
	return true;
}

/* Is the table still one that can be a sink? */
static void
check_guards(const Sink *sink)
{
	Relation	rel = try_table_open(sink->relid, NoLock);

	if (rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a relation of the sink was dropped");
	sink_guard_check(sink, rel);
	table_close(rel, NoLock);
}

/* Has the index on the sink's key been replaced?  See maintain/long_key.c. */
static bool
has_long_keys(Oid relid)
{
	Relation	rel = try_table_open(relid, AccessShareLock);
	bool		result = false;
	ListCell   *lc;

	if (rel == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a relation of the sink was dropped");
	foreach(lc, RelationGetIndexList(rel))
	{
		char	   *name = get_rel_name(lfirst_oid(lc));

		result |= name != NULL && strncmp(name, FRESHET_LONG_KEY_INDEX,
										  strlen(FRESHET_LONG_KEY_INDEX)) == 0;
	}
	table_close(rel, NoLock);
	return result;
}

/*
 * Making a plan folds constants, that is, it runs functions; hence the
 * sandbox, which the caller must not be in.
 */
void
sink_make_plan(Sink *sink)
{
	MemoryContext oldcontext;
	SinkSandbox sandbox;
	Query	   *query;
	ListCell   *lc;

	if (sink->planned)
		return;

	/* the locks also bring the invalidations of changes that S may see */
	process_lock_relation(sink->relid, AccessShareLock);
	foreach(lc, sink->sources)
	{
		/* with its partitions, which are looked at too */
		process_lock_tree(lfirst_oid(lc), AccessShareLock);
		(void) relation_owner(lfirst_oid(lc));
	}
	foreach(lc, sink->views)
		process_lock_relation(lfirst_oid(lc), AccessShareLock);
	sink->owner = relation_owner(sink->relid);
	check_definition_owner(sink);
	check_guards(sink);

	oldcontext = MemoryContextSwitchTo(sink->context);
	sink_enter_sandbox(sink, &sandbox);

	query = definition_query(sink->viewid);
	if (query == NULL)
		process_retry(ERRCODE_UNDEFINED_TABLE, "a relation of the sink was dropped");
	sink->plan = make_plan(sink, query);
	sink->definition = sink_guard_definition_hash(sink);
	if (sink->plan->shape == SHAPE_ROLLUP && has_long_keys(sink->relid))
	{
		sink->plan->part.rollup.long_keys = true;
		sink->plan->part.rollup.keeps_states = true;
	}
	sink->run_anew = sink->strategy == STRATEGY_REFRESH;
	source_check_all(sink->plan, sink->owner);
	check_columns(sink);

	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
	sink->planned = true;
}

AttrNumber
sink_column_attno(Sink *sink, int column)
{
	Assert(column >= 0 && column < sink->ncolumns);
	return sink->columns[column];
}

void
sink_set_state(Sink *sink, SinkState state, const char *error)
{
	int64		generation = sink->built_generation;

	if (state == SINK_LIVE || state == SINK_BEHIND || state == SINK_FAILED)
		generation = sink->generation;
	sink_state_write(sink, state, generation, error);

	changed_in_xact = true;
	sink->state = state;
	sink->built_generation = generation;
	sink->error = error ? MemoryContextStrdup(sink->context, error) : NULL;
	watch_relations();
}

void
sink_set_building(Sink *sink)
{
	if (sink->state == SINK_BUILDING && sink->built_generation == 0)
		return;
	sink->built_generation = 0;
	sink_set_state(sink, SINK_BUILDING, NULL);
}

List *
sink_clean_states(void)
{
	List	   *relids;

	if (!cached_orphans)
		return NIL;

	relids = sink_state_delete_orphans();
	cached_orphans = false;
	changed_in_xact = true;
	return relids;
}

/* Settings are seldom other than they should be: look before setting. */
static void
set_setting(const char *name, const char *value)
{
	const char *current = GetConfigOption(name, true, false);

	if (current == NULL || strcmp(current, value) != 0)
		(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
}

/*
 * What a function can leave behind in its session although the operation is
 * restricted and its settings are taken back: open cursors and descriptors of
 * large objects, which another's function would read with the rights of the
 * one who opened them, advisory locks, the state of random().  (What libraries
 * keep to themselves, such as named connections of dblink, nobody can discard.)
 *
 * In a worker alone: elsewhere the session is its user's.  No cursor is
 * freshet's own there.
 */
static void
discard_session_state(void)
{
	double		seed = pg_prng_double(&pg_global_prng_state);

	PortalHashTableDeleteAll();
	AtEOXact_LargeObject(true);
	LockReleaseAll(USER_LOCKMETHOD, true);
	(void) DirectFunctionCall1(setseed, Float8GetDatum(seed));
}

/*
 * As REFRESH MATERIALIZED VIEW does: another's code must not gain the
 * worker's rights, nor see a search_path of anybody's making.
 */
static void
enter_sandbox(Oid userid, SinkSandbox *sandbox)
{
	GetUserIdAndSecContext(&sandbox->save_userid, &sandbox->save_sec_context);
	SetUserIdAndSecContext(userid, sandbox->save_sec_context | SECURITY_RESTRICTED_OPERATION);
	sandbox->save_nestlevel = NewGUCNestLevel();
	sandbox->save_read_only = XactReadOnly;
	XactReadOnly = true;
}

void
sink_enter_sandbox(const Sink *sink, SinkSandbox *sandbox)
{
	Assert(OidIsValid(sink->owner));
	enter_sandbox(sink->owner, sandbox);
	set_setting("search_path", "pg_catalog, pg_temp");
	for (int i = 0; i < sink->nsettings; i++)
		set_setting(sink->setting_names[i], sink->setting_values[i]);
}

void
sink_enter_analysis_sandbox(SinkSandbox *sandbox)
{
	enter_sandbox(GetUserId(), sandbox);
}

void
sink_leave_sandbox(const SinkSandbox *sandbox)
{
	if (process_maintains())
		discard_session_state();
	XactReadOnly = sandbox->save_read_only;
	AtEOXact_GUC(false, sandbox->save_nestlevel);
	SetUserIdAndSecContext(sandbox->save_userid, sandbox->save_sec_context);
}

bool
sink_same_sandbox(const Sink *a, const Sink *b)
{
	if (a->owner != b->owner || a->nsettings != b->nsettings)
		return false;
	for (int i = 0; i < a->nsettings; i++)
	{
		if (strcmp(a->setting_names[i], b->setting_names[i]) != 0 ||
			strcmp(a->setting_values[i], b->setting_values[i]) != 0)
			return false;
	}
	return true;
}
