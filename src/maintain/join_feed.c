/*-------------------------------------------------------------------------
 *
 * join_feed.c
 *		Feed the joined rows that come and go to a consumer.
 *
 * Changed rows of the sources are collected, occurrence by occurrence, and only
 * joined when the batch is whole: what came and went within it cancels before
 * any condition sees it.  Then each occurrence that has changed, or if they are few
 * each set of them, makes a term (join_query.c); the rows of the terms, with their
 * weights, are the difference.
 *
 * If several occurrences have changed there are rows in it that exist in no
 * snapshot: an old row of one with a new row of another.  They come in one term
 * and go in another.  So the rows of all terms are netted, too, before the
 * consumer evaluates anything.  Conditions of the join do see such pairs; if one
 * fails on them, the sink is filled at S instead, as after any error that stays
 * (engine/trouble.c).
 *
 * Only a batch that ends at its snapshot can be joined.  The engine sees to that,
 * and to a source that was truncated, of which there are no old rows: in both
 * cases the sink is filled.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/guc.h"
#include "base/process.h"
#include "changed_rows.h"
#include "execute.h"
#include "join_feed.h"
#include "join_plans.h"
#include "join_query.h"
#include "signed_rows.h"

#define QUERY_NAME	"freshet: joining the sources"

/* Of so many occurrences that have changed each set has a term: 7 of 3. */
#define MAX_SET		3

typedef struct JoinFeed
{
	RowConsumer consumer;		/* first: it is what the feed knows */
	RowConsumer *target;
	Sink	   *sink;
	const SinkPlan *plan;
	List	   *leaves;
	MemoryContext context;
	MemoryContext row_context;	/* reset after each joined row */
	ChangedRows *changed;
	JoinChanges *changes;		/* by occurrence, when they are netted */

	/* the joined rows */
	TupleDesc	desc;
	SignedRows *joined;			/* NULL: they need not be netted */
	int			nweights;		/* columns of the term behind theirs */
	int			sign;			/* of the term */
} JoinFeed;

/*
 * Collecting
 */

static void
feed_input_row(RowConsumer *consumer, int occurrence, TupleTableSlot *slot, int sign)
{
	changed_rows_put(((JoinFeed *) consumer)->changed, occurrence, slot, sign);
}

static void
feed_truncate(RowConsumer *consumer, int occurrence)
{
	elog(ERROR, "a source of a join was truncated");
}

static TupleDesc
joined_desc(const SinkPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(list_length(plan->join->columns));
	ListCell   *lc;

	foreach(lc, plan->join->columns)
	{
		Var		   *var = lfirst_node(Var, lc);
		AttrNumber	column = foreach_current_index(lc) + 1;

		TupleDescInitEntry(desc, column, NULL, var->vartype, var->vartypmod, 0);
		TupleDescInitEntryCollation(desc, column, var->varcollid);
	}
	return desc;
}

RowConsumer *
join_feed_create(Sink *sink, RowConsumer *target, List *leaves)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet join",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	JoinFeed   *feed = palloc0(sizeof(JoinFeed));

	feed->consumer.row = feed_input_row;
	feed->consumer.truncate = feed_truncate;
	feed->target = target;
	feed->sink = sink;
	feed->plan = sink->plan;
	feed->leaves = leaves;
	feed->context = context;
	feed->row_context = AllocSetContextCreate(context, "freshet joined row",
											  ALLOCSET_SMALL_SIZES);
	feed->changed = changed_rows_create(feed->plan);
	feed->desc = joined_desc(feed->plan);
	MemoryContextSwitchTo(oldcontext);
	return &feed->consumer;
}

void
join_feed_destroy(RowConsumer *consumer)
{
	JoinFeed   *feed = (JoinFeed *) consumer;

	changed_rows_destroy(feed->changed);
	if (feed->joined != NULL)
		signed_rows_destroy(feed->joined);
	MemoryContextDelete(feed->context);
}

/*
 * Joining
 */

/* To the target, as often as it came or went. */
static void
deliver_row(JoinFeed *feed, TupleTableSlot *slot, int64 weight)
{
	int			sign = weight > 0 ? 1 : -1;

	for (int64 i = 0; i != weight; i += sign)
		feed->target->row(feed->target, 0, slot, sign);
}

static void
keep_row(JoinFeed *feed, TupleTableSlot *slot, int64 weight)
{
	int			sign = weight > 0 ? 1 : -1;

	for (int64 i = 0; i != weight; i += sign)
		signed_rows_put_image(feed->joined, sign, slot->tts_values, slot->tts_isnull);
}

/* A row of a term. */
static void
take_row(TupleTableSlot *slot, void *arg)
{
	JoinFeed   *feed = arg;
	MemoryContext oldcontext = MemoryContextSwitchTo(feed->row_context);
	int64		weight = feed->sign;

	slot_getallattrs(slot);
	for (int i = 0; i < feed->nweights; i++)
		weight *= DatumGetInt64(slot->tts_values[feed->desc->natts + i]);
	if (feed->joined != NULL)
		keep_row(feed, slot, weight);
	else
		deliver_row(feed, slot, weight);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(feed->row_context);
}

/* What makes the query of a term. */
typedef struct Term
{
	const JoinFeed *feed;
	int			changed;		/* an occurrence ... */
	const Bitmapset *set;		/* ... or several; else NULL */
} Term;

static Query *
term_query(void *arg)
{
	const Term *term = arg;

	if (term->set != NULL)
		return join_set_query(term->feed->plan, term->feed->changes, term->set);
	return join_term_query(term->feed->plan, term->feed->changes, term->changed);
}

static void
run_term(JoinFeed *feed, Term *term, int number, QueryEnvironment *env)
{
	Sink	   *sink = feed->sink;
	PlannedStmt *stmt;

	if (sink->run_cache == NULL)
		sink->run_cache = join_plans_create(sink->context);
	stmt = join_plans_get(sink->run_cache, feed->plan->noccurrences, feed->changes, number,
						  term_query, term);
	execute_plan(stmt, QUERY_NAME, NULL, env, take_row, feed);
}

/* A term for each occurrence that has changed. */
static void
run_terms(JoinFeed *feed, QueryEnvironment *env)
{
	feed->sign = 1;
	for (int i = 0; i < feed->plan->noccurrences; i++)
	{
		Term		term = {.feed = feed,.changed = i};

		if (feed->changes[i].store == NULL)
			continue;
		feed->nweights = join_term_weights(feed->changes, i);
		run_term(feed, &term, i, env);
	}
}

/* A term for each set of them: few. */
static void
run_sets(JoinFeed *feed, QueryEnvironment *env)
{
	int			changed[MAX_SET];
	int			n = 0;

	for (int i = 0; i < feed->plan->noccurrences; i++)
	{
		if (feed->changes[i].store != NULL)
			changed[n++] = i;
	}
	for (int which = 1; which < 1 << n; which++)
	{
		Bitmapset  *set = NULL;
		Term		term = {.feed = feed};

		for (int i = 0; i < n; i++)
		{
			if (which & (1 << i))
				set = bms_add_member(set, changed[i]);
		}
		term.set = set;
		feed->nweights = bms_num_members(set);
		feed->sign = feed->nweights % 2 == 1 ? 1 : -1;
		/* which occurrences have changed is part of what a plan is known by */
		run_term(feed, &term, feed->plan->noccurrences + which, env);
	}
}

static void
deliver_joined(JoinFeed *feed)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(feed->desc, &TTSOpsVirtual);
	int64		weight;
	Datum	   *values;
	bool	   *nulls;

	signed_rows_sort(feed->joined);
	while (signed_rows_get_net(feed->joined, &weight, &values, &nulls))
	{
		ExecClearTuple(slot);
		memcpy(slot->tts_values, values, feed->desc->natts * sizeof(Datum));
		memcpy(slot->tts_isnull, nulls, feed->desc->natts * sizeof(bool));
		deliver_row(feed, ExecStoreVirtualTuple(slot), weight);
	}
	ExecDropSingleTupleTableSlot(slot);
}

void
join_feed_deliver(RowConsumer *consumer)
{
	JoinFeed   *feed = (JoinFeed *) consumer;
	MemoryContext oldcontext = MemoryContextSwitchTo(feed->context);
	QueryEnvironment *env;
	int			nchanged = changed_rows_net(feed->changed, &feed->changes);

	if (nchanged > 0)
	{
		feed_check_sources(feed->sink, feed->leaves);
		env = join_term_environment(feed->plan, feed->changes);
		if (nchanged > 1)
			feed->joined = signed_rows_create(feed->desc, 0, NULL, NULL, freshet_work_mem / 2);
		if (nchanged <= MAX_SET)
			run_sets(feed, env);
		else
			run_terms(feed, env);
		if (feed->joined != NULL)
			deliver_joined(feed);
	}
	MemoryContextSwitchTo(oldcontext);
}

/*
 * All rows
 */

typedef struct WholeFeed
{
	RowConsumer *consumer;
	MemoryContext row_context;
	int64		count;
	int64	   *rows_done;
} WholeFeed;

static void
take_whole_row(TupleTableSlot *slot, void *arg)
{
	WholeFeed  *feed = arg;
	MemoryContext oldcontext = MemoryContextSwitchTo(feed->row_context);

	feed->consumer->row(feed->consumer, 0, slot, 1);
	if ((++feed->count & 1023) == 0 && feed->rows_done != NULL)
		*feed->rows_done += 1024;
	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(feed->row_context);
}

int64
join_feed_all(const Sink *sink, List *leaves, RowConsumer *consumer, int64 *rows_done)
{
	WholeFeed	feed = {.consumer = consumer,.rows_done = rows_done};
	MemoryContext context;
	MemoryContext oldcontext;
	PlannedStmt *stmt;

	if (sink->plan->join == NULL)
		return feed_table(sink, plan_rows(sink->plan)->occurrence, leaves, GetActiveSnapshot(),
						  consumer, rows_done);

	feed_check_sources(sink, leaves);
	context = AllocSetContextCreate(CurrentMemoryContext, "freshet join", ALLOCSET_DEFAULT_SIZES);
	oldcontext = MemoryContextSwitchTo(context);
	feed.row_context = AllocSetContextCreate(context, "freshet joined row",
											 ALLOCSET_SMALL_SIZES);
	stmt = pg_plan_query(join_query(sink->plan), QUERY_NAME, 0, NULL);
	execute_plan(stmt, QUERY_NAME, NULL, NULL, take_whole_row, &feed);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
	return feed.count;
}
