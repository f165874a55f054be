/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_GUC_H
#define FRESHET_GUC_H

extern int	freshet_batch_interval; /* ms: at most one batch each */
extern int	freshet_max_batch_size; /* MB of log per batch */
extern int	freshet_work_mem;		/* kB: change sets, and groups */
extern int	freshet_max_wal_lag;	/* MB; -1: no limit */
extern int	freshet_max_workers;	/* databases with a worker */
extern int	freshet_fill_threshold; /* MB: a larger source is filled by a second worker */
extern bool freshet_debug_flush_caches; /* for tests, at every record of the log */
extern bool freshet_check_stream_privileges;	/* consumers need SELECT */

extern int	freshet_max_fill_backlog;	/* MB of changes kept for such a sink; -1: no limit */

extern int	freshet_sink_timeout;
extern int	freshet_lock_patience;	/* ms without a row dealt with; 0: no limit */
extern double freshet_refresh_cost_limit;	/* of a query that is run at each change */

extern void guc_define(void);

#endif							/* FRESHET_GUC_H */
