/*-------------------------------------------------------------------------
 *
 * launcher.h
 *		The cluster's launcher, which starts a worker for each database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_LAUNCHER_H
#define FRESHET_LAUNCHER_H

#include "postgres.h"

#include "postmaster/bgworker.h"

/* At preload: have the postmaster start the launcher. */
extern void launcher_register(void);

/* A dynamic background worker of freshet for a database, of whose start and
 * end this process is told. */
extern void launcher_init_worker(BackgroundWorker *worker, const char *function,
								 const char *type, Oid dboid);

extern PGDLLEXPORT void freshet_launcher_main(Datum main_arg);
extern PGDLLEXPORT void freshet_scout_main(Datum main_arg);

#endif							/* FRESHET_LAUNCHER_H */
