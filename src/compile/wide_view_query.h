/*-------------------------------------------------------------------------
 *
 * wide_view_query.h
 *		The definition of a wide view, as a query.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WIDE_VIEW_QUERY_H
#define FRESHET_WIDE_VIEW_QUERY_H

#include "nodes/parsenodes.h"

#include "wide_view_spec.h"

/* Name of the column that holds the document. */
#define WIDE_VIEW_DOCUMENT	"doc"

/* A SELECT of the root's key columns and the document. */
extern Query *wide_view_query(const WideNode *root);

#endif							/* FRESHET_WIDE_VIEW_QUERY_H */
