/*-------------------------------------------------------------------------
 *
 * transaction.h
 *		The lines of the transaction that is being received.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TAIL_TRANSACTION_H
#define TAIL_TRANSACTION_H

typedef struct Transaction Transaction;

extern Transaction *transaction_create(void);
extern void transaction_reset(Transaction *txn);
extern void transaction_add(Transaction *txn, const char *line, size_t len);
extern void transaction_rewind(Transaction *txn);
extern bool transaction_next(Transaction *txn, const char **line, size_t *len);

#endif							/* TAIL_TRANSACTION_H */
