/*-------------------------------------------------------------------------
 *
 * stage_states.h
 *		What the state of its stages means for a sink.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_STAGE_STATES_H
#define FRESHET_STAGE_STATES_H

#include "batch_runs.h"

/*
 * May the sink be maintained, as the stages that it reads are?  If not, it has been set
 * building, or failed by what has failed one of them.
 */
extern bool stage_states_allow(Sink *sink, Batch *batch);

#endif							/* FRESHET_STAGE_STATES_H */
