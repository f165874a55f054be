/*-------------------------------------------------------------------------
 *
 * join_plans.c
 *		Plans of queries over what has changed, kept over the batches.
 *
 * A term of a join, or a path to keys, is planned for what has changed in the batch, and
 * for how many rows of it.  A plan serves changes of the same occurrences, in numbers of the same
 * classes (plan_sizes.c).
 *
 * They are no text, so PostgreSQL's cache of plans cannot keep them.  What makes
 * a plan of that cache void makes one void here: a message about a relation that
 * it reads, which indexes and statistics have sent, too.  Those about functions,
 * operators and types end the whole of the sink's plan (catalog/sink_cache.c).
 * Nobody sends one when a table grows.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "lib/ilist.h"
#include "tcop/tcopprot.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "join_plans.h"
#include "plan_sizes.h"

#define QUERY_NAME	"freshet: joining what has changed"

/* Of one sink; beyond that it begins anew. */
#define MAX_PLANS	64

typedef struct JoinTermPlan
{
	int			number;			/* of the query */
	int		   *classes;		/* of each occurrence's number of changes; -1: none */
	PlannedStmt *stmt;
	MemoryContext context;
	PlanSizes  *sizes;
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
	return changes->store == NULL ? -1 : plan_size_class(changes->count);
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

/* One for which an index was still too new is made again. */
static JoinTermPlan *
find_plan(JoinPlans *plans, const JoinChanges *changes, int n, int number)
{
	ListCell   *lc;

	foreach(lc, plans->plans)
	{
		JoinTermPlan *plan = lfirst(lc);

		if (plan->number != number || !is_of_classes(plan, changes, n))
			continue;
		if (!plan->stmt->transientPlan && plan_sizes_are_right(plan->sizes))
			return plan;
		drop_plan(plans, plan);
		return NULL;
	}
	return NULL;
}

static JoinTermPlan *
make_plan(JoinPlans *plans, int n, const JoinChanges *changes, int number, JoinQueryMaker make,
		  void *arg)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "freshet join plan",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "freshet planning",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(work);
	JoinTermPlan *result = MemoryContextAllocZero(context, sizeof(JoinTermPlan));
	PlannedStmt *stmt = pg_plan_query(make(arg), QUERY_NAME, 0, NULL);

	MemoryContextSwitchTo(context);
	result->context = context;
	result->number = number;
	result->stmt = copyObject(stmt);
	result->classes = palloc(n * sizeof(int));
	for (int i = 0; i < n; i++)
		result->classes[i] = size_class(&changes[i]);
	result->sizes = plan_sizes_note(stmt);

	MemoryContextSwitchTo(plans->context);
	plans->plans = lappend(plans->plans, result);
	plans->relids = list_union_oid(plans->relids, stmt->relationOids);
	MemoryContextSetParent(context, plans->context);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(work);
	return result;
}

PlannedStmt *
join_plans_get(JoinPlans *plans, int n, const JoinChanges *changes, int number,
			   JoinQueryMaker make, void *arg)
{
	JoinTermPlan *found;

	if (plans->voided || list_length(plans->plans) >= MAX_PLANS)
		drop_all(plans);
	plans->voided = false;
	found = find_plan(plans, changes, n, number);
	if (found == NULL)
		found = make_plan(plans, n, changes, number, make, arg);
	return found->stmt;
}
