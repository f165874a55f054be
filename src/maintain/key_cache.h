/*-------------------------------------------------------------------------
 *
 * key_cache.h
 *		A cache from the bits of keys to groups, before the hash table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_KEY_CACHE_H
#define FRESHET_KEY_CACHE_H

#include "postgres.h"

#include "compile/plan.h"

typedef struct KeyCache KeyCache;

#define KEY_IMAGE_MAX	38

/* What a group begins with; the cache's own. */
typedef struct KeyImage
{
	uint8		len;
	char		bytes[KEY_IMAGE_MAX];
} KeyImage;

/* In the current memory context.  Groups are the caller's. */
extern KeyCache *key_cache_create(const SinkPlan *plan);

/*
 * The group that key_cache_store() got for keys with the same bits, or NULL.
 * Keys of different bits may still be equal.
 */
extern KeyImage *key_cache_find(KeyCache *cache, const Datum *keys, const bool *nulls);

/* Note the group of the keys that were just not found, which are still there. */
extern void key_cache_store(KeyCache *cache, KeyImage *group);

/* Forget all groups. */
extern void key_cache_reset(KeyCache *cache);

#endif							/* FRESHET_KEY_CACHE_H */
