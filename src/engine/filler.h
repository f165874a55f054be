/*-------------------------------------------------------------------------
 *
 * filler.h
 *		The second worker, which fills a large sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FILLER_H
#define FRESHET_FILLER_H

#include "postgres.h"

#include "utils/snapshot.h"

/* Can the snapshot be handed over?  Not if it knows of too many transactions. */
extern bool filler_can_take(Snapshot snapshot);

/*
 * Have it fill the sink, of this generation, at this snapshot, that of the
 * transaction under way.  False if it is not to be had.
 */
extern bool filler_start(Oid relid, int64 generation, Snapshot snapshot, bool netted);

/* Has its transaction been committed? */
extern bool filler_is_done(void);

/* Has it come to its end without that? */
extern bool filler_has_failed(void);

/* Is it no longer at work, for whatever reason? */
extern bool filler_has_ended(void);

/* If it has failed, or was terminated, raise that error here. */
extern void filler_check(void);

/* Take note of its end; before that, terminate it. */
extern void filler_forget(void);
extern void filler_stop(void);

extern PGDLLEXPORT void freshet_filler_main(Datum main_arg);

#endif							/* FRESHET_FILLER_H */
