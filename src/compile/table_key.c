/*-------------------------------------------------------------------------
 *
 * table_key.c
 *		The keys by which the rows of a table are told apart.
 *
 * A key is the primary key, or else (a table that is a sink has none) a
 * unique index under which NULLs are equal or can't occur.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "commands/defrem.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "table_key.h"

/*
 * Is the index one that makes rows unique at all times, as equality of the
 * columns' types and collations sees it?  (A deferrable one does not: within a
 * transaction, two rows can have one key, and the second change of that key
 * would undo the first.)
 */
static bool
makes_unique(Relation rel, HeapTuple tuple)
{
	Form_pg_index index = (Form_pg_index) GETSTRUCT(tuple);
	oidvector  *opclasses;
	oidvector  *collations;
	bool		isnull;
	int			i;

	if (!index->indisunique || !index->indisvalid || !index->indimmediate ||
		!heap_attisnull(tuple, Anum_pg_index_indpred, NULL))
		return false;

	opclasses = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															  Anum_pg_index_indclass, &isnull));
	collations = (oidvector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															   Anum_pg_index_indcollation,
															   &isnull));
	for (i = 0; i < index->indnkeyatts; i++)
	{
		AttrNumber	attno = index->indkey.values[i];
		Form_pg_attribute att;

		if (attno <= 0)
			return false;		/* an expression */
		att = TupleDescAttr(RelationGetDescr(rel), attno - 1);
		if (!att->attnotnull && !index->indnullsnotdistinct)
			return false;
		if (collations->values[i] != att->attcollation ||
			opclasses->values[i] != GetDefaultOpClass(att->atttypid, BTREE_AM_OID))
			return false;
	}
	return true;
}

/* The primary key, if it is one that serves, then the others in OID order. */
List *
table_keys(Relation rel)
{
	List	   *keys = NIL;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Oid			indexid = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
		Form_pg_index index;
		List	   *key = NIL;

		if (!HeapTupleIsValid(tuple))
			elog(ERROR, "cache lookup failed for index %u", indexid);
		index = (Form_pg_index) GETSTRUCT(tuple);
		if (makes_unique(rel, tuple))
		{
			for (int i = 0; i < index->indnkeyatts; i++)
				key = lappend_int(key, index->indkey.values[i]);
			keys = index->indisprimary ? lcons(key, keys) : lappend(keys, key);
		}
		ReleaseSysCache(tuple);
	}
	return keys;
}
