# A worker that is far behind reads the log in slices, is disturbed while it
# does, and arrives at the same sinks.  Then: more sinks than there is room for
# their counters.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_freshet_node(
	'behind',
	deadlock_timeout => '50ms',
	'freshet.max_batch_size' => '1MB',
	'freshet.work_mem' => '512kB',
	max_wal_size => '1GB');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id bigserial PRIMARY KEY, k int, v numeric, pad text);
	CREATE TABLE parts (id bigserial, k int, v int, PRIMARY KEY (id, k)) PARTITION BY LIST (k);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0, 1, 2);
	CREATE TABLE parts_1 PARTITION OF parts DEFAULT;
	CREATE TABLE scratch (k int);
	CREATE TABLE ledger (id bigserial PRIMARY KEY, v int);
	INSERT INTO src (k, v, pad) SELECT i % 50, i, repeat('x', 100) FROM generate_series(1, 5000) i;
	INSERT INTO parts (k, v) SELECT i % 7, i FROM generate_series(1, 1000) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total FROM src GROUP BY k',
	b_extremes => 'SELECT k, min(v) AS low, max(v) AS high, max(id) AS last FROM src GROUP BY k',
	c_total => 'SELECT count(*) AS count, sum(v) AS total, max(v) AS high FROM src',
	d_copy => 'SELECT id, k, v FROM src WHERE k % 2 = 0',
	e_on_copy => 'SELECT k, count(*) AS count, max(v) AS high FROM d_copy GROUP BY k',
	f_parts => 'SELECT k, count(*) AS count, sum(v) AS total, min(v) AS low FROM parts GROUP BY k',
	g_scratch => 'SELECT k, count(*) AS count FROM scratch GROUP BY k',
	h_ledger => 'SELECT count(*) AS count, sum(v) AS total FROM ledger');
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);

my $write = q{
\set k random(0, 49)
\set l random(0, 49)
\set id random(1, 8000)
BEGIN;
INSERT INTO src (k, v, pad) VALUES (:k, :id, repeat('y', 200));
INSERT INTO ledger (v) VALUES (1);
UPDATE src SET k = :l, v = v + 1 WHERE id BETWEEN :id AND :id + 5;
DELETE FROM src WHERE id BETWEEN :id + 6 AND :id + 9;
-- the extremes of a group go, come again and go
DELETE FROM src WHERE k = :k AND v = (SELECT max(v) FROM src WHERE k = :k);
INSERT INTO src (k, v) VALUES (:k, 100000 + :id);
DELETE FROM src WHERE k = :l AND v > 100000;
UPDATE parts SET k = :l % 7, v = v + 1 WHERE k = :k % 7 AND id BETWEEN :id % 1000 AND :id % 1000 + 5;
INSERT INTO scratch VALUES (:k % 5);
COMMIT;
};
my $truncate = q{
TRUNCATE scratch;
INSERT INTO scratch SELECT i % 3 FROM generate_series(1, 10) i;
\sleep 300 ms
};

# Make a backlog, with the worker stopped (by a signal).
sub fall_behind
{
	my $worker = wait_for_worker($node);
	kill 'STOP', $worker;
	my @load = (
		start_pgbench($node, name => 'load', clients => 6, transactions => 160, script => $write),
		start_pgbench($node, name => 'truncater', clients => 1, transactions => 3, script => $truncate));
	is_deeply([ finish_background(@load) ], [], 'writers do not wait for the worker');
	return $worker;
}

sub arrive
{
	my ($what) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	is( $node->safe_psql('postgres',
			q{SELECT changes = (SELECT count(*) FROM ledger) FROM freshet.status WHERE sink = 'h_ledger'::regclass}),
		't', "$what: each insert was counted once");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ': ' || coalesce(error, state), ', ')
		FROM freshet.status WHERE state <> 'live'}), '', "$what: all live");
	return;
}

# How many bytes of log must be read?
sub backlog
{
	return $node->safe_psql('postgres', 'SELECT wal_lag_bytes FROM freshet.worker');
}

my $worker = fall_behind();
cmp_ok(backlog(), '>', 1_500_000, 'far behind');
kill 'CONT', $worker;
my $checker = start_checker($node, seconds => 2, conditions => [
	# all sinks move by the same changes also when they catch up
	'(SELECT sum(count) FROM a_groups) = (SELECT count FROM c_total)',
	'(SELECT sum(total) FROM a_groups) = (SELECT total FROM c_total)',
	'(SELECT coalesce(sum(count), 0) FROM e_on_copy) = (SELECT count(*) FROM d_copy)' ]);
is_deeply([ finish_background($checker) ], [], 'sinks agree with each other while they catch up');
arrive('caught up');

# writers go on meanwhile, a new sink is made, others are built anew
$worker = fall_behind();
my $load = start_pgbench($node, name => 'load', clients => 3, transactions => 100, script => $write);
kill 'CONT', $worker;
create_sinks($node, 'postgres', { i_new => 'SELECT k % 3 AS k, min(v) AS low FROM src GROUP BY 1' });
$sinks{i_new} = 'SELECT k % 3 AS k, min(v) AS low FROM src GROUP BY 1';
$node->safe_psql('postgres', q{SELECT freshet.rebuild_sink('b_extremes'), freshet.rebuild_sink('d_copy')});
is_deeply([ finish_background($load) ], [], 'writers go on');
arrive('caught up with writers that go on');

# tables get other files, in log that the worker has yet to read: those that
# they had when their rows changed must not be looked into
$node->safe_psql('postgres', q{
	CREATE TABLE root (id int PRIMARY KEY, t text);
	CREATE TABLE detail (id int PRIMARY KEY, root_id int, t text);
	CREATE INDEX ON detail (root_id);
	INSERT INTO root SELECT i, i FROM generate_series(1, 3000) i;
	INSERT INTO detail SELECT i, i, i FROM generate_series(1, 3000) i;
	CREATE TABLE filler (t text);
	SELECT freshet.create_wide_view('wide', 'root',
		'[{"table": "detail", "path": "details", "type": "array", "relation": [["id", "root_id"]]}]');
	});
$node->safe_psql('postgres', 'ANALYZE');
wait_for_freshet($node);
$worker = wait_for_worker($node);
kill 'STOP', $worker;
my $fill = q{INSERT INTO filler SELECT repeat('x', 100) FROM generate_series(1, 12000)};
$node->safe_psql('postgres', $_) foreach (
	'CREATE TABLE another (i int)',
	$fill,
	'UPDATE detail SET t = t || 1 WHERE id <= 20',
	'UPDATE root SET t = t || 1 WHERE id <= 20',
	$fill,
	'UPDATE detail SET t = t || 1 WHERE id BETWEEN 21 AND 40',
	$fill,
	'VACUUM FULL detail',
	'VACUUM FULL root');
kill 'CONT', $worker;
arrive('caught up with tables that were rewritten');
$node->safe_psql('postgres', q{SELECT freshet.drop_sink('wide')});

# crashes on the way
foreach my $round (1 .. scaled(1))
{
	fall_behind();
	my $applied = $node->safe_psql('postgres', 'SELECT lsn FROM freshet.applied');
	my $back = 0;
	# the server ends with the worker stopped
	$node->stop('immediate');
	$node->start;
	for (1 .. 3)
	{
		my $pid = wait_for_worker($node);
		sleep(rand(0.15));
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 5000)");
		# the log is read again from before what has been applied
		$back++ if $node->safe_psql('postgres', "SELECT lsn < '$applied' FROM freshet.applied") eq 't';
	}
	is($back, 0, 'progress does not go back');
	kill_worker($node);
	arrive("caught up with crashes on the way ($round)");
}

# ---------------------------------------------------------------------------
# Many sinks
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE TABLE small (id serial PRIMARY KEY, v int);
	INSERT INTO small (v) VALUES (1), (2)});
my %many = map { (sprintf('many_%03d', $_), "SELECT count(*) AS count, sum(v) + $_ AS total FROM small") } (1 .. 135);
create_sinks($node, 'postgres', \%many);
$node->safe_psql('postgres', 'INSERT INTO small (v) VALUES (3)');
wait_for_freshet($node);
$node->safe_psql('postgres', 'DELETE FROM small WHERE v = 1');
wait_for_freshet($node);
is( $node->safe_psql('postgres',
		'SELECT ' . join(' + ', map { "(SELECT total - " . (/(\d+)/)[0] . " FROM $_)" } sort keys %many)),
	5 * 135,
	'more sinks than counters');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM freshet.status WHERE state = 'live'}),
	135 + keys %sinks, 'all of them live');
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'and the others exact');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', 'INSERT INTO small (v) VALUES (4)');
wait_for_freshet($node);
is($node->safe_psql('postgres', 'SELECT total FROM many_135'), 135 + 9, 'after a crash too');

# verify_sink() takes the next batch that ends at its snapshot; while there is none it
# says why, and how far the worker is
my $let_go = hold_sink($node, 'c_total');
fall_behind();
kill 'CONT', wait_for_worker($node);
$node->poll_query_until('postgres',
	q{SELECT batch_phase = 'writing' AND batch_sink = 'c_total'::regclass FROM freshet.worker})
  or die 'the worker does not write';

sub start_verifying
{
	my $bg = start_background_sql($node, 'postgres', q{SELECT * FROM freshet.verify_sink('a_groups')},
		name => 'verify');
	my $end = time() + $FreshetTest::timeout;
	sleep(0.1) while time() < $end && -s "$bg->{dir}/err" == 0;
	return $bg;
}
my $told = qr/NOTICE:  waiting for a batch that ends at its snapshot\nDETAIL:  The worker is [^\n]* It has not applied \d+ kB of log yet, the oldest of it \d+ s old\./;
my $verify = start_verifying();
is( $node->safe_psql('postgres',
		q{SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%verify_sink(''a_groups%' AND pid <> pg_backend_pid()}),
	'1', 'a session waits');
is_deeply([ finish_background($verify) ], ['verify'], 'it can be cancelled');
like($verify->{err}, $told, 'it was told why it waits');
like($verify->{err}, qr/canceling statement due to user request/, 'it was cancelled');
my ($ret, $stdout, $stderr) = $node->psql('postgres', q{SELECT freshet.wait('10 ms')});
like($stderr, qr/It has not applied \d+ kB of log yet/, 'so is who waits for the sinks to be fresh');

$verify = start_verifying();
$let_go->();
is_deeply([ finish_background($verify) ], [], 'it ends when the worker has caught up');
like($verify->{err}, $told, '... of which it was told');
is($verify->{out}, "0|0\n", '... and the sink equals its query');
arrive('caught up after being held up');

$node->stop;
done_testing();
