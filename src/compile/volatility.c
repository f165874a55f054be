/*-------------------------------------------------------------------------
 *
 * volatility.c
 *		Which functions may be called by a definition.
 *
 * A sink is right only if an expression gives for an old row what it gave
 * when the row was new.  IMMUTABLE functions do.  Of the STABLE ones, many
 * depend on nothing but session settings (TimeZone, DateStyle, lc_*, ...): a
 * sink records these when it is made and is computed under them, so such
 * functions are accepted, one by one, by the list below.  The rest (now(), functions that
 * read tables or the catalogues, text such as 'today' read as a date) is
 * refused by name.
 *
 * Built-in functions that print values of any type, such as to_json(), are as
 * steady as the types that they print.  Types are looked into recursively.
 *
 * What can't be seen is trusted as PostgreSQL trusts it: the volatility that
 * the owner of a function declared, and the constraints of domains.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/tupdesc.h"
#include "catalog/pg_aggregate.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "analyze_internal.h"
#include "volatility.h"

typedef struct SettingsFunction
{
	Oid			funcid;
	bool		prints;			/* converts arguments of any type to text */
} SettingsFunction;

/*
 * Built-in functions whose value depends on their arguments and on settings.
 * Numbers, not the names of fmgroids.h: those change when an overload is added.
 */
static const SettingsFunction settings_functions[] = {
	/* output functions; byteaout and the floats' are marked immutable */
	{31, false},				/* byteaout */
	{201, false},				/* float4out */
	{215, false},				/* float8out */
	{887, false},				/* cash_out */
	{1085, false},				/* date_out */
	{1151, false},				/* timestamptz_out */
	{1161, false},				/* interval_out */
	{1313, false},				/* timestamp_out */
	{3507, false},				/* enum_out */

	/* input functions that know no 'now' */
	{886, false},				/* cash_in */
	{1160, false},				/* interval_in */
	{3506, false},				/* enum_in */

	/* parts and formats of dates and times */
	{1171, false},				/* date_part(text, timestamptz) */
	{1217, false},				/* date_trunc(text, timestamptz) */
	{1284, false},				/* date_trunc(text, timestamptz, text) */
	{6203, false},				/* extract(text, timestamptz) */
	{1768, false},				/* to_char(interval, text) */
	{1770, false},				/* to_char(timestamptz, text) */
	{2049, false},				/* to_char(timestamp, text) */
	{1778, false},				/* to_timestamp(text, text) */
	{1780, false},				/* to_date(text, text) */
	{3462, false},				/* make_timestamptz without a time zone */
	{3463, false},				/* make_timestamptz with a time zone */

	/* numbers and money */
	{1772, false},				/* to_char(numeric, text) */
	{1773, false},				/* to_char(int4, text) */
	{1774, false},				/* to_char(int8, text) */
	{1775, false},				/* to_char(float4, text) */
	{1776, false},				/* to_char(float8, text) */
	{1777, false},				/* to_number(text, text) */
	{3811, false},				/* money(int4) */
	{3812, false},				/* money(int8) */
	{3824, false},				/* money(numeric) */
	{3823, false},				/* numeric(money) */

	/* casts between date and time types */
	{1174, false},				/* timestamptz(date) */
	{1176, false},				/* timestamptz(date, time) */
	{1178, false},				/* date(timestamptz) */
	{1388, false},				/* timetz(timestamptz) */
	{2019, false},				/* time(timestamptz) */
	{2027, false},				/* timestamp(timestamptz) */
	{2028, false},				/* timestamptz(timestamp) */

	/* arithmetic and ranges */
	{1189, false},				/* timestamptz_pl_interval */
	{1190, false},				/* timestamptz_mi_interval */
	{2549, false},				/* interval_pl_timestamptz */
	{1305, false},				/* overlaps(timestamptz, interval, ...) */
	{1306, false},
	{1307, false},
	{4135, false},				/* in_range(timestamptz, ...) */

	/* date <-> timestamptz: lt le eq gt ge ne cmp */
	{2351, false}, {2352, false}, {2353, false}, {2354, false},
	{2355, false}, {2356, false}, {2357, false},
	/* timestamptz <-> date */
	{2377, false}, {2378, false}, {2379, false}, {2380, false},
	{2381, false}, {2382, false}, {2383, false},
	/* timestamp <-> timestamptz */
	{2520, false}, {2521, false}, {2522, false}, {2523, false},
	{2524, false}, {2525, false}, {2526, false},
	/* timestamptz <-> timestamp */
	{2527, false}, {2528, false}, {2529, false}, {2530, false},
	{2531, false}, {2532, false}, {2533, false},

	/* jsonpath with time zone */
	{1177, false},				/* jsonb_path_exists_tz */
	{1180, false},				/* jsonb_path_query_array_tz */
	{2023, false},				/* jsonb_path_query_first_tz */
	{2030, false},				/* jsonb_path_match_tz */

	/* encodings: stable since they look up a conversion */
	{1713, false},				/* length(bytea, name) */
	{1714, false},				/* convert_from */
	{1717, false},				/* convert_to */
	{1813, false},				/* convert */

	/* what prints any type */
	{384, true},				/* array_to_string with text for nulls */
	{395, true},				/* array_to_string */
	{1285, true},				/* quote_literal */
	{1290, true},				/* quote_nullable */
	{2003, true},				/* text || anything */
	{2004, true},				/* anything || text */
	{3058, true},				/* concat */
	{3059, true},				/* concat_ws */
	{3539, true},				/* format */
	{3540, true},				/* format without arguments */
	{3153, true},				/* array_to_json */
	{3154, true},				/* array_to_json, pretty */
	{3155, true},				/* row_to_json */
	{3156, true},				/* row_to_json, pretty */
	{3176, true},				/* to_json */
	{3787, true},				/* to_jsonb */
	{3198, true},				/* json_build_array */
	{3199, true},
	{3200, true},				/* json_build_object */
	{3201, true},
	{3271, true},				/* jsonb_build_array */
	{3272, true},
	{3273, true},				/* jsonb_build_object */
	{3274, true},
};

#define F_DATE_IN_OID			1084
#define F_TIME_IN_OID			1143
#define F_TIMESTAMPTZ_IN_OID	1150
#define F_TIMESTAMP_IN_OID		1312
#define F_TIMETZ_IN_OID			1350

typedef struct VolatilityContext
{
	List	  **settings_functions;
	bool		whole_query;	/* subqueries are looked into, not refused */
	List	   *levels;			/* Query *, the innermost first */
} VolatilityContext;

static bool volatility_walker(Node *node, VolatilityContext *ctx);
static void check_printed(Node *expr, VolatilityContext *ctx);

/*
 * Implementations that later versions of PostgreSQL give to new functions
 * (date_add, date_subtract).
 */
static bool
is_settings_implementation(Oid funcid)
{
	HeapTuple	tuple;
	bool		result = false;
	bool		isnull;
	Datum		prosrc;

	if (funcid >= FirstGenbkiObjectId)
		return false;
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcid));
	if (!HeapTupleIsValid(tuple))
		return false;
	prosrc = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	if (!isnull && ((Form_pg_proc) GETSTRUCT(tuple))->prolang == INTERNALlanguageId)
	{
		char	   *src = TextDatumGetCString(prosrc);

		result = strcmp(src, "timestamptz_pl_interval") == 0 ||
			strcmp(src, "timestamptz_mi_interval") == 0;
	}
	ReleaseSysCache(tuple);
	return result;
}

/* True if the function depends on settings alone, which is then noted. */
static bool
note_settings_function(Oid funcid, bool *prints, VolatilityContext *ctx)
{
	bool		found = false;
	int			i;

	*prints = false;
	for (i = 0; i < lengthof(settings_functions) && !found; i++)
	{
		if (settings_functions[i].funcid == funcid)
		{
			found = true;
			*prints = settings_functions[i].prints;
		}
	}
	if (!found)
	{
		if (func_volatile(funcid) == PROVOLATILE_IMMUTABLE ||
			!is_settings_implementation(funcid))
			return false;
	}
	*ctx->settings_functions = list_append_unique_oid(*ctx->settings_functions, funcid);
	return true;
}

static const char *
function_hint(Oid funcid)
{
	const char *name = get_func_name(funcid);

	if (funcid >= FirstNormalObjectId)
		return "If the function always gives the same result for the same arguments, "
			"declare it IMMUTABLE.";
	if (name != NULL && strstr(name, "tsvector") != NULL)
		return "Name the text search configuration as the first argument.";
	if (name != NULL && (strcmp(name, "now") == 0 || strstr(name, "timestamp") != NULL ||
						 strcmp(name, "timeofday") == 0 || strcmp(name, "age") == 0))
		return "Its value moves with the clock: keep the time in a column, "
			"and compare with the clock when reading the sink.";
	return "Its result can change while the rows of the source stay the same.";
}

/* A function called with args (NIL if they are no matter). */
static void
check_function(Oid funcid, List *args, VolatilityContext *ctx)
{
	bool		prints;
	ListCell   *lc;

	if (!note_settings_function(funcid, &prints, ctx))
	{
		if (func_volatile(funcid) == PROVOLATILE_IMMUTABLE)
			return;
		REFUSE(psprintf("function %s", format_procedure(funcid)), function_hint(funcid));
	}
	if (prints)
	{
		foreach(lc, args)
			check_printed(lfirst(lc), ctx);
	}
}

/* The element, subtype or base of a type that is made of one; else InvalidOid. */
static Oid
component_type(Oid typid)
{
	Oid			component = getBaseType(typid);

	if (component != typid)
		return component;
	component = get_element_type(typid);
	if (!OidIsValid(component))
		component = get_range_subtype(typid);
	if (!OidIsValid(component))
	{
		component = get_multirange_range(typid);
	}
	return component;
}

/* Apply check to the columns of a composite type. */
static void
check_attributes(Oid typid, void (*check) (Oid typid, VolatilityContext *ctx),
				 VolatilityContext *ctx)
{
	TupleDesc	tupdesc = lookup_rowtype_tupdesc_copy(typid, -1);
	int			i;

	check_stack_depth();
	for (i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped)
			check(att->atttypid, ctx);
	}
}

/* A value of this type is turned into text or JSON. */
static void
check_type_output(Oid typid, VolatilityContext *ctx)
{
	Oid			component = component_type(typid);
	Oid			func;
	bool		varlena;
	bool		prints;

	if (OidIsValid(component))
	{
		check_type_output(component, ctx);
		return;
	}
	if (typid == UNKNOWNOID || typid == CSTRINGOID)
		return;
	if (get_typtype(typid) == TYPTYPE_COMPOSITE)
	{
		check_attributes(typid, check_type_output, ctx);
		return;
	}
	if (get_typtype(typid) == TYPTYPE_PSEUDO)
		REFUSE(psprintf("conversion of type %s to text", format_type_be(typid)),
			   "Convert the parts of the value one by one.");

	/* JSON functions prefer a cast to json over the output function. */
	if (typid >= FirstNormalObjectId &&
		find_coercion_pathway(JSONOID, typid, COERCION_EXPLICIT, &func) == COERCION_PATH_FUNC)
		check_function(func, NIL, ctx);

	getTypeOutputInfo(typid, &func, &varlena);
	if (!note_settings_function(func, &prints, ctx) &&
		func_volatile(func) != PROVOLATILE_IMMUTABLE && get_typtype(typid) != TYPTYPE_ENUM)
		REFUSE(psprintf("conversion of type %s to text", format_type_be(typid)),
			   "Its result can change while the rows of the source stay the same.");
}

/* Text is read as a value of this type. */
static void
check_type_input(Oid typid, VolatilityContext *ctx)
{
	Oid			component = component_type(typid);
	Oid			func;
	Oid			ioparam;
	bool		prints;
	const char *hint = "Its result can change while the rows of the source stay the same.";

	if (OidIsValid(component))
	{
		check_type_input(component, ctx);
		return;
	}
	if (get_typtype(typid) == TYPTYPE_COMPOSITE)
	{
		check_attributes(typid, check_type_input, ctx);
		return;
	}

	getTypeInputInfo(typid, &func, &ioparam);
	if (note_settings_function(func, &prints, ctx) ||
		func_volatile(func) == PROVOLATILE_IMMUTABLE)
		return;
	switch (func)
	{
		case F_DATE_IN_OID:
		case F_TIME_IN_OID:
		case F_TIMETZ_IN_OID:
		case F_TIMESTAMP_IN_OID:
		case F_TIMESTAMPTZ_IN_OID:
			hint = "Text such as 'today' changes its meaning: "
				"use to_date() or to_timestamp() with a format.";
			break;
	}
	REFUSE(psprintf("conversion of text to type %s", format_type_be(typid)), hint);
}

/* The columns of a subquery, whose row is one value of type record. */
static bool
check_printed_row(Var *var, VolatilityContext *ctx)
{
	Query	   *query;
	RangeTblEntry *rte;
	ListCell   *lc;

	if (var->varattno != InvalidAttrNumber || list_length(ctx->levels) <= var->varlevelsup)
		return false;
	query = list_nth(ctx->levels, var->varlevelsup);
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind != RTE_SUBQUERY)
		return false;
	foreach(lc, rte->subquery->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk)
			check_type_output(exprType((Node *) tle->expr), ctx);
	}
	return true;
}

/* The value of the expression is turned into text or JSON. */
static void
check_printed(Node *expr, VolatilityContext *ctx)
{
	Oid			typid = exprType(expr);
	ListCell   *lc;

	/* The type of ROW(...) tells nothing of its columns. */
	if (typid == RECORDOID && IsA(expr, RowExpr))
	{
		foreach(lc, ((RowExpr *) expr)->args)
			check_printed(lfirst(lc), ctx);
	}
	else if (IsA(expr, ArrayExpr))
	{
		foreach(lc, ((ArrayExpr *) expr)->elements)
			check_printed(lfirst(lc), ctx);
	}
	else if (typid != RECORDOID || !IsA(expr, Var) || !check_printed_row((Var *) expr, ctx))
		check_type_output(typid, ctx);
}

static void
refuse_value_function(SQLValueFunction *svf)
{
	const char *name;

	switch (svf->op)
	{
		case SVFOP_CURRENT_DATE:
			name = "CURRENT_DATE";
			break;
		case SVFOP_CURRENT_TIME:
		case SVFOP_CURRENT_TIME_N:
			name = "CURRENT_TIME";
			break;
		case SVFOP_CURRENT_TIMESTAMP:
		case SVFOP_CURRENT_TIMESTAMP_N:
			name = "CURRENT_TIMESTAMP";
			break;
		case SVFOP_LOCALTIME:
		case SVFOP_LOCALTIME_N:
			name = "LOCALTIME";
			break;
		case SVFOP_LOCALTIMESTAMP:
		case SVFOP_LOCALTIMESTAMP_N:
			name = "LOCALTIMESTAMP";
			break;
		case SVFOP_CURRENT_ROLE:
			name = "CURRENT_ROLE";
			break;
		case SVFOP_CURRENT_USER:
			name = "CURRENT_USER";
			break;
		case SVFOP_USER:
			name = "USER";
			break;
		case SVFOP_SESSION_USER:
			name = "SESSION_USER";
			break;
		case SVFOP_CURRENT_CATALOG:
			name = "CURRENT_CATALOG";
			break;
		case SVFOP_CURRENT_SCHEMA:
			name = "CURRENT_SCHEMA";
			break;
		default:
			name = "a value of the session";
			break;
	}
	REFUSE(name, "Its value does not come from the rows of the source: "
		   "use it when reading the sink.");
}

/*
 * An aggregate is as steady as the functions that it is made of; what is
 * declared of the aggregate itself says nothing.
 */
static void
check_aggregate(Oid aggfnoid, VolatilityContext *ctx)
{
	HeapTuple	tuple = SearchSysCache1(AGGFNOID, ObjectIdGetDatum(aggfnoid));
	Form_pg_aggregate agg;
	Oid			functions[2];

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for aggregate %u", aggfnoid);
	agg = (Form_pg_aggregate) GETSTRUCT(tuple);
	functions[0] = agg->aggtransfn;
	functions[1] = agg->aggfinalfn;
	ReleaseSysCache(tuple);

	for (int i = 0; i < lengthof(functions); i++)
	{
		/* json_agg and the like are stable as they print their argument */
		if (OidIsValid(functions[i]) && functions[i] >= FirstNormalObjectId)
			check_function(functions[i], NIL, ctx);
	}
}

static void
check_window_function(Oid winfnoid, VolatilityContext *ctx)
{
	if (get_func_prokind(winfnoid) == PROKIND_AGGREGATE)
		check_aggregate(winfnoid, ctx);
	else
		check_function(winfnoid, NIL, ctx);
}

#if PG_VERSION_NUM >= 160000
/* JSON_OBJECT, JSON_ARRAY, JSON_SCALAR, ... print their arguments. */
static void
check_json_constructor(JsonConstructorExpr *expr, VolatilityContext *ctx)
{
	ListCell   *lc;

	foreach(lc, expr->args)
	{
		if (lfirst(lc) != NULL)
			check_printed(lfirst(lc), ctx);
	}
}
#endif

/* STABLE for the types that they read from the text within JSON. */
static bool
reads_records(Oid funcid)
{
	switch (funcid)
	{
		case F_JSON_POPULATE_RECORD:
		case F_JSON_POPULATE_RECORDSET:
		case F_JSON_TO_RECORD:
		case F_JSON_TO_RECORDSET:
		case F_JSONB_POPULATE_RECORD:
		case F_JSONB_POPULATE_RECORDSET:
		case F_JSONB_TO_RECORD:
		case F_JSONB_TO_RECORDSET:
			return true;
		default:
			return false;
	}
}

/* In FROM, with the list of their columns. */
static bool
check_record_columns(RangeTblFunction *function, VolatilityContext *ctx)
{
	FuncExpr   *call = (FuncExpr *) function->funcexpr;
	ListCell   *lc;

	if (function->funccoltypes == NIL || !IsA(call, FuncExpr) || !reads_records(call->funcid))
		return false;
	foreach(lc, function->funccoltypes)
		check_type_input(lfirst_oid(lc), ctx);
	(void) volatility_walker((Node *) call->args, ctx);
	return true;
}

static bool
check_subquery(Query *query, VolatilityContext *ctx)
{
	ctx->levels = lcons(query, ctx->levels);
	(void) query_tree_walker(query, volatility_walker, (void *) ctx, 0);
	ctx->levels = list_delete_first(ctx->levels);
	return false;
}

/* Parse analysis leaves out the arguments that have defaults. */
static void
check_default_arguments(FuncExpr *call, VolatilityContext *ctx)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(call->funcid));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	if (((Form_pg_proc) GETSTRUCT(tuple))->pronargs > list_length(call->args))
		(void) volatility_walker((Node *) expand_function_arguments(call->args, false,
																	call->funcresulttype, tuple),
								 ctx);
	ReleaseSysCache(tuple);
}

static void
check_call(FuncExpr *call, VolatilityContext *ctx)
{
	if (reads_records(call->funcid) && get_typtype(call->funcresulttype) == TYPTYPE_COMPOSITE)
		check_type_input(call->funcresulttype, ctx);
	else
		check_function(call->funcid, call->args, ctx);
	if (ctx->whole_query)
		check_default_arguments(call, ctx);
}

static bool
volatility_walker(Node *node, VolatilityContext *ctx)
{
	ListCell   *lc;

	if (node == NULL)
		return false;

	switch (nodeTag(node))
	{
		case T_FuncExpr:
			check_call((FuncExpr *) node, ctx);
			break;
		case T_RangeTblFunction:
			if (check_record_columns((RangeTblFunction *) node, ctx))
				return false;
			break;
		case T_OpExpr:
		case T_DistinctExpr:	/* same struct */
		case T_NullIfExpr:		/* same struct */
			set_opfuncid((OpExpr *) node);
			check_function(((OpExpr *) node)->opfuncid, ((OpExpr *) node)->args, ctx);
			break;
		case T_ScalarArrayOpExpr:
			set_sa_opfuncid((ScalarArrayOpExpr *) node);
			check_function(((ScalarArrayOpExpr *) node)->opfuncid, NIL, ctx);
			break;
		case T_RowCompareExpr:
			foreach(lc, ((RowCompareExpr *) node)->opnos)
				check_function(get_opcode(lfirst_oid(lc)), NIL, ctx);
			break;
		case T_CoerceViaIO:
			check_printed((Node *) ((CoerceViaIO *) node)->arg, ctx);
			check_type_input(((CoerceViaIO *) node)->resulttype, ctx);
			break;
		case T_SQLValueFunction:
			refuse_value_function((SQLValueFunction *) node);
			break;
		case T_NextValueExpr:
			REFUSE("function nextval(regclass)", "Number the rows in the source.");
			break;
		case T_XmlExpr:
			REFUSE("an XML expression", "Make the XML when reading the sink.");
			break;
		case T_Param:
			if (!ctx->whole_query || ((Param *) node)->paramkind == PARAM_EXTERN)
				REFUSE("a parameter", "Write the value as a constant.");
			break;
		case T_SubLink:
			if (!ctx->whole_query)
				REFUSE("a subquery", "Read one table.");
			break;
		case T_GroupingFunc:
			if (!ctx->whole_query)
				REFUSE("GROUPING", "Make one sink for each set of keys.");
			break;
		case T_Aggref:
			check_aggregate(((Aggref *) node)->aggfnoid, ctx);
			break;
		case T_WindowFunc:
			check_window_function(((WindowFunc *) node)->winfnoid, ctx);
			break;
		case T_Query:
			return check_subquery((Query *) node, ctx);
#if PG_VERSION_NUM >= 160000
		case T_JsonConstructorExpr:
			check_json_constructor((JsonConstructorExpr *) node, ctx);
			break;
#endif
#if PG_VERSION_NUM >= 170000
		case T_JsonExpr:
			/* This knows jsonpath; the type of the result is read from text. */
			if (contain_mutable_functions(node))
				REFUSE("a JSON query function of changing value",
					   "Use only constants and immutable functions in it.");
			check_type_input(exprType(node), ctx);
			break;
#endif
		default:
			break;
	}
	return expression_tree_walker(node, volatility_walker, (void *) ctx);
}

void
volatility_check(Node *expr, List **settings_functions_seen)
{
	VolatilityContext ctx = {0};

	ctx.settings_functions = settings_functions_seen;
	(void) volatility_walker(expr, &ctx);
}

void
volatility_check_query(Query *query, List **settings_functions_seen)
{
	VolatilityContext ctx = {0};

	ctx.settings_functions = settings_functions_seen;
	ctx.whole_query = true;
	(void) volatility_walker((Node *) query, &ctx);
}
