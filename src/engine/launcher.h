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

/*
 * What the launcher does for others whenever it wakes.  Returns after how many
 * ms it has to be done again, -1 for not until something wakes the launcher.
 */
typedef long (*LauncherChore) (void);

/* At preload: have the postmaster start the launcher. */
extern void launcher_register(LauncherChore chore);

/* A dynamic background worker of freshet for a database, of whose start and
 * end this process is told. */
extern void launcher_init_worker(BackgroundWorker *worker, const char *function,
								 const char *type, Oid dboid);

extern PGDLLEXPORT void freshet_launcher_main(Datum main_arg);
extern PGDLLEXPORT void freshet_scout_main(Datum main_arg);

#endif							/* FRESHET_LAUNCHER_H */
