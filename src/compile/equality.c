/*-------------------------------------------------------------------------
 *
 * equality.c
 *		Can values that are equal look different?
 *
 * Of most types they cannot, and PostgreSQL knows it: where the operator
 * class has the support function by which btree indexes decide whether equal
 * keys may be stored once.  Containers have none; they are as their elements.
 * char(n) has one that serves an index, whose values are all of one length;
 * without a length, trailing blanks are part of the look.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/nbtree.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "equality.h"

static bool type_is_loose(Oid type, int32 typmod, Oid collation);

static bool
columns_are_loose(Oid type)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(type, -1);
	bool		loose = false;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			loose |= type_is_loose(att->atttypid, att->atttypmod, att->attcollation);
	}
	ReleaseTupleDesc(desc);
	return loose;
}

static bool
has_equal_images(TypeCacheEntry *entry, Oid collation)
{
	Oid			function = OidIsValid(entry->btree_opf) ?
		get_opfamily_proc(entry->btree_opf, entry->btree_opintype, entry->btree_opintype,
						  BTEQUALIMAGE_PROC) : InvalidOid;

	return OidIsValid(function) &&
		DatumGetBool(OidFunctionCall1Coll(function, collation,
										  ObjectIdGetDatum(entry->btree_opintype)));
}

static bool
type_is_loose(Oid type, int32 typmod, Oid collation)
{
	Oid			base = getBaseTypeAndTypmod(type, &typmod);
	TypeCacheEntry *entry = lookup_type_cache(base, TYPECACHE_EQ_OPR | TYPECACHE_BTREE_OPFAMILY |
											  TYPECACHE_RANGE_INFO);
	Oid			element;

	check_stack_depth();
	if (base == BPCHAROID && typmod < 0)
		return true;
	if (entry->typtype == TYPTYPE_RANGE)
		return type_is_loose(entry->rngelemtype->type_id, -1, entry->rng_collation);
	if (entry->typtype == TYPTYPE_COMPOSITE)
		return columns_are_loose(base);
	element = get_element_type(base);
	if (OidIsValid(element))
		return type_is_loose(element, typmod, collation);
	return !has_equal_images(entry, collation);
}

bool
equality_is_loose(Oid type, int32 typmod, Oid collation, Oid eqop)
{
	TypeCacheEntry *entry = lookup_type_cache(getBaseType(type), TYPECACHE_EQ_OPR);

	return entry->eq_opr != eqop || type_is_loose(type, typmod, collation);
}
