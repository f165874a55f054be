/*-------------------------------------------------------------------------
 *
 * stream_filter.h
 *		Which changes a consumer gets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STREAM_FILTER_H
#define FRESHET_STREAM_FILTER_H

#include "stream.h"

/* To be called once for a decoding context. */
extern void stream_filter_init(StreamState *state);

/* Did the worker, or its filler, make the changes of this origin? */
extern bool stream_is_ours(RepOriginId origin);

/*
 * What is known of a relation, under the historic snapshot, as the one that a
 * change of this origin makes of it.  An error if it is wanted and the consumer
 * may not read it.
 */
extern StreamRelation *stream_filter_relation(StreamState *state, Relation rel,
											  RepOriginId origin);

/* At the begin of a transaction: look up the worker's origin if it is not known. */
extern void stream_filter_begin(StreamState *state);

/* Can all changes of this origin be dropped unseen? */
extern bool stream_filter_origin(StreamState *state, RepOriginId origin);

#endif							/* FRESHET_STREAM_FILTER_H */
