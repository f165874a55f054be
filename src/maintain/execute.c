/*-------------------------------------------------------------------------
 *
 * execute.c
 *		Run a planned query, and give its rows to a callback.
 *
 * Plans are executed here rather than by SPI, because the callback may write
 * to the sink: triggers that this queues belong to the writer, not to the
 * query (hence EXEC_FLAG_SKIP_TRIGGERS).
 *
 * The callback runs in the executor's memory context of the whole query; what
 * it allocates without looking stays to the query's end.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "executor/executor.h"
#include "tcop/dest.h"
#include "utils/snapmgr.h"

#include "base/process.h"
#include "execute.h"

/* Rows after which to look whether the process is to stop. */
#define CHECK_STOP_ROWS	64

typedef struct CallbackReceiver
{
	DestReceiver pub;
	ExecuteCallback callback;
	void	   *arg;
	uint64		rows;
} CallbackReceiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	CallbackReceiver *receiver = (CallbackReceiver *) self;

	process_step();
	if (++receiver->rows % CHECK_STOP_ROWS == 0)
		process_check_stop();
	receiver->callback(slot, receiver->arg);
	return true;
}

static void
receiver_startup(DestReceiver *self, int operation, TupleDesc desc)
{
}

static void
receiver_noop(DestReceiver *self)
{
}

void
execute_plan(PlannedStmt *stmt, const char *text, ParamListInfo params, QueryEnvironment *env,
			 ExecuteCallback callback, void *arg)
{
	CallbackReceiver receiver = {{receive_row, receiver_startup, receiver_noop, receiver_noop,
	DestNone}, callback, arg, 0};
	QueryDesc  *desc = CreateQueryDesc(stmt, text, GetActiveSnapshot(), InvalidSnapshot,
									   &receiver.pub, params, env, 0);

	ExecutorStart(desc, EXEC_FLAG_SKIP_TRIGGERS);
	freshet_executor_run(desc);
	ExecutorFinish(desc);
	ExecutorEnd(desc);
	FreeQueryDesc(desc);
}

void
execute_register_rows(QueryEnvironment *env, char *name, TupleDesc desc, Tuplestorestate *store,
					  int64 count)
{
	EphemeralNamedRelation enr = palloc0(sizeof(EphemeralNamedRelationData));

	enr->md.name = name;
	enr->md.reliddesc = InvalidOid;
	enr->md.tupdesc = desc;
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	enr->md.enrtuples = count;
	enr->reldata = store;
	register_ENR(env, enr);
}
