/*-------------------------------------------------------------------------
 *
 * wide_view_sql.h
 *		The definition of a wide view, as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WIDE_VIEW_SQL_H
#define FRESHET_WIDE_VIEW_SQL_H

#include "wide_view_spec.h"

/* Name of the column that holds the document. */
#define WIDE_VIEW_DOCUMENT	"doc"

/* A SELECT of the root's key columns and the document. */
extern char *wide_view_sql(const WideNode *root);

#endif							/* FRESHET_WIDE_VIEW_SQL_H */
