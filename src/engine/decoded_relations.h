/*-------------------------------------------------------------------------
 *
 * decoded_relations.h
 *		What the decoder knows of the relations whose changes it meets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_DECODED_RELATIONS_H
#define FRESHET_DECODED_RELATIONS_H

#include "postgres.h"

#include "access/tupconvert.h"
#include "utils/rel.h"

#include "maintain/change_set.h"

/*
 * A source under which the changes of a relation are listed: itself, or a
 * partitioned table that it belongs to.
 */
typedef struct DecodedTarget
{
	Oid			source;
	TupleConversionMap *map;	/* from the leaf, or NULL */
	ChangeLayout *layout;

	/* where the changes of the current transaction go */
	uint64		set_serial;
	ChangeList *list;
} DecodedTarget;

/* What the callbacks know of a relation that they met. */
typedef struct DecodedRelation
{
	Oid			relid;			/* hash key */
	bool		valid;			/* cleared by invalidations */
	MemoryContext context;		/* of what was found out, or NULL: nothing */
	List	   *targets;		/* DecodedTarget *; NIL: nobody wants it */
	bool		rewrite;		/* it has the rows that ALTER TABLE writes anew */
} DecodedRelation;

/* Nothing is known yet.  What will be lives in "context". */
extern void decoded_relations_start(MemoryContext context);

/* The context is gone, and all layouts with it. */
extern void decoded_relations_stop(void);

/* Of which relations changes are wanted; true if that is new. */
extern bool decoded_relations_set_interest(List *relids);
extern List *decoded_relations_interest(void);

/*
 * What is known of the relation; found out under the historic snapshot of the
 * callback that asks.  Valid to the end of that callback.
 */
extern DecodedRelation *decoded_relation(Relation rel);

/* Forget those that are out of date, if they are many: outside of callbacks. */
extern void decoded_relations_sweep(void);

#endif							/* FRESHET_DECODED_RELATIONS_H */
