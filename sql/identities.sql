-- REPLICA IDENTITY FULL that freshet has set is set back when no sink needs it
-- any more, unless somebody has changed it since.
SET client_min_messages = warning;

-- wait until the replica identity of each table is the letter beside its name
CREATE FUNCTION identities(tables text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	result text[];
	started timestamptz := clock_timestamp();
BEGIN
	LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT array_agg(format('%s %s', c.oid::regclass, c.relreplident) ORDER BY t.n) INTO result
		FROM unnest(tables) WITH ORDINALITY t (name, n)
			JOIN pg_class c ON c.oid = split_part(t.name, ' ', 1)::regclass;
		EXIT WHEN result = tables OR clock_timestamp() > started + interval '60 s';
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN QUERY SELECT unnest(result);
END $$;

-- wait until there is nothing left to set back
CREATE FUNCTION identities_left() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	WHILE EXISTS (SELECT FROM freshet.source_identity) AND clock_timestamp() < started + interval '60 s' LOOP
		PERFORM pg_sleep(0.01);
	END LOOP;
	RETURN (SELECT count(*) FROM freshet.source_identity);
END $$;

CREATE TABLE d (id int PRIMARY KEY, g int, x int);
CREATE TABLE i (id int NOT NULL, g int NOT NULL, x int);
CREATE UNIQUE INDEX i_id ON i (id);
ALTER TABLE i REPLICA IDENTITY USING INDEX i_id;
CREATE TABLE n (id int PRIMARY KEY, g int, x int);
ALTER TABLE n REPLICA IDENTITY NOTHING;
INSERT INTO d SELECT v, v % 3, v FROM generate_series(1, 9) v;
INSERT INTO i SELECT v, v % 3, v FROM generate_series(1, 9) v;
INSERT INTO n SELECT v, v % 3, v FROM generate_series(1, 9) v;

-- each goes back to what it was, also by an index that has another name now
SELECT freshet.create_sink('s_d', 'SELECT g, sum(x) FROM d GROUP BY g');
SELECT freshet.create_sink('s_i', 'SELECT g, sum(x) FROM i GROUP BY g');
SELECT freshet.create_sink('s_n', 'SELECT g, sum(x) FROM n GROUP BY g');
SELECT identities('{d f,i f,n f}');
SELECT relid, identity, index_name FROM freshet.source_identity ORDER BY relid::text;
ALTER INDEX i_id RENAME TO i_renamed;
SELECT freshet.drop_sink('s_d');
DROP TABLE s_i, s_n;
SELECT identities('{d d,i i,n n}');
SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'i'::regclass AND indisreplident;
SELECT count(*) FROM freshet.source_identity;

-- it is, when the last sink goes that needs it: others may need less
SELECT freshet.create_sink('s_1', 'SELECT g, sum(x) FROM d GROUP BY g');
SELECT freshet.create_sink('s_2', 'SELECT g, max(x) FROM d GROUP BY g');
SELECT freshet.create_sink('s_3', 'SELECT count(*) FROM d');
SELECT freshet.create_sink('s_4', 'SELECT id, rank() OVER (ORDER BY x) FROM d');
SELECT freshet.wait('s_2'), freshet.wait('s_3'), freshet.wait('s_4') \g /dev/null
SELECT freshet.drop_sink('s_1');
SELECT freshet.wait() \g /dev/null
SELECT identities('{d f}');
-- one that is paused will need it again
SELECT freshet.pause_sink('s_2');
SELECT freshet.wait() \g /dev/null
SELECT identities('{d f}');
SELECT freshet.drop_sink('s_2');
SELECT identities('{d d}');
-- and these go on without
UPDATE d SET x = x + 10, g = 7 WHERE id < 4;
DELETE FROM d WHERE id = 5;
UPDATE d SET id = 50 WHERE id = 6;
SELECT check_sink('s_3'), check_sink('s_4');
-- until one comes that needs it, and is exact
SELECT freshet.create_sink('s_5', 'SELECT g, sum(x) FROM d GROUP BY g');
SELECT freshet.wait('s_5') \g /dev/null
UPDATE d SET x = x + 10, g = 8 WHERE id < 8;
SELECT check_sink('s_3'), check_sink('s_4'), check_sink('s_5');
SELECT identities('{d f}');
DROP TABLE s_3, s_4, s_5;
SELECT identities('{d d}');

-- whoever says what it is to be has it so, be it FULL
SELECT freshet.create_sink('s_1', 'SELECT g, sum(x) FROM d GROUP BY g');
SELECT freshet.create_sink('s_2', 'SELECT g, sum(x) FROM n GROUP BY g');
SELECT freshet.create_sink('s_3', 'SELECT g, sum(x) FROM i GROUP BY g');
ALTER TABLE d REPLICA IDENTITY FULL;
ALTER TABLE n REPLICA IDENTITY DEFAULT;
SELECT relid, identity FROM freshet.source_identity ORDER BY relid::text;
DROP TABLE s_1, s_2, s_3;
SELECT identities('{i i,n d,d f}');
SELECT identities_left();
ALTER TABLE d REPLICA IDENTITY DEFAULT;

-- a transaction that is rolled back changes nothing
SELECT freshet.create_sink('s_1', 'SELECT g, sum(x) FROM d GROUP BY g');
BEGIN;
SELECT freshet.drop_sink('s_1');
ROLLBACK;
BEGIN;
ALTER TABLE d REPLICA IDENTITY NOTHING;
ROLLBACK;
SELECT freshet.wait('s_1') \g /dev/null
SELECT identities('{d f}');
UPDATE d SET x = x + 1;
SELECT check_sink('s_1');

-- an index that is gone, a publication that relies on FULL: it stays
SELECT freshet.create_sink('s_2', 'SELECT g, sum(x) FROM i GROUP BY g');
DROP INDEX i_renamed;
CREATE PUBLICATION p FOR TABLE d WHERE (x > 0);
DROP TABLE s_1, s_2;
SELECT identities_left();
SELECT identities('{d f,i f}');
UPDATE d SET x = x + 1;
DROP PUBLICATION p;

-- a table that is gone is not remembered, nor is its sink
CREATE TABLE gone (id int PRIMARY KEY, g int);
SELECT freshet.create_sink('s_gone', 'SELECT g, count(*) FROM gone GROUP BY g');
SELECT count(*) FROM freshet.source_identity;
DROP TABLE gone CASCADE;
SELECT count(*) FROM freshet.source_identity;

-- partitions: each its own, those that came later, and those that have left
CREATE TABLE parted (id int PRIMARY KEY, g int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF parted FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id);
CREATE TABLE part_21 PARTITION OF part_2 FOR VALUES FROM (10) TO (15);
ALTER TABLE part_21 REPLICA IDENTITY NOTHING;
SELECT freshet.create_sink('s_parted', 'SELECT g, count(*) FROM parted GROUP BY g');
CREATE TABLE part_22 PARTITION OF part_2 FOR VALUES FROM (15) TO (20);
CREATE TABLE part_3 (id int PRIMARY KEY, g int);
ALTER TABLE parted ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);
SELECT freshet.wait('s_parted') \g /dev/null
SELECT identities('{parted f,part_1 f,part_2 f,part_21 f,part_22 f,part_3 f}');
ALTER TABLE parted DETACH PARTITION part_3;
SELECT identities('{parted f,part_1 f,part_3 d}');
SELECT freshet.drop_sink('s_parted');
SELECT identities('{parted d,part_1 d,part_2 d,part_21 n,part_22 d,part_3 d}');
-- as a source of its own, beside that of the whole
SELECT freshet.create_sink('s_parted', 'SELECT g, count(*) FROM parted GROUP BY g');
SELECT freshet.create_sink('s_part', 'SELECT g, count(*) FROM part_1 GROUP BY g');
SELECT freshet.wait('s_part') \g /dev/null
DROP TABLE s_parted;
SELECT identities('{parted d,part_1 f,part_21 n}');
DROP TABLE s_part;
SELECT identities('{part_1 d}');

-- the sink can be another's by then, and be dropped by one who has no right to the source
CREATE ROLE identities_owner;
GRANT SELECT ON n TO identities_owner;
SELECT freshet.create_sink('s_n', 'SELECT g, sum(x) FROM n GROUP BY g');
ALTER TABLE s_n OWNER TO identities_owner;
GRANT USAGE, CREATE ON SCHEMA public TO identities_owner;
SELECT identities('{n f}');
SET ROLE identities_owner;
SELECT freshet.drop_sink('s_n');
RESET ROLE;
SELECT identities('{n d}');
SELECT count(*) FROM freshet.source_identity;

DROP TABLE d, i, n, parted, part_3;
DROP FUNCTION identities(text[]), identities_left();
REVOKE ALL ON SCHEMA public FROM identities_owner;
DROP ROLE identities_owner;
