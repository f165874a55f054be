# Partitions that come and go under load, and while the worker is far behind:
# random commands, in transactions and on their own, and the sinks are exact.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{FRESHET_TEST_SEED} // time();
srand($seed);
note "FRESHET_TEST_SEED=$seed";

my $node = new_freshet_node(
	'partitions',
	deadlock_timeout => '100ms',
	autovacuum => 'off',
	# batches that end before they reach the snapshot
	'freshet.max_batch_size' => '1MB');

# p0 stays.  The others are attached as they are told: p1 to p3 to the root, p4 to
# a branch, p5 is a branch itself; p6 is made in place.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE root (id bigserial, k int NOT NULL, v int, filler text, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
	CREATE TABLE p0 PARTITION OF root FOR VALUES IN (0);
	CREATE TABLE branch PARTITION OF root FOR VALUES IN (4, 6) PARTITION BY LIST (k);
	CREATE TABLE p1 (LIKE root INCLUDING ALL);
	CREATE TABLE p2 (gone int, filler text, v int, k int NOT NULL, id bigint NOT NULL, PRIMARY KEY (id, k));
	ALTER TABLE p2 DROP COLUMN gone;
	CREATE TABLE p3 (LIKE root INCLUDING ALL);
	CREATE TABLE p4 (LIKE root INCLUDING ALL);
	CREATE TABLE p5 (LIKE root INCLUDING ALL) PARTITION BY RANGE (id);
	CREATE TABLE p5a PARTITION OF p5 FOR VALUES FROM (0) TO (50000);
	CREATE TABLE p5b PARTITION OF p5 DEFAULT;
	CREATE TABLE names (k int PRIMARY KEY, name text);
	INSERT INTO names SELECT i, 'name ' || i FROM generate_series(0, 6) i;
	CREATE FUNCTION next_id() RETURNS bigint LANGUAGE sql AS $$SELECT nextval('root_id_seq')$$;
	INSERT INTO root (k, v) SELECT 0, i FROM generate_series(1, 200) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, min(v) AS low, max(v) AS high FROM root GROUP BY k',
	b_mod => 'SELECT v % 7 AS m, count(*) AS count, sum(v) AS total, min(v) AS low FROM root GROUP BY v % 7',
	c_total => 'SELECT count(*) AS count, sum(v) AS total FROM root',
	d_copy => 'SELECT id, k, v FROM root WHERE v % 3 > 0',
	e_on_copy => 'SELECT k, count(*) AS count, max(v) AS high FROM d_copy GROUP BY k',
	f_branch => 'SELECT k, count(*) AS count, sum(v) AS total FROM branch GROUP BY k');
create_sinks($node, 'postgres', \%sinks);
$node->safe_psql(
	'postgres', q{
	SELECT freshet.create_wide_view('g_wide', 'names', '[
		{"table": "root", "path": "rows", "type": "array", "relation": [["k", "k"]]}]')});
$node->safe_psql('postgres', "ALTER TABLE $_ REPLICA IDENTITY FULL") foreach qw(p1 p2 p3 p4 p5a p5b);
wait_for_freshet($node);

my %attached;
my $made = 0;

# A random command; and what it makes of the partitions.
sub random_command
{
	my ($n) = (1 + int(rand(6)));
	my $kind = int(rand(10));
	my $parent = $n == 4 || $n == 6 ? 'branch' : 'root';
	my $key = $n;
	my $pick = 'id % ' . (2 + int(rand(4))) . ' = 0';

	if ($kind <= 2)
	{
		if ($n == 6)
		{
			$made = !$made;
			$attached{$n} = $made;
			return $made ? 'CREATE TABLE p6 PARTITION OF branch FOR VALUES IN (6)' : 'DROP TABLE p6';
		}
		if ($attached{$n})
		{
			$attached{$n} = 0;
			return "ALTER TABLE $parent DETACH PARTITION p$n";
		}
		$attached{$n} = 1;
		return "ALTER TABLE $parent ATTACH PARTITION p$n FOR VALUES IN ($key)";
	}
	$n = 5 if $n == 6 && !$made;
	return "INSERT INTO p$n (id, k, v) SELECT next_id(), $n, random() * 1000 FROM generate_series(1, 1 + (random() * 20)::int)"
	  if $kind <= 4;
	return "UPDATE p$n SET v = v + 1 WHERE $pick" if $kind == 5;
	return "DELETE FROM p$n" . (rand() < 0.5 ? '' : " WHERE $pick") if $kind == 6;
	return "UPDATE root SET v = v - 1 WHERE $pick" if $kind == 7;
	return "TRUNCATE p$n" if $kind == 8 && rand() < 0.3;
	# to a partition that is there
	return "UPDATE root SET k = 0, v = v + 3 WHERE k = $n AND $pick" if $kind == 8;
	return "DELETE FROM root WHERE k = $n";
}

sub run_commands
{
	my (@commands) = @_;
	my ($ret, undef, $err);

	# a deadlock with a writer may be this side's fate
	foreach (1 .. 20)
	{
		($ret, undef, $err) = $node->psql('postgres', join(';', @commands), on_error_stop => 1);
		last if $ret == 0 || $err !~ /deadlock/;
		splice(@commands, 0, 0, 'ROLLBACK') if $commands[0] eq 'BEGIN' && $commands[0] ne 'ROLLBACK';
	}
	ok($ret == 0, join('; ', @commands)) or diag($err);
	return;
}

sub is_exact
{
	my ($what) = @_;

	wait_for_freshet($node);
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM freshet.status WHERE state <> 'live'}),
		"$what: all live")
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	wait_for_freshet($node);
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	return;
}

# Writers keep to the root.
my $write = q{
\set v random(0, 1000)
\set id random(1, 5000)
INSERT INTO root (k, v) VALUES (0, :v);
UPDATE root SET v = :v WHERE id = :id;
DELETE FROM root WHERE id = :id + 1 AND v % 2 = 0;
};

foreach my $round (1 .. scaled(12))
{
	my $behind = $round % 3 == 0;
	my $worker = wait_for_worker($node);
	my @writers = $round % 2 ? (start_pgbench($node, clients => 2, seconds => 3, rate => 200, script => $write)) : ();

	kill 'STOP', $worker if $behind || $round % 3 == 1;
	foreach my $transaction (1 .. 6)
	{
		my @commands = map { random_command() } 1 .. 1 + int(rand(5));

		@commands = ('BEGIN', @commands, 'COMMIT') if rand() < 0.6;
		run_commands(@commands);

		# more than a batch may have: the next commands are far ahead of it
		$node->safe_psql('postgres', q{
			INSERT INTO root (k, v, filler) SELECT 0, i, repeat('x', 1000) FROM generate_series(1, 800) i;
			DELETE FROM root WHERE filler IS NOT NULL}) if $behind;
	}
	kill 'CONT', $worker;
	is_deeply([ finish_background(@writers) ], [], "round $round: writers met no error") if @writers;
	is_exact("round $round");
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "round $round: plain SQL");
}

# Attached with rows, far behind, and gone again when the worker is there: what was
# read of it in between must not stay.
my $worker = wait_for_worker($node);
$node->safe_psql('postgres', "ALTER TABLE branch DETACH PARTITION p4") if $attached{4};
$node->safe_psql('postgres', 'DELETE FROM p4; INSERT INTO p4 (id, k, v) SELECT next_id(), 4, -5000 FROM generate_series(1, 3)');
is_exact('before');
kill 'STOP', $worker;
$node->safe_psql('postgres', 'ALTER TABLE branch ATTACH PARTITION p4 FOR VALUES IN (4)');
$node->safe_psql('postgres', q{
	DELETE FROM root WHERE k = 0 AND v = (SELECT min(v) FROM root WHERE k = 0);
	INSERT INTO root (k, v, filler) SELECT 0, i, repeat('x', 1000) FROM generate_series(1, 3000) i;
	DELETE FROM root WHERE filler IS NOT NULL});
$node->safe_psql('postgres', 'ALTER TABLE branch DETACH PARTITION p4');
kill 'CONT', $worker;
is_exact('attached and detached while behind');
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'attached and detached while behind: plain SQL');

# Unlogged for a while, command by command, and logged again before the worker is
# there.
$worker = wait_for_worker($node);
kill 'STOP', $worker;
$node->safe_psql('postgres', $_)
  foreach ('ALTER TABLE p0 SET UNLOGGED', 'DELETE FROM root WHERE k = 0 AND id % 2 = 0',
	'INSERT INTO root (k, v) SELECT 0, i FROM generate_series(1, 50) i', 'ALTER TABLE p0 SET LOGGED',
	'UPDATE root SET v = v + 1 WHERE k = 0',
	q{INSERT INTO root (k, v, filler) SELECT 0, i, repeat('x', 1000) FROM generate_series(1, 3000) i},
	'DELETE FROM root WHERE filler IS NOT NULL');
kill 'CONT', $worker;
is_exact('unlogged while behind');
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'unlogged while behind: plain SQL');

is($node->safe_psql('postgres', q{SELECT count(*) FROM freshet.status WHERE state = 'failed'}), '0', 'nothing failed');
$node->stop;
done_testing();
