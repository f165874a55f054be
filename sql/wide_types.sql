-- Types in documents: every value has the form that to_jsonb gives it
SET timezone = 'Asia/Kolkata';
SET datestyle = 'German, DMY';
SET intervalstyle = 'postgres_verbose';
SET extra_float_digits = 0;
SET client_min_messages = warning;
SET jit = off;
CREATE SCHEMA wtypes;
SET search_path = wtypes, public;

CREATE TYPE mood AS ENUM ('sad', 'ok "quoted"', 'happy');
CREATE TYPE pair AS (a int, b text, c timestamptz);
CREATE TYPE nested AS (p pair, ps pair[], n numeric);
CREATE DOMAIN positive AS numeric CHECK (VALUE > 0);
CREATE DOMAIN doc_domain AS jsonb;
CREATE DOMAIN pair_domain AS pair;
CREATE TYPE span AS RANGE (subtype = float8);
-- a type with a cast to json of its own
CREATE TYPE temperature AS (degrees numeric, unit text);
CREATE FUNCTION temperature_json(temperature) RETURNS json LANGUAGE sql IMMUTABLE
	AS $$ SELECT to_json($1.degrees || ' ' || $1.unit) $$;
CREATE CAST (temperature AS json) WITH FUNCTION temperature_json(temperature);

CREATE TABLE vals (id int PRIMARY KEY, parent int,
	c_bool bool, c_int2 int2, c_int8 int8, c_oid oid, c_float4 float4, c_float8 float8,
	c_numeric numeric, c_numeric2 numeric(12,4), c_money money,
	c_text text, c_varchar varchar(20), c_char char(6), c_name name, c_bytea bytea,
	c_date date, c_time time, c_timetz timetz, c_ts timestamp, c_tstz timestamptz(3), c_interval interval,
	c_json json, c_jsonb jsonb, c_uuid uuid, c_bit bit(4), c_varbit varbit, c_inet inet, c_cidr cidr,
	c_mac macaddr, c_point point, c_box box, c_ts_vector tsvector, c_xml xml, c_lsn pg_lsn, c_xid xid,
	c_int4range int4range, c_tsrange tstzrange, c_multi nummultirange, c_span span,
	c_mood mood, c_pair pair, c_nested nested, c_positive positive, c_doc doc_domain, c_pair_domain pair_domain,
	c_temperature temperature,
	a_int int[], a_int2d int[][], a_text text[], a_numeric numeric[], a_json json[], a_jsonb jsonb[],
	a_pair pair[], a_mood mood[], a_tstz timestamptz[], a_bytea bytea[],
	g_total numeric GENERATED ALWAYS AS (c_numeric * 2) STORED);
CREATE INDEX ON vals (parent);

INSERT INTO vals SELECT i, i / 2 FROM generate_series(1, 6) i;
UPDATE vals SET (c_bool, c_int2, c_int8, c_oid, c_float4, c_float8, c_numeric, c_numeric2, c_money) =
	(true, -3, 9223372036854775807, 4294967295, 0.1, 1e300, 12345678901234567890.123456789000, 1.5, '12.34'),
	(c_text, c_varchar, c_char, c_name, c_bytea) =
	(E'tab\t "quoted" \\ \u00e9 \U0001F600', 'v', 'ch', 'a name', '\x00ff10'),
	(c_date, c_time, c_timetz, c_ts, c_tstz, c_interval) =
	('0044-03-15 BC', '23:59:59.999', '12:00+02', 'infinity', '2024-06-30 23:59:59.1234+00', '1 year -2 days 03:04:05.6'),
	(c_json, c_jsonb, c_uuid, c_bit, c_varbit, c_inet, c_cidr, c_mac) =
	('{"b": 1, "a": [1.0, {"x": null}], "b": 2}', '{"z": [1, "two", 3.00], "a": {}}',
	 '00000000-0000-0000-0000-00000000000a', '0101', '11', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03'),
	(c_point, c_box, c_ts_vector, c_lsn, c_xid) =
	('(1,2)', '(3,4),(1,2)', 'a fat cat', '1/2', '77'),
	(c_int4range, c_tsrange, c_multi, c_span) =
	('[1,5)', '[2024-01-01 00:00+00,)', '{[1.0,2.5),(3,)}', '[0.1,0.2]'),
	(c_mood, c_pair, c_nested, c_positive, c_doc, c_pair_domain, c_temperature) =
	('ok "quoted"', (1, 'x"y', '2024-01-01 00:00+00'),
	 ((2, NULL, NULL)::pair, ARRAY[(3, 'z', NULL)::pair, NULL], 1.10), 0.50, '[1, {"k": "v"}]',
	 (9, 'domain', NULL)::pair, (36.60, 'C')::temperature),
	(a_int, a_int2d, a_text, a_numeric, a_json, a_jsonb) =
	('{1,NULL,3}', '{{1,2},{3,4}}', '{"a,b",NULL,"NULL",""}', '{1.00,NaN}', ARRAY['{"a": 1}'::json, NULL],
	 ARRAY['null'::jsonb, '[]']),
	(a_pair, a_mood, a_tstz, a_bytea) =
	(ARRAY[(1, 'p', NULL)::pair], '{sad,happy}', '{2024-01-01 00:00+00,-infinity}', ARRAY['\xdead'::bytea])
WHERE id IN (1, 3);
UPDATE vals SET c_float4 = 'NaN', c_float8 = '-Infinity', c_numeric = 'NaN', c_ts = '-infinity', c_date = 'infinity',
	a_int = '{}', a_text = '{}', c_json = 'null', c_jsonb = '"str"', c_text = '', c_bytea = '',
	c_pair = (NULL, NULL, NULL), c_int4range = 'empty', c_multi = '{}'
WHERE id = 2;

SELECT freshet.create_wide_view('wv', 'vals', '[
	{"table": "vals", "path": "one", "type": "object", "relation": [["parent", "id"]]},
	{"table": "vals", "path": "many", "type": "array", "relation": [["id", "parent"]]},
	{"table": "vals", "path": "many.deep", "type": "array", "relation": [["many.id", "parent"]]}]', with_data => false);

-- how many values differ, at the top, in an object, and in arrays
DO $$
BEGIN
	EXECUTE format('CREATE VIEW docs AS SELECT * FROM %s',
		(SELECT definition FROM freshet.sink WHERE relid = 'wv'::regclass));
END $$;
CREATE FUNCTION differing(doc jsonb, vals) RETURNS TABLE (key text, here jsonb, expected jsonb) LANGUAGE plpgsql AS $$
BEGIN
	FOR key IN SELECT attname FROM pg_attribute WHERE attrelid = 'vals'::regclass AND attnum > 0 LOOP
		EXECUTE format('SELECT to_jsonb(($1).%I)', key) INTO expected USING $2;
		expected := coalesce(expected, 'null');
		here := doc -> key;
		IF here::text IS DISTINCT FROM expected::text THEN
			RETURN NEXT;
		END IF;
	END LOOP;
END $$;
SELECT 'root' AS place, v.id, d.* FROM vals v JOIN docs USING (id), differing(doc, v) d
UNION ALL
SELECT 'object', v.id, d.* FROM docs JOIN vals v ON v.id = (doc->'parent')::int, differing(doc->'one', v) d
UNION ALL
SELECT 'array', v.id, d.* FROM docs, jsonb_array_elements(doc->'many') e
	JOIN vals v ON v.id = (e->'id')::int, differing(e, v) d
UNION ALL
SELECT 'deep', v.id, d.* FROM docs, jsonb_array_elements(doc->'many') e, jsonb_array_elements(e->'deep') f
	JOIN vals v ON v.id = (f->'id')::int, differing(f, v) d;
SELECT sum(jsonb_array_length(doc->'many')) AS many, count(*) FILTER (WHERE doc->'one' <> 'null') AS one FROM docs;

-- some of them to look at
\a
SELECT e.* FROM docs, jsonb_each(doc) e WHERE id = 1 AND key NOT IN ('one', 'many') ORDER BY key COLLATE "C";
\a

-- numbers are exact, and numeric keeps its scale
SELECT doc->>'c_numeric' AS c_numeric, doc->>'g_total' AS g_total, doc->'many'->0->>'c_numeric' AS inner_one
FROM docs WHERE id = 1;

-- values that are equal but differ tell rows apart that have no key
CREATE TABLE root (id numeric PRIMARY KEY);
CREATE TABLE bag (id numeric, n numeric, p point, i interval);
CREATE INDEX ON bag (id);
INSERT INTO root VALUES (1);
INSERT INTO bag VALUES (1, 1.00, '(1,2)', '24:00'), (1.0, 1.0, '(0,2)', '1 day'), (1.00, 1, '(0,2)', '1 day'), (1, 1, '(0,2)', '24:00');
SELECT freshet.create_wide_view('wv2', 'root', '[
	{"table": "bag", "path": "bag", "type": "array", "relation": [["id", "id"]]},
	{"table": "bag", "path": "first", "type": "object", "relation": [["id", "id"]], "columns": ["n"], "order_by": ["n desc"]}]', with_data => false);
CREATE FUNCTION wv2() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT doc FROM %s', (SELECT definition FROM freshet.sink WHERE relid = 'wv2'::regclass));
END $$;
SELECT jsonb_array_elements(wv2()->'bag'), wv2()->'first';
SELECT wv2()::text AS before \gset
CREATE TABLE copy AS SELECT * FROM bag;
TRUNCATE bag;
INSERT INTO bag SELECT * FROM copy ORDER BY ctid DESC;
SELECT wv2()::text = :'before' AS same_in_another_order;

-- tables of 1,600 columns
DO $$
BEGIN
	EXECUTE (SELECT format('CREATE TABLE broad (c1 int PRIMARY KEY, %s)',
		string_agg(format('c%s int', i), ', ')) FROM generate_series(2, 1590) i);
END $$;
INSERT INTO broad (c1, c2, c800, c1590) VALUES (1, 2, 800, 1590);
SELECT freshet.create_wide_view('wv3', 'broad', '[
	{"table": "broad", "path": "again", "type": "array", "relation": [["c1", "c1"]]}]', with_data => false);
CREATE FUNCTION wv3() RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT doc FROM %s', (SELECT definition FROM freshet.sink WHERE relid = 'wv3'::regclass));
END $$;
SELECT doc - 'again' = to_jsonb(b) AS top, doc->'again' = jsonb_build_array(to_jsonb(b)) AS again
FROM broad b, wv3() doc;

DROP SCHEMA wtypes CASCADE;
