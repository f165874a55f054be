/*-------------------------------------------------------------------------
 *
 * affected_keys.c
 *		From changed rows of a lookup to the keys of the root.
 *
 * The values of the lookup's related columns are joined to the columns of the
 * enclosing nodes that they are related to, these nodes to those that enclose
 * them, and so on up to the root, by a query such as
 *
 *		SELECT n0.order_id FROM freshet_keys v, order_items n3, orders n0
 *		WHERE v.k1 = n3.product_id AND n3.order_id = n0.order_id
 *
 * Only nodes that are referred to take part.  A node whose related columns
 * include the root's key takes the root's place: that may yield keys that the
 * root does not have, for which there is nothing to compute, and nothing to
 * delete.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "base/names.h"
#include "keyed.h"

static const char *
column_name(const SinkPlan *plan, int n, AttrNumber attno)
{
	Oid			relid = plan_source_of(plan, n)->relid;

	return quote_identifier(get_attname(relid, attno, false));
}

/*
 * One query under construction.  todo: nodes whose relation to their
 * enclosing nodes is still to be written.
 */
typedef struct PathQuery
{
	const SinkPlan *plan;
	int			start;			/* the node whose values are given */
	Bitmapset  *todo;
	Bitmapset  *joined;
	AttrNumber *key_attnos;		/* scratch for plan_knows_root_key() */
	StringInfoData select;
	StringInfoData from;
	StringInfoData where;
} PathQuery;

static void
add_table(PathQuery *path, int n)
{
	if (bms_is_member(n, path->joined))
		return;
	path->joined = bms_add_member(path->joined, n);
	path->todo = bms_add_member(path->todo, n);
	appendStringInfo(&path->from, ", %s n%d",
					 names_relation(plan_source_of(path->plan, n)->relid),
					 n);
}

/* The keys from a node in the query, which knows them; or is the root. */
static void
select_keys(PathQuery *path, int n)
{
	for (int k = 0; k < path->plan->nkeys; k++)
		appendStringInfo(&path->select, "%sn%d.%s", k > 0 ? ", " : "", n,
						 column_name(path->plan, n, path->key_attnos[k]));
}

/* If the collations of both sides differ, the definition has that of the lookup. */
static void
append_collation(PathQuery *path, const RelatedColumn *column)
{
	Oid			relid = plan_source_of(path->plan, column->outer_node)->relid;
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(relid, column->outer_attno, &type, &typmod, &collation);
	if (OidIsValid(collation) && OidIsValid(column->collation) && collation != column->collation)
		appendStringInfo(&path->where, " COLLATE %s",
						 generate_collation_name(column->collation));
}

/* Relate a node to those that enclose it. */
static void
relate(PathQuery *path, int n)
{
	const KeyedNode *node = &plan_wide_view(path->plan)->nodes[n];

	for (int i = 0; i < node->nrelated; i++)
	{
		const RelatedColumn *column = &node->related[i];

		add_table(path, column->outer_node);
		appendStringInfoString(&path->where, path->where.len > 0 ? " AND " : " WHERE ");
		if (n == path->start)
			appendStringInfo(&path->where, "v.k%d", i + 1);
		else
			appendStringInfo(&path->where, "n%d.%s", n,
							 column_name(path->plan, n, column->attno));
		appendStringInfo(&path->where, " %s n%d.%s", names_operator(column->eqop),
						 column->outer_node,
						 column_name(path->plan, column->outer_node, column->outer_attno));
		append_collation(path, column);
	}
}

static char *
path_query(const SinkPlan *plan, int start)
{
	PathQuery	path = {.plan = plan, .start = start};
	int			n;

	path.key_attnos = palloc(plan->nkeys * sizeof(AttrNumber));
	initStringInfo(&path.select);
	initStringInfo(&path.from);
	initStringInfo(&path.where);
	path.todo = bms_make_singleton(start);

	/* enclosing nodes have smaller numbers: the greatest is never needed again */
	while ((n = bms_prev_member(path.todo, -1)) >= 0)
	{
		path.todo = bms_del_member(path.todo, n);
		if (n != start && path.select.len == 0 && bms_is_empty(path.todo) &&
			plan_knows_root_key(plan, n, path.key_attnos))
		{
			select_keys(&path, n);
			break;
		}
		relate(&path, n);
	}
	return psprintf("SELECT %s FROM " KEY_QUERY_KEYS " v%s%s", path.select.data,
					path.from.data, path.where.data);
}

/*
 * One product may be in every order: the keys found go to a store, which
 * spills, and from there to the set as far as memory permits.
 */
static void
keep_key(TupleTableSlot *slot, void *arg)
{
	tuplestore_puttupleslot(arg, slot);
}

static void
add_keys(Keyed *keyed, Tuplestorestate *store, TupleDesc desc)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);

	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(keyed->scratch);

		slot_getallattrs(slot);
		(void) key_set_add(keyed, &keyed->keys, slot->tts_values, slot->tts_isnull);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(keyed->scratch);
		if (keyed_memory_full(keyed))
		{
			keyed_write_keys(keyed);
			key_set_forget(&keyed->keys);
		}
	}
	ExecDropSingleTupleTableSlot(slot);
}

void
affected_keys_find(Keyed *keyed, int node)
{
	KeyQuery   *query = keyed_queries(keyed->sink)->to_keys[node];
	Tuplestorestate *found = tuplestore_begin_heap(false, false, work_mem);
	KeyRows		rows;

	key_set_rows(&keyed->nodes[node].related, false, &rows);
	key_query_run(query, path_query(keyed->plan, node), &rows, false, keep_key, found);
	tuplestore_end(rows.store);
	add_keys(keyed, found, key_set_desc(keyed, &keyed->keys));
	tuplestore_end(found);
}
