/*-------------------------------------------------------------------------
 *
 * stream_options.c
 *		What a consumer of the change stream asks for.
 *
 * Options come as pairs of a name and a text, by START_REPLICATION or by
 * pg_logical_slot_get_changes().  One table has them all: name, how the text
 * is read, and where to.  What is not in it, or cannot be read, is refused
 * with what could have been said instead; nothing is ignored, for an option
 * that was misspelt would stream too much or too little in silence.
 *
 * Names are lists of patterns: "[schema.]name", parts separated by a dot,
 * patterns by a comma; * stands for any characters, ? for one, and what
 * follows a backslash stands for itself.  They are compared with names as
 * they are stored, without folding of case.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <ctype.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"

#include "stream_options.h"

typedef void (*OptionReader) (StreamOptions *options, const char *name, const char *value);

typedef struct OptionRule
{
	const char *name;
	OptionReader read;
} OptionRule;

static const char *const operation_names[STREAM_OPERATIONS] =
{
	"insert", "update", "delete", "truncate"
};

/*
 * Texts
 */

/*
 * Cut a text at a separator that no backslash precedes.  The pieces keep
 * their backslashes, and lose the blanks around them.
 */
static List *
split(const char *text, char separator)
{
	List	   *result = NIL;
	const char *start = text;

	for (const char *p = text;; p++)
	{
		if (*p == '\\' && p[1] != '\0')
		{
			p++;
			continue;
		}
		if (*p == separator || *p == '\0')
		{
			const char *end = p;

			while (start < end && isspace((unsigned char) *start))
				start++;
			while (end > start && isspace((unsigned char) end[-1]))
				end--;
			result = lappend(result, pnstrdup(start, end - start));
			start = p + 1;
		}
		if (*p == '\0')
			return result;
	}
}

bool
name_matches(const char *pattern, const char *name)
{
	const char *star = NULL;	/* behind the newest one */
	const char *retry = NULL;	/* what it has not swallowed yet */

	if (pattern == NULL)
		return true;
	for (;;)
	{
		if (*pattern == '*')
		{
			star = ++pattern;
			retry = name;
			continue;
		}
		if (*name == '\0')
			return *pattern == '\0';
		if (*pattern == '?')
		{
			/* a character, not a byte; the encodings of databases allow to tell */
			pattern++;
			name += pg_mblen(name);
			continue;
		}
		if (*pattern != '\0')
		{
			const char *literal = *pattern == '\\' && pattern[1] != '\0' ? pattern + 1 : pattern;

			if (*literal == *name)
			{
				pattern = literal + 1;
				name++;
				continue;
			}
		}
		if (star == NULL)
			return false;
		pattern = star;
		retry += pg_mblen(retry);
		name = retry;
	}
}

static void
refuse_value(const char *name, const char *value, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\" of output plugin \"freshet\": \"%s\"",
					name, value),
			 errhint("%s", hint)));
}

/* Does a text end in a backslash that has nothing to stand before? */
static bool
ends_in_escape(const char *text)
{
	while (*text != '\0')
	{
		if (*text == '\\' && *++text == '\0')
			return true;
		text++;
	}
	return false;
}

static NamePattern *
read_pattern(const char *name, const char *value, const char *text, bool column)
{
	NamePattern *pattern = palloc0(sizeof(NamePattern));
	List	   *parts = split(text, '.');
	int			n = list_length(parts);
	ListCell   *lc;

	foreach(lc, parts)
	{
		if (*(char *) lfirst(lc) == '\0' || ends_in_escape(lfirst(lc)))
			n = 0;
	}
	if (n == 0 || n > (column ? 3 : 2))
		refuse_value(name, value,
					 column ? "Valid are lists of [[schema.]table.]column, separated by commas; "
					 "* and ? are wildcards."
					 : "Valid are lists of [schema.]name, separated by commas; * and ? are "
					 "wildcards.");
	if (column)
		pattern->column = list_nth(parts, --n);
	if (n > 0)
		pattern->relation = list_nth(parts, --n);
	if (n > 0)
		pattern->schema = list_nth(parts, --n);
	return pattern;
}

static List *
read_patterns(const char *name, const char *value, bool column)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, split(value, ','))
		result = lappend(result, read_pattern(name, value, lfirst(lc), column));
	return result;
}

static bool
read_bool(const char *name, const char *value)
{
	bool		result = false;

	if (!parse_bool(value, &result))
		refuse_value(name, value, "Valid values are on and off.");
	return result;
}

/*
 * Options
 */

static void
read_format(StreamOptions *options, const char *name, const char *value)
{
	if (strcmp(value, "json") == 0)
		options->format = STREAM_JSON;
	else if (strcmp(value, "debezium") == 0)
		options->format = STREAM_DEBEZIUM;
	else
		refuse_value(name, value, "Valid values are json and debezium.");
}

static void
read_server_name(StreamOptions *options, const char *name, const char *value)
{
	if (*value == '\0')
		refuse_value(name, value, "Valid is any name that is not empty.");
	options->server_name = pstrdup(value);
}

static void
read_sink_list(StreamOptions *options, const char *name, const char *value)
{
	options->sinks = read_patterns(name, value, false);
}

static void
read_tables(StreamOptions *options, const char *name, const char *value)
{
	options->tables = read_patterns(name, value, false);
}

static void
read_column_list(StreamOptions *options, const char *name, const char *value)
{
	options->columns = read_patterns(name, value, true);
}

static void
read_exclude_columns(StreamOptions *options, const char *name, const char *value)
{
	options->exclude_columns = read_patterns(name, value, true);
}

static void
read_operations(StreamOptions *options, const char *name, const char *value)
{
	ListCell   *lc;

	memset(options->operations, false, sizeof(options->operations));
	foreach(lc, split(value, ','))
	{
		int			i = 0;

		while (i < STREAM_OPERATIONS && strcmp(lfirst(lc), operation_names[i]) != 0)
			i++;
		if (i == STREAM_OPERATIONS)
			refuse_value(name, value,
						 "Valid are lists of insert, update, delete and truncate, separated by "
						 "commas.");
		options->operations[i] = true;
	}
}

static void
read_origin(StreamOptions *options, const char *name, const char *value)
{
	if (strcmp(value, "any") == 0)
		options->local_only = false;
	else if (strcmp(value, "none") == 0)
		options->local_only = true;
	else
		refuse_value(name, value, "Valid values are any and none.");
}

static void
read_publish_via_root(StreamOptions *options, const char *name, const char *value)
{
	options->publish_via_root = read_bool(name, value);
}

static void
read_transactions(StreamOptions *options, const char *name, const char *value)
{
	options->transactions = read_bool(name, value);
}

static void
read_batches(StreamOptions *options, const char *name, const char *value)
{
	options->batches = read_bool(name, value);
}

static void
read_stream(StreamOptions *options, const char *name, const char *value)
{
	options->stream = read_bool(name, value);
}

static void
read_two_phase(StreamOptions *options, const char *name, const char *value)
{
	options->two_phase = read_bool(name, value);
	options->two_phase_given = true;
}

/* In the order in which they are listed to whoever gets one wrong. */
static const OptionRule rules[] =
{
	{"format", read_format},
	{"sinks", read_sink_list},
	{"tables", read_tables},
	{"columns", read_column_list},
	{"exclude_columns", read_exclude_columns},
	{"operations", read_operations},
	{"origin", read_origin},
	{"publish_via_root", read_publish_via_root},
	{"transactions", read_transactions},
	{"batches", read_batches},
	{"stream", read_stream},
	{"two_phase", read_two_phase},
	{"server_name", read_server_name}
};

static int
find_rule(const char *name)
{
	StringInfoData valid;

	for (int i = 0; i < lengthof(rules); i++)
	{
		if (strcmp(rules[i].name, name) == 0)
			return i;
	}

	initStringInfo(&valid);
	for (int i = 0; i < lengthof(rules); i++)
		appendStringInfo(&valid, "%s%s", i > 0 ? ", " : "", rules[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized option of output plugin \"freshet\": \"%s\"", name),
			 errhint("Valid options are: %s.", valid.data)));
}

/* A flag may come without a value; nothing else may. */
static const char *
option_value(const DefElem *elem, OptionReader read)
{
	if (elem->arg != NULL && strVal(elem->arg) != NULL)
		return strVal(elem->arg);
	if (read == read_publish_via_root || read == read_transactions || read == read_batches ||
		read == read_stream || read == read_two_phase)
		return "on";
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" of output plugin \"freshet\" needs a value", elem->defname)));
}

static void
check_combinations(const StreamOptions *options)
{
	const char *name = NULL;

	if (options->format == STREAM_DEBEZIUM && options->stream)
		name = "stream";
	if (options->format == STREAM_DEBEZIUM && options->two_phase)
		name = "two_phase";
	if (name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"%s\" cannot be combined with format \"debezium\"", name),
				 errdetail("Its envelope cannot tell that a transaction has not been committed."),
				 errhint("Use format \"json\".")));
	if (options->format != STREAM_DEBEZIUM && options->server_name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("option \"server_name\" is for format \"debezium\" alone")));
}

StreamOptions *
stream_options_parse(List *options)
{
	StreamOptions *result = palloc0(sizeof(StreamOptions));
	bool		seen[lengthof(rules)] = {0};
	ListCell   *lc;

	result->batches = true;
	for (int i = 0; i < STREAM_OPERATIONS; i++)
		result->operations[i] = true;

	foreach(lc, options)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);
		int			rule = find_rule(elem->defname);

		if (seen[rule])
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("option \"%s\" of output plugin \"freshet\" is given more than once",
							elem->defname)));
		seen[rule] = true;
		rules[rule].read(result, elem->defname, option_value(elem, rules[rule].read));
	}
	check_combinations(result);

	/* who does not choose gets everything */
	if (result->sinks == NIL && result->tables == NIL)
	{
		result->sinks = read_patterns("sinks", "*", false);
		result->tables = read_patterns("tables", "*", false);
	}
	return result;
}

char *
stream_options_text(List *options)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, options)
	{
		DefElem    *elem = lfirst_node(DefElem, lc);

		if (text.len > 0)
			appendStringInfoChar(&text, ' ');
		appendStringInfoString(&text, elem->defname);
		if (elem->arg != NULL && strVal(elem->arg) != NULL)
		{
			appendStringInfoChar(&text, '=');
			if (strpbrk(strVal(elem->arg), " '") != NULL)
				appendStringInfoString(&text, quote_literal_cstr(strVal(elem->arg)));
			else
				appendStringInfoString(&text, strVal(elem->arg));
		}
	}
	return text.data;
}
