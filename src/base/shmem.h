/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		Shared memory: one slot per database with a worker, the launcher's
 *		latch, tickets for freshet.wait(), counters for the status views.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SHMEM_H
#define FRESHET_SHMEM_H

#include "postgres.h"

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/spin.h"
#include "utils/snapshot.h"

#define FRESHET_MAX_SINK_STATS	128
#define FRESHET_MAX_OBSTACLES	8
#define FRESHET_ERROR_LEN		512
#define FRESHET_SNAPSHOT_LEN	16384

typedef enum WorkerState
{
	WORKER_STARTING,			/* making or acquiring the slot */
	WORKER_IDLE,
	WORKER_BATCH,				/* in a batch */
	WORKER_CATCHING_UP,			/* the last batch did not reach the end of log */
	WORKER_BACKOFF				/* waiting after an error */
} WorkerState;

/* Where the batch is, for freshet.worker. */
typedef enum BatchPhase
{
	PHASE_NONE,					/* none is running */
	PHASE_PREPARING,			/* snapshot, catalogue */
	PHASE_DECODING,
	PHASE_MAINTAINING,			/* folding the changes into the sinks' runs */
	PHASE_WRITING,				/* a sink */
	PHASE_FILLING,				/* a sink, from its sources */
	PHASE_COMMITTING
} BatchPhase;

/* Progress of a first fill or a rebuild, for freshet.progress. */
typedef enum FillPhase
{
	FILL_NONE,
	FILL_WAITING,
	FILL_SCANNING,
	FILL_CATCHING_UP
} FillPhase;

/* What the views show of a sink; see engine/counters.c. */
typedef struct SinkStats
{
	Oid			relid;			/* InvalidOid: free */
	int64		rows;
	int64		changes;		/* source changes applied, since its making */
	double		rate;			/* changes per second, smoothed over ~10 s */
	TimestampTz rate_at;
	FillPhase	phase;
	int64		rows_done;
	int64		rows_total;		/* estimate; 0 unknown */
	TimestampTz fill_started;
} SinkStats;

/*
 * The exchange of freshet.verify_sink() with the worker.  Under the slot's
 * mutex, signalled through the slot's condition variable.
 *
 *	VERIFY_NONE -> (backend) REQUESTED -> (worker, before a batch) LOCKING ->
 *	(backend has locked what it will read) LOCKED -> (worker, in the batch)
 *	OFFERED -> (backend has the snapshot's xmin) HELD -> (worker has committed)
 *	COMMITTED -> (backend has taken its own snapshot) NONE
 *
 * From LOCKING and LOCKED the worker goes back to REQUESTED if the batch came to
 * nothing; the backend then lets its locks go.
 */
typedef enum VerifyPhase
{
	VERIFY_NONE,
	VERIFY_REQUESTED,
	VERIFY_LOCKING,
	VERIFY_LOCKED,
	VERIFY_OFFERED,
	VERIFY_HELD,
	VERIFY_COMMITTED
} VerifyPhase;

/*
 * The exchange with the second worker that fills a large sink.
 *
 *	FILL_TASK_NONE -> (worker, in a batch) OFFERED -> (filler has the snapshot)
 *	RUNNING -> (filler, after its commit) DONE, or (at an error) FAILED ->
 *	(worker) NONE
 */
typedef enum FillTask
{
	FILL_TASK_NONE,
	FILL_TASK_OFFERED,
	FILL_TASK_RUNNING,
	FILL_TASK_DONE,
	FILL_TASK_FAILED
} FillTask;

/* A sink that is being filled, and one whose fill somebody wants ended (fill_stop.c). */
typedef struct FillPlace
{
	pg_atomic_uint32 sink;		/* an OID; InvalidOid: none */
	pg_atomic_uint32 unwanted;
} FillPlace;

enum
{
	FILL_BY_WORKER,
	FILL_BY_FILLER,
	FILL_PLACES
};

/* A lock on a relation that could not be had (obstacle.c). */
typedef struct Obstacle
{
	Oid			relid;			/* InvalidOid: a free entry */
	LOCKMODE	mode;
	pid_t		pid;			/* who wants it */
	bool		of_filler;
	TimestampTz since;
	TimestampTz seen;			/* when it was tried last */
	TimestampTz logged_at;		/* 0: not yet */
} Obstacle;

typedef struct WorkerSlot
{
	Oid			dboid;			/* InvalidOid: free.  Changed under FreshetLock */
	bool		wanted;			/* the database has sinks */
	bool		stop;			/* a database command wants the worker gone */
	pid_t		pid;			/* 0: not running */
	TimestampTz restart_at;		/* launcher: not before this time */

	/* set by a commit, cleared by the worker before it takes its snapshot */
	pg_atomic_uint32 wakeup;

	FillPlace	fills[FILL_PLACES];

	slock_t		mutex;			/* protects what follows */
	Latch	   *latch;			/* the worker's, or NULL */
	WorkerState state;
	int			errors;			/* in a row, for which no sink is to blame; 0 after
								 * a batch */
	char		slot_name[NAMEDATALEN]; /* replication slot; empty at first */
	uint64		wait_requested; /* tickets drawn by freshet.wait() */
	uint64		wait_served;	/* tickets that an aligned batch has served */
	XLogRecPtr	applied_lsn;
	TimestampTz applied_commit_time;	/* of the newest applied transaction */
	TimestampTz applied_at;		/* when the newest batch was committed */
	TimestampTz batch_started;	/* 0: none is running */
	BatchPhase	phase;
	TimestampTz phase_since;
	Oid			phase_sink;		/* the sink at work, or InvalidOid */
	int64		memory;			/* of the worker, as it was last measured */

	/*
	 * Times from which on transactions are not applied, 0 for none: since the
	 * flag was set, and since the oldest that a batch was begun for.
	 */
	TimestampTz flagged_since;
	TimestampTz unapplied_since;
	bool		aligned_once;	/* the latter is known, since the server's start */
	int			held_back;
	int64		batches;
	int64		changes;
	TimestampTz last_error_at;
	char		last_error[FRESHET_ERROR_LEN];
	SinkStats	sinks[FRESHET_MAX_SINK_STATS];
	Obstacle	obstacles[FRESHET_MAX_OBSTACLES];

	VerifyPhase verify_phase;
	pid_t		verify_pid;		/* the backend that asked */
	Oid			verify_relid;	/* and for which sink */
	VirtualTransactionId verify_vxid;	/* the worker's, while OFFERED */
	TransactionId verify_xid;	/* that of the batch, if it has one */
	Size		verify_len;
	char		verify_snapshot[FRESHET_SNAPSHOT_LEN];	/* SerializeSnapshot() */

	FillTask	fill_task;
	bool		fill_netted;	/* avoid what may fail without need */
	Oid			fill_relid;
	int64		fill_generation;
	pid_t		fill_owner;		/* the worker that offered it */
	pid_t		fill_pid;		/* the filler that has taken it */
	int			fill_sqlerrcode;
	bool		fill_retry;		/* it was nobody's fault */
	char		fill_error[FRESHET_ERROR_LEN];
	char		fill_snapshot[FRESHET_SNAPSHOT_LEN];

	ConditionVariable cv;		/* wait, verify and fill */
} WorkerSlot;

typedef struct FreshetShared
{
	LWLock	   *lock;			/* allocation of slots */
	Latch	   *launcher_latch; /* NULL: no launcher.  Under lock */
	pid_t		launcher_pid;
	bool		scouted;		/* set by the scout at its end */
	int			nslots;
	WorkerSlot	slots[FLEXIBLE_ARRAY_MEMBER];
} FreshetShared;

/* NULL if the library was not loaded by shared_preload_libraries. */
extern FreshetShared *FreshetState;

extern void shmem_install_hooks(void);

/* The slot of a database, or NULL.  Takes the lock in shared mode. */
extern WorkerSlot *shmem_find_slot(Oid dboid);
/* The same, made if there is none; NULL if all are taken. */
extern WorkerSlot *shmem_ensure_slot(Oid dboid);
extern void shmem_free_slot(Oid dboid);
/* Ask for a worker for the database; false if all slots are taken. */
extern bool shmem_set_wanted(Oid dboid);

/* Set the flag and the latch of the worker of this database, if any. */
extern void shmem_wake_worker(Oid dboid);
extern void shmem_wake_launcher(void);

/* The place of a sink's figures in the worker's slot; NULL if it has none. */
extern SinkStats *shmem_sink_stats(WorkerSlot *slot, Oid relid);

/* Error (and HINT naming the line of postgresql.conf) unless the server is
 * set up: preload, wal_level, plugin listing is the worker's own matter. */
extern void shmem_require_setup(void);

#endif							/* FRESHET_SHMEM_H */
