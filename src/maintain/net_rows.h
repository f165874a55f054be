/*-------------------------------------------------------------------------
 *
 * net_rows.h
 *		Collect the changed rows of a batch, and pass on what is left of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_NET_ROWS_H
#define FRESHET_NET_ROWS_H

#include "postgres.h"

#include "catalog/sink.h"
#include "feed.h"

/*
 * A consumer that keeps the rows that it gets until they are delivered to
 * another one: in the current memory context, for the current transaction.
 */
extern RowConsumer *net_rows_create(const Sink *sink, RowConsumer *target);

/* What is left: each row that came more often than it went, or less often. */
extern void net_rows_deliver(RowConsumer *consumer);

extern void net_rows_destroy(RowConsumer *consumer);

#endif							/* FRESHET_NET_ROWS_H */
