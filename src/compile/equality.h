/*-------------------------------------------------------------------------
 *
 * equality.h
 *		Can values that are equal look different?
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EQUALITY_H
#define FRESHET_EQUALITY_H

#include "postgres.h"

/* As the equality operator sees them; false only if it is known that they cannot. */
extern bool equality_is_loose(Oid type, int32 typmod, Oid collation, Oid eqop);

#endif							/* FRESHET_EQUALITY_H */
