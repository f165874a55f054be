/*-------------------------------------------------------------------------
 *
 * exact_agg.h
 *		Aggregates with exact sums of floating-point numbers, for verifying.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_EXACT_AGG_H
#define FRESHET_EXACT_AGG_H

#include "postgres.h"

/*
 * The text of the query of a view, fully qualified if search_path is that of
 * the sandbox, with sum and avg of floating-point numbers replaced by the
 * aggregates of this file; NULL if it has none of them.
 */
extern char *exact_agg_definition(Oid viewid);

#endif							/* FRESHET_EXACT_AGG_H */
