/*-------------------------------------------------------------------------
 *
 * key_variants.c
 *		Keys that are equal and look different.
 *
 * 1.0 and 1.00 are one group, 'bob' and 'BOB' under a collation that ignores
 * case, -0 and 0, '1 mon' and '30 days'.  PostgreSQL shows, and computes from,
 * the keys of some row of the group; so must the sink, and of a row that is
 * still there.  A group therefore counts its rows by variant: the bytes of all
 * keys that can look different, together, since they must be of one row.
 *
 * The variant shown is the first that was met and is still there, as a query
 * would show it most often; filling a sink anew prefers the one that its row
 * shows.  So the row changes only when it must.  Types whose equal values look
 * the same (KeySpec.variable is false) have none of this.
 *
 * A group of very many variants keeps count of the first MAX_VARIANTS, and of
 * the rest together.  When none of the counted ones is left, it is not known
 * what the others are, and the group is "stale" as one is whose extreme was
 * retracted: the rows of the source are looked at (extreme.c).  So is a group
 * whose counts do not add up, as they may not if it was looked at in a batch
 * that was not aligned, which sees rows that are yet to be folded in.
 *
 * (An uncounted variant may become a counted one when another went, with rows
 * among the rest still.  A retraction takes from the counted ones first: what
 * is counted is there.)
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/lsyscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "accum.h"
#include "key_variants.h"

#define MAX_VARIANTS	64

typedef struct KeyVariant
{
	int64		count;			/* may be zero, until it is stored */
	int			len;
	char	   *image;
} KeyVariant;

struct KeyVariants
{
	int64		others;			/* rows of other variants */
	int			n;
	int			capacity;
	KeyVariant *items;			/* in the order in which they were met */
};

VariantKeys *
variant_keys_create(const SinkPlan *plan)
{
	VariantKeys *keys = palloc0(sizeof(VariantKeys));

	keys->keys = palloc((plan->nkeys + 1) * sizeof(int));
	keys->typlens = palloc((plan->nkeys + 1) * sizeof(int16));
	keys->byval = palloc((plan->nkeys + 1) * sizeof(bool));
	for (int i = 0; i < plan->nkeys; i++)
	{
		if (!plan->keys[i].variable)
			continue;
		keys->keys[keys->n] = i;
		get_typlenbyval(plan->keys[i].type, &keys->typlens[keys->n], &keys->byval[keys->n]);
		keys->n++;
	}
	initStringInfo(&keys->image);
	return keys->n > 0 ? keys : NULL;
}

/*
 * Images: of each key its length, -1 for null, and its bytes.  Those of a
 * varlena are without the header, which has several forms.
 */
static void
make_variant_image(VariantKeys *keys, const Datum *values, const bool *nulls)
{
	resetStringInfo(&keys->image);
	for (int i = 0; i < keys->n; i++)
	{
		Datum		value = values[keys->keys[i]];
		int16		typlen = keys->typlens[i];

		if (nulls[keys->keys[i]])
			state_put_int64(&keys->image, -1);
		else if (keys->byval[i])
		{
			state_put_int64(&keys->image, sizeof(Datum));
			appendBinaryStringInfo(&keys->image, (char *) &value, sizeof(Datum));
		}
		else if (typlen == -1)
		{
			struct varlena *flat = pg_detoast_datum_packed((struct varlena *) DatumGetPointer(value));

			state_put_int64(&keys->image, VARSIZE_ANY_EXHDR(flat));
			appendBinaryStringInfo(&keys->image, VARDATA_ANY(flat), VARSIZE_ANY_EXHDR(flat));
			if ((Pointer) flat != DatumGetPointer(value))
				pfree(flat);
		}
		else
		{
			state_put_int64(&keys->image, typlen);
			appendBinaryStringInfo(&keys->image, DatumGetPointer(value), typlen);
		}
	}
}

/* The bytes of one key in an image; NULL for null. */
static const char *
get_key(StringInfo image, bool byval, int16 typlen, int *len)
{
	int64		n = state_get_int64(image);

	*len = (int) n;
	if (n == -1)
		return NULL;
	if (n < 0 || (byval && n != sizeof(Datum)) || (!byval && typlen > 0 && n != typlen) ||
		n > image->len - image->cursor)
		state_is_corrupted();
	image->cursor += (int) n;
	return image->data + image->cursor - n;
}

static void
open_image(const KeyVariant *variant, StringInfo image)
{
	image->data = variant->image;
	image->len = image->maxlen = variant->len;
	image->cursor = 0;
}

static KeyVariant *
find_variant(const KeyVariants *variants, const char *image, int len)
{
	for (int i = 0; i < variants->n; i++)
	{
		if (variants->items[i].len == len && memcmp(variants->items[i].image, image, len) == 0)
			return &variants->items[i];
	}
	return NULL;
}

static KeyVariants *
make_variants(void)
{
	KeyVariants *variants = palloc0(sizeof(KeyVariants));

	variants->capacity = 2;
	variants->items = palloc(variants->capacity * sizeof(KeyVariant));
	return variants;
}

static void
add_variant(KeyVariants *variants, const char *image, int len, int64 count)
{
	KeyVariant *variant;

	if (variants->n == variants->capacity)
	{
		variants->capacity *= 2;
		variants->items = repalloc(variants->items, variants->capacity * sizeof(KeyVariant));
	}
	variant = &variants->items[variants->n++];
	variant->count = count;
	variant->len = len;
	variant->image = memcpy(palloc(Max(len, 1)), image, len);
}

void
key_variants_count(VariantKeys *keys, KeyVariants **variants, const Datum *values,
				   const bool *nulls, int sign)
{
	KeyVariant *variant;

	if (*variants == NULL)
		*variants = make_variants();
	make_variant_image(keys, values, nulls);
	variant = find_variant(*variants, keys->image.data, keys->image.len);
	if (variant != NULL && (sign > 0 || variant->count > 0 || (*variants)->others == 0))
		variant->count += sign;
	else if (variant != NULL || (*variants)->n >= MAX_VARIANTS ||
			 (sign < 0 && (*variants)->others > 0))
		(*variants)->others += sign;
	else
		add_variant(*variants, keys->image.data, keys->image.len, sign);
}

static KeyVariant *
shown_variant(const KeyVariants *variants)
{
	for (int i = 0; variants != NULL && i < variants->n; i++)
	{
		if (variants->items[i].count > 0)
			return &variants->items[i];
	}
	return NULL;
}

void
key_variants_prefer(VariantKeys *keys, KeyVariants *variants, const Datum *values,
					const bool *nulls)
{
	KeyVariant *variant;
	KeyVariant	preferred;

	make_variant_image(keys, values, nulls);
	variant = find_variant(variants, keys->image.data, keys->image.len);
	if (variant == NULL || variant->count <= 0)
		return;
	preferred = *variant;
	memmove(&variants->items[1], &variants->items[0],
			(variant - variants->items) * sizeof(KeyVariant));
	variants->items[0] = preferred;
}

bool
key_variants_are_stale(const KeyVariants *variants, int64 rows)
{
	int64		sum = variants == NULL ? 0 : variants->others;

	if (rows <= 0)
		return false;
	if (shown_variant(variants) == NULL || sum < 0)
		return true;
	for (int i = 0; i < variants->n; i++)
	{
		if (variants->items[i].count < 0)
			return true;
		sum += variants->items[i].count;
	}
	return sum != rows;
}

void
key_variants_forget(KeyVariants **variants)
{
	*variants = NULL;
}

void
key_variants_show(const VariantKeys *keys, const KeyVariants *variants, Datum *values,
				  bool *nulls)
{
	const KeyVariant *variant = shown_variant(variants);
	StringInfoData image;

	if (variant == NULL)
		elog(ERROR, "what the keys of a group look like is not known");
	open_image(variant, &image);
	for (int i = 0; i < keys->n; i++)
	{
		int			k = keys->keys[i];
		int			len;
		const char *data = get_key(&image, keys->byval[i], keys->typlens[i], &len);

		nulls[k] = data == NULL;
		if (data == NULL)
			continue;
		if (keys->byval[i])
			memcpy(&values[k], data, sizeof(Datum));
		else if (keys->typlens[i] == -1)
		{
			struct varlena *value = palloc(VARHDRSZ + len);

			SET_VARSIZE(value, VARHDRSZ + len);
			memcpy(VARDATA(value), data, len);
			values[k] = PointerGetDatum(value);
		}
		else
			values[k] = PointerGetDatum(memcpy(palloc(len), data, len));
	}
}

void
key_variants_serialize(const KeyVariants *variants, StringInfo buf)
{
	int			n = 0;

	for (int i = 0; variants != NULL && i < variants->n; i++)
		n += variants->items[i].count != 0;
	state_put_int64(buf, n);
	state_put_int64(buf, variants == NULL ? 0 : variants->others);
	for (int i = 0; variants != NULL && i < variants->n; i++)
	{
		const KeyVariant *variant = &variants->items[i];

		if (variant->count == 0)
			continue;
		state_put_int64(buf, variant->count);
		state_put_int64(buf, variant->len);
		appendBinaryStringInfo(buf, variant->image, variant->len);
	}
}

/* Images are looked through here, so that they can be shown without fear. */
KeyVariants *
key_variants_deserialize(const VariantKeys *keys, StringInfo buf)
{
	KeyVariants *variants = make_variants();
	int64		n = state_get_int64(buf);

	variants->others = state_get_int64(buf);
	if (n < 0 || n > MAX_VARIANTS)
		state_is_corrupted();
	for (int i = 0; i < n; i++)
	{
		int64		count = state_get_int64(buf);
		int64		len = state_get_int64(buf);
		StringInfoData image;

		if (count == 0 || len < 0 || len > buf->len - buf->cursor)
			state_is_corrupted();
		add_variant(variants, buf->data + buf->cursor, (int) len, count);
		buf->cursor += (int) len;

		open_image(&variants->items[i], &image);
		for (int k = 0; k < keys->n; k++)
		{
			int			key_len;

			(void) get_key(&image, keys->byval[k], keys->typlens[k], &key_len);
		}
		state_check_end(&image);
	}
	return variants;
}
