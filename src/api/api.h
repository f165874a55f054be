/*-------------------------------------------------------------------------
 *
 * api.h
 *		What the files of the SQL functions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_API_H
#define FRESHET_API_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "storage/lockdefs.h"

#include "base/shmem.h"
#include "catalog/sink.h"

/* Lock the table of a sink and read the sink; an error if it is none or the
 * current user does not own it. */
extern Sink *api_open_sink(Oid relid, LOCKMODE lockmode);

/* An error if it is a stage: that is its sink's. */
extern void api_refuse_stage(const Sink *sink);

/* May the current user read the sink's error messages? */
extern bool api_may_see_errors(Oid relid);

/* Make the replication origin of this database, which asks for a worker. */
extern void api_ensure_origin(void);

/* The same, if there is none, and no error if there is no place for it. */
extern void api_ask_for_worker(void);

/* Microseconds from now on at which an interval given by a user ends. */
extern TimestampTz api_deadline(const Interval *timeout);

/* Raise the error of a wait that took too long; slot may be NULL. */
extern void api_timeout_error(const char *what, WorkerSlot *slot) __attribute__((noreturn));

/* What the worker is at, and how far behind, in sentences; slot may be NULL. */
extern char *api_describe_worker(WorkerSlot *slot);

/* Is there more log than one batch reads? */
extern bool api_worker_is_behind(WorkerSlot *slot);

/*
 * Since when there is a commit that is not applied, 0 if there is none.  Under the
 * slot's mutex; flagged: the worker has been told of a commit.
 */
extern TimestampTz api_unapplied_since(const WorkerSlot *slot, bool flagged);

#endif							/* FRESHET_API_H */
