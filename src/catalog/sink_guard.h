/*-------------------------------------------------------------------------
 *
 * sink_guard.h
 *		What must hold of a sink's table and of its definition.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SINK_GUARD_H
#define FRESHET_SINK_GUARD_H

#include "postgres.h"

#include "utils/relcache.h"

#include "sink.h"

/*
 * Raise an error if the table, or the definition, is not what a sink needs any
 * more.  Reads catalogues alone.  rel is the sink's table, which the caller has
 * locked; sink needs no more than what comes from the catalogue.
 */
extern void sink_guard_check(const Sink *sink, Relation rel);

/* An error if a foreign key of the sink's would fail writers of another table. */
extern void sink_guard_check_others(Relation rel);

/*
 * A hash of the sink's queries, never 0: in its lower half of the definition, in its
 * upper one of the query that it is maintained by, if that is another one, of the views
 * that it reads, and of the functions that it calls if it is recomputed by key.  Of a
 * sink whose plan has just been made.
 */
extern int64 sink_guard_definition_hash(const Sink *sink);
/* Is its definition, whatever the views in it say, the one that the hash was made of? */
extern bool sink_guard_is_query_of(const Sink *sink, int64 hash);

#endif							/* FRESHET_SINK_GUARD_H */
