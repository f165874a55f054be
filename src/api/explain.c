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
#include "utils/resowner.h"

#include "base/names.h"
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

/*
 * What stands between the query and a sink of the current user, as a list of
 * char *.  Errors become lines; a subtransaction cleans up after them.
 */
static List *
find_obstacles(const Query *query, const StagedQuery *staged)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	volatile bool planned = staged != NULL;
	List	   *volatile result = NIL;
	SinkSandbox sandbox;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		StrategyChoice choice;
		ListCell   *lc;

		if (staged != NULL)
			choice = staged->choice;
		else
		{
			sink_enter_analysis_sandbox(&sandbox);
			strategy_choose(query, &choice);
			sink_leave_sandbox(&sandbox);
		}
		planned = true;
		foreach(lc, staged ? staged->tables : NIL)
			result = list_concat(result, name_identities(((StageTable *) lfirst(lc))->plan));
		result = list_concat(result, name_identities(choice.plan));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(oldcontext);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(edata);
		/* a refused query: the explanation says so already */
		if (planned)
			result = lappend(result, psprintf("create_sink would fail: %s", edata->message));
	}
	PG_END_TRY();

	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	return result;
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

static List *
explain(const Query *query)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	List	   *volatile lines = NIL;
	StrategyChoice choice;

	if (is_found_by_changes(query, &choice) || XactReadOnly || RecoveryInProgress())
		return list_concat(explain_query(query, ""), find_obstacles(query, NULL));

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(oldcontext);
	PG_TRY();
	{
		StagedQuery *staged = stage_tables_make(query, &choice, "sink");

		lines = staged ? explain_stages(staged) : explain_query(query, "");
		lines = list_concat(lines, find_obstacles(query, staged));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(oldcontext);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	if (error != NULL)
		ReThrowError(error);
	return lines;
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
