# Whose slot is it, and of what time?  Slots that others moved, made or read, copies
# of the server, servers without freshet: no change is lost, another's slot stays as it
# is, and the status does not say live of what nobody maintains.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node('slots', autovacuum => 'off', hot_standby => 'on');
my $oid = $node->safe_psql('postgres', q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, max(v) AS high FROM src GROUP BY k',
	b_copy => 'SELECT id, v FROM src WHERE k = 1',
	c_on_copy => 'SELECT count(*) AS count, sum(v) AS total FROM b_copy');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id serial PRIMARY KEY, k int, v numeric);
	CREATE ROLE reader REPLICATION LOGIN;
	INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 1000) i});

# A server on which nothing of freshet runs, and back: what is done in between.
sub without_freshet
{
	my ($server, @commands) = @_;
	my @results;

	$server->append_conf('postgresql.conf', "shared_preload_libraries = ''");
	$server->restart;
	push @results, $server->safe_psql('postgres', $_) foreach @commands;
	$server->append_conf('postgresql.conf', "shared_preload_libraries = 'freshet'");
	$server->restart;
	return @results;
}

sub is_exact
{
	my ($what, $server) = @_;
	$server //= $node;

	wait_for_worker($server);
	wait_for_freshet($server);
	ok($server->poll_query_until('postgres', q{SELECT bool_and(state = 'live') FROM freshet.status}),
		"$what: all live")
	  or diag($server->safe_psql('postgres', 'TABLE freshet.status'));
	wait_for_freshet($server);
	is_deeply([ differing_sinks($server, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($server) ], [], "$what: verify_sink()");
	return;
}

my $changes = q{INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 50) i;
	DELETE FROM src WHERE id = (SELECT min(id) FROM src); UPDATE src SET k = k + 1 WHERE id % 7 = 0};
my $our_slot = q{SELECT slot_name FROM freshet.worker};

# ---------------------------------------------------------------------------
# Others were there before
# ---------------------------------------------------------------------------

my $look = q{SELECT slot_name, slot_type, plugin, database, restart_lsn, confirmed_flush_lsn
	FROM pg_replication_slots WHERE slot_name NOT IN (SELECT slot_name FROM freshet.worker) ORDER BY 1};
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('postgres', "SELECT pg_create_physical_replication_slot('freshet_$oid', true)");
$node->safe_psql('other', "SELECT pg_create_logical_replication_slot('freshet_${oid}_2', 'pgoutput')");
$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('freshet_${oid}_3', 'pgoutput')");
$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('freshet_${oid}_4', 'freshet')");
my $before = $node->safe_psql('postgres', $look);
create_sinks($node, 'postgres', \%sinks);
is_exact('names that were taken');
is($node->safe_psql('postgres', $our_slot), "freshet_${oid}_5", 'another name');
is($node->safe_psql('postgres', $look), $before, 'the slots of others are as they were');
is($node->safe_psql('postgres', q{SELECT string_agg(slot_name, ' ' ORDER BY slot_name) FROM freshet.consumers}),
	"freshet_${oid}_3 freshet_${oid}_4", 'ours is no consumer');
$node->safe_psql('postgres', $changes);
my $worker = wait_for_worker($node);
$node->safe_psql('postgres', 'SELECT pg_terminate_backend(pid, 5000) FROM freshet.worker');
wait_for_worker($node, 'postgres', $worker);
is_exact('after a restart of the worker');
is($node->safe_psql('postgres', $our_slot), "freshet_${oid}_5", 'the same name');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name <> 'freshet_${oid}_5'");

# ---------------------------------------------------------------------------
# Moved, read, replaced
# ---------------------------------------------------------------------------

my $slot = "freshet_${oid}_5";
my $offset;
foreach my $case (
	[ 'moved on', "SELECT pg_replication_slot_advance('$slot', pg_current_wal_lsn())", qr/moved on/ ],
	[ 'read', "SELECT count(*) FROM pg_logical_slot_get_changes('$slot', NULL, NULL)", qr/moved on/ ],
	[ 'read in part', "SELECT count(*) FROM pg_logical_slot_get_changes('$slot', NULL, 10)", qr/moved on/ ],
	[ 'dropped and made', "SELECT pg_drop_replication_slot('$slot'); SELECT pg_create_logical_replication_slot('$slot', 'freshet')",
		qr/moved on/ ],
	[ 'dropped', "SELECT pg_drop_replication_slot('$slot')", undef ])
{
	my ($what, $command, $says) = @$case;

	$node->safe_psql('postgres', $changes);
	is_exact("before it is $what");
	$offset = -s $node->logfile;
	without_freshet($node, $changes, $command, $changes);
	is_exact("a slot that was $what");
	ok(log_says($node, $says, $offset), "a slot that was $what: the log says so") if $says;
	$node->safe_psql('postgres', $changes);
	is_exact("a slot that was $what, later");
	is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_replication_slots}), '1', "a slot that was $what: there is one");
}

# Looked at is not read; nor does it matter to move it to where it is.
$offset = -s $node->logfile;
without_freshet($node, $changes, "SELECT count(*) FROM pg_logical_slot_peek_changes('$slot', NULL, NULL)",
	"SELECT pg_replication_slot_advance('$slot', confirmed_flush_lsn) FROM pg_replication_slots WHERE confirmed_flush_lsn > restart_lsn");
is_exact('a slot that was looked at');
ok(!log_says($node, qr/slot .* anew/, $offset), 'a slot that was looked at: nothing is built anew');

# Replaced by what is not ours: left alone.
without_freshet($node, $changes, "SELECT pg_drop_replication_slot('$slot'); SELECT pg_create_physical_replication_slot('$slot', true)", $changes);
is_exact('a slot that was replaced');
isnt($node->safe_psql('postgres', $our_slot), $slot, 'a slot that was replaced: another name');
is($node->safe_psql('postgres', "SELECT slot_type FROM pg_replication_slots WHERE slot_name = '$slot'"), 'physical',
	'a slot that was replaced: it stays');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('$slot')");

# While there is a worker nobody can take it, whatever errors it meets.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE until (id int PRIMARY KEY);
	CREATE FUNCTION fails(i int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
	BEGIN
		IF i > 0 THEN RAISE EXCEPTION USING errcode = '57014'; END IF;
		RETURN i;
	END $$;
	SELECT freshet.create_sink('d_fails', 'SELECT id, fails(id) AS f FROM until')});
is_exact('before errors');
$slot = $node->safe_psql('postgres', $our_slot);
$node->safe_psql('postgres', $changes . '; INSERT INTO until VALUES (1)');
foreach (1 .. 5)
{
	my ($ret, undef, $err) = $node->psql('postgres', "SET ROLE reader; SELECT pg_replication_slot_advance('$slot', pg_current_wal_lsn())");
	like($err, qr/is active for PID/, 'the slot is held');
	select(undef, undef, undef, 0.2);
}
$node->safe_psql('postgres', 'DROP TABLE until CASCADE');
is_exact('after errors');

# ---------------------------------------------------------------------------
# Not loaded
# ---------------------------------------------------------------------------

my ($states) = without_freshet($node, q{SELECT string_agg(DISTINCT state || ': ' || hint, '; ') FROM freshet.status});
like($states, qr/^stopped: .*shared_preload_libraries/, 'a server that does not load freshet: stopped, and why');
is_exact('loaded again');
is($node->safe_psql('postgres', q{SELECT count(*) FROM freshet.status WHERE hint IS NOT NULL}), '0', 'live: no hint');

# ---------------------------------------------------------------------------
# Copies
# ---------------------------------------------------------------------------

# A copy of the stopped server, with its slots, as a server of its own: it goes on.
sub copy_of
{
	my ($name) = @_;
	my $copy = PostgreSQL::Test::Cluster->new($name);
	PostgreSQL::Test::RecursiveCopy::copypath($node->data_dir, $copy->data_dir);
	chmod(0700, $copy->data_dir);
	$copy->append_conf('postgresql.conf', 'port = ' . $copy->port);
	$copy->append_conf('postgresql.conf', "unix_socket_directories = '" . $copy->host . "'");
	return $copy;
}
$node->stop;
my $clone = copy_of('clone');
my $standby = copy_of('standby');
my $stale = copy_of('stale');
$clone->start;
$clone->safe_psql('postgres', $changes);
is_exact('a copy', $clone);
$clone->stop;

# Another becomes a standby, and is promoted when the catalogues have moved on.
$node->start;
$standby->append_conf('postgresql.conf', "primary_conninfo = '" . $node->connstr . "'");
$standby->set_standby_mode;
$standby->start;
foreach my $i (1 .. 4)
{
	$node->safe_psql('postgres', $changes);
	$node->safe_psql('postgres', "CREATE TABLE z$i (a int PRIMARY KEY); DROP TABLE z$i; ALTER TABLE src ADD COLUMN q int DEFAULT random()::int");
	$node->safe_psql('postgres', 'ALTER TABLE src DROP COLUMN q');
	wait_for_freshet($node);
	$node->safe_psql('postgres', "VACUUM $_") foreach qw(pg_class pg_attribute pg_type pg_index);
}
is_exact('the primary');
$node->wait_for_catchup($standby, 'replay', $node->lsn('insert'));
is($standby->safe_psql('postgres', q{SELECT string_agg(DISTINCT state, ', ') FROM freshet.status}), 'live',
	'a standby says what the primary says');

# The data of now with the slots of then, on the same timeline: as a backup that
# takes the slots along.
$node->stop;
my $mixed = copy_of('mixed');
PostgreSQL::Test::Utils::system_log('rm', '-rf', $mixed->data_dir . '/pg_replslot');
PostgreSQL::Test::RecursiveCopy::copypath($stale->data_dir . '/pg_replslot', $mixed->data_dir . '/pg_replslot');
$standby->promote;
$standby->safe_psql('postgres', $changes);
is_exact('a standby that had slots, promoted', $standby);
$standby->safe_psql('postgres', $changes);
is_exact('later', $standby);
$standby->stop;

$mixed->start;
$mixed->safe_psql('postgres', $changes);
is_exact('slots that are older than the data', $mixed);
$mixed->stop;

# ---------------------------------------------------------------------------
# pg_upgrade, if this server's programs can do it
# ---------------------------------------------------------------------------

SKIP:
{
	my $bindir = $node->config_data('--bindir');
	skip 'no pg_upgrade', 4 unless -x "$bindir/pg_upgrade";
	my $new = PostgreSQL::Test::Cluster->new('upgraded');
	$new->init;
	append_freshet_conf($new, hot_standby => 'on');
	# the tests' users need not be the same
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my $ok = PostgreSQL::Test::Utils::system_log('sh', '-c',
		"cd $dir && $bindir/pg_upgrade --no-sync -b $bindir -B $bindir -d " . $node->data_dir . ' -D ' . $new->data_dir
		  . ' -p ' . $node->port . ' -P ' . $new->port . ' -s ' . $node->host) == 0;
	ok($ok, 'pg_upgrade');
	$new->start;
	$new->safe_psql('postgres', $changes);
	is_exact('after pg_upgrade', $new);
	$new->stop;
}
done_testing();
