/*-------------------------------------------------------------------------
 *
 * stream_options.h
 *		What a consumer of the change stream asks for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STREAM_OPTIONS_H
#define FRESHET_STREAM_OPTIONS_H

#include "postgres.h"

#include "nodes/pg_list.h"

typedef enum StreamFormatKind
{
	STREAM_JSON,
	STREAM_DEBEZIUM
} StreamFormatKind;

typedef enum StreamOperation
{
	STREAM_INSERT,
	STREAM_UPDATE,
	STREAM_DELETE,
	STREAM_TRUNCATE
} StreamOperation;

#define STREAM_OPERATIONS	4

/* [[schema.]relation.]column or [schema.]relation; NULL stands for any. */
typedef struct NamePattern
{
	char	   *schema;
	char	   *relation;
	char	   *column;
} NamePattern;

typedef struct StreamOptions
{
	StreamFormatKind format;
	char	   *server_name;	/* of format debezium; NULL: the database's */
	List	   *sinks;			/* NamePattern * */
	List	   *tables;
	List	   *columns;		/* NIL: all */
	List	   *exclude_columns;
	bool		operations[STREAM_OPERATIONS];
	bool		local_only;		/* of tables: no changes that were replicated here */
	bool		publish_via_root;
	bool		transactions;
	bool		batches;
	bool		stream;
	bool		two_phase;
	bool		two_phase_given;
} StreamOptions;

/* From the list of DefElem of a decoding context; in the current context. */
extern StreamOptions *stream_options_parse(List *options);

/* The same list as "name=value name=value", for people. */
extern char *stream_options_text(List *options);

/* Does a name match one part of a pattern?  NULL matches all. */
extern bool name_matches(const char *pattern, const char *name);

#endif							/* FRESHET_STREAM_OPTIONS_H */
