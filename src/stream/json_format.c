/*-------------------------------------------------------------------------
 *
 * json_format.c
 *		Values as JSON text.
 *
 * What a value becomes depends on its type alone, never on a setting of the
 * session, so that a consumer gets the same text from any connection:
 *
 *	numbers			their exact digits; NaN and infinities as strings
 *	boolean			true, false
 *	json, jsonb		as they are, on one line
 *	bytea			"\\x..." in hexadecimal
 *	date, time		ISO 8601; timestamptz in UTC; interval as an ISO 8601 duration
 *	arrays			arrays, nested for each dimension; lower bounds are lost
 *	composites		objects
 *	domains			their base type
 *	all others		the text of the type's output function, as a string
 *
 * The text of output functions does depend on settings; output_plugin.c sets
 * those that matter.
 *
 * What is known of a type is looked up once and kept until pg_type says that
 * it changed.  The invalidation callback only sets a flag: it may come at any
 * catalogue access, in the middle of a value, so nothing is freed before the
 * caller asks for it between two changes.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

#include "json_format.h"

static HTAB *types = NULL;
static MemoryContext types_context = NULL;
static bool types_changed = false;

/*
 * Numbers
 */

static void
put_int64(StringInfo out, int64 value)
{
	if (value < 0)
	{
		json_put_char(out, '-');
		json_put_uint64(out, -(uint64) value);
	}
	else
		json_put_uint64(out, value);
}

void
json_put_lsn(StringInfo out, XLogRecPtr lsn)
{
	static const char hex[] = "0123456789ABCDEF";
	char		buf[20];
	char	   *end = buf + sizeof(buf);
	char	   *p = end;
	uint32		low = (uint32) lsn;
	uint32		high = (uint32) (lsn >> 32);

	*--p = '"';
	do
	{
		*--p = hex[low & 15];
		low >>= 4;
	} while (low != 0);
	*--p = '/';
	do
	{
		*--p = hex[high & 15];
		high >>= 4;
	} while (high != 0);
	*--p = '"';
	json_put(out, p, end - p);
}

static void
write_int2(StringInfo out, Datum value, const JsonType *type)
{
	put_int64(out, DatumGetInt16(value));
}

static void
write_int4(StringInfo out, Datum value, const JsonType *type)
{
	put_int64(out, DatumGetInt32(value));
}

static void
write_int8(StringInfo out, Datum value, const JsonType *type)
{
	put_int64(out, DatumGetInt64(value));
}

static void
write_oid(StringInfo out, Datum value, const JsonType *type)
{
	json_put_uint64(out, DatumGetObjectId(value));
}

/* The text of a number, in quotes if JSON has no such number. */
static void
put_number(StringInfo out, const char *text, int len)
{
	char		last = text[len - 1];

	if (last >= '0' && last <= '9')
		json_put(out, text, len);
	else
		json_put_string(out, text, len);
}

static void
write_float4(StringInfo out, Datum value, const JsonType *type)
{
	char		buf[FLOAT_SHORTEST_DECIMAL_LEN];
	int			len = float_to_shortest_decimal_bufn(DatumGetFloat4(value), buf);

	put_number(out, buf, len);
}

static void
write_float8(StringInfo out, Datum value, const JsonType *type)
{
	char		buf[DOUBLE_SHORTEST_DECIMAL_LEN];
	int			len = double_to_shortest_decimal_bufn(DatumGetFloat8(value), buf);

	put_number(out, buf, len);
}

static void
write_numeric(StringInfo out, Datum value, const JsonType *type)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, value));

	put_number(out, text, strlen(text));
}

static void
write_bool(StringInfo out, Datum value, const JsonType *type)
{
	if (DatumGetBool(value))
		json_put_literal(out, "true");
	else
		json_put_literal(out, "false");
}

/*
 * Dates and times
 */

static inline char *
put_two(char *p, int value)
{
	memcpy(p, json_two_digits + 2 * value, 2);
	return p + 2;
}

/* The date of a julian day in the years 1 to 9999, else NULL. */
static char *
put_julian_day(char *p, int jd)
{
	static int	last_jd = -1;
	static char last_text[10];

	if (jd != last_jd)
	{
		int			year;
		int			month;
		int			day;
		char	   *q = last_text;

		j2date(jd, &year, &month, &day);
		if (year < 1 || year > 9999)
			return NULL;
		q = put_two(q, year / 100);
		q = put_two(q, year % 100);
		*q++ = '-';
		q = put_two(q, month);
		*q++ = '-';
		put_two(q, day);
		last_jd = jd;
	}
	memcpy(p, last_text, sizeof(last_text));
	return p + sizeof(last_text);
}

/* hh:mm:ss, and the fraction without its trailing zeros */
static char *
put_time_of_day(char *p, int64 time)
{
	int			seconds = (int) (time / USECS_PER_SEC);
	int			fraction = (int) (time % USECS_PER_SEC);

	p = put_two(p, seconds / SECS_PER_HOUR);
	*p++ = ':';
	p = put_two(p, seconds / SECS_PER_MINUTE % MINS_PER_HOUR);
	*p++ = ':';
	p = put_two(p, seconds % SECS_PER_MINUTE);
	if (fraction != 0)
	{
		*p++ = '.';
		p = put_two(p, fraction / 10000);
		p = put_two(p, fraction / 100 % 100);
		p = put_two(p, fraction % 100);
		while (p[-1] == '0')
			p--;
	}
	return p;
}

/* What the quick way leaves: infinities, years of other lengths, time zones. */
static void
put_any_datetime(StringInfo out, Datum value, Oid typid)
{
	static const int utc = 0;
	char		buf[MAXDATELEN + 1];

	JsonEncodeDateTime(buf, value, typid, typid == TIMESTAMPTZOID ? &utc : NULL);
	json_put_cstring(out, buf);
}

static void
put_timestamp(StringInfo out, Timestamp value, Oid typid)
{
	char		buf[MAXDATELEN + 1];
	char	   *p = buf;
	int64		day = value / USECS_PER_DAY;
	int64		time = value % USECS_PER_DAY;

	if (time < 0)
	{
		time += USECS_PER_DAY;
		day--;
	}
	*p++ = '"';
	if (TIMESTAMP_NOT_FINITE(value) ||
		(p = put_julian_day(p, (int) day + POSTGRES_EPOCH_JDATE)) == NULL)
	{
		put_any_datetime(out, TimestampGetDatum(value), typid);
		return;
	}
	*p++ = 'T';
	p = put_time_of_day(p, time);
	if (typid == TIMESTAMPTZOID)
	{
		memcpy(p, "+00:00", 6);
		p += 6;
	}
	*p++ = '"';
	json_put(out, buf, p - buf);
}

void
json_put_timestamptz(StringInfo out, TimestampTz value)
{
	put_timestamp(out, value, TIMESTAMPTZOID);
}

static void
write_timestamp(StringInfo out, Datum value, const JsonType *type)
{
	put_timestamp(out, DatumGetTimestamp(value), TIMESTAMPOID);
}

static void
write_timestamptz(StringInfo out, Datum value, const JsonType *type)
{
	put_timestamp(out, DatumGetTimestampTz(value), TIMESTAMPTZOID);
}

static void
write_date(StringInfo out, Datum value, const JsonType *type)
{
	DateADT		date = DatumGetDateADT(value);
	char		buf[12];
	char	   *p = buf;

	*p++ = '"';
	if (DATE_NOT_FINITE(date) || (p = put_julian_day(p, date + POSTGRES_EPOCH_JDATE)) == NULL)
	{
		put_any_datetime(out, value, DATEOID);
		return;
	}
	*p++ = '"';
	json_put(out, buf, p - buf);
}

static void
write_time(StringInfo out, Datum value, const JsonType *type)
{
	char		buf[20];
	char	   *p = buf;

	*p++ = '"';
	p = put_time_of_day(p, DatumGetTimeADT(value));
	*p++ = '"';
	json_put(out, buf, p - buf);
}

static void
write_timetz(StringInfo out, Datum value, const JsonType *type)
{
	put_any_datetime(out, value, TIMETZOID);
}

static void
write_interval(StringInfo out, Datum value, const JsonType *type)
{
	Interval   *interval = DatumGetIntervalP(value);
	struct pg_itm itm;
	char		buf[MAXDATELEN + 1];

#if PG_VERSION_NUM >= 170000
	if (INTERVAL_NOT_FINITE(interval))
	{
		if (INTERVAL_IS_NOBEGIN(interval))
			json_put_literal(out, "\"-infinity\"");
		else
			json_put_literal(out, "\"infinity\"");
		return;
	}
#endif
	interval2itm(*interval, &itm);
	EncodeInterval(&itm, INTSTYLE_ISO_8601, buf);
	json_put_cstring(out, buf);
}

/*
 * Strings of bytes and documents
 */

static void
write_text(StringInfo out, Datum value, const JsonType *type)
{
	struct varlena *text = PG_DETOAST_DATUM_PACKED(value);

	json_put_string(out, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

static void
write_name(StringInfo out, Datum value, const JsonType *type)
{
	json_put_cstring(out, NameStr(*DatumGetName(value)));
}

static void
write_bytea(StringInfo out, Datum value, const JsonType *type)
{
	bytea	   *bytes = DatumGetByteaPP(value);
	int			len = VARSIZE_ANY_EXHDR(bytes);

	json_put_literal(out, "\"\\\\x");
	enlargeStringInfo(out, len * 2);
	out->len += hex_encode(VARDATA_ANY(bytes), len, out->data + out->len);
	json_put_char(out, '"');
}

static void
write_uuid(StringInfo out, Datum value, const JsonType *type)
{
	const pg_uuid_t *uuid = DatumGetUUIDP(value);
	char		buf[38];
	char	   *p = buf;

	*p++ = '"';
	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		p += hex_encode((const char *) &uuid->data[i], 1, p);
	}
	*p++ = '"';
	json_put(out, buf, p - buf);
}

static void
write_json(StringInfo out, Datum value, const JsonType *type)
{
	text	   *json = DatumGetTextPP(value);

	json_put_document(out, VARDATA_ANY(json), VARSIZE_ANY_EXHDR(json));
}

static void
write_jsonb(StringInfo out, Datum value, const JsonType *type)
{
	Jsonb	   *jsonb = DatumGetJsonbP(value);

	JsonbToCString(out, &jsonb->root, VARSIZE(jsonb));
}

static void
write_by_output(StringInfo out, Datum value, const JsonType *type)
{
	json_put_cstring(out, OutputFunctionCall((FmgrInfo *) &type->output, value));
}

/*
 * Nested types
 */

static void
put_dimension(StringInfo out, const JsonType *element, int dim, int ndims, const int *dims,
			  Datum **values, bool **nulls)
{
	json_put_char(out, '[');
	for (int i = 0; i < dims[dim]; i++)
	{
		if (i > 0)
			json_put_char(out, ',');
		if (dim + 1 < ndims)
			put_dimension(out, element, dim + 1, ndims, dims, values, nulls);
		else
		{
			if (**nulls)
				json_put_literal(out, "null");
			else
				element->write(out, **values, element);
			(*values)++;
			(*nulls)++;
		}
	}
	json_put_char(out, ']');
}

static void
write_array(StringInfo out, Datum value, const JsonType *type)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	const JsonType *element = type->element;
	Datum	   *values;
	bool	   *nulls;
	int			n;

	check_stack_depth();
	if (ARR_NDIM(array) == 0)
	{
		json_put_literal(out, "[]");
		return;
	}
	deconstruct_array(array, ARR_ELEMTYPE(array), element->typlen, element->typbyval,
					  element->typalign, &values, &nulls, &n);
	put_dimension(out, element, 0, ARR_NDIM(array), ARR_DIMS(array), &values, &nulls);
}

/* The row type may change while the type stays, so it is looked up by value. */
static void
write_composite(StringInfo out, Datum value, const JsonType *type)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {0};
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	char		separator = '{';

	check_stack_depth();
	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (att->attisdropped)
			continue;
		json_put_char(out, separator);
		separator = ',';
		json_put_cstring(out, NameStr(att->attname));
		json_put_char(out, ':');
		if (nulls[i])
			json_put_literal(out, "null");
		else
		{
			JsonType   *field = json_type(att->atttypid);

			field->write(out, values[i], field);
		}
	}
	if (separator == '{')
		json_put_char(out, '{');
	json_put_char(out, '}');
	ReleaseTupleDesc(desc);
}

/*
 * Types
 */

static JsonWriter
builtin_writer(Oid typid)
{
	switch (typid)
	{
		case BOOLOID:
			return write_bool;
		case INT2OID:
			return write_int2;
		case INT4OID:
			return write_int4;
		case INT8OID:
			return write_int8;
		case OIDOID:
			return write_oid;
		case FLOAT4OID:
			return write_float4;
		case FLOAT8OID:
			return write_float8;
		case NUMERICOID:
			return write_numeric;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return write_text;
		case NAMEOID:
			return write_name;
		case BYTEAOID:
			return write_bytea;
		case UUIDOID:
			return write_uuid;
		case DATEOID:
			return write_date;
		case TIMEOID:
			return write_time;
		case TIMETZOID:
			return write_timetz;
		case TIMESTAMPOID:
			return write_timestamp;
		case TIMESTAMPTZOID:
			return write_timestamptz;
		case INTERVALOID:
			return write_interval;
		case JSONOID:
			return write_json;
		case JSONBOID:
			return write_jsonb;
		default:
			return NULL;
	}
}

static void
look_up_type(JsonType *type)
{
	Oid			base = getBaseType(type->typid);
	Oid			element = get_element_type(base);
	Oid			function;
	bool		varlena;

	get_typlenbyvalalign(base, &type->typlen, &type->typbyval, &type->typalign);
	type->write = builtin_writer(base);
	if (type->write != NULL)
		return;

	if (OidIsValid(element))
	{
		type->element = json_type(element);
		type->write = write_array;
	}
	else if (type_is_rowtype(base))
		type->write = write_composite;
	else
	{
		getTypeOutputInfo(base, &function, &varlena);
		fmgr_info_cxt(function, &type->output, types_context);
		type->write = write_by_output;
	}
}

JsonType *
json_type(Oid typid)
{
	JsonType   *type = hash_search(types, &typid, HASH_FIND, NULL);
	JsonType	found = {0};

	if (type != NULL)
		return type;

	/* entered when it is complete: an error on the way leaves nothing behind */
	check_stack_depth();
	found.typid = typid;
	found.hashvalue = GetSysCacheHashValue1(TYPEOID, ObjectIdGetDatum(typid));
	look_up_type(&found);
	type = hash_search(types, &typid, HASH_ENTER, NULL);
	*type = found;
	return type;
}

static void
type_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS seq;
	JsonType   *type;

	if (types == NULL || types_changed)
		return;
	hash_seq_init(&seq, types);
	while ((type = hash_seq_search(&seq)) != NULL)
	{
		if (hashvalue == 0 || type->hashvalue == hashvalue)
		{
			types_changed = true;
			hash_seq_term(&seq);
			return;
		}
	}
}

static void
types_freed(void *arg)
{
	types = NULL;
	types_context = NULL;
}

void
json_types_init(MemoryContext context)
{
	static bool callback_registered = false;
	MemoryContextCallback *callback;

	if (!callback_registered)
	{
		CacheRegisterSyscacheCallback(TYPEOID, type_changed, (Datum) 0);
		callback_registered = true;
	}
	types_context = AllocSetContextCreate(context, "freshet types", ALLOCSET_SMALL_SIZES);
	callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	callback->func = types_freed;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(context, callback);
	json_types_forget();
}

bool
json_types_changed(void)
{
	return types_changed;
}

void
json_types_forget(void)
{
	HASHCTL		ctl;

	types = NULL;
	MemoryContextReset(types_context);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(JsonType);
	ctl.hcxt = types_context;
	types = hash_create("freshet types", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	types_changed = false;
}
