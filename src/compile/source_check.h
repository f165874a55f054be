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

#include "plan.h"

/*
 * An error if a user's query reads what is in the schema of stages, which come and go
 * with their sinks.
 */
extern void source_check_stages(const Query *query);

/*
 * Raises an error, naming the table, if its kind or its place rules it out.
 * inh: the query reads its children too (no ONLY).
 */
extern void source_check_kind(Relation rel, bool inh);

/*
 * Check what a source must be: permanent, not foreign, not a system
 * catalogue, not under row security for userid, SELECT granted to userid (on
 * the table or on every column used), and so on.  Raises an error by name.
 */
extern void source_check_all(const SinkPlan *plan, Oid userid);

/* The rights alone, of a table or a view. */
extern void source_check_rights(const SourceUse *source, Oid userid);

/*
 * True if the replica identities of the sources give the old values of all
 * columns that the plan needs them of.  For a partitioned table: of every leaf.
 * insufficient (may be NULL) receives the OIDs of the tables that lack it.
 */
extern bool source_identities_suffice(const SinkPlan *plan, List **insufficient);

/*
 * Would they not, if the table relid (a source, or a partition of one), which the
 * caller has locked, had this other replica identity, by this index if it is
 * REPLICA_IDENTITY_INDEX?
 */
extern bool source_needs_more(const SinkPlan *plan, Oid relid, char identity, Oid indexid);

#endif							/* FRESHET_SOURCE_CHECK_H */
