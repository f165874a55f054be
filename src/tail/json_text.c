/*-------------------------------------------------------------------------
 *
 * json_text.c
 *		The members of a JSON object as pieces of its text.
 *
 * libcjson keeps a number as a double, and the text of an object not at all.
 * A row has bigint and numeric values that no double can hold, and documents
 * that are to be shown as they came, however deep.  So a row is not parsed:
 * it is cut into the texts of its members, and libcjson reads those that are
 * strings.
 *
 * The cutting needs no more than to know where a value ends: strings are
 * stepped over by their quotes, objects and arrays by counting brackets.
 * What it takes is therefore not always JSON, but what is JSON it cuts right.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <cjson/cJSON.h>

#include "json_text.h"

static const char *
skip_space(const char *pos, const char *end)
{
	while (pos < end && (*pos == ' ' || *pos == '\t' || *pos == '\n' || *pos == '\r'))
		pos++;
	return pos;
}

/*
 * The end of the string that starts here, or NULL.
 */
static const char *
skip_string(const char *pos, const char *end)
{
	if (pos >= end || *pos != '"')
		return NULL;
	for (pos++; pos < end; pos++)
	{
		if (*pos == '"')
			return pos + 1;
		if (*pos == '\\')
			pos++;
	}
	return NULL;
}

/*
 * The end of the object or array that starts here, or NULL.
 */
static const char *
skip_nested(const char *pos, const char *end)
{
	int			depth = 0;

	while (pos < end)
	{
		char		c = *pos;

		if (c == '"')
		{
			pos = skip_string(pos, end);
			if (pos == NULL)
				return NULL;
			continue;
		}
		pos++;
		if (c == '{' || c == '[')
			depth++;
		else if ((c == '}' || c == ']') && --depth == 0)
			return pos;
	}
	return NULL;
}

/*
 * The end of the value that starts here, or NULL.
 */
static const char *
skip_value(const char *pos, const char *end)
{
	const char *start = pos;

	if (pos >= end)
		return NULL;
	if (*pos == '"')
		return skip_string(pos, end);
	if (*pos == '{' || *pos == '[')
		return skip_nested(pos, end);
	while (pos < end && strchr(" \t\n\r,:{}[]\"", *pos) == NULL)
		pos++;
	return pos > start ? pos : NULL;
}

/*
 * Start with the first member of the object, which must outlive the iteration.
 */
void
json_members_begin(JsonMembers *members, JsonText object)
{
	memset(members, 0, sizeof(*members));
	members->first = true;
	members->end = object.start + object.len;
	members->pos = skip_space(object.start, members->end);
	if (members->pos < members->end && *members->pos == '{')
		members->pos = skip_space(members->pos + 1, members->end);
	else
		members->malformed = true;
}

/*
 * Go to the next member.  False at the end, or if what follows is malformed.
 */
bool
json_members_next(JsonMembers *members)
{
	const char *end = members->end;
	const char *pos = members->pos;
	const char *start;

	if (members->malformed)
		return false;
	members->malformed = true;	/* until we know better */
	if (pos < end && *pos == '}')
	{
		members->malformed = skip_space(pos + 1, end) != end;
		return false;
	}
	if (!members->first)
	{
		if (pos >= end || *pos != ',')
			return false;
		pos = skip_space(pos + 1, end);
	}
	members->first = false;

	start = pos;
	pos = skip_string(start, end);
	if (pos == NULL)
		return false;
	members->name.start = start;
	members->name.len = pos - start;
	pos = skip_space(pos, end);
	if (pos >= end || *pos != ':')
		return false;

	start = skip_space(pos + 1, end);
	pos = skip_value(start, end);
	if (pos == NULL)
		return false;
	members->value.start = start;
	members->value.len = pos - start;
	members->pos = skip_space(pos, end);
	members->malformed = false;
	return true;
}

bool
json_text_is(JsonText text, const char *what)
{
	return text.start != NULL && text.len == strlen(what) &&
		memcmp(text.start, what, text.len) == 0;
}

/*
 * What a string says, in new memory; of anything else the text itself.  So is
 * a string that libcjson refuses: a value of type json may name half a
 * surrogate pair.
 */
char *
json_text_string(JsonText text)
{
	char	   *result = NULL;

	if (text.len > 0 && text.start[0] == '"')
	{
		cJSON	   *parsed = cJSON_ParseWithLength(text.start, text.len);

		if (cJSON_IsString(parsed))
			result = pg_strdup(parsed->valuestring);
		cJSON_Delete(parsed);
	}
	return result ? result : pnstrdup(text.start, text.len);
}
