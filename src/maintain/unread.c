/*-------------------------------------------------------------------------
 *
 * unread.c
 *		Does a sink read any column that an update changed?
 *
 * A change that no sink reads shall cost nothing: a stock that is counted
 * down leaves alone the documents that show the product's name.  What counts
 * are values, byte by byte, not what the UPDATE named; so a column that is set
 * to what it was is no change either.
 *
 * Equal bytes make equal results, since what a definition may call depends on
 * nothing else; bytes that differ are a change, though the type may call the
 * values equal (1.0 and 1.00).
 *
 * Several sinks read the same rows: a column is compared once for all.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/datum.h"

#include "unread.h"

enum
{
	NOT_COMPARED,
	IS_SAME,
	DIFFERS
};

/* A virtual generated column is not stored: what it is made of may be anything. */
static bool
is_virtual(Form_pg_attribute att)
{
	return att->attgenerated == 'v';
}

Bitmapset *
unread_columns(const SinkPlan *plan, int occurrence, TupleDesc desc)
{
	const SourceUse *use = plan_source_of(plan, occurrence);
	Bitmapset  *result = bms_union(use->used_attrs, use->identity_attrs);
	int			attno = -1;

	while ((attno = bms_next_member(result, attno)) >= 0)
	{
		if (attno > desc->natts || (attno > 0 && is_virtual(TupleDescAttr(desc, attno - 1))))
			return bms_add_member(result, 0);
	}
	return result;
}

UpdateColumns *
unread_create(TupleDesc desc)
{
	UpdateColumns *columns = palloc0(sizeof(UpdateColumns));

	columns->desc = desc;
	columns->compared = palloc0(Max(desc->natts, 1));
	return columns;
}

void
unread_begin(UpdateColumns *columns, TupleTableSlot *old, TupleTableSlot *new)
{
	memset(columns->compared, NOT_COMPARED, columns->desc->natts);
	columns->old = old;
	columns->new = new;
}

static bool
column_is_same(UpdateColumns *columns, int i)
{
	Form_pg_attribute att = TupleDescAttr(columns->desc, i);
	bool		old_null;
	bool		new_null;
	Datum		old;
	Datum		new;

	if (columns->compared[i] != NOT_COMPARED)
		return columns->compared[i] == IS_SAME;

	old = slot_getattr(columns->old, i + 1, &old_null);
	new = slot_getattr(columns->new, i + 1, &new_null);
	if (att->attisdropped || (old_null && new_null) ||
		(!old_null && !new_null && datum_image_eq(old, new, att->attbyval, att->attlen)))
		columns->compared[i] = IS_SAME;
	else
		columns->compared[i] = DIFFERS;
	return columns->compared[i] == IS_SAME;
}

bool
unread_is_same(UpdateColumns *columns, const Bitmapset *read)
{
	int			attno = -1;

	if (bms_is_member(0, read))
	{
		for (int i = 0; i < columns->desc->natts; i++)
		{
			if (!column_is_same(columns, i))
				return false;
		}
		return true;
	}
	while ((attno = bms_next_member(read, attno)) >= 0)
	{
		if (!column_is_same(columns, attno - 1))
			return false;
	}
	return true;
}
