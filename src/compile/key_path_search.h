/*-------------------------------------------------------------------------
 *
 * key_path_search.h
 *		How a changed row leads to the keys that it affects.
 *
 * For analyze_keyed.c alone.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_PATH_SEARCH_H
#define FRESHET_KEY_PATH_SEARCH_H

#include "postgres.h"

#include "utils/typcache.h"

#include "keyed_scopes.h"

/* An output column that can be followed to the tables. */
typedef struct KeyCandidate
{
	int			column;
	Node	   *expr;
	TypeCacheEntry *type;
} KeyCandidate;

/*
 * All paths from an occurrence to these columns (List of KeyCandidate *), List of
 * KeyPath *, over the tables' columns; NIL if one is missing.
 */
extern List *key_paths_find(const ScopeTree *tree, int start, List *candidates);

#endif							/* FRESHET_KEY_PATH_SEARCH_H */
