# Crashes under load: the worker killed and terminated, the server stopped
# without a checkpoint, at random moments.  Nothing is lost, nothing is counted
# twice, and no sink is built anew on the way.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $rounds = scaled(9);
my $seed = $ENV{FRESHET_TEST_SEED} // time();
srand($seed);
note("FRESHET_TEST_SEED=$seed");

my $node = new_freshet_node(
	'crash',
	restart_after_crash => 'on',
	deadlock_timeout => '50ms',
	checkpoint_timeout => '30s',
	# also confirm, and lose what was confirmed but not written
	max_wal_size => '80MB',
	'freshet.batch_interval' => '2ms',
	# spill
	'freshet.work_mem' => '256kB',
	max_connections => 60);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int, price numeric(12, 2) NOT NULL,
		at timestamptz NOT NULL, pad text);
	CREATE TABLE ledger (id bigserial PRIMARY KEY, amount bigint NOT NULL);
	CREATE TABLE scratch (id bigserial PRIMARY KEY, k int);
	INSERT INTO orders (user_id, price, at)
		SELECT i % 40, i / 4.0, timestamptz '2026-01-01' + i * interval '1 second'
		FROM generate_series(1, 2000) i;
});
my %sinks = (
	a_window => q{SELECT w.window_start, count(*) AS count, sum(o.price) AS total
		FROM orders o, freshet.tumble(o.at, '1 minute') w GROUP BY 1},
	b_user => q{SELECT user_id, count(*) AS count, sum(price) AS total, min(price) AS low,
		max(price) AS high FROM orders GROUP BY user_id},
	c_total => q{SELECT count(*) AS count, sum(price) AS total FROM orders},
	d_copy => q{SELECT id, user_id, price FROM orders WHERE user_id % 3 = 0},
	e_ledger => q{SELECT count(*) AS count, sum(amount) AS total FROM ledger},
	f_scratch => q{SELECT k, count(*) AS count FROM scratch GROUP BY k},
	h_stages => q{SELECT n, count(*) AS users, sum(total) AS total FROM (
		SELECT user_id, count(*) AS n, count(DISTINCT at) AS times, sum(price) AS total FROM orders GROUP BY user_id) x
		WHERE times > 1 GROUP BY n},
	g_on_copy => q{SELECT user_id, count(*) AS count, sum(price) AS total FROM d_copy GROUP BY 1},
);
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'filled');

# ---------------------------------------------------------------------------
# Writers that come again when the server is back
# ---------------------------------------------------------------------------

my $insert = q{
\set u random(0, 44)
\set p random(0, 4000)
\set s random(0, 3600)
BEGIN;
INSERT INTO orders (user_id, price, at) VALUES
	(nullif(:u, 0), :p / 4.0, timestamptz '2026-01-01' + :s * interval '1 second');
INSERT INTO ledger (amount) VALUES (1), (2);
SAVEPOINT s;
INSERT INTO ledger (amount) VALUES (1000000);
ROLLBACK TO SAVEPOINT s;
COMMIT;
};
my $change = q{
\set a random(1, 4000)
\set u random(0, 44)
UPDATE orders SET user_id = nullif(:u, 0), price = price + 1 WHERE id = :a;
DELETE FROM orders WHERE id = :a + 10;
};
# spills, and is often under way when a crash comes
my $many = q{
\set u random(0, 44)
BEGIN;
INSERT INTO orders (user_id, price, at, pad)
	SELECT (:u + i) % 45, i, timestamptz '2026-01-01', repeat('x', 200) FROM generate_series(1, 2000) i;
DELETE FROM orders WHERE user_id = :u AND pad IS NOT NULL;
COMMIT;
};
my $truncate = q{
\set k random(0, 20)
TRUNCATE scratch;
INSERT INTO scratch (k) SELECT i % 7 FROM generate_series(1, :k) i;
};
# what a crash leaves behind is committed or rolled back by the next turn
my $prepared = q{
\set g random(1, 1000000000)
BEGIN;
INSERT INTO orders (user_id, price, at) VALUES (100 + :g % 5, 1, timestamptz '2026-01-01');
INSERT INTO ledger (amount) VALUES (10000);
PREPARE TRANSACTION 'g-:g';
SELECT count(*) > 3 AS many, coalesce(min(gid), 'none') AS gid FROM pg_prepared_xacts \gset
\if :many
\if :g % 3 = 0
ROLLBACK PREPARED ':gid';
\else
COMMIT PREPARED ':gid';
\endif
\endif
};

my $dir = PostgreSQL::Test::Utils::tempdir();
my $stop = "$dir/stop";

sub persistent_pgbench
{
	my ($name, $clients, @options) = @_;
	my $n = 0;
	my @files;
	while (ref $options[0])
	{
		my $file = "$dir/$name" . $n++ . '.sql';
		my ($script, $weight) = @{ shift @options };
		PostgreSQL::Test::Utils::append_to_file($file, $script);
		push @files, "-f $file\@$weight";
	}
	my $connstr = $node->connstr('postgres');
	return start_loop($name, $stop,
		"pgbench -n -c $clients -T 2 --max-tries 100 @files @options \"$connstr\"; sleep 0.1");
}

# As fast as they can, they would decide how large the tables are in the end.
my @background = (
	persistent_pgbench('writers', 6, [ $insert, 4 ], [ $change, 4 ], '-R', 600),
	persistent_pgbench('truncater', 1, [ $truncate, 1 ], '-R', 3),
	persistent_pgbench('asynchronous', 3, [ "SET synchronous_commit = off;\n$insert", 2 ],
		[ "SET synchronous_commit = off;\n$change", 1 ], '-R', 300),
	persistent_pgbench('large', 1, [ $many, 1 ], '-R', 5),
	persistent_pgbench('prepared', 1, [ $prepared, 1 ], '-R', 20));

# ---------------------------------------------------------------------------
# Blows
# ---------------------------------------------------------------------------

my %blows = (
	'kill -9 of the worker' => sub { kill_worker($node); },
	'pg_terminate_backend() of the worker' => sub {
		my $pid = wait_for_worker($node);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		wait_for_worker($node, 'postgres', $pid);
	},
	'immediate stop of the server' => sub {
		$node->stop('immediate');
		sleep(rand(0.3));
		$node->start;
	},
	'fast stop of the server' => sub {
		$node->stop('fast');
		$node->start;
	});
my @order = ('kill -9 of the worker', 'immediate stop of the server',
	'pg_terminate_backend() of the worker');

for my $round (1 .. $rounds)
{
	my $blow = $round % 10 == 9 ? 'fast stop of the server' : $order[ $round % 3 ];

	# also before the worker has come up again after the blow before
	wait_for_worker($node) if rand() < 0.8;
	sleep(rand($round % 4 == 0 ? 0.2 : 1.5));
	$blows{$blow}->();

	if ($round % 3 == 0)
	{
		wait_for_worker($node);
		is_deeply([ verify_all($node) ], [], "round $round, after $blow: exact while others write");
	}
	else
	{
		is($node->safe_psql('postgres', 'SELECT 1'), '1', "round $round: $blow");
	}
}

PostgreSQL::Test::Utils::append_to_file($stop, '');
is_deeply([ finish_background(@background) ], [], 'writers ended');

# ---------------------------------------------------------------------------
# The end
# ---------------------------------------------------------------------------

sub check_all
{
	my ($when) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$when: plain SQL");
	is_deeply([ verify_all($node) ], [], "$when: verify_sink()");
	is( $node->safe_psql('postgres',
			q{SELECT changes = (SELECT count(*) FROM ledger) FROM freshet.status
			WHERE sink = 'e_ledger'::regclass}),
		't',
		"$when: each insert was counted once, and no sink was built anew");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ' ' || state, ', ')
		FROM freshet.status WHERE state <> 'live' OR error IS NOT NULL}), '', "$when: all live");
	return;
}

check_all('after the load');
my $gids = $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
cmp_ok($gids, 'ne', '', 'transactions are prepared');

# prepared transactions outlive the server
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', "COMMIT PREPARED '$_'") foreach split /\n/, $gids;
check_all('with what was prepared before a crash');

# A crash with a long transaction under way whose changes the worker has read,
# and others committed after its start.
my $long = start_background_sql(
	$node, 'postgres', q{
	BEGIN;
	INSERT INTO ledger (amount) SELECT 5 FROM generate_series(1, 20000);
	SELECT pg_sleep(3);
	INSERT INTO ledger (amount) SELECT 5 FROM generate_series(1, 1000);
	COMMIT;
}, name => 'long');
$node->poll_query_until('postgres',
	q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3)%' AND pid <> pg_backend_pid()});
$node->safe_psql('postgres', 'INSERT INTO ledger (amount) VALUES (9)');
wait_for_freshet($node);
my $pid = wait_for_worker($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
wait_for_worker($node, 'postgres', $pid);
$node->safe_psql('postgres', 'INSERT INTO ledger (amount) VALUES (9)');
wait_for_freshet($node);
is($node->safe_psql('postgres', 'SELECT total = (SELECT sum(amount) FROM ledger) FROM e_ledger'),
	't', 'a transaction under way holds nothing up');
is_deeply([ finish_background($long) ], [], 'it commits');
check_all('with a transaction that spans a restart of the worker');

# The worker's last words are those of the blows.
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/(is|are) built again|retracted from a group|vanished|could not read the write-ahead/,
	'no complaint in the log');

$node->stop;
done_testing();
