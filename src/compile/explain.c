/*-------------------------------------------------------------------------
 *
 * explain.c
 *		Lines that tell a person how a query would be maintained, and why.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "analyze.h"
#include "analyze_internal.h"
#include "base/names.h"
#include "index_advice.h"
#include "source_check.h"
#include "strategy.h"

/* An expression as the user wrote it; columns of the window have no name here. */
static char *
expression_text(AnalyzeContext *ctx, Node *node, char *otherwise)
{
	Node	   *expr = analyze_renumber(ctx, node);
	Oid			source;

	if (ctx->plan->join != NULL || plan_uses_window(expr))
		return otherwise;
	source = plan_row_source(ctx->plan)->relid;
	return deparse_expression(expr, deparse_context_for(get_rel_name(source), source),
							  false, false);
}

/* Column names of the sink, separated by commas; of a key that is none, the expression. */
static char *
key_names(AnalyzeContext *ctx)
{
	const SinkPlan *plan = ctx->plan;
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < plan->nkeys; i++)
	{
		int			column = plan->keys[i].column;

		appendStringInfoString(&buf, i > 0 ? ", " : "");
		if (column >= 0)
			appendStringInfoString(&buf, quote_identifier(plan->columns[column].name));
		else
			appendStringInfo(&buf, "%s (not selected)",
							 expression_text(ctx, list_nth(ctx->group_exprs, i),
											 plan->join != NULL ? "an expression" : "a window's"));
	}
	return buf.data;
}

static char *
shape_line(AnalyzeContext *ctx)
{
	const SinkPlan *plan = ctx->plan;

	if (plan->shape == SHAPE_BAG)
		return pstrdup("shape: copy of the rows, without a key, found by their values");
	if (plan->shape == SHAPE_COPY)
		return psprintf("shape: copy of the rows, key %s", key_names(ctx));
	if (plan->nkeys == 0)
		return pstrdup("shape: total, one row");
	return psprintf(ngettext("shape: rollup, %d key: %s", "shape: rollup, %d keys: %s",
							 plan->nkeys), plan->nkeys, key_names(ctx));
}

/* A length in days, hours, minutes and seconds. */
static char *
length_text(int64 usecs)
{
	Interval   *span = palloc0(sizeof(Interval));

	span->day = (int32) (usecs / USECS_PER_DAY);
	span->time = usecs % USECS_PER_DAY;
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(span)));
}

static char *
window_line(const WindowSpec *window)
{
	Datum		origin = TimestampTzGetDatum(window->origin);
	char	   *aligned = DatumGetCString(DirectFunctionCall1(timestamptz_out, origin));

	if (window->hop)
		return psprintf("window: hopping, %s every %s, aligned to %s",
						length_text(window->size), length_text(window->slide), aligned);
	return psprintf("window: tumbling, %s, aligned to %s", length_text(window->size), aligned);
}

static char *
aggregate_line(AnalyzeContext *ctx, int i)
{
	const AggSpec *spec = &plan_rollup(ctx->plan)->aggs[i];
	const char *note = "";
	char	   *text = expression_text(ctx, list_nth(ctx->aggrefs, i),
									   psprintf("%s(...)", get_func_name(spec->aggfnoid)));
	char	   *kept;

	if (!plan_rollup(ctx->plan)->keeps_states)
		kept = psprintf("in column %s",
						quote_identifier(ctx->plan->columns[spec->visible].name));
	else
		kept = pstrdup("beside the sink");

	if (spec->kind == AGG_MIN || spec->kind == AGG_MAX)
		note = "; a group is recomputed when its extreme goes away";
	else if (spec->kind == AGG_SUM_FLOAT4 || spec->kind == AGG_SUM_FLOAT8 ||
			 spec->kind == AGG_AVG_FLOAT)
		note = "; exact sum, rounded once";
	return psprintf("aggregate: %s, kept %s%s", text, kept, note);
}

static char *
identity_line(const SinkPlan *plan)
{
	List	   *insufficient;
	ListCell   *lc;
	StringInfoData buf;

	if (source_identities_suffice(plan, &insufficient))
		return pstrdup("replica identity: gives the old values of all columns used");

	initStringInfo(&buf);
	appendStringInfoString(&buf, "replica identity: must be set to FULL for ");
	foreach(lc, insufficient)
		appendStringInfo(&buf, "%s%s", lc == list_head(insufficient) ? "" : ", ",
						 names_relation(lfirst_oid(lc)));
	return buf.data;
}

static char *
settings_line(const List *functions)
{
	StringInfoData buf;
	List	   *names = NIL;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "settings: computed under those of the sink's making "
						   "(TimeZone and others), because of ");
	foreach(lc, functions)
	{
		char	   *name = get_func_name(lfirst_oid(lc));

		if (name != NULL)
			names = list_append_unique(names, makeString(name));
	}
	foreach(lc, names)
		appendStringInfo(&buf, "%s%s", lc == list_head(names) ? "" : ", ",
						 strVal(lfirst(lc)));
	return buf.data;
}

static char *
source_line(const SourceUse *source)
{
	if (get_rel_namespace(source->relid) == get_namespace_oid(FRESHET_STAGE_SCHEMA, true))
		return psprintf("source: stage %s", strrchr(get_rel_name(source->relid), '_') + 1);
	return psprintf("source: %s%s", names_relation(source->relid),
					get_rel_relkind(source->relid) == RELKIND_PARTITIONED_TABLE ?
					" (partitioned)" : "");
}

static List *
explain_refresh(const StrategyChoice *choice)
{
	List	   *lines = NIL;

	lines = lappend(lines, pstrdup("strategy: refresh, the query is run whenever one of its "
								   "sources changes, and what differs is written"));
	lines = lappend(lines, psprintf("reason: %s", choice->reason));
	if (choice->no_key != NULL)
		lines = lappend(lines, psprintf("no key: %s", choice->no_key));
	for (int i = 0; i < choice->plan->nsources; i++)
		lines = lappend(lines, source_line(&choice->plan->sources[i]));
	return lines;
}

/* How a changed row of an occurrence leads to the key. */
static char *
path_line(const SinkPlan *plan, int occurrence)
{
	List	   *paths = plan_keyed_query(plan)->paths[occurrence];
	const char *name = names_relation(plan_source_of(plan, occurrence)->relid);
	const KeyPath *path;
	StringInfoData buf;
	ListCell   *lc;

	if (paths == NIL)
		return psprintf("source: %s, for whose changes the whole query is run", name);
	path = linitial(paths);
	initStringInfo(&buf);
	appendStringInfo(&buf, "source: %s, whose rows ", name);
	if (path->steps == NIL)
		appendStringInfoString(&buf, "have the key");
	else
		appendStringInfoString(&buf, "find the key by ");
	foreach(lc, path->steps)
	{
		const KeyStep *step = lfirst(lc);

		appendStringInfo(&buf, "%s%s", lc == list_head(path->steps) ? "" : ", ",
						 names_relation(plan_source_of(plan, step->occurrence)->relid));
	}
	return buf.data;
}

static List *
explain_keyed_query(const StrategyChoice *choice)
{
	const SinkPlan *plan = choice->plan;
	const KeyedQueryPlan *keyed = plan_keyed_query(plan);
	StringInfoData keys;
	List	   *lines = NIL;
	ListCell   *lc;

	initStringInfo(&keys);
	for (int i = 0; i < keyed->nkeys; i++)
		appendStringInfo(&keys, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(plan->columns[keyed->keys[i].column].name));
	lines = lappend(lines, pstrdup("strategy: keyed, the query is run for the keys that a change "
								   "affects, and what differs is written"));
	lines = lappend(lines, psprintf("reason: %s", choice->reason));
	lines = lappend(lines, psprintf(ngettext("key: column %s", "key: columns %s", keyed->nkeys),
									keys.data));
	for (int i = 0; i < plan->noccurrences; i++)
		lines = lappend(lines, path_line(plan, i));
	lines = lappend(lines, identity_line(plan));
	foreach(lc, index_advice_commands(plan))
		lines = lappend(lines, psprintf("missing index: %s", (char *) lfirst(lc)));
	return lines;
}

List *
analyze_explain(const Query *query)
{
	AnalyzeContext ctx;
	StrategyChoice choice;
	SinkPlan   *plan;
	List	   *lines = NIL;
	ListCell   *lc;
	int			i;

	strategy_choose(query, &choice);
	if (choice.plan->shape == SHAPE_REFRESH)
		return explain_refresh(&choice);
	if (choice.plan->shape == SHAPE_KEYED_QUERY)
		return explain_keyed_query(&choice);
	analyze_query(&ctx, query, false);
	plan = ctx.plan;

	lines = lappend(lines, pstrdup("strategy: delta, each change is folded into the sink "
								   "without running the query"));
	if (plan->join != NULL)
		lines = lappend(lines, psprintf("join: of %d tables, whose changed rows are joined with "
										"the others", plan->noccurrences));
	for (i = 0; i < plan->noccurrences; i++)
		lines = lappend(lines, source_line(plan_source_of(plan, i)));
	lines = lappend(lines, shape_line(&ctx));
	if (plan_rows(plan)->window != NULL)
		lines = lappend(lines, window_line(plan_rows(plan)->window));
	for (i = 0; plan->shape == SHAPE_ROLLUP && i < plan_rollup(plan)->naggs; i++)
		lines = lappend(lines, aggregate_line(&ctx, i));
	lines = lappend(lines, identity_line(plan));
	foreach(lc, index_advice_commands(plan))
		lines = lappend(lines, psprintf("missing index: %s", (char *) lfirst(lc)));
	if (plan->uses_settings)
		lines = lappend(lines, settings_line(ctx.settings_functions));
	return lines;
}
