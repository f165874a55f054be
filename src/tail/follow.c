/*-------------------------------------------------------------------------
 *
 * follow.c
 *		From the stream to the output, and the confirmations back.
 *
 * The stream is one of whole transactions, in the order of their commits: we
 * ask the plugin for their begin and commit lines, and for no streaming of
 * those that are under way.  So one position says what has been printed: the
 * end of the commit record of the last transaction that was.
 *
 *	printed		that position.  A transaction that ends at or before it has
 *				been printed, and is dropped if it comes again.
 *	passed		the server has read the log up to here and sent all that is
 *				ours.  It comes with keepalives, and is past "printed" when
 *				the log has things in it that are not for us.  It moves only
 *				between transactions.
 *
 * The later of both is where the slot may be confirmed, and where to start
 * after a lost connection.  The server forgets what was confirmed shortly
 * before a crash, but not what we ask for; so it sends nothing twice as long
 * as we live.  If we are killed, what was printed but not confirmed comes
 * again to who follows us.
 *
 * What comes over the wire is that of the documentation's "Streaming
 * Replication Protocol": messages w (data) and k (keepalive) to us, r (status)
 * from us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <poll.h>
#include <sys/time.h>

#include "common/logging.h"
#include "datatype/timestamp.h"
#include "follow.h"
#include "lib/stringinfo.h"
#include "message.h"
#include "output.h"
#include "port/pg_bswap.h"
#include "session.h"
#include "transaction.h"
#include "waiting.h"

/* Bytes before the payload: type, start and end in the log, time. */
#define DATA_HEADER			(1 + 8 + 8 + 8)
/* Type, end of the log, time, whether a reply is wanted. */
#define KEEPALIVE_LENGTH	(1 + 8 + 8 + 1)

/* How long the server may take to end the stream when we do. */
#define FINISH_TIMEOUT		(5 * INT64CONST(1000000))

struct Follower
{
	const TailOptions *opts;
	Output	   *output;
	Transaction *txn;
	bool		in_transaction;
	XLogRecPtr	printed;
	XLogRecPtr	passed;
	bool		received;		/* something came over this connection */
	int64		last_status;	/* when we sent one */
};

/* What the handling of a message leads to; the loop goes on with GO_ON. */
typedef enum Next
{
	GO_ON,
	REACHED_ENDPOS,
	OUTPUT_CLOSED,
	CONNECTION_LOST,
	PROTOCOL_ERROR
} Next;

Follower *
follower_create(const TailOptions *opts)
{
	Follower   *follower = pg_malloc0(sizeof(Follower));

	follower->opts = opts;
	follower->output = output_create(opts);
	follower->txn = transaction_create();
	/* what ends there or before is none of ours */
	follower->printed = opts->from;
	return follower;
}

/*
 * Has anything come over the last connection?
 */
bool
follower_received(Follower *follower)
{
	return follower->received;
}

/*
 * All that is ours before this position has been printed.
 */
static XLogRecPtr
done_position(Follower *follower)
{
	return Max(follower->printed, follower->passed);
}

/* ---------------------------------------------------------------------
 * Confirmations
 * ---------------------------------------------------------------------
 */

static void
append_int64(StringInfo buf, uint64 value)
{
	value = pg_hton64(value);
	appendBinaryStringInfo(buf, (const char *) &value, sizeof(value));
}

/*
 * Tell the server what has been printed.
 */
static bool
send_status(Follower *follower, PGconn *conn)
{
	StringInfoData buf;
	XLogRecPtr	done = done_position(follower);
	struct timeval now;
	bool		sent;

	output_sync(follower->output);

	initStringInfo(&buf);
	gettimeofday(&now, NULL);
	appendStringInfoChar(&buf, 'r');
	append_int64(&buf, done);	/* written */
	append_int64(&buf, done);	/* flushed: this is what the slot goes by */
	append_int64(&buf, InvalidXLogRecPtr);	/* applied */
	append_int64(&buf, ((int64) now.tv_sec -
						((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY)) * USECS_PER_SEC
				 + now.tv_usec);
	appendStringInfoChar(&buf, 0);	/* no reply wanted */
	sent = PQputCopyData(conn, buf.data, buf.len) > 0 && PQflush(conn) == 0;
	pfree(buf.data);

	if (!sent)
		pg_log_error("could not send status to the server: %s", PQerrorMessage(conn));
	follower->last_status = current_time_us();
	return sent;
}

/*
 * When the next status is due, from now; below zero if never.
 */
static int64
status_due(Follower *follower)
{
	if (follower->opts->status_interval == 0)
		return -1;
	return Max(follower->last_status + follower->opts->status_interval * INT64CONST(1000000)
			   - current_time_us(), 0);
}

/*
 * End the stream with a last confirmation.  It has arrived when the server has
 * ended the stream on its side; what it sends until then is not ours.
 */
static void
finish_stream(Follower *follower, PGconn *conn)
{
	int64		until = current_time_us() + FINISH_TIMEOUT;
	char	   *data = NULL;

	if (!send_status(follower, conn) || PQputCopyEnd(conn, NULL) <= 0 || PQflush(conn) != 0)
		return;
	for (;;)
	{
		int			len = PQgetCopyData(conn, &data, 1);
		struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN};
		int64		left = until - current_time_us();

		if (len > 0)
			PQfreemem(data);
		else if (len < 0)
			break;
		/* the flag to stop is up: wait_for_socket() would not wait */
		else if (left <= 0 || (poll(&fd, 1, left / 1000 + 1) < 0 && errno != EINTR) ||
				 !PQconsumeInput(conn))
			return;
	}
	PQclear(PQgetResult(conn));
}

/* ---------------------------------------------------------------------
 * Lines
 * ---------------------------------------------------------------------
 */

static Next
protocol_error(const char *what, const char *line, size_t len)
{
	pg_log_error("%s: %.*s", what, (int) Min(len, 1000), line);
	return PROTOCOL_ERROR;
}

/*
 * The transaction is complete: print it, unless it has been.
 */
static Next
end_transaction(Follower *follower, Message *message)
{
	XLogRecPtr	endpos = follower->opts->endpos;
	XLogRecPtr	end_lsn = message_lsn(message, "end_lsn");

	if (end_lsn == InvalidXLogRecPtr)
		return protocol_error("a commit without its position", message->line.start,
							  message->line.len);
	if (endpos != InvalidXLogRecPtr && end_lsn > endpos)
		return REACHED_ENDPOS;

	follower->in_transaction = false;
	if (end_lsn > follower->printed)
	{
		if (!output_transaction(follower->output, follower->txn))
			return OUTPUT_CLOSED;
		follower->printed = end_lsn;
	}
	transaction_reset(follower->txn);
	return end_lsn == endpos ? REACHED_ENDPOS : GO_ON;
}

static Next
handle_line(Follower *follower, char *line, size_t len)
{
	Message		message;
	Next		next = GO_ON;
	char	   *newline;

	/* a value of type json may have line breaks, which mean nothing */
	while ((newline = memchr(line, '\n', len)) != NULL)
		*newline = ' ';

	if (!message_read(&message, line, len))
		return protocol_error("the stream has a line that is not a message", line, len);
	if (message.op == OP_BEGIN)
	{
		transaction_reset(follower->txn);
		follower->in_transaction = true;
	}
	else if (!follower->in_transaction)
		next = protocol_error("the stream has a line outside of a transaction", line, len);
	if (next == GO_ON)
	{
		transaction_add(follower->txn, line, len);
		if (message.op == OP_COMMIT)
			next = end_transaction(follower, &message);
	}
	message_free(&message);
	return next;
}

/* ---------------------------------------------------------------------
 * The stream
 * ---------------------------------------------------------------------
 */

static uint64
get_int64(const char *bytes)
{
	uint64		value;

	memcpy(&value, bytes, sizeof(value));
	return pg_ntoh64(value);
}

static Next
handle_keepalive(Follower *follower, PGconn *conn, const char *data)
{
	XLogRecPtr	end = get_int64(data + 1);
	XLogRecPtr	endpos = follower->opts->endpos;
	bool		reply_wanted = data[KEEPALIVE_LENGTH - 1] != 0;
	Next		next = GO_ON;

	if (!follower->in_transaction)
	{
		if (endpos != InvalidXLogRecPtr && end >= endpos)
		{
			/* what comes later is for who follows us */
			end = endpos;
			next = REACHED_ENDPOS;
		}
		follower->passed = Max(follower->passed, end);
	}
	if (reply_wanted && next == GO_ON && !send_status(follower, conn))
		next = CONNECTION_LOST;
	return next;
}

static Next
handle_message(Follower *follower, PGconn *conn, char *data, int len)
{
	if (data[0] == 'w' && len >= DATA_HEADER)
		return handle_line(follower, data + DATA_HEADER, len - DATA_HEADER);
	if (data[0] == 'k' && len >= KEEPALIVE_LENGTH)
		return handle_keepalive(follower, conn, data);
	return protocol_error("unknown message in the stream", data, 1);
}

/*
 * The server has ended the stream: why?
 */
static FollowResult
stream_ended(PGconn *conn)
{
	PGresult   *res = PQgetResult(conn);
	FollowResult result = FOLLOW_LOST;

	if (PQresultStatus(res) == PGRES_FATAL_ERROR)
	{
		pg_log_error("the stream broke off: %s", PQresultErrorMessage(res));
		if (session_error(res) == SESSION_FAILED)
			result = FOLLOW_FAILED;
	}
	else
		pg_log_error("the server ended the stream");
	PQclear(res);
	return result;
}

/*
 * Receive until there is a reason not to.
 */
static FollowResult
receive(Follower *follower, PGconn *conn)
{
	for (;;)
	{
		char	   *data = NULL;
		int			len;
		Next		next;

		if (stop_requested())
			return FOLLOW_STOPPED;
		if (status_due(follower) == 0 && !send_status(follower, conn))
			return FOLLOW_LOST;

		len = PQgetCopyData(conn, &data, 1);
		if (len == -1)
			return stream_ended(conn);
		if (len == -2)
		{
			pg_log_error("the stream broke off: %s", PQerrorMessage(conn));
			return FOLLOW_LOST;
		}
		if (len == 0)
		{
			WaitResult	waited = wait_for_socket(PQsocket(conn), POLLIN, status_due(follower));

			if (waited == WAIT_OUTPUT_CLOSED)
				return FOLLOW_OUTPUT_CLOSED;
			if (waited == WAIT_READY && !PQconsumeInput(conn))
			{
				pg_log_error("the stream broke off: %s", PQerrorMessage(conn));
				return FOLLOW_LOST;
			}
			continue;
		}

		follower->received = true;
		next = handle_message(follower, conn, data, len);
		PQfreemem(data);
		switch (next)
		{
			case GO_ON:
				break;
			case REACHED_ENDPOS:
				return FOLLOW_ENDPOS;
			case OUTPUT_CLOSED:
				return FOLLOW_OUTPUT_CLOSED;
			case CONNECTION_LOST:
				return FOLLOW_LOST;
			case PROTOCOL_ERROR:
				return FOLLOW_FAILED;
		}
	}
}

/*
 * Follow over this connection.  What has been printed over earlier ones is not
 * printed again.
 */
FollowResult
follow(Follower *follower, PGconn *conn)
{
	FollowResult result;

	follower->received = false;
	follower->in_transaction = false;
	transaction_reset(follower->txn);

	switch (session_start(conn, follower->opts, done_position(follower)))
	{
		case SESSION_OK:
			break;
		case SESSION_STOPPED:
			return stop_requested() ? FOLLOW_STOPPED : FOLLOW_OUTPUT_CLOSED;
		case SESSION_LOST:
			return FOLLOW_LOST;
		case SESSION_FAILED:
			return FOLLOW_FAILED;
	}
	if (follower->opts->verbose && done_position(follower) == InvalidXLogRecPtr)
		pg_log_info("following replication slot \"%s\"", follower->opts->slot);
	else if (follower->opts->verbose)
		pg_log_info("following replication slot \"%s\" from %X/%X", follower->opts->slot,
					LSN_FORMAT_ARGS(done_position(follower)));
	follower->last_status = current_time_us();

	result = receive(follower, conn);
	if (result == FOLLOW_STOPPED || result == FOLLOW_ENDPOS)
		finish_stream(follower, conn);
	return result;
}
