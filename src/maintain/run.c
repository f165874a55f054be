/*-------------------------------------------------------------------------
 *
 * run.c
 *		Runs: the maintenance of one sink in one batch, over the shapes.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "apply.h"
#include "base/process.h"
#include "group_state.h"
#include "join_feed.h"
#include "net_rows.h"
#include "run.h"

struct Run
{
	Sink	   *sink;
	const RunMethods *methods;
	RowConsumer *consumer;
	RowConsumer *net;			/* collects its rows; NULL: it is fed at once */
	RowConsumer *join;			/* the same, and joins them */
	List	   *leaves;
	const LeafSet **counted;	/* of each source, or NULL */
	MemoryContext context;
	int64		changes;
};

static const RunMethods *
shape_methods(SinkShape shape)
{
	switch (shape)
	{
		case SHAPE_ROLLUP:
			return &rollup_methods;
		case SHAPE_COPY:
			return &copy_methods;
		case SHAPE_BAG:
			return &bag_methods;
		case SHAPE_WIDE_VIEW:
			return &keyed_methods;
		case SHAPE_KEYED_QUERY:
			return &keyed_query_methods;
		case SHAPE_REFRESH:
			return &refresh_methods;
	}
	pg_unreachable();
}

Run *
run_begin(Sink *sink, List *leaves, ChangeSet *emit, bool netted)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet run",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	Run		   *run = palloc0(sizeof(Run));
	SinkSandbox sandbox;

	run->sink = sink;
	run->leaves = list_copy(leaves);	/* the caller's ends with a part of the batch */
	run->context = context;
	run->methods = shape_methods(sink->plan->shape);

	/* before anything was folded: if a lock is not to be had, nothing is lost */
	if (plan_reads_sources(sink->plan))
		feed_lock_sources(sink, leaves);

	sink_enter_sandbox(sink, &sandbox);
	run->consumer = run->methods->open(sink, run->leaves, emit);
	run->consumer->netted = netted;
	/* what computes rows at the snapshot has nothing to net */
	if (sink->plan->join != NULL)
		run->join = join_feed_create(sink, run->consumer, run->leaves);
	else if (netted && !run->consumer->wants_same_identity)
		run->net = net_rows_create(sink, run->consumer);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
	return run;
}

void
run_set_counted(Run *run, List *counted)
{
	ListCell   *lc;

	run->counted = MemoryContextAllocZero(run->context,
										  list_length(counted) * sizeof(LeafSet *));
	foreach(lc, counted)
	{
		const LeafSet *set = lfirst(lc);
		Size		size = set ? offsetof(LeafSet, relids) + set->n * sizeof(Oid) : 0;

		if (set != NULL)
			run->counted[foreach_current_index(lc)] =
				memcpy(MemoryContextAlloc(run->context, size), set, size);
	}
}

bool
run_is_possible(const Sink *sink)
{
	const RunMethods *methods = shape_methods(sink->plan->shape);

	return methods->is_ready == NULL || methods->is_ready(sink);
}

void
run_check_table(Sink *sink)
{
	SinkSandbox sandbox;

	/* if it is locked: when it is written next */
	if (!process_try_lock_relation(sink->relid, RowExclusiveLock))
		return;
	sink_enter_sandbox(sink, &sandbox);
	writer_close(writer_open(sink, NULL));
	sink_leave_sandbox(&sandbox);
}

void
run_drop_leavings(Oid sink_relid)
{
	group_states_drop(sink_relid);
}

Sink *
run_sink(const Run *run)
{
	return run->sink;
}

void
run_fill(Run *run, int64 *rows_done)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	feed_check_sources(run->sink, run->leaves);
	if (run->methods->prepare_fill != NULL)
		run->methods->prepare_fill(run->sink);
	sink_enter_sandbox(run->sink, &sandbox);
	run->methods->fill(run->consumer, rows_done);
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
}

/* What takes the rows that are fed to it. */
static RowConsumer *
fed_consumer(const Run *run)
{
	if (run->join != NULL)
		return run->join;
	return run->net ? run->net : run->consumer;
}

void
run_add_leaf(Run *run, int source, Oid leaf)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;
	int64		changes = 0;

	feed_check_sources(run->sink, run->leaves);
	sink_enter_sandbox(run->sink, &sandbox);
	for (int i = 0; i < run->sink->plan->noccurrences; i++)
	{
		if (run->sink->plan->occurrences[i].source == source)
			changes = feed_leaf(run->sink, i, leaf, GetActiveSnapshot(), fed_consumer(run));
	}
	run->changes += changes;
	sink_leave_sandbox(&sandbox);
	MemoryContextSwitchTo(oldcontext);
}

/* One target for each place where the run's query has the relation. */
static void
add_targets(Feed *feed, const Run *run)
{
	const SinkPlan *plan = run->sink->plan;

	for (int i = 0; i < plan->noccurrences; i++)
	{
		FeedTarget *target = &feed->targets[feed->ntargets];
		int			source = plan->occurrences[i].source;

		if (plan->sources[source].relid != feed->relid)
			continue;
		target->sink = run->sink;
		target->occurrence = i;
		target->counted = run->counted ? run->counted[source] : NULL;
		target->consumer = fed_consumer(run);
		feed->ntargets++;
	}
}

/* The runs of one sandbox. */
static void
feed_together(List *runs, Oid relid, List *sets, Oid *blame)
{
	Run		   *first = linitial(runs);
	Feed		feed = {.relid = relid};
	int			noccurrences = 0;
	SinkSandbox sandbox;
	int64		changes;
	ListCell   *lc;

	foreach(lc, runs)
		noccurrences += ((Run *) lfirst(lc))->sink->plan->noccurrences;
	feed.targets = palloc(noccurrences * sizeof(FeedTarget));
	foreach(lc, runs)
		add_targets(&feed, lfirst(lc));

	sink_enter_sandbox(first->sink, &sandbox);
	changes = feed_changes(&feed, sets, blame);
	sink_leave_sandbox(&sandbox);

	foreach(lc, runs)
		((Run *) lfirst(lc))->changes += changes;
}

/*
 * The changes of one relation.  Each row is read and taken apart once for all
 * sinks, as far as they share a sandbox.
 */
static void
feed_runs_of(List *runs, Oid relid, List *sets, Oid *blame)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, runs)
	{
		if (plan_find_source(((Run *) lfirst(lc))->sink->plan, relid) >= 0)
			left = lappend(left, lfirst(lc));
	}
	while (left != NIL)
	{
		Run		   *first = linitial(left);
		List	   *together = NIL;
		List	   *others = NIL;

		foreach(lc, left)
		{
			Run		   *run = lfirst(lc);

			if (sink_same_sandbox(first->sink, run->sink))
				together = lappend(together, run);
			else
				others = lappend(others, run);
		}
		feed_together(together, relid, sets, blame);
		left = others;
	}
}

void
run_feed(List *runs, List *sets, Oid *blame)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet feed",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	List	   *fed = NIL;
	ListCell   *lc;

	foreach(lc, runs)
	{
		const SinkPlan *plan = ((Run *) lfirst(lc))->sink->plan;

		for (int i = 0; i < plan->nsources; i++)
		{
			Oid			relid = plan->sources[i].relid;

			if (list_member_oid(fed, relid))
				continue;
			fed = lappend_oid(fed, relid);
			feed_runs_of(runs, relid, sets, blame);
		}
	}
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}

static void
end_run(Run *run, bool flush, MaintainResult *result)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(run->context);
	SinkSandbox sandbox;

	memset(result, 0, sizeof(MaintainResult));
	sink_enter_sandbox(run->sink, &sandbox);
	if (flush && run->net)
		net_rows_deliver(run->net);
	if (flush && run->join)
		join_feed_deliver(run->join);
	if (flush)
		run->methods->flush(run->consumer);
	if (run->net)
		net_rows_destroy(run->net);
	if (run->join)
		join_feed_destroy(run->join);
	run->methods->close(run->consumer, result);
	sink_leave_sandbox(&sandbox);
	result->changes = run->changes;

	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(run->context);
}

void
run_finish(Run *run, MaintainResult *result)
{
	end_run(run, true, result);

	/* a later sink of the batch may read what was written */
	writer_make_visible();
}

void
run_discard(Run *run)
{
	MaintainResult result;

	end_run(run, false, &result);
}
