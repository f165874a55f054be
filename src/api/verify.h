/*-------------------------------------------------------------------------
 *
 * verify.h
 *		freshet.verify_sink(): a sink against its query, at the worker's
 *		snapshot, while writers run.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_VERIFY_H
#define FRESHET_VERIFY_H

#include "postgres.h"

#include "utils/snapshot.h"

#include "base/shmem.h"
#include "catalog/sink.h"

/* verify_compare.c: count the rows of the query, as "query_snapshot" sees
 * them, that the sink, as "sink_snapshot" sees it, lacks; and the converse. */
extern void verify_compare(Sink *sink, Snapshot query_snapshot, Snapshot sink_snapshot,
						   int64 *missing, int64 *unexpected);

#endif							/* FRESHET_VERIFY_H */
