/*-------------------------------------------------------------------------
 *
 * create_wide_view.c
 *		freshet.create_wide_view(): a sink from a root and its lookups.
 *
 * The specification becomes a tree (wide_view_spec.c), the tree a
 * query (wide_view_query.c), and from then on a wide view is made as any other
 * sink, from its query: what is maintained is what the stored definition says,
 * not what was specified.
 *
 * Locks: ACCESS SHARE on all tables, to the end of the transaction; SHARE on
 * those that get an index by create_indexes, as CREATE INDEX takes it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/shmem.h"
#include "catalog/sink.h"
#include "compile/analyze.h"
#include "compile/index_advice.h"
#include "compile/source_check.h"
#include "compile/wide_view_spec.h"
#include "compile/wide_view_query.h"
#include "sink_table.h"

PG_FUNCTION_INFO_V1(freshet_create_wide_view);

static void
check_wide_view_arguments(FunctionCallInfo fcinfo)
{
	static const char *const names[] = {"name", "root", "list of lookups"};

	shmem_require_setup();
	for (int i = 0; i < lengthof(names); i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("the %s of the wide view must not be null", names[i])));
	}
	sink_table_check_call("freshet.create_wide_view()");
}

/* The key's columns are the sink's, beside the document. */
static void
check_root(const WideNode *root)
{
	ListCell   *lc;

	if (root->key == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("root \"%s\" of the wide view has no primary key",
						get_rel_name(root->relid)),
				 errdetail("The key tells one document from another."),
				 errhint("Add a primary key that is not deferrable; a sink has a key if "
						 "its query groups by something, and selects all of that.")));

	foreach(lc, root->key)
	{
		char	   *name = wide_column_name(root, (AttrNumber) lfirst_int(lc));

		if (strcmp(name, WIDE_VIEW_DOCUMENT) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" in the key of the root conflicts with the column of "
							"the document", name),
					 errdetail("A wide view has the key columns of its root, and the document in "
							   "a column \"%s\".", WIDE_VIEW_DOCUMENT),
					 errhint("Rename the column of the root.")));
		if (strncmp(name, FRESHET_COLUMN_PREFIX, strlen(FRESHET_COLUMN_PREFIX)) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME),
					 errmsg("column name \"%s\" is reserved", name),
					 errdetail("Names that begin with \"%s\" are freshet's own.",
							   FRESHET_COLUMN_PREFIX),
					 errhint("If the root is a sink, select what it groups by in its query.")));
	}
}

/*
 * create_wide_view(sink text, root regclass, lookups json, with_data boolean,
 *					create_indexes boolean)
 */
Datum
freshet_create_wide_view(PG_FUNCTION_ARGS)
{
	RangeVar   *rv;
	WideNode   *root;
	Query	   *query;
	SinkPlan   *plan;
	StrategyChoice choice = {0};
	SinkSandbox sandbox;
	bool		with_data = PG_ARGISNULL(3) || PG_GETARG_BOOL(3);
	bool		create_indexes = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);

	check_wide_view_arguments(fcinfo);

	rv = sink_table_target(PG_GETARG_TEXT_PP(0));
	root = wide_spec_parse(PG_GETARG_OID(1), text_to_cstring(PG_GETARG_TEXT_PP(2)));
	check_root(root);
	query = wide_view_query(root);
	sink_enter_analysis_sandbox(&sandbox);
	source_check_stages(query);
	plan = analyze_wide_view(query);
	sink_leave_sandbox(&sandbox);
	source_check_all(plan, GetUserId());
	sink_table_ensure_identity(plan);
	index_advice(plan, create_indexes);

	choice.plan = plan;
	PG_RETURN_OID(sink_table_create(rv, &choice, query, NULL, with_data));
}
