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
	Index		source_rti;		/* 0: not seen yet */
	Index		window_rti;		/* 0: no window */
	List	   *conditions;		/* of WHERE and of ON, as written */
	List	   *group_exprs;	/* the keys of a rollup, as written */
	List	   *aggrefs;		/* the aggregates, as written, like plan->aggs */
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

/* Can the columns of the select list be those of a sink? */
extern void analyze_check_outputs(const Query *query);

/* analyze_rollup.c, analyze_copy.c */
extern void analyze_rollup(AnalyzeContext *ctx);
extern void analyze_copy(AnalyzeContext *ctx);
extern void analyze_output_column(SinkPlan *plan, TargetEntry *tle, Expr *expr);

#endif							/* FRESHET_ANALYZE_INTERNAL_H */
