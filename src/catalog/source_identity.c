/*-------------------------------------------------------------------------
 *
 * source_identity.c
 *		The replica identities that freshet has set to FULL, and setting them back.
 *
 * A sink may need old values of its sources that the log has only under REPLICA
 * IDENTITY FULL, which costs the writers of a table log.  So what freshet sets it
 * sets back when no sink needs it any more: freshet.source_identity has a row for
 * each such table, with what there was.  Nothing is set back that somebody has
 * changed since: a row is void if the table is not FULL any more, and it is deleted
 * when a command says what the replica identity is to be, be it FULL.
 *
 * A row is written and deleted under the lock that ALTER TABLE takes for it, ACCESS
 * EXCLUSIVE on its table, so no two change it at once.
 *
 * An index is noted by its name, which a dump carries and REINDEX CONCURRENTLY
 * leaves, and by its OID, should it be renamed.
 *
 * With FULL a table can be updated whatever publications it is in.  If somebody
 * has come to rely on that, setting it back would fail his writers, and is left.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/names.h"
#include "base/subtransaction.h"
#include "sink_catalog.h"
#include "source_identity.h"

/* Attribute numbers; freshet--0.1.sql makes the table. */
enum
{
	ANUM_RELID = 1,
	ANUM_IDENTITY,
	ANUM_INDEX_NAME,
	ANUM_INDEX_RELID = SOURCE_IDENTITY_NATTS
};

static char
identity_of(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	char		result = '\0';

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_class) GETSTRUCT(tuple))->relreplident;
		ReleaseSysCache(tuple);
	}
	return result;
}

bool
source_identity_is_full(Oid relid)
{
	return identity_of(relid) == REPLICA_IDENTITY_FULL;
}

/* The index that is marked as the replica identity, or InvalidOid. */
static Oid
identity_index(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);
	Oid			result = InvalidOid;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		if (get_index_isreplident(lfirst_oid(lc)))
			result = lfirst_oid(lc);
	}
	table_close(rel, NoLock);
	return result;
}

static void
remember(Oid relid, char identity, Oid index)
{
	Relation	rel = sink_catalog_open("source_identity", SOURCE_IDENTITY_NATTS, RowExclusiveLock);
	Datum		values[SOURCE_IDENTITY_NATTS] = {0};
	bool		nulls[SOURCE_IDENTITY_NATTS] = {0};
	NameData	name;

	values[ANUM_RELID - 1] = ObjectIdGetDatum(relid);
	values[ANUM_IDENTITY - 1] = CharGetDatum(identity);
	nulls[ANUM_INDEX_NAME - 1] = nulls[ANUM_INDEX_RELID - 1] = !OidIsValid(index);
	if (OidIsValid(index))
	{
		namestrcpy(&name, get_rel_name(index));
		values[ANUM_INDEX_NAME - 1] = NameGetDatum(&name);
		values[ANUM_INDEX_RELID - 1] = ObjectIdGetDatum(index);
	}
	CatalogTupleInsert(rel, heap_form_tuple(RelationGetDescr(rel), values, nulls));
	CommandCounterIncrement();
	table_close(rel, NoLock);
}

void
source_identity_set_full(Oid relid)
{
	char		identity;
	Oid			index = InvalidOid;

	/* taken before it is looked at, as the owner's command that follows will */
	LockRelationOid(relid, AccessExclusiveLock);
	identity = identity_of(relid);
	if (identity == REPLICA_IDENTITY_FULL)
		return;
	if (identity == REPLICA_IDENTITY_INDEX)
		index = identity_index(relid);
	/* sink_ddl.c has this command forget what was noted before */
	names_run(psprintf("ALTER TABLE %s REPLICA IDENTITY FULL", names_relation(relid)));
	source_identity_forget(relid);
	remember(relid, identity, index);
}

void
source_identity_forget(Oid relid)
{
	Relation	rel = sink_catalog_open("source_identity", SOURCE_IDENTITY_NATTS, RowExclusiveLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	bool		isnull;
	bool		found = false;

	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		found = DatumGetObjectId(heap_getattr(tuple, ANUM_RELID, RelationGetDescr(rel),
											  &isnull)) == relid;
		if (found)
			CatalogTupleDelete(rel, &tuple->t_self);
	}
	systable_endscan(scan);
	if (found)
		CommandCounterIncrement();
	table_close(rel, NoLock);
}

/* By its name, else by its OID; it must still be one of the table. */
static Oid
find_index(Oid relid, Datum name, Oid index)
{
	Oid			found = get_relname_relid(NameStr(*DatumGetName(name)),
										  get_rel_namespace(relid));

	if (OidIsValid(found) && IndexGetRelation(found, true) == relid)
		return found;
	return IndexGetRelation(index, true) == relid ? index : InvalidOid;
}

List *
source_identity_list(void)
{
	Oid			nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	List	   *result = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(nsp) || !OidIsValid(get_relname_relid("source_identity", nsp)))
		return NIL;
	rel = sink_catalog_open("source_identity", SOURCE_IDENTITY_NATTS, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		SourceIdentity *identity = palloc0(sizeof(SourceIdentity));
		TupleDesc	desc = RelationGetDescr(rel);
		bool		isnull;
		Datum		name = heap_getattr(tuple, ANUM_INDEX_NAME, desc, &isnull);

		identity->relid = DatumGetObjectId(heap_getattr(tuple, ANUM_RELID, desc, &isnull));
		identity->identity = DatumGetChar(heap_getattr(tuple, ANUM_IDENTITY, desc, &isnull));
		if (identity->identity == REPLICA_IDENTITY_INDEX)
		{
			Datum		index = heap_getattr(tuple, ANUM_INDEX_RELID, desc, &isnull);

			if (!isnull)
				identity->index = find_index(identity->relid, name, DatumGetObjectId(index));
		}
		result = lappend(result, identity);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return result;
}

static void
alter_identity(const SourceIdentity *identity)
{
	ReplicaIdentityStmt *stmt = makeNode(ReplicaIdentityStmt);
	AlterTableCmd *cmd = makeNode(AlterTableCmd);

	stmt->identity_type = identity->identity;
	if (OidIsValid(identity->index))
		stmt->name = get_rel_name(identity->index);
	cmd->subtype = AT_ReplicaIdentity;
	cmd->def = (Node *) stmt;
	AlterTableInternal(identity->relid, list_make1(cmd), false);
	CommandCounterIncrement();
}

/* What an UPDATE and a DELETE would say. */
static void
check_writable(Oid relid)
{
	Relation	rel = table_open(relid, NoLock);

	/* a partitioned table is not written itself */
	if (rel->rd_rel->relkind == RELKIND_RELATION)
	{
		CheckCmdReplicaIdentity(rel, CMD_UPDATE);
		CheckCmdReplicaIdentity(rel, CMD_DELETE);
	}
	table_close(rel, NoLock);
}

/* As the bootstrap superuser, since the table can be another's than the sink was. */
static bool
set_back(void *arg)
{
	const SourceIdentity *identity = arg;
	Oid			save_userid;
	int			save_sec_context;

	GetUserIdAndSecContext(&save_userid, &save_sec_context);
	SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID,
						   save_sec_context | SECURITY_LOCAL_USERID_CHANGE);
	alter_identity(identity);
	check_writable(identity->relid);
	/* an error's abort takes the user back, too */
	SetUserIdAndSecContext(save_userid, save_sec_context);
	return true;
}

bool
source_identity_set_back(const SourceIdentity *identity, char **why)
{
	ErrorData  *error;

	if (identity->identity == REPLICA_IDENTITY_INDEX && !OidIsValid(identity->index))
	{
		*why = pstrdup("The index that was its replica identity is gone.");
		return false;
	}

	error = subtransaction_try(set_back, unconstify(SourceIdentity *, identity));
	if (error == NULL)
		return true;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	*why = psprintf("Otherwise: %s.", error->message);
	return false;
}
