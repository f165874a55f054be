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

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "lib/stringinfo.h"

#include "json_text.h"

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

/* ISO 8601 in UTC, in quotes */
extern void json_put_timestamptz(StringInfo out, TimestampTz value);

#endif							/* FRESHET_JSON_FORMAT_H */
