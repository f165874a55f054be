/*-------------------------------------------------------------------------
 *
 * key_path_search.c
 *		How a changed row leads to the keys that it affects.
 *
 * From the changed row, r, a path goes to the key over conditions of equality: r is
 * joined with one occurrence, this with the next, until the expressions of the key
 * can be computed.  All that is known to hold for r, or for those on the path, is
 * asked for as well; what is not on the path is left out.  That may lead to keys too
 * many, which does no harm, but to none too few:
 *
 *	- If a column of the key is on a side of an outer join that may be missing, though
 *	  r is there, the key of a row that was extended by NULLs must be found, too.  If the
 *	  side is a table and all is known by which it is joined, it is joined so, by an
 *	  outer join.  Else there is one more path, on which that side is missing.
 *	- If r itself is on a side that may be missing, it also bears upon rows in which
 *	  that side is missing, since they come and go with it.  So there is a path on
 *	  which the key is computed with that side as NULL, one for each such side around
 *	  r.  On it the conditions on that side from outside of it do not hold.
 *	- The rows that are joined are those at the snapshot and those that the batch
 *	  has changed, as they were and as they are.  Of the rows that made, or make, a
 *	  row of the result together with r each is among them.
 *	- A row that is extended by NULLs before the batch, and is not after it, or the
 *	  reverse, is found by the path of what came or went.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"

#include "key_path_search.h"

/* Sides that may be missing for which each combination has a path. */
#define MAX_ABSENT		4

/* A path under construction. */
typedef struct PathSearch
{
	const ScopeTree *tree;
	int			start;			/* the occurrence of the changed row */
	const Bitmapset *around;	/* a side around it that is missing, or NULL */
	const Bitmapset *absent;	/* sides elsewhere that are missing */
	Bitmapset  *joined;
	Bitmapset  *present;		/* those of them that cannot be NULL */
	List	   *candidates;		/* the key */
	KeyPath    *path;
} PathSearch;

/*
 * Conditions
 */

static bool
may_be_missing(const PathSearch *search, int occurrence)
{
	ListCell   *lc;

	foreach(lc, search->tree->nullable_sides)
	{
		const Bitmapset *side = ((NullableSide *) lfirst(lc))->occurrences;

		if (bms_is_member(occurrence, side) && !bms_is_member(search->start, side))
			return true;
	}
	return false;
}

/* Does it hold for all rows in which those that are present, and one that is joined, are? */
static bool
holds(const PathSearch *search, const ScopeCondition *condition, int occurrence)
{
	bool		around = search->around != NULL &&
		bms_is_subset(condition->domain, search->around);

	if (bms_overlap(condition->occurrences, search->absent) ||
		(!around && bms_overlap(condition->occurrences, search->around)))
		return false;
	if (occurrence >= 0 && bms_is_member(occurrence, condition->domain))
		return true;
	if (condition->full)
		return around && bms_is_member(search->start, condition->domain);
	return bms_overlap(condition->domain, search->present);
}

/* Can it be asked for when this occurrence is joined to the others? */
static bool
is_usable(const PathSearch *search, const ScopeCondition *condition, int occurrence)
{
	int			member = -1;

	if (!bms_is_member(occurrence, condition->occurrences) ||
		!holds(search, condition, occurrence))
		return false;
	while ((member = bms_next_member(condition->occurrences, member)) >= 0)
	{
		if (member != occurrence && !bms_is_member(member, search->joined))
			return false;
	}
	return true;
}

/* Is it an equality with one of the occurrences that have been joined? */
static bool
leads_to(const PathSearch *search, const ScopeCondition *condition, int occurrence)
{
	return condition->equality && is_usable(search, condition, occurrence);
}

/*
 * Keys
 */

static Node *
null_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;

		if (bms_is_member(var->varno - 1, context))
			return (Node *) makeNullConst(var->vartype, var->vartypmod, var->varcollid);
		return (Node *) copyObject(var);
	}
	return expression_tree_mutator(node, null_mutator, context);
}

static Node *
key_expr(const PathSearch *search, const KeyCandidate *candidate)
{
	return null_mutator(candidate->expr, bms_union(search->around, search->absent));
}

/* The side of a condition "var = side", if its value can stand for the variable's. */
static Node *
other_side(const ScopeCondition *condition, const Var *var, Oid eqop)
{
	OpExpr	   *op = (OpExpr *) condition->expr;
	Node	   *side = linitial(op->args);

	if (op->opno != eqop || op->inputcollid != var->varcollid)
		return NULL;
	if (equal(side, var))
		side = lsecond(op->args);
	else if (!equal(lsecond(op->args), var))
		return NULL;
	return IsA(side, Var) && ((Var *) side)->vartype == var->vartype &&
		((Var *) side)->varcollid == var->varcollid ? side : NULL;
}

/*
 * A column that equals this one wherever the changed row is joined with a row that
 * has it, and that the occurrences joined so far have; or NULL.
 */
static Node *
find_equal(const PathSearch *search, const KeyCandidate *candidate, const Node *expr)
{
	const Var  *var = (const Var *) expr;
	ListCell   *lc;

	if (!IsA(expr, Var) || may_be_missing(search, var->varno - 1))
		return NULL;
	foreach(lc, search->tree->conditions)
	{
		const ScopeCondition *condition = lfirst(lc);
		Node	   *side;

		if (!leads_to(search, condition, var->varno - 1))
			continue;
		side = other_side(condition, var, candidate->type->eq_opr);
		if (side != NULL && bms_is_member(((Var *) side)->varno - 1, search->joined))
			return side;
	}
	return NULL;
}

/* The expression of a key over what has been joined; NULL if that is not enough. */
static Node *
computable(const PathSearch *search, const KeyCandidate *candidate)
{
	Node	   *expr = key_expr(search, candidate);

	if (bms_is_subset(scope_occurrences(expr), search->joined))
		return expr;
	return find_equal(search, candidate, expr);
}

static int
count_computable(const PathSearch *search)
{
	int			n = 0;
	ListCell   *lc;

	foreach(lc, search->candidates)
		n += computable(search, lfirst(lc)) != NULL;
	return n;
}

/* Occurrences that keys still lack. */
static Bitmapset *
lacking(const PathSearch *search)
{
	Bitmapset  *result = NULL;
	ListCell   *lc;

	foreach(lc, search->candidates)
	{
		if (computable(search, lfirst(lc)) == NULL)
			result = bms_add_members(result, scope_occurrences(key_expr(search, lfirst(lc))));
	}
	return bms_del_members(result, search->joined);
}

/*
 * Paths
 */

/*
 * The side of an outer join that this occurrence is, if it can be joined just as the
 * query joins it; or NULL.
 */
static const NullableSide *
find_outer_join(const PathSearch *search, int occurrence)
{
	Bitmapset  *joined = bms_add_member(bms_copy(search->joined), occurrence);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, search->tree->nullable_sides)
	{
		const NullableSide *side = lfirst(lc);

		if (side->table != occurrence || occurrence == search->start || !side->resolved)
			continue;
		foreach(lc2, side->on)
		{
			Bitmapset  *members = scope_occurrences(lfirst(lc2));

			if (!bms_is_subset(members, joined) || bms_overlap(members, search->around))
				return NULL;
		}
		return side;
	}
	return NULL;
}

/* False if no equality leads there after all. */
static bool
join_occurrence(PathSearch *search, int occurrence)
{
	KeyStep    *step = palloc0(sizeof(KeyStep));
	const NullableSide *side = find_outer_join(search, occurrence);
	bool		found = step->outer = side != NULL;
	ListCell   *lc;

	step->occurrence = occurrence;
	if (step->outer)
		step->conditions = list_copy(side->on);
	foreach(lc, search->tree->conditions)
	{
		const ScopeCondition *condition = lfirst(lc);

		if (step->outer || !is_usable(search, condition, occurrence))
			continue;
		step->conditions = list_append_unique(step->conditions, condition->expr);
		found |= condition->equality;
	}
	search->joined = bms_add_member(search->joined, occurrence);
	if (!step->outer)
		search->present = bms_add_member(search->present, occurrence);
	search->path->steps = lappend(search->path->steps, step);
	return found;
}

static bool
can_join(const PathSearch *search, int occurrence)
{
	ListCell   *lc;

	if (bms_is_member(occurrence, search->joined) ||
		bms_is_member(occurrence, search->absent) ||
		scope_is_beyond_sublink(search->tree, search->start, occurrence))
		return false;
	foreach(lc, search->tree->conditions)
	{
		if (leads_to(search, lfirst(lc), occurrence))
			return true;
	}
	return false;
}

/*
 * Join the occurrences on the shortest way to one by which the key comes nearer.
 */
static bool
extend(PathSearch *search)
{
	int			n = search->tree->plan->noccurrences;
	Bitmapset  *wanted = lacking(search);
	int			known = count_computable(search);
	Bitmapset  *joined = bms_copy(search->joined);
	Bitmapset  *present = bms_copy(search->present);
	int		   *from = palloc(n * sizeof(int));
	List	   *reached = NIL;
	int			found = -1;

	for (int i = 0; i < n; i++)
		from[i] = -1;
	for (int member = -1; (member = bms_next_member(joined, member)) >= 0;)
		reached = lappend_int(reached, member);

	/* breadth first: "reached" grows while it is walked */
	for (int i = 0; i < list_length(reached) && found < 0; i++)
	{
		int			at = list_nth_int(reached, i);
		bool		is_present;

		search->joined = bms_copy(joined);
		is_present = !bms_is_member(at, joined) && find_outer_join(search, at) == NULL;
		for (int next = 0; next < n && found < 0; next++)
		{
			if (list_member_int(reached, next))
				continue;
			search->joined = bms_add_member(bms_copy(joined), at);
			search->present = bms_copy(present);
			if (is_present)
				search->present = bms_add_member(search->present, at);
			if (!can_join(search, next))
				continue;
			from[next] = at;
			reached = lappend_int(reached, next);
			search->joined = bms_add_member(bms_copy(joined), next);
			if (bms_is_member(next, wanted) || count_computable(search) > known)
				found = next;
		}
	}
	search->joined = joined;
	search->present = present;
	if (found < 0)
		return false;

	/* from the beginning */
	reached = NIL;
	for (int at = found; !bms_is_member(at, joined); at = from[at])
		reached = lcons_int(at, reached);
	for (int i = 0; i < list_length(reached); i++)
	{
		if (!join_occurrence(search, list_nth_int(reached, i)))
			return false;
	}
	return true;
}

/* NULL if there is none. */
static KeyPath *
find_path(const ScopeTree *tree, int start, const Bitmapset *around, const Bitmapset *absent,
		  List *candidates)
{
	PathSearch	search = {.tree = tree,.start = start,.around = around,.absent = absent};
	ListCell   *lc;

	search.joined = bms_make_singleton(start);
	search.present = bms_make_singleton(start);
	search.candidates = candidates;
	search.path = palloc0(sizeof(KeyPath));
	while (count_computable(&search) < list_length(candidates))
	{
		if (!extend(&search))
			return NULL;
	}
	foreach(lc, tree->conditions)
	{
		const ScopeCondition *condition = lfirst(lc);
		int			member;

		if (bms_get_singleton_member(condition->occurrences, &member) && member == start &&
			holds(&search, condition, -1))
			search.path->conditions = list_append_unique(search.path->conditions,
														 condition->expr);
	}
	foreach(lc, candidates)
		search.path->keys = lappend(search.path->keys, computable(&search, lfirst(lc)));
	return search.path;
}

static bool
same_path(const KeyPath *a, const KeyPath *b)
{
	ListCell   *lc;
	ListCell   *lc2;

	if (list_length(a->steps) != list_length(b->steps) || !equal(a->keys, b->keys) ||
		!equal(a->conditions, b->conditions))
		return false;
	forboth(lc, a->steps, lc2, b->steps)
	{
		const KeyStep *x = lfirst(lc);
		const KeyStep *y = lfirst(lc2);

		if (x->occurrence != y->occurrence || x->outer != y->outer ||
			!equal(x->conditions, y->conditions))
			return false;
	}
	return true;
}

/* Does the path tell whether the side is there, or what it needs not know? */
static bool
settles(const KeyPath *path, const NullableSide *side, const Bitmapset *read)
{
	ListCell   *lc;

	if (!bms_overlap(side->occurrences, read))
		return true;
	foreach(lc, path->steps)
	{
		const KeyStep *step = lfirst(lc);

		if (step->outer && step->occurrence == side->table)
			return true;
	}
	return false;
}

/* The sides elsewhere that a path leaves open, List of NullableSide *. */
static List *
open_sides(const ScopeTree *tree, int start, const Bitmapset *around, const KeyPath *path,
		   List *candidates)
{
	Bitmapset  *read = NULL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
		read = bms_add_members(read, scope_occurrences(((KeyCandidate *) lfirst(lc))->expr));
	read = bms_difference(read, around);
	foreach(lc, tree->nullable_sides)
	{
		NullableSide *side = lfirst(lc);

		if (!bms_is_member(start, side->occurrences) && !settles(path, side, read))
			result = lappend(result, side);
	}
	return result;
}

static List *
add_path(List *paths, KeyPath *path)
{
	ListCell   *lc;

	foreach(lc, paths)
	{
		if (same_path(lfirst(lc), path))
			return paths;
	}
	return lappend(paths, path);
}

/* Add those with this side around the changed row missing; false if one is not there. */
static bool
add_paths(const ScopeTree *tree, int start, const Bitmapset *around, List *candidates,
		  List **paths)
{
	KeyPath    *path = find_path(tree, start, around, NULL, candidates);
	List	   *sides;
	ListCell   *lc;

	if (path == NULL)
		return false;
	*paths = add_path(*paths, path);
	sides = open_sides(tree, start, around, path, candidates);
	if (list_length(sides) > MAX_ABSENT)
		return false;
	for (int which = 1; which < 1 << list_length(sides); which++)
	{
		Bitmapset  *absent = NULL;

		foreach(lc, sides)
		{
			if (which & (1 << foreach_current_index(lc)))
				absent = bms_add_members(absent, ((NullableSide *) lfirst(lc))->occurrences);
		}
		path = find_path(tree, start, around, absent, candidates);
		if (path == NULL)
			return false;
		*paths = add_path(*paths, path);
	}
	return true;
}

List *
key_paths_find(const ScopeTree *tree, int start, List *candidates)
{
	List	   *paths = NIL;
	ListCell   *lc;

	if (!add_paths(tree, start, NULL, candidates, &paths))
		return NIL;
	foreach(lc, tree->nullable_sides)
	{
		const Bitmapset *side = ((NullableSide *) lfirst(lc))->occurrences;

		if (bms_is_member(start, side) && !add_paths(tree, start, side, candidates, &paths))
			return NIL;
	}
	return list_length(paths) > KEY_MAX_PATHS ? NIL : paths;
}
