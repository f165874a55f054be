/*-------------------------------------------------------------------------
 *
 * time_words.h
 *		Literals whose meaning moves with the clock, such as 'yesterday'.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_TIME_WORDS_H
#define FRESHET_TIME_WORDS_H

#include "postgres.h"

#include "nodes/parsenodes.h"

/*
 * Raise an error if a literal of the statement was read by the clock when it
 * was analyzed.  query is what parse analysis made of the statement.
 */
extern void time_words_refuse(RawStmt *statement, Query *query);

#endif							/* FRESHET_TIME_WORDS_H */
