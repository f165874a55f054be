# Commands on sources and sinks while writers write: nobody is blocked for
# good, nothing fails, and the sinks stay exact.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_freshet_node(
	'ddl',
	deadlock_timeout => '100ms',
	autovacuum_naptime => '1s',
	autovacuum_vacuum_threshold => 10,
	autovacuum_vacuum_scale_factor => 0,
	autovacuum_vacuum_cost_delay => 0,
	vacuum_freeze_min_age => 0);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id serial PRIMARY KEY, k int, v numeric, spare text, gone int);
	CREATE TABLE parts (id serial, k int NOT NULL, v int, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
	CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0, 1, 2, 3);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (4, 5, 6);
	CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
	CREATE TABLE listed (k int, v int) PARTITION BY LIST (k);
	CREATE TABLE listed_1 PARTITION OF listed FOR VALUES IN (1);
	CREATE TABLE listed_2 PARTITION OF listed FOR VALUES IN (2);
	INSERT INTO listed SELECT 1 + i % 2, i FROM generate_series(1, 100) i;
	INSERT INTO src (k, v, spare) SELECT i % 10, i, repeat('x', 100) FROM generate_series(1, 1000) i;
	INSERT INTO parts (k, v) SELECT i % 10, i FROM generate_series(1, 1000) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, min(v) AS low FROM src GROUP BY k',
	b_total => 'SELECT count(*) AS count, sum(v) AS total FROM src',
	c_copy => 'SELECT id, k, v FROM src WHERE k < 5',
	d_on_copy => 'SELECT k, count(*) AS count, sum(v) AS total FROM c_copy GROUP BY k',
	e_parts => 'SELECT k, count(*) AS count, sum(v) AS total, max(v) AS high FROM parts GROUP BY k',
	f_parts => 'SELECT count(*) AS count FROM parts',
	g_listed => 'SELECT k, sum(v) AS total FROM listed GROUP BY k');
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);

# column names are written out: they come and go
my $write = q{
\set k random(0, 9)
\set l random(0, 9)
\set id random(1, 3000)
INSERT INTO src (k, v) VALUES (:k, :id);
UPDATE src SET k = :l, v = v + 1 WHERE id = :id;
DELETE FROM src WHERE id = :id + 1;
};
my $write_parts = q{
\set k random(0, 9)
\set l random(0, 12)
\set id random(1, 3000)
INSERT INTO parts (k, v) VALUES (:k, :id), (:l, 1);
UPDATE parts SET v = v + 1 WHERE k = :k AND id BETWEEN :id AND :id + 5;
DELETE FROM parts WHERE k = :l AND id BETWEEN :id + 6 AND :id + 9;
};
my $stop = PostgreSQL::Test::Utils::tempdir() . '/stop';

# Writers go on until told to stop.
sub writers
{
	my ($name, $clients, $script) = @_;
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	PostgreSQL::Test::Utils::append_to_file($file, $script);
	my $connstr = $node->connstr('postgres');
	return start_loop($name, $stop,
		"pgbench -n -c $clients -T 1 -R 400 --max-tries 1000 -f $file \"$connstr\" || exit 1");
}
my @background = (writers('writers', 3, $write), writers('writers of partitions', 2, $write_parts));

sub exact_now
{
	my ($what) = @_;
	is_deeply([ verify_all($node) ], [], "$what: exact while others write");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ': ' || coalesce(error, state), ', ')
		FROM freshet.status WHERE state IN ('failed', 'paused')}), '', "$what: nothing failed");
	return;
}

# wait() for all sinks to be live again; for those that are built anew
sub settle
{
	my ($what) = @_;
	ok( $node->poll_query_until('postgres',
			q{SELECT count(*) = 0 FROM freshet.status WHERE state <> 'live'}),
		"$what: all live");
	return;
}

my @steps = (
	[ 'rewrite of a source', 'VACUUM FULL src', 'CLUSTER src USING src_pkey', 'VACUUM FULL parts' ],
	[ 'rewrite of a sink', 'VACUUM FULL a_groups', 'VACUUM FULL b_total', 'VACUUM FULL c_copy',
		'CLUSTER c_copy USING c_copy_id_idx' ],
	[ 'REINDEX', 'REINDEX TABLE a_groups', 'REINDEX TABLE CONCURRENTLY c_copy',
		'REINDEX INDEX CONCURRENTLY a_groups_k_idx', 'REINDEX TABLE CONCURRENTLY src',
		'REINDEX SCHEMA CONCURRENTLY freshet' ],
	[ 'an index more', 'CREATE INDEX CONCURRENTLY more ON a_groups (count)',
		'CREATE INDEX expr ON c_copy ((v + 1)) WHERE k > 2' ],
	[ 'columns of a source', 'ALTER TABLE src ADD COLUMN added int DEFAULT 5',
		'ALTER TABLE src DROP COLUMN gone',
		q{ALTER TABLE src ADD COLUMN rewritten timestamptz DEFAULT clock_timestamp()},
		'ALTER TABLE src ALTER COLUMN spare TYPE varchar(1000)',
		'ALTER TABLE src ALTER COLUMN added TYPE bigint', 'ALTER TABLE parts ADD COLUMN added text DEFAULT \'x\'' ],
	[ 'new names', 'ALTER TABLE a_groups RENAME COLUMN total TO summed',
		'ALTER TABLE a_groups RENAME COLUMN summed TO total', 'ALTER TABLE c_copy RENAME TO c_copied',
		'ALTER TABLE c_copied RENAME TO c_copy', 'ALTER INDEX a_groups_k_idx RENAME TO a_key',
		'CREATE SCHEMA s; ALTER TABLE b_total SET SCHEMA s', 'ALTER SCHEMA s RENAME TO t',
		'ALTER TABLE t.b_total SET SCHEMA public; DROP SCHEMA t' ],
	[ 'settings of tables', 'ALTER TABLE src SET (fillfactor = 50)',
		'ALTER TABLE a_groups SET (autovacuum_enabled = off)', 'ANALYZE',
		'ALTER TABLE src CLUSTER ON src_pkey', 'VACUUM (FREEZE) src, a_groups, b_total, freshet.applied' ],
	[ 'pause and resume', q{SELECT freshet.pause_sink('c_copy')}, q{SELECT pg_sleep(0.3)},
		q{SELECT freshet.resume_sink('c_copy')} ],
	[ 'rebuild', q{SELECT freshet.rebuild_sink('a_groups')}, q{SELECT freshet.rebuild_sink('c_copy')},
		q{SELECT freshet.rebuild_sink('e_parts')} ],
	[ 'partitions', 'CREATE TABLE parts_30 PARTITION OF parts FOR VALUES IN (30)',
		'INSERT INTO parts (k, v) SELECT 30, i FROM generate_series(1, 100) i',
		'ALTER TABLE parts DETACH PARTITION parts_30',
		'INSERT INTO parts_30 (id, k, v) VALUES (1000001, 30, 1000)',
		'ALTER TABLE parts ATTACH PARTITION parts_30 FOR VALUES IN (30)',
		'TRUNCATE parts_30', 'CREATE TABLE parts_31 PARTITION OF parts FOR VALUES IN (31)',
		'DROP TABLE parts_31',
		# writers write to this one
		'BEGIN; ALTER TABLE parts DETACH PARTITION parts_1; DELETE FROM parts_1 WHERE id % 2 = 0; '
		  . 'ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES IN (4, 5, 6); COMMIT',
		'TRUNCATE parts_1' ],
	[ 'partitions without a default', 'ALTER TABLE listed DETACH PARTITION listed_1 CONCURRENTLY',
		'INSERT INTO listed VALUES (2, 5)',
		'ALTER TABLE listed ATTACH PARTITION listed_1 FOR VALUES IN (1)',
		'BEGIN; INSERT INTO listed VALUES (1, 7); SAVEPOINT s; DROP TABLE listed_2; ROLLBACK TO s; COMMIT',
		'BEGIN; CREATE TABLE listed_3 PARTITION OF listed FOR VALUES IN (3); INSERT INTO listed VALUES (3, 3); COMMIT',
		'DROP TABLE listed_2' ],
	[ 'TRUNCATE', 'TRUNCATE src', 'TRUNCATE parts, src RESTART IDENTITY' ],
);

foreach my $step (@steps)
{
	my ($what, @commands) = @$step;
	foreach my $command (@commands)
	{
		my ($sql, $may_fail) = split /\|/, $command;
		my $ret;
		my $err = '';

		# a deadlock with a writer may be this side's fate
		for my $try (1 .. 20)
		{
			($ret, undef, $err) = $node->psql('postgres', "SET lock_timeout = '30s'; " x ($sql !~ /CONCURRENTLY|VACUUM/)
				  . $sql);
			last if $ret == 0 || $err !~ /deadlock/;
		}
		ok($ret == 0 || $may_fail, "$what: $sql") or diag($err);
	}
	settle($what);
	exact_now($what);
}

# Sinks made and dropped, one upon the other, while writers write.
foreach my $round (1 .. scaled(4))
{
	$node->safe_psql('postgres', qq{
		SELECT freshet.create_sink('x', 'SELECT k, count(*) AS count FROM src GROUP BY k');
		SELECT freshet.create_sink('y', 'SELECT count AS size, count(*) AS count FROM x GROUP BY count')});
	sleep(rand(0.5)) if $round % 2;
	wait_for_freshet($node) if $round % 3 == 0;
	if ($round % 4 == 0)
	{
		settle("round $round");
		exact_now("round $round");
	}
	$node->safe_psql('postgres', 'SET client_min_messages = error; DROP TABLE x CASCADE');
}
settle('sinks that came and went');

# Built anew all the time, for as long as writers write: each end must be exact.
foreach my $round (1 .. 5)
{
	$node->safe_psql('postgres', q{SELECT freshet.rebuild_sink(sink) FROM freshet.status});
	settle("rebuilt, $round");
	exact_now("rebuilt, $round");
}

PostgreSQL::Test::Utils::append_to_file($stop, '');
is_deeply([ finish_background(@background) ], [], 'writers met no error');
wait_for_freshet($node);
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'plain SQL in the end');
is_deeply([ verify_all($node) ], [], 'verify_sink() in the end');
ok(!worker_errors($node), 'the worker met no error');
$node->stop;
done_testing();
