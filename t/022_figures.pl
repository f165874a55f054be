# What the views say while something is wrong, and that they no longer say it
# afterwards.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

# without autovacuum every commit is the test's own
my $node = new_freshet_node('figures', autovacuum => 'off', 'freshet.batch_interval' => '1ms');

sub query
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

query(
	q{
	CREATE TABLE src (id int PRIMARY KEY, v int);
	SELECT freshet.create_sink('total', 'SELECT count(*) AS count, sum(v) AS sum FROM src')});
query(q{SELECT freshet.wait('total')});
query('INSERT INTO src VALUES (1, 1)');
wait_for_freshet($node);

# ---------------------------------------------------------------------------
# The delay is the age of what is not applied, not the length of a silence.
# ---------------------------------------------------------------------------

my $idle = q{SELECT state = 'idle' AND batch_started_at IS NULL FROM freshet.worker};
ok($node->poll_query_until('postgres', $idle), 'the worker is idle');
is(query(q{SELECT delay FROM freshet.status}), '00:00:00', 'nothing is left to apply');

my $worker = wait_for_worker($node);
kill 'STOP', $worker;
query('SELECT pg_sleep(2)');
my $before = query('SELECT clock_timestamp()');
query('INSERT INTO src VALUES (2, 2)');
my $after = query('SELECT clock_timestamp()');
query('INSERT INTO src VALUES (3, 3)');
is( query(qq{
		SELECT delay >= now() - '$after' AND delay <= clock_timestamp() - '$before'
		FROM freshet.status}),
	't',
	'the delay is the age of the oldest commit that is not applied');
kill 'CONT', $worker;
wait_for_freshet($node);
ok($node->poll_query_until('postgres', $idle), 'the worker is idle again');
is(query(q{SELECT delay FROM freshet.status}), '00:00:00', 'all is applied');

# ---------------------------------------------------------------------------
# An error is shown while its cause is there.
# ---------------------------------------------------------------------------

# What every batch writes that changes a sink.
my $blocker = $node->background_psql('postgres');
$blocker->query_safe('BEGIN; LOCK freshet.applied IN EXCLUSIVE MODE');
$before = query('SELECT clock_timestamp()');
query('INSERT INTO src VALUES (4, 4)');
ok( $node->poll_query_until(
		'postgres', "SELECT last_error IS NOT NULL AND last_error_at >= '$before' FROM freshet.worker"),
	'the worker tells of the error, and when it was');
is( query("SELECT delay >= clock_timestamp() - last_error_at FROM freshet.status, freshet.worker"),
	't', 'what the failed batch was for is not applied');
my ($ret, $out, $err) = $node->psql('postgres', "SELECT freshet.wait('10 ms')");
like($err, qr/Its last error was: /, 'a waiter is told of it');
$blocker->query_safe('COMMIT');
$blocker->quit;

wait_for_freshet($node);
is(query('SELECT last_error IS NULL AND last_error_at IS NULL FROM freshet.worker'),
	't', 'the error is gone with its cause');
is(query('SELECT sum FROM total'), '10', 'nothing was lost');

# A waiter that gives up for another reason is told of no old error.
$worker = wait_for_worker($node);
kill 'STOP', $worker;
($ret, $out, $err) = $node->psql('postgres', "SELECT freshet.wait('10 ms')");
like($err, qr/timeout while waiting/, 'a worker that is stopped serves nobody');
unlike($err, qr/last error/, '... which is not for an old error');
kill 'CONT', $worker;

# ---------------------------------------------------------------------------
# The log that the slot retains
# ---------------------------------------------------------------------------

wait_for_freshet($node);
is( query(q{
		SELECT retained_bytes >= wal_lag_bytes FROM freshet.worker}),
	't', 'the slot retains what is not applied');

# ---------------------------------------------------------------------------
# After a crash the delay is not known before a batch has read the log to its end.
# ---------------------------------------------------------------------------

kill_worker($node);
wait_for_freshet($node);
is(query(q{SELECT state, delay FROM freshet.status}), 'live|00:00:00', 'nothing is left to apply after a crash');
query('INSERT INTO src VALUES (5, 5)');
wait_for_freshet($node);
is(query('SELECT sum FROM total'), '15', 'all is applied after a crash');

$node->stop;
done_testing();
