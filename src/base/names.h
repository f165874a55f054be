/*-------------------------------------------------------------------------
 *
 * names.h
 *		Names of objects, and commands that are made of them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_NAMES_H
#define FRESHET_NAMES_H

#include "postgres.h"

/* "freshet_<oid of the database>", into a NAMEDATALEN buffer. */
extern void freshet_object_name(Oid dboid, char *buf);

/* OID of a table of the schema freshet; an error if the extension is missing. */
extern Oid	freshet_catalog_relid(const char *name);

/* Quoted, with its schema; an error if there is no such relation. */
extern char *names_relation(Oid relid);

/* An operator in an expression: "OPERATOR(schema.=)". */
extern char *names_operator(Oid opno);

/* Run a command as the current user. */
extern void names_run(const char *command);

#endif							/* FRESHET_NAMES_H */
