-- The change stream: values as JSON
\pset format unaligned
\set VERBOSITY terse
SELECT slot_name FROM pg_create_logical_replication_slot('regress_freshet_types', 'freshet');
CREATE SCHEMA st;
SET search_path = st, public;
CREATE TYPE mood AS ENUM ('sad', 'ok "quoted"');
CREATE TYPE pair AS (x int, "Y y" text);
CREATE TYPE nested AS (p pair, ps pair[], t timestamptz);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE DOMAIN positives AS positive[];
-- settings of the consumer's session must not matter
SET datestyle = 'German, DMY';
SET timezone = 'Asia/Tokyo';
SET intervalstyle = 'sql_standard';
SET extra_float_digits = -10;
SET bytea_output = 'escape';

CREATE TABLE st_numbers (id int PRIMARY KEY, i2 smallint, i4 integer, i8 bigint, n numeric, n2 numeric(30,10),
	f4 real, f8 double precision, m money, o oid);
INSERT INTO st_numbers VALUES
	(1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
	(2, -32768, -2147483648, -9223372036854775808, -0.00000000000000000000000000000000000001, -1.5, -0.0, '-0', -1234.5, 4294967295),
	(3, 32767, 2147483647, 9223372036854775807, 123456789012345678901234567890.12345678901234567890, 9007199254740993, 0.1, 0.1, 1234567.89, 1),
	(4, 9, 10, 99, 1e100, 99, 1e38, 1e300, NULL, NULL),
	(5, 100, 101, 12345678901234567, 1.10, 1.1, 1.17549435e-38, 5e-324, NULL, NULL),
	(6, NULL, NULL, NULL, 'NaN', NULL, 'NaN', 'NaN', NULL, NULL),
	(7, NULL, NULL, NULL, 'Infinity', NULL, 'Infinity', 'Infinity', NULL, NULL),
	(8, NULL, NULL, NULL, '-Infinity', NULL, '-Infinity', '-Infinity', NULL, NULL);

CREATE TABLE st_strings (id int PRIMARY KEY, b boolean, t text, v varchar(50), c char(5), n name, ch "char", u uuid, by bytea, e mood);
INSERT INTO st_strings VALUES
	(1, true, '', '', '', '', '', '00000000-0000-0000-0000-000000000000', '', 'sad'),
	(2, false, E'quote " backslash \\ slash / tab \t newline \n return \r bell \u0007 back \b form \f delete \u007f',
		'äöü €𝄞 日本', 'ab', 'a"b', 'x', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '\x00017f80ff5c22', 'ok "quoted"'),
	(3, NULL, E'12345678\u000112345678', E'1234567\n', NULL, NULL, '"', NULL, NULL, NULL),
	(4, NULL, repeat('0123456789abcdef', 4) || '"' || repeat('x', 9) || E'\\' || repeat('ä', 3), NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- every character below a space, at every place of a word of eight bytes
CREATE TABLE escapes (id int PRIMARY KEY, t text);
INSERT INTO escapes SELECT i * 10 + p, repeat('a', p) || chr(i) || repeat('b', 8)
	FROM generate_series(1, 127) i, generate_series(0, 9) p;

CREATE TABLE st_times (id int PRIMARY KEY, d date, t time, tz timetz, ts timestamp, tstz timestamptz, i interval);
INSERT INTO st_times VALUES
	(1, '01.01.2000', '00:00', '00:00+00', '01.01.2000 00:00', '01.01.2000 00:00+00', '0'),
	(2, '31.12.9999', '23:59:59.999999', '12:30:00.5+05:30', '31.12.9999 23:59:59.999999', '31.12.9999 23:59:59.999999+00', '1 year 2 mons -3 days 04:05:06.789'),
	(3, '01.01.10000', '24:00', '00:00-15:59:59', '01.01.10000 00:00', '01.01.10000 00:00+00', '-1 year'),
	(4, 'infinity', NULL, NULL, 'infinity', 'infinity', '1.000001 s'),
	(5, '-infinity', NULL, NULL, '-infinity', '-infinity', '-00:00:00.1'),
	(6, '15.03.0044 BC', NULL, NULL, '15.03.0044 12:00 BC', '15.03.0044 12:00+00 BC', '1000000 days'),
	(7, '31.12.1999', '01:02:03.1', NULL, '31.12.1999 23:59:59.000001', '29.02.2024 00:00:00.1+14', NULL),
	(8, '24.11.4714 BC', NULL, NULL, '24.11.4714 00:00 BC', '24.11.4714 00:00+00 BC', NULL),
	(9, '01.01.0001', NULL, NULL, '01.01.0001 00:00:00.000001', '31.12.0001 23:59:59.999999+00 BC', NULL);

CREATE TABLE st_json (id int PRIMARY KEY, j json, jb jsonb, x xml);
INSERT INTO st_json VALUES
	(1, E'{"b": 1,\r\n\t"a": [1.10, 1e2, "x\\n\\u00e4"],\n"b": 2}', '{"b": 12345678901234567890.10, "a": [1, null, {"c": "\n"}]}', '<a b="c"/>'),
	(2, '"text"', '"text"', NULL), (3, ' 1 ', '1.50', NULL), (4, 'null', 'null', NULL), (5, NULL, NULL, NULL), (6, '[]', '{}', NULL);

CREATE TABLE st_nested (id int PRIMARY KEY, a int[], a2 text[][], p pair, n nested, ps pair[], r int4range, tr tstzrange, mr int4multirange,
	d positive, ds positives, ea mood[], ja jsonb[], na numeric[], h int2vector);
INSERT INTO st_nested VALUES
	(1, '{}', '{}', NULL, NULL, '{}', 'empty', NULL, '{}', 1, '{}', '{}', '{}', '{}', ''),
	(2, '{1,NULL,3}', '{{a,"b,\"c\""},{NULL,""}}', '(1,"a""b")', ROW(ROW(1, NULL), ARRAY[ROW(2, 'x'), NULL]::pair[], '2026-01-01 00:00+09'),
		'{"(1,a)",NULL}', '[1,5)', '[2026-01-01 00:00+00,)', '{[1,3),[7,9)}', 2, '{1,2}', '{sad,"ok \"quoted\""}',
		ARRAY['{"a":1}', '2', 'null']::jsonb[], '{NaN,1.10}', '1 2'),
	(3, '[5:6]={1,2}', '[0:0][3:4]={{x,y}}', '(,)', ROW(NULL, NULL, NULL), NULL, '(,)', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- a row type that changes
ALTER TYPE pair ADD ATTRIBUTE z boolean;
INSERT INTO st_nested (id, p) VALUES (4, '(1,a,t)');
ALTER TYPE pair DROP ATTRIBUTE "Y y";
INSERT INTO st_nested (id, p) VALUES (5, '(1,f)');
-- columns that go, come, and are computed
CREATE TABLE st_columns (id int PRIMARY KEY, gone int, g int GENERATED ALWAYS AS (id * 2) STORED);
INSERT INTO st_columns VALUES (1, 1);
ALTER TABLE st_columns DROP COLUMN gone;
ALTER TABLE st_columns ADD COLUMN "new ""one""" text DEFAULT 'd';
INSERT INTO st_columns VALUES (2);
ALTER TABLE st_columns RENAME COLUMN id TO "ID";
INSERT INTO st_columns VALUES (3);
CREATE TABLE "St ""Table""" (a int);
INSERT INTO "St ""Table""" VALUES (1);
CREATE TABLE st_none ();
INSERT INTO st_none DEFAULT VALUES;

-- escapes: the text is what was inserted
SELECT count(*), count(*) FILTER (WHERE l.line::jsonb #>> '{after,t}' = e.t) AS same
FROM (SELECT data AS line FROM pg_logical_slot_peek_changes('regress_freshet_types', NULL, NULL, 'tables', 'st.escapes')) l
	JOIN escapes e ON e.id = (l.line::jsonb #>> '{after,id}')::int;
SELECT stream_lines('regress_freshet_types', 'tables', 'st.st_*,st.St*');
SHOW datestyle;
SHOW timezone;
SHOW extra_float_digits;
SELECT '\x00'::bytea;
SET client_min_messages = warning;
DROP SCHEMA st CASCADE;
SELECT pg_drop_replication_slot('regress_freshet_types');
