/*-------------------------------------------------------------------------
 *
 * shared_rows.h
 *		Have a row that many documents embed read once for all of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SHARED_ROWS_H
#define FRESHET_SHARED_ROWS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/* Change a query over the definition of a wide view; the result is the same. */
extern void shared_rows_rewrite(Query *query);

#endif							/* FRESHET_SHARED_ROWS_H */
