/*-------------------------------------------------------------------------
 *
 * row_hash.h
 *		A hash of the images of a row's values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ROW_HASH_H
#define FRESHET_ROW_HASH_H

#include "postgres.h"

#include "access/tupdesc.h"

/*
 * Of the n columns of desc from number "first" on; values and nulls begin
 * with the first of them.  Values out of line are fetched into the current
 * memory context.
 */
extern uint64 row_hash(TupleDesc desc, int first, int n, const Datum *values, const bool *nulls);

/* Are the values of these columns the same, byte by byte?  As above. */
extern bool row_image_eq(TupleDesc desc, int first, int n, const Datum *values1,
						 const bool *nulls1, const Datum *values2, const bool *nulls2);

#endif							/* FRESHET_ROW_HASH_H */
