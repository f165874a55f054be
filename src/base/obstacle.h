/*-------------------------------------------------------------------------
 *
 * obstacle.h
 *		Locks that those who maintain sinks could not have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_OBSTACLE_H
#define FRESHET_OBSTACLE_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "shmem.h"

/*
 * This process, the worker or its filler, could not have the lock; in a transaction.
 * Returns since when it is so.
 */
extern TimestampTz obstacle_note(WorkerSlot *slot, bool filler, Oid relid, LOCKMODE mode);

/* The locks that it has not failed to get since then are no obstacles any more. */
extern void obstacle_clear(WorkerSlot *slot, bool filler, TimestampTz since);

/* The one that has been there longest, of those met lately; false if there is none. */
extern bool obstacle_oldest(WorkerSlot *slot, Obstacle *obstacle);

/*
 * Who holds a lock that conflicts, or waits for one: List of process ids, of
 * leaders of parallel queries, 0 for a prepared transaction.
 */
extern List *obstacle_processes(const Obstacle *obstacle);

#endif							/* FRESHET_OBSTACLE_H */
