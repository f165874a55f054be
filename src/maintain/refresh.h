/*-------------------------------------------------------------------------
 *
 * refresh.h
 *		Run the query of a sink, and write what differs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_REFRESH_H
#define FRESHET_REFRESH_H

#include "postgres.h"

#include "apply.h"
#include "catalog/sink.h"
#include "key_query.h"

/*
 * Make all rows of the sink what its definition gives at the active snapshot.  query
 * keeps the plan.  Counts in rows_done if not NULL.
 */
extern void refresh_write_all(Sink *sink, SinkWriter *writer, KeyQuery *query,
							  int64 *rows_done);

/* The text of that query. */
extern char *refresh_text(const Sink *sink);

#endif							/* FRESHET_REFRESH_H */
