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

/* The plans of that query. */
typedef struct RefreshQueries
{
	KeyQuery   *compared;
	KeyQuery   *inserted;		/* parallel: the rows of an empty sink */
} RefreshQueries;

/* Kept as long as the context. */
extern RefreshQueries *refresh_queries_create(MemoryContext context);

/*
 * Make all rows of the sink what its definition gives at the active snapshot.  Counts
 * in rows_done if not NULL.
 */
extern void refresh_write_all(Sink *sink, SinkWriter *writer, RefreshQueries *queries,
							  int64 *rows_done);

/* The text of that query. */
extern char *refresh_text(const Sink *sink);

#endif							/* FRESHET_REFRESH_H */
