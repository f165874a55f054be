/*-------------------------------------------------------------------------
 *
 * key_cache.c
 *		A cache from the bits of keys to groups, before the hash table.
 *
 * Looking a group up in a TupleHashTable calls a hash and an equality function
 * per key; this cache copies the keys' bits into an image and compares images.
 * Values with the same bits are equal whatever the type's equality is, so a
 * hit is right; a miss says nothing, and the table decides.
 *
 * An entry is a hash and a pointer; the image is in the group itself, whose
 * memory is needed next anyway, so that the cache is small and a search costs
 * little more than the group.  An entry may be at its place or the few after
 * it; if all are taken it takes the first, and the one there is looked up in
 * the table again when it comes.  The cache grows with the number of groups up
 * to MAX_ENTRIES.  Images longer than KEY_IMAGE_MAX, and values out of line or
 * compressed, are not cached.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/lsyscache.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "group_table.h"
#include "key_cache.h"

#define MIN_ENTRIES		1024	/* powers of two */
#define MAX_ENTRIES		(1 << 20)
#define PROBES			8

typedef struct CacheEntry
{
	KeyImage   *group;			/* NULL: empty */
	uint32		hash;
} CacheEntry;

struct KeyCache
{
	int			nkeys;			/* without those that others imply */
	int		   *keys;			/* their numbers */
	int16	   *typlens;
	bool	   *byval;

	/* of the last search; len 0: cannot be cached */
	const char *image;			/* the value, or buffer */
	int			len;
	uint32		hash;
	char		buffer[KEY_IMAGE_MAX];

	MemoryContext context;		/* of the entries */
	CacheEntry *entries;		/* PROBES - 1 more than size */
	uint32		size;
	uint32		used;
};

static void
make_entries(KeyCache *cache, uint32 size)
{
	cache->size = size;
	cache->used = 0;
	cache->entries = MemoryContextAllocExtended(cache->context,
												(size + PROBES - 1) * sizeof(CacheEntry),
												MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

KeyCache *
key_cache_create(const SinkPlan *plan)
{
	KeyCache   *cache = palloc0(sizeof(KeyCache));

	cache->keys = palloc(plan->nkeys * sizeof(int));
	cache->typlens = palloc(plan->nkeys * sizeof(int16));
	cache->byval = palloc(plan->nkeys * sizeof(bool));
	for (int i = 0; i < plan->nkeys; i++)
	{
		int			n = cache->nkeys;

		if (group_key_is_implied(plan->nkeys, plan->keys, i))
			continue;
		cache->keys[n] = i;
		get_typlenbyval(plan->keys[i].type, &cache->typlens[n], &cache->byval[n]);
		cache->nkeys++;
	}

	cache->context = CurrentMemoryContext;
	make_entries(cache, MIN_ENTRIES);
	return cache;
}

/* The bytes of a value that is not null; false if it cannot be cached. */
static inline bool
value_bytes(const Datum *key, int16 typlen, bool byval, const char **data, Size *len)
{
	struct varlena *value;

	if (byval)
	{
		*data = (const char *) key;
		*len = sizeof(Datum);
		return true;
	}
	if (typlen > 0)
	{
		*data = DatumGetPointer(*key);
		*len = typlen;
		return true;
	}
	if (typlen != -1)
		return false;

	value = (struct varlena *) DatumGetPointer(*key);
	if (VARATT_IS_EXTERNAL(value) || VARATT_IS_COMPRESSED(value))
		return false;
	*data = VARDATA_ANY(value);
	*len = VARSIZE_ANY_EXHDR(value);
	return true;
}

/*
 * The image of several keys: of each a byte that tells its length, or that it
 * is null, and the bytes; so two images are the same only if all keys are.
 */
static bool
make_image(KeyCache *cache, const Datum *keys, const bool *nulls)
{
	char	   *p = cache->buffer;
	char	   *end = cache->buffer + KEY_IMAGE_MAX;

	for (int i = 0; i < cache->nkeys; i++)
	{
		int			k = cache->keys[i];
		const char *data;
		Size		len;

		if (p >= end)
			return false;
		if (nulls[k])
		{
			*p++ = (char) 0xff;
			continue;
		}
		if (!value_bytes(&keys[k], cache->typlens[i], cache->byval[i], &data, &len) ||
			len >= end - p)
			return false;
		*p++ = (char) len;
		memcpy(p, data, len);
		p += len;
	}
	cache->image = cache->buffer;
	cache->len = p - cache->buffer;
	return true;
}

/* The image of a single key is the value itself, where it is. */
static inline bool
find_image(KeyCache *cache, const Datum *keys, const bool *nulls)
{
	Size		len;

	if (cache->nkeys != 1)
		return make_image(cache, keys, nulls);
	if (nulls[cache->keys[0]] ||
		!value_bytes(&keys[cache->keys[0]], cache->typlens[0], cache->byval[0],
					 &cache->image, &len) ||
		len == 0 || len > KEY_IMAGE_MAX)
		return false;
	cache->len = len;
	return true;
}

/* A good spread of short images is all that is wanted of it. */
static inline uint32
image_hash(const KeyCache *cache)
{
	const char *p = cache->image;
	int			len = cache->len;
	uint64		hash = len;
	uint64		word;

	for (; len >= 8; p += 8, len -= 8)
	{
		memcpy(&word, p, 8);
		hash = (hash ^ word) * UINT64CONST(0x9E3779B97F4A7C15);
		hash ^= hash >> 32;
	}
	if (len > 0)
	{
		word = 0;
		for (int i = 0; i < len; i++)
			word = word << 8 | (unsigned char) p[i];
		hash = (hash ^ word) * UINT64CONST(0x9E3779B97F4A7C15);
	}
	return (uint32) (hash ^ (hash >> 32));
}

KeyImage *
key_cache_find(KeyCache *cache, const Datum *keys, const bool *nulls)
{
	CacheEntry *entry;

	Assert(cache->nkeys > 0);
	if (!find_image(cache, keys, nulls))
	{
		cache->len = 0;
		return NULL;
	}
	cache->hash = image_hash(cache);
	entry = &cache->entries[cache->hash & (cache->size - 1)];
	for (int i = 0; i < PROBES && entry->group != NULL; i++, entry++)
	{
		if (entry->hash == cache->hash && entry->group->len == cache->len &&
			memcmp(entry->group->bytes, cache->image, cache->len) == 0)
			return entry->group;
	}
	return NULL;
}

/* The entry for a hash: one that is empty if possible. */
static CacheEntry *
place_for(KeyCache *cache, uint32 hash)
{
	CacheEntry *first = &cache->entries[hash & (cache->size - 1)];

	for (int i = 0; i < PROBES; i++)
	{
		if (first[i].group == NULL)
		{
			cache->used++;
			return &first[i];
		}
	}
	return first;
}

static void
enlarge_cache(KeyCache *cache)
{
	CacheEntry *old = cache->entries;
	uint32		old_size = cache->size;

	make_entries(cache, old_size * 2);
	for (uint32 i = 0; i < old_size + PROBES - 1; i++)
	{
		if (old[i].group != NULL)
			*place_for(cache, old[i].hash) = old[i];
	}
	pfree(old);
}

void
key_cache_store(KeyCache *cache, KeyImage *group)
{
	CacheEntry *entry;

	if (cache->len == 0)
		return;
	if (cache->used > cache->size / 8 * 5 && cache->size < MAX_ENTRIES)
		enlarge_cache(cache);

	/* the group may have been here with other bits: that entry is void now */
	group->len = cache->len;
	memcpy(group->bytes, cache->image, cache->len);
	entry = place_for(cache, cache->hash);
	entry->group = group;
	entry->hash = cache->hash;
}

void
key_cache_reset(KeyCache *cache)
{
	memset(cache->entries, 0, (cache->size + PROBES - 1) * sizeof(CacheEntry));
	cache->used = 0;
}
