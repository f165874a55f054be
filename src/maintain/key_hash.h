/*-------------------------------------------------------------------------
 *
 * key_hash.h
 *		Hash functions for keys of every type that can be grouped by.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_HASH_H
#define FRESHET_KEY_HASH_H

#include "postgres.h"

#include "fmgr.h"

/* Has the type a hash function of PostgreSQL's that goes with the equality? */
extern bool key_hash_is_built_in(Oid type, Oid eqop);

/* A function of one argument for values of the type, in the current context. */
extern void key_hash_prepare(Oid type, Oid eqop, FmgrInfo *finfo);

#endif							/* FRESHET_KEY_HASH_H */
