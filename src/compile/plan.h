/*-------------------------------------------------------------------------
 *
 * plan.h
 *		What the analysis of a definition yields: how to maintain the sink.
 *
 * A plan is plain data (node trees and numbers, no executor state), made in
 * one memory context and freed by deleting it.  It stays valid until one of
 * the relations or functions that it names changes.
 *
 * Conventions for the expressions of a SinkPlan of the strategy delta:
 *
 *	- over a source row: Var(varno 1, varattno n) is column n of the source, or
 *	  of the joined row if there are several (the scan tuple), Var(varno
 *	  INNER_VAR, varattno 1|2) is window_start |
 *	  window_end of the row's window (the inner tuple, two timestamptz).
 *	  These are: window->ts (source columns only), quals, keys, aggregate
 *	  arguments and filters, and the outputs of a copy.
 *	- over a group: Var(varno 1, varattno i) of the scan tuple, where columns
 *	  1..nkeys are the keys and nkeys+1..nkeys+naggs the aggregates' results.
 *	  These are the outputs of a rollup.
 *
 * All have been through expression_planner() and can be given to
 * ExecInitExpr(expr, NULL).  None contains a Param, SubLink or Aggref.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PLAN_H
#define FRESHET_PLAN_H

#include "datatype/timestamp.h"
#include "nodes/bitmapset.h"
#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"
#include "nodes/primnodes.h"

typedef enum SinkStrategy
{
	STRATEGY_DELTA,
	STRATEGY_KEYED,
	STRATEGY_REFRESH
} SinkStrategy;

/* freshet.tumble or freshet.hop in FROM.  Times are in microseconds. */
typedef struct WindowSpec
{
	bool		hop;
	Expr	   *ts;				/* timestamptz, over the source row */
	int64		slide;			/* > 0; equals size for tumble */
	int64		size;			/* > 0 */
	TimestampTz origin;			/* finite */
} WindowSpec;

typedef enum AggKind
{
	AGG_COUNT_STAR,				/* count(*) */
	AGG_COUNT,					/* count(x) */
	AGG_SUM_INT,				/* sum(int2 | int4) -> int8 */
	AGG_SUM_INT8,				/* sum(int8) -> numeric */
	AGG_AVG_INT,				/* avg(int2 | int4 | int8) -> numeric */
	AGG_SUM_NUMERIC,
	AGG_AVG_NUMERIC,
	AGG_SUM_FLOAT4,				/* -> float4 */
	AGG_SUM_FLOAT8,				/* -> float8 */
	AGG_AVG_FLOAT,				/* avg(float4 | float8) -> float8 */
	AGG_SUM_MONEY,
	AGG_SUM_INTERVAL,
	AGG_AVG_INTERVAL,
	AGG_MIN,					/* any aggregate of one argument with a sort */
	AGG_MAX						/* operator < (MIN) or > (MAX) */
} AggKind;

typedef struct AggSpec
{
	AggKind		kind;
	Oid			aggfnoid;
	Expr	   *arg;			/* NULL for count(*) */
	Expr	   *filter;			/* NULL if none; boolean */
	Oid			argtype;		/* type of arg; InvalidOid for count(*) */
	int32		argtypmod;
	Oid			resulttype;
	int32		resulttypmod;
	Oid			collation;		/* input collation of the aggregate */
	Oid			sortop;			/* MIN, MAX: the aggregate's sort operator */

	/*
	 * Index in SinkPlan.columns of a column that is exactly this aggregate and
	 * from which the state can be taken, or -1.  So for count(*), count(x), min
	 * and max when they stand alone in the select list.
	 */
	int			visible;
} AggSpec;

typedef struct KeySpec
{
	Expr	   *expr;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Oid			eqop;			/* equality operator of the grouping */
	Oid			sortop;			/* its default btree "<" */
	int			column;			/* index in SinkPlan.columns; -1: not selected */
	bool		variable;		/* ROLLUP: equal values can look different */
} KeySpec;

/* A column of the query, and of the sink. */
typedef struct SinkColumn
{
	char	   *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	Expr	   *expr;			/* see the conventions above; WIDE_VIEW: NULL */
	bool		approximate;	/* depends on a sum or avg of float4 or
								 * float8: verify compares with a tolerance */
} SinkColumn;

/* A relation that a definition reads. */
typedef struct SourceUse
{
	Oid			relid;			/* ordinary or partitioned table, or a sink */
	Bitmapset  *used_attrs;		/* columns that the definition reads (members are
								 * attnos, >= 1) */
	Bitmapset  *identity_attrs; /* columns whose old values must be in the log */
} SourceUse;

/*
 * A relation at one place of the query.  The same one may be at several, and
 * each of them is fed on its own: a changed row does not mean the same there.
 */
typedef struct Occurrence
{
	int			source;			/* index in SinkPlan.sources */
} Occurrence;

typedef enum SinkShape
{
	SHAPE_ROLLUP,				/* delta: GROUP BY or aggregates */
	SHAPE_COPY,					/* delta: filtered, projected copy of the source */
	SHAPE_BAG,					/* delta: the same, of rows without a key */
	SHAPE_WIDE_VIEW,			/* keyed: one document per row of the root */
	SHAPE_KEYED_QUERY,			/* keyed: the rows of a query, recomputed by key */
	SHAPE_REFRESH				/* refresh: the rows of any query */
} SinkShape;

/*
 * What a join, or a path to keys, reads of an occurrence: its column n is
 * attnos[n - 1] of the table.
 */
typedef struct JoinInput
{
	int			ncolumns;
	AttrNumber *attnos;
} JoinInput;

/*
 * The inner join of all occurrences, in any order.  Its row is what a rollup, a
 * copy or a bag is fed, as others are rows of their one source: column n of it
 * is the nth of "columns".
 *
 * In both lists Var(varno i + 1, varattno n) is column n of input i.
 */
typedef struct JoinPlan
{
	JoinInput  *inputs;			/* by occurrence */
	List	   *columns;		/* Var * */
	List	   *conditions;		/* Exprs, implicitly ANDed */
} JoinPlan;

/*
 * From a changed row of an occurrence to the keys that it may affect: it is joined
 * with one occurrence after the other, by conditions over those so far, and the
 * keys are expressions over all of them.  Vars as in JoinPlan.
 */
typedef struct KeyStep
{
	int			occurrence;
	bool		outer;			/* a row without a match leads to keys, too */
	List	   *conditions;
} KeyStep;

typedef struct KeyPath
{
	List	   *conditions;		/* on the changed row alone */
	List	   *steps;			/* KeyStep * */
	List	   *keys;			/* Expr *, by key */
} KeyPath;

/* Paths of one occurrence, at the most. */
#define KEY_MAX_PATHS	64

/*
 * KEYED_QUERY: columns of the query by which its rows can be recomputed.  Many rows,
 * or none, may have the same key.
 */
typedef struct KeyedQueryPlan
{
	int			nkeys;
	KeySpec    *keys;			/* expr is NULL; column >= 0 */
	JoinInput  *inputs;			/* by occurrence */
	List	  **paths;			/* by occurrence: List of KeyPath *; NIL if its
								 * changes bear upon everything */

	/* for advice on indexes: */
	List	   *exprs;			/* Expr *, by key: what it is of the occurrences */
	List	   *equalities;		/* OpExpr *: conditions on two occurrences */
} KeyedQueryPlan;

/*
 * A column of a lookup that is related to a column of an enclosing node:
 * own = outer in the definition.
 */
typedef struct RelatedColumn
{
	AttrNumber	attno;			/* own column ... */
	Oid			type;
	int32		typmod;
	Oid			collation;
	int			outer_node;		/* ... and the enclosing node's; -1 in the root */
	AttrNumber	outer_attno;
	Oid			eqop;			/* the operator: own type, outer type */
} RelatedColumn;

/*
 * A node of a wide view: the root (number 0), whose "related" are its key
 * columns without outer ones, or a lookup.  Node n is occurrence n.
 */
typedef struct KeyedNode
{
	int			parent;			/* the node that it is embedded in; -1: root */
	int			nrelated;		/* >= 1 */
	RelatedColumn *related;
	Bitmapset  *order_attrs;	/* columns that are related or ordered by */
} KeyedNode;

/*
 * Of a rollup, a copy and a bag: which rows they take of those that they are fed.
 * A copy and a bag need nothing more than that, their columns and their keys.
 */
typedef struct RowPlan
{
	int			occurrence;		/* the one whose rows they are; 0 of a join */
	WindowSpec *window;			/* or NULL */
	List	   *quals;			/* Exprs, implicitly ANDed; after the window */
} RowPlan;

/* The part of a plan that is a rollup's alone. */
typedef struct RollupPlan
{
	RowPlan		rows;			/* first: see plan_rows() */
	int			naggs;			/* distinct aggregates */
	AggSpec    *aggs;
	int			rows_column;	/* index of a count(*) without FILTER, or -1 */
	bool		keeps_states;	/* the columns do not hold all of a group: its
								 * keys, the number of its rows, the states of
								 * its aggregates; it is kept beside the sink */
	bool		long_keys;		/* there is no index on the keys: see long_key.c */
} RollupPlan;

/* ... and a wide view. */
typedef struct WideViewPlan
{
	int			nnodes;
	KeyedNode  *nodes;			/* enclosing ones first */
} WideViewPlan;

typedef struct SinkPlan
{
	SinkShape	shape;
	int			nsources;		/* distinct relations */
	SourceUse  *sources;
	int			noccurrences;	/* the range of the query */
	Occurrence *occurrences;
	JoinPlan   *join;			/* delta: of several occurrences, else NULL */

	/*
	 * ROLLUP: the GROUP BY expressions, nkeys may be 0 (one row that always
	 * exists).  COPY: the key columns of the sources, and for hop (and
	 * tumble, if selected) window_start; nkeys >= 1.  BAG: none.  WIDE_VIEW: the key
	 * columns of the root, key i is column i and expr is NULL.
	 */
	int			nkeys;
	KeySpec    *keys;

	int			ncolumns;
	SinkColumn *columns;		/* in the query's order */
	bool		through_views;	/* delta: rights were checked on the way through
								 * views, see flatten.c */
	bool		uses_settings;	/* depends on TimeZone, DateStyle, ... */

	/*
	 * REFRESH, KEYED_QUERY: the query may choose among rows or values that are
	 * equal, and choose otherwise when it is run again.
	 */
	bool		chooses_among_equals;
	List	   *functions;		/* the same: OIDs of users' functions that it calls */

	/* what only one shape has: ask plan_rows() and so on, which check it */
	union
	{
		RowPlan		rows;		/* COPY and BAG; begins that of a ROLLUP */
		RollupPlan	rollup;
		WideViewPlan wide_view;
		KeyedQueryPlan keyed_query;
	}			part;
} SinkPlan;

/* The relation at one place of the query. */
static inline SourceUse *
plan_source_of(const SinkPlan *plan, int occurrence)
{
	Assert(occurrence >= 0 && occurrence < plan->noccurrences);
	return &plan->sources[plan->occurrences[occurrence].source];
}

/* The rows that a rollup, a copy or a bag takes. */
static inline const RowPlan *
plan_rows(const SinkPlan *plan)
{
	Assert(plan->shape == SHAPE_ROLLUP || plan->shape == SHAPE_COPY || plan->shape == SHAPE_BAG);
	return &plan->part.rows;
}

/* The relation whose rows they are, if they are those of one. */
static inline SourceUse *
plan_row_source(const SinkPlan *plan)
{
	Assert(plan->join == NULL);
	return plan_source_of(plan, plan_rows(plan)->occurrence);
}

static inline const RollupPlan *
plan_rollup(const SinkPlan *plan)
{
	Assert(plan->shape == SHAPE_ROLLUP);
	return &plan->part.rollup;
}

static inline const WideViewPlan *
plan_wide_view(const SinkPlan *plan)
{
	Assert(plan->shape == SHAPE_WIDE_VIEW);
	return &plan->part.wide_view;
}

static inline const KeyedQueryPlan *
plan_keyed_query(const SinkPlan *plan)
{
	Assert(plan->shape == SHAPE_KEYED_QUERY);
	return &plan->part.keyed_query;
}

/* What the occurrences' changed rows are collected by: of a join, or a KEYED_QUERY. */
static inline const JoinInput *
plan_inputs(const SinkPlan *plan)
{
	return plan->join != NULL ? plan->join->inputs : plan_keyed_query(plan)->inputs;
}

/* Are its rows computed by running the query itself? */
static inline bool
plan_runs_query(const SinkPlan *plan)
{
	return plan->shape == SHAPE_REFRESH || plan->shape == SHAPE_KEYED_QUERY;
}

/* The strategy that maintains a sink of this shape. */
extern SinkStrategy plan_strategy(const SinkPlan *plan);

/*
 * May its maintenance read the sources, rather than what was changed in them
 * alone?
 */
extern bool plan_reads_sources(const SinkPlan *plan);

/*
 * Does it serve only a batch that ends at its snapshot, because the sources are
 * read with the changes?
 */
extern bool plan_needs_snapshot(const SinkPlan *plan);

/* Are its changes computed from those of the sources, or is the query just run? */
extern bool plan_takes_changes(const SinkPlan *plan);

/* The name of the shape, as in freshet.sink.kind. */
extern const char *plan_kind(const SinkPlan *plan);

/* Are all keys among the columns? */
extern bool plan_shows_keys(const SinkPlan *plan);

/* And has the sink an index on them, by which a row is found? */
extern bool plan_has_key_index(const SinkPlan *plan);

/* The index of a relation among the sources, or -1. */
extern int	plan_find_source(const SinkPlan *plan, Oid relid);

/* Append an occurrence of a relation, which is made a source if it is none yet. */
extern int	plan_add_occurrence(SinkPlan *plan, Oid relid);

/*
 * WIDE_VIEW: are the root's key columns among the related ones of a node (or is
 * it the root)?  Then key_attnos receives its own columns that equal them, key
 * by key, and what a row of the node affects needs no look-up.
 */
extern bool plan_knows_root_key(const SinkPlan *plan, int node, AttrNumber *key_attnos);

/* Does an expression, or a list of them, refer to the row's window? */
extern bool plan_uses_window(const void *node);

/* Is it a column or a constant, whose evaluation neither fails nor costs anything? */
extern bool plan_cannot_fail(const Expr *expr);

/* Is it just window_start (1) or window_end (2)? */
extern bool plan_is_window_column(const Expr *expr, AttrNumber attno);

#endif							/* FRESHET_PLAN_H */
