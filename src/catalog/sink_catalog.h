/*-------------------------------------------------------------------------
 *
 * sink_catalog.h
 *		Reading and writing freshet.sink and freshet.sink_state.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SINK_CATALOG_H
#define FRESHET_SINK_CATALOG_H

#include "postgres.h"

#include "storage/lockdefs.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"

#include "sink.h"

/* Columns of freshet.source_identity, which is source_identity.c's. */
#define SOURCE_IDENTITY_NATTS	4

/*
 * All sinks that the snapshot sees, in no order, each in a memory context of
 * its own under parent.  *orphans: is there a state whose sink is gone?
 */
extern List *sink_catalog_read_all(Snapshot snapshot, MemoryContext parent, bool *orphans);

/* One sink, in the current memory context; NULL if relid is not a sink.  A
 * NULL snapshot stands for the newest. */
extern Sink *sink_catalog_read(Oid relid, Snapshot snapshot);

/* The stages of a sink, as by sink_catalog_read(), in the order in which they were made. */
extern List *sink_catalog_stages(Oid relid);

/* Is there any sink in this database? */
extern bool sink_catalog_any(void);

/* Is there a catalogue in this database, laid out as this library knows it? */
extern bool sink_catalog_is_ours(void);

/* Has the current transaction written the row of this sink?  Has it made one? */
extern bool sink_catalog_written_here(Oid relid);
extern Oid	sink_catalog_made_here(void);

/* An error if one of these partitions of a source is a sink. */
extern void sink_catalog_refuse_partitions(List *relids);

/*
 * Writing.  Whoever changes the row of a sink holds a lock on its table that
 * conflicts with itself, so that no two change it at once.
 */
extern void sink_catalog_insert(const Sink *sink);
extern void sink_catalog_update(Oid relid, bool paused, bool new_generation);
extern bool sink_catalog_delete(Oid relid);

/* Relations in freshet.sink that no longer exist, as a list of OIDs. */
extern List *sink_catalog_vanished(void);

extern void sink_state_write(const Sink *sink, SinkState state, int64 generation,
							 const char *error);
extern List *sink_state_delete_orphans(void);

extern const char *sink_state_name(SinkState state);

/* A table of the catalogue; an error if it has not as many columns as this library knows. */
extern Relation sink_catalog_open(const char *name, int natts, LOCKMODE lockmode);

#endif							/* FRESHET_SINK_CATALOG_H */
