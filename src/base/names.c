/*-------------------------------------------------------------------------
 *
 * names.c
 *		Names of objects, and commands that are made of them.
 *
 *-------------------------------------------------------------------------
 */
#include "freshet.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "names.h"
#include "process.h"

void
freshet_object_name(Oid dboid, char *buf)
{
	snprintf(buf, NAMEDATALEN, "%s%u", FRESHET_OBJECT_PREFIX, dboid);
}

Oid
freshet_catalog_relid(const char *name)
{
	Oid			nsp = get_namespace_oid(FRESHET_SCHEMA, true);
	Oid			relid = OidIsValid(nsp) ? get_relname_relid(name, nsp) : InvalidOid;

	/* dropped while a batch was under way: the next one notices */
	if (!OidIsValid(relid) && process_maintains())
		process_retry(ERRCODE_UNDEFINED_TABLE, "extension \"freshet\" has just been dropped");
	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"freshet\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION freshet.")));
	return relid;
}

char *
names_relation(Oid relid)
{
	char	   *name = get_rel_name(relid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid)));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relid)), name);
}

char *
names_operator(Oid opno)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(opno));
	Form_pg_operator form;
	char	   *result;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", opno);
	form = (Form_pg_operator) GETSTRUCT(tuple);
	result = psprintf("OPERATOR(%s.%s)",
					  quote_identifier(get_namespace_name(form->oprnamespace)),
					  NameStr(form->oprname));
	ReleaseSysCache(tuple);
	return result;
}

void
names_run(const char *command)
{
	int			rc;

	SPI_connect();
	rc = SPI_execute(command, false, 0);
	if (rc < 0)
		elog(ERROR, "\"%s\" failed: %s", command, SPI_result_code_string(rc));
	SPI_finish();
}
