/*-------------------------------------------------------------------------
 *
 * key_variants.h
 *		Keys that are equal and look different.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_VARIANTS_H
#define FRESHET_KEY_VARIANTS_H

#include "postgres.h"

#include "lib/stringinfo.h"

#include "compile/plan.h"

/* The keys of a plan whose values can look different; made once a batch. */
typedef struct VariantKeys
{
	int			n;
	int		   *keys;			/* their numbers */
	int16	   *typlens;
	bool	   *byval;
	StringInfoData image;
} VariantKeys;

/* Of one group; in the memory context of the groups. */
typedef struct KeyVariants KeyVariants;

/* NULL if there is no such key.  In the current memory context. */
extern VariantKeys *variant_keys_create(const SinkPlan *plan);

/* Count a row with these keys; values are by the plan's keys. */
extern void key_variants_count(VariantKeys *keys, KeyVariants **variants, const Datum *values,
							   const bool *nulls, int sign);
/* Show this one, if a row of the group has it. */
extern void key_variants_prefer(VariantKeys *keys, KeyVariants *variants, const Datum *values,
								const bool *nulls);
/* Is it unknown which one a row of the group, with so many rows, has? */
extern bool key_variants_are_stale(const KeyVariants *variants, int64 rows);
/* To count all rows of the group anew. */
extern void key_variants_forget(KeyVariants **variants);

/* Replace values by those of the variant to show, in the current memory context. */
extern void key_variants_show(const VariantKeys *keys, const KeyVariants *variants,
							  Datum *values, bool *nulls);

extern void key_variants_serialize(const KeyVariants *variants, StringInfo buf);
extern KeyVariants *key_variants_deserialize(const VariantKeys *keys, StringInfo buf);

#endif							/* FRESHET_KEY_VARIANTS_H */
