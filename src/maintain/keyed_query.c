/*-------------------------------------------------------------------------
 *
 * keyed_query.c
 *		The strategy "keyed" of a query: recompute the rows of affected keys.
 *
 * The changed rows of all occurrences are collected over the batch and netted
 * (changed_rows.c).  When it is whole they lead to keys, on the paths that the
 * analysis has found (key_paths.c), and the rows that the definition gives for these
 * keys at the snapshot are compared with those that the sink has: what is not
 * there any more is deleted, what is new inserted (row_diff.c).  A key may have any
 * number of rows; nothing but the definition itself says what they are.
 *
 * The definition is asked in one of two ways, whichever the planner thinks is cheaper.
 * Joined with the keys,
 *
 *		SELECT d.* FROM freshet_keys k JOIN definition d ON d.key = k.k1
 *
 * which serves what is pulled up into the query, and many keys.  Or for each key,
 *
 *		SELECT d.* FROM freshet_keys k, LATERAL (SELECT * FROM definition d
 *			WHERE d.key = k.k1 OFFSET 0) d
 *
 * by which the condition gets into groups, windows and the like, which a join does not.
 * A NULL in a key is asked for by IS NULL: keys with NULLs in the same places have queries
 * of their own.
 *
 * Keys spill; as many as fit the memory are recomputed at a time.  If that is dearer than
 * to compute everything, and after TRUNCATE of a source, everything is computed and
 * compared.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "base/names.h"
#include "base/process.h"
#include "changed_rows.h"
#include "execute.h"
#include "group_table.h"
#include "join_plans.h"
#include "key_paths.h"
#include "key_query.h"
#include "refresh.h"
#include "row_diff.h"
#include "run.h"

#define QUERY_NAME		"freshet: finding affected keys"
#define STORED_NAME		"freshet: finding rows by key"

/* Keys that are added between two looks at the memory. */
#define KEYS_AT_A_TIME	256

/* Queries of one sink, kept with its plan. */
typedef struct KeyedQueryCache
{
	JoinPlans  *paths;
	JoinPlans  *stored;
	RefreshQueries *all;
	KeyQuery  **joined;			/* by the places of NULLs; elements may be NULL */
	KeyQuery  **lateral;
} KeyedQueryCache;

typedef struct KeyedQuery
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	Sink	   *sink;
	const KeyedQueryPlan *plan;
	List	   *leaves;
	MemoryContext context;		/* of the whole */
	ChangedRows *changed;
	bool		everything;		/* a source was truncated, or one has changed from
								 * which no path leads to keys */
	SinkWriter *writer;

	/* affected keys */
	TupleDesc	key_desc;		/* columns k1, k2, ... */
	Tuplestorestate *found;		/* some of them many times */
	MemoryContext set_context;	/* of those being recomputed */
	GroupTable	set;
	KeyRows    *rows;			/* the same, by the places of NULLs */
} KeyedQuery;

static int
npatterns(const KeyedQuery *run)
{
	return 1 << run->plan->nkeys;
}

static KeyedQueryCache *
query_cache(KeyedQuery *run)
{
	Sink	   *sink = run->sink;
	MemoryContext oldcontext;
	KeyedQueryCache *cache;

	if (sink->run_cache != NULL)
		return sink->run_cache;
	oldcontext = MemoryContextSwitchTo(sink->context);
	cache = palloc0(sizeof(KeyedQueryCache));
	cache->paths = join_plans_create(sink->context);
	cache->stored = join_plans_create(sink->context);
	cache->all = refresh_queries_create(sink->context);
	cache->joined = palloc0(npatterns(run) * sizeof(KeyQuery *));
	cache->lateral = palloc0(npatterns(run) * sizeof(KeyQuery *));
	MemoryContextSwitchTo(oldcontext);
	sink->run_cache = cache;
	return cache;
}

/*
 * Finding keys
 */

typedef struct PathTerm
{
	const SinkPlan *plan;
	const JoinChanges *changes;
	int			occurrence;
	const KeyPath *path;
} PathTerm;

static Query *
path_query(void *arg)
{
	const PathTerm *term = arg;

	return key_path_query(term->plan, term->changes, term->occurrence, term->path);
}

static void
take_key(TupleTableSlot *slot, void *arg)
{
	tuplestore_puttupleslot(((KeyedQuery *) arg)->found, slot);
}

static void
find_keys(KeyedQuery *run, JoinChanges *changes)
{
	const SinkPlan *plan = run->sink->plan;
	QueryEnvironment *env = join_term_environment(plan, changes);
	ListCell   *lc;

	run->found = tuplestore_begin_heap(false, false, freshet_work_mem / 4);
	for (int i = 0; i < plan->noccurrences; i++)
	{
		if (changes[i].store == NULL)
			continue;
		foreach(lc, run->plan->paths[i])
		{
			PathTerm	term = {plan, changes, i, lfirst(lc)};
			PlannedStmt *stmt = join_plans_get(query_cache(run)->paths, plan->noccurrences,
											   changes,
											   i * KEY_MAX_PATHS + foreach_current_index(lc),
											   path_query, &term);

			execute_plan(stmt, QUERY_NAME, NULL, env, take_key, run);
		}
	}
}

/*
 * Queries by key
 */

static void
append_key_conditions(StringInfo sql, const KeyedQuery *run, int nulls)
{
	for (int i = 0; i < run->plan->nkeys; i++)
	{
		const KeySpec *key = &run->plan->keys[i];
		const char *column = quote_identifier(get_attname(run->sink->viewid, key->column + 1,
														  false));

		appendStringInfoString(sql, i > 0 ? " AND " : "");
		if (nulls & (1 << i))
			appendStringInfo(sql, "d.%s IS NOT DISTINCT FROM NULL", column);
		else
			appendStringInfo(sql, "d.%s %s k.k%d", column, names_operator(key->eqop), i + 1);
	}
}

static char *
joined_text(const KeyedQuery *run, int nulls)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT d.* FROM " KEY_QUERY_KEYS " k JOIN %s d ON ",
					 names_relation(run->sink->viewid));
	append_key_conditions(&sql, run, nulls);
	return sql.data;
}

static char *
lateral_text(const KeyedQuery *run, int nulls)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT d.* FROM " KEY_QUERY_KEYS " k, LATERAL (SELECT * FROM %s d "
					 "WHERE ", names_relation(run->sink->viewid));
	append_key_conditions(&sql, run, nulls);
	appendStringInfoString(&sql, " OFFSET 0) d");
	return sql.data;
}

static KeyQuery *
kept_query(const KeyedQuery *run, KeyQuery **queries, int nulls)
{
	if (queries[nulls] == NULL)
		queries[nulls] = key_query_create(run->sink->context, false);
	return queries[nulls];
}

static void
take_wanted(TupleTableSlot *slot, void *arg)
{
	row_diff_add(arg, slot);
}

/* The cheaper way to ask for these keys, and what it costs by the planner. */
static KeyQuery *
choose_query(KeyedQuery *run, int nulls, char **sql, double *cost)
{
	const KeyRows *rows = &run->rows[nulls];
	KeyQuery   *joined = kept_query(run, query_cache(run)->joined, nulls);
	KeyQuery   *lateral = kept_query(run, query_cache(run)->lateral, nulls);
	char	   *lateral_sql = lateral_text(run, nulls);
	double		lateral_cost = key_query_cost(lateral, lateral_sql, rows);

	*sql = joined_text(run, nulls);
	*cost = key_query_cost(joined, *sql, rows);
	if (*cost <= lateral_cost)
		return joined;
	*sql = lateral_sql;
	*cost = lateral_cost;
	return lateral;
}

/* The rows that the definition gives for these keys. */
static void
add_wanted(KeyedQuery *run, RowDiff *diff, int nulls)
{
	int			nestlevel = NewGUCNestLevel();
	KeyQuery   *query;
	char	   *sql;
	double		cost;

	process_refuse_policies();
	query = choose_query(run, nulls, &sql, &cost);
	key_query_run(query, sql, &run->rows[nulls], false, take_wanted, diff);
	AtEOXact_GUC(false, nestlevel);
}

static void
take_stored(TupleTableSlot *slot, void *arg)
{
	row_diff_add_stored(arg, slot);
}

typedef struct StoredTerm
{
	KeyedQuery *run;
	int			nulls;
} StoredTerm;

static Query *
stored_query(void *arg)
{
	const StoredTerm *term = arg;
	const KeyRows *rows = &term->run->rows[term->nulls];

	return key_rows_query(term->run->sink, pstrdup(KEY_QUERY_KEYS), rows->desc, rows->count,
						  term->nulls);
}

/* Those that the sink has. */
static void
add_stored(KeyedQuery *run, RowDiff *diff, int nulls)
{
	KeyRows    *rows = &run->rows[nulls];
	JoinChanges keys = {rows->desc, rows->store, rows->count};
	StoredTerm	term = {run, nulls};
	QueryEnvironment *env = create_queryEnv();
	PlannedStmt *stmt = join_plans_get(query_cache(run)->stored, 1, &keys, nulls, stored_query,
									   &term);

	execute_register_rows(env, pstrdup(KEY_QUERY_KEYS), rows->desc, rows->store, rows->count);
	execute_plan(stmt, STORED_NAME, NULL, env, take_stored, diff);
}

/*
 * Recomputing
 */

static void
begin_set(KeyedQuery *run)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->set_context);

	group_table_create(&run->set, run->plan->nkeys, run->plan->keys, sizeof(bool),
					   run->set_context, run->set_context, run->set_context);
	run->rows = palloc0(npatterns(run) * sizeof(KeyRows));
	for (int i = 0; i < npatterns(run); i++)
		run->rows[i].desc = run->key_desc;
	MemoryContextSwitchTo(oldcontext);
}

static void
end_set(KeyedQuery *run)
{
	for (int i = 0; i < npatterns(run); i++)
	{
		if (run->rows[i].store != NULL)
			tuplestore_end(run->rows[i].store);
	}
	MemoryContextReset(run->set_context);
}

static void
write_set(KeyedQuery *run)
{
	MemoryContext context = AllocSetContextCreate(run->context, "freshet rows of keys",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	RowDiff    *diff = row_diff_begin_some(run->writer, run->plan->nkeys, run->plan->keys);

	for (int i = 0; i < npatterns(run); i++)
	{
		if (run->rows[i].count == 0)
			continue;
		add_wanted(run, diff, i);
		add_stored(run, diff, i);
	}
	writer_begin(run->writer);
	row_diff_write(diff);
	writer_end(run->writer);
	row_diff_end(diff);
	writer_make_visible();
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

/* Add a key to the set, if it is not there. */
static void
add_key(KeyedQuery *run, TupleTableSlot *slot)
{
	TupleTableSlot *key = run->set.key_slot;
	int			n = run->plan->nkeys;
	int			nulls = 0;
	bool		isnew;
	uint32		hash;

	slot_getallattrs(slot);
	ExecClearTuple(key);
	memcpy(key->tts_values, slot->tts_values, n * sizeof(Datum));
	memcpy(key->tts_isnull, slot->tts_isnull, n * sizeof(bool));
	ExecStoreVirtualTuple(key);
	(void) LookupTupleHashEntry(run->set.table, key, &isnew, &hash);
	if (!isnew)
		return;

	for (int i = 0; i < n; i++)
		nulls |= slot->tts_isnull[i] ? 1 << i : 0;
	if (run->rows[nulls].store == NULL)
		run->rows[nulls].store = tuplestore_begin_heap(true, false, freshet_work_mem / 4);
	tuplestore_puttupleslot(run->rows[nulls].store, slot);
	run->rows[nulls].count++;
}

/*
 * Would it be cheaper to compute everything once than the keys in so many parts as
 * there are if the ones in the set are n of them?
 */
static bool
is_dear(KeyedQuery *run, int64 n)
{
	double		parts = (double) tuplestore_tuple_count(run->found) / n;
	double		sum = 0;

	for (int i = 0; i < npatterns(run); i++)
	{
		char	   *sql;
		double		cost;

		if (run->rows[i].count == 0)
			continue;
		(void) choose_query(run, i, &sql, &cost);
		sum += cost;
	}
	return sum * parts > key_query_cost(query_cache(run)->all->compared, refresh_text(run->sink),
										NULL);
}

/* As many as fit, at a time; false if everything should be computed. */
static bool
recompute(KeyedQuery *run)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(run->key_desc, &TTSOpsMinimalTuple);
	int64		n = 0;
	bool		empty = true;
	bool		dear = false;

	begin_set(run);
	while (!dear && tuplestore_gettupleslot(run->found, true, false, slot))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(run->set_context);

		CHECK_FOR_INTERRUPTS();
		add_key(run, slot);
		MemoryContextSwitchTo(oldcontext);
		empty = false;
		if (++n % KEYS_AT_A_TIME == 0 &&
			MemoryContextMemAllocated(run->set_context, true) > (Size) freshet_work_mem * 1024 / 2)
		{
			dear = is_dear(run, n);
			if (dear)
				break;
			write_set(run);
			end_set(run);
			begin_set(run);
			empty = true;
		}
	}
	if (!empty && !dear)
		write_set(run);
	end_set(run);
	ExecDropSingleTupleTableSlot(slot);
	return !dear;
}

/*
 * The run
 */

static void
keyed_query_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	KeyedQuery *run = (KeyedQuery *) consumer;

	/* one of these may have come and gone, but that is not worth waiting for */
	run->everything |= run->plan->paths[occurrence] == NIL;
	if (!run->everything)
		changed_rows_put(run->changed, occurrence, slot, sign);
}

static void
keyed_query_truncate(RowConsumer *consumer, int occurrence)
{
	((KeyedQuery *) consumer)->everything = true;
}

static RowConsumer *
keyed_query_open(Sink *sink, List *leaves, ChangeSet *emit)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet keyed query",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	KeyedQuery *run = palloc0(sizeof(KeyedQuery));

	run->consumer.row = keyed_query_row;
	run->consumer.truncate = keyed_query_truncate;
	/* from one without a path anything counts; others lead to keys too many at worst */
	run->consumer.wants_same_identity = true;
	run->sink = sink;
	run->plan = plan_keyed_query(sink->plan);
	run->leaves = leaves;
	run->context = context;
	run->set_context = AllocSetContextCreate(context, "freshet affected keys",
											 ALLOCSET_DEFAULT_SIZES);
	run->changed = changed_rows_create(sink->plan);
	run->key_desc = CreateTemplateTupleDesc(run->plan->nkeys);
	for (int i = 0; i < run->plan->nkeys; i++)
	{
		const KeySpec *key = &run->plan->keys[i];

		TupleDescInitEntry(run->key_desc, i + 1, psprintf("k%d", i + 1), key->type, key->typmod,
						   0);
		TupleDescInitEntryCollation(run->key_desc, i + 1, key->collation);
	}
	run->writer = writer_open(sink, emit);
	MemoryContextSwitchTo(oldcontext);
	return &run->consumer;
}

static void
write_everything(KeyedQuery *run, int64 *rows_done)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);

	refresh_write_all(run->sink, run->writer, query_cache(run)->all, rows_done);
	MemoryContextSwitchTo(oldcontext);
}

static void
keyed_query_fill(RowConsumer *consumer, int64 *rows_done)
{
	write_everything((KeyedQuery *) consumer, rows_done);
}

static void
keyed_query_flush(RowConsumer *consumer)
{
	KeyedQuery *run = (KeyedQuery *) consumer;
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	JoinChanges *changes;

	if (run->everything)
	{
		feed_check_sources(run->sink, run->leaves);
		write_everything(run, NULL);
	}
	else if (changed_rows_net(run->changed, &changes) > 0)
	{
		feed_check_sources(run->sink, run->leaves);
		process_lock_relation(run->sink->viewid, AccessShareLock);
		find_keys(run, changes);
		if (!recompute(run))
			write_everything(run, NULL);
	}
	MemoryContextSwitchTo(oldcontext);
}

static void
keyed_query_close(RowConsumer *consumer, MaintainResult *result)
{
	KeyedQuery *run = (KeyedQuery *) consumer;

	result->inserted = run->writer->inserted;
	result->updated = run->writer->updated;
	result->deleted = run->writer->deleted;
	writer_close(run->writer);
	changed_rows_destroy(run->changed);
	if (run->found != NULL)
		tuplestore_end(run->found);
	MemoryContextDelete(run->context);
}

const RunMethods keyed_query_methods = {
	keyed_query_open,
	keyed_query_fill,
	keyed_query_flush,
	keyed_query_close
};
