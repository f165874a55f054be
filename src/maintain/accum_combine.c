/*-------------------------------------------------------------------------
 *
 * accum_combine.c
 *		Add the inputs of one accumulator to another.
 *
 * The result is the state that one accumulator would have had from the inputs
 * of both, in whatever order and division they came: sums are exact, counts
 * are added.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"

#include "accum.h"

static void
combine_specials(AccumSpecials **to, const AccumSpecials *from)
{
	if (from == NULL)
		return;
	if (*to == NULL)
		*to = (AccumSpecials *) palloc0(sizeof(AccumSpecials));
	(*to)->nan += from->nan;
	(*to)->pinf += from->pinf;
	(*to)->ninf += from->ninf;
	(*to)->nzero += from->nzero;
}

static void
combine_numeric(Accum *to, const Accum *from)
{
	const AccumScales *scales = from->u.num.scales;

	for (int i = 0; scales != NULL && i < scales->n; i++)
		accum_count_scale(&to->u.num.scales, scales->items[i].scale, scales->items[i].count);
	combine_specials(&to->u.num.specials, from->u.num.specials);

	if (from->u.num.sum == NULL)
		return;
	if (to->u.num.sum == NULL)
		to->u.num.sum = DatumGetNumeric(datumCopy(NumericGetDatum(from->u.num.sum), false, -1));
	else
	{
		Numeric		old = to->u.num.sum;

		to->u.num.sum = DatumGetNumeric(DirectFunctionCall2(numeric_add, NumericGetDatum(old),
															NumericGetDatum(from->u.num.sum)));
		pfree(old);
	}
}

static void
combine_float(Accum *to, const Accum *from)
{
	const double *components = exact_sum_components(&from->u.f.sum);

	for (int i = 0; i < from->u.f.sum.n; i++)
		exact_sum_add(&to->u.f.sum, components[i]);
	combine_specials(&to->u.f.specials, from->u.f.specials);
}

static void
combine_extreme(const AccumDesc *desc, Accum *to, const Accum *from)
{
	if (from->u.ext.stale)
		elog(ERROR, "extreme value of a group is not known");
	accum_fold(desc, to, from->u.ext.value, !from->u.ext.valid, 1);
}

void
accum_combine(const AccumDesc *desc, Accum *to, const Accum *from)
{
	if (accum_is_extreme(desc))
	{
		combine_extreme(desc, to, from);
		return;
	}

	to->n += from->n;
	switch (desc->kind)
	{
		case AGG_SUM_INT:
		case AGG_SUM_INT8:
		case AGG_AVG_INT:
		case AGG_SUM_MONEY:
			to->u.isum += from->u.isum;
			break;

		case AGG_SUM_FLOAT4:
		case AGG_SUM_FLOAT8:
		case AGG_AVG_FLOAT:
			combine_float(to, from);
			break;

		case AGG_SUM_NUMERIC:
		case AGG_AVG_NUMERIC:
			combine_numeric(to, from);
			break;

		case AGG_SUM_INTERVAL:
		case AGG_AVG_INTERVAL:
			to->u.ival.month += from->u.ival.month;
			to->u.ival.day += from->u.ival.day;
			to->u.ival.time += from->u.ival.time;
			combine_specials(&to->u.ival.specials, from->u.ival.specials);
			break;

		default:
			break;
	}
}
