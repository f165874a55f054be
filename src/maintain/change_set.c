/*-------------------------------------------------------------------------
 *
 * change_set.c
 *		Lists of old and new rows per relation, in memory or spilled to disk.
 *
 * A change set belongs to one batch or to one transaction that is held back
 * for a later one, and so may outlive a database transaction: it has a memory
 * context of its own under TopMemoryContext, and its temporary files belong
 * to no resource owner.  Each set is therefore on a list of this file, and
 * change_set_destroy_all() is the one way out after an error.
 *
 * A list is a sequence of chunks, filled front to back.  When the memory of
 * all sets together passes half of freshet.work_mem, all chunks of the largest
 * list that is not being read go to its temporary file; they are read back in
 * order, one at a time.  Nothing is ever changed or removed, so reading is
 * repeatable: each sink that needs the list iterates over it anew.
 *
 * Chunks of the largest size come from a small pool and go back to it: under
 * load, a batch after another, returning the memory and getting it again
 * would cost more than copying the rows.
 *
 * A row is stored as its heap tuple, headers included, so that adding one
 * costs a copy and reading one nothing.  Values stored out of line have been
 * made inline by the caller.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/guc.h"
#include "change_set.h"

#define MIN_CHUNK_SIZE		((Size) 8192)
#define MAX_CHUNK_SIZE		((Size) 262144)
#define POOL_CHUNKS			16

typedef struct Chunk
{
	char	   *data;
	Size		size;
	Size		used;
} Chunk;

struct ChangeList
{
	Oid			relid;
	MemoryContext context;
	int64		count;
	bool		unknown;
	bool		truncated;
	int			readers;		/* iterators: chunks must stay where they are */
	List	   *layouts;		/* ChangeLayout *: those of its changes, the
								 * latest first */

	Chunk	   *chunks;			/* in memory, after those in the file */
	int			nchunks;
	int			max_chunks;
	Size		memory;			/* of the chunks in memory */

	BufFile    *file;
	int			nfile_chunks;
	Size		max_file_chunk;
	Size		spilled;		/* of the chunks in the file */

	/* write position at the end of the file */
	int			end_fileno;
	off_t		end_offset;
};

/* Before each change in a chunk; the tuples follow, MAXALIGNed. */
typedef struct ChangeHeader
{
	ChangeLayout *layout;
	uint32		old_len;		/* 0: none */
	uint32		new_len;
	ChangeKind	kind;
} ChangeHeader;

/* The layouts of the rows of a relation. */
typedef struct RelationLayouts
{
	Oid			relid;			/* hash key */
	List	   *layouts;		/* ChangeLayout * */
} RelationLayouts;

/* Made with the first layout. */
static MemoryContext layout_context = NULL;
static HTAB *relation_layouts = NULL;

/* Those that nobody uses, and how many are worth a sweep. */
static int	unused_layouts = 0;

#define SWEEP_LAYOUTS	16

static List *all_sets = NIL;
static List *unclosed_files = NIL;	/* BufFile * */
static uint64 last_serial = 0;
static Size memory_used = 0;

/* Unused chunks of MAX_CHUNK_SIZE, in TopMemoryContext. */
static char *pool[POOL_CHUNKS];
static int	npool = 0;

static char *
alloc_chunk(ChangeList *list, Size size)
{
	if (size == MAX_CHUNK_SIZE)
		return npool > 0 ? pool[--npool] : MemoryContextAlloc(TopMemoryContext, size);
	return MemoryContextAllocHuge(list->context, size);
}

static void
free_chunk(Chunk *chunk)
{
	if (chunk->size == MAX_CHUNK_SIZE && npool < POOL_CHUNKS)
		pool[npool++] = chunk->data;
	else
		pfree(chunk->data);
}

/*
 * Closing writes what is still in memory, and on a full disk that fails.  It is
 * called by the handler of such an error, which must not raise another; so the
 * file waits until others have been closed.
 */
static void
close_file(BufFile *file)
{
	MemoryContext oldcontext = CurrentMemoryContext;

	PG_TRY();
	{
		BufFileClose(file);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(TopMemoryContext);
		FlushErrorState();
		unclosed_files = lappend(unclosed_files, file);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(oldcontext);
}

static void
close_left_files(void)
{
	List	   *files = unclosed_files;
	ListCell   *lc;

	unclosed_files = NIL;
	foreach(lc, files)
		close_file(lfirst(lc));
	list_free(files);
}

ChangeSet *
change_set_create(void)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext, "freshet change set",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	ChangeSet  *set = MemoryContextAllocZero(context, sizeof(ChangeSet));

	set->serial = ++last_serial;
	set->context = context;
	all_sets = lappend(all_sets, set);
	MemoryContextSwitchTo(oldcontext);
	return set;
}

void
change_set_destroy(ChangeSet *set)
{
	ListCell   *lc;

	all_sets = list_delete_ptr(all_sets, set);
	foreach(lc, set->lists)
	{
		ChangeList *list = lfirst(lc);
		ListCell   *lc2;

		foreach(lc2, list->layouts)
			change_layout_let_go(lfirst(lc2));
		memory_used -= list->memory;
		for (int i = 0; i < list->nchunks; i++)
			free_chunk(&list->chunks[i]);
		if (list->file != NULL)
			close_file(list->file);
	}
	MemoryContextDelete(set->context);
}

List *
change_set_relids(const ChangeSet *set)
{
	List	   *relids = NIL;
	ListCell   *lc;

	foreach(lc, set->lists)
		relids = lappend_oid(relids, ((ChangeList *) lfirst(lc))->relid);
	return relids;
}

void
change_set_end_reading(ChangeSet *set)
{
	ListCell   *lc;

	foreach(lc, set->lists)
		((ChangeList *) lfirst(lc))->readers = 0;
}

void
change_set_destroy_all(void)
{
	while (all_sets != NIL)
		change_set_destroy(linitial(all_sets));
	close_left_files();
	memory_used = 0;
	if (layout_context != NULL)
		MemoryContextDelete(layout_context);
	layout_context = NULL;
	relation_layouts = NULL;
	unused_layouts = 0;
}

static RelationLayouts *
layouts_of(Oid relid)
{
	RelationLayouts *entry;
	bool		found;

	if (layout_context == NULL)
		layout_context = AllocSetContextCreate(TopMemoryContext, "freshet layouts",
											   ALLOCSET_DEFAULT_SIZES);
	if (relation_layouts == NULL)
	{
		HASHCTL		ctl;

		ctl.keysize = sizeof(Oid);
		ctl.entrysize = sizeof(RelationLayouts);
		ctl.hcxt = layout_context;
		relation_layouts = hash_create("freshet layouts", 64, &ctl,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	entry = hash_search(relation_layouts, &relid, HASH_ENTER, &found);
	if (!found)
		entry->layouts = NIL;
	return entry;
}

ChangeLayout *
change_layout(Oid relid, TupleDesc desc, bool identity_full, const Bitmapset *identity_attrs)
{
	RelationLayouts *entry = layouts_of(relid);
	ChangeLayout *layout;
	MemoryContext oldcontext;
	ListCell   *lc;

	foreach(lc, entry->layouts)
	{
		layout = lfirst(lc);
		if (layout->identity_full == identity_full &&
			bms_equal(layout->identity_attrs, identity_attrs) &&
			equalTupleDescs(layout->desc, desc))
			return layout;
	}

	oldcontext = MemoryContextSwitchTo(layout_context);
	layout = palloc0(sizeof(ChangeLayout));
	unused_layouts++;
	layout->desc = CreateTupleDescCopyConstr(desc);
	layout->relid = relid;
	layout->identity_full = identity_full;
	layout->identity_attrs = bms_copy(identity_attrs);
	entry->layouts = lappend(entry->layouts, layout);
	MemoryContextSwitchTo(oldcontext);
	return layout;
}

void
change_layout_keep(ChangeLayout *layout)
{
	if (layout->uses++ == 0)
		unused_layouts--;
}

void
change_layout_let_go(ChangeLayout *layout)
{
	Assert(layout->uses > 0);
	if (--layout->uses == 0)
		unused_layouts++;
}

static void
sweep_layouts_of(RelationLayouts *entry)
{
	ListCell   *lc;

	foreach(lc, entry->layouts)
	{
		ChangeLayout *layout = lfirst(lc);

		if (layout->uses > 0)
			continue;
		entry->layouts = foreach_delete_current(entry->layouts, lc);
		FreeTupleDesc(layout->desc);
		bms_free(layout->identity_attrs);
		pfree(layout);
	}
}

void
change_layouts_sweep(void)
{
	HASH_SEQ_STATUS seq;
	RelationLayouts *entry;

	if (unused_layouts < SWEEP_LAYOUTS)
		return;
	hash_seq_init(&seq, relation_layouts);
	while ((entry = hash_seq_search(&seq)) != NULL)
	{
		sweep_layouts_of(entry);
		if (entry->layouts == NIL)
			(void) hash_search(relation_layouts, &entry->relid, HASH_REMOVE, NULL);
	}
	unused_layouts = 0;
}

/* The list has changes of this layout. */
static void
use_layout(ChangeList *list, ChangeLayout *layout)
{
	MemoryContext oldcontext;

	if (list->layouts != NIL && linitial(list->layouts) == layout)
		return;
	oldcontext = MemoryContextSwitchTo(list->context);
	if (list_member_ptr(list->layouts, layout))
		list->layouts = list_delete_ptr(list->layouts, layout);
	else
		change_layout_keep(layout);
	list->layouts = lcons(layout, list->layouts);
	MemoryContextSwitchTo(oldcontext);
}

Size
change_set_size(const ChangeSet *set)
{
	Size		size = 0;
	ListCell   *lc;

	foreach(lc, set->lists)
	{
		ChangeList *list = lfirst(lc);

		size += list->memory + list->spilled;
	}
	return size;
}

ChangeList *
change_set_get_list(ChangeSet *set, Oid relid, bool create)
{
	MemoryContext oldcontext;
	ChangeList *list;
	ListCell   *lc;

	foreach(lc, set->lists)
	{
		list = lfirst(lc);
		if (list->relid == relid)
			return list;
	}
	if (!create)
		return NULL;

	oldcontext = MemoryContextSwitchTo(set->context);
	list = palloc0(sizeof(ChangeList));
	list->relid = relid;
	list->context = set->context;
	set->lists = lappend(set->lists, list);
	MemoryContextSwitchTo(oldcontext);
	return list;
}

List *
change_sets_get_lists(List *sets, Oid relid)
{
	List	   *lists = NIL;
	ListCell   *lc;

	foreach(lc, sets)
	{
		ChangeList *list = change_set_get_list(lfirst(lc), relid, false);

		if (list != NULL)
			lists = lappend(lists, list);
	}
	return lists;
}

/* Write the chunks of a list to its file and free them. */
static void
spill_list(ChangeList *list)
{
	/* the file may outlive the list: see close_file() */
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);

	if (list->file == NULL)
		list->file = BufFileCreateTemp(true);
	else if (BufFileSeek(list->file, list->end_fileno, list->end_offset, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not seek in the temporary file of a change set: %m")));

	for (int i = 0; i < list->nchunks; i++)
	{
		Chunk	   *chunk = &list->chunks[i];

		BufFileWrite(list->file, &chunk->used, sizeof(chunk->used));
		BufFileWrite(list->file, chunk->data, chunk->used);
		list->max_file_chunk = Max(list->max_file_chunk, chunk->used);
	}
	BufFileTell(list->file, &list->end_fileno, &list->end_offset);

	/* not before: the disk may be full, and then they are still the list's */
	for (int i = 0; i < list->nchunks; i++)
		free_chunk(&list->chunks[i]);

	list->nfile_chunks += list->nchunks;
	list->spilled += list->memory;
	list->nchunks = 0;
	memory_used -= list->memory;
	list->memory = 0;
	MemoryContextSwitchTo(oldcontext);
}

static void
spill_largest(void)
{
	ChangeList *largest = NULL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, all_sets)
	{
		ChangeSet  *set = lfirst(lc);

		foreach(lc2, set->lists)
		{
			ChangeList *list = lfirst(lc2);

			if (list->readers == 0 &&
				(largest == NULL || list->memory > largest->memory))
				largest = list;
		}
	}
	if (largest != NULL && largest->nchunks > 0)
		spill_list(largest);
}

/* A chunk with room for len bytes, last of the list. */
static Chunk *
extend_list(ChangeList *list, Size len)
{
	Size		size = MIN_CHUNK_SIZE;
	Chunk	   *chunk;

	/* half of the memory is left to the groups */
	if (memory_used > (Size) freshet_work_mem * 1024 / 2)
		spill_largest();

	if (list->nchunks > 0)
		size = Min(list->chunks[list->nchunks - 1].size * 2, MAX_CHUNK_SIZE);
	else if (list->nfile_chunks > 0)
		size = MAX_CHUNK_SIZE;
	size = Max(size, len);

	if (list->nchunks == list->max_chunks)
	{
		list->max_chunks = Max(8, list->max_chunks * 2);
		if (list->chunks == NULL)
			list->chunks = MemoryContextAlloc(list->context, list->max_chunks * sizeof(Chunk));
		else
			list->chunks = repalloc(list->chunks, list->max_chunks * sizeof(Chunk));
	}

	chunk = &list->chunks[list->nchunks];
	chunk->data = alloc_chunk(list, size);
	chunk->size = size;
	chunk->used = 0;
	list->nchunks++;
	list->memory += size;
	memory_used += size;
	return chunk;
}

static inline ChangeHeader *
reserve(ChangeList *list, Size len)
{
	Chunk	   *chunk = list->nchunks > 0 ? &list->chunks[list->nchunks - 1] : NULL;
	ChangeHeader *header;

	if (unlikely(chunk == NULL || chunk->size - chunk->used < len))
		chunk = extend_list(list, len);

	header = (ChangeHeader *) (chunk->data + chunk->used);
	chunk->used += len;
	list->count++;
	return header;
}

/*
 * A row that heap_form_tuple() made has the header of a value of the table's
 * row type.  Some releases compare that type as it is now with the descriptor
 * of the slot into which such a row is put; but a list is read when the table
 * may have been altered.  So what is kept is a row of no type.
 */
static inline void
copy_tuple_bytes(char *data, const HeapTupleData *tuple)
{
	HeapTupleHeader header = (HeapTupleHeader) data;

	memcpy(data, tuple->t_data, tuple->t_len);
	memset(&header->t_choice, 0, sizeof(header->t_choice));
	ItemPointerSetInvalid(&header->t_ctid);
}

void
change_list_add(ChangeList *list, ChangeKind kind, ChangeLayout *layout,
				HeapTuple old, HeapTuple new)
{
	uint32		old_len = old ? old->t_len : 0;
	uint32		new_len = new ? new->t_len : 0;
	Size		old_space = MAXALIGN(old_len);
	ChangeHeader *header;
	char	   *data;

	header = reserve(list, MAXALIGN(sizeof(ChangeHeader)) + old_space + MAXALIGN(new_len));
	use_layout(list, layout);
	header->layout = layout;
	header->kind = kind;
	header->old_len = old_len;
	header->new_len = new_len;
	data = (char *) header + MAXALIGN(sizeof(ChangeHeader));
	if (old_len > 0)
		copy_tuple_bytes(data, old);
	if (new_len > 0)
		copy_tuple_bytes(data + old_space, new);
}

void
change_list_add_truncate(ChangeList *list)
{
	ChangeHeader *header = reserve(list, MAXALIGN(sizeof(ChangeHeader)));

	header->layout = NULL;
	header->kind = CHANGE_TRUNCATE;
	list->truncated = true;
	header->old_len = 0;
	header->new_len = 0;
}

int64
change_list_count(const ChangeList *list)
{
	return list->count;
}

void
change_list_set_unknown(ChangeList *list)
{
	list->unknown = true;
}

bool
change_list_has_truncate(const ChangeList *list)
{
	return list->truncated;
}

bool
change_list_is_unknown(const ChangeList *list)
{
	return list->unknown;
}

void
change_iterator_begin(ChangeIterator *it, ChangeList *list)
{
	memset(it, 0, sizeof(ChangeIterator));
	it->list = list;
	list->readers++;
	if (list->nfile_chunks > 0)
	{
		if (BufFileSeek(list->file, 0, 0L, SEEK_SET) != 0)
			ereport(ERROR,
					(errcode_for_file_access(),
					 errmsg("could not rewind the temporary file of a change set: %m")));
		it->buffer_size = list->max_file_chunk;
		it->buffer = MemoryContextAllocHuge(CurrentMemoryContext, it->buffer_size);
	}
}

static void
read_exactly(BufFile *file, void *ptr, Size size)
{
#if PG_VERSION_NUM >= 160000
	BufFileReadExact(file, ptr, size);
#else
	if (BufFileRead(file, ptr, size) != size)
		ereport(ERROR,
				(errcode(ERRCODE_IO_ERROR),
				 errmsg("could not read from the temporary file of a change set")));
#endif
}

static bool
next_chunk(ChangeIterator *it)
{
	ChangeList *list = it->list;

	it->chunk_pos = 0;
	if (it->next_file_chunk < list->nfile_chunks)
	{
		read_exactly(list->file, &it->chunk_len, sizeof(it->chunk_len));
		read_exactly(list->file, it->buffer, it->chunk_len);
		it->chunk = it->buffer;
		it->next_file_chunk++;
		return true;
	}
	if (it->next_chunk < list->nchunks)
	{
		it->chunk = list->chunks[it->next_chunk].data;
		it->chunk_len = list->chunks[it->next_chunk].used;
		it->next_chunk++;
		return true;
	}
	return false;
}

static inline void
point_tuple(HeapTuple tuple, char *data, uint32 len)
{
	tuple->t_len = len;
	tuple->t_data = (HeapTupleHeader) data;
	tuple->t_tableOid = InvalidOid;
	ItemPointerSetInvalid(&tuple->t_self);
}

bool
change_iterator_next(ChangeIterator *it, Change *change)
{
	ChangeHeader *header;
	char	   *data;

	while (it->chunk_pos >= it->chunk_len)
	{
		if (!next_chunk(it))
			return false;
	}

	header = (ChangeHeader *) (it->chunk + it->chunk_pos);
	data = (char *) header + MAXALIGN(sizeof(ChangeHeader));
	change->kind = header->kind;
	change->layout = header->layout;
	change->has_old = header->old_len > 0;
	change->has_new = header->new_len > 0;
	if (change->has_old)
		point_tuple(&change->old, data, header->old_len);
	data += MAXALIGN(header->old_len);
	if (change->has_new)
		point_tuple(&change->new, data, header->new_len);
	data += MAXALIGN(header->new_len);
	it->chunk_pos = data - it->chunk;
	return true;
}

void
change_iterator_end(ChangeIterator *it)
{
	if (it->buffer != NULL)
		pfree(it->buffer);
	it->list->readers--;
}
