/*-------------------------------------------------------------------------
 *
 * accum_agg.c
 *		freshet.accum_state(anyelement, integer): an aggregate whose result is
 *		the state of an accumulator, as bytes.
 *
 * With it PostgreSQL's executor fills a rollup, in parallel if it likes.  The
 * second argument is the kind of the accumulator (AggKind), a constant; the
 * kinds that are sums or averages have states that no aggregate of
 * PostgreSQL's yields.
 *
 * Floating-point numbers of ordinary size are added in fixed point, in 128
 * bits, as long as that is exact, and go to the accumulator's exact sum
 * together.  Their order does not matter to either.
 *
 * Anybody may call it, so what it is given is checked.  A transition state
 * lives in the aggregate's context and knows its kind; the functions that
 * take one cannot be called but by the executor.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "accum.h"

PG_FUNCTION_INFO_V1(freshet_accum_step);
PG_FUNCTION_INFO_V1(freshet_accum_combine);
PG_FUNCTION_INFO_V1(freshet_accum_serialize);
PG_FUNCTION_INFO_V1(freshet_accum_deserialize);
PG_FUNCTION_INFO_V1(freshet_accum_final);

typedef struct AccumState
{
	AggKind		kind;
	bool		float8;			/* the inputs are */
	int			nfixed;			/* numbers in "fixed" */
	int128		fixed;			/* their sum, times 2^FIXED_SCALE */
	Accum		accum;			/* of all others; its n is that of all */
} AccumState;

/*
 * A double is 53 bits, shifted.  In fixed point are those whose lowest bit
 * is 2^-64 or more and whose highest is 2^39 or less: 104 bits, so that the
 * sum of 2^23 of them does not overflow.
 */
#define FIXED_SCALE		64
#define FIXED_MAX_SHIFT	51
#define FIXED_MAX_COUNT	(1 << 23)

#define MANTISSA_BITS	52
#define EXPONENT_MASK	0x7FF
#define EXPONENT_BIAS	1075	/* of the lowest bit of the mantissa */

/* Bits of "fixed" that are taken over at a time: so few are exact in a double. */
#define PIECE_BITS		48

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "function of aggregate accum_state called outside of it");
	return context;
}

static AccumState *
make_state(MemoryContext context, AggKind kind)
{
	AccumState *state = MemoryContextAllocZero(context, sizeof(AccumState));
	AccumDesc	desc = {kind};

	state->kind = kind;
	accum_init(&desc, &state->accum);
	return state;
}

/* False if the number is none for fixed point, or there are too many. */
static inline bool
add_fixed(AccumState *state, double x)
{
	uint64		bits;
	uint64		mantissa;
	int			shift;
	int128		value;

	memcpy(&bits, &x, sizeof(bits));
	shift = (int) ((bits >> MANTISSA_BITS) & EXPONENT_MASK) - EXPONENT_BIAS + FIXED_SCALE;
	if (shift < 0 || shift > FIXED_MAX_SHIFT || state->nfixed == FIXED_MAX_COUNT)
		return false;

	mantissa = (bits & ((UINT64CONST(1) << MANTISSA_BITS) - 1)) |
		(UINT64CONST(1) << MANTISSA_BITS);
	value = (int128) mantissa << shift;
	state->fixed += signbit(x) ? -value : value;
	state->nfixed++;
	state->accum.n++;
	return true;
}

/* Move what is in fixed point to the exact sum. */
static void
settle(AccumState *state, MemoryContext context)
{
	bool		negative = state->fixed < 0;
	uint128		rest = negative ? -(uint128) state->fixed : (uint128) state->fixed;
	MemoryContext oldcontext = MemoryContextSwitchTo(context);

	for (int scale = -FIXED_SCALE; rest != 0; scale += PIECE_BITS, rest >>= PIECE_BITS)
	{
		double		piece = (double) (rest & ((UINT64CONST(1) << PIECE_BITS) - 1));

		exact_sum_add(&state->accum.u.f.sum, ldexp(negative ? -piece : piece, scale));
	}
	state->nfixed = 0;
	state->fixed = 0;
	MemoryContextSwitchTo(oldcontext);
}

/* Is it a sum or average of this type? */
static bool
kind_fits(int kind, Oid type)
{
	switch (kind)
	{
		case AGG_SUM_INT:
			return type == INT2OID || type == INT4OID;
		case AGG_SUM_INT8:
			return type == INT8OID;
		case AGG_AVG_INT:
			return type == INT2OID || type == INT4OID || type == INT8OID;
		case AGG_SUM_NUMERIC:
		case AGG_AVG_NUMERIC:
			return type == NUMERICOID;
		case AGG_SUM_FLOAT4:
			return type == FLOAT4OID;
		case AGG_SUM_FLOAT8:
			return type == FLOAT8OID;
		case AGG_AVG_FLOAT:
			return type == FLOAT4OID || type == FLOAT8OID;
		case AGG_SUM_MONEY:
			return type == CASHOID;
		case AGG_SUM_INTERVAL:
		case AGG_AVG_INTERVAL:
			return type == INTERVALOID;
		default:
			return false;
	}
}

static AccumDesc *
make_state_desc(FunctionCallInfo fcinfo)
{
	Oid			type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 1));
	AccumDesc  *desc;

	if (PG_ARGISNULL(2) || !kind_fits(PG_GETARG_INT32(2), type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid kind of accumulator")));
	desc = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(AccumDesc));
	desc->kind = PG_GETARG_INT32(2);
	desc->argtype = type;
	get_typlenbyval(type, &desc->typlen, &desc->typbyval);
	fcinfo->flinfo->fn_extra = desc;
	return desc;
}

/* All that is not done at once. */
static pg_noinline AccumState *
step_slow(FunctionCallInfo fcinfo, AccumState *state)
{
	MemoryContext context = aggregate_context(fcinfo);
	AccumDesc  *desc = fcinfo->flinfo->fn_extra;

	if (desc == NULL)
		desc = make_state_desc(fcinfo);
	if (state == NULL)
	{
		state = make_state(context, desc->kind);
		state->float8 = desc->argtype == FLOAT8OID;
	}
	if (state->kind != desc->kind)
		elog(ERROR, "state of an aggregate is of another kind");
	if (state->nfixed == FIXED_MAX_COUNT)
		settle(state, context);

	if (!PG_ARGISNULL(1))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(context);

		accum_fold(desc, &state->accum, PG_GETARG_DATUM(1), false, 1);
		MemoryContextSwitchTo(oldcontext);
	}
	return state;
}

Datum
freshet_accum_step(PG_FUNCTION_ARGS)
{
	AccumState *state = PG_ARGISNULL(0) ? NULL : (AccumState *) PG_GETARG_POINTER(0);

	if (likely(state != NULL) && state->float8 && !PG_ARGISNULL(1) &&
		add_fixed(state, PG_GETARG_FLOAT8(1)))
		PG_RETURN_POINTER(state);
	PG_RETURN_POINTER(step_slow(fcinfo, state));
}

Datum
freshet_accum_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	MemoryContext oldcontext;
	AccumState *from;
	AccumState *to;
	AccumDesc	desc = {0};

	if (PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}

	from = (AccumState *) PG_GETARG_POINTER(1);
	to = PG_ARGISNULL(0) ? make_state(context, from->kind) :
		(AccumState *) PG_GETARG_POINTER(0);
	desc.kind = from->kind;
	settle(from, context);
	oldcontext = MemoryContextSwitchTo(context);
	accum_combine(&desc, &to->accum, &from->accum);
	MemoryContextSwitchTo(oldcontext);
	PG_RETURN_POINTER(to);
}

static bytea *
state_bytes(FunctionCallInfo fcinfo, bool with_kind)
{
	AccumState *state = (AccumState *) PG_GETARG_POINTER(0);
	AccumDesc	desc = {state->kind};
	StringInfoData buf;

	settle(state, aggregate_context(fcinfo));
	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	if (with_kind)
		appendStringInfoCharMacro(&buf, (char) state->kind);
	accum_serialize(&desc, &state->accum, &buf);
	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
}

/* Between processes: the kind goes with the state. */
Datum
freshet_accum_serialize(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(state_bytes(fcinfo, true));
}

Datum
freshet_accum_deserialize(PG_FUNCTION_ARGS)
{
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	AccumState *state;
	AccumDesc	desc = {0};
	StringInfoData buf;

	(void) aggregate_context(fcinfo);
	memset(&buf, 0, sizeof(buf));
	buf.data = VARDATA_ANY(bytes);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(bytes);
	if (buf.len < 1)
		elog(ERROR, "state of an aggregate is empty");
	desc.kind = (unsigned char) buf.data[buf.cursor++];
	state = make_state(CurrentMemoryContext, desc.kind);
	accum_deserialize(&desc, &state->accum, &buf);
	PG_RETURN_POINTER(state);
}

Datum
freshet_accum_final(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(state_bytes(fcinfo, false));
}
