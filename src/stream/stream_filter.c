/*-------------------------------------------------------------------------
 *
 * stream_filter.c
 *		Which changes a consumer gets, and whether it may.
 *
 * A relation is looked at when its first change comes: is it a sink or a
 * table that the options name, which of its columns are streamed, what is its
 * key.  That is kept in a hash table until an invalidation says that the
 * relation, a type, a schema's name or a role has changed.  Invalidations may
 * come at any catalogue access; they only mark entries, which are made anew
 * when the next change of the relation comes.
 *
 * A change of a sink is one that the worker or its filler has made.  Nobody
 * else can forge that: whatever a relation looks like, to whomever it belongs,
 * a change is known by its origin, which is the worker's own, and with it SQL
 * cannot write (sink_cache.c).  What somebody else writes is a change of a table,
 * though it be one of a sink, by a superuser who went around its guards; so a
 * relation can have an entry as either.  (freshet.sink would have to be marked
 * as a user's catalogue table to be read under a historic snapshot, and the
 * server cannot decode, by any plugin, what was written to such a table before
 * it was dropped.)
 *
 * Rights are different: they are those of now, see stream_rights.c.
 *
 * Origins.  The worker's writes carry the origin of the database; those of a
 * filler that they are not to be replicated.  If only sinks, or no sinks, are
 * wanted, changes are dropped by that before they are queued, which makes
 * them cost next to nothing.  The worker's origin is looked up at the begin of
 * a transaction, by its historic snapshot, and forgotten when the catalogue of
 * origins changes.  It is made before the first write that carries it is
 * logged; so as long as it is not known nothing is dropped unseen.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "replication/origin.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/guc.h"
#include "base/names.h"
#include "stream_filter.h"
#include "stream_rights.h"

static HTAB *relations = NULL;
static StreamRelation *last_relation = NULL;
static RepOriginId worker_origin = InvalidRepOriginId;	/* not known */

/*
 * Invalidations
 */

static void
forget_all(void)
{
	HASH_SEQ_STATUS seq;
	StreamRelation *entry;

	hash_seq_init(&seq, relations);
	while ((entry = hash_seq_search(&seq)) != NULL)
		entry->valid = false;
}

/* What is known of a partition also comes from the tables above it. */
static void
streamed_changed(Datum arg, Oid relid)
{
	StreamRelation *entry;

	if (relations == NULL)
		return;
	if (!OidIsValid(relid))
	{
		forget_all();
		return;
	}
	for (int is_sink = 0; is_sink <= 1; is_sink++)
	{
		StreamRelationKey key = {relid, is_sink};

		entry = hash_search(relations, &key, HASH_FIND, NULL);
		if (entry == NULL)
			continue;
		entry->valid = false;
		if (entry->has_partitions)
			forget_all();
	}
}

static void
anything_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	streamed_changed((Datum) 0, InvalidOid);
}

static void
origin_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	worker_origin = InvalidRepOriginId;
}

static void
filter_freed(void *arg)
{
	relations = NULL;
	last_relation = NULL;
	worker_origin = InvalidRepOriginId;
}

void
stream_filter_init(StreamState *state)
{
	static bool callbacks_registered = false;
	MemoryContextCallback *callback;
	HASHCTL		ctl;

	if (!callbacks_registered)
	{
		CacheRegisterRelcacheCallback(streamed_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(NAMESPACEOID, anything_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHOID, anything_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, anything_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(DATABASEOID, anything_changed, (Datum) 0);
		CacheRegisterSyscacheCallback(REPLORIGIDENT, origin_changed, (Datum) 0);
		callbacks_registered = true;
	}

	callback = MemoryContextAlloc(state->context, sizeof(MemoryContextCallback));
	callback->func = filter_freed;
	callback->arg = NULL;
	MemoryContextRegisterResetCallback(state->context, callback);

	ctl.keysize = sizeof(StreamRelationKey);
	ctl.entrysize = sizeof(StreamRelation);
	ctl.hcxt = state->context;
	relations = hash_create("freshet streamed relations", 128, &ctl,
							HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	last_relation = NULL;
	worker_origin = InvalidRepOriginId;
}

/*
 * Origins
 */

void
stream_filter_begin(StreamState *state)
{
	char		name[NAMEDATALEN];

	if (worker_origin != InvalidRepOriginId)
		return;
	freshet_object_name(MyDatabaseId, name);
	worker_origin = replorigin_by_name(name, true);
}

bool
stream_is_ours(RepOriginId origin)
{
	return origin != InvalidRepOriginId &&
		(origin == worker_origin || origin == DoNotReplicateId);
}

bool
stream_filter_origin(StreamState *state, RepOriginId origin)
{
	if (stream_is_ours(origin))
		return state->options->sinks == NIL;
	if (worker_origin == InvalidRepOriginId)
		return false;
	return state->options->tables == NIL ||
		(state->options->local_only && origin != InvalidRepOriginId);
}

/*
 * Rights
 */

/*
 * A partition can be read directly or through a table above it; either right
 * will do.
 */
static void
check_rights(const StreamRelation *entry, Relation rel, List *ancestors)
{
	ReadRight	right;
	Bitmapset  *attnos = NULL;
	ListCell   *lc;

	if (!freshet_check_stream_privileges)
		return;

	for (int i = 0; i < entry->ncolumns; i++)
		attnos = bms_add_member(attnos, entry->columns[i].index + 1);
	right = stream_read_right(RelationGetRelid(rel), attnos);
	foreach(lc, ancestors)
	{
		if (right != MAY_READ && stream_read_right(lfirst_oid(lc), NULL) == MAY_READ)
			right = MAY_READ;
	}

	if (right == NO_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to stream the changes of %s \"%s.%s\"",
						entry->is_sink ? "sink" : "table", entry->schema, entry->name),
				 errdetail("Role \"%s\" may not SELECT all of the columns that are streamed.",
						   GetUserNameFromId(GetUserId(), false)),
				 errhint("Grant SELECT, or leave the relation out by the options \"sinks\" and "
						 "\"tables\".")));
	if (right == ROWS_HIDDEN)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to stream the changes of %s \"%s.%s\"",
						entry->is_sink ? "sink" : "table", entry->schema, entry->name),
				 errdetail("Row-level security may hide rows of it from role \"%s\".",
						   GetUserNameFromId(GetUserId(), false)),
				 errhint("Stream as a role with BYPASSRLS, or leave the relation out by the "
						 "options \"sinks\" and \"tables\".")));
}

/*
 * Relations
 */

static bool
relation_matches(const NamePattern *pattern, Oid relid)
{
	char	   *schema = get_namespace_name(get_rel_namespace(relid));
	char	   *name = get_rel_name(relid);

	return schema != NULL && name != NULL &&
		name_matches(pattern->schema, schema) && name_matches(pattern->relation, name);
}

/* Does a pattern name the relation, or a table that it is a partition of? */
static bool
matches_any(List *patterns, Oid relid, List *ancestors)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, patterns)
	{
		if (relation_matches(lfirst(lc), relid))
			return true;
		foreach(lc2, ancestors)
		{
			if (relation_matches(lfirst(lc), lfirst_oid(lc2)))
				return true;
		}
	}
	return false;
}

static bool
column_streamed(const StreamState *state, const StreamRelation *entry, Form_pg_attribute att,
				List *ancestors)
{
	const char *name = NameStr(att->attname);
	bool		named = false;	/* by "columns", the relation */
	bool		chosen = false;
	ListCell   *lc;

	if (att->attisdropped || att->attgenerated == 'v')
		return false;
	if (entry->is_sink &&
		strncmp(name, FRESHET_COLUMN_PREFIX, strlen(FRESHET_COLUMN_PREFIX)) == 0)
		return false;

	foreach(lc, state->options->columns)
	{
		NamePattern *pattern = lfirst(lc);

		if (!matches_any(list_make1(pattern), entry->key.relid, ancestors))
			continue;
		named = true;
		chosen |= name_matches(pattern->column, name);
	}
	if (named && !chosen)
		return false;
	foreach(lc, state->options->exclude_columns)
	{
		NamePattern *pattern = lfirst(lc);

		if (name_matches(pattern->column, name) &&
			matches_any(list_make1(pattern), entry->key.relid, ancestors))
			return false;
	}
	return true;
}

static void
add_streamed_column(StreamRelation *entry, Form_pg_attribute att, const Bitmapset *identity)
{
	StreamColumn *column = &entry->columns[entry->ncolumns++];
	StringInfoData label;

	initStringInfo(&label);
	json_put_cstring(&label, NameStr(att->attname));
	json_put_char(&label, ':');
	column->index = att->attnum - 1;
	column->type = json_type(att->atttypid);
	column->label = label.data;
	column->label_len = label.len;
	column->varlena = att->attlen == -1;
	column->identity = bms_is_member(att->attnum, identity);
}

/*
 * Attribute numbers of an index's columns, in its order.  NIL if it is not
 * unique, or over expressions or a part of the table.
 */
static List *
unique_index_columns(Oid indexid)
{
	HeapTuple	tup = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(indexid));
	List	   *result = NIL;
	Form_pg_index index;

	if (!HeapTupleIsValid(tup))
		return NIL;
	index = (Form_pg_index) GETSTRUCT(tup);
	if (index->indisunique && index->indimmediate && index->indisvalid &&
		heap_attisnull(tup, Anum_pg_index_indpred, NULL) &&
		heap_attisnull(tup, Anum_pg_index_indexprs, NULL))
	{
		for (int i = 0; i < index->indnkeyatts; i++)
			result = lappend_int(result, index->indkey.values[i]);
	}
	ReleaseSysCache(tup);
	return result;
}

/*
 * The columns that tell rows apart: of the primary key, else of the replica
 * identity's index; of a sink those of the index that freshet made with it,
 * its first one.
 */
static List *
key_columns(const StreamRelation *entry, Relation rel)
{
	List	   *indexes = RelationGetIndexList(rel);
	List	   *result = NIL;
	ListCell   *lc;

	if (OidIsValid(rel->rd_pkindex))
		result = unique_index_columns(rel->rd_pkindex);
	if (result == NIL && OidIsValid(rel->rd_replidindex))
		result = unique_index_columns(rel->rd_replidindex);
	if (result == NIL && entry->is_sink)
	{
		foreach(lc, indexes)
		{
			if ((result = unique_index_columns(lfirst_oid(lc))) != NIL)
				break;
		}
	}
	return result;
}

static Bitmapset *
identity_attributes(Relation rel)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;

	list_free(RelationGetIndexList(rel));
	if (rel->rd_rel->relreplident != REPLICA_IDENTITY_NOTHING && OidIsValid(rel->rd_replidindex))
	{
		foreach(lc, unique_index_columns(rel->rd_replidindex))
			result = bms_add_member(result, lfirst_int(lc));
	}
	return result;
}

static void
find_columns(StreamState *state, StreamRelation *entry, Relation rel, List *ancestors)
{
	TupleDesc	desc = RelationGetDescr(rel);
	Bitmapset  *identity = identity_attributes(rel);
	List	   *keys;
	ListCell   *lc;

	entry->identity_full = rel->rd_rel->relreplident == REPLICA_IDENTITY_FULL;
	entry->natts = desc->natts;
	entry->ncolumns = 0;
	entry->columns = palloc0(Max(desc->natts, 1) * sizeof(StreamColumn));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (column_streamed(state, entry, att, ancestors))
			add_streamed_column(entry, att, identity);
	}

	/* a key without one of its columns would not be one */
	keys = key_columns(entry, rel);
	entry->nkeys = 0;
	entry->keys = palloc(Max(list_length(keys), 1) * sizeof(int));
	foreach(lc, keys)
	{
		int			i = 0;

		while (i < entry->ncolumns && entry->columns[i].index != lfirst_int(lc) - 1)
			i++;
		if (i == entry->ncolumns)
		{
			entry->nkeys = 0;
			break;
		}
		entry->keys[entry->nkeys++] = i;
	}
}

/* Is it one of those whose changes are streamed at all, and asked for? */
static bool
is_wanted(StreamState *state, StreamRelation *entry, Relation rel, List *ancestors)
{
	Oid			relid = RelationGetRelid(rel);
	char	   *schema;

	if (relid < FirstNormalObjectId ||
		(rel->rd_rel->relkind != RELKIND_RELATION &&
		 rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE))
		return false;
	schema = get_namespace_name(RelationGetNamespace(rel));
	if (schema == NULL || strcmp(schema, FRESHET_SCHEMA) == 0 ||
		strcmp(schema, FRESHET_STAGE_SCHEMA) == 0)
		return false;
	return matches_any(entry->is_sink ? state->options->sinks : state->options->tables, relid,
					   ancestors);
}

/* The entry of a relation; a new one is not valid. */
static StreamRelation *
get_streamed(Oid relid, bool is_sink)
{
	StreamRelationKey key = {relid, is_sink};
	bool		found;
	StreamRelation *entry = hash_search(relations, &key, HASH_ENTER, &found);

	if (!found)
	{
		entry->valid = false;
		entry->is_sink = is_sink;
		entry->has_partitions = false;
		entry->context = NULL;
	}
	return entry;
}

static void
examine_streamed(StreamState *state, StreamRelation *entry, Relation rel)
{
	List	   *ancestors = NIL;
	ListCell   *lc;
	MemoryContext oldcontext;

	/* an invalidation on the way makes the entry invalid again */
	entry->valid = true;
	if (entry->context != NULL)
		MemoryContextDelete(entry->context);
	entry->context = NULL;
	entry->context = AllocSetContextCreate(state->context, "freshet streamed relation",
										   ALLOCSET_SMALL_SIZES);
	oldcontext = MemoryContextSwitchTo(entry->context);
	entry->count = NULL;
	entry->count_serial = 0;
	if (rel->rd_rel->relispartition)
		ancestors = get_partition_ancestors(RelationGetRelid(rel));
	foreach(lc, ancestors)
		get_streamed(lfirst_oid(lc), false)->has_partitions = true;
	entry->wanted = is_wanted(state, entry, rel, ancestors);
	if (entry->wanted)
	{
		entry->published_as = state->options->publish_via_root && ancestors != NIL ?
			llast_oid(ancestors) : RelationGetRelid(rel);
		entry->schema = get_namespace_name(get_rel_namespace(entry->published_as));
		entry->name = get_rel_name(entry->published_as);
		find_columns(state, entry, rel, ancestors);
		check_rights(entry, rel, ancestors);
		state->format->relation(state, entry);
	}
	MemoryContextSwitchTo(oldcontext);
}

StreamRelation *
stream_filter_relation(StreamState *state, Relation rel, RepOriginId origin)
{
	StreamRelation *entry = last_relation;
	Oid			relid = RelationGetRelid(rel);
	bool		is_sink = stream_is_ours(origin);

	if (unlikely(json_types_changed()))
	{
		streamed_changed((Datum) 0, InvalidOid);
		json_types_forget();
	}
	if (unlikely(entry == NULL || entry->key.relid != relid || entry->is_sink != is_sink))
	{
		entry = get_streamed(relid, is_sink);
		last_relation = entry;
	}
	if (unlikely(!entry->valid))
	{
		PG_TRY();
		{
			examine_streamed(state, entry, rel);
		}
		PG_CATCH();
		{
			entry->valid = false;
			PG_RE_THROW();
		}
		PG_END_TRY();
	}
	return entry;
}
