/*-------------------------------------------------------------------------
 *
 * exact_agg.c
 *		Aggregates with exact sums of floating-point numbers, for verifying.
 *
 * PostgreSQL's sum(double precision) rounds at every row, so its last digits
 * depend on the order of the rows, and with a million of them or with terms
 * that cancel it is farther than 1 part in 10^12 from the sum.  A sink holds
 * the sum rounded once.  So that a difference found by verify_sink() is a
 * fault and not the reference's rounding, the reference is the definition
 * with these aggregates in place of PostgreSQL's; rows, groups and everything
 * else are still the executor's.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteHandler.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "exact_agg.h"
#include "maintain/accum.h"

PG_FUNCTION_INFO_V1(freshet_exact_accum);
PG_FUNCTION_INFO_V1(freshet_exact_accum_real);
PG_FUNCTION_INFO_V1(freshet_exact_sum);
PG_FUNCTION_INFO_V1(freshet_exact_avg);
PG_FUNCTION_INFO_V1(freshet_exact_sum_real);

/*
 * Aggregates
 */

static Datum
accumulate(FunctionCallInfo fcinfo, AggKind kind)
{
	AccumDesc	desc = {0};
	MemoryContext context;
	MemoryContext oldcontext;
	Accum	   *acc;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "exact_accum called outside of an aggregate");

	desc.kind = kind;
	desc.argtype = kind == AGG_SUM_FLOAT4 ? FLOAT4OID : FLOAT8OID;
	desc.typlen = kind == AGG_SUM_FLOAT4 ? sizeof(float4) : sizeof(float8);
	desc.typbyval = true;
	oldcontext = MemoryContextSwitchTo(context);
	if (PG_ARGISNULL(0))
	{
		acc = palloc0(sizeof(Accum));
		accum_init(&desc, acc);
	}
	else
		acc = (Accum *) PG_GETARG_POINTER(0);
	accum_fold(&desc, acc, PG_ARGISNULL(1) ? (Datum) 0 : PG_GETARG_DATUM(1), PG_ARGISNULL(1), 1);
	MemoryContextSwitchTo(oldcontext);
	PG_RETURN_POINTER(acc);
}

Datum
freshet_exact_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, AGG_SUM_FLOAT8);
}

Datum
freshet_exact_accum_real(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, AGG_SUM_FLOAT4);
}

static Datum
finish(FunctionCallInfo fcinfo, AggKind kind)
{
	AccumDesc	desc = {0};
	Datum		result;
	bool		isnull;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	desc.kind = kind;
	result = accum_result(&desc, (Accum *) PG_GETARG_POINTER(0), &isnull);
	if (isnull)
		PG_RETURN_NULL();
	return result;
}

Datum
freshet_exact_sum(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, AGG_SUM_FLOAT8);
}

Datum
freshet_exact_avg(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, AGG_AVG_FLOAT);
}

Datum
freshet_exact_sum_real(PG_FUNCTION_ARGS)
{
	return finish(fcinfo, AGG_SUM_FLOAT4);
}

/*
 * Rewriting a definition
 */

static Oid
lookup_aggregate(const char *name, Oid argtype)
{
	List	   *qualified = list_make2(makeString(FRESHET_SCHEMA), makeString(pstrdup(name)));

	return LookupFuncName(qualified, 1, &argtype, false);
}

static Oid
exact_counterpart(Oid aggfnoid)
{
	switch (aggfnoid)
	{
		case F_SUM_FLOAT8:
			return lookup_aggregate("exact_sum", FLOAT8OID);
		case F_SUM_FLOAT4:
			return lookup_aggregate("exact_sum", FLOAT4OID);
		case F_AVG_FLOAT8:
			return lookup_aggregate("exact_avg", FLOAT8OID);
		case F_AVG_FLOAT4:
			return lookup_aggregate("exact_avg", FLOAT4OID);
		default:
			return InvalidOid;
	}
}

static bool
replace_aggregates(Node *node, bool *found)
{
	if (node == NULL)
		return false;
	if (IsA(node, Aggref))
	{
		Aggref	   *agg = (Aggref *) node;
		Oid			counterpart = exact_counterpart(agg->aggfnoid);

		if (OidIsValid(counterpart))
		{
			agg->aggfnoid = counterpart;
			*found = true;
		}
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, replace_aggregates, found, 0);
	return expression_tree_walker(node, replace_aggregates, found);
}

char *
exact_agg_definition(Oid viewid)
{
	Relation	view = table_open(viewid, AccessShareLock);
	Query	   *query = copyObject(get_view_query(view));
	bool		found = false;

	table_close(view, NoLock);
	(void) replace_aggregates((Node *) query, &found);
	return found ? pg_get_querydef(query, false) : NULL;
}
