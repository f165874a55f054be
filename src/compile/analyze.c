/*-------------------------------------------------------------------------
 *
 * analyze.c
 *		From a query to a plan, or a refusal by name.
 *
 * The analysis walks down the Query that parse analysis made, never text:
 *
 *	1. refuse every clause that has no delta rule (this file);
 *	2. FROM: find the sources and at most one time window (this file); if there
 *	   are several, they are joined, and what follows is about the joined row
 *	   (analyze_join.c);
 *	3. conditions, keys, aggregates and outputs become expressions over a
 *	   source row or over a group (analyze_rollup.c, analyze_copy.c), in the
 *	   conventions of plan.h.
 *
 * Entries of the range table are reached through the jointree alone: the
 * query of a view has entries that it does not read (OLD and NEW before
 * version 16), and grouping adds one from version 18 on.
 *
 * Expressions are compared with each other as parse analysis left them, and
 * only then planned, since planning may turn equal things into unequal ones.
 * Volatility is checked before planning, so that a refusal names the function
 * that the user wrote, and again after it, since planning brings in default
 * arguments.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parsetree.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "analyze.h"
#include "analyze_internal.h"
#include "flatten.h"
#include "ratio.h"
#include "source_check.h"
#include "time_words.h"
#include "volatility.h"
#include "window.h"

/* Places of the arguments of tumble and hop. */
#define WINDOW_ARG_TS		0
#define TUMBLE_ARG_SIZE		1
#define TUMBLE_ARG_ORIGIN	2
#define HOP_ARG_SLIDE		1
#define HOP_ARG_SIZE		2
#define HOP_ARG_ORIGIN		3

/* A change costs as much as all windows that it is in. */
#define MAX_WINDOWS_PER_ROW	10000

/*
 * Positions in errors are within the definition, which is an argument of the
 * statement that the client knows.
 */
static void
definition_error_callback(void *arg)
{
	const char *query = arg;
	int			position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position);
		internalerrquery(query);
	}
}

static Query *
parse_definition(const char *query)
{
	List	   *statements = pg_parse_query(query);
	RawStmt    *raw;
	SelectStmt *select;
	Query	   *result;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the definition of a sink must be exactly one SELECT"),
				 errhint("Write a single SELECT, without a second statement.")));

	raw = linitial_node(RawStmt, statements);
	if (!IsA(raw->stmt, SelectStmt))
		REFUSE("a statement other than SELECT", "Write a SELECT.");
	select = (SelectStmt *) raw->stmt;
	if (select->intoClause != NULL)
		REFUSE("SELECT INTO", "Leave INTO out: freshet makes the table.");

	/* analysis scribbles on its input */
	result = parse_analyze_fixedparams(copyObject(raw), query, NULL, 0, NULL);
	time_words_refuse(raw, result);
	return result;
}

Query *
analyze_query_text(const char *query)
{
	ErrorContextCallback callback;
	Query	   *result;

	callback.callback = definition_error_callback;
	callback.arg = unconstify(char *, query);
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	result = parse_definition(query);
	error_context_stack = callback.previous;
	return result;
}

/* Clauses that make the result depend on more than a row or a group. */
static void
refuse_result_clauses(const Query *query)
{
	if (query->distinctClause != NIL)
		REFUSE(query->hasDistinctOn ? "DISTINCT ON" : "DISTINCT",
			   "Use GROUP BY with the columns that make a row distinct.");
	if (query->groupingSets != NIL)
		REFUSE("a grouping set (ROLLUP, CUBE, GROUPING SETS)",
			   "Make one sink for each set of keys.");
	if (query->havingQual != NULL)
		REFUSE("HAVING", "Filter when reading the sink, or define a view over it.");
	if (query->hasWindowFuncs)
		REFUSE("a window function (OVER)", "Compute it when reading the sink.");
	if (query->limitCount != NULL || query->limitOffset != NULL)
		REFUSE("LIMIT or OFFSET", "Limit the rows when reading the sink.");
	if (query->hasTargetSRFs)
		REFUSE("a set-returning function in the select list",
			   "Expand the set when reading the sink.");
}

static void
refuse_clauses(const Query *query)
{
	if (query->commandType != CMD_SELECT || query->utilityStmt != NULL)
		REFUSE("a statement other than SELECT", "Write a SELECT.");
	if (query->cteList != NIL)
		REFUSE("WITH", "Write the query without common table expressions.");
	if (query->setOperations != NULL)
		REFUSE("UNION, INTERSECT or EXCEPT", "Make one sink for each part.");
	if (query->hasSubLinks)
		REFUSE("a subquery", "Read one table, and combine sinks when reading them.");
	if (query->rowMarks != NIL || query->hasForUpdate)
		REFUSE("FOR UPDATE or FOR SHARE", "Leave it out: freshet never locks rows of a source.");
	refuse_result_clauses(query);
}

/* freshet.tumble or freshet.hop?  Only a superuser can have made C functions. */
static bool
is_window_function(Oid funcid, bool *hop)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	Form_pg_proc proc;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	proc = (Form_pg_proc) GETSTRUCT(tuple);
	*hop = strcmp(NameStr(proc->proname), "hop") == 0;
	result = proc->prolang == ClanguageId &&
		proc->pronamespace == get_namespace_oid(FRESHET_SCHEMA, true) &&
		(*hop || strcmp(NameStr(proc->proname), "tumble") == 0);
	ReleaseSysCache(tuple);
	return result;
}

static void
add_function_entry(AnalyzeContext *ctx, Index rti, RangeTblEntry *rte)
{
	FuncExpr   *call = NULL;
	bool		hop;

	if (list_length(rte->functions) == 1)
		call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	if (call == NULL || !IsA(call, FuncExpr))
		REFUSE("an expression in FROM", "Read one table.");
	if (!is_window_function(call->funcid, &hop))
		REFUSE(psprintf("function %s in FROM", format_procedure(call->funcid)),
			   "Read one table, with at most freshet.tumble or freshet.hop beside it.");
	if (rte->funcordinality)
		REFUSE("WITH ORDINALITY", "Leave it out.");
	if (ctx->window_rti != 0)
		REFUSE("a second time window", "Make one sink for each window.");
	ctx->window_rti = rti;
}

static void
add_table_entry(AnalyzeContext *ctx, Index rti, RangeTblEntry *rte)
{
	Relation	rel;

	if (rte->tablesample != NULL)
		REFUSE("TABLESAMPLE", "Use WHERE with a condition on the row.");

	rel = table_open(rte->relid, AccessShareLock);
	source_check_kind(rel, rte->inh);
	table_close(rel, NoLock);
	ctx->source_rtis = lappend_int(ctx->source_rtis, (int) rti);
	(void) plan_add_occurrence(ctx->plan, rte->relid);
}

static void
add_from_entry(AnalyzeContext *ctx, Index rti)
{
	RangeTblEntry *rte = rt_fetch(rti, ctx->query->rtable);

	switch (rte->rtekind)
	{
		case RTE_RELATION:
			add_table_entry(ctx, rti, rte);
			break;
		case RTE_FUNCTION:
			add_function_entry(ctx, rti, rte);
			break;
		case RTE_SUBQUERY:
			REFUSE("a subquery in FROM", "Make a sink of the subquery, and read that.");
			break;
		case RTE_VALUES:
			REFUSE("VALUES", "Read a table.");
			break;
		case RTE_TABLEFUNC:
			REFUSE("a table function in FROM", "Read one table.");
			break;
		default:
			REFUSE("an item of FROM that is not a table", "Read one table.");
	}
}

static void
add_from_item(AnalyzeContext *ctx, Node *item)
{
	JoinExpr   *join = (JoinExpr *) item;
	ListCell   *lc;

	check_stack_depth();
	if (IsA(item, RangeTblRef))
	{
		add_from_entry(ctx, ((RangeTblRef *) item)->rtindex);
		return;
	}
	if (IsA(item, FromExpr))
	{
		/* in place of a subquery */
		foreach(lc, ((FromExpr *) item)->fromlist)
			add_from_item(ctx, lfirst(lc));
		if (((FromExpr *) item)->quals != NULL)
			ctx->conditions = lappend(ctx->conditions, ((FromExpr *) item)->quals);
		return;
	}
	if (!IsA(item, JoinExpr))
		elog(ERROR, "unrecognized node type: %d", (int) nodeTag(item));

	if (join->jointype != JOIN_INNER)
		REFUSE("an outer join", "Use CROSS JOIN with freshet.tumble and freshet.hop; "
			   "inner joins are maintained by single changes.");
	add_from_item(ctx, join->larg);
	add_from_item(ctx, join->rarg);
	if (join->quals != NULL)
		ctx->conditions = lappend(ctx->conditions, join->quals);
}

/* The occurrence at this place of the range table, or -1. */
static int
find_occurrence(AnalyzeContext *ctx, int rti)
{
	ListCell   *lc;

	foreach(lc, ctx->source_rtis)
	{
		if (lfirst_int(lc) == rti)
			return foreach_current_index(lc);
	}
	return -1;
}

/* A Var of a source or of the window, as plan.h numbers them. */
static Var *
renumber_var(AnalyzeContext *ctx, const Var *var)
{
	RangeTblEntry *rte = rt_fetch(var->varno, ctx->query->rtable);
	int			occurrence = find_occurrence(ctx, var->varno);
	Var		   *result;

	Assert(var->varlevelsup == 0);
	if (var->varattno == InvalidAttrNumber)
		REFUSE(psprintf("the whole row \"%s\" as a value", rte->eref->aliasname),
			   "Name the columns one by one.");
	if (var->varattno < 0)
		REFUSE(psprintf("system column \"%s\"", get_rte_attribute_name(rte, var->varattno)),
			   "Its value is not in the log: use ordinary columns.");
	if (occurrence < 0 && var->varno != ctx->window_rti)
		elog(ERROR, "unexpected range table index: %d", (int) var->varno);

#if PG_VERSION_NUM >= 180000
	if (occurrence >= 0)
	{
		HeapTuple	tuple = SearchSysCacheAttNum(rte->relid, var->varattno);
		char		generated = '\0';

		if (HeapTupleIsValid(tuple))
		{
			generated = ((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated;
			ReleaseSysCache(tuple);
		}
		if (generated == ATTRIBUTE_GENERATED_VIRTUAL)
			REFUSE(psprintf("virtual generated column \"%s\"",
							get_rte_attribute_name(rte, var->varattno)),
				   "Its value is not in the log: write its expression, or make it STORED.");
	}
#endif

	if (occurrence >= 0 && ctx->plan->join != NULL)
		return analyze_join_var(ctx, occurrence, var);
	result = copyObject((Var *) var);
	result->varno = occurrence >= 0 ? 1 : INNER_VAR;
	result->varnosyn = 0;
	result->varattnosyn = 0;
	return result;
}

static Node *
renumber_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return (Node *) renumber_var((AnalyzeContext *) context, (Var *) node);
	return expression_tree_mutator(node, renumber_mutator, context);
}

/* A copy of an expression of the query, over a source row and its window. */
Node *
analyze_renumber(AnalyzeContext *ctx, Node *node)
{
	return renumber_mutator(node, ctx);
}

/*
 * An expression of the query as a planned one over a source row and its
 * window; the columns that it reads are added to those that it uses of the source.
 */
Expr *
analyze_row_expr(AnalyzeContext *ctx, Node *node)
{
	Bitmapset  *attrs = NULL;
	int			attr = -1;
	SourceUse  *source;
	Expr	   *expr;

	volatility_check(node, &ctx->settings_functions);
	expr = expression_planner((Expr *) analyze_renumber(ctx, node));
	volatility_check((Node *) expr, &ctx->settings_functions);
	expr = (Expr *) ratio_rewrite((Node *) expr);
	if (ctx->plan->join != NULL)
		return expr;			/* see analyze_join_uses() */

	source = plan_row_source(ctx->plan);
	pull_varattnos((Node *) expr, 1, &attrs);
	while ((attr = bms_next_member(attrs, attr)) >= 0)
		source->used_attrs = bms_add_member(source->used_attrs,
											attr + FirstLowInvalidHeapAttributeNumber);
	return expr;
}

/* The value of an argument of tumble or hop that must be constant. */
static Datum
constant_argument(List *args, int position, const char *name)
{
	Const	   *con = (Const *) eval_const_expressions(NULL, list_nth(args, position));

	if (!IsA(con, Const) || con->constisnull)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("argument \"%s\" of a time window must be a constant that is not null "
						"in the definition of a sink", name),
				 errhint("Write it as a literal, such as '5 minutes'.")));
	return con->constvalue;
}

static void
make_window(AnalyzeContext *ctx)
{
	RangeTblEntry *rte = rt_fetch(ctx->window_rti, ctx->query->rtable);
	FuncExpr   *call;
	WindowSpec *window = palloc0(sizeof(WindowSpec));
	HeapTuple	proc;
	List	   *args;
	Datum		size;

	call = (FuncExpr *) linitial_node(RangeTblFunction, rte->functions)->funcexpr;
	(void) is_window_function(call->funcid, &window->hop);

	/* Named arguments go to their places, and defaults are added. */
	proc = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));
	if (!HeapTupleIsValid(proc))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	args = expand_function_arguments(call->args, false, call->funcresulttype, proc);
	ReleaseSysCache(proc);

	size = constant_argument(args, window->hop ? HOP_ARG_SIZE : TUMBLE_ARG_SIZE, "size");
	window->size = window_length(DatumGetIntervalP(size), "size");
	window->slide = window->size;
	if (window->hop)
	{
		Datum		slide = constant_argument(args, HOP_ARG_SLIDE, "slide");

		window->slide = window_length(DatumGetIntervalP(slide), "slide");
		if ((window->size - 1) / window->slide >= MAX_WINDOWS_PER_ROW)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a row would be in more than %d time windows", MAX_WINDOWS_PER_ROW),
					 errhint("Use a longer slide or a shorter size.")));
	}
	window->origin = DatumGetTimestampTz(constant_argument(args,
														   window->hop ? HOP_ARG_ORIGIN :
														   TUMBLE_ARG_ORIGIN, "origin"));
	if (TIMESTAMP_NOT_FINITE(window->origin))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("origin of a time window must be finite")));
	window->ts = analyze_row_expr(ctx, list_nth(args, WINDOW_ARG_TS));
	ctx->plan->part.rows.window = window;
}

typedef struct CostedQual
{
	Node	   *qual;
	Cost		cost;
	int			position;
} CostedQual;

static int
compare_costs(const void *a, const void *b)
{
	const CostedQual *qa = a;
	const CostedQual *qb = b;

	if (qa->cost != qb->cost)
		return qa->cost < qb->cost ? -1 : 1;
	return qa->position - qb->position;
}

/*
 * Cheap conditions first, else as written: that is the order in which a scan
 * tests them.  One may be written to keep a row from another, dearer one.
 */
static List *
order_quals(List *quals)
{
	int			n = list_length(quals);
	CostedQual *costed = palloc(Max(n, 1) * sizeof(CostedQual));
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, quals)
	{
		CostedQual *item = &costed[foreach_current_index(lc)];
		QualCost	cost;

		cost_qual_eval_node(&cost, lfirst(lc), NULL);
		item->qual = lfirst(lc);
		item->cost = cost.per_tuple;
		item->position = foreach_current_index(lc);
	}
	qsort(costed, n, sizeof(CostedQual), compare_costs);
	for (int i = 0; i < n; i++)
		result = lappend(result, costed[i].qual);
	return result;
}

/* WHERE and ON, as an implicitly ANDed list. */
static void
make_quals(AnalyzeContext *ctx)
{
	List	   *quals = NIL;
	ListCell   *lc;

	foreach(lc, ctx->conditions)
	{
		Expr	   *qual = analyze_row_expr(ctx, lfirst(lc));

		quals = list_concat(quals, make_ands_implicit(qual));
	}
	ctx->plan->part.rows.quals = order_quals(quals);
}

/* The name of an output column must be one that a sink can have. */
static void
check_output_name(List *outputs, TargetEntry *tle)
{
	ListCell   *lc;

	if (strncmp(tle->resname, FRESHET_COLUMN_PREFIX, strlen(FRESHET_COLUMN_PREFIX)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("column name \"%s\" is reserved", tle->resname),
				 errdetail("Names that begin with \"%s\" are freshet's own.",
						   FRESHET_COLUMN_PREFIX),
				 errhint("Give the column another name with AS.")));
	if (SystemAttributeByName(tle->resname) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column name \"%s\" conflicts with a system column name", tle->resname),
				 errhint("Give the column another name with AS.")));
	foreach(lc, outputs)
	{
		TargetEntry *other = lfirst_node(TargetEntry, lc);

		if (strcmp(other->resname, tle->resname) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" specified more than once", tle->resname),
					 errhint("Give the column another name with AS.")));
	}
}

static void
check_output_type(TargetEntry *tle)
{
	Oid			typid = exprType((Node *) tle->expr);

	if (get_typtype(typid) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" has pseudo-type %s, which a table cannot store",
						tle->resname, format_type_be(typid)),
				 errhint("Cast the expression to the type that the column shall have.")));
	if (type_is_collatable(typid) && !OidIsValid(exprCollation((Node *) tle->expr)))
		ereport(ERROR,
				(errcode(ERRCODE_INDETERMINATE_COLLATION),
				 errmsg("no collation was derived for column \"%s\" with collatable type %s",
						tle->resname, format_type_be(typid)),
				 errhint("Use the COLLATE clause to set the collation explicitly.")));
}

void
analyze_check_outputs(const Query *query)
{
	List	   *outputs = NIL;
	ListCell   *lc;

	foreach(lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			continue;
		check_output_name(outputs, tle);
		check_output_type(tle);
		outputs = lappend(outputs, tle);
	}
	if (outputs == NIL)
		REFUSE("a select list without columns", "Name the columns of the sink.");
}

/* A system column is better refused for what it is than for its name. */
static void
check_output_columns(AnalyzeContext *ctx)
{
	ListCell   *lc;

	foreach(lc, ctx->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			(void) analyze_renumber(ctx, (Node *) tle->expr);
	}
}

/* Append the column of an entry of the select list; expr is the planned one. */
void
analyze_output_column(SinkPlan *plan, TargetEntry *tle, Expr *expr)
{
	SinkColumn *column;

	if (plan->columns == NULL)
		plan->columns = palloc0(sizeof(SinkColumn));
	else
		plan->columns = repalloc(plan->columns, sizeof(SinkColumn) * (plan->ncolumns + 1));
	column = &plan->columns[plan->ncolumns++];
	memset(column, 0, sizeof(SinkColumn));
	column->name = pstrdup(tle->resname);
	column->type = exprType((Node *) tle->expr);
	column->typmod = exprTypmod((Node *) tle->expr);
	column->collation = exprCollation((Node *) tle->expr);
	column->expr = expr;
}

/* Fill in the context and its plan, or raise the refusal. */
void
analyze_query(AnalyzeContext *ctx, const Query *query, bool as_bag)
{
	Oid			reader;

	memset(ctx, 0, sizeof(AnalyzeContext));
	ctx->as_bag = as_bag;
	ctx->plan = palloc0(sizeof(SinkPlan));

	ctx->query = flatten_view(copyObject((Query *) query), &reader);
	refuse_clauses(ctx->query);
	ctx->plan->shape = ctx->query->hasAggs || ctx->query->groupClause != NIL ?
		SHAPE_ROLLUP : SHAPE_COPY;
	ctx->plan->through_views = flatten_query(ctx->query, reader);

	add_from_item(ctx, (Node *) ctx->query->jointree);
	if (ctx->source_rtis == NIL)
		REFUSE("a query that reads no table", "Read one table.");

	analyze_join_begin(ctx);
	check_output_columns(ctx);
	analyze_check_outputs(ctx->query);
	if (ctx->plan->join != NULL)
		analyze_join_conditions(ctx);
	if (ctx->window_rti != 0)
		make_window(ctx);
	make_quals(ctx);
	if (ctx->plan->shape == SHAPE_ROLLUP)
		analyze_rollup(ctx);
	else
		analyze_copy(ctx);
	ctx->plan->uses_settings = ctx->settings_functions != NIL;

	if (ctx->plan->join != NULL)
		analyze_join_uses(ctx->plan);
	/* a retracted row is folded as an added one is */
	for (int i = 0; i < ctx->plan->nsources; i++)
		ctx->plan->sources[i].identity_attrs = ctx->plan->sources[i].used_attrs;
}

SinkPlan *
analyze_delta(const Query *query, bool as_bag)
{
	AnalyzeContext ctx;

	analyze_query(&ctx, query, as_bag);
	return ctx.plan;
}
