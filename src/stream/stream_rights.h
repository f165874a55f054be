/*-------------------------------------------------------------------------
 *
 * stream_rights.h
 *		May a consumer of the change stream read a relation?
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STREAM_RIGHTS_H
#define FRESHET_STREAM_RIGHTS_H

#include "postgres.h"

#include "nodes/bitmapset.h"

typedef enum ReadRight
{
	MAY_READ,
	NO_SELECT,
	ROWS_HIDDEN					/* perhaps, by row-level security */
} ReadRight;

/*
 * May the current user now read all rows of the relation, all columns or (if
 * it may not read the whole table, and attnos is not NULL) those of these
 * numbers?  To be called by the output plugin, in a transaction.
 */
extern ReadRight stream_read_right(Oid relid, Bitmapset *attnos);

#endif							/* FRESHET_STREAM_RIGHTS_H */
