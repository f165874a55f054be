/*-------------------------------------------------------------------------
 *
 * message.c
 *		One line of the change stream.
 *
 * A line is cut into its members (json_text.c).  The rows stay text; what is
 * left, the head, is a small object that libcjson parses when something in it
 * is asked for.  Most lines go by without: to receive one, its op is enough.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <ctype.h>
#include <time.h>

#include "lib/stringinfo.h"
#include "message.h"

static const struct
{
	const char *text;
	MessageOp	op;
}			ops[] =
{
	{"\"begin\"", OP_BEGIN},
	{"\"commit\"", OP_COMMIT},
	{"\"batch\"", OP_BATCH},
	{"\"insert\"", OP_INSERT},
	{"\"update\"", OP_UPDATE},
	{"\"delete\"", OP_DELETE},
	{"\"truncate\"", OP_TRUNCATE}
};

static MessageOp
op_of(JsonText text)
{
	for (int i = 0; i < lengthof(ops); i++)
	{
		if (json_text_is(text, ops[i].text))
			return ops[i].op;
	}
	return OP_UNKNOWN;
}

/*
 * Read a line.  False if it is not a JSON object with an op.
 */
bool
message_read(Message *message, const char *line, size_t len)
{
	JsonMembers members;
	bool		has_op = false;

	memset(message, 0, sizeof(*message));
	message->line.start = line;
	message->line.len = len;

	json_members_begin(&members, message->line);
	while (json_members_next(&members))
	{
		if (json_text_is(members.name, "\"op\""))
		{
			message->op = op_of(members.value);
			has_op = true;
		}
		else if (members.value.start[0] != '{')
			continue;
		else if (json_text_is(members.name, "\"before\""))
			message->before = members.value;
		else if (json_text_is(members.name, "\"after\""))
			message->after = members.value;
	}
	return has_op && !members.malformed;
}

void
message_free(Message *message)
{
	cJSON_Delete(message->head);
	message->head = NULL;
}

/*
 * Parse the head: the line without its rows and its key.
 */
static void
parse_head(Message *message)
{
	JsonMembers members;
	StringInfoData head;

	initStringInfo(&head);
	json_members_begin(&members, message->line);
	while (json_members_next(&members))
	{
		if (json_text_is(members.name, "\"before\"") ||
			json_text_is(members.name, "\"after\"") ||
			json_text_is(members.name, "\"key\""))
			continue;
		appendStringInfoChar(&head, head.len == 0 ? '{' : ',');
		appendBinaryStringInfo(&head, members.name.start, members.name.len);
		appendStringInfoChar(&head, ':');
		appendBinaryStringInfo(&head, members.value.start, members.value.len);
	}
	appendStringInfoChar(&head, '}');
	message->head = cJSON_ParseWithLength(head.data, head.len);
	pfree(head.data);
}

/*
 * A member of the head, or NULL.
 */
const cJSON *
message_member(Message *message, const char *name)
{
	if (message->head == NULL)
		parse_head(message);
	return cJSON_GetObjectItemCaseSensitive(message->head, name);
}

/*
 * A member that is a string, or NULL.  It lives as long as the message.
 */
const char *
message_string(Message *message, const char *name)
{
	return cJSON_GetStringValue(message_member(message, name));
}

/*
 * A member that is a position in the log, or InvalidXLogRecPtr.
 */
XLogRecPtr
message_lsn(Message *message, const char *name)
{
	const char *text = message_string(message, name);
	XLogRecPtr	lsn;

	return text != NULL && parse_lsn(text, &lsn) ? lsn : InvalidXLogRecPtr;
}

bool
parse_lsn(const char *text, XLogRecPtr *lsn)
{
	uint32		hi;
	uint32		lo;
	int			consumed = -1;

	/* sscanf would take blanks, signs and any number of digits */
	if (strspn(text, "0123456789abcdefABCDEF") > 8 || !isxdigit((unsigned char) text[0]))
		return false;
	if (sscanf(text, "%X/%X%n", &hi, &lo, &consumed) != 2 ||
		consumed < 0 || text[consumed] != '\0' ||
		strspn(strchr(text, '/') + 1, "0123456789abcdefABCDEF") > 8 ||
		!isxdigit((unsigned char) strchr(text, '/')[1]))
		return false;
	*lsn = ((uint64) hi) << 32 | lo;
	return true;
}

/*
 * A member that is a time in ISO 8601, as microseconds since 1970.
 */
bool
message_time(Message *message, const char *name, int64 *unix_us)
{
	const char *text = message_string(message, name);
	struct tm	tm;
	int			consumed = 0;
	int64		fraction = 0;
	int			hours = 0;
	int			minutes = 0;
	char		sign;

	memset(&tm, 0, sizeof(tm));
	if (text == NULL ||
		sscanf(text, "%d-%d-%d%*1[T ]%d:%d:%d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &consumed) != 6)
		return false;
	text += consumed;
	if (*text == '.')
	{
		text++;
		for (int64 unit = 100000; isdigit((unsigned char) *text); unit /= 10)
			fraction += unit * (*text++ - '0');
	}
	sign = *text;
	if (sign == '+' || sign == '-')
	{
		if (sscanf(text + 1, "%2d:%2d", &hours, &minutes) < 1)
			return false;
	}
	else if (sign != 'Z')
		return false;

	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	*unix_us = ((int64) timegm(&tm)
				- (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60)) * 1000000 + fraction;
	return true;
}
