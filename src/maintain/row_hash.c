/*-------------------------------------------------------------------------
 *
 * row_hash.c
 *		A hash of the images of a row's values.
 *
 * Rows that have no key are told apart by their values as they are stored:
 * types need no equality, and what looks different is different.  The hash
 * finds them, in memory and, as an expression that a sink has an index on, in
 * the sink; who finds a row by it compares the values.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

#include "row_hash.h"

PG_FUNCTION_INFO_V1(freshet_row_hash);

static inline uint64
combine(uint64 hash, Datum value, bool isnull, bool byval, int16 len)
{
	return hash_combine64(hash, isnull ? 0 : (uint64) datum_image_hash(value, byval, len) + 1);
}

uint64
row_hash(TupleDesc desc, int first, int n, const Datum *values, const bool *nulls)
{
	uint64		hash = 0;

	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, first - 1 + i);

		hash = combine(hash, values[i], nulls[i], att->attbyval, att->attlen);
	}
	return hash;
}

bool
row_image_eq(TupleDesc desc, int first, int n, const Datum *values1, const bool *nulls1,
			 const Datum *values2, const bool *nulls2)
{
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, first - 1 + i);

		if (nulls1[i] != nulls2[i] ||
			(!nulls1[i] && !datum_image_eq(values1[i], values2[i], att->attbyval, att->attlen)))
			return false;
	}
	return true;
}

/* Types of the arguments, found once. */
typedef struct ArgumentTypes
{
	bool		byval[FUNC_MAX_ARGS];
	int16		len[FUNC_MAX_ARGS];
} ArgumentTypes;

static ArgumentTypes *
argument_types(FunctionCallInfo fcinfo)
{
	ArgumentTypes *types = fcinfo->flinfo->fn_extra;

	if (types != NULL)
		return types;
	if (get_fn_expr_variadic(fcinfo->flinfo))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("freshet.row_hash() does not take an array of arguments")));
	types = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(ArgumentTypes));
	for (int i = 0; i < PG_NARGS(); i++)
	{
		Oid			typid = get_fn_expr_argtype(fcinfo->flinfo, i);

		if (!OidIsValid(typid))
			elog(ERROR, "could not determine the type of argument %d", i + 1);
		get_typlenbyval(typid, &types->len[i], &types->byval[i]);
	}
	fcinfo->flinfo->fn_extra = types;
	return types;
}

/* row_hash(VARIADIC "any") -> bigint */
Datum
freshet_row_hash(PG_FUNCTION_ARGS)
{
	ArgumentTypes *types = argument_types(fcinfo);
	uint64		hash = 0;

	for (int i = 0; i < PG_NARGS(); i++)
		hash = combine(hash, PG_GETARG_DATUM(i), PG_ARGISNULL(i), types->byval[i], types->len[i]);
	PG_RETURN_INT64((int64) hash);
}
