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

#endif							/* FRESHET_MAINTAIN_H */
