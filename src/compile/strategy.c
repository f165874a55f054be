/*-------------------------------------------------------------------------
 *
 * strategy.c
 *		The cheapest strategy that is exact for a query.
 *
 * The analysis for "delta" refuses by an error what it has no rule for.  The
 * error is caught here, in a subtransaction that gives back what the analysis
 * had opened, and becomes the reason why the query is to be run whole
 * whenever a source changes ("refresh").  Other errors, a function that does
 * not exist or a division by zero in a constant, are the user's to see.
 *
 * If the rows of such a query can be recomputed by a key ("keyed"), that is done instead.
 *
 * Running the query holds up all other sinks of the database for as long.  So
 * it must be cheap, as the planner sees it: see freshet.refresh_cost_limit.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/dest.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "analyze.h"
#include "analyze_internal.h"
#include "analyze_keyed.h"
#include "base/guc.h"
#include "base/names.h"
#include "base/process.h"
#include "base/subtransaction.h"
#include "source_check.h"
#include "strategy.h"

/* A query, and its plan if it has one. */
typedef struct DeltaTry
{
	const Query *query;
	SinkPlan   *plan;
} DeltaTry;

static bool
analyze_for_delta(void *arg)
{
	DeltaTry   *try = arg;

	try->plan = analyze_delta(try->query, false);
	return true;
}

/* The plan, or NULL and the refusal. */
static SinkPlan *
try_delta(const Query *query, ErrorData **refusal)
{
	DeltaTry	try = {.query = query};

	*refusal = subtransaction_try(analyze_for_delta, &try);
	if (*refusal != NULL && (*refusal)->sqlerrcode != ERRCODE_FEATURE_NOT_SUPPORTED)
		ReThrowError(*refusal);
	return try.plan;
}

/* What the refusal names: "HAVING", or all that it says. */
static char *
refused_construct(const ErrorData *refusal)
{
	char	   *result = pstrdup(refusal->message);
	char	   *end = strstr(result, REFUSED_SUFFIX);

	if (end != NULL)
		*end = '\0';
	return result;
}

/*
 * Plan the query as the worker will, and have the executor check the current
 * user's rights.
 */
double
strategy_cost(const Query *query, double *rows)
{
	int			nestlevel = NewGUCNestLevel();
	List	   *queries;
	PlannedStmt *stmt;
	QueryDesc  *desc;
	double		cost;

	process_refuse_policies();
	AcquireRewriteLocks(copyObject((Query *) query), true, false);
	queries = QueryRewrite(copyObject((Query *) query));
	stmt = pg_plan_query(linitial_node(Query, queries), "", 0, NULL);
	cost = stmt->planTree->total_cost;
	if (rows != NULL)
		*rows = stmt->planTree->plan_rows;

	PushActiveSnapshot(GetTransactionSnapshot());
	desc = CreateQueryDesc(stmt, "", GetActiveSnapshot(), InvalidSnapshot, None_Receiver, NULL,
						   NULL, 0);
	ExecutorStart(desc, EXEC_FLAG_EXPLAIN_ONLY);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
	PopActiveSnapshot();
	AtEOXact_GUC(false, nestlevel);
	return cost;
}

/*
 * Who joins tables of others, or reads them through views or by a key, cannot set
 * their replica identity; to run the query none is needed.  Returns a table that stands in the way.
 */
static Oid
foreign_identity(const SinkPlan *plan)
{
	List	   *insufficient;
	ListCell   *lc;

	if ((plan->join == NULL && !plan->through_views && plan->shape != SHAPE_KEYED_QUERY) ||
		source_identities_suffice(plan, &insufficient))
		return InvalidOid;
	foreach(lc, insufficient)
	{
		if (!freshet_owns_relation(lfirst_oid(lc), GetUserId()))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* A table that stands in the way is why not. */
static void
note_foreign(StrategyChoice *choice, Oid relid)
{
	choice->foreign = true;
	choice->reason = psprintf("the replica identity of %s", names_relation(relid));
	choice->hint = psprintf("Have its owner run ALTER TABLE %s REPLICA IDENTITY FULL.",
							names_relation(relid));
}

bool
strategy_by_changes(const Query *query, StrategyChoice *choice)
{
	ErrorData  *refusal = NULL;
	Oid			foreign = InvalidOid;

	memset(choice, 0, sizeof(StrategyChoice));
	choice->plan = try_delta(query, &refusal);
	if (choice->plan != NULL)
		foreign = foreign_identity(choice->plan);
	if (choice->plan != NULL && !OidIsValid(foreign))
		return true;

	choice->plan = NULL;
	if (OidIsValid(foreign))
		note_foreign(choice, foreign);
	else
	{
		choice->reason = refused_construct(refusal);
		choice->hint = refusal->hint;
	}
	return false;
}

bool
strategy_by_key(const Query *query, StrategyChoice *choice)
{
	SinkPlan   *plan;
	Oid			foreign;

	if (choice->foreign)
		return false;
	plan = analyze_refresh(query);
	if (!analyze_keyed(query, plan, &choice->no_key) || choice->no_key != NULL)
		return false;
	foreign = foreign_identity(plan);
	if (OidIsValid(foreign))
	{
		note_foreign(choice, foreign);
		return false;
	}
	choice->plan = plan;
	choice->cost = strategy_cost(query, NULL);
	return true;
}

void
strategy_run_whole(const Query *query, StrategyChoice *choice)
{
	choice->plan = analyze_refresh(query);
	choice->cost = strategy_cost(query, NULL);
	if (choice->cost > freshet_refresh_cost_limit)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s is not supported in the definition of a sink whose query is expensive",
						choice->reason),
				 errdetail("The query would be run whenever one of its sources changes, at an "
						   "estimated cost of %.0f; freshet.refresh_cost_limit is %.0f.",
						   choice->cost, freshet_refresh_cost_limit),
				 choice->hint == NULL ? 0 : errhint("%s", choice->hint)));

	/* if some of its changes lead to keys, it need not be run for these */
	if (!choice->foreign && analyze_keyed(query, choice->plan, &choice->no_key) &&
		OidIsValid(foreign_identity(choice->plan)))
		choice->plan = analyze_refresh(query);
}

void
strategy_choose(const Query *query, StrategyChoice *choice)
{
	if (!strategy_by_changes(query, choice) && !strategy_by_key(query, choice))
		strategy_run_whole(query, choice);
}
