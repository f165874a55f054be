# Transactions that lock several tables, sources and sinks among them, in every
# order, beside a worker, a filler and a session that verifies.  They never meet
# in a deadlock, whoever its victim would be.
#
# Among themselves the users cannot: those that lock several tables take turns,
# and the others write one row of one table in each transaction.  So one deadlock
# in the server's log is one of freshet's.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node(
	'locks',
	# looked for at once, so that none resolves itself before
	deadlock_timeout => '10ms',
	autovacuum => 'off',
	'freshet.batch_interval' => '1ms',
	# what is locked is left out as soon as it has been met twice
	'freshet.lock_patience' => '20ms',
	# all but the smallest tables are read by the filler
	'freshet.fill_threshold' => '8kB');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE a (id int PRIMARY KEY, b int, v int);
	CREATE TABLE b (id int PRIMARY KEY, c int, v int);
	CREATE TABLE c (id int PRIMARY KEY, v int);
	CREATE TABLE p (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
	CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
	CREATE VIEW ab AS SELECT a.id, a.v, b.c FROM a JOIN b ON b.id = a.b;
	CREATE INDEX ON a (b);
	CREATE INDEX ON b (c);
	INSERT INTO a SELECT i, i % 50, i FROM generate_series(1, 2000) i;
	INSERT INTO b SELECT i, i % 10, i FROM generate_series(0, 50) i;
	INSERT INTO c SELECT i, i FROM generate_series(0, 10) i;
	INSERT INTO p SELECT i, 1 + i % 2, i FROM generate_series(1, 200) i;
	SELECT freshet.create_sink('s_a', 'SELECT b, count(*) AS n, sum(v) AS v FROM a GROUP BY b');
	SELECT freshet.create_sink('s_b', 'SELECT c, count(*) AS n, max(v) AS v FROM b GROUP BY c');
	SELECT freshet.create_sink('s_p', 'SELECT g, count(*) AS n, min(v) AS v FROM p GROUP BY g');
	SELECT freshet.create_sink('s_copy', 'SELECT id, v FROM c WHERE v >= 0');
	SELECT freshet.create_sink('s_join',
		'SELECT x.c, count(*) AS n, sum(x.v + p.v) AS v FROM ab x JOIN p ON p.id = x.id GROUP BY x.c');
	SELECT freshet.create_sink('s_over', 'SELECT count(*) AS n, max(v) AS v FROM s_a');
	SELECT freshet.create_wide_view('s_wide', 'a', '[
		{"table": "b", "path": "bb", "type": "object", "relation": [["b", "id"]]},
		{"table": "c", "path": "bb.cc", "type": "object", "relation": [["bb.c", "id"]]}]')});
my @sinks = split /\n/, $node->safe_psql('postgres', 'SELECT sink FROM freshet.status ORDER BY 1');
is(scalar @sinks, 7, 'sinks of each strategy');
$node->safe_psql('postgres', "SELECT freshet.wait('$_', '90 s')") foreach @sinks;

my @single = (
	q{\set id random(1, 3000)
		INSERT INTO a VALUES (:id, :id % 50, :id) ON CONFLICT (id) DO UPDATE SET v = a.v + 1;},
	q{\set id random(1, 3000)
		DELETE FROM a WHERE id = :id;},
	q{\set id random(0, 50)
		INSERT INTO b VALUES (:id, :id % 10, :id) ON CONFLICT (id) DO UPDATE SET v = -b.v, c = (b.c + 1) % 11;},
	q{\set id random(0, 10)
		INSERT INTO c VALUES (:id, :id) ON CONFLICT (id) DO UPDATE SET v = c.v + 1;},
	q{\set id random(1, 300)
		INSERT INTO p VALUES (:id, 1 + :id % 2, :id) ON CONFLICT (id, g) DO UPDATE SET v = p.v + 1;});

# Each of them locks several tables, in another order.
my @several = map { "SELECT pg_advisory_xact_lock(1);\n$_" } (
	'TRUNCATE a, b, c;',
	'TRUNCATE c, b, a;',
	'TRUNCATE p, a;',
	'LOCK p1; LOCK p2; ALTER TABLE a SET (fillfactor = 90); ALTER TABLE b SET (fillfactor = 90);',
	'LOCK p2; LOCK b; LOCK p1; LOCK a;',
	'ALTER VIEW ab ALTER COLUMN v SET DEFAULT 1; LOCK c; LOCK b; LOCK a;',
	'LOCK c; ALTER VIEW ab ALTER COLUMN v SET DEFAULT 1; LOCK p;',
	'LOCK s_a; LOCK a; LOCK s_over; LOCK b;',
	'LOCK a; LOCK s_wide; LOCK c; LOCK s_join;',
	'LOCK s_b IN SHARE MODE; LOCK b; LOCK s_a IN SHARE MODE; LOCK a;',
	'CREATE INDEX ON s_a (n); DROP INDEX s_a_n_idx; LOCK c; LOCK p;');
my $rebuild = join "\n", map { "SELECT freshet.rebuild_sink('$_');\n\\sleep 50 ms" } qw(s_wide s_a s_join s_p);
my $verify = join "\n", map { qq{
	DO \$\$ BEGIN
		PERFORM FROM freshet.verify_sink('$_');
	EXCEPTION WHEN object_not_in_prerequisite_state OR object_in_use THEN NULL;	-- being built
	END \$\$;} } qw(s_join s_wide s_p s_a);

my $seconds = scaled(10);
my @load = (
	start_pgbench($node, name => 'writers', clients => 4, seconds => $seconds, scripts => \@single, max_tries => 1,
		rate => 400),
	start_pgbench($node, name => 'those who lock several', clients => 3, seconds => $seconds, max_tries => 1,
		scripts => [ map { "BEGIN;\n$_\nCOMMIT;\n\\sleep 5 ms\n" } @several ]),
	start_pgbench($node, name => 'rebuilder', clients => 1, seconds => $seconds, max_tries => 1, script => $rebuild),
	start_pgbench($node, name => 'verifier', clients => 1, seconds => $seconds, max_tries => 1, script => $verify));
is_deeply([ finish_background(@load) ], [], 'nobody failed');
ok(!log_says($node, qr/deadlock detected/), 'and nobody met a deadlock');
ok(!worker_errors($node), 'those who maintain met no other error');

$node->safe_psql('postgres', "SELECT freshet.wait('$_', '90 s')") foreach @sinks;
is_deeply([ verify_all($node) ], [], 'every sink equals its query');

# ---------------------------------------------------------------------------
# Who asks for ACCESS EXCLUSIVE is let through: while the request waits, for
# somebody else's lock, no batch takes one of its own on the table.
# ---------------------------------------------------------------------------

my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT FROM b LIMIT 1');
my $locker = $node->background_psql('postgres');
$locker->query_until(qr/asked/, "BEGIN;\n\\echo asked\nLOCK b;\n");
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_locks
		WHERE relation = 'b'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted}),
	'a lock is asked for');
# each batch has to read b from now on
my @writers = start_pgbench($node, name => 'writer', clients => 2, transactions => 50, script => $single[0]);
is_deeply([ finish_background(@writers) ], [], 'writers of another table go on');
is( $node->safe_psql('postgres', q{
		SELECT count(*) FROM pg_locks l JOIN freshet.worker w USING (pid) WHERE relation = 'b'::regclass}),
	'0', 'the worker is not in its way');
$reader->query_safe('COMMIT');
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_locks
		WHERE relation = 'b'::regclass AND mode = 'AccessExclusiveLock' AND granted}),
	'it is granted');
$locker->query_safe('COMMIT');
$_->quit foreach $reader, $locker;
$node->safe_psql('postgres', "SELECT freshet.wait('$_', '90 s')") foreach @sinks;
is_deeply([ verify_all($node) ], [], 'every sink equals its query');

# ---------------------------------------------------------------------------
# Who verifies is not starved either, by those who truncate a source over and
# over: while a batch is under way, one of them waits for its end.
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(0.1); RETURN i; END';
	CREATE TABLE often (id int PRIMARY KEY);
	CREATE TABLE slowly (id int PRIMARY KEY, v int);
	INSERT INTO slowly VALUES (1, 1);
	SELECT freshet.create_sink('s_often', 'SELECT count(*) AS n FROM often');
	SELECT freshet.create_sink('s_slowly', 'SELECT id, slow(v) AS v FROM slowly');
	SELECT freshet.wait('s_often', '90 s');
	SELECT freshet.wait('s_slowly', '90 s')});
my @truncaters = (
	start_pgbench($node, name => 'truncater', clients => 1, seconds => 1000, max_tries => 1,
		script => "BEGIN;\nTRUNCATE often;\nINSERT INTO often VALUES (1);\nCOMMIT;\n"),
	start_pgbench($node, name => 'slow', clients => 1, seconds => 1000, max_tries => 1, rate => 8,
		script => "UPDATE slowly SET v = v + 1;\n"));
is( $node->safe_psql('postgres', q{
		SET statement_timeout = '200 s';
		SELECT * FROM freshet.verify_sink('s_often')}),
	'0|0', 'who verifies a table that is truncated all the time comes to an end');
$_->{harness}->signal('INT') foreach @truncaters;
finish_background(@truncaters);
$node->safe_psql('postgres', q{SELECT freshet.wait('90 s')});
is_deeply([ verify_all($node) ], [], 'every sink equals its query');

$node->stop;
done_testing();
