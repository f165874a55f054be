/*-------------------------------------------------------------------------
 *
 * join_plans.c
 *		Plans of a join's terms, kept over the batches.
 *
 * A term is planned for what has changed in the batch, and for how many rows of
 * it: nested loops over indexes or hash joins over whole tables differ by orders
 * of magnitude.  So a plan serves changes of the same occurrences whose numbers
 * are of the same power of sixteen.
 *
 * Terms are no text, so PostgreSQL's cache of plans cannot keep them.  What makes
 * a plan of that cache void makes one void here: a message about a relation that
 * it reads, which indexes and statistics have sent, too.  Those about functions,
 * operators and types end the whole of the sink's plan (catalog/sink_cache.c).
 * Nobody sends one when a table grows, so plans remember how large their tables
 * were, as those of key_query.c do.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/relation.h"
#include "lib/ilist.h"
#include "storage/bufmgr.h"
#include "tcop/tcopprot.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "join_plans.h"

#define QUERY_NAME	"freshet: joining what has changed"

/* Of one sink; beyond that it begins anew. */
#define MAX_PLANS	64

typedef struct JoinTermPlan
{
	int			changed;		/* the occurrence whose changes are joined */
	int		   *classes;		/* of each occurrence's number of changes; -1: none */
	int			nweights;
	PlannedStmt *stmt;
	MemoryContext context;
	List	   *blocks;			/* int: of each relation of the plan, when it was made */
} JoinTermPlan;

struct JoinPlans
{
	dlist_node	node;			/* in all_plans */
	MemoryContext context;
	MemoryContextCallback callback;
	List	   *plans;			/* JoinTermPlan * */
	bool		voided;			/* by a message */
	List	   *relids;			/* of the relations that the plans read */
};

static dlist_head all_plans = DLIST_STATIC_INIT(all_plans);

/* Runs at any time: it only marks. */
static void
relation_changed(Datum arg, Oid relid)
{
	dlist_iter	iter;

	dlist_foreach(iter, &all_plans)
	{
		JoinPlans  *plans = dlist_container(JoinPlans, node, iter.cur);

		if (!OidIsValid(relid) || list_member_oid(plans->relids, relid))
			plans->voided = true;
	}
}

static void
unlink_plans(void *arg)
{
	dlist_delete(&((JoinPlans *) arg)->node);
}

JoinPlans *
join_plans_create(MemoryContext context)
{
	static bool registered = false;
	JoinPlans  *plans = MemoryContextAllocZero(context, sizeof(JoinPlans));

	if (!registered)
		CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	registered = true;

	plans->context = context;
	plans->callback.func = unlink_plans;
	plans->callback.arg = plans;
	MemoryContextRegisterResetCallback(context, &plans->callback);
	dlist_push_tail(&all_plans, &plans->node);
	return plans;
}

static void
drop_plan(JoinPlans *plans, JoinTermPlan *plan)
{
	plans->plans = list_delete_ptr(plans->plans, plan);
	MemoryContextDelete(plan->context);
}

static void
drop_all(JoinPlans *plans)
{
	while (plans->plans != NIL)
		drop_plan(plans, linitial(plans->plans));
	list_free(plans->relids);
	plans->relids = NIL;
}

static int
size_class(const JoinChanges *changes)
{
	int			class = 0;

	if (changes->store == NULL)
		return -1;
	for (int64 count = changes->count; count >= 16; count /= 16)
		class++;
	return class;
}

static bool
is_of_classes(const JoinTermPlan *plan, const JoinChanges *changes, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (plan->classes[i] != size_class(&changes[i]))
			return false;
	}
	return true;
}

/* Those without a file, partitioned tables, count as empty. */
static int
table_blocks(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	int			blocks = 0;

	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		blocks = (int) Min(RelationGetNumberOfBlocks(rel), (BlockNumber) PG_INT32_MAX);
	relation_close(rel, NoLock);
	return blocks;
}

static bool
sizes_are_right(const JoinTermPlan *plan)
{
	ListCell   *lc;
	ListCell   *lc2;

	forboth(lc, plan->stmt->relationOids, lc2, plan->blocks)
	{
		double		then = lfirst_int(lc2);
		double		now = table_blocks(lfirst_oid(lc));

		if (now > then * 2 + 8 || then > now * 2 + 8)
			return false;
	}
	return true;
}

/* One for which an index was still too new is made again. */
static JoinTermPlan *
find_plan(JoinPlans *plans, const JoinChanges *changes, int n, int changed)
{
	ListCell   *lc;

	foreach(lc, plans->plans)
	{
		JoinTermPlan *plan = lfirst(lc);

		if (plan->changed != changed || !is_of_classes(plan, changes, n))
			continue;
		if (!plan->stmt->transientPlan && sizes_are_right(plan))
			return plan;
		drop_plan(plans, plan);
		return NULL;
	}
	return NULL;
}

static JoinTermPlan *
make_plan(JoinPlans *plans, const SinkPlan *plan, const JoinChanges *changes, int changed)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet join plan",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "freshet planning",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(work);
	JoinTermPlan *result = MemoryContextAllocZero(context, sizeof(JoinTermPlan));
	Query	   *query = join_term_query(plan, changes, changed, &result->nweights);
	PlannedStmt *stmt = pg_plan_query(query, QUERY_NAME, 0, NULL);
	ListCell   *lc;

	MemoryContextSwitchTo(context);
	result->context = context;
	result->changed = changed;
	result->stmt = copyObject(stmt);
	result->classes = palloc(plan->noccurrences * sizeof(int));
	for (int i = 0; i < plan->noccurrences; i++)
		result->classes[i] = size_class(&changes[i]);
	foreach(lc, stmt->relationOids)
		result->blocks = lappend_int(result->blocks, table_blocks(lfirst_oid(lc)));

	MemoryContextSwitchTo(plans->context);
	plans->plans = lappend(plans->plans, result);
	plans->relids = list_union_oid(plans->relids, stmt->relationOids);
	MemoryContextSetParent(context, plans->context);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(work);
	return result;
}

PlannedStmt *
join_plans_get(JoinPlans *plans, const SinkPlan *plan, const JoinChanges *changes, int changed,
			   int *nweights)
{
	JoinTermPlan *found;

	if (plans->voided || list_length(plans->plans) >= MAX_PLANS)
		drop_all(plans);
	plans->voided = false;
	found = find_plan(plans, changes, plan->noccurrences, changed);
	if (found == NULL)
		found = make_plan(plans, plan, changes, changed);
	*nweights = found->nweights;
	return found->stmt;
}
