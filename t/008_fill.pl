# Filling of large sources by a second worker, under load and under fire: the
# other sinks stay fresh, nobody sees half a sink, and what the writers do
# meanwhile is neither lost nor counted twice.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = scaled(100_000);
my $node = new_freshet_node(
	'fill',
	deadlock_timeout => '100ms',
	restart_after_crash => 'on',
	# every source that has a page is large
	'freshet.fill_threshold' => 0,
	'freshet.work_mem' => '4MB');

$node->safe_psql(
	'postgres', qq{
	CREATE TABLE src (id bigserial PRIMARY KEY, k int, v numeric, pad text);
	INSERT INTO src (k, v, pad) SELECT i % 1000, i, 'x' FROM generate_series(1, $rows) i;
	CREATE TABLE parts (id int, k int, v int, PRIMARY KEY (id)) PARTITION BY HASH (id);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO parts SELECT i, i % 100, 1 FROM generate_series(1, 10000) i;
	CREATE TABLE ledger (id bigserial PRIMARY KEY, v int);
	CREATE TABLE lost (id bigserial PRIMARY KEY, k int);
	INSERT INTO lost (k) SELECT i FROM generate_series(1, $rows) i;
	-- takes its time: 2 s for all rows
	CREATE TABLE slow_src (id int PRIMARY KEY, v int);
	INSERT INTO slow_src SELECT i, 1 FROM generate_series(1, 500) i;
	CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS '
		BEGIN PERFORM pg_sleep(0.004); RETURN \$1; END';
	-- now, for it takes a lock that a prepared transaction would not let pass
	ALTER TABLE src REPLICA IDENTITY FULL;
	ALTER TABLE parts_0 REPLICA IDENTITY FULL;
	ALTER TABLE parts_1 REPLICA IDENTITY FULL;
	ALTER TABLE parts REPLICA IDENTITY FULL;
	ANALYZE});
my %sinks = (ledger_total => 'SELECT count(*) AS count, sum(v) AS total FROM ledger');
create_sinks($node, 'postgres', \%sinks);

my $write = q{
\set k random(0, 999)
\set id random(1, 120000)
BEGIN;
INSERT INTO src (k, v) VALUES (:k, :id);
UPDATE src SET k = :k, v = v + 1 WHERE id = :id;
DELETE FROM src WHERE id = :id + 1;
INSERT INTO ledger (v) VALUES (:k);
SAVEPOINT s;
UPDATE src SET v = 0 WHERE id BETWEEN :id AND :id + 3;
ROLLBACK TO SAVEPOINT s;
UPDATE parts SET v = v + 1, k = :k % 100 WHERE id = 1 + :id % 10000;
COMMIT;
};
# held back by the snapshot of a fill: commits late
my $late = q{
\set k random(0, 999)
\set id random(1, 120000)
BEGIN;
UPDATE src SET k = :k WHERE id % 50000 = :id % 50000;
INSERT INTO ledger (v) VALUES (1);
\sleep 300 ms
COMMIT;
};
my $dir = PostgreSQL::Test::Utils::tempdir();
my $stop = "$dir/stop";

sub writers
{
	my ($name, $clients, $rate, $script) = @_;
	PostgreSQL::Test::Utils::append_to_file("$dir/$name.sql", $script);
	my $connstr = $node->connstr('postgres');
	return start_loop($name, $stop,
		"pgbench -n -c $clients -T 1 -R $rate --max-tries 100 -f $dir/$name.sql \"$connstr\"; sleep 0.05");
}
my @background = (writers('writers', 4, 400, $write), writers('late', 2, 4, $late));

# A transaction that is prepared while sinks are filled.
$node->safe_psql('postgres', q{
	BEGIN;
	INSERT INTO src (k, v) SELECT 2000, 1 FROM generate_series(1, 100);
	DELETE FROM parts WHERE id = 9999;
	PREPARE TRANSACTION 'p'});

my %new = (
	groups => 'SELECT k, count(*) AS count, sum(v) AS total FROM src GROUP BY k',
	extremes => 'SELECT k % 10 AS k, min(v) AS low, max(v) AS high FROM src GROUP BY 1',
	total => 'SELECT count(*) AS count, sum(v) AS total, avg(v) AS mean FROM src',
	copied => 'SELECT id, v FROM src WHERE k % 7 = 0',
	of_parts => 'SELECT k, count(*) AS count, sum(v) AS total FROM parts GROUP BY k');

sub settle
{
	my ($what) = @_;
	ok( $node->poll_query_until('postgres',
			q{SELECT count(*) = 0 FROM freshet.status WHERE state <> 'live'}),
		"$what: all live")
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	return;
}

sub exact_now
{
	my ($what) = @_;
	is_deeply([ verify_all($node) ], [], "$what: exact while others write");
	return;
}

# ---------------------------------------------------------------------------
# Undisturbed
# ---------------------------------------------------------------------------

create_sinks($node, 'postgres', \%new);
%sinks = (%sinks, %new);
create_sinks($node, 'postgres', { slow => 'SELECT count(*) AS count, sum(slowly(v)) AS total FROM slow_src' });
my ($halves, $looks, $fresh, $fillers, $progress) = (0, 0, 0, 0, 0);
my $end = time() + 60;
while (time() < $end)
{
	my ($building, $total, $filler, $seen) = split /\|/, $node->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM freshet.status WHERE state <> 'live'),
			(SELECT sum(count) FROM groups),
			(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet filler'),
			(SELECT count(*) FROM freshet.progress
				WHERE phase = 'scanning' AND rows_done <= 500 AND sink::text = 'slow')});
	$looks++;
	$fillers += $filler;
	$progress += $seen;
	$halves++ if $total ne '' && $total < $rows / 2;
	last if $building == 0;

	# others are fresh meanwhile
	$node->safe_psql('postgres', q{INSERT INTO ledger (v) VALUES (1); SELECT freshet.wait('10 s')});
	$fresh++ if $node->safe_psql('postgres',
		q{SELECT state FROM freshet.status WHERE sink::text = 'slow'}) eq 'building';
}
cmp_ok($fresh, '>=', 3, "other sinks were fresh $fresh times while one was filled");
settle('undisturbed');
cmp_ok($fillers, '>', 0, 'a second worker filled');
cmp_ok($progress, '>', 0, 'freshet.progress showed it');
is($halves, 0, "nobody saw half a sink in $looks looks");
is($node->safe_psql('postgres', 'SELECT count, total FROM slow'), '500|500', 'the slow one is complete');
$node->safe_psql('postgres', q{SELECT freshet.drop_sink('slow')});
exact_now('undisturbed');

# ---------------------------------------------------------------------------
# Under fire
# ---------------------------------------------------------------------------

my @names = sort keys %new;
my $n = 0;

sub terminate
{
	my ($type) = @_;
	return $node->psql('postgres',
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = '$type'");
}
my @fire = (
	[ 'the worker is terminated', sub { terminate('freshet worker') } ],
	[ 'the filler is terminated', sub { terminate('freshet filler') } ],
	[ 'the filler is terminated again and again', sub {
			for (1 .. 5)
			{
				terminate('freshet filler');
				sleep(0.2);
			} } ],
	[ 'another rebuild', sub {
			$node->safe_psql('postgres', "SELECT freshet.rebuild_sink('$_')")
			  foreach @names[ 0, 1, 2 ] } ],
	[ 'pause and resume', sub {
			$node->safe_psql('postgres', "SELECT freshet.pause_sink('$names[0]')");
			sleep(0.2);
			$node->safe_psql('postgres', "SELECT freshet.resume_sink('$names[0]')") } ],
	[ 'drop and create', sub {
			$node->safe_psql('postgres', "SELECT freshet.drop_sink('$_')") foreach @names;
			create_sinks($node, 'postgres', \%new) } ],
	[ 'kill -9 of the worker', sub { kill_worker($node) } ],
	[ 'immediate stop', sub { $node->stop('immediate'); $node->start } ],
	[ 'the prepared transaction is committed', sub {
			$node->safe_psql('postgres', "COMMIT PREPARED 'p'") } ],
	[ 'VACUUM FULL', sub { $node->safe_psql('postgres', 'VACUUM FULL src') } ],
	[ 'rewrite', sub {
			$node->safe_psql('postgres', 'ALTER TABLE src ALTER COLUMN pad TYPE varchar(50), '
				  . 'ADD COLUMN r float8 DEFAULT random()') } ],
	[ 'DETACH and ATTACH', sub {
			$node->safe_psql('postgres', q{
			BEGIN;
			ALTER TABLE parts DETACH PARTITION parts_1;
			UPDATE parts_1 SET v = v + 10;
			ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
			COMMIT}) } ],
	[ 'TRUNCATE', sub {
			$node->safe_psql('postgres', 'TRUNCATE src, parts; '
				  . 'INSERT INTO src (k, v) SELECT i, i FROM generate_series(1, 1000) i') } ],
);
foreach my $fire (@fire)
{
	my ($what, $sub) = @$fire;
	$node->safe_psql('postgres', "SELECT freshet.rebuild_sink('$_')") foreach @names;
	sleep(rand(0.5));
	$sub->();
	settle($what);
	exact_now($what);
}

# A source that goes away while it is read.
create_sinks($node, 'postgres', { of_lost => 'SELECT k % 10 AS k, count(*) FROM lost GROUP BY 1' });
sleep(0.1);
$node->safe_psql('postgres', 'SET client_min_messages = error; DROP TABLE lost CASCADE');
$node->safe_psql('postgres', q{INSERT INTO ledger (v) VALUES (1); SELECT freshet.wait('20 s')});
settle('a source dropped while it is read');

PostgreSQL::Test::Utils::append_to_file($stop, '');
is_deeply([ finish_background(@background) ], [], 'writers ended');
wait_for_freshet($node);
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'plain SQL in the end');
is_deeply([ verify_all($node) ], [], 'verify_sink() in the end');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet filler'}),
	'0', 'no filler is left');
is($node->safe_psql('postgres', 'SELECT count(*) FROM freshet.progress'), '0', 'nor its progress');
$node->stop;
done_testing();
