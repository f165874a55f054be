/*-------------------------------------------------------------------------
 *
 * window.h
 *		Time windows: freshet.tumble and freshet.hop.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_WINDOW_H
#define FRESHET_WINDOW_H

#include "datatype/timestamp.h"
#include "plan.h"

/*
 * Length of a window in microseconds; a day is 24 hours.  Raises
 * ERRCODE_FEATURE_NOT_SUPPORTED for months and years and
 * ERRCODE_INVALID_PARAMETER_VALUE if not positive; "what" names the argument.
 */
extern int64 window_length(const Interval *span, const char *what);

/* Start of the last slide at or before ts; both infinities map to themselves. */
extern TimestampTz window_floor(TimestampTz ts, int64 slide, TimestampTz origin);

/*
 * Iterate over the windows of ts, the latest first:
 *
 *	for (start = window_first(w, ts); window_contains(w, start, ts);
 *		 start = window_next(w, start))
 *
 * tumble gives exactly one.  A window is [start, start + size).
 */
extern TimestampTz window_first(const WindowSpec *w, TimestampTz ts);
extern bool window_contains(const WindowSpec *w, TimestampTz start, TimestampTz ts);
extern TimestampTz window_next(const WindowSpec *w, TimestampTz start);
extern TimestampTz window_end(const WindowSpec *w, TimestampTz start);

#endif							/* FRESHET_WINDOW_H */
