-- the functions on sinks: pause, resume, rebuild, verify, wait; rights
CREATE TABLE api_source (id int PRIMARY KEY, v int);
ALTER TABLE api_source REPLICA IDENTITY FULL;
INSERT INTO api_source VALUES (1, 1), (2, 2);
SELECT freshet.create_sink('api_sum', 'SELECT v, sum(10 / v) AS s FROM api_source GROUP BY v');
SELECT freshet.create_sink('api_count', 'SELECT count(*) AS n FROM api_source');
SELECT freshet.wait('api_sum', '1 minute') IS NOT NULL AS live;
SELECT freshet.wait('api_count', '1 minute') IS NOT NULL AS live;

-- what is not a sink
SELECT freshet.pause_sink('api_source');
SELECT freshet.verify_sink('api_source');
SELECT freshet.drop_sink('api_source');
SELECT freshet.wait('api_source', '1 s');

-- pause and resume
SELECT freshet.pause_sink('api_sum');
SELECT freshet.wait() IS NOT NULL AS fresh;
INSERT INTO api_source VALUES (3, 2);
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT v, s FROM api_sum ORDER BY v;
SELECT n FROM api_count;
SELECT sink, state FROM freshet.status WHERE sink <> 'kept'::regclass ORDER BY sink::text;
SELECT freshet.verify_sink('api_sum');
SELECT freshet.wait('api_sum', '1 s');
SELECT freshet.resume_sink('api_sum');
SELECT freshet.wait('api_sum', '1 minute') IS NOT NULL AS live;
SELECT v, s FROM api_sum ORDER BY v;

-- one sink fails, the other does not notice; rebuild heals
INSERT INTO api_source VALUES (4, 0);
SELECT freshet.wait() IS NOT NULL AS fresh;
SELECT sink, state, error FROM freshet.status WHERE sink <> 'kept'::regclass ORDER BY sink::text;
SELECT freshet.verify_sink('api_sum');
SELECT freshet.wait('api_sum', '1 s');
SELECT freshet.verify_sink('api_count');
DELETE FROM api_source WHERE v = 0;
SELECT freshet.rebuild_sink('api_sum');
SELECT freshet.wait('api_sum', '1 minute') IS NOT NULL AS live;
SELECT freshet.verify_sink('api_sum');

-- verify finds what is wrong, rebuild mends it
CALL spoil_sink('api_sum', 'DELETE FROM api_sum WHERE v = 1', 'UPDATE api_sum SET s = s + 1 WHERE v = 2',
	'INSERT INTO api_sum VALUES (NULL, NULL), (5, 5)');
SELECT freshet.verify_sink('api_sum');
SELECT freshet.rebuild_sink('api_sum');
SELECT freshet.wait('api_sum', '1 minute') IS NOT NULL AS live;
SELECT freshet.verify_sink('api_sum');

-- what the session has not committed does not count, nor do old snapshots
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM api_source;
INSERT INTO api_source VALUES (7, 7);
DELETE FROM api_source WHERE id = 1;
SELECT freshet.verify_sink('api_sum'), freshet.verify_sink('api_count');
ROLLBACK;

-- a sink that cannot be computed any more because its owner changed it
ALTER TABLE api_count ADD CONSTRAINT few CHECK (n < 3) NOT VALID;
INSERT INTO api_source VALUES (50, 1);
SELECT freshet.rebuild_sink('api_count');
SELECT freshet.wait('api_count', '1 minute');
DELETE FROM api_source WHERE id = 50;
SELECT freshet.drop_sink('api_count');

-- rights
CREATE ROLE regress_freshet_joe;
CREATE SCHEMA api_joe AUTHORIZATION regress_freshet_joe;
SET ROLE regress_freshet_joe;
SELECT freshet.create_sink('api_joe.j', 'SELECT count(*) AS n FROM api_source');
RESET ROLE;
CREATE TABLE api_plain (id int PRIMARY KEY, v int);
GRANT SELECT ON api_source, api_plain TO regress_freshet_joe;
SET ROLE regress_freshet_joe;
SELECT freshet.create_sink('api_joe.j', 'SELECT v, count(*) AS n FROM api_plain GROUP BY v');
SELECT freshet.create_sink('api_joe.j', 'SELECT v, count(*) AS n FROM api_source GROUP BY v');
SELECT freshet.wait('api_joe.j', '1 minute') IS NOT NULL AS live;
SELECT freshet.verify_sink('api_joe.j');
SELECT freshet.pause_sink('api_sum');
SELECT freshet.rebuild_sink('api_sum');
SELECT freshet.verify_sink('api_sum');
SELECT freshet.drop_sink('api_sum');
SELECT sink, state FROM freshet.status WHERE sink <> 'kept'::regclass ORDER BY sink::text;
SELECT * FROM freshet.sink;
SELECT freshet.drop_sink('api_joe.j');
RESET ROLE;
DROP SCHEMA api_joe;
DROP TABLE api_plain;
REVOKE ALL ON api_source FROM regress_freshet_joe;
DROP ROLE regress_freshet_joe;

SET client_min_messages = warning;
DROP TABLE api_source CASCADE;
RESET client_min_messages;
SELECT count(*) FROM freshet.sink WHERE relid <> 'kept'::regclass;

-- without sinks there is nothing to wait for
SELECT freshet.wait('1 s') IS NOT NULL AS fresh;
