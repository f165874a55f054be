/*-------------------------------------------------------------------------
 *
 * accum_state.c
 *		Accumulators to bytes and back.
 *
 * The format has no version and no padding: it is read by the code that wrote
 * it, and a change of it means that sinks are rebuilt.  Integers, counts and
 * lengths are written seven bits a byte, lowest first, with the sign in the
 * lowest bit: most take one to three bytes.  Doubles are in network order,
 * numerics as numeric_send() writes them.  Only the values of min and max are
 * in the machine's own format, as nothing is known of their types; pg_upgrade
 * keeps that.
 *
 * Equal states give equal bytes, however they came about, so that a row whose
 * state did not change need not be written.
 *
 * What is read was written by this code (group_state.h); still it is checked
 * as far as memory safety asks for, but for the inside of the values of min and
 * max, which are trusted as those of any other column are.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tupmacs.h"
#include "port/pg_bswap.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "accum.h"
#include "base/freshet.h"

/* The largest display scale that a numeric can have. */
#define NUMERIC_SCALE_LIMIT		0x3FFF

static void
put_integer(StringInfo buf, int128 value)
{
	uint128		rest = ((uint128) value << 1) ^ (value < 0 ? ~(uint128) 0 : 0);

	while (rest >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (0x80 | (int) (rest & 0x7F)));
		rest >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) rest);
}

static void
put_bytes(StringInfo buf, const void *data, int len)
{
	put_integer(buf, len);
	appendBinaryStringInfo(buf, data, len);
}

void
state_is_corrupted(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid state of an aggregate")));
}

/* Take len bytes at the cursor. */
static const char *
get_raw(StringInfo buf, int64 len)
{
	const char *data = buf->data + buf->cursor;

	if (len < 0 || len > buf->len - buf->cursor)
		state_is_corrupted();
	buf->cursor += (int) len;
	return data;
}

static int128
get_integer(StringInfo buf)
{
	uint128		value = 0;
	int			byte;

	for (int shift = 0;; shift += 7)
	{
		if (shift >= 128)
			state_is_corrupted();
		byte = (unsigned char) *get_raw(buf, 1);
		value |= (uint128) (byte & 0x7F) << shift;
		if (byte < 0x80)
			break;
	}
	return (int128) (value >> 1) ^ -(int128) (value & 1);
}

/* An integer that must be in this range. */
static int64
get_integer_between(StringInfo buf, int64 low, int64 high)
{
	int128		value = get_integer(buf);

	if (value < low || value > high)
		state_is_corrupted();
	return (int64) value;
}

int64
state_get_int64(StringInfo buf)
{
	return get_integer_between(buf, PG_INT64_MIN, PG_INT64_MAX);
}

void
state_put_int64(StringInfo buf, int64 value)
{
	put_integer(buf, value);
}

void
state_check_end(StringInfo buf)
{
	if (buf->cursor != buf->len)
		state_is_corrupted();
}

static void
put_specials(StringInfo buf, const AccumSpecials *specials)
{
	static const AccumSpecials none = {0};
	bool		any = specials != NULL && memcmp(specials, &none, sizeof(none)) != 0;

	put_integer(buf, any);
	if (any)
	{
		put_integer(buf, specials->nan);
		put_integer(buf, specials->pinf);
		put_integer(buf, specials->ninf);
		put_integer(buf, specials->nzero);
	}
}

static AccumSpecials *
get_specials(StringInfo buf)
{
	AccumSpecials *specials = NULL;

	if (get_integer_between(buf, 0, 1) == 1)
	{
		specials = (AccumSpecials *) palloc(sizeof(AccumSpecials));
		specials->nan = state_get_int64(buf);
		specials->pinf = state_get_int64(buf);
		specials->ninf = state_get_int64(buf);
		specials->nzero = state_get_int64(buf);
	}
	return specials;
}

static void
put_float(StringInfo buf, const Accum *acc)
{
	ExactSum	sum;

	exact_sum_copy(&sum, &acc->u.f.sum);
	exact_sum_normalize(&sum);
	put_integer(buf, sum.n);
	for (int i = 0; i < sum.n; i++)
	{
		uint64		bits;

		memcpy(&bits, &exact_sum_components(&sum)[i], sizeof(bits));
		bits = pg_hton64(bits);
		appendBinaryStringInfo(buf, (char *) &bits, sizeof(bits));
	}
	exact_sum_free(&sum);
	put_specials(buf, acc->u.f.specials);
}

static void
get_float(StringInfo buf, Accum *acc)
{
	double		components[EXACT_SUM_MAX];
	int			n = (int) get_integer_between(buf, 0, EXACT_SUM_MAX);

	for (int i = 0; i < n; i++)
	{
		uint64		bits;

		memcpy(&bits, get_raw(buf, sizeof(bits)), sizeof(bits));
		bits = pg_ntoh64(bits);
		memcpy(&components[i], &bits, sizeof(bits));
	}
	if (!exact_sum_is_valid(components, n))
		state_is_corrupted();
	exact_sum_restore(&acc->u.f.sum, components, n);
	acc->u.f.specials = get_specials(buf);
}

static void
put_numeric(StringInfo buf, const Accum *acc)
{
	const AccumScales *scales = acc->u.num.scales;
	int			nscales = scales == NULL ? 0 : scales->n;

	/* the kept sum's own scale says nothing: take the least that is exact */
	if (acc->u.num.sum == NULL)
		put_integer(buf, 0);
	else
	{
		Datum		least = DirectFunctionCall1(numeric_trim_scale,
												NumericGetDatum(acc->u.num.sum));
		bytea	   *sent = DatumGetByteaPP(DirectFunctionCall1(numeric_send, least));
		uint16		ndigits;

		/* the first field is the number of digits; zero has none, as no sum */
		memcpy(&ndigits, VARDATA_ANY(sent), sizeof(ndigits));
		if (ndigits == 0)
			put_integer(buf, 0);
		else
			put_bytes(buf, VARDATA_ANY(sent), VARSIZE_ANY_EXHDR(sent));
		pfree(sent);
		pfree(DatumGetPointer(least));
	}

	put_integer(buf, nscales);
	for (int i = 0; i < nscales; i++)
	{
		put_integer(buf, scales->items[i].scale);
		put_integer(buf, scales->items[i].count);
	}
	put_specials(buf, acc->u.num.specials);
}

/* The sum from what numeric_send() made of it: four words, then the digits. */
static Numeric
get_numeric_sum(const char *data, int len)
{
	StringInfoData sent;
	Numeric		sum;
	uint16		ndigits;

	if (len < (int) (4 * sizeof(uint16)))
		state_is_corrupted();
	memcpy(&ndigits, data, sizeof(ndigits));
	if (len != (int) ((4 + pg_ntoh16(ndigits)) * sizeof(uint16)))
		state_is_corrupted();

	initStringInfo(&sent);
	appendBinaryStringInfo(&sent, data, len);
	sum = DatumGetNumeric(DirectFunctionCall3(numeric_recv, PointerGetDatum(&sent),
											  ObjectIdGetDatum(InvalidOid),
											  Int32GetDatum(-1)));
	if (numeric_is_nan(sum) || numeric_is_inf(sum))
		state_is_corrupted();
	pfree(sent.data);
	return sum;
}

static void
get_numeric(StringInfo buf, Accum *acc)
{
	int64		len = state_get_int64(buf);
	int			nscales;

	if (len != 0)
		acc->u.num.sum = get_numeric_sum(get_raw(buf, len), (int) len);

	nscales = (int) get_integer_between(buf, 0, NUMERIC_SCALE_LIMIT + 1);
	for (int i = 0; i < nscales; i++)
	{
		int			scale = (int) get_integer_between(buf, 0, NUMERIC_SCALE_LIMIT);
		int64		count = state_get_int64(buf);

		if (count == 0)
			state_is_corrupted();
		accum_count_scale(&acc->u.num.scales, scale, count);
	}
	acc->u.num.specials = get_specials(buf);
}

static void
put_interval(StringInfo buf, const Accum *acc)
{
	put_integer(buf, acc->u.ival.month);
	put_integer(buf, acc->u.ival.day);
	put_integer(buf, acc->u.ival.time);
	put_specials(buf, acc->u.ival.specials);
}

static void
get_interval(StringInfo buf, Accum *acc)
{
	acc->u.ival.month = state_get_int64(buf);
	acc->u.ival.day = state_get_int64(buf);
	acc->u.ival.time = get_integer(buf);
	acc->u.ival.specials = get_specials(buf);
}

static void
put_extreme(const AccumDesc *desc, StringInfo buf, const Accum *acc)
{
	put_integer(buf, (acc->u.ext.valid ? 1 : 0) | (acc->u.ext.stale ? 2 : 0));
	if (!acc->u.ext.valid)
		return;
	if (desc->typbyval)
	{
		Datum		stored;		/* for its alignment */

		store_att_byval(&stored, acc->u.ext.value, desc->typlen);
		put_bytes(buf, &stored, desc->typlen);
	}
	else
		put_bytes(buf, DatumGetPointer(acc->u.ext.value),
				  (int) datumGetSize(acc->u.ext.value, false, desc->typlen));
}

static void
get_extreme(const AccumDesc *desc, StringInfo buf, Accum *acc)
{
	int			flags = (int) get_integer_between(buf, 0, 3);
	int			len;
	char	   *value;

	acc->u.ext.stale = (flags & 2) != 0;
	if ((flags & 1) == 0)
		return;

	len = (int) get_integer_between(buf, 1, MaxAllocSize);
	if (desc->typlen > 0 && len != desc->typlen)
		state_is_corrupted();

	/* a copy even of what is passed by value: buf need not be aligned */
	value = (char *) memcpy(palloc(Max(len, VARHDRSZ)), get_raw(buf, len), len);
	if (desc->typlen == -1 &&
		(VARATT_IS_EXTERNAL(value) || (!VARATT_IS_SHORT(value) && len < VARHDRSZ) ||
		 VARATT_IS_COMPRESSED(value) || VARSIZE_ANY(value) != (Size) len))
		state_is_corrupted();
	if (desc->typlen == -2 && memchr(value, '\0', len) != value + len - 1)
		state_is_corrupted();

	acc->u.ext.value = fetch_att(value, desc->typbyval, desc->typlen);
	acc->u.ext.valid = true;
	if (desc->typbyval)
		pfree(value);
}

void
accum_serialize(const AccumDesc *desc, const Accum *acc, StringInfo buf)
{
	put_integer(buf, acc->n);
	if (accum_is_extreme(desc))
		put_extreme(desc, buf, acc);
	else if (accum_is_float(desc))
		put_float(buf, acc);
	else if (desc->kind == AGG_SUM_NUMERIC || desc->kind == AGG_AVG_NUMERIC)
		put_numeric(buf, acc);
	else if (desc->kind == AGG_SUM_INTERVAL || desc->kind == AGG_AVG_INTERVAL)
		put_interval(buf, acc);
	else if (desc->kind != AGG_COUNT_STAR && desc->kind != AGG_COUNT)
		put_integer(buf, acc->u.isum);
}

void
accum_deserialize(const AccumDesc *desc, Accum *acc, StringInfo buf)
{
	accum_init(desc, acc);
	acc->n = state_get_int64(buf);
	if (accum_is_extreme(desc))
		get_extreme(desc, buf, acc);
	else if (accum_is_float(desc))
		get_float(buf, acc);
	else if (desc->kind == AGG_SUM_NUMERIC || desc->kind == AGG_AVG_NUMERIC)
		get_numeric(buf, acc);
	else if (desc->kind == AGG_SUM_INTERVAL || desc->kind == AGG_AVG_INTERVAL)
		get_interval(buf, acc);
	else if (desc->kind != AGG_COUNT_STAR && desc->kind != AGG_COUNT)
		acc->u.isum = get_integer(buf);
}
