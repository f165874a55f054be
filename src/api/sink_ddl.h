/*-------------------------------------------------------------------------
 *
 * sink_ddl.h
 *		Commands that would spoil a sink, and what commands do to sinks.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SINK_DDL_H
#define FRESHET_SINK_DDL_H

/* From _PG_init, when the library is preloaded. */
extern void sink_ddl_install_hooks(void);

#endif							/* FRESHET_SINK_DDL_H */
