/*-------------------------------------------------------------------------
 *
 * signed_rows.h
 *		Rows with a sign, any number of them, read back with those of a key
 *		together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SIGNED_ROWS_H
#define FRESHET_SIGNED_ROWS_H

#include "postgres.h"

#include "access/tupdesc.h"

#include "compile/plan.h"

typedef struct SignedRows SignedRows;

/*
 * An empty multiset of rows of this description, in the current memory context
 * and for the current transaction.  memory is in kilobytes.  columns: by key,
 * its column.
 */
extern SignedRows *signed_rows_create(TupleDesc desc, int nkeys, const KeySpec *keys,
									  const int *columns, int memory);
extern void signed_rows_destroy(SignedRows *rows);

/* hash is that of the keys.  The values are copied. */
extern void signed_rows_put(SignedRows *rows, uint32 hash, int sign, const Datum *values,
							const bool *nulls);

/* The same by a hash of the images of all columns, for signed_rows_get_net(). */
extern void signed_rows_put_image(SignedRows *rows, int sign, const Datum *values,
								  const bool *nulls);

/* No more rows will be put: from now on they are read. */
extern void signed_rows_sort(SignedRows *rows);

/*
 * The next row; false if there is none.  The values are valid until the next
 * call.
 */
extern bool signed_rows_get(SignedRows *rows, uint32 *hash, int *sign, Datum **values,
							bool **nulls);

/*
 * The next row that differs, byte by byte, from those before, and how often it
 * came more than it went, which is not 0; false if there is none.  Of rows that
 * were put by signed_rows_put_image(); not together with signed_rows_get().
 */
extern bool signed_rows_get_net(SignedRows *rows, int64 *count, Datum **values, bool **nulls);

#endif							/* FRESHET_SIGNED_ROWS_H */
