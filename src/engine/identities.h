/*-------------------------------------------------------------------------
 *
 * identities.h
 *		Setting back replica identities that no sink needs any more.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_IDENTITIES_H
#define FRESHET_IDENTITIES_H

#include "postgres.h"

#include "datatype/timestamp.h"

/*
 * Between two batches, in no transaction: set back what no sink needs.  True if
 * a batch is wanted: there is nothing left to stay for, or it will know more of
 * the sinks.
 */
extern bool identities_settle(void);

/* Is there, or may there be, something that freshet has to set back? */
extern bool identities_left(void);

/* The same, as the catalogue is now; in a transaction. */
extern bool identities_noted(void);

/* When it is to be tried again; 0: when the sinks have changed. */
extern TimestampTz identities_retry_at(void);

#endif							/* FRESHET_IDENTITIES_H */
