/*-------------------------------------------------------------------------
 *
 * output.c
 *		Transactions to standard output.
 *
 * A transaction is written whole and flushed, or it counts as not printed.
 * A reader who has gone away (EPIPE) is reported to the caller; any other
 * failure to write ends the program here, before anything is confirmed.
 *
 * As JSON the lines go out as they came in.  As tables they go through
 * aligned.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "aligned.h"
#include "common/logging.h"
#include "message.h"
#include "output.h"

struct Output
{
	const TailOptions *opts;
	Aligned    *aligned;		/* NULL if the format is JSON */
	bool		is_file;
	bool		needs_sync;
};

Output *
output_create(const TailOptions *opts)
{
	Output	   *output = pg_malloc0(sizeof(Output));
	struct stat st;

	output->opts = opts;
	if (opts->format == FORMAT_ALIGNED)
		output->aligned = aligned_create(stdout, opts->null_text);
	output->is_file = fstat(STDOUT_FILENO, &st) == 0 && S_ISREG(st.st_mode);
	return output;
}

static void
write_json(Output *output, Transaction *txn)
{
	const char *line;
	size_t		len;

	while (!ferror(stdout) && transaction_next(txn, &line, &len))
	{
		if (!output->opts->transactions)
		{
			Message		message;

			message_read(&message, line, len);
			if (message.op == OP_BEGIN || message.op == OP_COMMIT)
				continue;
		}
		fwrite(line, 1, len, stdout);
		putc('\n', stdout);
	}
}

/*
 * The line that --verbose puts after the rows of a transaction.
 */
static void
describe_transaction(int64 changes, bool has_source, int64 source_time, Message *commit)
{
	XLogRecPtr	end_lsn = message_lsn(commit, "end_lsn");
	const cJSON *xid = message_member(commit, "xid");
	struct timeval now;
	int64		since;

	printf("-- %X/%X: transaction %.0f, " INT64_FORMAT " %s", LSN_FORMAT_ARGS(end_lsn),
		   cJSON_IsNumber(xid) ? xid->valuedouble : 0, changes,
		   changes == 1 ? "change" : "changes");
	gettimeofday(&now, NULL);
	if (has_source || message_time(commit, "commit_time", &since))
	{
		if (has_source)
			since = source_time;
		printf(", %.3f ms after the %scommit",
			   ((int64) now.tv_sec * 1000000 + now.tv_usec - since) / 1000.0,
			   has_source ? "source's " : "");
	}
	putc('\n', stdout);
}

static void
write_aligned(Output *output, Transaction *txn)
{
	const char *line;
	size_t		len;
	int64		changes = 0;
	bool		has_source = false;
	int64		source_time = 0;

	while (!ferror(stdout) && transaction_next(txn, &line, &len))
	{
		Message		message;

		message_read(&message, line, len);
		switch (message.op)
		{
			case OP_BEGIN:
				break;
			case OP_BATCH:
				has_source = message_time(&message, "applied_commit_time", &source_time);
				break;
			case OP_COMMIT:
				aligned_flush(output->aligned);
				if (output->opts->verbose)
					describe_transaction(changes, has_source, source_time, &message);
				break;
			case OP_INSERT:
			case OP_UPDATE:
			case OP_DELETE:
			case OP_TRUNCATE:
				changes++;
				aligned_change(output->aligned, &message);
				break;
			case OP_UNKNOWN:
				pg_fatal("the stream has a line that cannot be shown as a table: %.*s",
						 (int) Min(len, 1000), line);
		}
		message_free(&message);
	}
}

/*
 * Print a transaction.  False if nobody reads standard output any more, and
 * then it does not count as printed.
 */
bool
output_transaction(Output *output, Transaction *txn)
{
	errno = 0;
	transaction_rewind(txn);
	if (output->aligned)
		write_aligned(output, txn);
	else
		write_json(output, txn);
	output->needs_sync = true;

	if (fflush(stdout) == 0 && !ferror(stdout))
		return true;
	if (errno != EPIPE)
		pg_fatal("could not write to standard output: %m");
	return false;
}

/*
 * What was printed is about to be confirmed: if it went to a file it must
 * survive the machine.
 */
void
output_sync(Output *output)
{
	if (output->is_file && output->needs_sync && fsync(STDOUT_FILENO) != 0)
		pg_fatal("could not fsync standard output: %m");
	output->needs_sync = false;
}
