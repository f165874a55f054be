-- The views
SET timezone = 'UTC';
\set VERBOSITY terse
\d freshet.status
\d freshet.progress
\d freshet.worker
CREATE TABLE st_source (id int PRIMARY KEY, g int);
SELECT freshet.create_sink('st_sum', 'SELECT g, count(*) FROM st_source GROUP BY g');
SELECT freshet.create_sink('st_copy', 'SELECT id FROM st_source', with_data => false);
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT sink, kind, strategy, state, rows, changes, changes_per_second >= 0 AS cps, delay >= '0' AS delay, applied_lsn IS NOT NULL AS lsn, error
FROM freshet.status WHERE sink::text LIKE 'st\_%' ORDER BY sink;
INSERT INTO st_source SELECT i, i % 4 FROM generate_series(1, 100) i;
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT sink, state, rows, changes, delay < '30 s' AS delay FROM freshet.status WHERE sink = 'st_sum'::regclass;
UPDATE st_source SET g = 10 WHERE id <= 50;
DELETE FROM st_source WHERE id > 90;
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT sink, state, rows, changes, changes_per_second > 0 AS cps FROM freshet.status WHERE sink = 'st_sum'::regclass;
SELECT rows = (SELECT count(*) FROM st_sum) AS exact FROM freshet.status WHERE sink = 'st_sum'::regclass;
TRUNCATE st_source;
INSERT INTO st_source VALUES (1, 1);
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT rows FROM freshet.status WHERE sink = 'st_sum'::regclass;
-- a rebuild writes what differs
SELECT freshet.rebuild_sink('st_sum');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT rows, state FROM freshet.status WHERE sink = 'st_sum'::regclass;
SELECT freshet.resume_sink('st_copy');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT rows, state, changes FROM freshet.status WHERE sink = 'st_copy'::regclass;
SELECT freshet.pause_sink('st_copy');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT rows, state, delay FROM freshet.status WHERE sink = 'st_copy'::regclass;
SELECT count(*) FROM freshet.progress;
SELECT pid > 0 AS pid, state IN ('idle', 'batch') AS state, slot_name LIKE 'freshet\_%' AS slot, applied_lsn IS NOT NULL AS lsn,
	held_back, batches > 0 AS batches, changes > 0 AS changes, wal_lag_bytes >= 0 AS lag FROM freshet.worker;
SELECT slot_name = (SELECT slot_name FROM freshet.worker) AS own, plugin, slot_type, active, temporary FROM pg_replication_slots WHERE database = current_database();
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'freshet%';
-- every object has a comment
SELECT pg_describe_object(classid, objid, 0) FROM pg_depend d
WHERE refclassid = 'pg_extension'::regclass AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'freshet') AND deptype = 'e'
	AND obj_description(objid, classid::regclass::name) IS NULL AND classid <> 'pg_type'::regclass
ORDER BY 1;
-- a dropped sink is gone from all
SELECT freshet.drop_sink('st_copy'), freshet.drop_sink('st_sum');
SELECT freshet.wait() IS NOT NULL AS waited;
SELECT count(*) FROM freshet.status WHERE sink::text NOT IN ('kept');
SELECT count(*) FROM freshet.sink_state s WHERE NOT EXISTS (SELECT FROM freshet.sink k WHERE k.relid = s.relid);
DROP TABLE st_source;
-- settings have units and descriptions
SELECT name, unit, context, short_desc FROM pg_settings WHERE name LIKE 'freshet.%' ORDER BY name;
SET freshet.no_such_setting = 1;
