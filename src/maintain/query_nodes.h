/*-------------------------------------------------------------------------
 *
 * query_nodes.h
 *		Parts of queries that are built as node trees.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_QUERY_NODES_H
#define FRESHET_QUERY_NODES_H

#include "postgres.h"

#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

/* The entries of a table, and of a query in FROM. */
extern RangeTblEntry *query_table(Oid relid);
extern RangeTblEntry *query_subquery(Query *subquery);

/* SELECT tlist FROM entry WHERE quals.  The arguments become part of the query. */
extern Query *query_select(RangeTblEntry *rte, List *quals, List *tlist);

/* Append an expression to a target list. */
extern List *query_target(List *tlist, Expr *expr);

#endif							/* FRESHET_QUERY_NODES_H */
