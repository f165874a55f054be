/*-------------------------------------------------------------------------
 *
 * key_cache.c
 *		A small cache from the bits of keys to groups, before the hash table.
 *
 * Changes come in clusters: the windows of the last minutes, the users of the
 * day.  Looking a group up in a TupleHashTable calls a hash and an equality
 * function per key; this cache copies the keys' bits into an image and
 * compares images.  Values with the same bits are equal whatever the type's
 * equality is, so a hit is right; a miss says nothing, and the table decides.
 *
 * Direct-mapped: an image has one place, and takes it from the one before.
 * Images longer than fits, and values out of line or compressed, are not
 * cached.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "utils/lsyscache.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "group_table.h"
#include "key_cache.h"

#define CACHE_SIZE		8192	/* a power of two */
#define MAX_IMAGE		52

typedef struct CacheEntry
{
	void	   *group;			/* NULL: empty */
	uint8		len;
	char		image[MAX_IMAGE];
} CacheEntry;

struct KeyCache
{
	int			nkeys;			/* without those that others imply */
	int		   *keys;			/* their numbers */
	int16	   *typlens;
	bool	   *byval;

	/* of the last search; len 0: cannot be cached */
	char		image[MAX_IMAGE];
	int			len;
	uint32		hash;

	CacheEntry	entries[CACHE_SIZE];
};

KeyCache *
key_cache_create(const DeltaPlan *plan)
{
	KeyCache   *cache = palloc0(sizeof(KeyCache));

	cache->keys = palloc(plan->nkeys * sizeof(int));
	cache->typlens = palloc(plan->nkeys * sizeof(int16));
	cache->byval = palloc(plan->nkeys * sizeof(bool));
	for (int i = 0; i < plan->nkeys; i++)
	{
		int			n = cache->nkeys;

		if (group_key_is_implied(plan, i))
			continue;
		cache->keys[n] = i;
		get_typlenbyval(plan->keys[i].type, &cache->typlens[n], &cache->byval[n]);
		cache->nkeys++;
	}
	return cache;
}

/*
 * Each key is a byte that tells null, length or kind, and the value's bytes;
 * so two images are the same only if all keys are.
 */
static inline bool
make_image(KeyCache *cache, const Datum *keys, const bool *nulls)
{
	char	   *p = cache->image;
	char	   *end = cache->image + MAX_IMAGE;

	for (int i = 0; i < cache->nkeys; i++)
	{
		Datum		key = keys[cache->keys[i]];
		const char *data;
		Size		len;

		if (p >= end)
			return false;
		if (nulls[cache->keys[i]])
		{
			*p++ = (char) 0xff;
			continue;
		}
		if (cache->byval[i])
		{
			data = (const char *) &key;
			len = sizeof(Datum);
		}
		else if (cache->typlens[i] > 0)
		{
			data = DatumGetPointer(key);
			len = cache->typlens[i];
		}
		else if (cache->typlens[i] == -1 && !VARATT_IS_EXTENDED(DatumGetPointer(key)))
		{
			data = VARDATA(DatumGetPointer(key));
			len = VARSIZE(DatumGetPointer(key)) - VARHDRSZ;
		}
		else if (cache->typlens[i] == -1 && VARATT_IS_SHORT(DatumGetPointer(key)))
		{
			data = VARDATA_SHORT(DatumGetPointer(key));
			len = VARSIZE_SHORT(DatumGetPointer(key)) - VARHDRSZ_SHORT;
		}
		else
			return false;

		if (len >= end - p)
			return false;
		*p++ = (char) len;
		memcpy(p, data, len);
		p += len;
	}
	cache->len = p - cache->image;
	return true;
}

/* A good spread of short images is all that is wanted of it. */
static inline uint32
image_hash(const KeyCache *cache)
{
	uint64		hash = cache->len;
	int			i;

	for (i = 0; i + 8 <= cache->len; i += 8)
	{
		uint64		word;

		memcpy(&word, cache->image + i, 8);
		hash = (hash ^ word) * UINT64CONST(0x9E3779B97F4A7C15);
		hash ^= hash >> 32;
	}
	for (; i < cache->len; i++)
		hash = (hash ^ (unsigned char) cache->image[i]) * UINT64CONST(0x100000001B3);
	return (uint32) (hash ^ (hash >> 29));
}

void *
key_cache_find(KeyCache *cache, const Datum *keys, const bool *nulls)
{
	CacheEntry *entry;

	if (!make_image(cache, keys, nulls))
	{
		cache->len = 0;
		return NULL;
	}
	cache->hash = image_hash(cache);
	entry = &cache->entries[cache->hash & (CACHE_SIZE - 1)];
	if (entry->group != NULL && entry->len == cache->len &&
		memcmp(entry->image, cache->image, cache->len) == 0)
		return entry->group;
	return NULL;
}

void
key_cache_store(KeyCache *cache, void *group)
{
	CacheEntry *entry;

	if (cache->len == 0)
		return;
	entry = &cache->entries[cache->hash & (CACHE_SIZE - 1)];
	entry->group = group;
	entry->len = cache->len;
	memcpy(entry->image, cache->image, cache->len);
}

void
key_cache_reset(KeyCache *cache)
{
	for (int i = 0; i < CACHE_SIZE; i++)
		cache->entries[i].group = NULL;
}
