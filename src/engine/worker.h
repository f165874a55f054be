/*-------------------------------------------------------------------------
 *
 * worker.h
 *		The per-database worker.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WORKER_H
#define FRESHET_WORKER_H

#include "postgres.h"

#include "storage/lockdefs.h"

#include "base/shmem.h"

/* The slot of this worker; NULL in other processes. */
extern WorkerSlot *MyWorkerSlot;

/* The worker for which this process works: itself, or the filler's owner. */
extern pid_t worker_pid;

/*
 * Lock a relation until the end of the transaction.  In a worker a lock that
 * is not to be had soon, or a deadlock, ends the batch, which is then tried
 * again: it is nobody's fault, and the others that wait must not suffer.
 */
extern void worker_lock_relation(Oid relid, LOCKMODE lockmode);

/* End the batch by an error that is nobody's fault; it is tried again. */
extern void worker_retry(int sqlerrcode, const char *message) __attribute__((noreturn));

/* Would the same batch fail again in the same way? */
extern bool worker_error_is_lasting(int sqlerrcode);

/* Settings of a session that maintains sinks. */
extern void worker_set_session(void);

/* Allow parallel queries, which the worker has no use for otherwise, until the
 * caller ends its level of settings. */
extern void worker_allow_parallel_query(void);

/* Exit if a database command wants the worker gone, or if it is gone. */
extern void worker_check_stop(void);

extern PGDLLEXPORT void freshet_worker_main(Datum main_arg);

#endif							/* FRESHET_WORKER_H */
