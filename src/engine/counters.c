/*-------------------------------------------------------------------------
 *
 * counters.c
 *		How many rows each sink has, and how many changes it was brought.
 *
 * The worker has the counters of all sinks in its memory, and stores them in the
 * progress row, in the transaction of the batch.  So they are exact after a crash:
 * what was counted and not stored is decoded again, and counted again.
 *
 * A batch that wrote nothing stores nothing, although it may have counted changes
 * that came to nothing.  So the views take the counters from shared memory, which
 * has places for the FRESHET_MAX_SINK_STATS sinks that had changes last, and from
 * the row for the others.  Of a sink without a place the row must say what is so:
 * a batch that counted for one writes it, and a sink whose counters are not in the
 * row keeps its place.  Places also show what changes in between: rates and fills.
 *
 * Places are given and taken by the worker alone, which may therefore read them
 * without the spinlock; it writes them under it, and readers copy under it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include <math.h>

#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "base/process.h"
#include "catalog/sink.h"
#include "counters.h"

/* Rates are smoothed over so many seconds. */
#define RATE_SECONDS	10.0
#define RATE_VALID_US	((TimestampTz) RATE_SECONDS * USECS_PER_SEC)

typedef struct SinkCounters
{
	Oid			relid;			/* the key */
	bool		stored;			/* the progress row says the same */
	bool		touched;		/* by this batch; before it: */
	int64		rows_before;
	int64		changes_before;
	int64		rows;
	int64		changes;
	double		rate;			/* changes per second */
	TimestampTz rate_at;
	SinkStats  *place;			/* if it still has this relid */
} SinkCounters;

static HTAB *counters = NULL;

/* Those of this batch, as OIDs; in TopMemoryContext. */
static List *touched = NIL;

/* The list of sinks whose counters are kept. */
static uint64 kept_at = 0;

static void
make_table(void)
{
	HASHCTL		ctl = {0};

	if (counters != NULL)
		hash_destroy(counters);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SinkCounters);
	ctl.hcxt = TopMemoryContext;
	counters = hash_create("freshet counters", 64, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static SinkCounters *
find(Oid relid)
{
	return hash_search(counters, &relid, HASH_FIND, NULL);
}

static SinkCounters *
get(Oid relid)
{
	bool		found;
	SinkCounters *entry;

	if (counters == NULL)
		make_table();
	entry = hash_search(counters, &relid, HASH_ENTER, &found);
	if (!found)
	{
		memset(entry, 0, sizeof(SinkCounters));
		entry->relid = relid;
		entry->place = shmem_sink_stats(MyWorkerSlot, relid);
	}
	return entry;
}

/*
 * Places
 */

static bool
is_placed(const SinkCounters *entry)
{
	return entry->place != NULL && entry->place->relid == entry->relid;
}

/* Can it be read of the row as well, and was there nothing to see lately? */
static bool
can_be_taken(const SinkStats *place, TimestampTz now)
{
	const SinkCounters *entry = find(place->relid);

	return place->phase == FILL_NONE && now - place->rate_at > RATE_VALID_US &&
		(entry == NULL || entry->stored);
}

static SinkStats *
find_place(TimestampTz now)
{
	SinkStats  *oldest = NULL;

	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats  *place = &MyWorkerSlot->sinks[i];

		if (!OidIsValid(place->relid))
			return place;
		if (can_be_taken(place, now) && (oldest == NULL || place->rate_at < oldest->rate_at))
			oldest = place;
	}
	return oldest;
}

/* Show the counters in the sink's place, if it has one or there is one. */
static void
show(SinkCounters *entry)
{
	bool		placed = is_placed(entry);
	SinkStats  *place = placed ? entry->place : find_place(GetCurrentTimestamp());

	entry->place = place;
	if (place == NULL)
		return;
	SpinLockAcquire(&MyWorkerSlot->mutex);
	if (!placed)
		memset(place, 0, sizeof(SinkStats));
	place->relid = entry->relid;
	place->rows = entry->rows;
	place->changes = entry->changes;
	place->rate = entry->rate;
	place->rate_at = entry->rate_at;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

static void
free_place(SinkStats *place)
{
	SpinLockAcquire(&MyWorkerSlot->mutex);
	place->relid = InvalidOid;
	SpinLockRelease(&MyWorkerSlot->mutex);
}

SinkStats *
counters_place(Oid relid)
{
	SinkCounters *entry = get(relid);

	if (!is_placed(entry))
		show(entry);
	return entry->place;
}

/*
 * Counting
 */

static SinkCounters *
touch(Oid relid)
{
	SinkCounters *entry = get(relid);

	if (!entry->touched)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

		touched = lappend_oid(touched, relid);
		MemoryContextSwitchTo(oldcontext);
		entry->rows_before = entry->rows;
		entry->changes_before = entry->changes;
		entry->touched = true;
	}
	entry->stored = false;
	return entry;
}

void
counters_add(Oid relid, int64 rows, int64 changes)
{
	SinkCounters *entry = touch(relid);
	TimestampTz now = GetCurrentTimestamp();

	entry->rows += rows;
	entry->changes += changes;
	entry->rate *= exp(-(now - entry->rate_at) / (RATE_SECONDS * USECS_PER_SEC));
	entry->rate += changes / RATE_SECONDS;
	entry->rate_at = now;
	show(entry);
}

void
counters_set_rows(Oid relid, int64 rows)
{
	SinkCounters *entry = touch(relid);

	entry->rows = rows;
	show(entry);
}

void
counters_begin_batch(void)
{
	ListCell   *lc;

	foreach(lc, touched)
	{
		SinkCounters *entry = find(lfirst_oid(lc));

		if (entry != NULL)
			entry->touched = false;
	}
	list_free(touched);
	touched = NIL;
}

void
counters_take_back(void)
{
	HASH_SEQ_STATUS scan;
	SinkCounters *entry;

	if (counters == NULL)
		return;
	hash_seq_init(&scan, counters);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		/* it may have been stored by the batch that came to nothing */
		entry->stored = false;
		if (!entry->touched)
			continue;
		entry->rows = entry->rows_before;
		entry->changes = entry->changes_before;
		show(entry);
	}
	counters_begin_batch();
}

void
counters_keep(List *sinks)
{
	HASH_SEQ_STATUS scan;
	SinkCounters *entry;
	List	   *relids = NIL;
	ListCell   *lc;

	if (counters == NULL || kept_at == sink_list_version())
		return;
	foreach(lc, sinks)
		relids = lappend_oid(relids, ((Sink *) lfirst(lc))->relid);

	hash_seq_init(&scan, counters);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		if (!list_member_oid(relids, entry->relid))
			(void) hash_search(counters, &entry->relid, HASH_REMOVE, NULL);
	}
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats  *place = &MyWorkerSlot->sinks[i];

		if (OidIsValid(place->relid) && !list_member_oid(relids, place->relid))
			free_place(place);
	}
	list_free(relids);
	kept_at = sink_list_version();
}

/*
 * The progress row
 */

void
counters_load(int n, const Oid *relids, const int64 *rows, const int64 *changes)
{
	list_free(touched);
	touched = NIL;
	kept_at = 0;
	make_table();
	for (int i = 0; i < n; i++)
	{
		SinkCounters *entry = get(relids[i]);

		entry->rows = rows[i];
		entry->changes = changes[i];
		entry->stored = true;
	}
	/* what a worker before this one has shown, and what there is a place for */
	for (int i = 0; i < FRESHET_MAX_SINK_STATS; i++)
	{
		SinkStats  *place = &MyWorkerSlot->sinks[i];

		if (OidIsValid(place->relid))
			show(get(place->relid));
	}
	for (int i = 0; i < n; i++)
		show(find(relids[i]));
}

bool
counters_must_be_stored(void)
{
	ListCell   *lc;

	foreach(lc, touched)
	{
		const SinkCounters *entry = find(lfirst_oid(lc));

		if (entry != NULL && !entry->stored && !is_placed(entry))
			return true;
	}
	return false;
}

int
counters_count(void)
{
	return counters == NULL ? 0 : (int) hash_get_num_entries(counters);
}

void
counters_store(Oid *relids, int64 *rows, int64 *changes)
{
	HASH_SEQ_STATUS scan;
	SinkCounters *entry;
	int			n = 0;

	if (counters == NULL)
		return;
	hash_seq_init(&scan, counters);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		relids[n] = entry->relid;
		rows[n] = entry->rows;
		changes[n] = entry->changes;
		entry->stored = true;
		n++;
	}
}
