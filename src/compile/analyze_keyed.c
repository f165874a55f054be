/*-------------------------------------------------------------------------
 *
 * analyze_keyed.c
 *		By which keys the rows of a query can be recomputed, and how they are found.
 *
 * A key is a set of columns of the result.  If a changed row of any table leads to
 * the values that they have in all rows of the result on which it bears, before the
 * change or after it, then these rows can be recomputed by the query itself, with a
 * condition on the key, and nothing else need be looked at.
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
 * An occurrence that has no path has everything computed when it changes: one in a
 * subquery that is not correlated, say.
 *
 * Of the columns to which the most occurrences have a path those are taken that are the key
 * of a table, if there are such; of groups, all.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "analyze.h"
#include "analyze_keyed.h"
#include "keyed_scopes.h"
#include "table_key.h"

/* More columns than these make no better key. */
#define MAX_KEYS		5

/* Sides that may be missing for which each combination has a path. */
#define MAX_ABSENT		4

/* Columns of the result that are looked at. */
#define MAX_CANDIDATES	64

/* An output column that can be followed to the tables. */
typedef struct Candidate
{
	int			column;
	Node	   *expr;
	TypeCacheEntry *type;
} Candidate;

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
	ListCell   *lc;
	int			member = -1;

	if (!bms_is_member(occurrence, condition->occurrences) ||
		!holds(search, condition, occurrence))
		return false;
	while ((member = bms_next_member(condition->occurrences, member)) >= 0)
	{
		if (member != occurrence && !bms_is_member(member, search->joined))
			return false;
	}
	/* said twice, of either side of a full join */
	foreach(lc, search->tree->conditions)
	{
		const ScopeCondition *other = lfirst(lc);

		if (other == condition)
			return true;
		if (other->full && condition->full && equal(other->expr, condition->expr) &&
			holds(search, other, occurrence))
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
key_expr(const PathSearch *search, const Candidate *candidate)
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
find_equal(const PathSearch *search, const Candidate *candidate, const Node *expr)
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
computable(const PathSearch *search, const Candidate *candidate)
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
		read = bms_add_members(read, scope_occurrences(((Candidate *) lfirst(lc))->expr));
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

/* All paths of an occurrence, List of KeyPath *; NIL if one is missing. */
static List *
find_paths(const ScopeTree *tree, int start, List *candidates)
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

/*
 * Choosing the key
 */

/* Columns that serve, if there are paths to them: List of Candidate *. */
static List *
find_candidates(const ScopeTree *tree)
{
	List	   *candidates = NIL;
	int			column = 0;
	ListCell   *lc;

	foreach(lc, tree->top->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Candidate  *candidate;
		Node	   *expr;

		if (tle->resjunk)
			continue;
		column++;
		expr = scope_resolve_output(tree->top, tle->resno);
		if (expr == NULL || bms_is_empty(scope_occurrences(expr)) || column > MAX_CANDIDATES)
			continue;
		candidate = palloc0(sizeof(Candidate));
		candidate->column = column - 1;
		candidate->expr = expr;
		candidate->type = lookup_type_cache(exprType(expr), TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR |
											TYPECACHE_BTREE_OPFAMILY);
		if (OidIsValid(candidate->type->eq_opr) && OidIsValid(candidate->type->lt_opr))
			candidates = lappend(candidates, candidate);
	}
	return candidates;
}

/* The occurrences that have their paths to a column. */
static Bitmapset *
leading_to(const ScopeTree *tree, Candidate *candidate)
{
	Bitmapset  *result = NULL;

	for (int i = 0; i < tree->plan->noccurrences; i++)
	{
		if (find_paths(tree, i, list_make1(candidate)) != NIL)
			result = bms_add_member(result, i);
	}
	return result;
}

/*
 * Keep those to which the most occurrences have their paths.  When another one changes
 * everything has to be computed: *unreached, or -1.
 */
static List *
reachable(const ScopeTree *tree, List *candidates, int *unreached)
{
	Bitmapset  *best = NULL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		Bitmapset  *leading = leading_to(tree, lfirst(lc));

		if (bms_num_members(leading) > bms_num_members(best))
		{
			best = leading;
			result = NIL;
		}
		if (best != NULL && bms_equal(leading, best))
			result = lappend(result, lfirst(lc));
	}
	*unreached = 0;
	while (*unreached < tree->plan->noccurrences && bms_is_member(*unreached, best))
		(*unreached)++;
	if (*unreached == tree->plan->noccurrences)
		*unreached = -1;
	return result;
}

static Candidate *
find_column(List *candidates, int occurrence, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, candidates)
	{
		Candidate  *candidate = lfirst(lc);
		Var		   *var = (Var *) candidate->expr;

		if (IsA(var, Var) && var->varno == occurrence + 1 && var->varattno == attno)
			return candidate;
	}
	return NULL;
}

/* The candidates that are the key of an occurrence, or NIL. */
static List *
table_key_of(const ScopeTree *tree, int occurrence, List *candidates)
{
	Relation	rel = table_open(plan_source_of(tree->plan, occurrence)->relid, NoLock);
	List	   *result = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table_keys(rel))
	{
		result = NIL;
		foreach(lc2, (List *) lfirst(lc))
		{
			Candidate  *candidate = find_column(candidates, occurrence,
												(AttrNumber) lfirst_int(lc2));

			if (candidate == NULL)
				break;
			result = lappend(result, candidate);
		}
		if (lc2 == NULL && result != NIL && list_length(result) <= MAX_KEYS)
			break;
		result = NIL;
	}
	table_close(rel, NoLock);
	return result;
}

static bool
has_groups(const Query *query)
{
	return query->groupClause != NIL || query->distinctClause != NIL || query->hasWindowFuncs;
}

/* Merged columns of full joins say which rows belong together. */
static List *
merged_columns(List *candidates)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, candidates)
	{
		if (IsA(((Candidate *) lfirst(lc))->expr, CoalesceExpr))
			result = lappend(result, lfirst(lc));
	}
	return result;
}

static List *
choose_key(const ScopeTree *tree, List *candidates)
{
	List	   *result = NIL;

	if (!has_groups(tree->top->query))
	{
		for (int pass = 0; pass < 2 && result == NIL; pass++)
		{
			for (int i = 0; i < tree->plan->noccurrences && result == NIL; i++)
			{
				/* one that cannot be missing is better */
				if (bms_is_member(i, tree->nullable) == (pass == 1))
					result = table_key_of(tree, i, candidates);
			}
		}
		if (result == NIL)
			result = merged_columns(candidates);
	}
	if (result == NIL)
		result = candidates;
	return list_truncate(list_copy(result), MAX_KEYS);
}

/*
 * The plan
 */

static Node *
input_mutator(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		const JoinInput *inputs = context;
		Var		   *var = copyObject((Var *) node);
		const JoinInput *input = &inputs[var->varno - 1];

		for (int i = 0; i < input->ncolumns; i++)
		{
			if (input->attnos[i] == var->varattno)
			{
				var->varattno = (AttrNumber) (i + 1);
				return (Node *) var;
			}
		}
		elog(ERROR, "column %d of occurrence %d is not read", var->varattno, var->varno);
	}
	return expression_tree_mutator(node, input_mutator, context);
}

static void
set_inputs(SinkPlan *plan, KeyedQueryPlan *keyed)
{
	keyed->inputs = palloc0(plan->noccurrences * sizeof(JoinInput));
	for (int i = 0; i < plan->noccurrences; i++)
	{
		const SourceUse *source = plan_source_of(plan, i);
		JoinInput  *input = &keyed->inputs[i];
		int			attno = -1;

		input->attnos = palloc((bms_num_members(source->used_attrs) + 1) * sizeof(AttrNumber));
		while ((attno = bms_next_member(source->used_attrs, attno)) >= 0)
		{
			/* the whole row as a value reads columns that were dropped, too */
			if (OidIsValid(get_atttype(source->relid, (AttrNumber) attno)))
				input->attnos[input->ncolumns++] = (AttrNumber) attno;
		}
	}
}

static void
set_paths(const ScopeTree *tree, KeyedQueryPlan *keyed, List *candidates)
{
	SinkPlan   *plan = tree->plan;
	ListCell   *lc;
	ListCell   *lc2;

	keyed->paths = palloc0(plan->noccurrences * sizeof(List *));
	for (int i = 0; i < plan->noccurrences; i++)
	{
		keyed->paths[i] = find_paths(tree, i, candidates);
		foreach(lc, keyed->paths[i])
		{
			KeyPath    *path = lfirst(lc);

			path->conditions = (List *) input_mutator((Node *) path->conditions, keyed->inputs);
			path->keys = (List *) input_mutator((Node *) path->keys, keyed->inputs);
			foreach(lc2, path->steps)
			{
				KeyStep    *step = lfirst(lc2);

				step->conditions = (List *) input_mutator((Node *) step->conditions,
														  keyed->inputs);
			}
		}
	}
}

/* What indexes may serve. */
static void
set_advice(const ScopeTree *tree, KeyedQueryPlan *keyed, List *candidates)
{
	ListCell   *lc;

	foreach(lc, candidates)
		keyed->exprs = lappend(keyed->exprs, input_mutator(((Candidate *) lfirst(lc))->expr,
														   keyed->inputs));
	foreach(lc, tree->conditions)
	{
		const ScopeCondition *condition = lfirst(lc);

		if (condition->equality)
			keyed->equalities = list_append_unique(keyed->equalities,
												   input_mutator(condition->expr, keyed->inputs));
	}
}

static void
set_keys(SinkPlan *plan, KeyedQueryPlan *keyed, List *candidates)
{
	ListCell   *lc;

	keyed->nkeys = list_length(candidates);
	keyed->keys = palloc0(keyed->nkeys * sizeof(KeySpec));
	foreach(lc, candidates)
	{
		const Candidate *candidate = lfirst(lc);
		const SinkColumn *column = &plan->columns[candidate->column];
		KeySpec    *key = &keyed->keys[foreach_current_index(lc)];

		key->type = column->type;
		key->typmod = column->typmod;
		key->collation = column->collation;
		key->eqop = candidate->type->eq_opr;
		key->sortop = candidate->type->lt_opr;
		key->column = candidate->column;
	}
}

/* Why it cannot be said of some changes, or of any, to which keys they lead. */
static const char *
lack_of_key(const ScopeTree *tree, List *candidates, int unreached)
{
	if (candidates == NIL)
		return "no column of the result tells which rows a change bears upon";
	return psprintf("no equality leads from \"%s\" to a column of the result",
					get_rel_name(plan_source_of(tree->plan, unreached)->relid));
}

bool
analyze_keyed(const Query *query, SinkPlan *plan, const char **reason)
{
	KeyedQueryPlan keyed = {0};
	int			unreached = -1;
	Occurrence *occurrences = plan->occurrences;
	int			noccurrences = plan->noccurrences;
	ScopeTree  *tree;
	List	   *candidates = NIL;

	*reason = NULL;
	plan->occurrences = NULL;
	plan->noccurrences = 0;
	tree = keyed_scopes(copyObject(unconstify(Query *, query)), plan, reason);
	if (tree != NULL && plan->noccurrences > 0)
	{
		List	   *all = find_candidates(tree);

		candidates = reachable(tree, all, &unreached);
		if (unreached >= 0)
			*reason = lack_of_key(tree, all, unreached);
	}
	if (candidates == NIL)
	{
		plan->occurrences = occurrences;
		plan->noccurrences = noccurrences;
		return false;
	}

	candidates = choose_key(tree, candidates);
	set_inputs(plan, &keyed);
	set_paths(tree, &keyed, candidates);
	set_keys(plan, &keyed, candidates);
	set_advice(tree, &keyed, candidates);
	/* of a table that leads to no key it does not matter what has changed */
	for (int i = 0; i < plan->noccurrences; i++)
	{
		if (keyed.paths[i] != NIL)
			plan_source_of(plan, i)->identity_attrs = plan_source_of(plan, i)->used_attrs;
	}
	plan->shape = SHAPE_KEYED_QUERY;
	plan->part.keyed_query = keyed;
	return true;
}

SinkPlan *
analyze_keyed_query(const Query *query)
{
	SinkPlan   *plan = analyze_refresh(query);
	const char *reason;

	(void) analyze_keyed(query, plan, &reason);
	return plan;
}
