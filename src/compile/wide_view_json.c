/*-------------------------------------------------------------------------
 *
 * wide_view_json.c
 *		The lookups of a wide view as JSON: their form, apart from any table.
 *
 * The JSON is parsed by libcjson into a tree of its own, which is checked
 * and translated at once into lists of strings, each with its place in the
 * specification; what tables and columns the strings name is the next step's
 * affair (wide_view_spec.c).
 *
 * libcjson allocates by hooks, which are global to the process.  Ours are in
 * force during the one call that parses: palloc may raise an error there and
 * leave libcjson by a long jump, which is harmless, since it holds nothing
 * but memory of the current context.  Before anything else runs, the hooks
 * are set back to malloc and free, so that another library's use of libcjson
 * does not get memory that vanishes with our context.  The tree is not freed
 * by libcjson; it goes with the context.
 *
 * libcjson works in UTF-8 and ends strings at a zero byte.  The text is
 * converted from and to the database's encoding, and the escape of a zero
 * byte, which is valid JSON, is refused beforehand.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <cjson/cJSON.h>

#include "access/htup_details.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/varlena.h"

#include "wide_view_json.h"

/*
 * Lookups of one wide view, and pairs of one relation: far more than anybody
 * has use for.  Each lookup is a subquery, each pair a condition, and planning
 * takes its time for them.
 */
#define MAX_WIDE_LOOKUPS	500
#define MAX_WIDE_PAIRS		INDEX_MAX_KEYS

/* Names farther away than this are not taken for misspelt ones. */
#define MAX_NAME_DISTANCE	3

static const char *const entry_keys[] = {
	"table", "path", "type", "relation", "columns", "order_by"
};

static void *
json_malloc(size_t size)
{
	return palloc(size);
}

static void
json_free(void *pointer)
{
	if (pointer != NULL)
		pfree(pointer);
}

/* A backslash occurs nowhere in JSON but in strings. */
static void
refuse_zero_bytes(const char *text)
{
	const char *p;

	for (p = strchr(text, '\\'); p != NULL && p[1] != '\0'; p = strchr(p + 2, '\\'))
	{
		if (strncmp(p, "\\u0000", 6) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNTRANSLATABLE_CHARACTER),
					 errmsg("a name in the lookups of a wide view contains \\u0000"),
					 errdetail("It is at character %d of the lookups.",
							   pg_mbstrlen_with_len(text, p - text) + 1),
					 errhint("Leave the character out: no name can contain it.")));
	}
}

/* Characters in a number of bytes: those that do not continue one. */
static int
utf8_length(const char *text, size_t size)
{
	int			result = 0;

	for (size_t i = 0; i < size; i++)
		result += ((unsigned char) text[i] & 0xC0) != 0x80;
	return result;
}

/* The type json has checked the grammar; what is left are limits of the library. */
static cJSON *
parse_text(const char *lookups)
{
	cJSON_Hooks hooks = {.malloc_fn = json_malloc, .free_fn = json_free};
	cJSON	   *volatile tree = NULL;
	const char *volatile end = NULL;
	const char *text;

	refuse_zero_bytes(lookups);
	text = pg_server_to_any(lookups, strlen(lookups), PG_UTF8);

	cJSON_InitHooks(&hooks);
	PG_TRY();
	{
		const char *stopped = NULL;

		tree = cJSON_ParseWithOpts(text, &stopped, true);
		end = stopped;
	}
	PG_FINALLY();
	{
		cJSON_InitHooks(NULL);
	}
	PG_END_TRY();

	if (tree == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("the lookups of a wide view cannot be parsed as JSON"),
				 errdetail("Parsing stopped at character %d of the lookups.",
						   end == NULL ? 1 : utf8_length(text, end - text) + 1),
				 errhint("Check the escapes of strings and the nesting of brackets there.")));
	return tree;
}

static const char *
json_type_name(const cJSON *item)
{
	switch (item->type & 0xFF)
	{
		case cJSON_False:
		case cJSON_True:
			return "a boolean";
		case cJSON_NULL:
			return "null";
		case cJSON_Number:
			return "a number";
		case cJSON_String:
			return "a string";
		case cJSON_Array:
			return "an array";
		case cJSON_Object:
			return "an object";
		default:
			return "of an unknown type";
	}
}

static char *
from_utf8(const char *string)
{
	return pstrdup(pg_any_to_server(string, strlen(string), PG_UTF8));
}

static void
require_type(const cJSON *item, int type, const char *place, const char *what, const char *hint)
{
	if ((item->type & 0xFF) != type)
		SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("expected %s, not %s", what, json_type_name(item)),
				   ("%s", hint));
}

static SpecString
get_string(const cJSON *item, char *place, const char *hint)
{
	SpecString	result;

	require_type(item, cJSON_String, place, "a string", hint);
	result.value = from_utf8(item->valuestring);
	result.place = place;
	return result;
}

static SpecString *
copy_string(SpecString string)
{
	SpecString *result = palloc(sizeof(SpecString));

	*result = string;
	return result;
}

#define RELATION_HINT \
	"A relation is an array of pairs: [[\"column of an enclosing element\", " \
	"\"column of the lookup\"], ...]."

static List *
get_relation(const cJSON *item, const char *place)
{
	List	   *result = NIL;
	const cJSON *element;

	require_type(item, cJSON_Array, place, "an array of pairs", RELATION_HINT);
	if (item->child == NULL)
		SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("the relation of a lookup must not be empty"), (RELATION_HINT));

	cJSON_ArrayForEach(element, item)
	{
		SpecPair   *pair = palloc(sizeof(SpecPair));

		pair->place = psprintf("%s[%d]", place, list_length(result));
		if (list_length(result) == MAX_WIDE_PAIRS)
			SPEC_ERROR(pair->place, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
					   ("a relation cannot have more than %d pairs", MAX_WIDE_PAIRS),
					   ("No index has more columns."));
		require_type(element, cJSON_Array, pair->place, "a pair of strings", RELATION_HINT);
		if (cJSON_GetArraySize(element) != 2)
			SPEC_ERROR(pair->place, ERRCODE_INVALID_PARAMETER_VALUE,
					   ("a pair of a relation must have 2 elements, not %d",
						cJSON_GetArraySize(element)), (RELATION_HINT));
		pair->outer = get_string(element->child, psprintf("%s[0]", pair->place), RELATION_HINT);
		pair->own = get_string(element->child->next, psprintf("%s[1]", pair->place),
							   RELATION_HINT);
		result = lappend(result, pair);
	}
	return result;
}

static List *
get_strings(const cJSON *item, const char *place, const char *hint)
{
	List	   *result = NIL;
	const cJSON *element;

	require_type(item, cJSON_Array, place, "an array of strings", hint);
	if (item->child == NULL)
		SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("expected at least one string"), ("%s", hint));
	cJSON_ArrayForEach(element, item)
	{
		char	   *at = psprintf("%s[%d]", place, list_length(result));

		if (list_length(result) == MaxTupleAttributeNumber)
			SPEC_ERROR(at, ERRCODE_TOO_MANY_COLUMNS,
					   ("a list of columns cannot have more than %d", MaxTupleAttributeNumber),
					   ("No table has more columns."));
		result = lappend(result, copy_string(get_string(element, at, hint)));
	}
	return result;
}

static bool
get_type(const cJSON *item, char *place)
{
	SpecString	type = get_string(item, place, "The type is \"object\" or \"array\".");

	if (strcmp(type.value, "array") != 0 && strcmp(type.value, "object") != 0)
		SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("unknown type \"%s\" of a lookup", type.value),
				   ("The type is \"object\" (one row) or \"array\" (any number of rows)."));
	return strcmp(type.value, "array") == 0;
}

/* The number of a key of an entry, not seen before in this entry. */
static int
entry_key(const cJSON *item, const char *place, const cJSON **seen)
{
	char	   *key = from_utf8(item->string);
	List	   *known = NIL;
	const char *closest;

	for (int i = 0; i < lengthof(entry_keys); i++)
	{
		known = lappend(known, unconstify(char *, entry_keys[i]));
		if (strcmp(entry_keys[i], key) != 0)
			continue;
		if (seen[i] != NULL)
			SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
					   ("key \"%s\" occurs more than once in a lookup", key),
					   ("Remove one of them."));
		return i;
	}

	closest = wide_closest_name(key, known);
	if (closest != NULL)
		SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
				   ("unknown key \"%s\" of a lookup", key),
				   ("Perhaps you meant \"%s\".", closest));
	SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
			   ("unknown key \"%s\" of a lookup", key),
			   ("The keys are: table, path, type, relation; and, if wanted, columns and "
				"order_by."));
	return -1;					/* keep compiler quiet */
}

static SpecEntry *
get_entry(const cJSON *item, char *place)
{
	const cJSON *values[lengthof(entry_keys)] = {0};
	char	   *places[lengthof(entry_keys)];
	const cJSON *member;
	SpecEntry  *entry = palloc0(sizeof(SpecEntry));

	require_type(item, cJSON_Object, place, "an object",
				 "A lookup is an object: {\"table\": ..., \"path\": ..., \"type\": ..., "
				 "\"relation\": ...}.");
	cJSON_ArrayForEach(member, item)
	{
		int			key = entry_key(member, place, values);

		values[key] = member;
	}
	for (int i = 0; i < lengthof(entry_keys); i++)
	{
		places[i] = psprintf("%s.%s", place, entry_keys[i]);
		if (i < 4 && values[i] == NULL)
			SPEC_ERROR(place, ERRCODE_INVALID_PARAMETER_VALUE,
					   ("key \"%s\" is missing in a lookup", entry_keys[i]),
					   ("A lookup needs table, path, type and relation."));
	}

	entry->place = place;
	entry->table = get_string(values[0], places[0], "It is the name of a table.");
	entry->path = get_string(values[1], places[1],
							 "It is the place of the lookup in the document: names with dots "
							 "between them.");
	entry->array = get_type(values[2], places[2]);
	entry->relation = get_relation(values[3], places[3]);
	if (values[4] != NULL)
		entry->columns = get_strings(values[4], places[4],
									 "List the columns that the document shall have, or leave "
									 "the key out to have all.");
	if (values[5] != NULL)
		entry->order_by = get_strings(values[5], places[5],
									  "List columns, each with \"asc\" or \"desc\" and \"nulls "
									  "first\" or \"nulls last\" after it, if wanted.");
	return entry;
}

List *
wide_json_parse(const char *lookups)
{
	const cJSON *tree = parse_text(lookups);
	const cJSON *item;
	List	   *entries = NIL;

	require_type(tree, cJSON_Array, "lookups", "an array",
				 "The lookups are an array of objects, one for each lookup.");
	cJSON_ArrayForEach(item, tree)
	{
		CHECK_FOR_INTERRUPTS();
		if (list_length(entries) == MAX_WIDE_LOOKUPS)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("a wide view cannot have more than %d lookups", MAX_WIDE_LOOKUPS),
					 errhint("Make several wide views over the same root.")));
		entries = lappend(entries, get_entry(item, psprintf("lookups[%d]",
															list_length(entries))));
	}
	return entries;
}

/* That which differs in nothing but case comes first of all. */
const char *
wide_closest_name(const char *name, List *candidates)
{
	const char *closest = NULL;
	int			distance = Min(MAX_NAME_DISTANCE, (int) strlen(name) / 2) + 1;
	ListCell   *lc;

	if (strlen(name) >= NAMEDATALEN)
		return NULL;
	foreach(lc, candidates)
	{
		const char *candidate = lfirst(lc);
		int			d;

		if (pg_strcasecmp(candidate, name) == 0)
			return candidate;
		d = varstr_levenshtein_less_equal(name, strlen(name), candidate, strlen(candidate),
										  1, 1, 1, distance, true);
		if (d < distance)
		{
			distance = d;
			closest = candidate;
		}
	}
	return closest;
}
