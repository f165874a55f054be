/*-------------------------------------------------------------------------
 *
 * output_plugin.c
 *		Entry of the output plugin.
 *
 * The server asks the library for its callbacks whenever a decoding context
 * of a slot with plugin "freshet" is made.  In a worker these are the
 * decoder's.  Streams for outside consumers are not implemented yet, and a
 * slot of anybody else is refused.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "replication/output_plugin.h"

#include "decoder.h"

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *cb);

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	if (!freshet_is_worker)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output plugin \"freshet\" serves the workers of freshet only"),
				 errhint("To stream the changes of a sink, publish it and use pgoutput, or use "
						 "another output plugin.")));

	decoder_plugin_callbacks(cb);
}
