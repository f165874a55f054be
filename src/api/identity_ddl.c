/*-------------------------------------------------------------------------
 *
 * identity_ddl.c
 *		Commands, and the replica identities that freshet has set.
 *
 * ALTER TABLE ... REPLICA IDENTITY takes the matter into its own hands: freshet
 * has nothing to set back any more (catalog/source_identity.c).
 *
 * As long as freshet is there, the worker sets back what no sink needs.  DROP
 * EXTENSION (or DROP OWNED) takes along what it goes by; so the session does it, with
 * the command's own end, when no sink can need it.  It has locks by then, and writers wait behind
 * a request of ACCESS EXCLUSIVE: it asks for each table but for moments, and tells
 * of those that it did not get.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/lsyscache.h"

#include "base/names.h"
#include "base/process.h"
#include "catalog/source_identity.h"
#include "identity_ddl.h"

#define LOCK_MS			20
#define LOCK_ATTEMPTS	10
#define PAUSE_US		10000

/* Can the command drop the extension? */
static bool
may_drop_freshet(Node *command)
{
	return (IsA(command, DropOwnedStmt) ||
			(IsA(command, DropStmt) &&
			 ((DropStmt *) command)->removeType == OBJECT_EXTENSION)) &&
		OidIsValid(get_extension_oid(FRESHET_EXTENSION, true));
}

List *
identity_ddl_before(Node *command)
{
	return may_drop_freshet(command) ? source_identity_list() : NIL;
}

void
identity_ddl_after(Node *command)
{
	AlterTableStmt *stmt = (AlterTableStmt *) command;
	ListCell   *lc;

	if (!IsA(command, AlterTableStmt))
		return;
	foreach(lc, stmt->cmds)
	{
		Oid			relid;

		if (lfirst_node(AlterTableCmd, lc)->subtype != AT_ReplicaIdentity)
			continue;
		relid = RangeVarGetRelid(stmt->relation, NoLock, true);
		if (OidIsValid(relid))
			source_identity_forget(relid);
	}
}

static bool
lock_table(Oid relid)
{
	for (int i = 0; i < LOCK_ATTEMPTS; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (process_lock_briefly(relid, AccessExclusiveLock, LOCK_MS))
			return true;
		pg_usleep(PAUSE_US);
	}
	return false;
}

static void
set_back(const SourceIdentity *identity)
{
	char	   *why = "The table was in use.";

	if (!source_identity_is_full(identity->relid))
		return;
	if (lock_table(identity->relid) &&
		(!source_identity_is_full(identity->relid) || source_identity_set_back(identity, &why)))
		return;
	ereport(WARNING,
			(errmsg("replica identity of table %s stays FULL", names_relation(identity->relid)),
			 errdetail("%s", why),
			 errhint("freshet had set it; ALTER TABLE ... REPLICA IDENTITY sets another one.")));
}

void
identity_ddl_set_back(List *identities)
{
	ListCell   *lc;

	if (identities == NIL || OidIsValid(get_extension_oid(FRESHET_EXTENSION, true)))
		return;
	foreach(lc, identities)
		set_back(lfirst(lc));
}
