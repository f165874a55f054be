/*-------------------------------------------------------------------------
 *
 * transaction.c
 *		The lines of the transaction that is being received.
 *
 * Nothing of a transaction is printed before its commit has come: if the
 * connection is lost in its middle, or the program is told to stop, the
 * output still ends with a whole transaction.  So its lines are kept, in
 * memory up to a limit, and beyond it in a temporary file that has no name.
 *
 * A line is kept with its length before it.  The file has the older ones.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <unistd.h>

#include "common/logging.h"
#include "lib/stringinfo.h"
#include "transaction.h"

#define MEMORY_LIMIT (16 * 1024 * 1024)

struct Transaction
{
	StringInfoData lines;		/* those not in the file */
	FILE	   *file;			/* NULL if there is none */
	/* iteration */
	bool		in_file;
	size_t		pos;			/* in lines */
	StringInfoData line;		/* one read from the file */
};

Transaction *
transaction_create(void)
{
	Transaction *txn = pg_malloc0(sizeof(Transaction));

	initStringInfo(&txn->lines);
	initStringInfo(&txn->line);
	return txn;
}

/*
 * Forget all lines.
 */
void
transaction_reset(Transaction *txn)
{
	resetStringInfo(&txn->lines);
	if (txn->file != NULL)
	{
		fclose(txn->file);
		txn->file = NULL;
	}
}

static FILE *
open_temporary_file(void)
{
	const char *dir = getenv("TMPDIR");
	char	   *path = psprintf("%s/freshet-tail.XXXXXX", dir && dir[0] ? dir : "/tmp");
	int			fd = mkstemp(path);
	FILE	   *file;

	if (fd < 0)
		pg_fatal("could not create temporary file \"%s\": %m", path);
	unlink(path);
	file = fdopen(fd, "w+");
	if (file == NULL)
		pg_fatal("could not open temporary file \"%s\": %m", path);
	pfree(path);
	return file;
}

static void
spill(Transaction *txn)
{
	if (txn->file == NULL)
		txn->file = open_temporary_file();
	if (fwrite(txn->lines.data, 1, txn->lines.len, txn->file) != txn->lines.len)
		pg_fatal("could not write to temporary file: %m");
	resetStringInfo(&txn->lines);
}

/*
 * Add a line.
 */
void
transaction_add(Transaction *txn, const char *line, size_t len)
{
	uint32		prefix = (uint32) len;

	if (txn->lines.len + len > MEMORY_LIMIT && txn->lines.len > 0)
		spill(txn);
	appendBinaryStringInfo(&txn->lines, (const char *) &prefix, sizeof(prefix));
	appendBinaryStringInfo(&txn->lines, line, len);
}

/*
 * Go before the first line.  No line is added from here on.
 */
void
transaction_rewind(Transaction *txn)
{
	txn->pos = 0;
	txn->in_file = txn->file != NULL;
	if (txn->in_file && (fflush(txn->file) != 0 || fseeko(txn->file, 0, SEEK_SET) != 0))
		pg_fatal("could not write to temporary file: %m");
}

static bool
next_from_file(Transaction *txn, const char **line, size_t *len)
{
	uint32		prefix;

	if (fread(&prefix, sizeof(prefix), 1, txn->file) != 1)
	{
		if (ferror(txn->file))
			pg_fatal("could not read from temporary file: %m");
		return false;
	}
	resetStringInfo(&txn->line);
	enlargeStringInfo(&txn->line, prefix);
	if (fread(txn->line.data, 1, prefix, txn->file) != prefix)
		pg_fatal("could not read from temporary file: %m");
	*line = txn->line.data;
	*len = prefix;
	return true;
}

/*
 * The next line, valid until the next call.  False if there is none.
 */
bool
transaction_next(Transaction *txn, const char **line, size_t *len)
{
	uint32		prefix;

	if (txn->in_file)
	{
		if (next_from_file(txn, line, len))
			return true;
		txn->in_file = false;
	}
	if (txn->pos >= txn->lines.len)
		return false;
	memcpy(&prefix, txn->lines.data + txn->pos, sizeof(prefix));
	*line = txn->lines.data + txn->pos + sizeof(prefix);
	*len = prefix;
	txn->pos += sizeof(prefix) + prefix;
	return true;
}
