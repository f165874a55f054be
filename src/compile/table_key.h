/*-------------------------------------------------------------------------
 *
 * table_key.h
 *		The keys by which the rows of a table are told apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_TABLE_KEY_H
#define FRESHET_TABLE_KEY_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * All keys of a table, the best first, each an integer list of attribute
 * numbers in the order of the key's index.
 */
extern List *table_keys(Relation rel);

#endif							/* FRESHET_TABLE_KEY_H */
