/*-------------------------------------------------------------------------
 *
 * process.h
 *		Which process this is, and what those that maintain sinks share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_PROCESS_H
#define FRESHET_PROCESS_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "shmem.h"

typedef enum FreshetProcess
{
	PROCESS_OTHER,				/* a session, or any process of the server */
	PROCESS_LAUNCHER,
	PROCESS_SCOUT,
	PROCESS_WORKER,
	PROCESS_FILLER
} FreshetProcess;

/* Set at the start of a process of freshet, and never changed. */
extern FreshetProcess freshet_process;

/* Does this process maintain sinks, as the worker or for it? */
static inline bool
process_maintains(void)
{
	return freshet_process == PROCESS_WORKER || freshet_process == PROCESS_FILLER;
}

/* The slot of this worker or filler; NULL in other processes. */
extern WorkerSlot *MyWorkerSlot;

/* The worker for which this process works: itself, or the filler's owner. */
extern pid_t process_worker_pid;

/*
 * Lock a relation until the end of the transaction.  A process that maintains
 * sinks does not wait for the lock: if it is not to be had, or somebody else
 * waits for one that conflicts, the batch ends by process_retry().
 */
extern void process_lock_relation(Oid relid, LOCKMODE lockmode);

/* The same, but false if it is not to be had. */
extern bool process_try_lock_relation(Oid relid, LOCKMODE lockmode);
/* Then it may be worth telling (obstacle.h); since when is it so? */
extern TimestampTz process_note_obstacle(Oid relid, LOCKMODE lockmode);

/* A lock for which a batch came to nothing. */
typedef struct LockFailure
{
	Oid			relid;
	LOCKMODE	mode;
	TimestampTz since;			/* since when it is not to be had */
} LockFailure;

/* Was that the error that has just been caught?  Forgets it. */
extern bool process_take_lock_failure(LockFailure *failure);

/*
 * Lock a relation in whatever process, waiting for so many milliseconds at the
 * most, for who wants to write it waits behind; false if it was not to be had.
 */
extern bool process_lock_briefly(Oid relid, LOCKMODE lockmode, int ms);

/*
 * Lock all of these relations without waiting, in whatever process, or none: then
 * one that somebody else has locked is returned, else InvalidOid.
 */
extern Oid	process_lock_all(List *relids, LOCKMODE lockmode);
extern void process_unlock_all(List *relids, LOCKMODE lockmode);

/* A relation and, if it is partitioned, all that is below it now: nothing is locked. */
extern List *process_tree_of(Oid relid);

/* The same as the first for a relation and, if it is partitioned, all that is below it. */
extern void process_lock_tree(Oid relid, LOCKMODE lockmode);
extern bool process_try_lock_tree(Oid relid, LOCKMODE lockmode);

/*
 * Lock the right to fill a sink, without waiting, so that there is one who does:
 * the lock on its table lets others through.
 */
extern void process_lock_fill(Oid sink);

/*
 * Whatever is done for a sink row by row counts here, so that a function that
 * does not come back is told from much work (engine/watchdog.c).
 */
extern volatile uint64 process_steps;

/* Somebody wants the fill under way ended (fill_stop.c). */
extern volatile bool process_fill_unwanted;

/* Exit if a database command wants the worker gone, or if it is gone; end a fill
 * that is not wanted. */
extern void process_check_stop(void);

/* Of each row: what a user's function would catch is raised outside of it, too. */
static inline void
process_step(void)
{
	process_steps++;
	if (unlikely(process_fill_unwanted))
		process_check_stop();
}

/* End the batch by an error that is nobody's fault; it is tried again. */
extern void process_retry(int sqlerrcode, const char *message) __attribute__((noreturn));

/* Was the error that has just been caught of that kind?  Forgets it. */
extern bool process_take_retry(void);

/* Would the same batch fail again in the same way? */
extern bool process_error_is_lasting(int sqlerrcode);

/* A key of a sink does not fit its index; lasting, until that is replaced. */
#define ERRCODE_FRESHET_LONG_KEY	MAKE_SQLSTATE('X', 'F', '0', '0', '1')

/* Settings of a session that maintains sinks. */
extern void process_set_session(void);

/* A policy that hides rows is an error and no filter, until the caller ends its level
 * of settings. */
extern void process_refuse_policies(void);

/* Allow parallel queries, which the worker has no use for otherwise, until the
 * caller ends its level of settings. */
extern void process_allow_parallel_query(void);

#endif							/* FRESHET_PROCESS_H */
