/*-------------------------------------------------------------------------
 *
 * source_check.c
 *		What a table must be to serve as a source: kind, rights, identity.
 *
 * Tables are opened with AccessShareLock, which is kept until the end of the
 * transaction: the analysis holds for as long.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/syscache.h"

#include "definition.h"
#include "source_check.h"

#define REFUSE_SOURCE(rel, what, hint) \
	ereport(ERROR, \
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED), \
			 errmsg("\"%s\" cannot be a source of a sink", RelationGetRelationName(rel)), \
			 errdetail("%s", (what)), \
			 errhint("%s", (hint))))

/* What is asked of every table, of a partition as of its root. */
static void
check_storage(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			REFUSE_SOURCE(rel, "It is a view.", "Write the query over the view's table.");
			break;
		case RELKIND_MATVIEW:
			REFUSE_SOURCE(rel, "It is a materialized view, which is refreshed as a whole.",
						  "Make a sink of its query and use that.");
			break;
		case RELKIND_FOREIGN_TABLE:
			REFUSE_SOURCE(rel, "It is a foreign table: its changes are not in this server's log.",
						  "Make the sink on the server that has the table.");
			break;
		default:
			REFUSE_SOURCE(rel, "It is not a table.", "Use an ordinary or partitioned table.");
	}

	/* A partitioned root has no storage; its leaves are checked one by one. */
	switch (rel->rd_rel->relpersistence)
	{
		case RELPERSISTENCE_TEMP:
			REFUSE_SOURCE(rel, "It is a temporary table, which is not logged.",
						  "Use a permanent table.");
			break;
		case RELPERSISTENCE_UNLOGGED:
			REFUSE_SOURCE(rel, "It is an unlogged table.",
						  "Use ALTER TABLE ... SET LOGGED.");
			break;
	}
}

static void
check_place(Relation rel)
{
	Oid			nspid = RelationGetNamespace(rel);

	/* initdb's tables: the catalogues and information_schema */
	if (RelationGetRelid(rel) < FirstNormalObjectId || IsToastNamespace(nspid))
		REFUSE_SOURCE(rel, "It is a system table.", "Use a table of your own.");
	if (nspid == get_namespace_oid(FRESHET_SCHEMA, true) ||
		nspid == get_namespace_oid(FRESHET_DEF_SCHEMA, true))
		REFUSE_SOURCE(rel, "It is a table of freshet itself.", "Use a table of your own.");
}

static void
check_partitions(Relation root)
{
	List	   *relids = find_all_inheritors(RelationGetRelid(root), AccessShareLock, NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = table_open(lfirst_oid(lc), NoLock);

		check_storage(rel);
		table_close(rel, NoLock);
	}
}

void
source_check_stages(const Query *query)
{
	Oid			nspid = get_namespace_oid(FRESHET_STAGE_SCHEMA, true);
	List	   *relids = NIL;
	ListCell   *lc;

	definition_relations(copyObject((Query *) query), &relids, NULL);
	foreach(lc, relids)
	{
		Relation	rel;

		if (get_rel_namespace(lfirst_oid(lc)) != nspid)
			continue;
		rel = relation_open(lfirst_oid(lc), AccessShareLock);
		REFUSE_SOURCE(rel, "It is a table of freshet itself.", "Use a table of your own.");
	}
}

void
source_check_kind(Relation rel, bool inh)
{
	check_storage(rel);
	check_place(rel);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		if (!inh)
			REFUSE_SOURCE(rel, "ONLY of a partitioned table has no rows.", "Leave ONLY out.");
		check_partitions(rel);
	}
	else if (inh && rel->rd_rel->relhassubclass &&
			 find_inheritance_children(RelationGetRelid(rel), AccessShareLock) != NIL)
		REFUSE_SOURCE(rel, "Other tables inherit from it.",
					  "Write ONLY before its name, or use a partitioned table.");
}

/* May userid read the columns that the plan uses? */
static bool
may_select(const SourceUse *source, Oid userid)
{
	int			attno = -1;

	if (pg_class_aclcheck(source->relid, userid, ACL_SELECT) == ACLCHECK_OK)
		return true;

	/* As in a query: to count rows, any column will do. */
	if (bms_is_empty(source->used_attrs))
		return pg_attribute_aclcheck_all(source->relid, userid, ACL_SELECT,
										 ACLMASK_ANY) == ACLCHECK_OK;

	while ((attno = bms_next_member(source->used_attrs, attno)) >= 0)
	{
		if (pg_attribute_aclcheck(source->relid, (AttrNumber) attno, userid,
								  ACL_SELECT) != ACLCHECK_OK)
			return false;
	}
	return true;
}

void
source_check_rights(const SourceUse *source, Oid userid)
{
	Relation	rel = relation_open(source->relid, AccessShareLock);

	if (!may_select(source, userid))
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(rel->rd_rel->relkind),
					   RelationGetRelationName(rel));

	/* The log has all rows, whatever the policies say. */
	if (check_enable_rls(source->relid, userid, true) == RLS_ENABLED)
		REFUSE_SOURCE(rel,
					  psprintf("Row-level security is in force on it for the user \"%s\".",
							   GetUserNameFromId(userid, false)),
					  "Let a role own the sink that row-level security does not apply to.");
	relation_close(rel, NoLock);
}

static void
check_source(const SourceUse *source)
{
	Relation	rel = table_open(source->relid, AccessShareLock);

	/* The query's ONLY was checked when the plan was made. */
	source_check_kind(rel, rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE);
	table_close(rel, NoLock);
}

void
source_check_all(const SinkPlan *plan, Oid userid)
{
	for (int i = 0; i < plan->nsources; i++)
	{
		check_source(&plan->sources[i]);
		/* the executor checks them whenever a query is run */
		if (!plan_runs_query(plan) && !plan->through_views)
			source_check_rights(&plan->sources[i], userid);
	}
}

/*
 * Are the columns needed of a source among these of rel (the source, or a
 * partition whose columns may have other numbers; numbers as in relcache bitmaps)?
 */
static bool
columns_cover(Oid source, Relation rel, const Bitmapset *attrs, const Bitmapset *columns)
{
	int			attno = -1;

	while ((attno = bms_next_member(attrs, attno)) >= 0)
	{
		AttrNumber	number = (AttrNumber) attno;

		if (RelationGetRelid(rel) != source)
		{
			char	   *name = get_attname(source, number, true);

			number = name == NULL ? InvalidAttrNumber :
				get_attnum(RelationGetRelid(rel), name);
		}
		if (number == InvalidAttrNumber ||
			!bms_is_member(number - FirstLowInvalidHeapAttributeNumber, columns))
			return false;
	}
	return true;
}

/* Does the replica identity of rel give the old values of the columns needed? */
static bool
identity_suffices(Oid source, Relation rel, const Bitmapset *attrs)
{
	Bitmapset  *columns;
	bool		result;

	if (rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL)
		return true;

	/* Without an index, a DELETE carries no old row at all. */
	if (!OidIsValid(RelationGetReplicaIndex(rel)))
		return false;

	columns = RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	result = columns_cover(source, rel, attrs, columns);
	bms_free(columns);
	return result;
}

/*
 * A partitioned table never has changes of its own, so its identity does not
 * count for the result.  It is listed nevertheless: an index identity of the
 * root is handed down to new partitions.  FULL is not; a partition that is
 * added later needs it set by hand (or by freshet, when it notices).
 */
static bool
source_identity_suffices(const SourceUse *use, List **insufficient)
{
	Relation	source = table_open(use->relid, AccessShareLock);
	List	   *relids = list_make1_oid(use->relid);
	bool		result = true;
	ListCell   *lc;

	if (source->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(use->relid, AccessShareLock, NULL);

	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);
		Relation	rel = relid == use->relid ? source : table_open(relid, NoLock);

		if (!identity_suffices(use->relid, rel, use->identity_attrs))
		{
			if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
				result = false;
			if (insufficient != NULL)
				*insufficient = lappend_oid(*insufficient, relid);
		}
		if (rel != source)
			table_close(rel, NoLock);
	}
	table_close(source, NoLock);
	return result;
}

/*
 * The columns by which the log would tell the rows of a table, under a replica
 * identity that it has not; false if it would not.
 */
static bool
other_identity(Relation rel, char identity, Oid indexid, Bitmapset **columns)
{
	bool		found = false;
	ListCell   *lc;

	if (identity != REPLICA_IDENTITY_DEFAULT && identity != REPLICA_IDENTITY_INDEX)
		return false;
	foreach(lc, RelationGetIndexList(rel))
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		Form_pg_index form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_index) GETSTRUCT(tuple);
		if (!found && form->indisvalid && form->indimmediate &&
			(identity == REPLICA_IDENTITY_DEFAULT ? form->indisprimary :
			 form->indexrelid == indexid))
		{
			for (int i = 0; i < form->indnkeyatts; i++)
				*columns = bms_add_member(*columns, form->indkey.values[i] -
										  FirstLowInvalidHeapAttributeNumber);
			found = true;
		}
		ReleaseSysCache(tuple);
	}
	return found;
}

bool
source_needs_more(const SinkPlan *plan, Oid relid, char identity, Oid indexid)
{
	Relation	rel = table_open(relid, NoLock);
	List	   *ancestors = rel->rd_rel->relispartition ? get_partition_ancestors(relid) : NIL;
	Bitmapset  *columns = NULL;
	bool		found = other_identity(rel, identity, indexid, &columns);
	bool		result = false;

	/* that a row has changed is all that a query needs which is run */
	for (int i = 0; !result && plan->shape != SHAPE_REFRESH && i < plan->nsources; i++)
	{
		const SourceUse *use = &plan->sources[i];

		if (use->relid == relid || list_member_oid(ancestors, use->relid))
			result = !found || !columns_cover(use->relid, rel, use->identity_attrs, columns);
	}
	bms_free(columns);
	table_close(rel, NoLock);
	return result;
}

bool
source_identities_suffice(const SinkPlan *plan, List **insufficient)
{
	bool		result = true;

	if (insufficient != NULL)
		*insufficient = NIL;
	if (plan->shape == SHAPE_REFRESH)
		return true;			/* that a row has changed is all it needs */
	for (int i = 0; i < plan->nsources; i++)
		result &= source_identity_suffices(&plan->sources[i], insufficient);
	return result;
}
