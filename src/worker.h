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

#include "shmem.h"

/* The slot of this worker; NULL in other processes. */
extern WorkerSlot *MyWorkerSlot;

/* The worker for which this process works: itself, or the filler's owner. */
extern pid_t worker_pid;

/* Settings of a session that maintains sinks. */
extern void worker_set_session(void);

/* Exit if a database command wants the worker gone, or if it is gone. */
extern void worker_check_stop(void);

extern PGDLLEXPORT void freshet_worker_main(Datum main_arg);

#endif							/* FRESHET_WORKER_H */
