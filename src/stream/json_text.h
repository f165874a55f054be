/*-------------------------------------------------------------------------
 *
 * json_text.h
 *		The pieces of JSON text: strings, documents, numbers, positions.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JSON_TEXT_H
#define FRESHET_JSON_TEXT_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "lib/stringinfo.h"

/* Digits of 0 to 99, two each. */
extern const char json_two_digits[];

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
/* JSON text as it is, on one line */
extern void json_put_document(StringInfo out, const char *data, int len);

#endif							/* FRESHET_JSON_TEXT_H */
