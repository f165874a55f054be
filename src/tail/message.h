/*-------------------------------------------------------------------------
 *
 * message.h
 *		One line of the change stream.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_MESSAGE_H
#define TAIL_MESSAGE_H

#include <cjson/cJSON.h>

#include "access/xlogdefs.h"
#include "json_text.h"

typedef enum MessageOp
{
	OP_BEGIN,
	OP_COMMIT,
	OP_BATCH,
	OP_INSERT,
	OP_UPDATE,
	OP_DELETE,
	OP_TRUNCATE,
	OP_UNKNOWN
} MessageOp;

/* A line, whose text must outlive this. */
typedef struct Message
{
	JsonText	line;
	MessageOp	op;
	JsonText	before;			/* rows, absent also if null */
	JsonText	after;
	cJSON	   *head;			/* all the rest, once it was asked for */
} Message;

extern bool message_read(Message *message, const char *line, size_t len);
extern void message_free(Message *message);
extern const cJSON *message_member(Message *message, const char *name);
extern const char *message_string(Message *message, const char *name);
extern XLogRecPtr message_lsn(Message *message, const char *name);
extern bool message_time(Message *message, const char *name, int64 *unix_us);

extern bool parse_lsn(const char *text, XLogRecPtr *lsn);

#endif							/* TAIL_MESSAGE_H */
