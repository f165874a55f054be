/*-------------------------------------------------------------------------
 *
 * output_plugin.h
 *		The output plugin for consumers of the change stream.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_OUTPUT_PLUGIN_H
#define FRESHET_OUTPUT_PLUGIN_H

#include "postgres.h"

#include "replication/output_plugin.h"

/* Fill in the plugin's callbacks for a consumer. */
extern void stream_plugin_callbacks(OutputPluginCallbacks *cb);

#endif							/* FRESHET_OUTPUT_PLUGIN_H */
