/*-------------------------------------------------------------------------
 *
 * freshet.c
 *		Loading of the library: settings, shared memory, hooks, launcher.
 *
 * The roof: it knows every room, and what is here is only what ties them to
 * the server and to each other.
 *
 * The library does its work only when it is loaded by
 * shared_preload_libraries.  Loaded later (CREATE EXTENSION on a server that
 * is not set up), it defines the SQL functions alone, and those that need the
 * worker say which line of postgresql.conf is missing.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "replication/output_plugin.h"

#include "api/sink_ddl.h"
#include "base/announce.h"
#include "base/fill_stop.h"
#include "base/guc.h"
#include "base/process.h"
#include "base/shmem.h"
#include "engine/database_ddl.h"
#include "engine/decoder.h"
#include "engine/launcher.h"
#include "stream/consumers.h"
#include "stream/output_plugin.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);
extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	guc_define();
	shmem_install_hooks();
	consumers_install_hooks();
	database_ddl_install_hook();
	sink_ddl_install_hooks();
	announce_install_hook();
	fill_stop_install_hooks();
	launcher_register(consumers_check);
}

/* The worker decodes by a slot of the same plugin as consumers do. */
void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	if (process_maintains())
		decoder_plugin_callbacks(cb);
	else
		stream_plugin_callbacks(cb);
}
