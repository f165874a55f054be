/*-------------------------------------------------------------------------
 *
 * session.h
 *		The connection to the server, and the slot.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_SESSION_H
#define TAIL_SESSION_H

#include "libpq-fe.h"

#include "options.h"

typedef enum SessionResult
{
	SESSION_OK,
	SESSION_STOPPED,			/* told to stop; nothing was reported */
	SESSION_LOST,				/* reported; may work another time */
	SESSION_FAILED				/* reported; will not work another time */
} SessionResult;

extern SessionResult session_connect(const TailOptions *opts, PGconn **conn);
extern SessionResult session_create_slot(PGconn *conn, const TailOptions *opts);
extern SessionResult session_drop_slot(PGconn *conn, const TailOptions *opts);
extern SessionResult session_check_slot(PGconn *conn, const TailOptions *opts);
extern SessionResult session_start(PGconn *conn, const TailOptions *opts, XLogRecPtr from);
extern SessionResult session_error(const PGresult *res);

#endif							/* TAIL_SESSION_H */
