/*-------------------------------------------------------------------------
 *
 * definition.h
 *		The query of a view, and the relations that a query reads.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DEFINITION_H
#define FRESHET_DEFINITION_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/*
 * The query of a view, as parse analysis gave it, in the current memory
 * context; NULL if the view is gone.
 */
extern Query *definition_query(Oid viewid);

/*
 * The relations that a query reads, at any depth: those that have rows, and the
 * views on the way to them, as Lists of OIDs without duplicates, in the order
 * in which they are met.  Either may be NULL.
 */
extern void definition_relations(Query *query, List **sources, List **views);

/* Is it an entry that the query reads?  Old servers list a view in its own query. */
extern bool definition_reads_entry(const RangeTblEntry *rte);

#endif							/* FRESHET_DEFINITION_H */
