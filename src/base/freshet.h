/*-------------------------------------------------------------------------
 *
 * freshet.h
 *		Names shared by every file of freshet.
 *
 * Words used throughout (see README.md in this directory):
 *
 *	source		a table whose changes feed a sink
 *	sink		a table that freshet keeps equal to a query, its definition
 *	change		one row change: an old row, a new row, or both
 *	change set	the changes of one batch or of one held-back transaction
 *	batch		one transaction of the worker: snapshot, decode, maintain, commit
 *	progress	an LSN, and the transactions before it not applied yet
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_H
#define FRESHET_H

#include "postgres.h"

#include "compat.h"

#define FRESHET_SCHEMA		"freshet"
#define FRESHET_DEF_SCHEMA	"freshet_def"
#define FRESHET_STAGE_SCHEMA	"freshet_stage"
#define FRESHET_EXTENSION	"freshet"

/* Slot and replication origin of the database with this OID. */
#define FRESHET_OBJECT_PREFIX	"freshet_"

/* Prefix of the messages in the log that tell what a batch has applied. */
#define FRESHET_MESSAGE_PREFIX	"freshet"

/* Names that no column of a sink may have, for bookkeeping, begin with this. */
#define FRESHET_COLUMN_PREFIX	"_freshet_"
#define FRESHET_SINK_TRIGGER	"_freshet_refuse_write"
/* An index by this name, and more, is what a sink with long keys has: long_key.c. */
#define FRESHET_LONG_KEY_INDEX	"_freshet_long_key"

/* What finds rows without a key, and how many columns of them it looks at. */
#define FRESHET_ROW_HASH	"row_hash"
#define FRESHET_ROW_HASH_COLUMNS	100

#endif							/* FRESHET_H */
