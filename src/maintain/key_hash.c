/*-------------------------------------------------------------------------
 *
 * key_hash.c
 *		Hash functions for keys of every type that can be grouped by.
 *
 * PostgreSQL groups by types that have no hash function by sorting: money,
 * bit strings, and arrays, composites and ranges that have such a type
 * somewhere inside.  The functions of the latter exist, and fail when they
 * are called; so what counts is what the type cache says of the very type.
 *
 * Here is a function for those: it takes containers apart, and hashes what it
 * finds by PostgreSQL's functions or by two of its own.  What has no hash
 * function anywhere (a user's type with a btree operator class alone) adds
 * nothing; if it is the whole key, all groups get one hash, which is right,
 * and slow if there are many.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"
#include "utils/varbit.h"

#include "key_hash.h"

static uint32 hash_value(Oid type, Oid collation, Datum value);

static uint32
hash_element(uint32 hash, Oid type, Oid collation, Datum value, bool isnull)
{
	return hash_combine(hash, isnull ? 0 : hash_value(type, collation, value));
}

/* Bit strings are equal if they have the same bits: the padding is zero. */
static uint32
hash_bits(Datum value)
{
	VarBit	   *bits = DatumGetVarBitP(value);

	return hash_bytes((const unsigned char *) VARBITS(bits), VARBITBYTES(bits));
}

static uint32
hash_array_elements(Oid collation, Datum value)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	Oid			type = ARR_ELEMTYPE(array);
	uint32		hash = 0;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elems;
	bool	   *nulls;
	int			n;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elems, &nulls, &n);
	for (int i = 0; i < n; i++)
		hash = hash_element(hash, type, collation, elems[i], nulls[i]);
	return hash;
}

static uint32
hash_columns(Datum value)
{
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	HeapTupleData tuple = {0};
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	uint32		hash = 0;

	tuple.t_len = HeapTupleHeaderGetDatumLength(header);
	tuple.t_data = header;
	heap_deform_tuple(&tuple, desc, values, nulls);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			hash = hash_element(hash, att->atttypid, att->attcollation, values[i], nulls[i]);
	}
	ReleaseTupleDesc(desc);
	return hash;
}

static uint32
hash_bounds(TypeCacheEntry *type, Datum value)
{
	Oid			subtype = type->rngelemtype->type_id;
	RangeBound	lower;
	RangeBound	upper;
	bool		empty;
	uint32		hash;

	range_deserialize(type, DatumGetRangeTypeP(value), &lower, &upper, &empty);
	hash = range_get_flags(DatumGetRangeTypeP(value));
	if (empty)
		return hash;
	hash = hash_element(hash, subtype, type->rng_collation, lower.val, lower.infinite);
	return hash_element(hash, subtype, type->rng_collation, upper.val, upper.infinite);
}

static uint32
hash_value(Oid type, Oid collation, Datum value)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(type),
											  TYPECACHE_HASH_PROC_FINFO | TYPECACHE_RANGE_INFO);

	check_stack_depth();
	if (OidIsValid(entry->hash_proc))
		return DatumGetUInt32(FunctionCall1Coll(&entry->hash_proc_finfo, collation, value));
	if (entry->type_id == CASHOID)
		return DatumGetUInt32(DirectFunctionCall1(hashint8, value));
	if (entry->type_id == BITOID || entry->type_id == VARBITOID)
		return hash_bits(value);
	if (entry->typtype == TYPTYPE_RANGE)
		return hash_bounds(entry, value);
	if (entry->typtype == TYPTYPE_COMPOSITE || entry->type_id == RECORDOID)
		return hash_columns(value);
	if (OidIsValid(get_element_type(entry->type_id)))
		return hash_array_elements(collation, value);
	return 0;
}

/* The FmgrInfo's fn_extra is where the OID of the type is kept. */
static Datum
hash_key(PG_FUNCTION_ARGS)
{
	Oid			type = *(Oid *) fcinfo->flinfo->fn_extra;

	PG_RETURN_UINT32(hash_value(type, PG_GET_COLLATION(), PG_GETARG_DATUM(0)));
}

bool
key_hash_is_built_in(Oid type, Oid eqop)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(type),
											  TYPECACHE_EQ_OPR | TYPECACHE_HASH_PROC);
	Oid			hashfunc;
	Oid			right_hashfunc;

	if (entry->eq_opr == eqop)
		return OidIsValid(entry->hash_proc);
	return get_op_hash_functions(eqop, &hashfunc, &right_hashfunc) &&
		op_hashjoinable(eqop, type);
}

void
key_hash_prepare(Oid type, Oid eqop, FmgrInfo *finfo)
{
	Oid			hashfunc;
	Oid			right_hashfunc;
	Oid		   *extra;

	if (key_hash_is_built_in(type, eqop) &&
		get_op_hash_functions(eqop, &hashfunc, &right_hashfunc))
	{
		fmgr_info(hashfunc, finfo);
		return;
	}

	/* some function of one argument and no state, but for its address */
	fmgr_info(F_HASHINT8, finfo);
	extra = palloc(sizeof(Oid));
	*extra = type;
	finfo->fn_addr = hash_key;
	finfo->fn_extra = extra;
}
