/*-------------------------------------------------------------------------
 *
 * stream_row.c
 *		Rows of changes, taken apart and written as JSON objects.
 *
 * A value that an UPDATE did not change and that is stored out of line comes
 * as a pointer into the table's TOAST relation.  It must not be followed: the
 * value may be gone.  The old row has it if the replica identity is full, and
 * else it is "unchanged".
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "utils/memutils.h"

#include "stream.h"

static void
make_room_for_row(StreamRow *row, int natts, MemoryContext context)
{
	MemoryContext oldcontext;

	if (row->allocated >= natts)
		return;

	oldcontext = MemoryContextSwitchTo(context);
	row->allocated = 0;
	row->values = palloc(natts * sizeof(Datum));
	row->nulls = palloc(natts * sizeof(bool));
	row->unchanged = palloc(natts * sizeof(bool));
	row->allocated = natts;
	MemoryContextSwitchTo(oldcontext);
}

void
stream_take_apart(StreamRow *row, StreamRelation *relation, TupleDesc desc, HeapTuple tuple,
				  MemoryContext context)
{
	make_room_for_row(row, desc->natts, context);
	heap_deform_tuple(tuple, desc, row->values, row->nulls);
	row->any_unchanged = false;
	for (int i = 0; i < relation->ncolumns; i++)
	{
		StreamColumn *column = &relation->columns[i];
		bool		unchanged = column->varlena && !row->nulls[column->index] &&
			VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(row->values[column->index]));

		row->unchanged[column->index] = unchanged;
		row->any_unchanged |= unchanged;
	}
}

void
stream_fill_unchanged(StreamRow *new, const StreamRow *old, StreamRelation *relation)
{
	bool		any = false;

	for (int i = 0; i < relation->ncolumns; i++)
	{
		int			index = relation->columns[i].index;

		if (!new->unchanged[index])
			continue;
		if (old != NULL && (relation->identity_full || relation->columns[i].identity) &&
			!old->nulls[index] && !old->unchanged[index])
		{
			new->values[index] = old->values[index];
			new->unchanged[index] = false;
		}
		else
			any = true;
	}
	new->any_unchanged = any;
}

static inline void
put_value(StringInfo out, const StreamColumn *column, const StreamRow *row)
{
	Datum		value = row->values[column->index];

	json_put(out, column->label, column->label_len);
	if (row->nulls[column->index])
		json_put_literal(out, "null");
	else
	{
		/* what has been reassembled from the log is behind a pointer */
		if (column->varlena && unlikely(VARATT_IS_EXTERNAL(DatumGetPointer(value))))
			value = PointerGetDatum(detoast_attr((struct varlena *) DatumGetPointer(value)));
		column->type->write(out, value, column->type);
	}
}

/*
 * A row as an object: all of it, or, of an old row, the columns of the replica
 * identity.  Unchanged values are left out, or a placeholder is put.
 */
void
stream_put_row(StringInfo out, const StreamRelation *relation, const StreamRow *row, bool old,
			   const char *placeholder)
{
	char		separator = '{';

	for (int i = 0; i < relation->ncolumns; i++)
	{
		const StreamColumn *column = &relation->columns[i];

		if (old && !relation->identity_full && !column->identity)
			continue;
		if (unlikely(row->any_unchanged && row->unchanged[column->index]))
		{
			if (placeholder == NULL)
				continue;
			json_put_char(out, separator);
			json_put(out, column->label, column->label_len);
			json_put_cstring(out, placeholder);
		}
		else
		{
			json_put_char(out, separator);
			put_value(out, column, row);
		}
		separator = ',';
	}
	if (separator == '{')
		json_put_char(out, '{');
	json_put_char(out, '}');
}

void
stream_put_key(StringInfo out, const StreamRelation *relation, const StreamRow *row)
{
	json_put_char(out, '{');
	for (int i = 0; i < relation->nkeys; i++)
	{
		if (i > 0)
			json_put_char(out, ',');
		put_value(out, &relation->columns[relation->keys[i]], row);
	}
	json_put_char(out, '}');
}

/* Does an old row have all columns of the key? */
bool
stream_key_complete(const StreamRelation *relation, const StreamRow *row)
{
	if (relation->nkeys == 0)
		return false;
	for (int i = 0; i < relation->nkeys; i++)
	{
		const StreamColumn *column = &relation->columns[relation->keys[i]];

		if (row->unchanged[column->index] || (!relation->identity_full && !column->identity))
			return false;
	}
	return true;
}
