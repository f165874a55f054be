/*-------------------------------------------------------------------------
 *
 * fill_report.h
 *		What freshet.progress shows of a fill.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_FILL_REPORT_H
#define FRESHET_FILL_REPORT_H

#include "postgres.h"

#include "base/shmem.h"
#include "catalog/sink.h"

/*
 * Bytes of all sources of the sink; *rows receives an estimate of those of the
 * first in its query, which is scanned.
 */
extern uint64 fill_report_estimate(Sink *sink, int64 *rows);

/* Show the sink in this phase; gives where rows are counted, or NULL. */
extern int64 *fill_report_phase(Sink *sink, FillPhase phase);
/* Do not show it any more, or none. */
extern void fill_report_end(Oid relid);
extern void fill_report_end_all(void);

#endif							/* FRESHET_FILL_REPORT_H */
