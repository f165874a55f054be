/*-------------------------------------------------------------------------
 *
 * fill_watch.h
 *		Count the rows that a query reads which fills a sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FILL_WATCH_H
#define FRESHET_FILL_WATCH_H

#include "postgres.h"

#include "nodes/primnodes.h"

/*
 * A condition that is always true, for the WHERE of such a query: it counts the
 * rows for freshet.progress and lets the process stop when it is asked to.
 */
extern Expr *fill_watch_qual(Oid sink);

#endif							/* FRESHET_FILL_WATCH_H */
