/*-------------------------------------------------------------------------
 *
 * belongings.h
 *		What belongs to a sink beside its table: its queries and its stages.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_BELONGINGS_H
#define FRESHET_BELONGINGS_H

#include "postgres.h"

#include "catalog/sink.h"

/* Have DROP TABLE of the sink take the view of a query along, and the other way. */
extern void belongings_tie_view(Oid relid, Oid viewid);

/* The same of a stage, which also gets the sink's owner. */
extern void belongings_tie_stage(Oid relid, Oid stage);

/* All of that, of a sink that is there; for what a restore, or a new owner, left behind. */
extern void belongings_tie(const Sink *sink);

/* A sink has been dropped: drop what is left of it. */
extern void belongings_drop(Oid relid);

#endif							/* FRESHET_BELONGINGS_H */
