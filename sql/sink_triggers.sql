-- Triggers and constraints that an owner puts on a sink, of every shape
\set VERBOSITY terse
CREATE SCHEMA trg;
CREATE TABLE trg.source (id int PRIMARY KEY, k int, v int);
CREATE TABLE trg.child (id int PRIMARY KEY, source_id int REFERENCES trg.source ON DELETE CASCADE, name text);
CREATE INDEX ON trg.child (source_id);
ALTER TABLE trg.source REPLICA IDENTITY FULL;
ALTER TABLE trg.child REPLICA IDENTITY FULL;
SELECT freshet.create_sink('trg.rollup', 'SELECT k, count(*) AS n, sum(v) AS s FROM trg.source GROUP BY k');
SELECT freshet.create_sink('trg.total', 'SELECT count(*) AS n, max(v) AS m FROM trg.source');
SELECT freshet.create_sink('trg.copy', 'SELECT id, v FROM trg.source WHERE v > 0');
SELECT freshet.create_wide_view('trg.wide', 'trg.source', '[{"table": "trg.child", "path": "c", "type": "array", "relation": [["id", "source_id"]], "columns": ["name"]}]');
SELECT freshet.create_sink('trg.above', 'SELECT sum(n) AS n FROM trg.rollup');
CREATE FUNCTION trg_check() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT s::text || ': ' || check_sink(s) FROM unnest('{trg.rollup, trg.total, trg.copy, trg.wide, trg.above}'::regclass[]) s
$$;
SELECT trg_check();

-- The triggers see what becomes of each row.  They cannot write: they send it out.
CREATE FUNCTION trg.note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pg_logical_emit_message(true, 'trg', concat_ws(' ', TG_NAME, TG_WHEN, lower(TG_OP), TG_TABLE_NAME));
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	RETURN NEW;
END
$$;
CREATE PROCEDURE trg.put(sink regclass) LANGUAGE plpgsql AS $$
BEGIN
	-- enabled always, for replicas, as usual (which a subscriber does not fire), and not at all
	EXECUTE format('CREATE TRIGGER before_always BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE TRIGGER always AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE TRIGGER replica AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE TRIGGER usual AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE TRIGGER statement AFTER INSERT OR UPDATE OR DELETE ON %s EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE TRIGGER transition AFTER UPDATE ON %s REFERENCING OLD TABLE AS o NEW TABLE AS n EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE OR DELETE ON %s DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg.note()', sink);
	EXECUTE format('ALTER TABLE %1$s ENABLE ALWAYS TRIGGER before_always, ENABLE ALWAYS TRIGGER always, ENABLE REPLICA TRIGGER replica, ENABLE ALWAYS TRIGGER statement, ENABLE ALWAYS TRIGGER transition, ENABLE ALWAYS TRIGGER deferred', sink);
END
$$;
CALL trg.put('trg.rollup');
CALL trg.put('trg.total');
CALL trg.put('trg.copy');
CALL trg.put('trg.wide');
SELECT trg_check();
SELECT pg_create_logical_replication_slot('regress_freshet_trg', 'test_decoding') IS NOT NULL AS made;
CREATE FUNCTION trg_fired() RETURNS TABLE (fired text, times bigint) LANGUAGE sql AS $$
	SELECT substring(data from 'content:(.*)'), count(*)
	FROM pg_logical_slot_get_changes('regress_freshet_trg', NULL, NULL) WHERE data ~ 'prefix: trg' GROUP BY 1
$$;
INSERT INTO trg.source VALUES (1, 1, 10), (2, 1, 20), (3, 2, 30);
SELECT trg_check();
SELECT * FROM trg_fired() ORDER BY fired COLLATE "C";
UPDATE trg.source SET v = v + 1 WHERE id = 3;
INSERT INTO trg.child VALUES (1, 1, 'a');
SELECT trg_check();
SELECT * FROM trg_fired() ORDER BY fired COLLATE "C";
DELETE FROM trg.source WHERE id IN (1, 2);
SELECT trg_check();
SELECT * FROM trg_fired() ORDER BY fired COLLATE "C";
TRUNCATE trg.source CASCADE;
INSERT INTO trg.source SELECT i, i % 5, i FROM generate_series(1, 100) i;
SELECT freshet.rebuild_sink(s) FROM unnest('{trg.rollup, trg.total, trg.copy, trg.wide}'::regclass[]) s;
SELECT trg_check();
SELECT pg_drop_replication_slot('regress_freshet_trg');

-- A deferred check sees the sink as its batch leaves it, and is on time
CREATE FUNCTION trg.in_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF (SELECT sum(s) FROM trg.rollup) % 2 <> 0 THEN
		RAISE EXCEPTION 'the sum is odd';
	END IF;
	RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER balance AFTER INSERT OR UPDATE ON trg.rollup DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg.in_balance();
ALTER TABLE trg.rollup ENABLE ALWAYS TRIGGER balance;
UPDATE trg.source SET v = v + 1 WHERE id IN (1, 2);
SELECT check_sink('trg.rollup');
UPDATE trg.source SET v = v + 1 WHERE id = 3;
SELECT sink_state('trg.rollup');
DROP TRIGGER balance ON trg.rollup;
SELECT freshet.rebuild_sink('trg.rollup');
SELECT trg_check();

-- A BEFORE trigger may set a column of its own, not the rows
ALTER TABLE trg.copy ADD note text;
CREATE FUNCTION trg.change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF coalesce(NEW.v, OLD.v) = 1001 THEN RETURN NULL; END IF;
	IF NEW.v = 1002 THEN NEW.v := 0; END IF;
	IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
	NEW.note := 'v is ' || NEW.v;
	RETURN NEW;
END
$$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE OR DELETE ON trg.copy FOR EACH ROW EXECUTE FUNCTION trg.change();
ALTER TABLE trg.copy ENABLE ALWAYS TRIGGER change;
INSERT INTO trg.source VALUES (1000, 1, 1000);
SELECT check_sink('trg.copy');
SELECT * FROM trg.copy WHERE id = 1000;
UPDATE trg.source SET v = 1003 WHERE id = 1000;
SELECT check_sink('trg.copy');
SELECT * FROM trg.copy WHERE id = 1000;
\set VERBOSITY default
INSERT INTO trg.source VALUES (1001, 1, 1001);
SELECT sink_state('trg.copy');
DELETE FROM trg.source WHERE id = 1001;
SELECT freshet.rebuild_sink('trg.copy');
SELECT check_sink('trg.copy');
UPDATE trg.source SET v = 1001 WHERE id = 1000;
SELECT sink_state('trg.copy');
UPDATE trg.source SET v = 1002 WHERE id = 1000;
SELECT freshet.rebuild_sink('trg.copy');
SELECT sink_state('trg.copy');
UPDATE trg.source SET v = 1003 WHERE id = 1000;
ALTER TABLE trg.copy DISABLE TRIGGER change;
SELECT freshet.rebuild_sink('trg.copy');
UPDATE trg.source SET v = 1001 WHERE id = 1000;
SELECT check_sink('trg.copy');
ALTER TABLE trg.copy ENABLE ALWAYS TRIGGER change;
DELETE FROM trg.source WHERE id = 1000;
SELECT sink_state('trg.copy');
\set VERBOSITY terse
DROP TRIGGER change ON trg.copy;
SELECT freshet.rebuild_sink('trg.copy');
SELECT trg_check();
-- a row-level trigger with a transition table has none, as on a subscriber
CREATE FUNCTION trg.transition() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM count(*) FROM n;
	RETURN NULL;
END
$$;
CREATE TRIGGER t AFTER UPDATE ON trg.total REFERENCING NEW TABLE AS n FOR EACH ROW EXECUTE FUNCTION trg.transition();
ALTER TABLE trg.total ENABLE ALWAYS TRIGGER t;
INSERT INTO trg.source VALUES (2000, 1, 2000);
SELECT sink_state('trg.total');
DROP TRIGGER t ON trg.total;
SELECT freshet.rebuild_sink('trg.total');
SELECT trg_check();

SET client_min_messages = warning;
DROP FUNCTION trg_check, trg_fired;
DROP SCHEMA trg CASCADE;
SELECT check_sink('kept');
