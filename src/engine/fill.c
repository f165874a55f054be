/*-------------------------------------------------------------------------
 *
 * fill.c
 *		The way of a sink that has to be computed anew.
 *
 * A sink is filled at the snapshot S of a batch, so that nothing has to be
 * spliced: S has what the fill reads, and the batches after it yield the
 * rest.  If the source is small, that is done within the batch.
 *
 * A large source would hold up all other sinks.  Then a second worker, the
 * filler, takes over S and fills the sink in a transaction of its own, while
 * the worker goes on with its batches and keeps the source's changes for the
 * new sink.  When the filler has committed, the next batch, whose snapshot sees
 * that, applies what was kept and its own changes, and the sink is live.
 *
 *	state		known by					moves on
 *	-----		--------					--------
 *	LIVE		sink_state: live, or		any reason to fill (fill_state) ->
 *				behind and its changes		WANTED
 *				since are kept
 *				(catching_up.c), and
 *				built_generation is the
 *				sink's generation, its
 *				built_definition its
 *				definition
 *	WANTED		any other sink_state: for	at the last part of a batch that is
 *				one whose fill was begun	aligned and holds back nothing of an
 *				or put off "building"		older interest, if no sink that it reads
 *				and generation 0			is SCANNING and its last fills have not
 *											just failed: filled within the batch ->
 *											LIVE; or, if it is large, by the filler
 *											-> SCANNING; or while that has another
 *											sink -> WANTED, shown as "waiting"
 *	SCANNING	under_way.relid				changes of its sources are kept.  The
 *											filler commits before a batch takes its
 *											snapshot -> SCANNED.  It fails: the batch
 *											has that error, for which the sink is to
 *											blame.  A source changes in a way that
 *											the log does not tell -> WANTED
 *	SCANNED		under_way.scanned			at the batch's last part: what was kept is
 *											applied -> LIVE; but if it has read
 *											partitions that are none -> WANTED
 *
 * The fill of a sink that is paused, dropped or rebuilt ends at once, by whom it
 * may be (base/fill_stop.c), and the next batch forgets it (fill_check); so does
 * that of one that failed.  An error by which the decoded changes are
 * lost abandons the fill under way: what was kept goes with the change sets, and
 * the stored state, "building", says WANTED.  So nothing of this has to
 * survive the worker.
 *
 * One filler per database; other large sinks wait.  A sink that reads a sink is
 * filled within the batch, which may be about to change that sink.  Sinks over
 * one that is SCANNING are set building, and are filled after it.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "utils/memutils.h"

#include "base/fill_stop.h"
#include "base/guc.h"
#include "base/process.h"
#include "catching_up.h"
#include "fill.h"
#include "fill_report.h"
#include "filler.h"
#include "kept_changes.h"
#include "left_out.h"
#include "maintain/run.h"
#include "phase.h"
#include "trouble.h"

typedef enum FillState
{
	FILL_STATE_LIVE,
	FILL_STATE_WANTED,
	FILL_STATE_SCANNING,
	FILL_STATE_SCANNED
} FillState;

/* The sink that the filler has. */
typedef struct FillUnderWay
{
	Oid			relid;			/* InvalidOid: none */
	int64		generation;		/* of the sink when it was begun */
	bool		scanned;		/* the filler has committed, and the snapshot of
								 * the batch under way sees it */
	bool		started_now;	/* by the batch under way */
	bool		locked;			/* it is scanned, but somebody else has the sink */

	KeptChanges kept;			/* changes of its sources since */
} FillUnderWay;

static FillUnderWay under_way;

/* The one that the batch under way fills itself, or InvalidOid. */
static Oid	filled_here = InvalidOid;

static bool
is_under_way(Oid relid)
{
	return under_way.relid == relid;
}

/* Is it what its query gave at the last aligned batch, with all changes since? */
static bool
has_its_state(const Sink *sink)
{
	return sink->state == SINK_LIVE ||
		(sink->state == SINK_BEHIND &&
		 (catching_up_has_changes(sink) || left_out_has_changes(sink)));
}

static FillState
fill_state(Sink *sink, Batch *batch, const Partitions *partitions)
{
	if (is_under_way(sink->relid))
		return under_way.scanned ? FILL_STATE_SCANNED : FILL_STATE_SCANNING;
	if (!has_its_state(sink) || sink->built_generation != sink->generation ||
		sink->built_definition != sink->definition || batch->all_anew ||
		list_member_oid(batch->unknown, sink->relid) || !run_is_possible(sink) ||
		partitions->lost)
		return FILL_STATE_WANTED;
	return FILL_STATE_LIVE;
}

bool
fill_is_settled(Sink *sink, Batch *batch)
{
	return sink->strategy != STRATEGY_REFRESH && sink->state == SINK_LIVE &&
		sink->built_generation == sink->generation && !batch->all_anew &&
		!list_member_oid(batch->unknown, sink->relid);
}

/*
 * The fill under way
 */

static void
forget_under_way(void)
{
	kept_changes_drop(&under_way.kept);
	memset(&under_way, 0, sizeof(FillUnderWay));
}

static void
end_filler(void)
{
	if (!OidIsValid(under_way.relid))
		return;
	filler_stop();
	fill_report_end(under_way.relid);
	forget_under_way();
}

void
fill_before_snapshot(void)
{
	under_way.scanned = OidIsValid(under_way.relid) && filler_is_done();
	under_way.locked = false;
}

bool
fill_needs_batch(void)
{
	return OidIsValid(under_way.relid) && filler_has_ended() && !under_way.locked;
}

bool
fill_is_under_way(Oid sink)
{
	return is_under_way(sink);
}

bool
fill_awaits_lock(void)
{
	return under_way.locked;
}

void
fill_abandon(void)
{
	kept_changes_forget(&under_way.kept);
	filled_here = InvalidOid;
	end_filler();
	fill_report_end_all();
}

void
fill_check(List *sinks)
{
	ListCell   *lc;

	if (!OidIsValid(under_way.relid))
		return;
	foreach(lc, sinks)
	{
		Sink	   *sink = lfirst(lc);

		if (is_under_way(sink->relid) && !sink->paused &&
			sink->generation == under_way.generation)
			return;
	}
	end_filler();
}

static void
keep_changes(Sink *sink, Batch *batch)
{
	kept_changes_want(&under_way.kept, batch, sink->sources);
	kept_changes_take(&under_way.kept, batch);
	if (kept_changes_are_too_many(&under_way.kept))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the changes kept while the sink was filled exceed "
						"freshet.max_fill_backlog"),
				 errhint("Raise freshet.max_fill_backlog, or call freshet.rebuild_sink() when "
						 "there are fewer changes.")));
}

void
fill_committed(void)
{
	under_way.started_now = false;
	kept_changes_commit(&under_way.kept);
}

void
fill_aborted(void)
{
	kept_changes_abort(&under_way.kept);
	if (OidIsValid(filled_here) && !is_under_way(filled_here))
		fill_report_end(filled_here);
	filled_here = InvalidOid;
	/* it reads at the snapshot of a batch that came to nothing, or is at its end */
	if (under_way.started_now || (OidIsValid(under_way.relid) && filler_has_failed()))
		end_filler();
}

void
fill_cancel(Sink *sink)
{
	if (is_under_way(sink->relid))
		end_filler();
}

static void
set_unknown(Sink *sink, Batch *batch)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(batch->context);

	batch->unknown = list_append_unique_oid(batch->unknown, sink->relid);
	MemoryContextSwitchTo(oldcontext);
	if (is_under_way(sink->relid))
		end_filler();
}

void
fill_note_lost(Sink *sink, Batch *batch)
{
	set_unknown(sink, batch);
}

void
fill_note_unknown(Sink *sink, Batch *batch)
{
	if (batch_is_unknown(batch, sink))
		set_unknown(sink, batch);
}

/*
 * Beginning
 */

void
fill_put_off(Sink *sink, Batch *batch)
{
	batch_discard_run(batch, sink);
	sink_set_building(sink);
}

/*
 * The rows that a filler writes are no changes: the sinks over its sink are
 * filled when it has ended, and until then what they have means nothing.
 */
static void
set_dependants_building(Sink *sink, Batch *batch)
{
	ListCell   *lc;

	foreach(lc, batch->sinks)
	{
		Sink	   *other = lfirst(lc);

		if (list_member_oid(other->sources, sink->relid) &&
			(other->state == SINK_LIVE || other->state == SINK_BEHIND))
		{
			batch_discard_run(batch, other);
			sink_set_building(other);
		}
	}
}

static bool
reads_unfilled_sink(Sink *sink)
{
	ListCell   *lc;

	foreach(lc, sink->sources)
	{
		if (is_under_way(lfirst_oid(lc)))
			return true;
	}
	return false;
}

/*
 * Have the filler take a sink that would hold up the others, now or when it is
 * free; false if the sink is to be filled within the batch.
 */
static bool
leave_to_filler(Sink *sink, Batch *batch)
{
	int64		rows;

	if (sink->source_is_sink || !filler_can_take(batch->snapshot) ||
		fill_report_estimate(sink, &rows) <= (uint64) freshet_fill_threshold * 1024 * 1024)
		return false;

	if (OidIsValid(under_way.relid))
	{
		(void) fill_report_phase(sink, FILL_WAITING);
		return true;
	}

	/* the filler, which cannot be left out, is to have it at once */
	process_lock_relation(sink->relid, RowExclusiveLock);

	/* before it is started: an error here has to end it */
	under_way.relid = sink->relid;
	under_way.generation = sink->generation;
	under_way.started_now = true;
	(void) fill_report_phase(sink, FILL_SCANNING);
	if (filler_start(sink->relid, sink->generation, batch->snapshot,
					 trouble_is_netted(sink->relid)))
		return true;
	fill_report_end(sink->relid);
	forget_under_way();
	return false;
}

/* In this process, by which the others stand still meanwhile. */
static void
begin_stoppable(Sink *sink)
{
	process_lock_fill(sink->relid);
	filled_here = sink->relid;
	fill_stop_begin(sink->relid);
	sink_check_wanted(sink->relid, sink->generation);
}

static void
end_stoppable(void)
{
	fill_stop_end();
	filled_here = InvalidOid;
}

/* The sink is what its query gives. */
static void
end_fill(Sink *sink, Batch *batch)
{
	batch_finish_run(batch, batch_find_run(batch, sink));
	trouble_filled(sink->relid);
	batch_count_rows(sink);
	fill_report_end(sink->relid);
	sink_set_state(sink, SINK_LIVE, NULL);
}

/*
 * Is it what its query gave at an earlier snapshot, and to stay so until it is
 * filled?
 */
static bool
stays_as_it_was(Sink *sink, Batch *batch)
{
	return catching_up_lacks_snapshot(sink, batch) && !batch->all_anew &&
		(sink->state == SINK_LIVE || sink->state == SINK_BEHIND) &&
		sink->built_generation == sink->generation &&
		sink->built_definition == sink->definition;
}

/* At the last part: fill the sink at the batch's snapshot, or have it filled. */
static void
begin_fill(Sink *sink, Batch *batch, const Partitions *partitions)
{
	batch_discard_run(batch, sink);
	if (!batch->aligned || decoder_holds_older_interest())
	{
		/* changes that S does not see yet have not been kept for it */
		if (stays_as_it_was(sink, batch))
			catching_up_lose(sink);
		else
			sink_set_building(sink);
		batch->retry |= batch->aligned;
		return;
	}

	batch->filling = true;
	partitions_note(sink, partitions);
	sink->built_definition = sink->definition;
	if (leave_to_filler(sink, batch))
	{
		if (is_under_way(sink->relid))
			set_dependants_building(sink, batch);
		/* the partitions that the filler reads are written too */
		sink->built_generation = 0;
		if (is_under_way(sink->relid) || sink->state != SINK_BUILDING)
			sink_set_state(sink, SINK_BUILDING, NULL);
		return;
	}
	begin_stoppable(sink);
	phase_enter(PHASE_FILLING, sink->relid);
	run_fill(batch_get_run(batch, sink, partitions), fill_report_phase(sink, FILL_SCANNING));
	end_fill(sink, batch);
	end_stoppable();
}

/*
 * Moving on
 */

/* At the last part: apply what was kept while the filler was at work. */
static void
catch_up(Sink *sink, Batch *batch, const Partitions *partitions)
{
	Run		   *run;
	ListCell   *lc;

	filler_check();
	if (!under_way.scanned)
		return;
	(void) fill_report_phase(sink, FILL_CATCHING_UP);
	if (catching_up_lacks_snapshot(sink, batch))
		return;

	batch->filling = false;
	batch->repeat = true;
	if (partitions->lost)
	{
		/* it has read other partitions than there are now: once more */
		end_filler();
		return;
	}
	if (!process_try_lock_relation(sink->relid, RowExclusiveLock))
	{
		/* the others go on, and this one when it is to be had */
		(void) process_note_obstacle(sink->relid, RowExclusiveLock);
		under_way.locked = true;
		batch->repeat = false;
		return;
	}
	begin_stoppable(sink);
	run = batch_get_run(batch, sink, partitions);
	run_feed(list_make1(run), kept_changes_sets(&under_way.kept), &batch_current_sink);
	foreach(lc, partitions->added)
	{
		AddedLeaf  *added = lfirst(lc);

		run_add_leaf(run, added->source, added->relid);
	}
	partitions_note(sink, partitions);
	end_fill(sink, batch);
	end_stoppable();
	filler_forget();
	forget_under_way();
}

bool
fill_move_on(Sink *sink, Batch *batch, const Partitions *partitions)
{
	switch (fill_state(sink, batch, partitions))
	{
		case FILL_STATE_LIVE:
			return false;
		case FILL_STATE_WANTED:
			if (batch->last_part && trouble_is_pausing(sink->relid))
				fill_put_off(sink, batch);
			else if (batch->last_part && !reads_unfilled_sink(sink))
				begin_fill(sink, batch, partitions);
			break;
		case FILL_STATE_SCANNING:
		case FILL_STATE_SCANNED:
			keep_changes(sink, batch);
			batch->filling = true;
			if (batch->last_part)
				catch_up(sink, batch, partitions);
			break;
	}
	return true;
}
