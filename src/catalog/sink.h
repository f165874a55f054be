/*-------------------------------------------------------------------------
 *
 * sink.h
 *		The sink catalogue, and the worker's cache of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SINK_H
#define FRESHET_SINK_H

#include "postgres.h"

#include "nodes/pg_list.h"
#include "utils/guc.h"

#include "compile/plan.h"

typedef enum SinkState
{
	SINK_BUILDING,
	SINK_LIVE,
	SINK_BEHIND,				/* live at an earlier snapshot; the changes since are
								 * kept by the worker */
	SINK_PAUSED,
	SINK_FAILED
} SinkState;

/*
 * A sink as the worker knows it.  Everything hangs off "context", which is
 * deleted, with the sink, before the catalogue is read anew; that is after any
 * change of it or of a relation, function or type that a plan may name.
 * Run-time state that must outlive that is in the catalogue, in shared memory
 * or in the worker.
 */
typedef struct Sink
{
	/* from freshet.sink: written by users through the API */
	Oid			relid;			/* the sink's table */
	Oid			definition_view;	/* its definition in freshet_def */
	Oid			viewid;			/* the query that it is maintained by: the same view,
								 * unless that was taken apart into stages */
	Oid			stage_of;		/* the sink of which it is a stage, or InvalidOid */
	char	   *reason;			/* why the strategy, or the stage; or NULL */
	SinkStrategy strategy;
	bool		paused;
	int64		generation;		/* raised by rebuild_sink */
	int			nsettings;		/* GUCs recorded at its making */
	char	  **setting_names;
	char	  **setting_values;

	/* from freshet.sink_state: written by the worker alone */
	SinkState	state;
	int64		built_generation;	/* generation it was last built for; 0 never */
	int64		built_definition;	/* hash of the query that it was last built by; 0 never */
	List	   *leaves;			/* OIDs of the sources' partitions and branches */
	List	   *attached;		/* at the last batch, and their attachments */

	/* derived */
	MemoryContext context;
	bool		planned;		/* plan and what follows are filled in */
	SinkPlan   *plan;
	int64		definition;		/* hash of the queries, see sink_guard.h */
	Oid			owner;			/* of the table: all of the sink runs as it */
	void	   *run_cache;		/* of the strategy that maintains it, in "context" */
	bool		run_anew;		/* refresh: not run since the plan was made */
	bool		source_is_sink;
	bool		has_stages;		/* it was taken apart into stages */
	bool		has_dependants; /* another sink has this one as source */
	int			level;			/* 0: source is a table; n: a sink of level n-1 */

	/* from the catalogue as well */
	char	   *kind;			/* 'rollup', 'copy', ... */
	char	   *error;			/* of the state FAILED, or NULL */
	int			ncolumns;		/* columns of the plan at the sink's making ... */
	AttrNumber *columns;		/* ... and where they are in its table */
	List	   *sources;		/* OIDs of the relations that the definition reads ... */
	List	   *views;			/* ... and of the views through which it does */
} Sink;

/* (Re)read the catalogue if an invalidation came.  In a transaction with an
 * active snapshot.  List of Sink *, sources before dependants. */
extern List *sink_list(void);

/* What its query reads at the moment: the definition, views, sources with their partitions. */
extern List *sink_relations_read(const Sink *sink);

/* Another number whenever the list has been read anew. */
extern uint64 sink_list_version(void);

/* As it was read last: may be out of date, and needs no snapshot. */
extern List *sink_list_last(void);
extern void sink_cache_init(void);
/* Would sink_list() now read the catalogue anew, and free the list it gave? */
extern bool sink_list_changed(void);
/* Have the next sink_list() read everything anew. */
extern void sink_cache_invalidate(void);

/*
 * Can the plan be made now, or does somebody hold a lock on what it reads?  Takes
 * the locks.
 */
extern bool sink_can_plan(const Sink *sink);

/* Fill in plan and owner; checks rights and sources: an error if the sink can't
 * be maintained. */
extern void sink_make_plan(Sink *sink);

/* Attribute number in the sink's table of column i of the plan: by name at
 * its making, by number since (the table may have got columns since). */
extern AttrNumber sink_column_attno(Sink *sink, int column);

/*
 * Write freshet.sink_state (worker only), in the current transaction, and
 * change the Sink accordingly; should the transaction abort, the next
 * sink_list() reads everything anew.  LIVE, BEHIND and FAILED are states of the
 * sink's present generation: built_generation becomes it.  sink->leaves is
 * written too; its cells must live in sink->context.
 */
extern void sink_set_state(Sink *sink, SinkState state, const char *error);

/* The same, to be filled: it cannot go on from where it is. */
extern void sink_set_building(Sink *sink);

/*
 * Enter and leave the sandbox in which whatever of a sink is evaluated: user,
 * security-restricted operation, read-only transaction (for SQL: what it wrote
 * would carry the worker's origin and be lost to other sinks), search_path,
 * recorded settings.  Nothing that was done to the session inside outlasts it
 * in a worker.  Nesting is not allowed; an error's abort leaves it too.
 */
typedef struct SinkSandbox
{
	Oid			save_userid;
	int			save_sec_context;
	int			save_nestlevel;
	bool		save_read_only;
} SinkSandbox;

extern void sink_enter_sandbox(const Sink *sink, SinkSandbox *sandbox);
/* For the analysis of a query that is no sink yet: as the current user, with
 * the session's settings. */
extern void sink_enter_analysis_sandbox(SinkSandbox *sandbox);
extern void sink_leave_sandbox(const SinkSandbox *sandbox);

/* Is the sandbox the same for both? */
extern bool sink_same_sandbox(const Sink *a, const Sink *b);

/*
 * Is the sink still to be filled, as of this generation?  Looks at its newest row,
 * whatever the snapshot; if not, the batch ends by process_retry().
 */
extern void sink_check_wanted(Oid relid, int64 generation);

/* Delete the states of sinks that are gone (worker only), and return the OIDs
 * of these; cheap if none is.  Writes, so after the decoding. */
extern List *sink_clean_states(void);

/* For SQL functions: a Sink in the current memory context, an error if relid
 * is not a sink. */
extern Sink *sink_get(Oid relid);

/*
 * Have its plan and what it reads be those of its definition, as one that is run
 * whole, though it is maintained by stages: to verify it.
 */
extern void sink_take_as_defined(Sink *sink);

#endif							/* FRESHET_SINK_H */
