/*-------------------------------------------------------------------------
 *
 * key_looks.h
 *		A definition rewritten to show all looks of its groups' keys.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_LOOKS_H
#define FRESHET_KEY_LOOKS_H

#include "postgres.h"

#include "nodes/bitmapset.h"

#include "compile/plan.h"

/*
 * The output columns of a rollup that are made of keys alone, as members from 0
 * on; NULL if no key can look different from one that it is equal to.
 */
extern Bitmapset *key_looks_columns(const SinkPlan *plan);

/* Is the value of this one of them a matter of how the keys look? */
extern bool key_looks_decide(const SinkPlan *plan, int column);

/* The definition without its groups: these columns, for every row. */
extern char *key_looks_definition(Oid viewid, const Bitmapset *columns);

#endif							/* FRESHET_KEY_LOOKS_H */
