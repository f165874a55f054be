/*-------------------------------------------------------------------------
 *
 * verify_compare.c
 *		freshet.verify_sink(): comparing the query with the sink.
 *
 * Both are read through cursors in the same order, and merged: two multisets
 * of rows, compared without holding either in memory.  The order is that of
 * the columns that must be equal exactly, then that of those which are
 * approximate, sums and averages of floating-point numbers and what is
 * computed from them, on which the sink may differ from the query in the last
 * digits.  (They are summed exactly in the reference too: see exact_agg.c.)
 *
 * Values of a type without an order are compared as text, and so are, in sinks
 * whose rows are no groups, those that can be equal and look different.
 *
 * The rows of a wide view are ordered by their keys, which are unique; their
 * documents are compared byte by byte, so that 1.0 is not 1.00.
 *
 * Keys of a rollup that are equal but look different need a second comparison
 * (key_looks.c).
 *
 * Everything is evaluated as the sink's owner, in the sandbox.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "api.h"
#include "base/names.h"
#include "compile/equality.h"
#include "exact_agg.h"
#include "key_looks.h"
#include "verify.h"

#define TOLERANCE_DOUBLE	1e-12
#define TOLERANCE_REAL		1e-5
#define FETCH_ROWS			1000

typedef struct CompareColumn
{
	bool		as_text;		/* no order: compare the text */
	bool		as_bytes;
	double		tolerance;		/* 0: exact */
	Oid			type;
	Oid			collation;
	FmgrInfo	cmp;
} CompareColumn;

typedef struct Comparison
{
	int			ncolumns;
	CompareColumn *columns;
	int		   *order;			/* indexes of columns, exact ones first */
	int			nordered;		/* how many of them the rows are ordered by */
	int			ncompared;		/* and compared by */
	MemoryContext row_context;	/* reset for each pair of rows */
} Comparison;

/* One side of the merge. */
typedef struct Side
{
	Portal		portal;
	SPITupleTable *table;		/* rows fetched, or NULL */
	uint64		nrows;
	uint64		next;
	bool		at_end;
	Datum	   *values;			/* the current row */
	bool	   *nulls;
} Side;

static double
column_tolerance(const SinkColumn *column)
{
	if (!column->approximate)
		return 0;
	if (column->type == FLOAT4OID)
		return TOLERANCE_REAL;
	if (column->type == FLOAT8OID || column->type == NUMERICOID)
		return TOLERANCE_DOUBLE;
	return 0;
}

/* Such a column differs from the query's without fault: key_looks.c. */
static bool
is_decided_by_looks(const SinkPlan *plan, const Bitmapset *looks, int column)
{
	return bms_is_member(column, looks) && key_looks_decide(plan, column);
}

/*
 * Rows that are no groups are what the query computed, to the look of a value
 * that others equal, unless the query itself has a choice.
 */
static bool
is_compared_by_look(const SinkPlan *plan, const CompareColumn *column, TypeCacheEntry *type)
{
	if (plan_runs_query(plan) ? plan->chooses_among_equals :
		plan->shape != SHAPE_COPY && plan->shape != SHAPE_BAG)
		return false;
	return column->tolerance == 0 &&
		equality_is_loose(column->type, -1, column->collation, type->eq_opr);
}

static Comparison *
prepare_comparison(const Sink *sink, const Bitmapset *looks)
{
	const SinkPlan *plan = sink->plan;
	Comparison *comparison = palloc0(sizeof(Comparison));
	int			n = plan->ncolumns;

	comparison->ncolumns = n;
	comparison->columns = palloc0(n * sizeof(CompareColumn));
	comparison->order = palloc0(n * sizeof(int));

	for (int i = 0; i < n; i++)
	{
		CompareColumn *column = &comparison->columns[i];
		TypeCacheEntry *type = lookup_type_cache(plan->columns[i].type,
												 TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
												 TYPECACHE_CMP_PROC_FINFO);

		column->tolerance = column_tolerance(&plan->columns[i]);
		column->type = plan->columns[i].type;
		column->collation = plan->columns[i].collation;
		if (!OidIsValid(type->lt_opr) || !OidIsValid(type->cmp_proc_finfo.fn_oid) ||
			is_compared_by_look(plan, column, type))
		{
			column->as_text = true;
			column->type = TEXTOID;
			column->collation = C_COLLATION_OID;
			type = lookup_type_cache(TEXTOID, TYPECACHE_CMP_PROC_FINFO);
		}
		fmgr_info_copy(&column->cmp, &type->cmp_proc_finfo, CurrentMemoryContext);
	}

	n = 0;
	for (int i = 0; i < comparison->ncolumns; i++)
		if (comparison->columns[i].tolerance == 0 && !is_decided_by_looks(plan, looks, i))
			comparison->order[n++] = i;
	for (int i = 0; i < comparison->ncolumns; i++)
		if (comparison->columns[i].tolerance > 0)
			comparison->order[n++] = i;

	comparison->nordered = comparison->ncompared = n;
	if (plan->shape == SHAPE_WIDE_VIEW)
	{
		comparison->nordered = plan->nkeys;
		comparison->columns[plan->nkeys].as_bytes = true;
	}

	comparison->row_context = AllocSetContextCreate(CurrentMemoryContext,
													"freshet comparison of rows",
													ALLOCSET_SMALL_SIZES);
	return comparison;
}

/*
 * columns: attribute numbers, or NULL for 1, 2, ...; definition: a query to
 * read in place of the relation, with the same columns, or NULL.
 */
static char *
ordered_query(const Comparison *comparison, Oid relid, const AttrNumber *columns,
			  const char *definition)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	for (int i = 0; i < comparison->ncolumns; i++)
	{
		AttrNumber	attnum = columns ? columns[i] : i + 1;

		appendStringInfo(&sql, "%sx.%s", i > 0 ? ", " : "",
						 quote_identifier(get_attname(relid, attnum, false)));
		if (comparison->columns[i].as_text)
			appendStringInfoString(&sql, "::pg_catalog.text COLLATE \"C\"");
	}
	if (definition == NULL)
		appendStringInfo(&sql, " FROM %s x", names_relation(relid));
	else
	{
		appendStringInfo(&sql, " FROM (%s) x (", definition);
		for (int i = 0; i < comparison->ncolumns; i++)
			appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "",
							 quote_identifier(get_attname(relid, i + 1, false)));
		appendStringInfoChar(&sql, ')');
	}
	appendStringInfoString(&sql, " ORDER BY ");
	for (int i = 0; i < comparison->nordered; i++)
		appendStringInfo(&sql, "%s%d", i > 0 ? ", " : "", comparison->order[i] + 1);
	return sql.data;
}

static void
open_side(Side *side, const Comparison *comparison, const char *sql, Snapshot snapshot)
{
	SPIPlanPtr	plan;

	PushActiveSnapshot(snapshot);

	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	side->portal = SPI_cursor_open(NULL, plan, NULL, NULL, true);

	PopActiveSnapshot();

	side->values = palloc(comparison->ncolumns * sizeof(Datum));
	side->nulls = palloc(comparison->ncolumns * sizeof(bool));
}

/* The values point into the fetched rows, which live until the next fetch. */
static void
next_row(Side *side)
{
	if (side->at_end)
		return;

	if (side->next >= side->nrows)
	{
		if (side->table)
			SPI_freetuptable(side->table);
		SPI_cursor_fetch(side->portal, true, FETCH_ROWS);
		side->table = SPI_tuptable;
		side->nrows = SPI_processed;
		side->next = 0;
		if (side->nrows == 0)
		{
			side->at_end = true;
			return;
		}
	}

	heap_deform_tuple(side->table->vals[side->next], side->table->tupdesc, side->values,
					  side->nulls);
	side->next++;
}

static double
as_double(Datum value, Oid type)
{
	switch (type)
	{
		case FLOAT4OID:
			return (double) DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		default:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
	}
}

static bool
nearly_equal(const CompareColumn *column, Datum a, Datum b)
{
	double		x = as_double(a, column->type);
	double		y = as_double(b, column->type);

	if (isnan(x) || isnan(y))
		return isnan(x) && isnan(y);
	if (isinf(x) || isinf(y))
		return x == y;
	return fabs(x - y) <= column->tolerance * Max(fabs(x), fabs(y));
}

static int
compare_bytes(Datum a, Datum b)
{
	struct varlena *x = PG_DETOAST_DATUM_PACKED(a);
	struct varlena *y = PG_DETOAST_DATUM_PACKED(b);
	Size		xlen = VARSIZE_ANY_EXHDR(x);
	Size		ylen = VARSIZE_ANY_EXHDR(y);
	int			result = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(xlen, ylen));

	if (result == 0 && xlen != ylen)
		result = xlen < ylen ? -1 : 1;
	return result;
}

static int
compare_rows(Comparison *comparison, const Side *a, const Side *b)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(comparison->row_context);
	int			result = 0;

	for (int k = 0; result == 0 && k < comparison->ncompared; k++)
	{
		int			i = comparison->order[k];
		CompareColumn *column = &comparison->columns[i];

		if (a->nulls[i] || b->nulls[i])
			result = (int) a->nulls[i] - (int) b->nulls[i];
		else if (column->as_bytes)
			result = compare_bytes(a->values[i], b->values[i]);
		else if (column->tolerance == 0 || !nearly_equal(column, a->values[i], b->values[i]))
			result = DatumGetInt32(FunctionCall2Coll(&column->cmp, column->collation,
													 a->values[i], b->values[i]));
	}

	MemoryContextSwitchTo(oldcontext);
	MemoryContextReset(comparison->row_context);
	return result;
}

static void
merge(Comparison *comparison, Side *query, Side *sink, int64 *missing, int64 *unexpected)
{
	next_row(query);
	next_row(sink);
	while (!query->at_end || !sink->at_end)
	{
		int			cmp;

		CHECK_FOR_INTERRUPTS();
		if (query->at_end)
			cmp = 1;
		else if (sink->at_end)
			cmp = -1;
		else
			cmp = compare_rows(comparison, query, sink);

		if (cmp < 0)
			(*missing)++;
		else if (cmp > 0)
			(*unexpected)++;
		if (cmp <= 0)
			next_row(query);
		if (cmp >= 0)
			next_row(sink);
	}
}

/* Texts of these columns of the sink, or of the definition if that is not NULL. */
static char *
looks_query(const Sink *sink, const Bitmapset *looks, const char *definition)
{
	StringInfoData sql;
	StringInfoData names;
	StringInfoData order;
	int			i = -1;
	int			n = 0;

	initStringInfo(&sql);
	initStringInfo(&names);
	initStringInfo(&order);
	appendStringInfoString(&sql, "SELECT DISTINCT ");
	while ((i = bms_next_member(looks, i)) >= 0)
	{
		const char *separator = n > 0 ? ", " : "";
		const char *name = quote_identifier(get_attname(sink->relid, sink->columns[i], false));

		appendStringInfo(&sql, "%sx.%s::pg_catalog.text COLLATE \"C\"", separator, name);
		appendStringInfo(&names, "%s%s", separator, name);
		appendStringInfo(&order, "%s%d", separator, ++n);
	}
	if (definition)
		appendStringInfo(&sql, " FROM (%s) x (%s)", definition, names.data);
	else
		appendStringInfo(&sql, " FROM %s x", names_relation(sink->relid));
	appendStringInfo(&sql, " ORDER BY %s", order.data);
	return sql.data;
}

/* Looks of keys in the sink that no row of the source has; see key_looks.c. */
static int64
count_unknown_looks(const Sink *sink, const Bitmapset *looks, Snapshot query_snapshot,
					Snapshot sink_snapshot)
{
	Comparison *comparison = palloc0(sizeof(Comparison));
	TypeCacheEntry *type = lookup_type_cache(TEXTOID, TYPECACHE_CMP_PROC_FINFO);
	Side		query = {0};
	Side		table = {0};
	int64		not_shown = 0;
	int64		unknown = 0;
	int			n = bms_num_members(looks);

	comparison->ncolumns = comparison->ncompared = comparison->nordered = n;
	comparison->columns = palloc0(n * sizeof(CompareColumn));
	comparison->order = palloc0(n * sizeof(int));
	for (int i = 0; i < n; i++)
	{
		comparison->columns[i].type = TEXTOID;
		comparison->columns[i].collation = C_COLLATION_OID;
		comparison->order[i] = i;
		fmgr_info_copy(&comparison->columns[i].cmp, &type->cmp_proc_finfo, CurrentMemoryContext);
	}
	comparison->row_context = AllocSetContextCreate(CurrentMemoryContext,
													"freshet comparison of looks",
													ALLOCSET_SMALL_SIZES);
	open_side(&query, comparison,
			  looks_query(sink, looks, key_looks_definition(sink->viewid, looks)),
			  query_snapshot);
	open_side(&table, comparison, looks_query(sink, looks, NULL), sink_snapshot);
	merge(comparison, &query, &table, &not_shown, &unknown);
	SPI_cursor_close(query.portal);
	SPI_cursor_close(table.portal);
	return unknown;
}

/* Then the sink has the sums as PostgreSQL makes them, and not exact ones. */
static bool
is_run_whole(const Sink *sink)
{
	return plan_runs_query(sink->plan) && !sink->has_stages;
}

void
verify_compare(Sink *sink, Snapshot query_snapshot, Snapshot sink_snapshot,
			   int64 *missing, int64 *unexpected)
{
	SinkSandbox sandbox;
	Comparison *comparison;
	Bitmapset  *looks;
	Side		query = {0};
	Side		table = {0};

	*missing = 0;
	*unexpected = 0;
	sink_make_plan(sink);

	SPI_connect();
	sink_enter_sandbox(sink, &sandbox);
	/* two plain sorts are not worth compiling */
	(void) set_config_option("jit", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
							 false);

	looks = key_looks_columns(sink->plan);
	comparison = prepare_comparison(sink, looks);
	open_side(&query, comparison,
			  ordered_query(comparison, sink->viewid, NULL,
							is_run_whole(sink) ? NULL : exact_agg_definition(sink->viewid)),
			  query_snapshot);
	open_side(&table, comparison, ordered_query(comparison, sink->relid, sink->columns, NULL),
			  sink_snapshot);
	merge(comparison, &query, &table, missing, unexpected);
	SPI_cursor_close(query.portal);
	SPI_cursor_close(table.portal);
	if (looks != NULL)
		*unexpected += count_unknown_looks(sink, looks, query_snapshot, sink_snapshot);

	sink_leave_sandbox(&sandbox);
	SPI_finish();
}
