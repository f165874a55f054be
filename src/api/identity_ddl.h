/*-------------------------------------------------------------------------
 *
 * identity_ddl.h
 *		Commands, and the replica identities that freshet has set.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_IDENTITY_DDL_H
#define FRESHET_IDENTITY_DDL_H

#include "postgres.h"

#include "nodes/nodes.h"
#include "nodes/pg_list.h"

/* Before a command: what it may be about to take along, as a list of SourceIdentity *. */
extern List *identity_ddl_before(Node *command);

/* After it. */
extern void identity_ddl_after(Node *command);

/* After it, if freshet is gone: set these back. */
extern void identity_ddl_set_back(List *identities);

#endif							/* FRESHET_IDENTITY_DDL_H */
