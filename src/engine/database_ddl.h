/*-------------------------------------------------------------------------
 *
 * database_ddl.h
 *		Commands on databases, which the worker must get out of the way of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DATABASE_DDL_H
#define FRESHET_DATABASE_DDL_H

/* From _PG_init, when the library is preloaded. */
extern void database_ddl_install_hook(void);

#endif							/* FRESHET_DATABASE_DDL_H */
