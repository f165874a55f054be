# Commands on the extension and on databases: no slot, no worker and no origin
# stays behind, and no worker stands in the way.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_freshet_node('databases', 'freshet.max_workers' => 4);

sub set_up
{
	my ($db) = @_;
	$node->safe_psql(
		$db, q{
		CREATE TABLE src (id serial PRIMARY KEY, k int, v int);
		INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 100) i});
	create_sinks($node, $db,
		{   groups => 'SELECT k, count(*) AS count, sum(v) AS total FROM src GROUP BY k',
			total => 'SELECT count(*) AS count, sum(v) AS total FROM src' });
	wait_for_freshet($node, $db);
	return;
}

# What a database's sinks have outside of it: "slots|origins|workers".
sub traces
{
	my ($oid) = @_;
	return $node->safe_psql('postgres', qq{
		SELECT (SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'freshet_$oid'),
			(SELECT count(*) FROM pg_replication_origin WHERE roname = 'freshet_$oid'),
			(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet worker' AND datid = $oid)});
}

sub no_trace
{
	my ($oid, $what) = @_;
	my $gone;
	for (1 .. 200)
	{
		$gone = traces($oid);
		last if $gone eq '0|0|0';
		sleep(0.05);
	}
	is($gone, '0|0|0', $what);
	return;
}

sub oid_of
{
	my ($db) = @_;
	return $node->safe_psql('postgres', "SELECT oid FROM pg_database WHERE datname = '$db'");
}

sub is_alive
{
	my ($db, $what) = @_;
	$node->safe_psql($db, 'INSERT INTO src (k, v) VALUES (1, 1)');
	wait_for_freshet($node, $db);
	is( $node->safe_psql($db, 'SELECT t.count = (SELECT count(*) FROM src) FROM total t'),
		't', $what);
	is_deeply([ verify_all($node, $db) ], [], "$what: exact");
	return;
}

# ---------------------------------------------------------------------------
# Nothing without sinks
# ---------------------------------------------------------------------------

my $postgres = oid_of('postgres');
sleep(1);
is(traces($postgres), '0|0|0', 'an extension without sinks has no worker');

# create_sink() that is rolled back, or fails
$node->safe_psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY, k int)');
$node->safe_psql('postgres', q{
	BEGIN;
	SELECT freshet.create_sink('s', 'SELECT k, count(*) FROM t GROUP BY k');
	ROLLBACK});
sleep(1);
is(traces($postgres), '0|0|0', 'nor after a create_sink() that is rolled back');

# ---------------------------------------------------------------------------
# The last sink, the extension
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{SELECT freshet.create_sink('s', 'SELECT k, count(*) FROM t GROUP BY k')});
wait_for_freshet($node);
is(traces($postgres), '1|1|1', 'a sink has a slot, an origin and a worker');
$node->safe_psql('postgres', q{SELECT freshet.drop_sink('s')});
no_trace($postgres, 'drop_sink() of the last sink');

# and again: the worker may be on its way out
for my $round (1 .. 5)
{
	$node->safe_psql('postgres',
		q{SELECT freshet.create_sink('s', 'SELECT k, count(*) FROM t GROUP BY k')});
	sleep(rand(0.3)) if $round % 2;
	$node->safe_psql('postgres', 'DROP TABLE s');
	sleep(rand(0.2)) if $round % 3;
}
$node->safe_psql('postgres',
	q{SELECT freshet.create_sink('s', 'SELECT k, count(*) FROM t GROUP BY k')});
$node->safe_psql('postgres', 'INSERT INTO t VALUES (1, 1)');
wait_for_freshet($node);
is($node->safe_psql('postgres', 'SELECT k, count FROM s'), '1|1', 'made anew as the worker leaves');
$node->safe_psql('postgres', 'DROP TABLE s');
no_trace($postgres, 'DROP TABLE of the last sink');

$node->safe_psql('postgres', q{
	SELECT freshet.create_sink('s', 'SELECT k, count(*) FROM t GROUP BY k');
	CREATE VIEW on_s AS SELECT * FROM s});
wait_for_freshet($node);
my ($ret, $out, $err) = $node->psql('postgres', 'DROP TABLE t');
isnt($ret, 0, 'DROP TABLE of a source is refused');
like($err, qr/depends on/, 'because of the sink');
$node->safe_psql('postgres', 'DROP TABLE t CASCADE');
no_trace($postgres, 'DROP TABLE ... CASCADE of the source of the last sink');

set_up('postgres');
($ret, $out, $err) = $node->psql('postgres', 'DROP EXTENSION freshet');
diag("DROP EXTENSION: $err") if $ret != 0 && $err !~ /CASCADE/;
if ($ret != 0)
{
	is(traces($postgres), '1|1|1', 'DROP EXTENSION without CASCADE is refused, and nothing is lost');
	is_alive('postgres', 'after a DROP EXTENSION that was refused');
	$node->safe_psql('postgres', 'DROP EXTENSION freshet CASCADE');
}
no_trace($postgres, 'DROP EXTENSION');
is($node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'freshet%'}), '0',
	'no schema stays behind');
is( $node->safe_psql('postgres', q{SELECT count(*) FROM pg_event_trigger WHERE evtname LIKE 'freshet%'}),
	'0', 'nor an event trigger');
$node->safe_psql('postgres', 'DROP TABLE IF EXISTS groups, total, src CASCADE; CREATE EXTENSION freshet');
set_up('postgres');
is_alive('postgres', 'extension made anew');

# a transaction that drops everything and thinks better of it
$node->safe_psql('postgres', q{BEGIN; DROP EXTENSION freshet CASCADE; ROLLBACK});
is_alive('postgres', 'after DROP EXTENSION was rolled back');

# ---------------------------------------------------------------------------
# Databases
# ---------------------------------------------------------------------------

foreach my $db (qw(one two))
{
	create_database($node, $db);
	set_up($db);
}
is_alive($_, "of several databases, $_") foreach qw(postgres one two);
isnt(worker_pid($node, 'one'), worker_pid($node, 'two'), 'each has a worker of its own');

# what fails in one is no matter for the others
$node->safe_psql('one', q{
	SELECT freshet.create_sink('quotient', 'SELECT k, sum(100 / v) AS q FROM src GROUP BY k')});
wait_for_freshet($node, 'one');
$node->safe_psql('one', 'INSERT INTO src (k, v) VALUES (1, 0)');
ok(wait_for_state($node, 'one', 'quotient', 'failed'), 'a sink fails');
is_alive('two', 'beside a failed sink in another database');
$node->safe_psql('one', 'DELETE FROM src WHERE v = 0');
$node->safe_psql('one', q{SELECT freshet.rebuild_sink('quotient')});
ok(wait_for_state($node, 'one', 'quotient', 'live'), 'it is healed');
is_alive('one', 'a healed sink');

# Each of these wants nobody to be connected.
my $one = oid_of('one');
foreach my $try (1 .. 3)
{
	$node->safe_psql('postgres', 'ALTER DATABASE one RENAME TO uno');
	is_alive('uno', "renamed ($try)");
	$node->safe_psql('postgres', 'ALTER DATABASE uno RENAME TO one');
}
wait_for_worker($node, 'one');
is(traces($one), '1|1|1', 'a renamed database keeps its slot and origin');

$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
is_alive('one', 'after it was the template of another');
my $copy = oid_of('copy');
sleep(1);
is(traces($copy), '0|0|0', 'a copy has no worker');
is( $node->safe_psql('copy', q{SELECT string_agg(DISTINCT state, ', ') FROM freshet.status}),
	'building', 'none of its sinks pretends to be live');
($ret, $out, $err) = $node->psql('copy', q{SELECT freshet.verify_sink('total')});
isnt($ret, 0, 'nor is verified');
($ret, $out, $err) = $node->psql('copy', q{SELECT freshet.wait('500 ms')});
isnt($ret, 0, 'nor waited for');
$node->safe_psql('copy', q{INSERT INTO src (k, v) VALUES (2, 2); SELECT freshet.rebuild_sink('total')});
ok(wait_for_state($node, 'copy', 'total', 'live'), 'until it is rebuilt');
$node->safe_psql('copy', q{SELECT freshet.rebuild_sink(sink) FROM freshet.status});
is_alive('copy', 'a copy that was rebuilt');
is_alive('one', 'the original beside its copy');

# A command that fails must let the worker in again.
($ret) = $node->psql('postgres', 'CREATE DATABASE copy TEMPLATE one');
isnt($ret, 0, 'CREATE DATABASE fails');
is_alive('one', 'after a CREATE DATABASE that failed');
my $visitor = start_background_sql($node, 'one', 'SELECT pg_sleep(1000);', name => 'visitor');
$node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'});
($ret, $out, $err) = $node->psql('postgres', 'DROP DATABASE one');
isnt($ret, 0, 'DROP DATABASE fails while somebody else is connected');
like($err, qr/is being accessed by other users/, 'for that reason');
is_alive('one', 'after a DROP DATABASE that failed');
$node->safe_psql('postgres', q{DROP DATABASE one WITH (FORCE)});
is_deeply([ finish_background($visitor) ], ['visitor'], 'who was connected is no more');
no_trace($one, 'DROP DATABASE ... WITH (FORCE)');

# under load, with the worker in the midst of a batch
my $two = oid_of('two');
my $load = start_pgbench($node, db => 'two', clients => 2, seconds => 2,
	script => 'INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 1000) i;');
finish_background($load);
$node->safe_psql('postgres', 'DROP DATABASE two');
no_trace($two, 'DROP DATABASE with the worker busy');
$node->safe_psql('postgres', 'DROP DATABASE copy');
no_trace($copy, 'DROP DATABASE of the copy');
is_alive('postgres', 'the database that is left');

# ---------------------------------------------------------------------------
# More databases than workers
# ---------------------------------------------------------------------------

# Databases that came and went have left their places.
foreach my $n (1 .. 4)
{
	create_database($node, "short$n");
	$node->safe_psql("short$n", q{
		CREATE TABLE src (id serial PRIMARY KEY, k int, v int);
		SELECT freshet.create_sink('total', 'SELECT count(*) AS count FROM src')});
	wait_for_freshet($node, "short$n");
	$node->safe_psql('postgres', "DROP DATABASE short$n");
}
is_alive('postgres', 'after databases that came and went');

my @many = map { "many$_" } (1 .. 4);
foreach my $db (@many)
{
	create_database($node, $db);
	($ret, $out, $err) = $node->psql($db, q{
		CREATE TABLE src (id serial PRIMARY KEY, k int, v int);
		SELECT freshet.create_sink('total', 'SELECT count(*) AS count FROM src')});
}
like($err, qr/no freshet worker is left/, 'one database too many is told so');
like($err, qr/HINT: .*freshet\.max_workers/, 'and what to do');
is($node->safe_psql('many4', q{SELECT to_regclass('total') IS NULL AND (SELECT count(*) = 0 FROM freshet.sink)}),
	't', 'its sink is not made');
is_alive($_, "the other, $_") foreach qw(postgres many1 many3);

# The place of a database without sinks is another's to take.
$node->safe_psql('many2', q{SELECT freshet.drop_sink('total')});
ok($node->poll_query_until('postgres',
		q{SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'freshet worker' AND datname = 'many2'}),
	'the worker of a database ends with its last sink');
$node->safe_psql('many4', q{SELECT freshet.create_sink('total', 'SELECT count(*) AS count FROM src')});
is_alive('many4', 'the next database takes its place');
($ret, $out, $err) = $node->psql('many2', q{SELECT freshet.create_sink('total', 'SELECT count(*) AS count FROM src')});
like($err, qr/no freshet worker is left/, 'which is gone for the first');
$node->append_conf('postgresql.conf', 'freshet.max_workers = 5');
$node->restart;
$node->safe_psql('many2', q{SELECT freshet.create_sink('total', 'SELECT count(*) AS count FROM src')});
is_alive('many2', 'until the limit is higher');
is_alive($_, 'as the others are') foreach qw(many1 many4);

# ---------------------------------------------------------------------------
# What an administrator sets for the sessions of a database is not for its worker.
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE ROLE app;
	ALTER DATABASE many1 SET role = app;
	ALTER DATABASE many1 SET default_transaction_read_only = on;
	ALTER DATABASE many4 ALLOW_CONNECTIONS false});
$node->restart;
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_replication_slots WHERE database = 'many4' AND active}),
	'the log of a database that is closed to sessions is read');
$node->safe_psql('postgres', q{
	ALTER DATABASE many1 RESET role;
	ALTER DATABASE many1 RESET default_transaction_read_only;
	ALTER DATABASE many4 ALLOW_CONNECTIONS true});
is_alive($_, 'whatever is set for the sessions of a database') foreach qw(many1 many4);

# ---------------------------------------------------------------------------
# wait()
# ---------------------------------------------------------------------------

my $worker = wait_for_worker($node, 'many1');
kill 'STOP', $worker;
($ret, $out, $err) = $node->psql('many1', q{INSERT INTO src (k) VALUES (1); SELECT freshet.wait('300 ms')});
kill 'CONT', $worker;
isnt($ret, 0, 'wait() with a worker that does not answer ends in time');
like($err, qr/timeout while waiting for the sinks/, 'with an error');
is_alive('many1', 'afterwards');

($ret, $out, $err) = $node->psql('many1', q{
	SET statement_timeout = '300 ms';
	BEGIN; LOCK TABLE src; SELECT freshet.wait('5 s')});
unlike($err, qr/timeout while waiting/, 'statement_timeout goes before');
is_alive('many1', 'after a wait() that was cancelled');

$node->safe_psql('many1', 'SELECT pg_terminate_backend(pid) FROM freshet.worker');
wait_for_worker($node, 'many1', $worker);
is_alive('many1', 'a worker that was terminated comes again');

unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile),
	qr/freshet worker.*(ERROR|FATAL)|could not start the freshet worker/, 'no complaint in the log');
$node->stop;
done_testing();
