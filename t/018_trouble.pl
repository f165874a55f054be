# What one sink does wrong, and what many sessions lock, is no matter to others:
# a function that does not come back, errors that look as if they would pass, in
# turn; TRUNCATE of several sources, and migrations that lock two tables.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_freshet_node(
	'trouble',
	'freshet.sink_timeout' => '1s',
	deadlock_timeout => '20ms',
	log_line_prefix => "'%m [%p] %b '");

# ---------------------------------------------------------------------------
# A function that does not come back
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE TABLE t (id int PRIMARY KEY, x int);
	CREATE FUNCTION forever(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		WHILE x = 13 LOOP
			PERFORM 1;
		END LOOP;
		RETURN x;
	END $$});
create_sinks($node, 'postgres', {
	good => 'SELECT x % 5 AS k, count(*) AS n FROM t GROUP BY 1',
	stuck => 'SELECT forever(x) AS x, count(*) AS n FROM t GROUP BY 1' });
wait_for_freshet($node);
$node->safe_psql('postgres', 'INSERT INTO t SELECT i, i % 10 FROM generate_series(1, 100) i');
wait_for_freshet($node);
is_deeply([ verify_all($node) ], [], 'both follow');

my $offset = -s $node->logfile;
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1000, 13)');
wait_for_freshet($node);
is($node->safe_psql('postgres', "SELECT state, error FROM freshet.status WHERE sink = 'stuck'::regclass"),
	'failed|no row was dealt with for freshet.sink_timeout', 'a sink that does not come back fails');
is_deeply([ verify_all($node, 'postgres', 'stuck') ], [], 'the other follows');
ok(log_says($node, qr/sink "stuck" has failed/, $offset), 'and the log says which, and why');

# ---------------------------------------------------------------------------
# A sink whose fill is tried again after pauses, and goes or is paused meanwhile:
# the worker sleeps as if it had never been.
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE FUNCTION passing(x int, sink text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF x = 13 THEN
			RAISE EXCEPTION 'passing error of %', sink USING ERRCODE = '40001';
		END IF;
		RETURN x;
	END $$});
create_sinks($node, 'postgres', {
	gone => q{SELECT passing(x, 'gone') AS x, count(*) AS n FROM t GROUP BY 1},
	paused => q{SELECT id, passing(x, 'paused') AS x FROM t} });
foreach my $sink (qw(gone paused))
{
	my $end = time() + $FreshetTest::timeout;

	sleep(0.1) until log_says($node, qr/ERROR:  passing error of $sink/, $offset) || time() > $end;
	ok(log_says($node, qr/ERROR:  passing error of $sink/, $offset), "the fill of \"$sink\" fails");
}
$node->safe_psql('postgres', "DROP TABLE gone; SELECT freshet.pause_sink('paused')");
wait_for_freshet($node);
# longer than the pauses have become by then
sleep(5);
my $batches = $node->safe_psql('postgres', 'SELECT batches FROM freshet.worker');
sleep(3);
my $later = $node->safe_psql('postgres', 'SELECT batches FROM freshet.worker');
cmp_ok($later, '<=', $batches + 3, 'there are no batches for them any more');
$node->safe_psql('postgres', 'DELETE FROM t WHERE x = 13');
$node->safe_psql('postgres', "SELECT freshet.resume_sink('paused')");
$node->safe_psql('postgres', "SELECT freshet.wait('paused', '60 s')");
is_deeply([ verify_all($node, 'postgres', 'stuck') ], [], 'all others follow');

# ---------------------------------------------------------------------------
# Many who lock several sources, in any order
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE TABLE a (id int PRIMARY KEY, b int, v int);
	CREATE TABLE b (id int PRIMARY KEY, c int, v int);
	CREATE TABLE c (id int PRIMARY KEY, v int);
	CREATE INDEX ON a (b);
	CREATE INDEX ON b (c);
	CREATE TABLE p (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
	CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
	INSERT INTO a SELECT i, i % 50, i FROM generate_series(1, 500) i;
	INSERT INTO b SELECT i, i % 10, i FROM generate_series(0, 50) i;
	INSERT INTO c SELECT i, i FROM generate_series(0, 10) i});
my %sinks = (
	l_groups => 'SELECT b, count(*) AS n, sum(v) AS v FROM a GROUP BY b',
	l_extremes => 'SELECT c, count(*) AS n, max(v) AS high, min(v) AS low FROM b GROUP BY c',
	l_parts => 'SELECT g, count(*) AS n, min(v) AS low FROM p GROUP BY g',
	l_join => 'SELECT a.id, b.v, c.v AS w FROM a JOIN b ON a.b = b.id LEFT JOIN c ON b.c = c.id');
create_sinks($node, 'postgres', \%sinks);
$node->safe_psql('postgres', q{
	SELECT freshet.create_wide_view('l_wide', 'a', '[
		{"table": "b", "path": "bb", "type": "object", "relation": [["b", "id"]]},
		{"table": "c", "path": "bb.cc", "type": "object", "relation": [["bb.c", "id"]]}]')});
wait_for_freshet($node);

$offset = -s $node->logfile;
my $seconds = scaled(12);
my $truncate = "BEGIN; TRUNCATE %s; INSERT INTO b SELECT i, i %% 10, i FROM generate_series(0, 50) i "
  . "ON CONFLICT DO NOTHING; COMMIT;\n";
my @writers = (
	start_pgbench($node, name => 'writer', clients => 1, seconds => $seconds, script => q{
		INSERT INTO a SELECT i, i % 50, i FROM generate_series(1, 100) i
			ON CONFLICT (id) DO UPDATE SET v = a.v + 1;
		UPDATE b SET v = v + 1;
		INSERT INTO p SELECT i, 1 + i % 2, i FROM generate_series(1, 50) i ON CONFLICT DO NOTHING;
		DELETE FROM a WHERE id % 3 = 0;
	}),
	start_pgbench($node, name => 'truncate', clients => 1, seconds => $seconds, rate => 10,
		scripts => [ map { sprintf $truncate, $_ } 'a, b, c', 'c, b, a', 'b, p, a' ]),
	start_pgbench($node, name => 'migration', clients => 1, seconds => $seconds, rate => 10, script => q{
		BEGIN;
		LOCK TABLE p1;
		LOCK TABLE p2;
		ALTER TABLE a SET (fillfactor = 90);
		ALTER TABLE b SET (fillfactor = 90);
		COMMIT;
	}));
is_deeply([ finish_background(@writers) ], [], 'nobody failed');
wait_for_freshet($node);

# Each deadlock that PostgreSQL ended has a DETAIL that names both sides by their
# processes, and who had to give way by the first.
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset);
my $worker = worker_pid($node);
my @victims = grep { /Process \Q$worker\E / } $log =~ /deadlock detected\n.*?DETAIL:  (.*?)\n.*?HINT/gs;
is(scalar(@victims), 0, 'no deadlock had to do with the worker');
is_deeply([ verify_all($node, 'postgres', 'stuck') ], [], 'every sink equals its query');

$node->stop;
done_testing();
