# Slots that are lost or given up, servers that are not set up, idle servers,
# dumps.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_freshet_node(
	'slot',
	max_wal_size => '64MB',
	min_wal_size => '32MB',
	checkpoint_timeout => '1h',
	# its commits are commits
	autovacuum => 'off');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id serial PRIMARY KEY, k int, v numeric);
	CREATE TABLE other (filler text);
	INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 1000) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, max(v) AS high FROM src GROUP BY k',
	b_copy => 'SELECT id, v FROM src WHERE k = 1',
	c_on_copy => 'SELECT count(*) AS count, sum(v) AS total FROM b_copy',
	d_joined => 'SELECT a.k, count(*) AS count, sum(b.v) AS total FROM src a JOIN src b ON b.k = a.k AND b.id = a.id + 10 GROUP BY a.k',
	f_stages => 'SELECT n, count(*) AS count, sum(v) AS total FROM (SELECT k, count(DISTINCT v) AS n, sum(v) AS v FROM src GROUP BY k) x GROUP BY n',
	e_outer => 'SELECT a.id, b.v FROM src a LEFT JOIN b_copy b ON b.id = a.id + 10 WHERE a.id < 50');
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);
my $oid = $node->safe_psql('postgres', q{SELECT oid FROM pg_database WHERE datname = 'postgres'});

sub is_exact
{
	my ($what) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	return;
}

sub slots
{
	return $node->safe_psql('postgres', q{SELECT string_agg(slot_name, ', ') FROM pg_replication_slots});
}

# ---------------------------------------------------------------------------
# An idle server
# ---------------------------------------------------------------------------

is_exact('filled');
$node->safe_psql('postgres', 'VACUUM');
$node->safe_psql('postgres', 'CHECKPOINT');
wait_for_freshet($node);
sleep(1);
my $look = 'SELECT pg_current_wal_lsn(), (SELECT batches FROM freshet.worker)';
$node->safe_psql('postgres', $look) for 1 .. 2;
my $before = $node->safe_psql('postgres', $look);
sleep(3);
# (a snapshot of running transactions may be logged: 15 s at least in between)
my $after = $node->safe_psql('postgres', $look);
my ($lsn1, $batches1, $lsn2, $batches2) = map { split /\|/ } ($before, $after);
is($batches2, $batches1, 'no batch without a commit');
cmp_ok(
	$node->safe_psql('postgres', "SELECT '$lsn2'::pg_lsn - '$lsn1'::pg_lsn"),
	'<', 500, 'an idle server writes no log');
$node->safe_psql('postgres', 'SELECT count(*) FROM src') for 1 .. 20;
is( (split /\|/, $node->safe_psql('postgres', $look))[1],
	$batches1, 'readers make no batches');

# One commit: a handful of batches, and then peace again.
$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (1, 1)');
ok( $node->poll_query_until('postgres', 'SELECT total = (SELECT sum(v) FROM src WHERE k = 1) FROM c_on_copy'),
	'a commit wakes the worker');
sleep(0.5);
$batches1 = (split /\|/, $node->safe_psql('postgres', $look))[1];
sleep(2);
cmp_ok((split /\|/, $node->safe_psql('postgres', $look))[1] - $batches1, '<=', 1, 'and then it sleeps again');

# ---------------------------------------------------------------------------
# The slot is gone
# ---------------------------------------------------------------------------

# Dropped by hand.  The worker has it; so the database is closed to the worker
# for as long as it takes, by a server that does not load freshet.
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->start;
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('freshet_$oid')");
$node->safe_psql('postgres', q{
	INSERT INTO src (k, v) SELECT 1, i FROM generate_series(1, 100) i;
	DELETE FROM src WHERE id < 100});
my ($ret, $out, $err) =
  $node->psql('postgres', q{SELECT freshet.create_sink('nope', 'SELECT count(*) FROM src')});
isnt($ret, 0, 'create_sink() without the preload is an error');
like($err, qr/shared_preload_libraries = '?freshet/, 'that names the line of postgresql.conf');
($ret, $out, $err) = $node->psql('postgres', q{SELECT freshet.wait()});
isnt($ret, 0, 'and so is wait()');
like($err, qr/shared_preload_libraries/, 'for the same reason');
$node->stop;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'freshet'");
$node->start;
$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (3, 3)');
is_exact('a slot that was dropped by hand');
is(slots(), "freshet_$oid", 'there is one again');

# Terminated and dropped under a running server, under load: whoever is first.
my $writers = start_pgbench($node, name => 'writers', clients => 2, seconds => 4, rate => 300,
	script => q{
\set k random(0, 9)
INSERT INTO src (k, v) VALUES (:k, 1);
DELETE FROM src WHERE id = (SELECT min(id) FROM src WHERE k = :k);
});
foreach (1 .. 3)
{
	$node->psql('postgres', qq{
		DO \$\$
		BEGIN
			PERFORM pg_terminate_backend(pid, 5000) FROM freshet.worker;
			PERFORM pg_drop_replication_slot('freshet_$oid');
		EXCEPTION WHEN OTHERS THEN NULL;
		END \$\$});
	sleep(0.7);
}
is_deeply([ finish_background($writers) ], [], 'writers do not notice');
is_exact('a slot that was dropped under load');

# Invalidated by max_slot_wal_keep_size, while the worker is stopped.
my $worker = wait_for_worker($node);
$node->append_conf('postgresql.conf', 'max_slot_wal_keep_size = 16MB');
$node->reload;
kill 'STOP', $worker;
$node->safe_psql('postgres', 'INSERT INTO src (k, v) SELECT 2, i FROM generate_series(1, 100) i');
foreach (1 .. 8)
{
	$node->safe_psql('postgres',
		q{INSERT INTO other SELECT repeat('x', 2000) FROM generate_series(1, 5000); TRUNCATE other});
	$node->safe_psql('postgres', 'SELECT pg_switch_wal()');
}
# The checkpointer terminates the process that holds the slot; a process that
# is stopped takes the signal when it goes on.
my $checkpoint = start_background_sql($node, 'postgres', 'CHECKPOINT;', name => 'checkpoint');
sleep(1);
kill 'CONT', $worker;
is_deeply([ finish_background($checkpoint) ], [], 'the checkpoint ends');
ok(log_says($node, qr/invalidating|terminating process \d+ to release replication slot/),
	'the slot was invalidated');
$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (4, 4)');
is_exact('a slot that was invalidated');
is( $node->safe_psql('postgres',
		q{SELECT count(*) FROM pg_replication_slots WHERE wal_status IN ('reserved', 'extended')}),
	'1', 'the new slot is sound');
$node->append_conf('postgresql.conf', 'max_slot_wal_keep_size = -1');
$node->reload;

# ---------------------------------------------------------------------------
# Log that is kept: freshet.max_wal_lag
# ---------------------------------------------------------------------------

$worker = wait_for_worker($node);
my $offset = -s $node->logfile;
$node->append_conf('postgresql.conf', 'freshet.max_wal_lag = 16MB');
$node->reload;
kill 'STOP', $worker;
$node->safe_psql('postgres', 'CREATE DATABASE elsewhere');
$node->safe_psql('postgres', q{
	INSERT INTO src (k, v) SELECT 5, i FROM generate_series(1, 1000) i;
	INSERT INTO other SELECT repeat('x', 2000) FROM generate_series(1, 15000)});
kill 'CONT', $worker;
$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (6, 6)');
is_exact('log beyond freshet.max_wal_lag');

sub write_log
{
	$node->safe_psql('postgres',
		q{INSERT INTO other SELECT repeat('x', 2000) FROM generate_series(1, 4000)});
	$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (8, 8)');
}

# The worker keeps up, unless it is held up.
sub write_log_until
{
	my ($done, $held_up) = @_;
	my $end = time() + $FreshetTest::timeout;
	until ($done->() || time() >= $end)
	{
		write_log();
		wait_for_freshet($node) unless $held_up;
	}
	return $done->();
}

# From here on more than the worker leaves unconfirmed for a moment.
$node->append_conf('postgresql.conf', 'freshet.max_wal_lag = 64MB');
$node->reload;
wait_for_freshet($node);
$offset = -s $node->logfile;

# One that is prepared, or runs in another database, is not for this one to wait for.
$node->safe_psql('elsewhere', q{BEGIN; CREATE TABLE late (); PREPARE TRANSACTION 'elsewhere'});
my $kept = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
ok( write_log_until(
		sub {
			$node->safe_psql('postgres', qq{
				CHECKPOINT;
				SELECT bool_and(restart_lsn > '$kept') FROM pg_replication_slots WHERE database = 'postgres'}) eq 't';
		}),
	'no log is kept for a transaction of another database');
$node->safe_psql('elsewhere', q{COMMIT PREPARED 'elsewhere'});

# Log that is kept for a transaction under way is not the worker's to free.
my $long = $node->background_psql('postgres');
my $pid = $long->query_safe('BEGIN; INSERT INTO src (k, v) VALUES (7, 7); SELECT pg_backend_pid()');
chomp $pid;
ok( write_log_until(sub { log_says($node, qr/WARNING: .* for a transaction under way/, $offset) }),
	'of a long transaction it is warned');
ok(log_says($node, qr/DETAIL: +Process $pid of database/, $offset), 'which is named');
ok(!log_says($node, qr/gives up its replication slot/, $offset), 'the slot is kept');
is_exact('beside a long transaction');
$long->query_safe('COMMIT');
$long->quit;

# What the worker cannot apply is.
my $locker = $node->background_psql('postgres');
$locker->query_safe('BEGIN; LOCK a_groups');
ok( write_log_until(sub { log_says($node, qr/WARNING: .*gives up its replication slot/, $offset) }, 1),
	'the slot is given up when the worker is held up, with a warning');
ok(log_says($node, qr/HINT: .*freshet\.max_wal_lag/, $offset), 'that names the setting');
$locker->query_safe('COMMIT');
$locker->quit;
is_exact('a slot that was given up');
$node->append_conf('postgresql.conf', 'freshet.max_wal_lag = 10GB');
$node->reload;

# ---------------------------------------------------------------------------
# Dump and restore
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{CREATE INDEX by_count ON a_groups (count); GRANT SELECT ON a_groups TO PUBLIC});
is_exact('before the dump');
$node->safe_psql('postgres', 'TRUNCATE other');
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-Fc', '-f', $dump, '-d', $node->connstr('postgres') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored'), $dump ], 'pg_restore');
is( $node->safe_psql('restored', 'SELECT count(*) FROM freshet.status'),
	scalar(keys %sinks), 'the sinks are there');
is( $node->safe_psql('restored', q{SELECT string_agg(DISTINCT state, ', ') FROM freshet.status}),
	'building', 'none is live');
is( $node->safe_psql('restored', q{SELECT count(*) FROM pg_class
		WHERE relnamespace = 'freshet_stage'::regnamespace AND relkind = 'r' AND relname LIKE 'groups%'}),
	'0', 'the states of groups are not in a dump');
is( $node->safe_psql('restored', q{SELECT count(*) FROM freshet.stage WHERE sink = 'f_stages'::regclass}),
	'3', 'stages are');
is( $node->safe_psql('restored', 'SELECT total = (SELECT sum(v) FROM src WHERE k = 1) FROM c_on_copy'),
	't', 'their rows are there');
($ret, $out, $err) = $node->psql('restored', 'DELETE FROM a_groups');
isnt($ret, 0, 'they cannot be written');
$node->safe_psql('restored', q{
	INSERT INTO src (k, v) VALUES (9, 9), (11, 11);
	SELECT freshet.rebuild_sink(sink) FROM freshet.status});
wait_for_freshet($node, 'restored');
is_deeply([ differing_sinks($node, 'restored', \%sinks) ], [], 'after rebuild_sink() they are exact');
$node->safe_psql('restored', 'UPDATE src SET k = 1 WHERE k = 2; INSERT INTO src (k, v) VALUES (1, 1)');
wait_for_freshet($node, 'restored');
is_deeply([ differing_sinks($node, 'restored', \%sinks) ], [], 'and live');
is_deeply([ verify_all($node, 'restored') ], [], 'verify_sink() of restored sinks');
is( $node->safe_psql('restored', q{SELECT count(*) FROM pg_indexes WHERE indexname = 'by_count'}),
	'1', 'with their indexes');
$node->safe_psql('restored', 'DROP TABLE f_stages');
is( $node->safe_psql('restored', q{SELECT count(*) FROM freshet.stage WHERE stage <> sink}),
	'0', 'stages are dropped with their sink');
$node->safe_psql('postgres', 'CREATE DATABASE restored_too');
$node->command_ok([ 'pg_restore', '-e', '-d', $node->connstr('restored_too'), $dump ], 'pg_restore once more');
$node->safe_psql('restored_too', 'DROP TABLE f_stages');
is( $node->safe_psql('restored_too', q{SELECT count(*) FROM freshet.sink WHERE stage_of IS NOT NULL}),
	'0', 'and with one that was never rebuilt');
is_exact('the original');

# ---------------------------------------------------------------------------
# A server that is not set up
# ---------------------------------------------------------------------------

$node->stop;
my $bare = PostgreSQL::Test::Cluster->new('bare');
$bare->init;
append_freshet_conf($bare, wal_level => 'replica');
$bare->start;
$bare->safe_psql('postgres', 'CREATE EXTENSION freshet; CREATE TABLE src (id int PRIMARY KEY)');
($ret, $out, $err) =
  $bare->psql('postgres', q{SELECT freshet.create_sink('s', 'SELECT count(*) FROM src')});
isnt($ret, 0, 'create_sink() needs wal_level');
like($err, qr/wal_level = '?logical/, 'and names the line of postgresql.conf');
is($bare->safe_psql('postgres', 'SELECT count(*) FROM freshet.status'), '0', 'the views work');

# wal_level lowered under sinks that exist: no loop of errors, and a way back.
$bare->append_conf('postgresql.conf', 'wal_level = logical');
$bare->restart;
$bare->safe_psql('postgres', q{SELECT freshet.create_sink('s', 'SELECT count(*) AS count FROM src')});
wait_for_freshet($bare);
$bare->safe_psql('postgres', 'SELECT pg_terminate_backend(pid, 5000) FROM freshet.worker');
$bare->stop;
$bare->append_conf('postgresql.conf', 'wal_level = replica');
$ret = $bare->start(fail_ok => 1);
is($ret, 0, 'PostgreSQL itself refuses a lower wal_level while there is a slot');
$bare->append_conf('postgresql.conf', 'wal_level = logical');
$bare->start;
$bare->safe_psql('postgres', 'INSERT INTO src VALUES (1)');
wait_for_freshet($bare);
is($bare->safe_psql('postgres', 'TABLE s'), '1', 'live again');

# Too few slots or worker processes: a message, not a crash; and a way back.
my $dboid = $bare->safe_psql('postgres', q{SELECT oid FROM pg_database WHERE datname = 'postgres'});
$bare->append_conf('postgresql.conf', "max_replication_slots = 1\nmax_worker_processes = 3");
$bare->restart;
$bare->safe_psql('postgres', 'CREATE DATABASE more');
$bare->safe_psql('more', 'CREATE EXTENSION freshet; CREATE TABLE src (id int PRIMARY KEY)');
$bare->safe_psql('more', q{SELECT freshet.create_sink('s', 'SELECT count(*) AS count FROM src')});
($ret, $out, $err) = $bare->psql('more', q{SELECT freshet.wait('3 s')});
isnt($ret, 0, 'no slot, no sink');
ok( log_says($bare, qr/max_replication_slots|max_worker_processes|replication (origin|state)/),
	'the log says why');
$bare->safe_psql('postgres', 'INSERT INTO src VALUES (2)');
wait_for_freshet($bare);
is($bare->safe_psql('postgres', 'TABLE s'), '2', 'the sinks that have a slot are live');
$bare->append_conf('postgresql.conf', "max_replication_slots = 4\nmax_worker_processes = 8");
$bare->restart;
$bare->safe_psql('more', 'INSERT INTO src VALUES (1)');
wait_for_freshet($bare, 'more');
is($bare->safe_psql('more', 'SELECT count FROM s'), '1', 'with another slot, these too');
$bare->stop;

done_testing();
