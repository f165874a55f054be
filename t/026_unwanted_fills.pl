# A sink that is being filled is paused, rebuilt or dropped: its fill ends, be it
# the filler's or a batch's of the worker.  Nobody waits for what would take a
# quarter of an hour, neither who calls, nor readers, nor the other sinks.  Who has
# no right to, and who takes it back, ends nothing.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use Test::More;

my $node = new_freshet_node(
	'unwanted',
	autovacuum => 'off',
	# every source that has a page is large
	'freshet.fill_threshold' => 0);

# Reading all of the rows takes 1000 seconds, far more than anything may take here.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, v int);
	INSERT INTO src SELECT i, i FROM generate_series(1, 100000) i;
	CREATE TABLE other (id int PRIMARY KEY, v int);
	CREATE FUNCTION slowly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS '
		BEGIN PERFORM pg_sleep(0.01); RETURN $1; END';
	-- does not let itself be cancelled
	CREATE FUNCTION stubbornly(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS '
		BEGIN PERFORM pg_sleep(0.01); RETURN $1; EXCEPTION WHEN query_canceled THEN RETURN $1; END';
	CREATE ROLE stranger;
	GRANT USAGE ON SCHEMA freshet TO stranger;
	SELECT freshet.create_sink('base', 'SELECT id, v FROM src');
	SELECT freshet.create_sink('others', 'SELECT count(*) AS n FROM other');
	SELECT freshet.wait('base', '100 s');
	SELECT freshet.wait('others', '100 s')});

# Whoever waits for the end of a fill fails.
sub quick
{
	my ($sql) = @_;
	my ($out, $err);
	my $code = $node->psql('postgres', "SET statement_timeout = '60 s'; SET client_min_messages = error; $sql",
		stdout => \$out, stderr => \$err);
	return $code == 0 ? 'ok' : $err =~ /ERROR: +([^\n]*)/ ? $1 : 'lost connection';
}

sub filling
{
	my ($sink) = @_;
	return $node->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM freshet.progress WHERE sink::text = '$sink' AND phase = 'scanning' AND rows_done >= 0");
}

sub begun
{
	my ($sink) = @_;
	return $node->safe_psql('postgres', "SELECT started_at FROM freshet.progress WHERE sink::text = '$sink'");
}

sub create
{
	my ($sink, $query) = @_;
	$node->safe_psql('postgres', "CREATE SCHEMA IF NOT EXISTS s; GRANT USAGE ON SCHEMA s TO stranger; SELECT freshet.create_sink('$sink', '$query')");
	ok(filling($sink), "$sink is being filled");
	return;
}

# Are the others maintained, as soon as nothing is filled?
sub free
{
	my ($what) = @_;
	is(quick(q{INSERT INTO other SELECT count(*) FROM other; SELECT freshet.wait('50 s')}), 'ok', "$what: the worker is free");
	is($node->safe_psql('postgres', q{
			SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet filler'}), '0', "$what: so is the filler");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM freshet.progress'), '0', "$what: nothing is in progress");
	return;
}

my %queries = (
	'a rollup, by the filler' => 'SELECT v % 7 AS k, sum(slowly(v)) AS v FROM src GROUP BY 1',
	'a copy, by the filler' => 'SELECT id, slowly(v) AS v FROM src',
	'one that cannot be cancelled, by the filler' => 'SELECT count(*), sum(stubbornly(v)) AS v FROM src',
	'a rollup, by the worker' => 'SELECT v % 7 AS k, sum(slowly(v)) AS v FROM base GROUP BY 1',
	'a copy, by the worker' => 'SELECT id, slowly(v) AS v FROM base',
	'one that cannot be cancelled, by the worker' => 'SELECT count(*), sum(stubbornly(v)) AS v FROM base');

foreach my $kind (sort keys %queries)
{
	my $query = $queries{$kind};
	create('s.x', $query);

	# nothing that has no effect ends it
	my $begun = begun('s.x');
	is(quick("SET ROLE stranger; SELECT freshet.$_('s.x')"), 'must be owner of table x', "$kind: $_ by a stranger")
	  foreach qw(pause_sink rebuild_sink drop_sink);
	like(quick('SET ROLE stranger; DROP TABLE s.x'), qr/^permission denied|^must be owner/, "$kind: DROP TABLE by a stranger");
	is(quick("BEGIN; SELECT freshet.pause_sink('s.x'); ROLLBACK"), 'ok', "$kind: a pause that is rolled back");
	is(quick(q{BEGIN; SAVEPOINT a; SELECT freshet.rebuild_sink('s.x'); ROLLBACK TO a; COMMIT}),
		'ok', "$kind: a rebuild that is rolled back, to a savepoint");
	is(begun('s.x'), $begun, "$kind: the fill goes on");

	is(quick(q{BEGIN; SAVEPOINT a; SELECT freshet.rebuild_sink('s.x'); RELEASE a; COMMIT}), 'ok', "$kind: rebuild_sink()");
	ok($node->poll_query_until('postgres',
			"SELECT started_at > '$begun' FROM freshet.progress WHERE sink::text = 's.x' AND phase = 'scanning'"),
		"$kind: the fill begins anew");

	$begun = begun('s.x');
	is(quick("BEGIN; SELECT freshet.drop_sink('s.x'); ROLLBACK"), 'ok', "$kind: a drop that is rolled back");
	ok($node->poll_query_until('postgres',
			"SELECT started_at > '$begun' FROM freshet.progress WHERE sink::text = 's.x' AND phase = 'scanning'"),
		"$kind: the fill begins again");

	is(quick("SELECT freshet.pause_sink('s.x')"), 'ok', "$kind: pause_sink()");
	free("$kind, paused");
	is($node->safe_psql('postgres', "SELECT state FROM freshet.status WHERE sink::text = 's.x'"), 'paused', "$kind: paused");
	is(quick("SELECT freshet.resume_sink('s.x')"), 'ok', "$kind: resume_sink()");
	ok(filling('s.x'), "$kind: it is filled again");

	# one who reads comes behind the drop in the queue for the lock
	my $dropper = $node->background_psql('postgres');
	$dropper->query_until(qr/go/, "SET statement_timeout = '60 s';\n\\echo go\nSELECT freshet.drop_sink('s.x');\n");
	like(quick('SELECT count(*) FROM s.x'), qr/^ok$|does not exist/, "$kind: who reads waits for no fill");
	$dropper->quit;
	is($node->safe_psql('postgres', "SELECT to_regclass('s.x') IS NULL"), 't', "$kind: drop_sink()");
	free("$kind, dropped");

	foreach my $drop ('DROP TABLE s.x', 'DROP SCHEMA s CASCADE')
	{
		create('s.x', $query);
		is(quick($drop), 'ok', "$kind: $drop");
		free("$kind, $drop");
	}
}

# Another's fill is let alone.
create('x', $queries{'a copy, by the filler'});
$node->safe_psql('postgres', "SELECT freshet.create_sink('y', '$queries{'a rollup, by the filler'}')");
ok($node->poll_query_until('postgres', "SELECT phase = 'waiting' FROM freshet.progress WHERE sink::text = 'y'"),
	'another waits for the filler');
my $begun = begun('x');
is(quick("SELECT freshet.$_('y'); SELECT freshet.wait('50 s')"), 'ok', "$_() of one that waits")
  foreach qw(pause_sink rebuild_sink drop_sink);
is(quick("SELECT freshet.$_('others'); SELECT freshet.wait('50 s')"), 'ok', "$_() of another")
  foreach qw(pause_sink rebuild_sink);
is(begun('x'), $begun, 'the fill under way goes on');

# The command waits for somebody else's lock first.
my $reader = $node->background_psql('postgres');
$reader->query_safe('BEGIN; SELECT FROM others');
my $dropper = $node->background_psql('postgres');
$dropper->query_until(qr/go/, "\\echo go\nDROP TABLE others;\n");
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 1 FROM pg_locks WHERE relation = 'others'::regclass AND NOT granted}),
	'a drop of another waits');
is(begun('x'), $begun, 'and ends no fill');
$reader->query_safe('COMMIT');
$_->quit foreach $reader, $dropper;

# With a fill on both hands.
$node->safe_psql('postgres', "SELECT freshet.create_sink('z', '$queries{'a rollup, by the worker'}')");
ok(filling('z'), 'the worker fills one, the filler another');
$begun = begun('x') . begun('z');
# PostgreSQL locks an extension before it looks at the rights
like(quick(q{SET lock_timeout = '1s'; SET ROLE stranger; DROP EXTENSION freshet CASCADE}), qr/lock timeout|must be owner/,
	'DROP EXTENSION by a stranger');
is(begun('x') . begun('z'), $begun, 'ends nothing');
is(quick('DROP EXTENSION freshet CASCADE'), 'ok', 'DROP EXTENSION');
ok( $node->poll_query_until('postgres', q{
		SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type IN ('freshet worker', 'freshet filler')}),
	'worker and filler are gone');

my @errors = worker_errors($node);
is_deeply(\@errors, [], 'no error was logged');
$node->stop;
done_testing();
