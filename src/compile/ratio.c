/*-------------------------------------------------------------------------
 *
 * ratio.c
 *		A fast way for float8(integer / power of ten).
 *
 * to_timestamp(ms / 1000.0) is how epoch milliseconds become a timestamp.  As
 * written it makes two numerics, divides them, prints the quotient and parses
 * the text as a double, which costs as much as all the rest of folding a row.
 * One IEEE division gives the same bits:
 *
 *	- For |x| <= 2^53 and k <= 15, x and 10^k are doubles without rounding, so
 *	  that x / 10^k in doubles is the exact quotient rounded once.
 *
 *	- The numeric quotient is exact.  In base 10000 digits, x < 10^16 has a
 *	  weight of at most 3 and 10^k has weight w = floor(k / 4), so the weight of
 *	  the quotient is estimated as at most 3 - w and numeric_div() keeps at
 *	  least 16 - 4 * (3 - w) = 4 + 4 * w decimal places; k <= 4 * w + 3 of them
 *	  are needed.  Its text is then rounded once by float8in().
 *
 * Beyond 2^53 neither holds, and the quotient's digits depend even on how many
 * zeros the constant was written with; freshet.int8_ratio() then goes through
 * numeric itself.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/numeric.h"
#include "utils/syscache.h"

#include "ratio.h"

#define MAX_EXACT_INT	(INT64CONST(1) << 53)
#define MAX_POWER		15

PG_FUNCTION_INFO_V1(freshet_int8_ratio);

/* What a call of freshet.int8_ratio keeps for the next. */
typedef struct RatioCache
{
	float8		power;			/* the divisor, a power of ten; 0 if it is none,
								 * or not the same in every call */
} RatioCache;

/* 10^k of a numeric, 1 <= k <= MAX_POWER, whatever its scale; else 0. */
static int64
power_of_ten(Datum num)
{
	int64		power = 10;
	int			k;

	for (k = 1; k <= MAX_POWER; k++, power *= 10)
	{
		Datum		value = DirectFunctionCall1(int8_numeric, Int64GetDatum(power));

		if (DatumGetBool(DirectFunctionCall2(numeric_eq, value, num)))
			return power;
	}
	return 0;
}

/* freshet.int8_ratio(x bigint, divisor numeric): (x / divisor)::float8 */
Datum
freshet_int8_ratio(PG_FUNCTION_ARGS)
{
	int64		x = PG_GETARG_INT64(0);
	RatioCache *cache = fcinfo->flinfo->fn_extra;
	Datum		quotient;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(RatioCache));
		if (get_fn_expr_arg_stable(fcinfo->flinfo, 1))
			cache->power = (float8) power_of_ten(PG_GETARG_DATUM(1));
		fcinfo->flinfo->fn_extra = cache;
	}

	/* An integer zero has no sign: 0 / 10^k is +0 either way. */
	if (x >= -MAX_EXACT_INT && x <= MAX_EXACT_INT && cache->power != 0)
		PG_RETURN_FLOAT8((float8) x / cache->power);

	quotient = DirectFunctionCall2(numeric_div,
								   DirectFunctionCall1(int8_numeric, Int64GetDatum(x)),
								   PG_GETARG_DATUM(1));
	PG_RETURN_DATUM(DirectFunctionCall1(numeric_float8, quotient));
}

/* freshet.int8_ratio's OID, or InvalidOid if the schema does not have it. */
static Oid
ratio_function(void)
{
	Oid			argtypes[2] = {INT8OID, NUMERICOID};
	Oid			nspid = get_namespace_oid(FRESHET_SCHEMA, true);

	if (!OidIsValid(nspid))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum("int8_ratio"),
						   PointerGetDatum(buildoidvector(argtypes, 2)),
						   ObjectIdGetDatum(nspid));
}

static bool
is_power_of_ten(Node *node)
{
	Const	   *con = (Const *) node;

	return node != NULL && IsA(con, Const) && !con->constisnull &&
		con->consttype == NUMERICOID && power_of_ten(con->constvalue) != 0;
}

/* The integer under an integer -> numeric cast, as int8; else NULL. */
static Expr *
integer_under_cast(Node *node)
{
	FuncExpr   *cast = (FuncExpr *) node;
	Expr	   *arg;
	Oid			widen;

	if (node == NULL || !IsA(node, FuncExpr) || list_length(cast->args) != 1)
		return NULL;
	arg = (Expr *) linitial(cast->args);
	switch (cast->funcid)
	{
		case F_NUMERIC_INT8:
			return arg;
		case F_NUMERIC_INT4:
			widen = F_INT8_INT4;
			break;
		case F_NUMERIC_INT2:
			widen = F_INT8_INT2;
			break;
		default:
			return NULL;
	}
	return (Expr *) makeFuncExpr(widen, INT8OID, list_make1(arg), InvalidOid, InvalidOid,
								 COERCE_IMPLICIT_CAST);
}

static Node *
ratio_mutator(Node *node, void *context)
{
	Oid			ratio = *(Oid *) context;

	if (node == NULL)
		return NULL;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_FLOAT8_NUMERIC)
	{
		OpExpr	   *division = (OpExpr *) linitial(((FuncExpr *) node)->args);

		if (IsA(division, OpExpr) && division->opfuncid == F_NUMERIC_DIV)
		{
			Expr	   *dividend = integer_under_cast(linitial(division->args));
			Node	   *divisor = lsecond(division->args);

			if (dividend != NULL && is_power_of_ten(divisor))
			{
				dividend = (Expr *) ratio_mutator((Node *) dividend, context);
				return (Node *) makeFuncExpr(ratio, FLOAT8OID, list_make2(dividend, divisor),
											 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
			}
		}
	}
	return expression_tree_mutator(node, ratio_mutator, context);
}

Node *
ratio_rewrite(Node *expr)
{
	Oid			ratio = ratio_function();

	if (!OidIsValid(ratio))
		return expr;
	return ratio_mutator(expr, &ratio);
}
