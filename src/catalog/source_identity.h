/*-------------------------------------------------------------------------
 *
 * source_identity.h
 *		The replica identities that freshet has set to FULL, and setting them back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_SOURCE_IDENTITY_H
#define FRESHET_SOURCE_IDENTITY_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* A table, and what its replica identity was before. */
typedef struct SourceIdentity
{
	Oid			relid;
	char		identity;		/* REPLICA_IDENTITY_... */
	Oid			index;			/* of REPLICA_IDENTITY_INDEX; invalid if it is gone */
} SourceIdentity;

/* Set the replica identity of a table to FULL, as the current user, and note what it was. */
extern void source_identity_set_full(Oid relid);

/* Somebody has taken it into his own hands, or the table is gone. */
extern void source_identity_forget(Oid relid);

/*
 * What is noted, as a list of SourceIdentity * in the current memory context; NIL
 * too if there is no such catalogue.
 */
extern List *source_identity_list(void);

/* Is it still FULL, that is, is there something to set back? */
extern bool source_identity_is_full(Oid relid);

/*
 * Set it back, whoever the current user is.  The caller has locked the table in
 * ACCESS EXCLUSIVE mode.  False, and *why, if writers could not write it then, or
 * the index is gone: it stays FULL.
 */
extern bool source_identity_set_back(const SourceIdentity *identity, char **why);

#endif							/* FRESHET_SOURCE_IDENTITY_H */
