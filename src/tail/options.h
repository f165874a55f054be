/*-------------------------------------------------------------------------
 *
 * options.h
 *		What the command line asks for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_OPTIONS_H
#define TAIL_OPTIONS_H

#include "access/xlogdefs.h"

/* Exit codes; they are documented in the README and by --help. */
#define EXIT_STOPPED		0	/* told to stop, or --endpos reached */
#define EXIT_ERROR			1
#define EXIT_CONNECTION		2	/* no connection, or lost and --no-loop */
#define EXIT_OUTPUT_CLOSED	3	/* nobody reads standard output any more */

typedef enum OutputFormat
{
	FORMAT_ALIGNED,
	FORMAT_JSON
} OutputFormat;

typedef enum PasswordPrompt
{
	PROMPT_IF_NEEDED,
	PROMPT_NEVER,
	PROMPT_ALWAYS
} PasswordPrompt;

typedef struct PluginOption
{
	char	   *name;
	char	   *value;			/* NULL if none was given */
} PluginOption;

typedef struct TailOptions
{
	/* connection; NULL leaves it to libpq */
	char	   *dbname;			/* or a connection string */
	char	   *host;
	char	   *port;
	char	   *user;
	PasswordPrompt prompt;

	/* the slot, and what to do with it */
	char	   *slot;
	bool		create_slot;
	bool		if_not_exists;
	bool		drop_slot;
	bool		temporary;
	bool		no_start;

	/* what to follow: options of the output plugin, and positions */
	PluginOption *plugin_options;
	int			n_plugin_options;
	XLogRecPtr	from;			/* invalid: where the slot is */
	XLogRecPtr	endpos;			/* invalid: never */

	/* how */
	OutputFormat format;
	const char *null_text;
	bool		transactions;
	bool		verbose;
	bool		no_loop;
	int			status_interval;	/* seconds; 0: only when asked */
} TailOptions;

extern void options_parse(TailOptions *opts, int argc, char **argv);

#endif							/* TAIL_OPTIONS_H */
