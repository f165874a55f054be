/*-------------------------------------------------------------------------
 *
 * follow.h
 *		From the stream to the output, and the confirmations back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_FOLLOW_H
#define TAIL_FOLLOW_H

#include "libpq-fe.h"

#include "options.h"

typedef enum FollowResult
{
	FOLLOW_STOPPED,				/* told to stop */
	FOLLOW_ENDPOS,				/* --endpos is reached */
	FOLLOW_OUTPUT_CLOSED,		/* nobody reads standard output any more */
	FOLLOW_LOST,				/* reported; connect again */
	FOLLOW_FAILED				/* reported; it would fail again */
} FollowResult;

typedef struct Follower Follower;

extern Follower *follower_create(const TailOptions *opts);
extern FollowResult follow(Follower *follower, PGconn *conn);
extern bool follower_received(Follower *follower);

#endif							/* TAIL_FOLLOW_H */
