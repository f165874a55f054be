/*-------------------------------------------------------------------------
 *
 * options.c
 *		What the command line asks for.
 *
 * Letters are those of pg_recvlogical where it has the option.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres_fe.h"

#include <unistd.h>

#include "common/logging.h"
#include "getopt_long.h"
#include "lib/stringinfo.h"
#include "message.h"
#include "options.h"

/* Options without a letter. */
enum
{
	OPT_CREATE_SLOT = 1000,
	OPT_DROP_SLOT,
	OPT_IF_NOT_EXISTS,
	OPT_TEMPORARY,
	OPT_NO_START,
	OPT_SINK,
	OPT_TABLE,
	OPT_COLUMNS,
	OPT_FORMAT,
	OPT_NULL,
	OPT_TRANSACTIONS
};

static const struct option long_options[] = {
	{"help", no_argument, NULL, '?'},
	{"version", no_argument, NULL, 'V'},
	{"dbname", required_argument, NULL, 'd'},
	{"host", required_argument, NULL, 'h'},
	{"port", required_argument, NULL, 'p'},
	{"username", required_argument, NULL, 'U'},
	{"no-password", no_argument, NULL, 'w'},
	{"password", no_argument, NULL, 'W'},
	{"slot", required_argument, NULL, 'S'},
	{"create-slot", no_argument, NULL, OPT_CREATE_SLOT},
	{"drop-slot", no_argument, NULL, OPT_DROP_SLOT},
	{"if-not-exists", no_argument, NULL, OPT_IF_NOT_EXISTS},
	{"temporary", no_argument, NULL, OPT_TEMPORARY},
	{"no-start", no_argument, NULL, OPT_NO_START},
	{"sink", required_argument, NULL, OPT_SINK},
	{"table", required_argument, NULL, OPT_TABLE},
	{"columns", required_argument, NULL, OPT_COLUMNS},
	{"option", required_argument, NULL, 'o'},
	{"from", required_argument, NULL, 'I'},
	{"startpos", required_argument, NULL, 'I'},
	{"endpos", required_argument, NULL, 'E'},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"null", required_argument, NULL, OPT_NULL},
	{"transactions", no_argument, NULL, OPT_TRANSACTIONS},
	{"no-loop", no_argument, NULL, 'n'},
	{"status-interval", required_argument, NULL, 's'},
	{"verbose", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0}
};

static void
usage(void)
{
	printf("freshet-tail prints the changes of sinks and tables of a PostgreSQL database.\n\n"
		   "Usage:\n"
		   "  freshet-tail [OPTION]...\n"
		   "\nWhat to follow:\n"
		   "      --sink=PATTERN     follow these sinks; may be repeated\n"
		   "      --table=PATTERN    follow these tables; may be repeated\n"
		   "                         (without either: all sinks)\n"
		   "      --columns=LIST     only these columns\n"
		   "  -o, --option=NAME[=VALUE]\n"
		   "                         pass an option to the output plugin; may be repeated\n"
		   "  -I, --from=LSN         start with the transactions that end after LSN\n"
		   "                         (default: where the slot has been confirmed)\n"
		   "  -E, --endpos=LSN       exit when all that ends at or before LSN is printed\n"
		   "\nReplication slot:\n"
		   "  -S, --slot=SLOTNAME    name of the replication slot\n"
		   "      --create-slot      create the slot first\n"
		   "      --if-not-exists    do not error if the slot is there when creating it\n"
		   "      --drop-slot        drop the slot and exit\n"
		   "      --no-start         exit when the slot has been created\n"
		   "      --temporary        follow with a new slot that goes with the connection\n"
		   "\nOutput:\n"
		   "      --format=FORMAT    aligned (default) or json\n"
		   "      --null=TEXT        print TEXT for nulls in aligned output (default: NULL)\n"
		   "      --transactions     print begin and commit lines in JSON output\n"
		   "  -v, --verbose          say more: transactions, with their delay, and connections\n"
		   "\nOther:\n"
		   "  -n, --no-loop          do not connect again when the connection is lost\n"
		   "  -s, --status-interval=SECS\n"
		   "                         time between confirmations to the server (default: 10)\n"
		   "  -V, --version          output version information, then exit\n"
		   "  -?, --help             show this help, then exit\n"
		   "\nConnection:\n"
		   "  -d, --dbname=DBNAME    database to connect to, or a connection string\n"
		   "  -h, --host=HOSTNAME    database server host or socket directory\n"
		   "  -p, --port=PORT        database server port number\n"
		   "  -U, --username=NAME    connect as specified database user\n"
		   "  -w, --no-password      never prompt for password\n"
		   "  -W, --password         force password prompt (should happen automatically)\n"
		   "\nExit status: 0 stopped by SIGINT or SIGTERM, or at --endpos; 1 error; 2 connection\n"
		   "not made, or lost and not to be made again; 3 standard output was closed.\n");
}

/* ---------------------------------------------------------------------
 * Options of the output plugin
 * ---------------------------------------------------------------------
 */

static void
add_plugin_option(TailOptions *opts, const char *name, const char *value)
{
	PluginOption *option;

	opts->plugin_options = pg_realloc(opts->plugin_options,
									  (opts->n_plugin_options + 1) * sizeof(PluginOption));
	option = &opts->plugin_options[opts->n_plugin_options++];
	option->name = pg_strdup(name);
	option->value = value ? pg_strdup(value) : NULL;
}

/*
 * An option of the form NAME[=VALUE].  Those that decide what the stream is
 * made of are ours, and some have an option of their own.
 */
static void
add_user_option(TailOptions *opts, const char *text)
{
	static const struct
	{
		const char *name;
		const char *instead;
	}			ours[] =
	{
		{"format", NULL},
		{"transactions", NULL},
		{"stream", NULL},
		{"two_phase", NULL},
		{"sinks", "--sink"},
		{"tables", "--table"},
		{"columns", "--columns"}
	};
	char	   *name = pg_strdup(text);
	char	   *equals = strchr(name, '=');

	if (equals != NULL)
		*equals = '\0';
	for (int i = 0; i < lengthof(ours); i++)
	{
		if (pg_strcasecmp(name, ours[i].name) != 0)
			continue;
		if (ours[i].instead)
			pg_fatal("option \"%s\" of the output plugin is set by %s", name, ours[i].instead);
		pg_fatal("option \"%s\" of the output plugin is chosen by freshet-tail itself", name);
	}
	add_plugin_option(opts, name, equals ? equals + 1 : NULL);
	pg_free(name);
}

static void
add_to_list(StringInfo list, const char *item)
{
	if (item[0] == '\0')
		pg_fatal("an empty name or pattern was given");
	if (list->len > 0)
		appendStringInfoChar(list, ',');
	appendStringInfoString(list, item);
}

/* ---------------------------------------------------------------------
 * The command line
 * ---------------------------------------------------------------------
 */

static XLogRecPtr
lsn_argument(const char *text, const char *option)
{
	XLogRecPtr	lsn;

	if (!parse_lsn(text, &lsn) || lsn == InvalidXLogRecPtr)
		pg_fatal("invalid value \"%s\" for option %s: not a position in the log", text, option);
	return lsn;
}

static int
seconds_argument(const char *text, const char *option)
{
	char	   *end;
	long		value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || value < 0 || value > 86400)
		pg_fatal("invalid value \"%s\" for option %s: not a number of seconds from 0 to 86400",
				 text, option);
	return value;
}

static OutputFormat
format_argument(const char *text)
{
	if (strcmp(text, "aligned") == 0)
		return FORMAT_ALIGNED;
	if (strcmp(text, "json") == 0)
		return FORMAT_JSON;
	pg_log_error("invalid value \"%s\" for option --format", text);
	pg_log_error_detail("Formats are: aligned, json.");
	exit(EXIT_ERROR);
}

static void
usage_error(void)
{
	pg_log_error_hint("Try \"freshet-tail --help\" for more information.");
	exit(EXIT_ERROR);
}

/*
 * Things that do not go together.
 */
static void
check_options(TailOptions *opts)
{
	if (opts->temporary && (opts->create_slot || opts->drop_slot || opts->no_start))
		pg_log_error("--temporary cannot be used with --create-slot, --drop-slot or --no-start");
	else if (opts->drop_slot && (opts->create_slot || opts->no_start))
		pg_log_error("--drop-slot cannot be used with --create-slot or --no-start");
	else if (opts->no_start && !opts->create_slot)
		pg_log_error("--no-start needs --create-slot");
	else if (opts->if_not_exists && !opts->create_slot)
		pg_log_error("--if-not-exists needs --create-slot");
	else if (opts->transactions && opts->format != FORMAT_JSON)
		pg_log_error("--transactions needs --format=json");
	else if (opts->slot == NULL && !opts->temporary)
	{
		pg_log_error("no replication slot specified");
		pg_log_error_hint("Use --slot, with --create-slot if there is none yet, or --temporary.");
		exit(EXIT_ERROR);
	}
	else
		return;
	usage_error();
}

/*
 * Handle one option; the lists collect repeated ones.
 */
static void
take_option(TailOptions *opts, int c, StringInfo sinks, StringInfo tables, StringInfo columns)
{
	switch (c)
	{
		case 'd':
			opts->dbname = pg_strdup(optarg);
			break;
		case 'h':
			opts->host = pg_strdup(optarg);
			break;
		case 'p':
			opts->port = pg_strdup(optarg);
			break;
		case 'U':
			opts->user = pg_strdup(optarg);
			break;
		case 'w':
			opts->prompt = PROMPT_NEVER;
			break;
		case 'W':
			opts->prompt = PROMPT_ALWAYS;
			break;
		case 'S':
			opts->slot = pg_strdup(optarg);
			break;
		case OPT_CREATE_SLOT:
			opts->create_slot = true;
			break;
		case OPT_DROP_SLOT:
			opts->drop_slot = true;
			break;
		case OPT_IF_NOT_EXISTS:
			opts->if_not_exists = true;
			break;
		case OPT_TEMPORARY:
			opts->temporary = true;
			break;
		case OPT_NO_START:
			opts->no_start = true;
			break;
		case OPT_SINK:
			add_to_list(sinks, optarg);
			break;
		case OPT_TABLE:
			add_to_list(tables, optarg);
			break;
		case OPT_COLUMNS:
			add_to_list(columns, optarg);
			break;
		case 'o':
			add_user_option(opts, optarg);
			break;
		case 'I':
			opts->from = lsn_argument(optarg, "-I/--from");
			break;
		case 'E':
			opts->endpos = lsn_argument(optarg, "-E/--endpos");
			break;
		case OPT_FORMAT:
			opts->format = format_argument(optarg);
			break;
		case OPT_NULL:
			opts->null_text = pg_strdup(optarg);
			break;
		case OPT_TRANSACTIONS:
			opts->transactions = true;
			break;
		case 'n':
			opts->no_loop = true;
			break;
		case 's':
			opts->status_interval = seconds_argument(optarg, "-s/--status-interval");
			break;
		case 'v':
			opts->verbose = true;
			break;
		default:
			/* getopt_long has said what is wrong */
			usage_error();
	}
}

/*
 * Read the command line.  Returns only if there is something to do.
 */
void
options_parse(TailOptions *opts, int argc, char **argv)
{
	StringInfoData sinks;
	StringInfoData tables;
	StringInfoData columns;
	int			c;
	int			optindex;

	memset(opts, 0, sizeof(*opts));
	opts->null_text = "NULL";
	opts->status_interval = 10;
	initStringInfo(&sinks);
	initStringInfo(&tables);
	initStringInfo(&columns);

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-?") == 0))
	{
		usage();
		exit(0);
	}
	if (argc > 1 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0))
	{
		puts("freshet-tail (freshet) " FRESHET_VERSION);
		exit(0);
	}
	while ((c = getopt_long(argc, argv, "d:h:p:U:wWS:o:I:E:ns:v", long_options, &optindex)) != -1)
		take_option(opts, c, &sinks, &tables, &columns);
	if (optind < argc)
	{
		pg_log_error("too many command-line arguments (first is \"%s\")", argv[optind]);
		usage_error();
	}
	check_options(opts);

	if (opts->temporary)
	{
		opts->create_slot = true;
		if (opts->slot == NULL)
			opts->slot = psprintf("freshet_tail_%d", (int) getpid());
	}
	add_plugin_option(opts, "format", "json");
	add_plugin_option(opts, "transactions", "on");
	if (sinks.len > 0 || tables.len == 0)
		add_plugin_option(opts, "sinks", sinks.len > 0 ? sinks.data : "*");
	if (tables.len > 0)
		add_plugin_option(opts, "tables", tables.data);
	if (columns.len > 0)
		add_plugin_option(opts, "columns", columns.data);
}
