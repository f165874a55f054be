/*-------------------------------------------------------------------------
 *
 * subtransaction.h
 *		Try something in a subtransaction, and see what became of it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SUBTRANSACTION_H
#define FRESHET_SUBTRANSACTION_H

#include "postgres.h"

/*
 * Call body(arg) in a subtransaction, in the current memory context: what it leaves
 * there stays.  What it does is taken back if it returns false or raises an error.
 * That error is returned, in the current memory context, else NULL; the caller is
 * to raise again what it does not expect.
 */
extern ErrorData *subtransaction_try(bool (*body) (void *arg), void *arg);

#endif							/* FRESHET_SUBTRANSACTION_H */
