/*-------------------------------------------------------------------------
 *
 * key_query.c
 *		Queries over a set of keys, planned for its size.
 *
 * The keys are an ephemeral named relation, as transition tables of triggers
 * are: a tuplestore that the query reads by name.  Whether a nested loop over
 * indexes or a hash join over whole tables is the better plan depends on how
 * many keys there are; so there is a cached plan for each power of sixteen.
 *
 * The cached plans are PostgreSQL's: they are made anew when a relation or a
 * statistic that they rest on changes.  They are parsed from the text again
 * then; therefore the caller composes the text from the names of the moment,
 * after it has locked the relations, and another text makes another plan.
 *
 * They serve as long as their tables are about as large (plan_sizes.c).
 *
 * It does not help that a table was small when the query began.  It grows while
 * the query runs, by rows which are not visible but which a scan for each key
 * has to pass over all the same.  Where a table is read for each key, an index
 * costs little more even if the table is small: hence "by_index".
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/queryenvironment.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/process.h"
#include "key_query.h"
#include "plan_sizes.h"
#include "shared_rows.h"

#define SIZE_CLASSES	6

/* From this class on rows are likely to be shared: 4096 keys. */
#define SHARED_CLASS	3

typedef struct SizedPlan
{
	CachedPlanSource *source;	/* NULL: none */
	bool		shared;			/* rewritten by shared_rows_rewrite() */
	int			generation;		/* which plan of the source the sizes are of */
	PlanSizes  *sizes;
} SizedPlan;

struct KeyQuery
{
	MemoryContext context;
	MemoryContextCallback callback;
	char	   *sql;
	bool		by_index;
	SizedPlan	plans[SIZE_CLASSES];
};

static void
drop_plan(SizedPlan *plan)
{
	CachedPlanSource *source = plan->source;

	plan->source = NULL;
	if (source != NULL)
		DropCachedPlan(source);
}

static void
drop_plans(void *arg)
{
	KeyQuery   *query = arg;

	for (int i = 0; i < SIZE_CLASSES; i++)
		drop_plan(&query->plans[i]);
}

KeyQuery *
key_query_create(MemoryContext context, bool by_index)
{
	KeyQuery   *query = MemoryContextAllocZero(context, sizeof(KeyQuery));

	query->context = context;
	query->by_index = by_index;
	query->callback.func = drop_plans;
	query->callback.arg = query;
	MemoryContextRegisterResetCallback(context, &query->callback);
	return query;
}

static QueryEnvironment *
make_environment(const KeyRows *keys)
{
	QueryEnvironment *env;

	if (keys == NULL)
		return NULL;

	env = create_queryEnv();
	execute_register_rows(env, pstrdup(KEY_QUERY_KEYS), keys->desc, keys->store, keys->count);
	return env;
}

static void
plan_key_query(KeyQuery *query, SizedPlan *plan, bool parallel, QueryEnvironment *env)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(query->sql));
	CachedPlanSource *source = CreateCachedPlan(raw, query->sql, CMDTAG_SELECT);
	List	   *queries = pg_analyze_and_rewrite_fixedparams(raw, query->sql, NULL, 0, env);

	plan->shared = query->by_index && plan >= &query->plans[SHARED_CLASS];
	if (plan->shared)
		shared_rows_rewrite(linitial_node(Query, queries));
	CompleteCachedPlan(source, queries, NULL, NULL, 0, NULL, NULL,
					   parallel ? CURSOR_OPT_PARALLEL_OK : 0, false);
	SaveCachedPlan(source);
	plan->source = source;
	plan->generation = -1;
}

static void
note_sizes(KeyQuery *query, SizedPlan *plan, const PlannedStmt *stmt)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(query->context);

	if (plan->sizes != NULL)
		pfree(plan->sizes);
	plan->sizes = plan_sizes_note(stmt);
	plan->generation = plan->source->generation;
	MemoryContextSwitchTo(oldcontext);
}

/* To be released. */
static CachedPlan *
get_plan(KeyQuery *query, const char *sql, const KeyRows *keys, bool parallel,
		 QueryEnvironment *env)
{
	SizedPlan  *plan = &query->plans[keys == NULL ? 0 :
									  Min(plan_size_class(keys->count), SIZE_CLASSES - 1)];
	CachedPlan *result;

	if (query->sql == NULL || strcmp(query->sql, sql) != 0)
	{
		drop_plans(query);
		query->sql = MemoryContextStrdup(query->context, sql);
	}
	if (plan->source == NULL)
		plan_key_query(query, plan, parallel, env);

	result = GetCachedPlan(plan->source, NULL, CurrentResourceOwner, env);
	/* one that was made anew may have been parsed again, too */
	if (plan->generation == plan->source->generation ? !plan_sizes_are_right(plan->sizes) :
		plan->shared && plan->generation != -1)
	{
		ReleaseCachedPlan(result, CurrentResourceOwner);
		drop_plan(plan);
		plan_key_query(query, plan, parallel, env);
		result = GetCachedPlan(plan->source, NULL, CurrentResourceOwner, env);
	}
	if (plan->generation != plan->source->generation)
		note_sizes(query, plan, linitial_node(PlannedStmt, result->stmt_list));
	return result;
}

void
key_query_run(KeyQuery *query, const char *sql, const KeyRows *keys, bool parallel,
			  ExecuteCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet key query",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	QueryEnvironment *env = make_environment(keys);
	int			nestlevel = NewGUCNestLevel();
	CachedPlan *plan;

	if (parallel)
		process_allow_parallel_query();
	if (query->by_index)
		(void) set_config_option("enable_seqscan", "off", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	plan = get_plan(query, sql, keys, parallel, env);
	execute_plan(linitial_node(PlannedStmt, plan->stmt_list), sql, NULL, env, callback, arg);
	ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(false, nestlevel);

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

double
key_query_cost(KeyQuery *query, const char *sql, const KeyRows *keys)
{
	CachedPlan *plan = get_plan(query, sql, keys, false, make_environment(keys));
	double		cost = linitial_node(PlannedStmt, plan->stmt_list)->planTree->total_cost;

	ReleaseCachedPlan(plan, CurrentResourceOwner);
	return cost;
}
