/*-------------------------------------------------------------------------
 *
 * source_check.h
 *		What a table must be to serve as a source.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SOURCE_CHECK_H
#define FRESHET_SOURCE_CHECK_H

#include "utils/rel.h"

/*
 * Raises an error, naming the table, if its kind or its place rules it out.
 * inh: the query reads its children too (no ONLY).
 */
extern void source_check_kind(Relation rel, bool inh);

#endif							/* FRESHET_SOURCE_CHECK_H */
