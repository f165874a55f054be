/*-------------------------------------------------------------------------
 *
 * output.h
 *		Transactions to standard output.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_OUTPUT_H
#define TAIL_OUTPUT_H

#include "options.h"
#include "transaction.h"

typedef struct Output Output;

extern Output *output_create(const TailOptions *opts);
extern bool output_transaction(Output *output, Transaction *txn);
extern void output_sync(Output *output);

#endif							/* TAIL_OUTPUT_H */
