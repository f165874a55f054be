/*-------------------------------------------------------------------------
 *
 * exact_sum.c
 *		Exact sums of double precision numbers.
 *
 * Adding is Shewchuk's GROW-EXPANSION with zero elimination.  It keeps the
 * components nonoverlapping and increasing in magnitude, but it can split one
 * component into two, again and again, so that a sum might get hundreds of
 * short ones.  When there is no room for another, the expansion is therefore
 * compressed first, which merges what fits into one double, and only then
 * given more room, up to EXACT_SUM_MAX.
 *
 * Most sums of business data need one or two components and never leave the
 * inline part of exact_sum_add().
 *
 * The caller provides the memory context: components beyond the inline ones
 * live in the context current when the sum first needs them (repalloc keeps
 * them there), and go with it or with exact_sum_free().  Nothing here locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/float.h"

#include "exact_sum.h"

/* Enough to skip two reallocations once a sum is not an ordinary one. */
#define EXACT_SUM_FIRST_HEAP	8

static double add_up(const double *c, int n, int *sign_of_rest);

void
exact_sum_init(ExactSum *sum)
{
	sum->n = 0;
	sum->capacity = EXACT_SUM_INLINE;
}

const double *
exact_sum_components(const ExactSum *sum)
{
	return sum->capacity == EXACT_SUM_INLINE ? sum->u.local : sum->u.heap;
}

/* Make room for "capacity" components, of which there are more than fit. */
static void
enlarge(ExactSum *sum, int capacity)
{
	double	   *c;

	if (sum->capacity == EXACT_SUM_INLINE)
	{
		c = (double *) palloc(capacity * sizeof(double));
		memcpy(c, sum->u.local, sum->n * sizeof(double));
	}
	else
		c = (double *) repalloc(sum->u.heap, capacity * sizeof(double));
	sum->u.heap = c;
	sum->capacity = capacity;
}

/*
 * Shewchuk's COMPRESS: the fewest components that can be had cheaply, each
 * of them more than 53 bits below the next.
 *
 * The first pass gathers from the largest down into the upper part of the
 * array, the second packs from the smallest of those up.  Both may use the
 * short two-sum, as the first operand is never the smaller one.
 */
static void
compress(ExactSum *sum)
{
	double	   *c = exact_sum_array(sum);
	int			bottom = sum->n - 1;
	int			top = 0;
	double		q;

	if (sum->n < 2)
		return;

	q = c[bottom];
	for (int i = sum->n - 2; i >= 0; i--)
	{
		double		s = q + c[i];
		double		err = c[i] - (s - q);

		if (unlikely(isinf(s)))
			float_overflow_error();
		if (err != 0.0)
		{
			c[bottom--] = s;
			q = err;
		}
		else
			q = s;
	}
	c[bottom] = q;

	for (int i = bottom + 1; i < sum->n; i++)
	{
		double		s = c[i] + q;
		double		err = q - (s - c[i]);

		if (unlikely(isinf(s)))
			float_overflow_error();
		if (err != 0.0)
			c[top++] = err;
		q = s;
	}
	c[top++] = q;
	sum->n = top;
}

static void
make_room(ExactSum *sum)
{
	if (sum->n < sum->capacity)
		return;
	compress(sum);
	if (sum->n < sum->capacity)
		return;
	if (sum->capacity >= EXACT_SUM_MAX)
		elog(ERROR, "exact sum has too many components");
	enlarge(sum, Min(EXACT_SUM_MAX, Max(EXACT_SUM_FIRST_HEAP, sum->capacity * 2)));
}

/*
 * two-sum close to the limits of the format.  Knuth's can produce infinities
 * on the way to a finite sum if its first operand is the largest double;
 * T. J. Dekker's, with operands ordered by magnitude, cannot.
 */
static void
careful_two_sum(double a, double b, double *s, double *err)
{
	double		sum = a + b;

	if (unlikely(isinf(sum) || isnan(sum)))
		float_overflow_error();
	if (fabs(a) >= fabs(b))
		*err = b - (sum - a);
	else
		*err = a - (sum - b);
	*s = sum;
}

/* GROW-EXPANSION.  The numbers are so small that they cannot overflow. */
static void
grow(ExactSum *sum, double x)
{
	double	   *c;
	double		err;
	int			n = 0;

	make_room(sum);
	c = exact_sum_array(sum);

	/* what is written at n has been read: n never overtakes i */
	for (int i = 0; i < sum->n; i++)
	{
		exact_two_sum(x, c[i], &x, &err);
		if (err != 0.0)
			c[n++] = err;
	}
	if (x != 0.0)
		c[n++] = x;
	sum->n = n;
}

/* The same for any numbers. */
static void
grow_carefully(ExactSum *sum, double x)
{
	double	   *c;
	double		err;
	int			n = 0;

	make_room(sum);
	c = exact_sum_array(sum);
	for (int i = 0; i < sum->n; i++)
	{
		careful_two_sum(x, c[i], &x, &err);
		if (err != 0.0)
			c[n++] = err;
	}
	if (x != 0.0)
		c[n++] = x;
	sum->n = n;
}

void
exact_sum_add_slow(ExactSum *sum, double x)
{
	const double *c = exact_sum_components(sum);

	if (unlikely(isinf(x) || isnan(x)))
		float_overflow_error();
	if (fabs(x) >= EXACT_SUM_SAFE)
	{
		/*
		 * A huge number goes in by halves (exactly so).  Added to the small
		 * components first, the whole could overflow before it meets the
		 * large one that would hold it back.
		 */
		grow_carefully(sum, x / 2);
		grow_carefully(sum, x / 2);
	}
	else if (sum->n > 0 && fabs(c[sum->n - 1]) >= EXACT_SUM_SAFE)
		grow_carefully(sum, x);
	else
		grow(sum, x);
}

/*
 * The correctly rounded sum of components.  *sign_of_rest tells on which side
 * of the returned value the exact sum is: -1, 0 (it is exact), +1.
 */
static double
add_up(const double *c, int n, int *sign_of_rest)
{
	double		hi,
				lo = 0.0;

	*sign_of_rest = 0;
	if (n == 0)
		return 0.0;

	/* from the largest down, as long as that is exact */
	hi = c[--n];
	while (n > 0)
	{
		double		s = hi + c[n - 1];

		if (unlikely(isinf(s)))
			float_overflow_error();
		lo = c[n - 1] - (s - hi);
		hi = s;
		n--;
		if (lo != 0.0)
			break;
	}
	if (lo == 0.0)
		return hi;

	/*
	 * hi is the exact sum so far, rounded.  The components that are left are
	 * smaller than the lowest bit of lo, so they matter only if lo is exactly
	 * half of the distance to the next double.  Rounding then went to the
	 * even neighbour; if the rest points the same way as lo, the other one is
	 * nearer.  Only if lo is exactly half can hi + 2 * lo be exact.
	 */
	if (n > 0 && (lo < 0.0) == (c[n - 1] < 0.0))
	{
		double		twice = lo * 2.0;
		double		next = hi + twice;

		if (next - hi == twice)
		{
			if (unlikely(isinf(next)))
				float_overflow_error();
			hi = next;
			lo = -lo;
		}
	}
	*sign_of_rest = lo < 0.0 ? -1 : 1;
	return hi;
}

double
exact_sum_value(const ExactSum *sum)
{
	int			ignored;

	return add_up(exact_sum_components(sum), sum->n, &ignored);
}

/*
 * Rounding to double and then to float can be wrong by the double rounding.
 * It is right if the first rounding is to odd (an inexact result gets an odd
 * last bit), because a double has more than two bits beyond those of a float.
 */
float
exact_sum_value_float4(const ExactSum *sum)
{
	int			rest;
	double		value = add_up(exact_sum_components(sum), sum->n, &rest);
	float		result;

	if (rest != 0)
	{
		uint64		bits;

		memcpy(&bits, &value, sizeof(bits));
		if ((bits & 1) == 0)
			value = nextafter(value, rest < 0 ? -get_float8_infinity() : get_float8_infinity());
	}
	result = (float) value;
	if (unlikely(isinf(result)))
		float_overflow_error();
	return result;
}

void
exact_sum_normalize(ExactSum *sum)
{
	double		rest[EXACT_SUM_MAX];
	ExactSum	left;
	int			n = EXACT_SUM_MAX;

	if (sum->n < 2)
		return;

	exact_sum_copy(&left, sum);
	while (left.n > 0)
	{
		double		value = exact_sum_value(&left);

		Assert(n > 0);
		rest[--n] = value;
		exact_sum_add(&left, -value);
	}
	exact_sum_free(&left);
	exact_sum_free(sum);
	exact_sum_restore(sum, rest + n, EXACT_SUM_MAX - n);
}

void
exact_sum_restore(ExactSum *sum, const double *components, int n)
{
	if (n > EXACT_SUM_MAX || n < 0)
		elog(ERROR, "invalid number of components of an exact sum: %d", n);
	exact_sum_init(sum);
	if (n > EXACT_SUM_INLINE)
		enlarge(sum, Max(EXACT_SUM_FIRST_HEAP, n));
	memcpy(exact_sum_array(sum), components, n * sizeof(double));
	sum->n = n;
}

void
exact_sum_copy(ExactSum *to, const ExactSum *from)
{
	exact_sum_restore(to, exact_sum_components(from), from->n);
}

void
exact_sum_free(ExactSum *sum)
{
	if (sum->capacity != EXACT_SUM_INLINE)
		pfree(sum->u.heap);
	exact_sum_init(sum);
}

bool
exact_sum_is_valid(const double *components, int n)
{
	double		below = 0.0;

	if (n < 0 || n > EXACT_SUM_MAX)
		return false;
	for (int i = 0; i < n; i++)
	{
		double		magnitude = fabs(components[i]);

		if (isinf(magnitude) || !(magnitude > below))
			return false;
		below = magnitude;
	}
	return true;
}
