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

#include "access/tupdesc.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

/* The entries of a table, and of a query in FROM. */
extern RangeTblEntry *query_table(Oid relid);
extern RangeTblEntry *query_subquery(Query *subquery);

/* The entry of rows that the query is given under this name; its columns are c1, c2, ... */
extern RangeTblEntry *query_rows(char *name, TupleDesc desc, double count);

/* A place of the range table in FROM, or in a set operation. */
extern Node *query_reference(int rti);

/* SELECT tlist FROM jointree, over these entries. */
extern Query *query_make(List *rtable, FromExpr *jointree, List *tlist);

/* SELECT tlist FROM entry WHERE quals.  The arguments become part of the query. */
extern Query *query_select(RangeTblEntry *rte, List *quals, List *tlist);

/* Append an expression to a target list. */
extern List *query_target(List *tlist, Expr *expr);

#endif							/* FRESHET_QUERY_NODES_H */
