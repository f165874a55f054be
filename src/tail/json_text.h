/*-------------------------------------------------------------------------
 *
 * json_text.h
 *		The members of a JSON object as pieces of its text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_JSON_TEXT_H
#define TAIL_JSON_TEXT_H

/* A piece of somebody else's text, not terminated; start is NULL if absent. */
typedef struct JsonText
{
	const char *start;
	size_t		len;
} JsonText;

/* Iteration over the members of an object. */
typedef struct JsonMembers
{
	JsonText	name;			/* of the current member, with its quotes */
	JsonText	value;
	bool		malformed;		/* why the iteration ended */
	/* private */
	const char *pos;
	const char *end;
	bool		first;
} JsonMembers;

extern void json_members_begin(JsonMembers *members, JsonText object);
extern bool json_members_next(JsonMembers *members);
extern bool json_text_is(JsonText text, const char *what);
extern char *json_text_string(JsonText text);

#endif							/* TAIL_JSON_TEXT_H */
