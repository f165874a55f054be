/*-------------------------------------------------------------------------
 *
 * maintain.h
 *		Bring all sinks up to date by the changes of one batch.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_MAINTAIN_H
#define FRESHET_MAINTAIN_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "batch_runs.h"

/* Have the changes of every source of these sinks decoded. */
extern void maintain_set_interest(List *sinks);

/* Maintain the sinks by the part that was decoded. */
extern void maintain_sinks(Batch *batch);

/*
 * The sinks' counters, which are written with the progress, as they are at the
 * start of a batch; and back to that, if it has come to nothing.
 */
extern void maintain_save_counters(void);
extern void maintain_restore_counters(void);

/* Free the counters of sinks that are gone. */
extern void maintain_free_stats(List *sinks);

#endif							/* FRESHET_MAINTAIN_H */
