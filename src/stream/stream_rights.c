/*-------------------------------------------------------------------------
 *
 * stream_rights.c
 *		May a consumer of the change stream read a relation?
 *
 * Changes are decoded under the catalogues of their time; rights are those of
 * now.  What has been revoked since must not be read, and a consumer that was
 * refused must be able to go on, from the change at which it stopped, once it
 * has been granted what it lacked.  The functions of the server that check
 * rights go by the caches, which are those of the change's time here.  So
 * roles, memberships and grants are read from the catalogues, under a snapshot
 * of the present.
 *
 * That is slow, and done once for a relation, until the server tells that
 * grants or roles have changed; see stream_filter.c.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_auth_members.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "stream_rights.h"

/* A scan of a catalogue for one OID, under a snapshot of the present. */
typedef struct PresentScan
{
	Relation	rel;
	Snapshot	snapshot;
	SysScanDesc scan;
} PresentScan;

static void
begin_scan(PresentScan *scan, Oid catalog, Oid index, AttrNumber attno, Oid value)
{
	ScanKeyData key;

	scan->rel = table_open(catalog, AccessShareLock);
	scan->snapshot = RegisterSnapshot(GetNonHistoricCatalogSnapshot(catalog));
	ScanKeyInit(&key, attno, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	scan->scan = systable_beginscan(scan->rel, index, true, scan->snapshot, 1, &key);
}

static void
end_scan(PresentScan *scan)
{
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	table_close(scan->rel, AccessShareLock);
}

/* A copy of the one row, or NULL. */
static HeapTuple
read_row(Oid catalog, Oid index, AttrNumber attno, Oid value)
{
	PresentScan scan;
	HeapTuple	tup;

	begin_scan(&scan, catalog, index, attno, value);
	tup = heap_copytuple(systable_getnext(scan.scan));
	end_scan(&scan);
	return tup;
}

/* A list of grants, detoasted, or NULL. */
static Acl *
get_acl(PresentScan *scan, HeapTuple tup, AttrNumber attno)
{
	bool		isnull;
	Datum		acl = heap_getattr(tup, attno, RelationGetDescr(scan->rel), &isnull);

	return isnull ? NULL : DatumGetAclPCopy(acl);
}

/*
 * Roles
 */

#if PG_VERSION_NUM < 160000
/* since 16 it is a matter of each membership */
static bool
role_inherits(Oid roleid)
{
	HeapTuple	tup = read_row(AuthIdRelationId, AuthIdOidIndexId, Anum_pg_authid_oid, roleid);

	return HeapTupleIsValid(tup) && ((Form_pg_authid) GETSTRUCT(tup))->rolinherit;
}
#endif

static bool
owns_database(Oid roleid)
{
	HeapTuple	tup = read_row(DatabaseRelationId, DatabaseOidIndexId, Anum_pg_database_oid,
							   MyDatabaseId);

	return HeapTupleIsValid(tup) && ((Form_pg_database) GETSTRUCT(tup))->datdba == roleid;
}

/* The roles whose rights a role has: itself, and those that it inherits from. */
static List *
roles_of(Oid roleid)
{
	List	   *roles = list_make1_oid(roleid);

	/* the list grows while it is read */
	for (int i = 0; i < list_length(roles); i++)
	{
		Oid			member = list_nth_oid(roles, i);
		PresentScan scan;
		HeapTuple	tup;

		if (owns_database(member))
			roles = list_append_unique_oid(roles, ROLE_PG_DATABASE_OWNER);
#if PG_VERSION_NUM < 160000
		if (!role_inherits(member))
			continue;
#endif
		begin_scan(&scan, AuthMemRelationId, AuthMemMemRoleIndexId, Anum_pg_auth_members_member,
				   member);
		while (HeapTupleIsValid(tup = systable_getnext(scan.scan)))
		{
			Form_pg_auth_members form = (Form_pg_auth_members) GETSTRUCT(tup);

#if PG_VERSION_NUM >= 160000
			if (!form->inherit_option)
				continue;
#endif
			roles = list_append_unique_oid(roles, form->roleid);
		}
		end_scan(&scan);
	}
	return roles;
}

/*
 * Grants
 */

static bool
acl_allows(const Acl *acl, List *roles)
{
	const AclItem *items = ACL_DAT(acl);

	for (int i = 0; i < ACL_NUM(acl); i++)
	{
		if ((ACLITEM_GET_PRIVS(items[i]) & ACL_SELECT) != 0 &&
			(items[i].ai_grantee == ACL_ID_PUBLIC ||
			 list_member_oid(roles, items[i].ai_grantee)))
			return true;
	}
	return false;
}

/* Is each of the columns granted? */
static bool
columns_allowed(Oid relid, Bitmapset *attnos, List *roles)
{
	PresentScan scan;
	HeapTuple	tup;
	int			allowed = 0;

	begin_scan(&scan, AttributeRelationId, AttributeRelidNumIndexId, Anum_pg_attribute_attrelid,
			   relid);
	while (HeapTupleIsValid(tup = systable_getnext(scan.scan)))
	{
		Form_pg_attribute att = (Form_pg_attribute) GETSTRUCT(tup);
		Acl		   *acl;

		if (att->attnum <= 0 || !bms_is_member(att->attnum, attnos))
			continue;
		acl = get_acl(&scan, tup, Anum_pg_attribute_attacl);
		if (acl != NULL && acl_allows(acl, roles))
			allowed++;
	}
	end_scan(&scan);
	return allowed > 0 && allowed == bms_num_members(attnos);
}

static ReadRight
right_on(Form_pg_class class, const Acl *acl, Bitmapset *attnos, List *roles, bool bypass)
{
	if (acl == NULL)
		acl = acldefault(OBJECT_TABLE, class->relowner);
	if (!acl_allows(acl, roles) && !list_member_oid(roles, ROLE_PG_READ_ALL_DATA) &&
		(attnos == NULL || !columns_allowed(class->oid, attnos, roles)))
		return NO_SELECT;
	if (class->relrowsecurity && !bypass &&
		(class->relforcerowsecurity || !list_member_oid(roles, class->relowner)))
		return ROWS_HIDDEN;
	return MAY_READ;
}

ReadRight
stream_read_right(Oid relid, Bitmapset *attnos)
{
	Oid			roleid = GetUserId();
	HeapTuple	role;
	HeapTuple	tup;
	PresentScan scan;
	ReadRight	result;
	bool		bypass;

	/* one that is kept could be older than what has been revoked */
	InvalidateCatalogSnapshot();
	role = read_row(AuthIdRelationId, AuthIdOidIndexId, Anum_pg_authid_oid, roleid);
	if (!HeapTupleIsValid(role))
		return NO_SELECT;
	if (((Form_pg_authid) GETSTRUCT(role))->rolsuper)
		return MAY_READ;
	bypass = ((Form_pg_authid) GETSTRUCT(role))->rolbypassrls;

	begin_scan(&scan, RelationRelationId, ClassOidIndexId, Anum_pg_class_oid, relid);
	tup = heap_copytuple(systable_getnext(scan.scan));
	/* a relation that is gone is judged by its row of then */
	if (!HeapTupleIsValid(tup))
		tup = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(relid));
	if (HeapTupleIsValid(tup))
		result = right_on((Form_pg_class) GETSTRUCT(tup),
						  get_acl(&scan, tup, Anum_pg_class_relacl), attnos, roles_of(roleid),
						  bypass);
	else
		result = NO_SELECT;
	end_scan(&scan);
	return result;
}
