/*-------------------------------------------------------------------------
 *
 * change_set.h
 *		Lists of old and new rows per relation, in memory or spilled to disk.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_CHANGE_SET_H
#define FRESHET_CHANGE_SET_H

#include "postgres.h"

#include "access/htup.h"
#include "access/tupdesc.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "storage/buffile.h"

typedef enum ChangeKind
{
	CHANGE_ROW,					/* old row, new row or both */
	CHANGE_SAME_IDENTITY,		/* an update whose old row is not in the log,
								 * because the columns of the replica identity
								 * did not change; only the new row is known */
	CHANGE_BLIND_DELETE,		/* a deleted row of a table without identity */
	CHANGE_TRUNCATE				/* every row before this one is gone */
} ChangeKind;

/*
 * How the rows of a stretch of changes are laid out, and which columns of
 * their old rows can be trusted.  Shared by change sets.  A list uses those of
 * its changes for as long as it lives; who else keeps one for longer than a batch
 * says so.  What nobody uses is freed by change_layouts_sweep().
 */
typedef struct ChangeLayout
{
	int			uses;
	TupleDesc	desc;
	Oid			relid;			/* the table, or the partition, that was changed */
	bool		identity_full;
	Bitmapset  *identity_attrs; /* attnos; if not full */
} ChangeLayout;

typedef struct Change
{
	ChangeKind	kind;
	ChangeLayout *layout;
	bool		has_old;
	bool		has_new;
	HeapTupleData old;			/* t_data points into the list's buffer: */
	HeapTupleData new;			/* valid until the next call */
} Change;

typedef struct ChangeList ChangeList;

/* Changes of one relation; see change_set.c. */
typedef struct ChangeSet
{
	uint64		serial;			/* unlike its address, never used again */
	MemoryContext context;
	List	   *lists;			/* ChangeList * */
} ChangeSet;

extern ChangeSet *change_set_create(void);
extern void change_set_destroy(ChangeSet *set);

/*
 * The layout with these members: one that was made before, if there is one
 * (invalidations come also when nothing has changed), or a new one.
 */
extern ChangeLayout *change_layout(Oid relid, TupleDesc desc, bool identity_full,
								   const Bitmapset *identity_attrs);
extern void change_layout_keep(ChangeLayout *layout);
extern void change_layout_let_go(ChangeLayout *layout);

/* Free those that nobody uses: between two batches. */
extern void change_layouts_sweep(void);

/* The lists of a relation in these sets (List of ChangeSet *). */
extern List *change_sets_get_lists(List *sets, Oid relid);

/* Bytes of its changes, in memory and spilled. */
extern Size change_set_size(const ChangeSet *set);

/* The relations of which it has a list; palloc'd. */
extern List *change_set_relids(const ChangeSet *set);

/* Nobody reads it any more: after an error in one who did. */
extern void change_set_end_reading(ChangeSet *set);

/* Destroy all that are left, and all layouts: after an error. */
extern void change_set_destroy_all(void);

extern ChangeList *change_set_get_list(ChangeSet *set, Oid relid, bool create);
extern void change_list_add(ChangeList *list, ChangeKind kind, ChangeLayout *layout,
							HeapTuple old, HeapTuple new);
extern void change_list_add_truncate(ChangeList *list);
extern int64 change_list_count(const ChangeList *list);

/* True once the relation's rows changed without being logged (see README). */
extern void change_list_set_unknown(ChangeList *list);
/* Was the relation truncated? */
extern bool change_list_has_truncate(const ChangeList *list);
extern bool change_list_is_unknown(const ChangeList *list);

typedef struct ChangeIterator
{
	ChangeList *list;
	char	   *chunk;			/* being read */
	Size		chunk_len;
	Size		chunk_pos;
	int			next_chunk;		/* of those in memory */
	int			next_file_chunk;
	char	   *buffer;			/* a chunk read back */
	Size		buffer_size;
} ChangeIterator;

extern void change_iterator_begin(ChangeIterator *it, ChangeList *list);
extern bool change_iterator_next(ChangeIterator *it, Change *change);
extern void change_iterator_end(ChangeIterator *it);

#endif							/* FRESHET_CHANGE_SET_H */
