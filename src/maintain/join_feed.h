/*-------------------------------------------------------------------------
 *
 * join_feed.h
 *		Feed the joined rows that come and go to a consumer.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_JOIN_FEED_H
#define FRESHET_JOIN_FEED_H

#include "postgres.h"

#include "catalog/sink.h"
#include "feed.h"

/*
 * A consumer of the rows of a join's sources, which passes to the target, as
 * occurrence 0, the joined rows that their changes bring and take.  In the current
 * memory context.
 */
extern RowConsumer *join_feed_create(Sink *sink, RowConsumer *target, List *leaves);
/* When all changes of the batch are in: read the sources at the active snapshot. */
extern void join_feed_deliver(RowConsumer *consumer);
extern void join_feed_destroy(RowConsumer *consumer);

/*
 * All rows that the plan is about, added: those of its one source, or the joined
 * ones.  Counts in rows_done if not NULL.
 */
extern int64 join_feed_all(const Sink *sink, List *leaves, RowConsumer *consumer,
						   int64 *rows_done);

#endif							/* FRESHET_JOIN_FEED_H */
