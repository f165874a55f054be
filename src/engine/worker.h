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

extern PGDLLEXPORT void freshet_worker_main(Datum main_arg);

#endif							/* FRESHET_WORKER_H */
