/*-------------------------------------------------------------------------
 *
 * stage_table.c
 *		The tables of the stages of a sink.
 *
 * A stage is a sink that nobody but another one reads: a table in freshet_stage,
 * its query as a view in freshet_def, a row in the catalogue that names the sink
 * it is a stage of.  Both belong to the sink's owner, as whom they are maintained;
 * the schema lets nobody in.  They depend on the sink as its definition does, so
 * that they are dropped with it, and what would drop one of them drops it.  A dump
 * has them as it has the sink.
 *
 * The strategy for what is left of a query is known only when it can read the
 * tables of the stages below.  So these are made, in a subtransaction, which is
 * taken back if there turns out to be no use in it.
 *
 * Users cannot create anything in the schema, so it is done for them as the
 * bootstrap superuser, and by functions rather than by commands: event triggers
 * are users' code, and are not run.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/comment.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_utilcmd.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"

#include "base/guc.h"
#include "base/subtransaction.h"
#include "belongings.h"
#include "compile/analyze.h"
#include "compile/index_advice.h"
#include "compile/source_check.h"
#include "compile/stages.h"
#include "sink_table.h"
#include "stage_table.h"

/* What is left over the stages is worth it if it costs no more than this part of all. */
#define WORTHWHILE_PART		0.5

/* Of what is done with a row of a stage: it is read, compared and sorted. */
#define COST_OF_ROW			0.05

/*
 * Making one
 */

/* The statement that a text is. */
static Node *
parse_command(const char *sql)
{
	return linitial_node(RawStmt, pg_parse_query(sql))->stmt;
}

static void
make_index(Oid relid, const char *sql)
{
	IndexStmt  *stmt = castNode(IndexStmt, parse_command(sql));

	stmt = transformIndexStmt(relid, stmt, sql);
	(void) freshet_define_index(relid, stmt);
	CommandCounterIncrement();
}

/* Rows are updated, also in a database whose tables are all published. */
static void
set_replica_identity(Oid relid)
{
	AlterTableCmd *command = makeNode(AlterTableCmd);
	ReplicaIdentityStmt *identity = makeNode(ReplicaIdentityStmt);

	identity->identity_type = REPLICA_IDENTITY_FULL;
	command->subtype = AT_ReplicaIdentity;
	command->def = (Node *) identity;
	AlterTableInternal(relid, list_make1(command), false);
	CommandCounterIncrement();
}

static void
refuse_writes(Oid relid)
{
	char	   *sql = sink_table_trigger_command(relid);

	(void) CreateTriggerFiringOn(castNode(CreateTrigStmt, parse_command(sql)), sql, relid,
								 InvalidOid, InvalidOid, InvalidOid, InvalidOid, InvalidOid,
								 NULL, false, false, TRIGGER_FIRES_ALWAYS);
	CommandCounterIncrement();
}

/* Unique while there are less than four billion transactions between two of a name. */
static RangeVar *
stage_name(const char *sink, int number)
{
	Oid			nsp = get_namespace_oid(FRESHET_STAGE_SCHEMA, false);
	char	   *name = ChooseRelationName(sink, psprintf("%u", GetCurrentTransactionId()),
										  psprintf("%d", number), nsp, false);

	return makeRangeVar(pstrdup(FRESHET_STAGE_SCHEMA), name, -1);
}

/* The indexes on stages by which what is above finds joined rows. */
static void
make_advised_indexes(const SinkPlan *plan)
{
	List	   *advice = index_advice_of_stages(plan);
	Oid			userid;
	int			sec_context;
	ListCell   *lc;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	foreach(lc, advice)
	{
		const AdvisedIndex *index = lfirst(lc);

		make_index(index->relid, index->command);
	}
	SetUserIdAndSecContext(userid, sec_context);
}

static StageTable *
make_stage_table(RangeVar *rv, QueryStage *stage, SinkPlan *plan)
{
	StageTable *result = palloc0(sizeof(StageTable));
	Oid			userid;
	int			sec_context;
	char	   *index;

	result->plan = plan;
	result->query = stage->query;
	result->reason = stage->reason;

	GetUserIdAndSecContext(&userid, &sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, sec_context | SECURITY_LOCAL_USERID_CHANGE);
	result->relid = sink_table_make(rv, plan, userid);
	CreateComments(result->relid, RelationRelationId, 0,
				   "internal: a stage of a sink; written by the worker alone");
	set_replica_identity(result->relid);
	index = sink_table_index_command(result->relid, plan);
	if (index != NULL)
		make_index(result->relid, index);
	refuse_writes(result->relid);
	sink_table_keep_indexes(result->relid);
	SetUserIdAndSecContext(userid, sec_context);

	result->viewid = sink_table_make_definition(result->relid, stage->query, NULL);
	belongings_tie_view(result->relid, result->viewid);
	make_advised_indexes(plan);
	stages_bind(stage, result->relid);
	return result;
}

/*
 * Making all of a query's
 */

/* Can the old values that the plan needs be had, by the current user? */
static bool
may_set_identities(const SinkPlan *plan)
{
	List	   *insufficient;
	ListCell   *lc;

	if (source_identities_suffice(plan, &insufficient))
		return true;
	foreach(lc, insufficient)
	{
		if (!freshet_owns_relation(lfirst_oid(lc), GetUserId()))
			return false;
	}
	return true;
}

static bool
choose_by_changes(const Query *query, StrategyChoice *choice)
{
	SinkSandbox sandbox;
	bool		found;

	/* it folds constants, that is, it runs functions */
	sink_enter_analysis_sandbox(&sandbox);
	found = strategy_by_changes(query, choice);
	sink_leave_sandbox(&sandbox);
	if (!found)
		return false;
	source_check_all(choice->plan, GetUserId());
	return may_set_identities(choice->plan);
}

/* Does it read a stage, or if it is to be so, stages alone? */
static bool
reads_stage(const SinkPlan *plan, bool alone)
{
	Oid			nsp = get_namespace_oid(FRESHET_STAGE_SCHEMA, true);
	int			n = 0;

	for (int i = 0; i < plan->nsources; i++)
		n += get_rel_namespace(plan->sources[i].relid) == nsp;
	return alone ? n == plan->nsources : n > 0;
}

/* How many rows the stages have that are made of tables: those above have no more. */
static double
count_rows(const StagedQuery *staged)
{
	double		result = 0;
	ListCell   *lc;

	foreach(lc, staged->tables)
	{
		const StageTable *table = lfirst(lc);
		double		rows = 0;

		if (!reads_stage(table->plan, false))
			(void) strategy_cost(table->query, &rows);
		result += rows;
	}
	return result;
}

/*
 * What is left is run whole.  Is that cheap, and if it reads tables, too, much cheaper
 * than the query?  The stages have no rows yet to plan by; the planner takes them
 * for small, and tells how large they will be.
 */
static bool
is_worthwhile(const Query *query, const StagedQuery *staged)
{
	SinkPlan   *plan = analyze_refresh(staged->last);
	double		whole;
	double		rest;

	whole = strategy_cost(query, NULL);
	rest = strategy_cost(staged->last, NULL) + count_rows(staged) * COST_OF_ROW;
	return rest <= freshet_refresh_cost_limit &&
		(reads_stage(plan, true) || rest <= whole * WORTHWHILE_PART);
}

/*
 * Single changes do not serve what is left.  If they do not serve the query either, but it
 * is known what they affect, no stage is needed.
 */
static bool
choose_otherwise(const Query *query, const StrategyChoice *whole, StagedQuery *staged)
{
	StrategyChoice choice = *whole;
	SinkSandbox sandbox;
	bool		good = false;

	sink_enter_analysis_sandbox(&sandbox);
	if (staged->tables != NIL && !strategy_by_key(query, &choice))
	{
		good = strategy_by_key(staged->last, &staged->choice);
		if (!good && is_worthwhile(query, staged))
		{
			strategy_run_whole(staged->last, &staged->choice);
			good = true;
		}
	}
	sink_leave_sandbox(&sandbox);
	return good;
}

static bool
make_tables(const Query *query, const StrategyChoice *whole, QueryStages *stages,
			const char *name, StagedQuery *staged)
{
	ListCell   *lc;

	foreach(lc, stages->stages)
	{
		QueryStage *stage = lfirst(lc);
		StrategyChoice choice;
		RangeVar   *rv;

		if (!choose_by_changes(stage->query, &choice))
			return false;
		for (int i = 0; i < choice.plan->nsources; i++)
			LockRelationOid(choice.plan->sources[i].relid, AccessShareLock);
		rv = stage_name(name, foreach_current_index(lc) + 1);
		staged->tables = lappend(staged->tables, make_stage_table(rv, stage, choice.plan));
	}
	staged->last = stages->last;
	if (!choose_by_changes(stages->last, &staged->choice) &&
		!choose_otherwise(query, whole, staged))
		return false;
	make_advised_indexes(staged->choice.plan);
	return true;
}

/*
 * Does it say something of the query?  Then the query as a whole is judged next, and
 * the user told what is true of that.
 */
static bool
is_of_the_query(const ErrorData *error)
{
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE:
		case ERRCODE_OPERATOR_INTERVENTION:
		case ERRCODE_SYSTEM_ERROR:
		case ERRCODE_INTERNAL_ERROR:
			return false;
		default:
			return true;
	}
}

/* The arguments of make_tables(). */
typedef struct StagesCall
{
	const Query *query;
	const StrategyChoice *whole;
	QueryStages *stages;
	const char *name;
	StagedQuery *staged;
	bool		made;
} StagesCall;

static bool
call_make_tables(void *arg)
{
	StagesCall *call = arg;

	call->made = make_tables(call->query, call->whole, call->stages, call->name, call->staged);
	return call->made;
}

StagedQuery *
stage_tables_make(const Query *query, const StrategyChoice *whole, const char *name)
{
	StagesCall	call = {.query = query,.whole = whole,.name = name};
	ErrorData  *refusal;

	call.stages = stages_take_apart(query);
	if (call.stages == NULL)
		return NULL;
	call.staged = palloc0(sizeof(StagedQuery));
	refusal = subtransaction_try(call_make_tables, &call);
	if (refusal != NULL && !is_of_the_query(refusal))
		ReThrowError(refusal);
	return refusal == NULL && call.made ? call.staged : NULL;
}

/*
 * Whose they are
 */

void
stage_tables_give(const StagedQuery *staged, Oid relid, bool with_data)
{
	ListCell   *lc;

	foreach(lc, staged->tables)
	{
		const StageTable *table = lfirst(lc);
		Sink		sink = {0};

		sink.relid = table->relid;
		sink.viewid = sink.definition_view = table->viewid;
		sink.stage_of = relid;
		sink.reason = pstrdup(table->reason);
		sink_table_record(&sink, table->plan, with_data);
		belongings_tie_stage(relid, table->relid);
	}
}
