/*-------------------------------------------------------------------------
 *
 * analyze_wide_view.c
 *		From the definition of a wide view to its plan.
 *
 * wide_view_query.c has made the definition; here its Query is read back, as
 * parse analysis or the view's rule gives it.  By then its tables and columns
 * may have other names, and a dump may have come between: so nothing is known
 * by name, and what does not change a value (RelabelType, COLLATE) is looked
 * through.  Anything else that does not have the shape described there was
 * not made by freshet, and is refused.
 *
 * An element is two levels of queries: the one that reads its table, and the
 * lateral one inside that holds its columns and its lookups.  A condition
 * names the tables of enclosing elements by the number of query levels
 * between, through a list of the levels open.
 *
 *-------------------------------------------------------------------------
 */
#include "base/freshet.h"

#include "access/nbtree.h"
#include "access/table.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parsetree.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "analyze.h"
#include "source_check.h"
#include "table_key.h"

/* A level of queries that is open. */
typedef struct Level
{
	const struct Level *up;
	const Query *query;
	int			node;			/* -1: a lateral one */
	Index		table;			/* range table index of the node's table ... */
	Index		element;		/* ... and of its lateral query */
} Level;

/* What the walkers work on. */
typedef struct ReadContext
{
	SinkPlan   *plan;
	const Level *level;
} ReadContext;

static void read_element(SinkPlan *plan, const Query *query, const Level *up, int parent);

/* "what" is for the developer who looks into it. */
static void
refuse_shape(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the definition of the wide view is not one that freshet has made"),
			 errdetail("It differs in %s.", what),
			 errhint("Drop the sink and create it anew.")));
}

#define EXPECT(condition, what) \
	do { \
		if (!(condition)) \
			refuse_shape(what); \
	} while (0)

/* Without what changes no value. */
static Node *
strip(Node *node)
{
	while (node != NULL)
	{
		if (IsA(node, RelabelType))
			node = (Node *) ((RelabelType *) node)->arg;
		else if (IsA(node, CollateExpr))
			node = (Node *) ((CollateExpr *) node)->arg;
		else
			break;
	}
	return node;
}

static void
check_clauses(const Query *query)
{
	EXPECT(query->commandType == CMD_SELECT && query->utilityStmt == NULL, "its kind");
	EXPECT(query->cteList == NIL && query->setOperations == NULL, "WITH or UNION");
	EXPECT(query->groupClause == NIL && query->groupingSets == NIL && !query->hasAggs &&
		   query->havingQual == NULL, "a grouping");
	EXPECT(query->distinctClause == NIL && !query->hasWindowFuncs && !query->hasTargetSRFs,
		   "the set of its rows");
	EXPECT(query->rowMarks == NIL && query->limitOffset == NULL, "OFFSET or a lock of rows");
}

/* The node's KeyedNode, and its occurrence. */
static int
add_node(SinkPlan *plan, Oid relid, int parent)
{
	WideViewPlan *view = &plan->part.wide_view;
	KeyedNode  *node;

	(void) plan_add_occurrence(plan, relid);
	view->nodes = view->nodes == NULL ? palloc(sizeof(KeyedNode)) :
		repalloc(view->nodes, (view->nnodes + 1) * sizeof(KeyedNode));
	node = &view->nodes[view->nnodes];
	memset(node, 0, sizeof(KeyedNode));
	node->parent = parent;
	return view->nnodes++;
}

static void
use_attr(const SinkPlan *plan, int node, AttrNumber attno)
{
	SourceUse  *source = plan_source_of(plan, node);

	source->used_attrs = bms_add_member(source->used_attrs, attno);
}

/* The table of the node, and beside it the lateral query of its element. */
static void
read_from(SinkPlan *plan, const Query *query, Level *level, int parent)
{
	List	   *from = query->jointree->fromlist;
	RangeTblEntry *table;
	RangeTblEntry *element;
	Relation	rel;

	EXPECT(list_length(from) == 2 && IsA(linitial(from), RangeTblRef) &&
		   IsA(lsecond(from), RangeTblRef), "FROM");
	level->table = linitial_node(RangeTblRef, from)->rtindex;
	level->element = lsecond_node(RangeTblRef, from)->rtindex;
	table = rt_fetch(level->table, query->rtable);
	element = rt_fetch(level->element, query->rtable);
	EXPECT(table->rtekind == RTE_RELATION && table->tablesample == NULL, "a table of FROM");
	EXPECT(element->rtekind == RTE_SUBQUERY && element->lateral, "a subquery of FROM");

	rel = table_open(table->relid, AccessShareLock);
	source_check_kind(rel, table->inh);
	table_close(rel, NoLock);
	level->node = add_node(plan, table->relid, parent);
}

/* A column of an enclosing table, or of the node's own. */
static void
resolve_var(const Level *level, const Var *var, int *node)
{
	for (Index i = 0; i < var->varlevelsup && level != NULL; i++)
		level = level->up;
	EXPECT(level != NULL && level->node >= 0 && var->varno == level->table && var->varattno > 0,
		   "a column in a condition");
	*node = level->node;
}

static void
fill_own_column(RelatedColumn *column, Oid relid, AttrNumber attno)
{
	column->attno = attno;
	get_atttypetypmodcoll(relid, attno, &column->type, &column->typmod, &column->collation);
	column->outer_node = -1;
}

/* own = outer, in either order. */
static void
read_condition(SinkPlan *plan, const Level *level, Node *qual)
{
	OpExpr	   *op = (OpExpr *) qual;
	KeyedNode  *node = &plan_wide_view(plan)->nodes[level->node];
	RelatedColumn *column = &node->related[node->nrelated++];
	Var		   *own;
	Var		   *outer;
	int			own_node;
	Oid			opclass;

	EXPECT(IsA(qual, OpExpr) && list_length(op->args) == 2, "a condition");
	own = (Var *) strip(linitial(op->args));
	outer = (Var *) strip(lsecond(op->args));
	EXPECT(IsA(own, Var) && IsA(outer, Var), "a condition");
	column->eqop = op->opno;
	if (own->varlevelsup > 0)
	{
		Var		   *swap = own;

		own = outer;
		outer = swap;
		column->eqop = get_commutator(op->opno);
	}
	EXPECT(own->varlevelsup == 0 && outer->varlevelsup > 0, "a condition");

	resolve_var(level, own, &own_node);
	fill_own_column(column, plan_source_of(plan, own_node)->relid, own->varattno);
	resolve_var(level, outer, &column->outer_node);
	column->outer_attno = outer->varattno;

	opclass = GetDefaultOpClass(getBaseType(column->type), BTREE_AM_OID);
	EXPECT(OidIsValid(column->eqop) && OidIsValid(opclass) &&
		   get_op_opfamily_strategy(column->eqop, get_opclass_family(opclass)) ==
		   BTEqualStrategyNumber, "the operator of a condition");

	use_attr(plan, own_node, own->varattno);
	use_attr(plan, column->outer_node, outer->varattno);
}

static void
read_conditions(SinkPlan *plan, const Level *level)
{
	List	   *quals = make_ands_implicit((Expr *) level->query->jointree->quals);
	KeyedNode  *node = &plan_wide_view(plan)->nodes[level->node];
	SourceUse  *source = plan_source_of(plan, level->node);
	ListCell   *lc;

	EXPECT(quals != NIL, "WHERE");
	node->related = palloc0(list_length(quals) * sizeof(RelatedColumn));
	foreach(lc, quals)
		read_condition(plan, level, lfirst(lc));
	for (int i = 0; i < node->nrelated; i++)
	{
		source->identity_attrs = bms_add_member(source->identity_attrs, node->related[i].attno);
		node->order_attrs = bms_add_member(node->order_attrs, node->related[i].attno);
	}
}

/* The row of the element as a whole. */
static bool
is_element(const Level *level, Node *expr)
{
	Var		   *var = (Var *) strip(expr);

	return IsA(var, Var) && var->varlevelsup == 0 && var->varno == level->element &&
		var->varattno == InvalidAttrNumber;
}

/* An expression by which rows are ordered: over columns of the node's table. */
static bool
read_order_walker(Node *node, ReadContext *context)
{
	if (node == NULL)
		return false;
	EXPECT(!IsA(node, SubLink) && !IsA(node, Query), "ORDER BY");
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		KeyedNode  *ordered;
		int			which;

		EXPECT(var->varlevelsup == 0, "ORDER BY");
		resolve_var(context->level, var, &which);
		use_attr(context->plan, which, var->varattno);
		ordered = &plan_wide_view(context->plan)->nodes[which];
		ordered->order_attrs = bms_add_member(ordered->order_attrs, var->varattno);
		return false;
	}
	return expression_tree_walker(node, read_order_walker, context);
}

/* The select list of a lookup: the element, and what sorts. */
static void
read_lookup_targets(SinkPlan *plan, const Level *level)
{
	ReadContext context = {.plan = plan, .level = level};
	bool		found = false;
	ListCell   *lc;

	foreach(lc, level->query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (tle->resjunk)
			(void) read_order_walker((Node *) tle->expr, &context);
		else
		{
			EXPECT(!found && is_element(level, (Node *) tle->expr), "the select list of a lookup");
			found = true;
		}
	}
	EXPECT(found, "the select list of a lookup");
}

static void
read_lookup(SinkPlan *plan, const SubLink *sublink, const Level *up, int parent)
{
	const Query *query = (const Query *) sublink->subselect;
	Const	   *limit;

	EXPECT(sublink->testexpr == NULL && IsA(query, Query), "a lookup");
	/* parse analysis leaves a cast to bigint there */
	limit = (Const *) eval_const_expressions(NULL, query->limitCount);
	if (sublink->subLinkType == ARRAY_SUBLINK)
		EXPECT(limit == NULL, "LIMIT");
	else
		EXPECT(sublink->subLinkType == EXPR_SUBLINK && limit != NULL && IsA(limit, Const) &&
			   !limit->constisnull && limit->consttype == INT8OID &&
			   DatumGetInt64(limit->constvalue) == 1, "LIMIT");
	read_element(plan, query, up, parent);
}

/* The lateral query: columns of the table, and lookups. */
static void
read_node_columns(SinkPlan *plan, const Level *level)
{
	const Query *query = rt_fetch(level->element, level->query->rtable)->subquery;
	Level		inner = {.up = level, .query = query, .node = -1};
	ListCell   *lc;

	check_clauses(query);
	EXPECT(query->jointree->fromlist == NIL && query->jointree->quals == NULL &&
		   query->limitCount == NULL && query->sortClause == NIL, "an element");
	foreach(lc, query->targetList)
	{
		Node	   *expr = strip((Node *) lfirst_node(TargetEntry, lc)->expr);

		if (IsA(expr, SubLink))
			read_lookup(plan, (SubLink *) expr, &inner, level->node);
		else
		{
			int			node;

			EXPECT(IsA(expr, Var) && ((Var *) expr)->varlevelsup == 1, "a column");
			resolve_var(&inner, (Var *) expr, &node);
			use_attr(plan, node, ((Var *) expr)->varattno);
		}
	}
}

static SinkColumn *
add_column(SinkPlan *plan, const TargetEntry *tle)
{
	SinkColumn *column = &plan->columns[plan->ncolumns++];

	column->name = pstrdup(tle->resname);
	column->type = exprType((Node *) tle->expr);
	column->typmod = exprTypmod((Node *) tle->expr);
	column->collation = exprCollation((Node *) tle->expr);
	return column;
}

static void
add_root_key(SinkPlan *plan, const TargetEntry *tle, const Level *level)
{
	Var		   *var = (Var *) tle->expr;
	KeyedNode  *root = &plan_wide_view(plan)->nodes[0];
	KeySpec    *key = &plan->keys[plan->nkeys];
	SourceUse  *source = plan_source_of(plan, 0);
	SinkColumn *column = add_column(plan, tle);
	TypeCacheEntry *type = lookup_type_cache(column->type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);

	EXPECT(IsA(var, Var) && var->varlevelsup == 0 && var->varno == level->table &&
		   var->varattno > 0, "the key");
	if (!OidIsValid(type->eq_opr) || !OidIsValid(type->lt_opr))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a key of type %s is not supported in a wide view",
						format_type_be(column->type)),
				 errhint("A key needs a type that can be sorted.")));
	key->type = column->type;
	key->typmod = column->typmod;
	key->collation = column->collation;
	key->eqop = type->eq_opr;
	key->sortop = type->lt_opr;
	key->column = plan->nkeys++;

	fill_own_column(&root->related[root->nrelated], source->relid, var->varattno);
	root->related[root->nrelated++].eqop = type->eq_opr;
	use_attr(plan, 0, var->varattno);
	source->identity_attrs = bms_add_member(source->identity_attrs, var->varattno);
}

/*
 * Is the order of the node's rows total?  The definition relied on a key, or
 * else ordered by all columns, and the key may have been dropped since.
 */
static void
check_order(const SinkPlan *plan, int n)
{
	const KeyedNode *node = &plan_wide_view(plan)->nodes[n];
	const SourceUse *source = plan_source_of(plan, n);
	Relation	rel = table_open(source->relid, NoLock);
	bool		total = bms_is_subset(source->used_attrs, node->order_attrs);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, table_keys(rel))
	{
		bool		covered = true;

		foreach(lc2, (List *) lfirst(lc))
			covered = covered && bms_is_member(lfirst_int(lc2), node->order_attrs);
		total |= covered;
	}
	if (!total)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the rows of lookup \"%s\" have no order any more",
						RelationGetRelationName(rel)),
				 errdetail("The wide view orders them by a key that the table has lost."),
				 errhint("Add the primary key again and call freshet.rebuild_sink(), or drop the "
						 "sink.")));
	table_close(rel, NoLock);
}

/* The constraint or index may have been dropped since. */
static void
check_key(const SinkPlan *plan)
{
	Relation	rel = table_open(plan_source_of(plan, 0)->relid, NoLock);
	const KeyedNode *root = &plan_wide_view(plan)->nodes[0];
	ListCell   *lc;

	foreach(lc, table_keys(rel))
	{
		List	   *key = list_copy(lfirst(lc));

		for (int i = 0; i < root->nrelated; i++)
			key = list_delete_int(key, root->related[i].attno);
		if (key == NIL)
			break;
	}
	if (lc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the key of the wide view is not a key of \"%s\" any more",
						RelationGetRelationName(rel)),
				 errhint("Add the primary key again, or drop the sink.")));
	table_close(rel, NoLock);
}

/* The select list of the whole: the root's key, then the document. */
static void
read_root_targets(SinkPlan *plan, const Level *level)
{
	List	   *targets = level->query->targetList;
	int			n = list_length(targets);
	TargetEntry *document = llast_node(TargetEntry, targets);
	FuncExpr   *call = (FuncExpr *) strip((Node *) document->expr);

	EXPECT(n >= 2 && IsA(call, FuncExpr) && call->funcid == F_TO_JSONB &&
		   is_element(level, linitial(call->args)), "the document");
	plan->keys = palloc0(n * sizeof(KeySpec));
	plan->columns = palloc0(n * sizeof(SinkColumn));
	plan_wide_view(plan)->nodes[0].related = palloc0(n * sizeof(RelatedColumn));
	for (int i = 0; i < n; i++)
	{
		TargetEntry *tle = list_nth_node(TargetEntry, targets, i);

		EXPECT(!tle->resjunk, "the select list");
		if (tle != document)
			add_root_key(plan, tle, level);
	}
	(void) add_column(plan, document);
}

/* An element and all inside it; parent is -1 for the root. */
static void
read_element(SinkPlan *plan, const Query *query, const Level *up, int parent)
{
	Level		level = {.up = up, .query = query};

	check_stack_depth();
	check_clauses(query);
	read_from(plan, query, &level, parent);
	if (parent < 0)
	{
		EXPECT(query->jointree->quals == NULL && query->sortClause == NIL &&
			   query->limitCount == NULL, "WHERE, ORDER BY or LIMIT");
		read_root_targets(plan, &level);
		check_key(plan);
	}
	else
	{
		read_conditions(plan, &level);
		read_lookup_targets(plan, &level);
	}
	read_node_columns(plan, &level);
}

SinkPlan *
analyze_wide_view(const Query *query)
{
	SinkPlan   *plan = palloc0(sizeof(SinkPlan));

	plan->shape = SHAPE_WIDE_VIEW;
	/* to_jsonb writes timestamptz in the session's time zone, for instance */
	plan->uses_settings = true;
	read_element(plan, query, NULL, -1);
	for (int i = 1; i < plan_wide_view(plan)->nnodes; i++)
		check_order(plan, i);
	return plan;
}
