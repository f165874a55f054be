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

/* A hash of the query that the view holds; never 0. */
extern int64 sink_guard_definition_hash(Oid viewid);

#endif							/* FRESHET_SINK_GUARD_H */
