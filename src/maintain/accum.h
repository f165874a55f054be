/*-------------------------------------------------------------------------
 *
 * accum.h
 *		Accumulators: the state of one aggregate of one group, to which rows
 *		are added and from which they are retracted.
 *
 * An Accum lives in the memory context that is current when it is
 * initialized or first grows (the caller keeps one such context per hash
 * table of groups and switches to it before every call).
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ACCUM_H
#define FRESHET_ACCUM_H

#include "lib/stringinfo.h"
#include "utils/numeric.h"
#include "utils/sortsupport.h"

#include "compile/plan.h"
#include "exact_sum.h"

#ifndef HAVE_INT128
#error "freshet needs a compiler with 128-bit integers"
#endif

/*
 * What an accumulator of one AggSpec needs at run time; made once a batch.
 * It must not outlive the memory context that was current when it was
 * prepared, where comparison functions keep what they need.
 */
typedef struct AccumDesc
{
	AggKind		kind;
	Oid			argtype;
	int16		typlen;			/* of the argument's type */
	bool		typbyval;
	SortSupportData ssup;		/* MIN, MAX */
} AccumDesc;

/* Finite numeric inputs of one display scale. */
typedef struct AccumScaleCount
{
	int			scale;
	int64		count;			/* never zero */
} AccumScaleCount;

/* Sorted by scale.  Nearly always of one or two entries. */
typedef struct AccumScales
{
	int			n;
	int			capacity;
	AccumScaleCount items[FLEXIBLE_ARRAY_MEMBER];
} AccumScales;

/*
 * Counts of inputs that no finite sum can hold.  Made when the first one
 * comes, so that a group without any stays small.
 */
typedef struct AccumSpecials
{
	int64		nan;
	int64		pinf;
	int64		ninf;
	int64		nzero;			/* -0.0: the sum of nothing else is -0.0 */
} AccumSpecials;

typedef struct Accum
{
	int64		n;				/* inputs that are not null and pass FILTER;
								 * not kept for MIN and MAX */
	union
	{
		int128		isum;		/* SUM_INT, SUM_INT8, AVG_INT, SUM_MONEY */
		struct
		{
			ExactSum	sum;	/* of the finite inputs */
			AccumSpecials *specials;	/* or NULL */
		}			f;
		struct
		{
			Numeric		sum;	/* of the finite inputs; NULL is zero */
			AccumSpecials *specials;	/* or NULL */
			AccumScales *scales;	/* finite inputs by display scale, or NULL */
		}			num;
		struct
		{
			int128		time;	/* of the finite inputs, field by field: wide */
			int64		month;	/* enough never to overflow on the way */
			int64		day;
			AccumSpecials *specials;	/* or NULL */
		}			ival;
		struct
		{
			Datum		value;	/* owned by the accumulator */
			bool		valid;	/* false: no value (NULL) */
			bool		stale;	/* the extreme was retracted: recompute */
		}			ext;
	}			u;
} Accum;

static inline bool
accum_is_extreme(const AccumDesc *desc)
{
	return desc->kind == AGG_MIN || desc->kind == AGG_MAX;
}

static inline bool
accum_is_float(const AccumDesc *desc)
{
	return desc->kind == AGG_SUM_FLOAT4 || desc->kind == AGG_SUM_FLOAT8 ||
		desc->kind == AGG_AVG_FLOAT;
}

extern void accum_prepare(AccumDesc *desc, const AggSpec *spec);
extern void accum_init(const AccumDesc *desc, Accum *acc);

/* accum_fold() of the kinds that its inline part leaves; value is not null. */
extern void accum_fold_slow(const AccumDesc *desc, Accum *acc, Datum value, int sign);

/* MIN, MAX: must the value be recomputed from the source? */
extern bool accum_is_stale(const AccumDesc *desc, const Accum *acc);
/* MIN, MAX: replace the value, after recomputation. */
extern void accum_set_extreme(const AccumDesc *desc, Accum *acc, Datum value, bool isnull);

/*
 * The aggregate's result, of exactly the type and value PostgreSQL gives.
 * Made in the current memory context, but that of MIN and MAX still belongs to
 * the accumulator.  Must not be asked for while accum_is_stale().
 */
extern Datum accum_result(const AccumDesc *desc, const Accum *acc, bool *isnull);

/*
 * States as bytes: append to buf; read back from buf at its cursor.  The bytes
 * of a sum depend on its inputs alone, not on the order in which they came
 * and what was retracted between.
 */
extern void state_put_int64(StringInfo buf, int64 value);
extern int64 state_get_int64(StringInfo buf);
/* Nothing may be left over. */
extern void state_check_end(StringInfo buf);
extern void state_is_corrupted(void) __attribute__((noreturn));
extern void accum_serialize(const AccumDesc *desc, const Accum *acc, StringInfo buf);
extern void accum_deserialize(const AccumDesc *desc, Accum *acc, StringInfo buf);

/* Add the inputs of "from" to "to"; they share nothing afterwards. */
extern void accum_combine(const AccumDesc *desc, Accum *to, const Accum *from);

/* For accum_state.c and accum_combine.c: count inputs of this display scale. */
extern void accum_count_scale(AccumScales **scales, int scale, int64 delta);

/* Take the state from a visible column (see AggSpec.visible). */
extern void accum_from_visible(const AccumDesc *desc, Accum *acc, Datum value, bool isnull,
							   int64 rows);

/*
 * Add (sign +1) or retract (sign -1) one row.  The caller has applied FILTER.
 * value is ignored for count(*), whose isnull must be false.
 *
 * Inline, because a few nanoseconds here are most of the cost of a change.
 */
static inline void
accum_fold(const AccumDesc *desc, Accum *acc, Datum value, bool isnull, int sign)
{
	if (isnull)
		return;

	switch (desc->kind)
	{
		case AGG_COUNT_STAR:
		case AGG_COUNT:
			acc->n += sign;
			return;

		case AGG_SUM_INT:
			{
				int64		x = desc->typlen == sizeof(int16) ?
					DatumGetInt16(value) : DatumGetInt32(value);

				acc->n += sign;
				acc->u.isum += sign < 0 ? -x : x;
				return;
			}

		case AGG_SUM_FLOAT8:
			{
				double		x = DatumGetFloat8(value);

				/* huge values, infinities, NaN and -0.0 are for the slow part */
				if (likely(fabs(x) < EXACT_SUM_SAFE) &&
					(likely(x != 0.0) || !signbit(x)))
				{
					acc->n += sign;
					exact_sum_add(&acc->u.f.sum, sign < 0 ? -x : x);
					return;
				}
				break;
			}

		default:
			break;
	}
	accum_fold_slow(desc, acc, value, sign);
}

#endif							/* FRESHET_ACCUM_H */
