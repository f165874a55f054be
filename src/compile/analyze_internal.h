/*-------------------------------------------------------------------------
 *
 * analyze_internal.h
 *		What the files of the analysis share with each other, and nobody else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ANALYZE_INTERNAL_H
#define FRESHET_ANALYZE_INTERNAL_H

#include "base/freshet.h"

#include "plan.h"

/*
 * One analysis.  "query" is a private copy in which aliases of joins and of
 * groups are resolved, so that a Var names the source or the window.
 */
typedef struct AnalyzeContext
{
	Query	   *query;
	SinkPlan   *plan;
	List	   *source_rtis;	/* int: by occurrence, its place in the range table */
	Index		window_rti;		/* 0: no window */
	List	   *conditions;		/* of WHERE and of ON, as written */
	List	   *group_exprs;	/* the keys of a rollup, as written */
	List	   *aggrefs;		/* the aggregates, as written, like plan->aggs */
	bool		in_join;		/* a condition of the join is analyzed */
	bool		as_bag;			/* see analyze_delta() */
	List	   *settings_functions; /* OIDs: why plan->uses_settings */
} AnalyzeContext;

/* A refusal by name: "what" is a noun phrase in the singular. */
#define REFUSED_SUFFIX " is not supported in the definition of a sink"
#define REFUSE(what, hint) \
	ereport(ERROR, \
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), \
			 errmsg("%s" REFUSED_SUFFIX, (what)), \
			 errhint("%s", (hint))))

/* analyze.c */
extern void analyze_query(AnalyzeContext *ctx, const Query *query, bool as_bag);
extern Node *analyze_renumber(AnalyzeContext *ctx, Node *node);
extern Expr *analyze_row_expr(AnalyzeContext *ctx, Node *node);

/*
 * analyze_join.c
 */

/* After FROM: begin the plan's join, if there are several sources. */
extern void analyze_join_begin(AnalyzeContext *ctx);

/*
 * A column of an occurrence as one of the joined row, to which it is added; or
 * while conditions are analyzed, as one of the join's inputs.
 */
extern Var *analyze_join_var(AnalyzeContext *ctx, int occurrence, const Var *var);

/* The conditions of the join; those on the window are left in ctx->conditions. */
extern void analyze_join_conditions(AnalyzeContext *ctx);

/* Number of a column in the joined row, or 0 if it is not there. */
extern AttrNumber analyze_join_find(const SinkPlan *plan, int occurrence, AttrNumber attno);

/* At the end: which columns the sources are read of. */
extern void analyze_join_uses(SinkPlan *plan);

/* Can the columns of the select list be those of a sink? */
extern void analyze_check_outputs(const Query *query);

/* analyze_rollup.c, analyze_copy.c */
extern void analyze_rollup(AnalyzeContext *ctx);
extern void analyze_copy(AnalyzeContext *ctx);
extern void analyze_output_column(SinkPlan *plan, TargetEntry *tle, Expr *expr);

#endif							/* FRESHET_ANALYZE_INTERNAL_H */
