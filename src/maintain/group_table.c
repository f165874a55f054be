/*-------------------------------------------------------------------------
 *
 * group_table.c
 *		Hash tables by keys: those of a plan, or others.
 *
 * PostgreSQL groups by types that have no hash function too, by sorting.  For
 * the few of them that are built in there is one here; all values of any
 * other such type get the same hash, which is right, and slow if there are
 * many groups that differ in nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/executor.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/varbit.h"

#include "group_table.h"

/* Bit strings are equal if they have the same bits: the padding is zero. */
static Datum
hash_bits(PG_FUNCTION_ARGS)
{
	VarBit	   *bits = PG_GETARG_VARBIT_P(0);
	uint32		hash = hash_bytes((const unsigned char *) VARBITS(bits), VARBITBYTES(bits));

	PG_FREE_IF_COPY(bits, 0);
	PG_RETURN_UINT32(hash);
}

static Datum
hash_nothing(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32(0);
}

static void
prepare_hash_function(const KeySpec *key, FmgrInfo *finfo)
{
	Oid			hashfunc;
	Oid			right_hashfunc;

	if (get_op_hash_functions(key->eqop, &hashfunc, &right_hashfunc))
	{
		fmgr_info(hashfunc, finfo);
		return;
	}

	switch (getBaseType(key->type))
	{
		case CASHOID:
			fmgr_info(F_HASHINT8, finfo);
			return;
		case BITOID:
		case VARBITOID:
			fmgr_info(F_HASHINT8, finfo);
			finfo->fn_addr = hash_bits;
			return;
		default:
			fmgr_info(F_HASHINT8, finfo);
			finfo->fn_addr = hash_nothing;
			return;
	}
}

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
		prepare_hash_function(key, &hashfuncs[ncompared]);
		ncompared++;
	}

	groups->key_slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	groups->stored_slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	groups->table = freshet_build_hash_table(desc, &TTSOpsVirtual, ncompared, columns, eqfuncs,
											 hashfuncs, collations, 1024, size,
											 table_context, entry_context, scratch_context);
}
