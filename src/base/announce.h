/*-------------------------------------------------------------------------
 *
 * announce.h
 *		What a commit does for freshet.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_ANNOUNCE_H
#define FRESHET_ANNOUNCE_H

/* Have commits wake the worker of their database. */
extern void announce_install_hook(void);

/*
 * Have the launcher look for databases when the current transaction commits.
 * first: the transaction has made this database the first time one of them.
 */
extern void announce_to_launcher_at_commit(bool first);

#endif							/* FRESHET_ANNOUNCE_H */
