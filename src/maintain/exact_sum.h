/*-------------------------------------------------------------------------
 *
 * exact_sum.h
 *		Exact sums of double precision numbers.
 *
 * A sum is kept as a nonoverlapping expansion of doubles: J. R. Shewchuk,
 * "Adaptive Precision Floating-Point Arithmetic and Fast Robust Geometric
 * Predicates", Discrete & Computational Geometry 18 (1997), GROW-EXPANSION.
 * It is exact, so it does not depend on the order of the inputs, and
 * retracting what was added gives back the sum before, bit for bit.
 *
 * It is exact only where every operation on doubles is rounded once, to
 * nearest, to double: SSE2 or any later hardware, not x87 registers, and
 * never -ffast-math.  PostgreSQL itself refuses to be built with the latter.
 * Contraction to fused multiply-add does no harm: no product here is inexact.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EXACT_SUM_H
#define FRESHET_EXACT_SUM_H

#include "postgres.h"

#include <float.h>
#include <math.h>

#if defined(__FAST_MATH__) || (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD == 2)
#error "freshet needs arithmetic on doubles as IEEE 754 defines it"
#endif

#define EXACT_SUM_INLINE	3

/*
 * No expansion has more components than this.  Doubles span 2098 bits, and
 * compressed components are at least 53 bits apart, so that 41 are enough;
 * the rest is room to compress rarely.
 */
#define EXACT_SUM_MAX		64

/*
 * Below this magnitude (2^1020) a few numbers can be added without a thought
 * of overflow.
 */
#define EXACT_SUM_SAFE		1.1235582092889474e+307

/* The components, smallest magnitude first, none of them zero. */
typedef struct ExactSum
{
	int			n;				/* components in use; 0: the sum is zero */
	int			capacity;		/* EXACT_SUM_INLINE, or size of u.heap */
	union
	{
		double		local[EXACT_SUM_INLINE];
		double	   *heap;
	}			u;
} ExactSum;

extern void exact_sum_init(ExactSum *sum);

/* exact_sum_add() of the cases that its inline part leaves. */
extern void exact_sum_add_slow(ExactSum *sum, double x);

/*
 * The sum, correctly rounded; an error (ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE,
 * as float8 addition raises) if it overflows.  A sum of zero is +0.
 */
extern double exact_sum_value(const ExactSum *sum);

/* The sum, correctly rounded to single precision, in one step. */
extern float exact_sum_value_float4(const ExactSum *sum);

/*
 * Make the components a function of the sum alone, whatever the way in which
 * it came about: each is the correctly rounded value of the sum of itself and
 * all the smaller ones.
 */
extern void exact_sum_normalize(ExactSum *sum);

extern const double *exact_sum_components(const ExactSum *sum);
/* Components must be as exact_sum_components() gave them. */
extern void exact_sum_restore(ExactSum *sum, const double *components, int n);

/* A copy that shares nothing with the original; and an end to a sum. */
extern void exact_sum_copy(ExactSum *to, const ExactSum *from);
extern void exact_sum_free(ExactSum *sum);

/* Could these components have come from exact_sum_components()? */
extern bool exact_sum_is_valid(const double *components, int n);

static inline double *
exact_sum_array(ExactSum *sum)
{
	return sum->capacity == EXACT_SUM_INLINE ? sum->u.local : sum->u.heap;
}

/*
 * D. E. Knuth's two-sum: a + b = *s + *err exactly.  Nothing is assumed of
 * the magnitudes; nothing may overflow.
 */
static inline void
exact_two_sum(double a, double b, double *s, double *err)
{
	double		sum = a + b;
	double		b_virtual = sum - a;
	double		a_virtual = sum - b_virtual;

	*err = (a - a_virtual) + (b - b_virtual);
	*s = sum;
}

/*
 * Add x, which must be finite.  May palloc in the current memory context.
 * An error as exact_sum_value() raises if a partial sum overflows (or is less
 * than one unit in the last place from it); the sum is then of no use any more.
 */
static inline void
exact_sum_add(ExactSum *sum, double x)
{
	double	   *c = exact_sum_array(sum);
	double		lo,
				mid,
				hi;
	int			n = sum->n;

	if (unlikely(n > 2) || unlikely(!(fabs(x) < EXACT_SUM_SAFE)))
	{
		exact_sum_add_slow(sum, x);
		return;
	}
	if (n == 0)
	{
		c[0] = x;
		sum->n = (x != 0.0);
		return;
	}
	if (unlikely(!(fabs(c[n - 1]) < EXACT_SUM_SAFE)))
	{
		exact_sum_add_slow(sum, x);
		return;
	}
	exact_two_sum(x, c[0], &hi, &lo);
	if (n == 1)
	{
		/* hi can be zero only if lo is: then nothing is left */
		if (lo == 0.0)
		{
			c[0] = hi;
			sum->n = (hi != 0.0);
		}
		else
		{
			c[0] = lo;
			c[1] = hi;
			sum->n = 2;
		}
		return;
	}
	exact_two_sum(hi, c[1], &hi, &mid);
	n = 0;
	if (lo != 0.0)
		c[n++] = lo;
	if (mid != 0.0)
		c[n++] = mid;
	if (hi != 0.0)
		c[n++] = hi;
	sum->n = n;
}

#endif							/* FRESHET_EXACT_SUM_H */
