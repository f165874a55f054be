/*-------------------------------------------------------------------------
 *
 * json_format.h
 *		Values as JSON text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JSON_FORMAT_H
#define FRESHET_JSON_FORMAT_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

typedef struct JsonType JsonType;

/* Append a value, which is not null and not an external TOAST pointer. */
typedef void (*JsonWriter) (StringInfo out, Datum value, const JsonType *type);

/* How values of a type are written.  Private but for "write". */
struct JsonType
{
	Oid			typid;			/* hash key */
	JsonWriter	write;
	uint32		hashvalue;		/* of pg_type's cache, to know invalidations by */
	int16		typlen;
	bool		typbyval;
	char		typalign;
	FmgrInfo	output;			/* for types without a writer of their own */
	JsonType   *element;		/* of an array */
};

/*
 * The types known live in "context", and are forgotten when it is reset or
 * deleted.  When json_types_changed(), everything that points to a JsonType
 * is to be made anew after a json_types_forget().
 */
extern void json_types_init(MemoryContext context);
extern bool json_types_changed(void);
extern void json_types_forget(void);

/* Looks at the catalogue the first time.  Domains are their base types. */
extern JsonType *json_type(Oid typid);

static inline void
json_put(StringInfo out, const char *data, int len)
{
	if (unlikely(len >= out->maxlen - out->len))
		enlargeStringInfo(out, len);
	memcpy(out->data + out->len, data, len);
	out->len += len;
	out->data[out->len] = '\0';
}

static inline void
json_put_char(StringInfo out, char c)
{
	json_put(out, &c, 1);
}

#define json_put_literal(out, literal)	json_put(out, literal, sizeof(literal) - 1)

/* A string in quotes, escaped; a text in the encoding of the database. */
extern void json_put_string(StringInfo out, const char *data, int len);
extern void json_put_cstring(StringInfo out, const char *string);

extern void json_put_uint64(StringInfo out, uint64 value);
/* "0/16B3748", in quotes */
extern void json_put_lsn(StringInfo out, XLogRecPtr lsn);
/* ISO 8601 in UTC, in quotes */
extern void json_put_timestamptz(StringInfo out, TimestampTz value);
/* JSON text as it is, on one line */
extern void json_put_document(StringInfo out, const char *data, int len);

#endif							/* FRESHET_JSON_FORMAT_H */
