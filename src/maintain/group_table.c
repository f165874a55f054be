/*-------------------------------------------------------------------------
 *
 * group_table.c
 *		Hash tables by keys: those of a plan, or others.
 *
 * PostgreSQL groups by types that have no hash function too, by sorting; for
 * these key_hash.c has one.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "utils/lsyscache.h"

#include "group_table.h"
#include "key_hash.h"

bool
group_key_is_implied(int nkeys, const KeySpec *keys, int i)
{
	if (keys[i].expr == NULL || !plan_is_window_column(keys[i].expr, 2))
		return false;
	for (int k = 0; k < nkeys; k++)
	{
		if (plan_is_window_column(keys[k].expr, 1))
			return true;
	}
	return false;
}

void
group_table_create(GroupTable *groups, int nkeys, const KeySpec *keys, Size size,
				   MemoryContext table_context, MemoryContext entry_context,
				   MemoryContext scratch_context)
{
	int			n = nkeys;
	int			ncompared = 0;
	Oid		   *eqfuncs = palloc(n * sizeof(Oid));
	FmgrInfo   *hashfuncs = palloc0(n * sizeof(FmgrInfo));
	Oid		   *collations = palloc(n * sizeof(Oid));
	AttrNumber *columns = palloc(n * sizeof(AttrNumber));
	TupleDesc	desc = CreateTemplateTupleDesc(n);

	for (int i = 0; i < n; i++)
	{
		const KeySpec *key = &keys[i];

		TupleDescInitEntry(desc, i + 1, NULL, key->type, key->typmod, 0);
		TupleDescInitEntryCollation(desc, i + 1, key->collation);
		if (group_key_is_implied(nkeys, keys, i))
			continue;
		columns[ncompared] = i + 1;
		collations[ncompared] = key->collation;
		eqfuncs[ncompared] = get_opcode(key->eqop);
		key_hash_prepare(key->type, key->eqop, &hashfuncs[ncompared]);
		ncompared++;
	}

	groups->key_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	groups->stored_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	groups->table = freshet_build_hash_table(desc, &TTSOpsVirtual, ncompared, columns, eqfuncs,
											 hashfuncs, collations, 1024, size,
											 table_context, entry_context, scratch_context);
}
