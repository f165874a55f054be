/*-------------------------------------------------------------------------
 *
 * session.c
 *		The connection to the server, and the slot.
 *
 * Nothing here blocks for longer than it takes to notice a signal: not the
 * connection to a host that does not answer, and not the making of a slot,
 * which waits for the transactions that are running.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <poll.h>

#include "common/logging.h"
#include "common/string.h"
#include "lib/stringinfo.h"
#include "message.h"
#include "session.h"
#include "waiting.h"

/* The password that was typed, for connections to come. */
static char *password = NULL;

/* ---------------------------------------------------------------------
 * Connection
 * ---------------------------------------------------------------------
 */

/*
 * The connection's connect_timeout as microseconds, below zero if there is
 * none: libpq leaves it to who connects without blocking.
 */
static int64
connect_timeout(PGconn *conn)
{
	PQconninfoOption *options = PQconninfo(conn);
	int64		result = -1;

	for (PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
	{
		if (strcmp(option->keyword, "connect_timeout") == 0 && option->val != NULL &&
			atoi(option->val) > 0)
			result = Max(atoi(option->val), 2) * INT64CONST(1000000);
	}
	PQconninfoFree(options);
	return result;
}

/*
 * Start a connection.  A connection string in dbname is taken apart by libpq;
 * what comes after it wins.
 */
static PGconn *
start_connection(const TailOptions *opts)
{
	const char *keywords[] = {"dbname", "host", "port", "user", "password", "replication",
	"fallback_application_name", NULL};
	const char *values[lengthof(keywords)] = {opts->dbname, opts->host, opts->port, opts->user,
	password, "database", "freshet-tail", NULL};
	PGconn	   *conn = PQconnectStartParams(keywords, values, true);

	if (conn == NULL)
		pg_fatal("out of memory");
	return conn;
}

static SessionResult
finish_connecting(PGconn *conn)
{
	int64		timeout = connect_timeout(conn);
	int64		until = current_time_us() + timeout;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (PQstatus(conn) != CONNECTION_BAD && status != PGRES_POLLING_FAILED)
	{
		if (status == PGRES_POLLING_OK)
			return SESSION_OK;
		switch (wait_for_socket(PQsocket(conn), status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
								timeout < 0 ? -1 : Max(until - current_time_us(), 0)))
		{
			case WAIT_READY:
				status = PQconnectPoll(conn);
				break;
			case WAIT_TIMEOUT:
				pg_log_error("could not connect to the server: timeout expired");
				return SESSION_LOST;
			case WAIT_STOP:
			case WAIT_OUTPUT_CLOSED:
				return SESSION_STOPPED;
		}
	}
	return SESSION_LOST;
}

/*
 * Connect, asking for a password if that is wanted; but only for the first
 * connection, when somebody may be there to type it.
 */
SessionResult
session_connect(const TailOptions *opts, PGconn **conn)
{
	static bool connected_before = false;
	SessionResult result;

	if (opts->prompt == PROMPT_ALWAYS && password == NULL)
		password = simple_prompt("Password: ", false);

	for (;;)
	{
		*conn = start_connection(opts);
		result = finish_connecting(*conn);
		if (result == SESSION_OK)
			break;
		if (result == SESSION_LOST && PQconnectionNeedsPassword(*conn) && password == NULL &&
			opts->prompt != PROMPT_NEVER && !connected_before)
		{
			PQfinish(*conn);
			password = simple_prompt("Password: ", false);
			continue;
		}
		if (result == SESSION_LOST && PQerrorMessage(*conn)[0] != '\0')
			pg_log_error("%s", PQerrorMessage(*conn));
		PQfinish(*conn);
		*conn = NULL;
		return result;
	}
	if (PQserverVersion(*conn) < 150000)
	{
		pg_log_error("server version %s is too old: freshet needs PostgreSQL 15",
					 PQparameterStatus(*conn, "server_version"));
		return SESSION_FAILED;
	}
	connected_before = true;
	return SESSION_OK;
}

/* ---------------------------------------------------------------------
 * Commands
 * ---------------------------------------------------------------------
 */

/*
 * Will what the server refused work another time?
 *
 * Without a code it was libpq that gave up, on a connection that broke.
 */
SessionResult
session_error(const PGresult *res)
{
	static const char *const passing[] = {
		"08",					/* connection exception */
		"40",					/* transaction rollback */
		"53",					/* insufficient resources */
		"55006",				/* object in use: the slot's last reader lingers */
		"57P01", "57P02", "57P03",	/* shutdown, crash, cannot connect now */
		"58"					/* system error */
	};
	const char *code = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (code == NULL)
		return SESSION_LOST;
	for (int i = 0; i < lengthof(passing); i++)
	{
		if (strncmp(code, passing[i], strlen(passing[i])) == 0)
			return SESSION_LOST;
	}
	return SESSION_FAILED;
}

static bool
error_is(const PGresult *res, const char *code)
{
	const char *actual = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	return actual != NULL && strcmp(actual, code) == 0;
}

static void
cancel_command(PGconn *conn)
{
	PGcancel   *cancel = PQgetCancel(conn);
	char		error[256];

	if (cancel != NULL)
		PQcancel(cancel, error, sizeof(error));
	PQfreeCancel(cancel);
}

/*
 * Run a command and wait for its result, which may be NULL if the connection
 * is gone.  SESSION_STOPPED: the command was cancelled.
 */
static SessionResult
run_command(PGconn *conn, const char *command, PGresult **res)
{
	bool		cancelled = false;

	*res = NULL;
	if (!PQsendQuery(conn, command))
		return SESSION_OK;
	while (!cancelled && PQisBusy(conn))
	{
		if (wait_for_socket(PQsocket(conn), POLLIN, -1) != WAIT_READY)
		{
			cancel_command(conn);
			cancelled = true;
		}
		else if (!PQconsumeInput(conn))
			return SESSION_OK;
	}

	/* what was cancelled may have succeeded all the same */
	*res = PQgetResult(conn);
	if (PQresultStatus(*res) != PGRES_COPY_BOTH)
	{
		PGresult   *more;

		while ((more = PQgetResult(conn)) != NULL)
			PQclear(more);
	}
	if (cancelled && (error_is(*res, "57014") || PQresultStatus(*res) == PGRES_COPY_BOTH))
	{
		PQclear(*res);
		*res = NULL;
		return SESSION_STOPPED;
	}
	return SESSION_OK;
}

/*
 * Report that a command failed, and free its result.
 */
static SessionResult
report_failure(PGconn *conn, PGresult *res, const char *what, const char *slot)
{
	SessionResult result = res ? session_error(res) : SESSION_LOST;

	pg_log_error("could not %s replication slot \"%s\": %s", what, slot,
				 res ? PQresultErrorMessage(res) : PQerrorMessage(conn));
	PQclear(res);
	return result;
}

static void
append_quoted(StringInfo buf, const char *text, char quote)
{
	appendStringInfoChar(buf, quote);
	for (; *text; text++)
	{
		if (*text == quote)
			appendStringInfoChar(buf, quote);
		appendStringInfoChar(buf, *text);
	}
	appendStringInfoChar(buf, quote);
}

/*
 * Make the slot.
 */
SessionResult
session_create_slot(PGconn *conn, const TailOptions *opts)
{
	StringInfoData command;
	PGresult   *res;
	SessionResult result;

	initStringInfo(&command);
	appendStringInfoString(&command, "CREATE_REPLICATION_SLOT ");
	append_quoted(&command, opts->slot, '"');
	if (opts->temporary)
		appendStringInfoString(&command, " TEMPORARY");
	appendStringInfoString(&command, " LOGICAL \"freshet\" (SNAPSHOT 'nothing')");

	result = run_command(conn, command.data, &res);
	pfree(command.data);
	if (result != SESSION_OK)
		return result;
	if (opts->if_not_exists && error_is(res, "42710"))
	{
		PQclear(res);
		return SESSION_OK;
	}
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		return report_failure(conn, res, "create", opts->slot);
	if (opts->verbose)
		pg_log_info("created replication slot \"%s\" at %s", opts->slot, PQgetvalue(res, 0, 1));
	PQclear(res);
	return SESSION_OK;
}

SessionResult
session_drop_slot(PGconn *conn, const TailOptions *opts)
{
	StringInfoData command;
	PGresult   *res;
	SessionResult result;

	initStringInfo(&command);
	appendStringInfoString(&command, "DROP_REPLICATION_SLOT ");
	append_quoted(&command, opts->slot, '"');
	result = run_command(conn, command.data, &res);
	pfree(command.data);
	if (result != SESSION_OK)
		return result;
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		return report_failure(conn, res, "drop", opts->slot);
	if (opts->verbose)
		pg_log_info("dropped replication slot \"%s\"", opts->slot);
	PQclear(res);
	return SESSION_OK;
}

/*
 * Is the slot one that we can read, and still where we want to start?
 */
SessionResult
session_check_slot(PGconn *conn, const TailOptions *opts)
{
	char	   *slot = PQescapeLiteral(conn, opts->slot, strlen(opts->slot));
	char	   *query;
	PGresult   *res;
	SessionResult result;
	XLogRecPtr	confirmed;

	if (slot == NULL)
		pg_fatal("%s", PQerrorMessage(conn));
	query = psprintf("SELECT plugin, confirmed_flush_lsn FROM pg_catalog.pg_replication_slots "
					 "WHERE slot_name OPERATOR(pg_catalog.=) %s", slot);
	result = run_command(conn, query, &res);
	pfree(query);
	PQfreemem(slot);
	if (result != SESSION_OK)
		return result;
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		return report_failure(conn, res, "look up", opts->slot);

	result = SESSION_FAILED;
	if (PQntuples(res) == 0)
	{
		pg_log_error("replication slot \"%s\" does not exist", opts->slot);
		pg_log_error_hint("Use --create-slot to create it.");
	}
	else if (PQgetisnull(res, 0, 0))
		pg_log_error("replication slot \"%s\" is a physical one", opts->slot);
	else if (strcmp(PQgetvalue(res, 0, 0), "freshet") != 0)
		pg_log_error("replication slot \"%s\" has the output plugin \"%s\", not \"freshet\"",
					 opts->slot, PQgetvalue(res, 0, 0));
	else
	{
		if (opts->from != InvalidXLogRecPtr && parse_lsn(PQgetvalue(res, 0, 1), &confirmed) &&
			opts->from < confirmed)
		{
			pg_log_warning("cannot start at %X/%X", LSN_FORMAT_ARGS(opts->from));
			pg_log_warning_detail("Replication slot \"%s\" has been confirmed up to %X/%X already.",
								  opts->slot, LSN_FORMAT_ARGS(confirmed));
		}
		result = SESSION_OK;
	}
	PQclear(res);
	return result;
}

/*
 * Start the stream after the position, or where the slot is if it is invalid.
 */
SessionResult
session_start(PGconn *conn, const TailOptions *opts, XLogRecPtr from)
{
	StringInfoData command;
	PGresult   *res;
	SessionResult result;

	initStringInfo(&command);
	appendStringInfoString(&command, "START_REPLICATION SLOT ");
	append_quoted(&command, opts->slot, '"');
	appendStringInfo(&command, " LOGICAL %X/%X (", LSN_FORMAT_ARGS(from));
	for (int i = 0; i < opts->n_plugin_options; i++)
	{
		const PluginOption *option = &opts->plugin_options[i];

		if (i > 0)
			appendStringInfoString(&command, ", ");
		append_quoted(&command, option->name, '"');
		if (option->value != NULL)
		{
			appendStringInfoChar(&command, ' ');
			append_quoted(&command, option->value, '\'');
		}
	}
	appendStringInfoChar(&command, ')');

	result = run_command(conn, command.data, &res);
	pfree(command.data);
	if (result != SESSION_OK)
		return result;
	if (PQresultStatus(res) != PGRES_COPY_BOTH)
		return report_failure(conn, res, "stream from", opts->slot);
	PQclear(res);
	return SESSION_OK;
}
