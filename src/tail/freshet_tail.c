/*-------------------------------------------------------------------------
 *
 * freshet_tail.c
 *		freshet-tail: follow sinks and tables from the shell.
 *
 * The way of a line:
 *
 *	session.c		a connection in replication mode; the slot; START_REPLICATION
 *	follow.c		messages of the stream; what to confirm
 *	message.c		a line taken apart, with the help of json_text.c
 *	transaction.c	lines kept until their transaction is complete
 *	output.c		to standard output, as JSON or through aligned.c
 *
 * This file ties them together: it connects, follows until that ends, and
 * says what then.  waiting.c is where all of them wait.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include "common/logging.h"
#include "follow.h"
#include "options.h"
#include "session.h"
#include "waiting.h"

/* The pause before a lost connection is tried again, doubled each time. */
#define FIRST_PAUSE		INT64CONST(250000)
#define LONGEST_PAUSE	INT64CONST(10000000)

/*
 * The exit code when something was stopped before it was done: a signal is
 * the usual end of following, but a slot command was to be carried out.
 */
static int
stopped_early(const TailOptions *opts)
{
	if (!stop_requested())
		return EXIT_OUTPUT_CLOSED;
	if (opts->drop_slot || opts->no_start)
		return EXIT_ERROR;
	return EXIT_STOPPED;
}

static int
exit_code(const TailOptions *opts, SessionResult result)
{
	switch (result)
	{
		case SESSION_OK:
			return EXIT_STOPPED;
		case SESSION_STOPPED:
			return stopped_early(opts);
		case SESSION_LOST:
			return EXIT_CONNECTION;
		case SESSION_FAILED:
			break;
	}
	return EXIT_ERROR;
}

/*
 * Make or drop the slot, and look whether it is one that we can follow.
 */
static SessionResult
prepare_slot(PGconn *conn, const TailOptions *opts)
{
	SessionResult result = SESSION_OK;

	if (opts->drop_slot)
		return session_drop_slot(conn, opts);
	if (opts->create_slot)
		result = session_create_slot(conn, opts);
	if (result == SESSION_OK && !opts->no_start)
		result = session_check_slot(conn, opts);
	return result;
}

/*
 * Wait before the next attempt.  False if there is to be none.
 */
static bool
pause_for(int64 *pause)
{
	bool		go_on;

	pg_log_info("trying again in %g s", *pause / 1000000.0);
	go_on = wait_for_time(*pause) == WAIT_TIMEOUT;
	*pause = Min(*pause * 2, LONGEST_PAUSE);
	return go_on;
}

/*
 * Follow, over as many connections as it takes.  The first is given.
 */
static int
follow_on(PGconn *conn, const TailOptions *opts)
{
	Follower   *follower = follower_create(opts);
	int64		pause = FIRST_PAUSE;

	waiting_watch_output();
	for (;;)
	{
		if (conn != NULL)
		{
			FollowResult result = follow(follower, conn);

			PQfinish(conn);
			switch (result)
			{
				case FOLLOW_STOPPED:
				case FOLLOW_ENDPOS:
					return EXIT_STOPPED;
				case FOLLOW_OUTPUT_CLOSED:
					return EXIT_OUTPUT_CLOSED;
				case FOLLOW_FAILED:
					return EXIT_ERROR;
				case FOLLOW_LOST:
					break;
			}
			if (opts->temporary)
			{
				pg_log_error_detail("The temporary replication slot went with the connection.");
				return EXIT_CONNECTION;
			}
			if (follower_received(follower))
				pause = FIRST_PAUSE;
		}
		if (opts->no_loop)
			return EXIT_CONNECTION;
		if (!pause_for(&pause))
			return stop_requested() ? EXIT_STOPPED : EXIT_OUTPUT_CLOSED;
		switch (session_connect(opts, &conn))
		{
			case SESSION_OK:
			case SESSION_LOST:
				break;			/* in the latter case conn is NULL */
			case SESSION_STOPPED:
				return stop_requested() ? EXIT_STOPPED : EXIT_OUTPUT_CLOSED;
			case SESSION_FAILED:
				return EXIT_ERROR;
		}
	}
}

int
main(int argc, char **argv)
{
	TailOptions opts;
	PGconn	   *conn;
	SessionResult result;

	pg_logging_init(argv[0]);
	options_parse(&opts, argc, argv);

	/* a signal is to end the prompt for a password at once */
	result = session_connect(&opts, &conn);
	if (result != SESSION_OK)
		return exit_code(&opts, result);
	waiting_init();
	result = prepare_slot(conn, &opts);
	if (result != SESSION_OK || opts.drop_slot || opts.no_start)
	{
		PQfinish(conn);
		return exit_code(&opts, result);
	}
	return follow_on(conn, &opts);
}
