# The figures of more sinks than shared memory has places for: exact, at every
# moment when nothing is left to apply, and after a crash.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $sinks = 140;    # places: 128
my $node = new_freshet_node('many', autovacuum => 'off', 'freshet.batch_interval' => '1ms');

sub query
{
	my ($sql, $db) = @_;
	return $node->safe_psql($db // 'postgres', $sql);
}

sub make_sinks
{
	my ($db, $from, $to) = @_;
	query(
		join("\n",
			'SET client_min_messages = warning;',
			map { "SELECT freshet.create_sink('s$_', 'SELECT id, v FROM src WHERE id % $_ = 0');" }
			  $from .. $to),
		$db);
	$node->poll_query_until($db, "SELECT bool_and(state = 'live') FROM freshet.status")
	  or die 'the sinks were not filled';
	return;
}

# The sinks whose figures are not so: all have the same changes of their one source.
sub wrong_figures
{
	my ($changes, $db) = @_;
	query(q{SELECT freshet.wait()}, $db);
	query(q{
		CREATE OR REPLACE FUNCTION rows_of(sink regclass) RETURNS bigint LANGUAGE plpgsql AS $$
		DECLARE n bigint; BEGIN EXECUTE format('SELECT count(*) FROM %s', sink) INTO n; RETURN n; END $$},
		$db);
	return query(qq{SELECT sink, rows, rows_of(sink), changes FROM freshet.status
		WHERE (rows, changes) IS DISTINCT FROM (rows_of(sink), $changes) ORDER BY 1}, $db);
}

create_database($node, 'other');
foreach my $db (qw(postgres other))
{
	query('CREATE TABLE src (id int PRIMARY KEY, v int); ALTER TABLE src REPLICA IDENTITY FULL;' .
		  'INSERT INTO src SELECT i, i FROM generate_series(1, 1000) i', $db);
}
make_sinks('postgres', 1, $sinks);
make_sinks('other', 1, 3);
is(wrong_figures(0), '', 'after the fill: rows');

query('INSERT INTO src SELECT i, i FROM generate_series(1001, 1500) i');
query('INSERT INTO src VALUES (1001, 1)', 'other');
is(wrong_figures(500), '', 'after inserts');
is(wrong_figures(1, 'other'), '', 'another database has figures of its own');

# changes that come to nothing write no sink, but they are counted
query('BEGIN; INSERT INTO src VALUES (5000, 1); DELETE FROM src WHERE id = 5000; COMMIT');
is(wrong_figures(502), '', 'after changes that came to nothing');
query('UPDATE src SET v = v + 1 WHERE id <= 700; DELETE FROM src WHERE id > 1400');
is(wrong_figures(1302), '', 'after updates and deletes');

# a batch that failed and came again counts once
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; LOCK s7, s139');
query('INSERT INTO src SELECT i, i FROM generate_series(2001, 2100) i');
$node->poll_query_until('postgres',
	q{SELECT last_error LIKE '%has locked%' FROM freshet.worker}) or die 'no batch has failed';
$holder->query_safe('COMMIT');
$holder->quit;
is(wrong_figures(1402), '', 'after batches that failed');

# what was not stored is counted again
kill_worker($node);
query('BEGIN; INSERT INTO src VALUES (5000, 1); DELETE FROM src WHERE id = 5000; COMMIT');
is(wrong_figures(1404), '', 'after a crash');
$node->restart;
wait_for_worker($node);
is(wrong_figures(1404), '', 'after a restart');

# sinks that go leave their places to others
query("DROP TABLE " . join(', ', map { "s$_" } 1 .. 60));
query('DELETE FROM src WHERE id <= 10');
is(wrong_figures(1414), '', 'after many were dropped');
is(query('SELECT cardinality(relids), cardinality(rows), cardinality(changes) FROM freshet.applied'),
	join('|', ($sinks - 60) x 3),
	'the dropped ones are counted no more');
is(wrong_figures(1, 'other'), '', 'as ever in the other database');

$node->stop;
done_testing();
