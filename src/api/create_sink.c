/*-------------------------------------------------------------------------
 *
 * create_sink.c
 *		freshet.create_sink(): a sink from a query.
 *
 * The query is analyzed as the caller and under the caller's search_path; the
 * rest is sink_table.c's.  The source is locked in ACCESS SHARE mode to the
 * end of the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"

#include "base/shmem.h"
#include "catalog/sink.h"
#include "compile/analyze.h"
#include "compile/index_advice.h"
#include "compile/source_check.h"
#include "compile/strategy.h"
#include "sink_table.h"
#include "stage_table.h"

PG_FUNCTION_INFO_V1(freshet_create_sink);

static void
check_arguments(FunctionCallInfo fcinfo)
{
	shmem_require_setup();
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the name of the sink must not be null")));
	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the query of the sink must not be null")));
	sink_table_check_call("freshet.create_sink()");
}

/*
 * The cheapest way to maintain a sink of this name: by single changes, of the query or
 * of the stages into which it can be taken apart, or by running it.  NULL if there
 * are no stages.
 */
static StagedQuery *
choose(Query *query, const char *name, StrategyChoice *choice)
{
	SinkSandbox sandbox;
	StagedQuery *staged = NULL;
	bool		found;

	/* it folds constants, that is, it runs functions */
	sink_enter_analysis_sandbox(&sandbox);
	found = strategy_by_changes(query, choice);
	sink_leave_sandbox(&sandbox);
	if (!found)
		staged = stage_tables_make(query, choice, name);
	if (staged != NULL)
		*choice = staged->choice;
	else if (!found)
	{
		sink_enter_analysis_sandbox(&sandbox);
		if (!strategy_by_key(query, choice))
			strategy_run_whole(query, choice);
		sink_leave_sandbox(&sandbox);
	}
	return staged;
}

/* What the plan needs of the sources, and advises. */
static void
prepare_sources(const SinkPlan *plan, bool create_indexes)
{
	source_check_all(plan, GetUserId());
	for (int i = 0; i < plan->nsources; i++)
		LockRelationOid(plan->sources[i].relid, AccessShareLock);
	sink_table_ensure_identity(plan);
	index_advice(plan, create_indexes);
}

/* What the user may not expect of the sink. */
static void
give_notice(const Query *query, const StrategyChoice *choice, bool staged, const char *name)
{
	if (query->sortClause != NIL && query->limitCount == NULL && query->limitOffset == NULL &&
		!query->hasDistinctOn)
		ereport(NOTICE,
				(errmsg("ORDER BY has no effect on sink \"%s\"", name),
				 errdetail("The rows of a table are in no order."),
				 errhint("Sort when reading the sink; an index on it can help.")));
	if (choice->plan->shape == SHAPE_REFRESH && choice->plan->nsources > 0)
		ereport(NOTICE,
				(staged ?
				 errmsg("the query of sink \"%s\" over its stages will be run whenever one of "
						"these changes", name) :
				 errmsg("the query of sink \"%s\" will be run whenever one of its sources changes",
						name),
				 errdetail("Single changes cannot be applied to it: %s.", choice->reason),
				 choice->hint == NULL ? 0 : errhint("%s", choice->hint)));
}

/*
 * create_sink(sink text, query text, refresh_every interval, with_data boolean,
 *			   create_indexes boolean)
 */
Datum
freshet_create_sink(PG_FUNCTION_ARGS)
{
	RangeVar   *rv;
	Query	   *query;
	StrategyChoice choice;
	ListCell   *lc;
	StagedQuery *staged;
	Oid			relid;
	bool		create_indexes = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	bool		with_data = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);

	check_arguments(fcinfo);

	rv = sink_table_target(PG_GETARG_TEXT_PP(0));
	query = analyze_query_text(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	source_check_stages(query);
	if (!PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("refresh_every is not for this query"),
				 errdetail("Its sink follows every change at once."),
				 errhint("Leave refresh_every out.")));
	staged = choose(query, rv->relname, &choice);
	foreach(lc, staged ? staged->tables : NIL)
		prepare_sources(((StageTable *) lfirst(lc))->plan, create_indexes);
	prepare_sources(choice.plan, create_indexes);
	give_notice(query, &choice, staged != NULL, rv->relname);

	relid = sink_table_create(rv, &choice, query, staged ? staged->last : NULL, with_data);
	if (staged != NULL)
		stage_tables_give(staged, relid, with_data);
	PG_RETURN_OID(relid);
}
