/*-------------------------------------------------------------------------
 *
 * explain.c
 *		freshet.explain(): how a sink of a query would be maintained.
 *
 * What a query becomes when it is taken apart is known when the tables of its stages
 * are made.  So they are, and taken back.  Where nothing can be made, in a
 * transaction that is read-only or on a standby, the query is explained as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/names.h"
#include "base/subtransaction.h"
#include "catalog/sink.h"
#include "compile/analyze.h"
#include "compile/source_check.h"
#include "compile/strategy.h"
#include "stage_table.h"

PG_FUNCTION_INFO_V1(freshet_explain);

/* What has to be done to the sources of a plan, as lines. */
static List *
name_identities(const SinkPlan *plan)
{
	List	   *insufficient = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	source_check_all(plan, GetUserId());
	if (source_identities_suffice(plan, &insufficient))
		return NIL;
	foreach(lc, insufficient)
	{
		Oid			relid = lfirst_oid(lc);

		result = lappend(result, psprintf(freshet_owns_relation(relid, GetUserId()) ?
										  "create_sink will run ALTER TABLE %s REPLICA "
										  "IDENTITY FULL" :
										  "the owner has to run ALTER TABLE %s REPLICA "
										  "IDENTITY FULL first",
										  names_relation(relid)));
	}
	return result;
}

/* What is looked at for obstacles. */
typedef struct ObstacleLook
{
	const Query *query;
	const StagedQuery *staged;
	bool		planned;
	List	   *found;			/* char * */
} ObstacleLook;

static bool
look_for_obstacles(void *arg)
{
	ObstacleLook *look = arg;
	StrategyChoice choice;
	SinkSandbox sandbox;
	ListCell   *lc;

	if (look->staged != NULL)
		choice = look->staged->choice;
	else
	{
		sink_enter_analysis_sandbox(&sandbox);
		strategy_choose(look->query, &choice);
		sink_leave_sandbox(&sandbox);
	}
	look->planned = true;
	foreach(lc, look->staged ? look->staged->tables : NIL)
		look->found = list_concat(look->found,
								  name_identities(((StageTable *) lfirst(lc))->plan));
	look->found = list_concat(look->found, name_identities(choice.plan));
	return true;
}

/*
 * What stands between the query and a sink of the current user, as a list of
 * char *.  Errors become lines.
 */
static List *
find_obstacles(const Query *query, const StagedQuery *staged)
{
	ObstacleLook look = {.query = query,.staged = staged,.planned = staged != NULL};
	ErrorData  *error = subtransaction_try(look_for_obstacles, &look);

	if (error != NULL && error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	/* a refused query: the explanation says so already */
	if (error != NULL && look.planned)
		look.found = lappend(look.found, psprintf("create_sink would fail: %s", error->message));
	return look.found;
}

static List *
explain_query(const Query *query, const char *indent)
{
	List	   *lines;
	SinkSandbox sandbox;
	ListCell   *lc;

	sink_enter_analysis_sandbox(&sandbox);
	lines = analyze_explain(query);
	sink_leave_sandbox(&sandbox);
	foreach(lc, lines)
		lfirst(lc) = psprintf("%s%s", indent, (char *) lfirst(lc));
	return lines;
}

static List *
explain_stages(const StagedQuery *staged)
{
	List	   *lines = NIL;
	ListCell   *lc;

	if (staged->tables == NIL)
		return explain_query(staged->last, "");
	foreach(lc, staged->tables)
	{
		const StageTable *table = lfirst(lc);

		lines = lappend(lines, psprintf("stage %d: %s", foreach_current_index(lc) + 1,
										table->reason));
		lines = list_concat(lines, explain_query(table->query, "  "));
	}
	lines = lappend(lines, pstrdup("sink: what is left of the query over its stages"));
	return list_concat(lines, explain_query(staged->last, "  "));
}

static bool
is_found_by_changes(const Query *query, StrategyChoice *choice)
{
	SinkSandbox sandbox;
	bool		found;

	sink_enter_analysis_sandbox(&sandbox);
	found = strategy_by_changes(query, choice);
	sink_leave_sandbox(&sandbox);
	return found;
}

/* A query that has no plan as a whole, and the explanation. */
typedef struct StagedExplanation
{
	const Query *query;
	StrategyChoice choice;
	List	   *lines;
} StagedExplanation;

/* The tables of the stages are made, and taken back. */
static bool
explain_by_stages(void *arg)
{
	StagedExplanation *explanation = arg;
	const Query *query = explanation->query;
	StagedQuery *staged = stage_tables_make(query, &explanation->choice, "sink");

	explanation->lines = staged ? explain_stages(staged) : explain_query(query, "");
	explanation->lines = list_concat(explanation->lines, find_obstacles(query, staged));
	return false;
}

static List *
explain(const Query *query)
{
	StagedExplanation explanation = {.query = query};
	ErrorData  *error;

	if (is_found_by_changes(query, &explanation.choice) || XactReadOnly || RecoveryInProgress())
		return list_concat(explain_query(query, ""), find_obstacles(query, NULL));

	error = subtransaction_try(explain_by_stages, &explanation);
	if (error != NULL)
		ReThrowError(error);
	return explanation.lines;
}

/* explain(query text) */
Datum
freshet_explain(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Query	   *query = analyze_query_text(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	List	   *lines;
	ListCell   *lc;

	source_check_stages(query);
	lines = explain(query);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, lines)
	{
		Datum		value = CStringGetTextDatum((char *) lfirst(lc));
		bool		isnull = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
	}
	return (Datum) 0;
}
