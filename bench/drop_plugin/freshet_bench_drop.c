/*-------------------------------------------------------------------------
 *
 * freshet_bench_drop.c
 *		An output plugin that drops whatever it is given.
 *
 * It is the yardstick of the benchmarks: the time it takes is what PostgreSQL
 * needs to read the log, to reassemble transactions and to look up relations,
 * which no consumer of logical decoding can save.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_output_plugin_init(OutputPluginCallbacks *callbacks);

static void
drop_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options, bool is_init)
{
	options->output_type = OUTPUT_PLUGIN_TEXTUAL_OUTPUT;
	options->receive_rewrites = false;
}

static void
drop_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
}

static void
drop_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, Relation relation,
			ReorderBufferChange *change)
{
}

static void
drop_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn, XLogRecPtr commit_lsn)
{
}

void
_PG_output_plugin_init(OutputPluginCallbacks *callbacks)
{
	callbacks->startup_cb = drop_startup;
	callbacks->begin_cb = drop_begin;
	callbacks->change_cb = drop_change;
	callbacks->commit_cb = drop_commit;
}
