/*-------------------------------------------------------------------------
 *
 * counters.h
 *		How many rows each sink has, and how many changes it was brought.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_COUNTERS_H
#define FRESHET_COUNTERS_H

#include "postgres.h"

#include "nodes/pg_list.h"

#include "base/shmem.h"

/* Begin with what the progress row says. */
extern void counters_load(int n, const Oid *relids, const int64 *rows, const int64 *changes);

/* A batch begins; or it has failed, and what it counted did not happen. */
extern void counters_begin_batch(void);
extern void counters_take_back(void);

/* In a batch, of a sink. */
extern void counters_add(Oid relid, int64 rows, int64 changes);
extern void counters_set_rows(Oid relid, int64 rows);

/* Forget those that are no sinks any more. */
extern void counters_keep(List *sinks);

/*
 * Does a view have to read of the progress row what is not in it yet?  Then this
 * batch has to write it.
 */
extern bool counters_must_be_stored(void);

/* How many there are, and all of them, for the progress row: arrays of so many. */
extern int	counters_count(void);
extern void counters_store(Oid *relids, int64 *rows, int64 *changes);

/*
 * The place of a sink in shared memory, where its figures are shown while it is
 * filled; NULL if all are taken.
 */
extern SinkStats *counters_place(Oid relid);

#endif							/* FRESHET_COUNTERS_H */
