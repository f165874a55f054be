/*-------------------------------------------------------------------------
 *
 * compat.h
 *		The differences between PostgreSQL 15, 16, 17 and 18, in one place.
 *
 * Macros, so that a file that does not use one need not include what it
 * stands for.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FRESHET_COMPAT_H
#define FRESHET_COMPAT_H

#if PG_VERSION_NUM < 150000 || PG_VERSION_NUM >= 190000
#error "freshet needs PostgreSQL 15, 16, 17 or 18"
#endif

/* 17: tuples of a decoded change are no longer wrapped in a buffer */
#if PG_VERSION_NUM >= 170000
#define freshet_change_old_tuple(change)	((change)->data.tp.oldtuple)
#define freshet_change_new_tuple(change)	((change)->data.tp.newtuple)
#else
#define freshet_change_old_tuple(change) \
	((change)->data.tp.oldtuple ? &(change)->data.tp.oldtuple->tuple : NULL)
#define freshet_change_new_tuple(change) \
	((change)->data.tp.newtuple ? &(change)->data.tp.newtuple->tuple : NULL)
#endif

#define freshet_commit_time(txn)	((txn)->xact_time.commit_time)

/* 17: failover and synced slots; 18: acquiring may fail on invalid slots */
#if PG_VERSION_NUM >= 170000
#define freshet_create_slot(name) \
	ReplicationSlotCreate(name, true, RS_EPHEMERAL, false, false, false)
#else
#define freshet_create_slot(name) \
	ReplicationSlotCreate(name, true, RS_EPHEMERAL, false)
#endif
#if PG_VERSION_NUM >= 180000
#define freshet_acquire_slot(name)	ReplicationSlotAcquire(name, true, true)
#else
#define freshet_acquire_slot(name)	ReplicationSlotAcquire(name, true)
#endif

/* 16: what a file is named by */
#if PG_VERSION_NUM >= 160000
#define freshet_create_database(record)	((record)->rlocator.dbOid)
#define freshet_create_filenode(record)	((record)->rlocator.relNumber)
#else
#define freshet_create_database(record)	((record)->rnode.dbNode)
#define freshet_create_filenode(record)	((record)->rnode.relNode)
#endif

/* 16: an origin can be shared with parallel workers */
#if PG_VERSION_NUM >= 160000
#define freshet_origin_session_setup(id)	replorigin_session_setup(id, 0)
#else
#define freshet_origin_session_setup(id)	replorigin_session_setup(id)
#endif

/* 18: index scans are instrumented */
#if PG_VERSION_NUM >= 180000
#define freshet_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define freshet_index_beginscan(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/*
 * An executor state with one relation, for ExecSimpleRelation*().  16: the
 * permissions are apart from the range table; 18: so are the relations that
 * are left after pruning.
 */
#define freshet_make_rte(rte, rel) \
	do { \
		(rte)->rtekind = RTE_RELATION; \
		(rte)->relid = RelationGetRelid(rel); \
		(rte)->relkind = (rel)->rd_rel->relkind; \
		(rte)->rellockmode = AccessShareLock; \
	} while (0)

#if PG_VERSION_NUM >= 180000
#define freshet_init_range_table(estate, rte) \
	do { \
		List	   *perminfos_ = NIL; \
		addRTEPermissionInfo(&perminfos_, rte); \
		ExecInitRangeTable(estate, list_make1(rte), perminfos_, bms_make_singleton(1)); \
	} while (0)
#elif PG_VERSION_NUM >= 160000
#define freshet_init_range_table(estate, rte) \
	do { \
		List	   *perminfos_ = NIL; \
		addRTEPermissionInfo(&perminfos_, rte); \
		ExecInitRangeTable(estate, list_make1(rte), perminfos_); \
	} while (0)
#else
#define freshet_init_range_table(estate, rte) \
	ExecInitRangeTable(estate, list_make1(rte))
#endif

#define freshet_init_result_relation(estate, rri, rel) \
	do { \
		RangeTblEntry *rte_ = makeNode(RangeTblEntry); \
		freshet_make_rte(rte_, rel); \
		freshet_init_range_table(estate, rte_); \
		InitResultRelInfo(rri, rel, 1, NULL, 0); \
	} while (0)

/* 16: result relations of a query that rechecks rows */
#if PG_VERSION_NUM >= 160000
#define freshet_eval_plan_qual_init(epqstate, estate) \
	EvalPlanQualInit(epqstate, estate, NULL, NIL, -1, NIL)
#else
#define freshet_eval_plan_qual_init(epqstate, estate) \
	EvalPlanQualInit(epqstate, estate, NULL, NIL, -1)
#endif

/* 16: the number of a relation's file; what heap_update() tells of indexes */
#if PG_VERSION_NUM >= 160000
#define freshet_relation_file(rel)	((rel)->rd_locator.relNumber)
#define freshet_simple_heap_update(rel, tid, tuple) \
	do { \
		TU_UpdateIndexes which_; \
		simple_heap_update(rel, tid, tuple, &which_); \
	} while (0)
#define freshet_define_index(relid, stmt) \
	DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, -1, false, false, true, \
				false, true)
#else
#define freshet_relation_file(rel)	((rel)->rd_node.relNode)
#define freshet_simple_heap_update(rel, tid, tuple)	simple_heap_update(rel, tid, tuple)
#define freshet_define_index(relid, stmt) \
	DefineIndex(relid, stmt, InvalidOid, InvalidOid, InvalidOid, false, false, true, false, \
				true)
#endif

/* 16: the columns that a query reads of an entry, as the executor checks rights on them */
#if PG_VERSION_NUM >= 160000
#define freshet_selected_columns(query, rte) \
	(getRTEPermissionInfo((query)->rteperminfos, rte)->selectedCols)
#else
#define freshet_selected_columns(query, rte)	((rte)->selectedCols)
#endif

/* The same, to be set for an entry that is new to the query or reads something else. */
#if PG_VERSION_NUM >= 160000
#define freshet_set_selected_columns(query, rte, columns) \
	do { \
		RTEPermissionInfo *perminfo_ = (rte)->perminfoindex == 0 ? \
			addRTEPermissionInfo(&(query)->rteperminfos, rte) : \
			list_nth_node(RTEPermissionInfo, (query)->rteperminfos, (rte)->perminfoindex - 1); \
		perminfo_->relid = (rte)->relid; \
		perminfo_->inh = (rte)->inh; \
		perminfo_->requiredPerms = ACL_SELECT; \
		perminfo_->selectedCols = (columns); \
	} while (0)
#define freshet_set_entry_relid(query, rte, oid) \
	do { \
		(rte)->relid = (oid); \
		list_nth_node(RTEPermissionInfo, (query)->rteperminfos, \
					  (rte)->perminfoindex - 1)->relid = (oid); \
	} while (0)
#else
#define freshet_set_selected_columns(query, rte, columns) \
	((rte)->requiredPerms = ACL_SELECT, (rte)->selectedCols = (columns))
#define freshet_set_entry_relid(query, rte, oid)	((rte)->relid = (oid))
#endif

/* 17: a message can be flushed at once */
#if PG_VERSION_NUM >= 170000
#define freshet_log_message(prefix, data, len) \
	LogLogicalMessage(prefix, data, len, true, false)
#else
#define freshet_log_message(prefix, data, len)	LogLogicalMessage(prefix, data, len, true)
#endif

/* 18: a query descriptor can be run more than once */
#if PG_VERSION_NUM >= 180000
#define freshet_executor_run(desc)	ExecutorRun(desc, ForwardScanDirection, 0)
#else
#define freshet_executor_run(desc)	ExecutorRun(desc, ForwardScanDirection, 0, true)
#endif

/* Room for a caller's own data before the tuple came with 18. */
#if PG_VERSION_NUM >= 180000
#define freshet_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls, 0)
#else
#define freshet_form_minimal_tuple(desc, values, nulls) \
	heap_form_minimal_tuple(desc, values, nulls)
#endif

/* 18: a hash entry's additional data is allocated with it */
#if PG_VERSION_NUM >= 180000
#define freshet_build_hash_table(desc, ops, ncols, cols, eqfuncs, hashfuncs, collations, \
								 nbuckets, additional, metacxt, tablecxt, tempcxt) \
	BuildTupleHashTable(NULL, desc, ops, ncols, cols, eqfuncs, hashfuncs, collations, \
						nbuckets, additional, metacxt, tablecxt, tempcxt, false)
#define freshet_hash_additional(table, entry, size, context) \
	TupleHashEntryGetAdditional(table, entry)
#define freshet_hash_tuple(entry)	TupleHashEntryGetTuple(entry)
#else
#define freshet_build_hash_table(desc, ops, ncols, cols, eqfuncs, hashfuncs, collations, \
								 nbuckets, additional, metacxt, tablecxt, tempcxt) \
	BuildTupleHashTableExt(NULL, desc, ncols, cols, eqfuncs, hashfuncs, collations, \
						   nbuckets, additional, metacxt, tablecxt, tempcxt, false)
#define freshet_hash_additional(table, entry, size, context) \
	((entry)->additional != NULL ? (entry)->additional : \
	 ((entry)->additional = MemoryContextAllocZero(context, size)))
#define freshet_hash_tuple(entry)	((entry)->firstTuple)
#endif

/* 16: one function for the ownership of all classes of objects */
#if PG_VERSION_NUM >= 160000
#define freshet_owns_relation(relid, userid) \
	object_ownercheck(RelationRelationId, relid, userid)
#define freshet_owns_database(dboid, userid) \
	object_ownercheck(DatabaseRelationId, dboid, userid)
#define freshet_owns_extension(extoid, userid) \
	object_ownercheck(ExtensionRelationId, extoid, userid)
#else
#define freshet_owns_relation(relid, userid)	pg_class_ownercheck(relid, userid)
#define freshet_owns_database(dboid, userid)	pg_database_ownercheck(dboid, userid)
#define freshet_owns_extension(extoid, userid)	pg_extension_ownercheck(extoid, userid)
#endif

/* 16: more about an error in a date */
#if PG_VERSION_NUM >= 160000
#define freshet_decode_time_only(fields, types, n, dtype, tm, fsec, tz) \
	DecodeTimeOnly(fields, types, n, dtype, tm, fsec, tz, &(DateTimeErrorExtra) {0})
#else
#define freshet_decode_time_only(fields, types, n, dtype, tm, fsec, tz) \
	DecodeTimeOnly(fields, types, n, dtype, tm, fsec, tz)
#endif

/* 17: a lexer can be given */
#if PG_VERSION_NUM >= 170000
#define freshet_json_lexer(data, len) \
	makeJsonLexContextCstringLen(NULL, data, len, GetDatabaseEncoding(), false)
#else
#define freshet_json_lexer(data, len) \
	makeJsonLexContextCstringLen(unconstify(char *, data), len, GetDatabaseEncoding(), false)
#endif

#endif							/* FRESHET_COMPAT_H */
