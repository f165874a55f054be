/*-------------------------------------------------------------------------
 *
 * plan_sizes.c
 *		For what sizes a kept plan is right.
 *
 * Whether a nested loop over indexes or a hash join over whole tables is the
 * better plan depends on how many rows come from the batch: hence the classes.
 *
 * PostgreSQL does not notice that a table grows, until it is analyzed.  Tables
 * are often filled one after the other, each in one go, and the first batch
 * that sees the next one full would read the whole of it for each key, by a
 * plan from when it was empty.  So plans remember how large their tables were
 * when they were made, and serve as long as that is about right.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

#include "plan_sizes.h"

struct PlanSizes
{
	int			n;
	struct
	{
		Oid			relid;
		BlockNumber blocks;
	}			tables[FLEXIBLE_ARRAY_MEMBER];
};

int
plan_size_class(int64 count)
{
	int			class = 0;

	for (; count >= 16; count /= 16)
		class++;
	return class;
}

/* Those without a file, partitioned tables and views, count as empty. */
static BlockNumber
table_blocks(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	BlockNumber blocks = 0;

	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		blocks = RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);
	return blocks;
}

PlanSizes *
plan_sizes_note(const PlannedStmt *stmt)
{
	int			n = list_length(stmt->relationOids);
	PlanSizes  *sizes = palloc(offsetof(PlanSizes, tables) + n * sizeof(sizes->tables[0]));
	ListCell   *lc;

	sizes->n = n;
	foreach(lc, stmt->relationOids)
	{
		sizes->tables[foreach_current_index(lc)].relid = lfirst_oid(lc);
		sizes->tables[foreach_current_index(lc)].blocks = table_blocks(lfirst_oid(lc));
	}
	return sizes;
}

bool
plan_sizes_are_right(const PlanSizes *sizes)
{
	for (int i = 0; i < sizes->n; i++)
	{
		double		then = sizes->tables[i].blocks;
		double		now = table_blocks(sizes->tables[i].relid);

		if (now > then * 2 + 8 || then > now * 2 + 8)
			return false;
	}
	return true;
}
