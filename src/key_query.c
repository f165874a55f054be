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
 * Plans are executed here rather than by SPI, because the callback writes to
 * the sink: triggers that this queues belong to the writer, not to the query.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/cmdtag.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/queryenvironment.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "key_query.h"
#include "worker.h"

#define SIZE_CLASSES	6

struct KeyQuery
{
	MemoryContext context;
	MemoryContextCallback callback;
	char	   *sql;
	CachedPlanSource *plans[SIZE_CLASSES];
};

typedef struct CallbackReceiver
{
	DestReceiver pub;
	KeyQueryCallback callback;
	void	   *arg;
	int			rows;
} CallbackReceiver;

static void
drop_plans(void *arg)
{
	KeyQuery   *query = arg;

	for (int i = 0; i < SIZE_CLASSES; i++)
	{
		if (query->plans[i] != NULL)
			DropCachedPlan(query->plans[i]);
		query->plans[i] = NULL;
	}
}

KeyQuery *
key_query_create(MemoryContext context)
{
	KeyQuery   *query = MemoryContextAllocZero(context, sizeof(KeyQuery));

	query->context = context;
	query->callback.func = drop_plans;
	query->callback.arg = query;
	MemoryContextRegisterResetCallback(context, &query->callback);
	return query;
}

static int
size_class(int64 count)
{
	int			class = 0;

	while (count >= 16 && class < SIZE_CLASSES - 1)
	{
		count /= 16;
		class++;
	}
	return class;
}

static QueryEnvironment *
make_environment(const KeyRows *keys)
{
	QueryEnvironment *env;
	EphemeralNamedRelation enr;

	if (keys == NULL)
		return NULL;

	env = create_queryEnv();
	enr = palloc0(sizeof(EphemeralNamedRelationData));
	enr->md.name = pstrdup(KEY_QUERY_KEYS);
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = keys->desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = keys->count;
	enr->reldata = keys->store;
	register_ENR(env, enr);
	return env;
}

static CachedPlanSource *
get_plan(KeyQuery *query, const char *sql, const KeyRows *keys, bool parallel,
		 QueryEnvironment *env)
{
	int			class = keys == NULL ? 0 : size_class(keys->count);
	RawStmt    *raw;
	List	   *queries;
	CachedPlanSource *source;

	if (query->sql == NULL || strcmp(query->sql, sql) != 0)
	{
		drop_plans(query);
		query->sql = MemoryContextStrdup(query->context, sql);
	}
	if (query->plans[class] != NULL)
		return query->plans[class];

	raw = linitial_node(RawStmt, pg_parse_query(sql));
	source = CreateCachedPlan(raw, sql, CMDTAG_SELECT);
	queries = pg_analyze_and_rewrite_fixedparams(raw, sql, NULL, 0, env);
	CompleteCachedPlan(source, queries, NULL, NULL, 0, NULL, NULL,
					   parallel ? CURSOR_OPT_PARALLEL_OK : 0, false);
	SaveCachedPlan(source);
	query->plans[class] = source;
	return source;
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	CallbackReceiver *receiver = (CallbackReceiver *) self;

	if ((++receiver->rows & 63) == 0)
		worker_check_stop();
	receiver->callback(slot, receiver->arg);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_noop(DestReceiver *self)
{
}

static void
execute(PlannedStmt *stmt, const char *sql, QueryEnvironment *env, CallbackReceiver *receiver)
{
	QueryDesc  *querydesc = CreateQueryDesc(stmt, sql, GetActiveSnapshot(), InvalidSnapshot,
											&receiver->pub, NULL, env, 0);

	ExecutorStart(querydesc, EXEC_FLAG_SKIP_TRIGGERS);
	freshet_executor_run(querydesc);
	ExecutorFinish(querydesc);
	ExecutorEnd(querydesc);
	FreeQueryDesc(querydesc);
}

void
key_query_run(KeyQuery *query, const char *sql, const KeyRows *keys, bool parallel,
			  KeyQueryCallback callback, void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet key query",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	CallbackReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, callback, arg, 0};
	QueryEnvironment *env = make_environment(keys);
	int			nestlevel = NewGUCNestLevel();
	CachedPlanSource *source;
	CachedPlan *plan;

	if (parallel)
		worker_allow_parallel_query();
	source = get_plan(query, sql, keys, parallel, env);
	plan = GetCachedPlan(source, NULL, CurrentResourceOwner, env);
	execute(linitial_node(PlannedStmt, plan->stmt_list), sql, env, &receiver);
	ReleaseCachedPlan(plan, CurrentResourceOwner);
	AtEOXact_GUC(false, nestlevel);

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
