/*-------------------------------------------------------------------------
 *
 * accum.c
 *		Accumulators: aggregates from which rows can be retracted.
 *
 * Every kind keeps a state that depends only on the multiset of its inputs,
 * never on the order of adding and retracting, so that a sink maintained for
 * years has the value that the query has when it is run afresh:
 *
 *	integers	the sum in 128 bits
 *	float		the exact sum (exact_sum.h); a result is rounded once.  Where
 *				PostgreSQL's own sum depends on the order of its inputs, this
 *				is the value that the best order could give.
 *	numeric		the exact sum, and how many inputs have which display scale,
 *				because the scale of a result is the largest among the inputs
 *				that are still there
 *	interval	the sums of months, days and microseconds
 *	min, max	the extreme alone, which cannot be known once it is retracted;
 *				see "extremes" below
 *
 * NaN and infinities are counted apart and decide the result as they do in
 * PostgreSQL.  Counts may become negative for a while, when a change is seen
 * before the one that it undoes: nothing here relies on their sign.
 *
 * Lifetime: an accumulator allocates in the memory context that is current in
 * the call, and frees what it replaces, so that folding any number of rows
 * into one group needs no more memory than one row does.  After an error an
 * accumulator is of no use; its context is to be reset.  A result is made
 * in the current context, except that of min and max, which is the
 * accumulator's own and must be copied to outlive the next call.
 *
 * How accumulators are stored is in accum_state.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"
#include "utils/cash.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "accum.h"
#include "base/freshet.h"

#define SCALES_SIZE(capacity) \
	(offsetof(AccumScales, items) + (capacity) * sizeof(AccumScaleCount))

/* What the special inputs make of a sum. */
typedef enum SpecialResult
{
	RESULT_FINITE,
	RESULT_NAN,
	RESULT_PINF,
	RESULT_NINF
} SpecialResult;

/*
 * Prepare to run an aggregate.  What comparisons need is allocated in the
 * current memory context, which must outlive desc.
 */
void
accum_prepare(AccumDesc *desc, const AggSpec *spec)
{
	memset(desc, 0, sizeof(AccumDesc));
	desc->kind = spec->kind;
	desc->argtype = spec->argtype;
	if (OidIsValid(spec->argtype))
		get_typlenbyval(spec->argtype, &desc->typlen, &desc->typbyval);

	/* ">" gives a descending order: the extreme always sorts first. */
	if (accum_is_extreme(desc))
	{
		desc->ssup.ssup_cxt = CurrentMemoryContext;
		desc->ssup.ssup_collation = spec->collation;
		PrepareSortSupportFromOrderingOp(spec->sortop, &desc->ssup);
	}
}

void
accum_init(const AccumDesc *desc, Accum *acc)
{
	memset(acc, 0, sizeof(Accum));
	if (accum_is_float(desc))
		exact_sum_init(&acc->u.f.sum);
}

/* ----------
 * Special inputs
 * ----------
 */

/* The counts, made if need be. */
static AccumSpecials *
specials_of(AccumSpecials **specials)
{
	if (*specials == NULL)
		*specials = (AccumSpecials *) palloc0(sizeof(AccumSpecials));
	return *specials;
}

static SpecialResult
special_result(const AccumSpecials *specials)
{
	if (specials == NULL)
		return RESULT_FINITE;
	if (specials->nan > 0 || (specials->pinf > 0 && specials->ninf > 0))
		return RESULT_NAN;
	if (specials->pinf > 0)
		return RESULT_PINF;
	if (specials->ninf > 0)
		return RESULT_NINF;
	return RESULT_FINITE;
}

/* ----------
 * float4, float8
 * ----------
 */

static void
fold_float(Accum *acc, double x, int sign)
{
	acc->n += sign;
	if (isnan(x))
		specials_of(&acc->u.f.specials)->nan += sign;
	else if (isinf(x))
	{
		if (x > 0)
			specials_of(&acc->u.f.specials)->pinf += sign;
		else
			specials_of(&acc->u.f.specials)->ninf += sign;
	}
	else if (x != 0.0)
		exact_sum_add(&acc->u.f.sum, sign < 0 ? -x : x);
	else if (signbit(x))
		specials_of(&acc->u.f.specials)->nzero += sign;
}

static Datum
float_result(const AccumDesc *desc, const Accum *acc)
{
	const AccumSpecials *specials = acc->u.f.specials;
	double		result = 0.0;

	switch (special_result(specials))
	{
		case RESULT_NAN:
			result = get_float8_nan();
			break;
		case RESULT_PINF:
			result = get_float8_infinity();
			break;
		case RESULT_NINF:
			result = -get_float8_infinity();
			break;
		case RESULT_FINITE:
			if (desc->kind == AGG_AVG_FLOAT)
				result = exact_sum_value(&acc->u.f.sum) / (double) acc->n;
			else if (specials != NULL && specials->nzero == acc->n)
				result = -0.0;
			else if (desc->kind == AGG_SUM_FLOAT4)
				return Float4GetDatum(exact_sum_value_float4(&acc->u.f.sum));
			else
				result = exact_sum_value(&acc->u.f.sum);
			break;
	}
	if (desc->kind == AGG_SUM_FLOAT4)
		return Float4GetDatum((float4) result);
	return Float8GetDatum(result);
}

/* ----------
 * numeric
 * ----------
 */

/* Count inputs of this display scale. */
void
accum_count_scale(AccumScales **scales, int scale, int64 delta)
{
	AccumScales *s = *scales;
	int			lo = 0;
	int			hi;

	if (s == NULL)
	{
		s = *scales = (AccumScales *) palloc(SCALES_SIZE(2));
		s->n = 0;
		s->capacity = 2;
	}

	hi = s->n;
	while (lo < hi)
	{
		int			mid = (lo + hi) / 2;

		if (s->items[mid].scale < scale)
			lo = mid + 1;
		else
			hi = mid;
	}

	if (lo < s->n && s->items[lo].scale == scale)
	{
		s->items[lo].count += delta;
		if (s->items[lo].count == 0)
		{
			s->n--;
			memmove(&s->items[lo], &s->items[lo + 1], (s->n - lo) * sizeof(AccumScaleCount));
		}
		return;
	}

	if (s->n == s->capacity)
	{
		s->capacity *= 2;
		s = *scales = (AccumScales *) repalloc(s, SCALES_SIZE(s->capacity));
	}
	memmove(&s->items[lo + 1], &s->items[lo], (s->n - lo) * sizeof(AccumScaleCount));
	s->items[lo].scale = scale;
	s->items[lo].count = delta;
	s->n++;
}

static int
max_scale(const AccumScales *scales)
{
	for (int i = scales == NULL ? 0 : scales->n; i > 0; i--)
	{
		if (scales->items[i - 1].count > 0)
			return scales->items[i - 1].scale;
	}
	return 0;
}

static void
fold_numeric_special(Accum *acc, Numeric x, int sign)
{
	AccumSpecials *specials = specials_of(&acc->u.num.specials);

	if (numeric_is_nan(x))
		specials->nan += sign;
	else
	{
		Datum		zero = NumericGetDatum(int64_to_numeric(0));

		if (DatumGetBool(DirectFunctionCall2(numeric_gt, NumericGetDatum(x), zero)))
			specials->pinf += sign;
		else
			specials->ninf += sign;
		pfree(DatumGetPointer(zero));
	}
}

/*
 * The kept sum overflows where PostgreSQL's would not if a sum passes 10^131072
 * on the way to a smaller one; that is not worth a type of our own.
 */
static void
fold_numeric(Accum *acc, Datum value, int sign)
{
	/*
	 * Expand the value here: a numeric in a tuple usually has a short header,
	 * and functions called directly do not free the copy that they make.
	 */
	Numeric		x = DatumGetNumeric(value);
	Numeric		old = acc->u.num.sum;

	acc->n += sign;
	if (numeric_is_nan(x) || numeric_is_inf(x))
		fold_numeric_special(acc, x, sign);
	else
	{
		Datum		xd = NumericGetDatum(x);
		Datum		sum;

		accum_count_scale(&acc->u.num.scales,
						  DatumGetInt32(DirectFunctionCall1(numeric_scale, xd)), sign);
		if (old != NULL)
			sum = DirectFunctionCall2(sign < 0 ? numeric_sub : numeric_add,
									  NumericGetDatum(old), xd);
		else if (sign < 0)
			sum = DirectFunctionCall1(numeric_uminus, xd);
		else
			sum = datumCopy(xd, false, -1);
		acc->u.num.sum = DatumGetNumeric(sum);
		if (old != NULL)
			pfree(old);
	}

	if ((Pointer) x != DatumGetPointer(value))
		pfree(x);
}

static Datum
numeric_constant(const char *text)
{
	return DirectFunctionCall3(numeric_in, CStringGetDatum(text),
							   ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1));
}

/*
 * The sum as PostgreSQL would show it: with the largest scale among the inputs
 * that are left.  The kept sum may have had wider ones.
 */
static Datum
numeric_result(const AccumDesc *desc, const Accum *acc)
{
	Datum		sum;

	switch (special_result(acc->u.num.specials))
	{
		case RESULT_NAN:
			return numeric_constant("NaN");
		case RESULT_PINF:
			return numeric_constant("Infinity");
		case RESULT_NINF:
			return numeric_constant("-Infinity");
		case RESULT_FINITE:
			break;
	}

	sum = NumericGetDatum(acc->u.num.sum != NULL ? acc->u.num.sum : int64_to_numeric(0));
	sum = DirectFunctionCall2(numeric_round, sum, Int32GetDatum(max_scale(acc->u.num.scales)));
	if (desc->kind == AGG_SUM_NUMERIC)
		return sum;
	return DirectFunctionCall2(numeric_div, sum, NumericGetDatum(int64_to_numeric(acc->n)));
}

/* ----------
 * Integers
 * ----------
 */

/* An integer argument, by its width. */
static inline int64
integer_argument(const AccumDesc *desc, Datum value)
{
	switch (desc->typlen)
	{
		case sizeof(int16):
			return DatumGetInt16(value);
		case sizeof(int32):
			return DatumGetInt32(value);
		default:
			return DatumGetInt64(value);
	}
}

static Datum
int128_to_numeric(int128 value)
{
	char		text[48];
	char	   *p = text + sizeof(text);
	uint128		rest = value < 0 ? -(uint128) value : (uint128) value;

	if (value >= PG_INT64_MIN && value <= PG_INT64_MAX)
		return NumericGetDatum(int64_to_numeric((int64) value));

	*--p = '\0';
	do
	{
		*--p = '0' + (int) (rest % 10);
		rest /= 10;
	} while (rest != 0);
	if (value < 0)
		*--p = '-';
	return numeric_constant(p);
}

static Datum
integer_result(const AccumDesc *desc, const Accum *acc)
{
	int128		sum = acc->u.isum;
	bool		fits = sum >= PG_INT64_MIN && sum <= PG_INT64_MAX;

	switch (desc->kind)
	{
		case AGG_SUM_INT:
			if (!fits)
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("bigint out of range")));
			return Int64GetDatum((int64) sum);

		case AGG_SUM_MONEY:
			if (!fits)
				ereport(ERROR,
						(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
						 errmsg("money out of range")));
			return CashGetDatum((Cash) (int64) sum);

		case AGG_AVG_INT:
			return DirectFunctionCall2(numeric_div, int128_to_numeric(sum),
									   NumericGetDatum(int64_to_numeric(acc->n)));

		default:
			return int128_to_numeric(sum);
	}
}

/* ----------
 * interval
 * ----------
 */

static void
fold_interval(Accum *acc, const Interval *x, int sign)
{
	acc->n += sign;
#if PG_VERSION_NUM >= 170000
	if (INTERVAL_IS_NOBEGIN(x))
	{
		specials_of(&acc->u.ival.specials)->ninf += sign;
		return;
	}
	if (INTERVAL_IS_NOEND(x))
	{
		specials_of(&acc->u.ival.specials)->pinf += sign;
		return;
	}
#endif
	/* widened first: the most negative value has no negative of its width */
	acc->u.ival.month += (int64) x->month * sign;
	acc->u.ival.day += (int64) x->day * sign;
	acc->u.ival.time += (int128) x->time * sign;
}

static void
interval_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("interval out of range")));
}

static Datum
interval_result(const AccumDesc *desc, const Accum *acc)
{
	Interval   *sum = (Interval *) palloc(sizeof(Interval));

	switch (special_result(acc->u.ival.specials))
	{
		case RESULT_FINITE:
			if (acc->u.ival.month < PG_INT32_MIN || acc->u.ival.month > PG_INT32_MAX ||
				acc->u.ival.day < PG_INT32_MIN || acc->u.ival.day > PG_INT32_MAX ||
				acc->u.ival.time < PG_INT64_MIN || acc->u.ival.time > PG_INT64_MAX)
				interval_out_of_range();
			sum->month = (int32) acc->u.ival.month;
			sum->day = (int32) acc->u.ival.day;
			sum->time = (TimeOffset) acc->u.ival.time;
#if PG_VERSION_NUM >= 170000
			if (INTERVAL_NOT_FINITE(sum))
				interval_out_of_range();
#endif
			break;

		case RESULT_NAN:
			/* an interval cannot say so */
			interval_out_of_range();
			break;
#if PG_VERSION_NUM >= 170000
		case RESULT_PINF:
			INTERVAL_NOEND(sum);
			return IntervalPGetDatum(sum);
		case RESULT_NINF:
			INTERVAL_NOBEGIN(sum);
			return IntervalPGetDatum(sum);
#else
		default:
			interval_out_of_range();
			break;
#endif
	}
	if (desc->kind == AGG_SUM_INTERVAL)
		return IntervalPGetDatum(sum);
	return DirectFunctionCall2(interval_div, IntervalPGetDatum(sum),
							   Float8GetDatum((double) acc->n));
}

/* ----------
 * Extremes
 *
 * Of min and max only the extreme is kept.  When a value equal to it is
 * retracted, what the extreme is now is unknown (there may be duplicates), and
 * the accumulator is stale until the caller recomputes it from the source.
 * The states:
 *
 *	valid			value is the extreme
 *	neither			there is no input
 *	stale, valid	the extreme is unknown, but no input sorts before value,
 *					which was retracted.  So an added one that does not sort
 *					after it is the extreme, and nothing need be recomputed:
 *					the way of an ever growing column that is updated.
 *	stale			nothing is known.  Something was retracted that could not
 *					have been there; so it is when the extreme was recomputed
 *					at a newer snapshot than the changes now being folded in.
 *					Only recomputing helps.
 *
 * The number of inputs is not used: it is unknown when the state is taken
 * from a visible column.
 * ----------
 */

/* Detoast.  What a comparison gets must not be detoasted by it every time. */
static Datum
flat_value(const AccumDesc *desc, Datum value)
{
	if (desc->typlen != -1)
		return value;
	return PointerGetDatum(pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value)));
}

static inline void
free_flat_value(const AccumDesc *desc, Datum flat, Datum value)
{
	if (desc->typlen == -1 && flat != value)
		pfree(DatumGetPointer(flat));
}

/* Replace the value, which may be the source of the new one. */
static void
store_extreme(const AccumDesc *desc, Accum *acc, Datum flat)
{
	Datum		old = acc->u.ext.value;
	bool		had_value = acc->u.ext.valid;

	acc->u.ext.value = datumCopy(flat, desc->typbyval, desc->typlen);
	acc->u.ext.valid = true;
	if (had_value && !desc->typbyval)
		pfree(DatumGetPointer(old));
}

static void
forget_extreme(const AccumDesc *desc, Accum *acc)
{
	if (acc->u.ext.valid && !desc->typbyval)
		pfree(DatumGetPointer(acc->u.ext.value));
	acc->u.ext.value = (Datum) 0;
	acc->u.ext.valid = false;
}

static void
fold_extreme(const AccumDesc *desc, Accum *acc, Datum value, int sign)
{
	Datum		flat;
	int			cmp;

	if (!acc->u.ext.valid)
	{
		if (sign < 0)
			acc->u.ext.stale = true;
		else if (!acc->u.ext.stale)
			accum_set_extreme(desc, acc, value, false);
		return;
	}

	flat = flat_value(desc, value);
	cmp = ApplySortComparator(flat, false, acc->u.ext.value, false,
							  (SortSupport) &desc->ssup);
	if (sign > 0)
	{
		/* of equal values the stale one goes: it may look different */
		if (cmp < 0 || (cmp == 0 && acc->u.ext.stale))
		{
			store_extreme(desc, acc, flat);
			acc->u.ext.stale = false;
		}
	}
	else if (cmp == 0)
		acc->u.ext.stale = true;
	else if (cmp < 0)
	{
		forget_extreme(desc, acc);
		acc->u.ext.stale = true;
	}
	free_flat_value(desc, flat, value);
}

bool
accum_is_stale(const AccumDesc *desc, const Accum *acc)
{
	return accum_is_extreme(desc) && acc->u.ext.stale;
}

void
accum_set_extreme(const AccumDesc *desc, Accum *acc, Datum value, bool isnull)
{
	if (isnull)
		forget_extreme(desc, acc);
	else
	{
		Datum		flat = flat_value(desc, value);

		store_extreme(desc, acc, flat);
		free_flat_value(desc, flat, value);
	}
	acc->u.ext.stale = false;
}

/* ----------
 * Folding and results
 * ----------
 */

void
accum_fold_slow(const AccumDesc *desc, Accum *acc, Datum value, int sign)
{
	switch (desc->kind)
	{
		case AGG_COUNT_STAR:
		case AGG_COUNT:
			acc->n += sign;
			break;

		case AGG_SUM_INT:
		case AGG_SUM_INT8:
		case AGG_AVG_INT:
			{
				int64		x = integer_argument(desc, value);

				acc->n += sign;
				acc->u.isum += sign < 0 ? -(int128) x : (int128) x;
				break;
			}

		case AGG_SUM_MONEY:
			{
				int128		x = DatumGetCash(value);

				acc->n += sign;
				acc->u.isum += sign < 0 ? -x : x;
				break;
			}

		case AGG_SUM_FLOAT8:
			fold_float(acc, DatumGetFloat8(value), sign);
			break;

		case AGG_SUM_FLOAT4:
		case AGG_AVG_FLOAT:
			fold_float(acc, desc->typlen == sizeof(float4) ?
					   (double) DatumGetFloat4(value) : DatumGetFloat8(value), sign);
			break;

		case AGG_SUM_NUMERIC:
		case AGG_AVG_NUMERIC:
			fold_numeric(acc, value, sign);
			break;

		case AGG_SUM_INTERVAL:
		case AGG_AVG_INTERVAL:
			fold_interval(acc, DatumGetIntervalP(value), sign);
			break;

		case AGG_MIN:
		case AGG_MAX:
			fold_extreme(desc, acc, value, sign);
			break;
	}
}

Datum
accum_result(const AccumDesc *desc, const Accum *acc, bool *isnull)
{
	*isnull = false;
	switch (desc->kind)
	{
		case AGG_COUNT_STAR:
		case AGG_COUNT:
			return Int64GetDatum(acc->n);

		case AGG_MIN:
		case AGG_MAX:
			if (acc->u.ext.stale)
				elog(ERROR, "extreme value of a group is not known");
			*isnull = !acc->u.ext.valid;
			return acc->u.ext.value;

		default:
			break;
	}

	/* no other aggregate here has a value without an input */
	if (acc->n <= 0)
	{
		*isnull = true;
		return (Datum) 0;
	}

	switch (desc->kind)
	{
		case AGG_SUM_FLOAT4:
		case AGG_SUM_FLOAT8:
		case AGG_AVG_FLOAT:
			return float_result(desc, acc);

		case AGG_SUM_NUMERIC:
		case AGG_AVG_NUMERIC:
			return numeric_result(desc, acc);

		case AGG_SUM_INTERVAL:
		case AGG_AVG_INTERVAL:
			return interval_result(desc, acc);

		default:
			return integer_result(desc, acc);
	}
}

void
accum_from_visible(const AccumDesc *desc, Accum *acc, Datum value, bool isnull, int64 rows)
{
	accum_init(desc, acc);
	switch (desc->kind)
	{
		case AGG_COUNT_STAR:
		case AGG_COUNT:
			acc->n = isnull ? 0 : DatumGetInt64(value);
			break;

		case AGG_SUM_INT:
			acc->n = rows;
			acc->u.isum = isnull ? 0 : DatumGetInt64(value);
			break;

		case AGG_SUM_MONEY:
			acc->n = rows;
			acc->u.isum = isnull ? 0 : DatumGetCash(value);
			break;

		case AGG_MIN:
		case AGG_MAX:
			accum_set_extreme(desc, acc, value, isnull);
			break;

		default:
			elog(ERROR, "the state of aggregate kind %d is not in its result", (int) desc->kind);
	}
}
