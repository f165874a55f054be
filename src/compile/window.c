/*-------------------------------------------------------------------------
 *
 * window.c
 *		Time windows: freshet.tumble and freshet.hop.
 *
 * A window is the half-open range [start, start + size) whose start is a whole
 * number of slides before or after the origin.  Everything is counted in
 * microseconds of absolute time, a day being 24 hours, so that a window never
 * depends on a time zone.  The start agrees with date_bin(), also before the
 * origin.
 *
 * An infinite timestamp is in one window that starts and ends there.  NULL
 * never gets here, since the functions are strict: in FROM, tumble of NULL is
 * one row of NULLs and hop of NULL is no row, and whoever iterates windows
 * for a row whose timestamp is NULL has to do the same.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/htup_details.h"
#include "common/int.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/timestamp.h"

#include "window.h"

PG_FUNCTION_INFO_V1(freshet_tumble);
PG_FUNCTION_INFO_V1(freshet_hop);

/* What a call of hop keeps between its rows. */
typedef struct HopState
{
	WindowSpec	spec;
	TimestampTz start;			/* of the next row */
} HopState;

static void
window_out_of_range(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("time window out of range")));
}

int64
window_length(const Interval *span, const char *what)
{
	int64		result;

	if (span->month != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a time window must not contain months or years", what),
				 errhint("Group by date_trunc() for windows that follow the calendar.")));

	if (pg_mul_s64_overflow(span->day, USECS_PER_DAY, &result) ||
		pg_add_s64_overflow(result, span->time, &result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("%s of a time window is out of range", what)));

	if (result <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s of a time window must be greater than zero", what)));
	return result;
}

TimestampTz
window_floor(TimestampTz ts, int64 slide, TimestampTz origin)
{
	int64		diff;
	int64		rest;
	TimestampTz start;

	if (TIMESTAMP_NOT_FINITE(ts))
		return ts;

	if (pg_sub_s64_overflow(ts, origin, &diff))
		window_out_of_range();

	/* C rounds the quotient to zero, and windows are floored. */
	rest = diff % slide;
	if (rest < 0)
		rest += slide;
	if (pg_sub_s64_overflow(ts, rest, &start) || !IS_VALID_TIMESTAMP(start))
		window_out_of_range();
	return start;
}

/*
 * The first of the windows that hold ts, by start.  If there is none (slides
 * with gaps between the windows), a start after ts.  Raises an error if a
 * window that holds ts can't be represented, so that the iteration needs no
 * check of its own.
 */
static TimestampTz
window_earliest(const WindowSpec *w, TimestampTz ts)
{
	TimestampTz latest = window_floor(ts, w->slide, w->origin);
	TimestampTz start;
	int64		offset;
	int64		steps;

	if (TIMESTAMP_NOT_FINITE(ts))
		return ts;

	offset = ts - latest;		/* 0 <= offset < slide */
	if (offset >= w->size)
		return DT_NOEND;

	(void) window_end(w, latest);	/* for its check */

	/* steps * slide < size: no overflow */
	steps = (w->size - offset - 1) / w->slide;
	if (pg_sub_s64_overflow(latest, steps * w->slide, &start) || !IS_VALID_TIMESTAMP(start))
		window_out_of_range();
	return start;
}

TimestampTz
window_first(const WindowSpec *w, TimestampTz ts)
{
	(void) window_earliest(w, ts);	/* for its checks */
	return window_floor(ts, w->slide, w->origin);
}

bool
window_contains(const WindowSpec *w, TimestampTz start, TimestampTz ts)
{
	if (TIMESTAMP_NOT_FINITE(ts) || TIMESTAMP_NOT_FINITE(start))
		return start == ts;

	/* start <= ts is tested first, so the difference is not negative */
	return start <= ts && (uint64) ts - (uint64) start < (uint64) w->size;
}

/*
 * One slide back.  After the earliest window that can be represented comes an
 * infinity, which no window contains: window_first has made sure that none is
 * left out.  The two infinities follow each other, so that each is iterated
 * over once.
 */
TimestampTz
window_next(const WindowSpec *w, TimestampTz start)
{
	TimestampTz next;

	if (TIMESTAMP_IS_NOBEGIN(start))
		return DT_NOEND;
	if (TIMESTAMP_IS_NOEND(start))
		return DT_NOBEGIN;
	if (pg_sub_s64_overflow(start, w->slide, &next) || !IS_VALID_TIMESTAMP(next))
		return DT_NOBEGIN;
	return next;
}

TimestampTz
window_end(const WindowSpec *w, TimestampTz start)
{
	TimestampTz end;

	if (TIMESTAMP_NOT_FINITE(start))
		return start;
	if (pg_add_s64_overflow(start, w->size, &end) || !IS_VALID_TIMESTAMP(end))
		window_out_of_range();
	return end;
}

static void
check_origin(TimestampTz origin)
{
	if (TIMESTAMP_NOT_FINITE(origin))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("origin of a time window must be finite")));
}

/* A row (window_start, window_end). */
static Datum
window_row(const WindowSpec *w, TimestampTz start, TupleDesc tupdesc)
{
	Datum		values[2];
	bool		nulls[2] = {false, false};

	values[0] = TimestampTzGetDatum(start);
	values[1] = TimestampTzGetDatum(window_end(w, start));
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

/* The row type of the calling function, in the current memory context. */
static TupleDesc
window_row_type(FunctionCallInfo fcinfo)
{
	TupleDesc	tupdesc;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	return BlessTupleDesc(tupdesc);
}

/* freshet.tumble(ts, size, origin): the one window of ts. */
Datum
freshet_tumble(PG_FUNCTION_ARGS)
{
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(0);
	WindowSpec	spec;

	memset(&spec, 0, sizeof(spec));
	spec.size = window_length(PG_GETARG_INTERVAL_P(1), "size");
	spec.slide = spec.size;
	spec.origin = PG_GETARG_TIMESTAMPTZ(2);
	check_origin(spec.origin);

	/* The row type is looked up once a query, not once a row. */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		fcinfo->flinfo->fn_extra = window_row_type(fcinfo);
		MemoryContextSwitchTo(oldcontext);
	}

	PG_RETURN_DATUM(window_row(&spec, window_first(&spec, ts),
							   (TupleDesc) fcinfo->flinfo->fn_extra));
}

/* freshet.hop(ts, slide, size, origin): the windows of ts, the earliest first. */
Datum
freshet_hop(PG_FUNCTION_ARGS)
{
	FuncCallContext *funcctx;
	HopState   *state;
	TimestampTz ts = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz start;

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext oldcontext;

		funcctx = SRF_FIRSTCALL_INIT();
		oldcontext = MemoryContextSwitchTo(funcctx->multi_call_memory_ctx);
		state = palloc0(sizeof(HopState));
		state->spec.hop = true;
		state->spec.slide = window_length(PG_GETARG_INTERVAL_P(1), "slide");
		state->spec.size = window_length(PG_GETARG_INTERVAL_P(2), "size");
		state->spec.origin = PG_GETARG_TIMESTAMPTZ(3);
		check_origin(state->spec.origin);
		state->start = window_earliest(&state->spec, ts);
		funcctx->tuple_desc = window_row_type(fcinfo);
		funcctx->user_fctx = state;
		MemoryContextSwitchTo(oldcontext);
	}

	funcctx = SRF_PERCALL_SETUP();
	state = funcctx->user_fctx;
	start = state->start;
	if (!window_contains(&state->spec, start, ts))
		SRF_RETURN_DONE(funcctx);

	/* Past the last window, or past what can be represented: an infinity. */
	if (TIMESTAMP_NOT_FINITE(start) ||
		pg_add_s64_overflow(start, state->spec.slide, &state->start))
		state->start = TIMESTAMP_IS_NOBEGIN(start) ? DT_NOEND : DT_NOBEGIN;
	SRF_RETURN_NEXT(funcctx, window_row(&state->spec, start, funcctx->tuple_desc));
}
