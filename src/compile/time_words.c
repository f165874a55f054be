/*-------------------------------------------------------------------------
 *
 * time_words.c
 *		Literals whose meaning moves with the clock, such as 'yesterday'.
 *
 * Parse analysis reads a literal as a value of its type at once, and what is
 * left of 'yesterday' is the date of the day before the sink was made: the
 * query that is kept is not the one that was written.  A constant remembers
 * the place of its literal, though, and the statement as it came from the
 * grammar has the text.  So the two are laid side by side: each constant of a
 * type that holds dates or times, at any depth, and its text.
 *
 * The text is read as the type's input function reads it, word by word; text in
 * an array, a composite or a range, element by element.  A text that names no
 * date but is of type time with time zone is read by the clock, too, if its zone
 * has summer time.
 *
 * Constants without a literal of the statement (in views that the query reads,
 * in defaults of functions) were made when those were, and stay what they are.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/tupdesc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "analyze_internal.h"
#include "time_words.h"

typedef struct TimeWordsContext
{
	List	   *literals;		/* A_Const * that are strings, by location */
} TimeWordsContext;

static bool moves(Oid typid, const char *string);

static bool
holds_time(Oid typid)
{
	Oid			component;

	check_stack_depth();
	typid = getBaseType(typid);
	switch (typid)
	{
		case DATEOID:
		case TIMEOID:
		case TIMETZOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return true;
	}

	component = get_element_type(typid);
	if (!OidIsValid(component))
		component = get_range_subtype(typid);
	if (!OidIsValid(component))
		component = get_multirange_range(typid);
	if (OidIsValid(component))
		return holds_time(component);

	if (get_typtype(typid) == TYPTYPE_COMPOSITE)
	{
		TupleDesc	desc = lookup_rowtype_tupdesc_copy(typid, -1);

		for (int i = 0; i < desc->natts; i++)
		{
			if (!TupleDescAttr(desc, i)->attisdropped &&
				holds_time(TupleDescAttr(desc, i)->atttypid))
				return true;
		}
	}
	return false;
}

/* Take a text apart as the input functions of dates and times do. */
static int
parse(const char *string, char *buffer, size_t size, char **fields, int *types)
{
	int			nfields;

	if (ParseDateTime(string, buffer, size, fields, types, MAXDATEFIELDS, &nfields) != 0)
		return 0;
	return nfields;
}

static bool
has_moving_word(const char *string)
{
	char		buffer[MAXDATELEN + MAXDATEFIELDS];
	char	   *fields[MAXDATEFIELDS];
	int			types[MAXDATEFIELDS];
	int			n = parse(string, buffer, sizeof(buffer), fields, types);

	for (int i = 0; i < n; i++)
	{
		int			value;

		if ((types[i] != DTK_STRING && types[i] != DTK_SPECIAL) ||
			DecodeSpecial(i, fields[i], &value) != RESERV)
			continue;
		if (value == DTK_NOW || value == DTK_TODAY || value == DTK_TOMORROW ||
			value == DTK_YESTERDAY)
			return true;
	}
	return false;
}

/* The offset that the text has on the first of this month; false if it names a date itself. */
static bool
offset_in_month(const char *string, int month, int *offset)
{
	char		buffer[MAXDATELEN + MAXDATEFIELDS];
	char	   *fields[MAXDATEFIELDS];
	int			types[MAXDATEFIELDS];
	struct pg_tm now;
	struct pg_tm tm;
	fsec_t		fsec;
	int			dtype;
	int			n;

	GetCurrentDateTime(&now);
	n = parse(psprintf("%04d-%02d-01 %s", now.tm_year, month, string), buffer, sizeof(buffer),
			  fields, types);
	return n > 0 &&
		freshet_decode_time_only(fields, types, n, &dtype, &tm, &fsec, offset) == 0;
}

static bool
offset_moves(const char *string)
{
	int			winter;
	int			summer;

	return offset_in_month(string, 1, &winter) && offset_in_month(string, 7, &summer) &&
		winter != summer;
}

static bool
array_moves(Oid element, const char *string)
{
	Datum		array = OidInputFunctionCall(F_ARRAY_IN, unconstify(char *, string), TEXTOID, -1);
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false, TYPALIGN_INT, &elements,
					  &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i] && moves(element, TextDatumGetCString(elements[i])))
			return true;
	}
	return false;
}

/* Read as a row of texts. */
static bool
composite_moves(Oid typid, const char *string)
{
	TupleDesc	desc = lookup_rowtype_tupdesc_copy(typid, -1);
	TupleDesc	texts;
	HeapTupleHeader row;
	int			n = 0;

	for (int i = 0; i < desc->natts; i++)
		n += !TupleDescAttr(desc, i)->attisdropped;
	texts = CreateTemplateTupleDesc(n);
	for (int i = 0; i < n; i++)
		TupleDescInitEntry(texts, i + 1, NULL, TEXTOID, -1, 0);
	BlessTupleDesc(texts);

	row = DatumGetHeapTupleHeader(OidInputFunctionCall(F_RECORD_IN, unconstify(char *, string),
													   RECORDOID, texts->tdtypmod));
	n = 0;
	for (int i = 0; i < desc->natts; i++)
	{
		bool		isnull;
		Datum		value;

		if (TupleDescAttr(desc, i)->attisdropped)
			continue;
		value = GetAttributeByNum(row, ++n, &isnull);
		if (!isnull && moves(TupleDescAttr(desc, i)->atttypid, TextDatumGetCString(value)))
			return true;
	}
	return false;
}

/*
 * The bounds of a range, or of the ranges of a multirange: what stands between
 * brackets and commas, with the quotes taken away.
 */
static bool
range_moves(Oid subtype, const char *string)
{
	StringInfoData bound;
	bool		quoted = false;

	initStringInfo(&bound);
	for (const char *p = string;; p++)
	{
		if (*p == '\0' || (!quoted && strchr("{}[](),", *p) != NULL))
		{
			if (bound.len > 0 && moves(subtype, bound.data))
				return true;
			resetStringInfo(&bound);
			if (*p == '\0')
				return false;
		}
		else if (*p == '\\' && p[1] != '\0')
			appendStringInfoChar(&bound, *++p);
		else if (*p != '"')
			appendStringInfoChar(&bound, *p);
		else if (quoted && p[1] == '"')
			appendStringInfoChar(&bound, *++p);
		else
			quoted = !quoted;
	}
}

/* Does the clock decide what the type makes of the text? */
static bool
moves(Oid typid, const char *string)
{
	Oid			component;

	check_stack_depth();
	typid = getBaseType(typid);
	if (!holds_time(typid))
		return false;
	switch (typid)
	{
		case DATEOID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return has_moving_word(string);
		case TIMETZOID:
			return has_moving_word(string) || offset_moves(string);
	}

	component = get_element_type(typid);
	if (OidIsValid(component))
		return array_moves(component, string);
	component = get_range_subtype(typid);
	if (!OidIsValid(component) && OidIsValid(get_multirange_range(typid)))
		component = get_range_subtype(get_multirange_range(typid));
	if (OidIsValid(component))
		return range_moves(component, string);
	return composite_moves(typid, string);
}

/* A string of the grammar, or NULL. */
static const char *
literal_text(A_Const *literal)
{
	if (literal->isnull || !IsA(&literal->val, String))
		return NULL;
	return strVal(&literal->val);
}

static bool
collect_literals(Node *node, TimeWordsContext *ctx)
{
	if (node == NULL)
		return false;
	if (IsA(node, A_Const))
	{
		if (literal_text((A_Const *) node) != NULL)
			ctx->literals = lappend(ctx->literals, node);
		return false;
	}
	return raw_expression_tree_walker(node, collect_literals, (void *) ctx);
}

static int
compare_locations(const ListCell *a, const ListCell *b)
{
	return ((A_Const *) lfirst(a))->location - ((A_Const *) lfirst(b))->location;
}

/* The text of the literal at this place of the statement, or NULL. */
static const char *
find_literal(const TimeWordsContext *ctx, int location)
{
	int			low = 0;
	int			high = list_length(ctx->literals) - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		A_Const    *literal = list_nth(ctx->literals, middle);

		if (literal->location == location)
			return literal_text(literal);
		if (literal->location < location)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

static void
check_constant(const Const *constant, const TimeWordsContext *ctx)
{
	const char *string;

	if (constant->constisnull || constant->location < 0 || !holds_time(constant->consttype))
		return;
	string = find_literal(ctx, constant->location);
	if (string != NULL && moves(constant->consttype, string))
		REFUSE(psprintf("%s as a value of type %s", quote_literal_cstr(string),
						format_type_be(constant->consttype)),
			   "Its meaning moves with the clock: write a fixed time, or compare with the clock "
			   "when reading the sink.");
}

static bool
refuse_walker(Node *node, TimeWordsContext *ctx)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const))
	{
		check_constant((Const *) node, ctx);
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, refuse_walker, (void *) ctx, 0);
	return expression_tree_walker(node, refuse_walker, (void *) ctx);
}

void
time_words_refuse(RawStmt *statement, Query *query)
{
	TimeWordsContext ctx = {NIL};

	(void) collect_literals(statement->stmt, &ctx);
	list_sort(ctx.literals, compare_locations);
	if (ctx.literals != NIL)
		(void) refuse_walker((Node *) query, &ctx);
}
