# A lock that the worker or the filler needs and cannot have: freshet.worker names the
# relation, who is in the way and since when, freshet.status has a hint, and the log
# says it after some seconds, once.  When it is let go, all of that is gone.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node('obstacles', autovacuum => 'off');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE a (id int PRIMARY KEY, v int);
	CREATE TABLE b (id int PRIMARY KEY, v int);
	INSERT INTO a SELECT i, i FROM generate_series(1, 10) i;
	INSERT INTO b SELECT i, i FROM generate_series(1, 10) i;
	SELECT freshet.create_sink('s_a', 'SELECT v % 2 AS k, count(*) AS n, sum(v) AS v FROM a GROUP BY 1');
	SELECT freshet.create_sink('s_b', 'SELECT v % 2 AS k, max(v) AS v FROM b GROUP BY 1');
	SELECT freshet.create_sink('s_join', 'SELECT a.id, b.v FROM a JOIN b USING (id)');
	SELECT freshet.wait('s_join', '90 s');
	SELECT freshet.wait('s_a', '90 s');
	SELECT freshet.wait('s_b', '90 s')});

my @sessions = map { $node->background_psql('postgres') } 1 .. 3;
my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @sessions;

sub blocked
{
	my ($relation, $by, $what) = @_;
	ok( $node->poll_query_until('postgres', qq{
			SELECT blocked_on = '$relation'::regclass AND blocked_since <= clock_timestamp() AND
				(SELECT array_agg(p ORDER BY p) FROM unnest(blocked_by) p) =
				(SELECT array_agg(p ORDER BY p) FROM unnest('{$by}'::int[]) p)
			FROM freshet.worker}), $what)
	  or diag($node->safe_psql('postgres', 'SELECT blocked_on, blocked_by, blocked_since FROM freshet.worker'));
	return;
}

sub unblocked
{
	my ($what) = @_;
	wait_for_freshet($node);
	is($node->safe_psql('postgres', 'SELECT blocked_on, blocked_by, blocked_since FROM freshet.worker'), '||', "$what: all is gone");
	is($node->safe_psql('postgres', 'SELECT count(hint) FROM freshet.status'), '0', "$what: so is the hint");
	is_deeply([ verify_all($node) ], [], "$what: exact");
	return;
}

# ---------------------------------------------------------------------------
# A sink
# ---------------------------------------------------------------------------

is($node->safe_psql('postgres', 'SELECT blocked_on, blocked_by, blocked_since FROM freshet.worker'), '||', 'nothing at first');
my $log = -s $node->logfile;
$sessions[0]->query_safe('BEGIN; LOCK s_a');
$node->safe_psql('postgres', 'INSERT INTO a VALUES (11, 11)');
blocked('s_a', $pids[0], 'a sink that is locked');
$sessions[1]->query_until(qr/asked/, "BEGIN;\n\\echo asked\nLOCK s_a;\n");
blocked('s_a', "$pids[0], $pids[1]", 'who waits for the lock is named, too');
is($sessions[0]->query_safe('SELECT blocked_by @> ARRAY[pg_backend_pid()] FROM freshet.worker'), 't',
	'it is seen by the one who is in the way');
my $since = $node->safe_psql('postgres', 'SELECT blocked_since FROM freshet.worker');
ok($node->poll_query_until('postgres',
		q{SELECT clock_timestamp() - blocked_since > '7 s' FROM freshet.worker}), 'it lasts');
is($node->safe_psql('postgres', 'SELECT blocked_since FROM freshet.worker'), $since, 'since then');
ok($node->poll_query_until('postgres',
		q{SELECT string_agg(sink::text, ' ') = 's_a' FROM freshet.status WHERE hint ~ 'freshet.worker'}),
	'there is a hint, when the others go on');
my @lines = slurp_file($node->logfile, $log) =~ /LOG: .*waiting for a lock on "s_a"/g;
is(scalar @lines, 1, 'one line in the log');
like(slurp_file($node->logfile, $log), qr/DETAIL: +In the way: process $pids[0], process $pids[1]|DETAIL: +In the way: process $pids[1], process $pids[0]/,
	'which names who is in the way');
$sessions[0]->query_safe('COMMIT');
blocked('s_a', $pids[1], 'the next has it');
is($node->safe_psql('postgres', 'SELECT blocked_since FROM freshet.worker'), $since, 'since the same time');
$sessions[1]->query_safe('COMMIT');
unblocked('a sink');

# ---------------------------------------------------------------------------
# Several who hold it, and one who will not tell its name
# ---------------------------------------------------------------------------

$_->query_safe('BEGIN; LOCK s_a IN SHARE MODE') foreach @sessions;
$node->safe_psql('postgres', 'INSERT INTO a VALUES (12, 12)');
blocked('s_a', join(', ', @pids), 'three who share a lock');
$_->query_safe('COMMIT') foreach @sessions;
unblocked('three');

$node->safe_psql('postgres', q{BEGIN; LOCK s_a; PREPARE TRANSACTION 'p'; INSERT INTO a VALUES (13, 13)});
blocked('s_a', '0', 'a prepared transaction');
$node->safe_psql('postgres', q{ROLLBACK PREPARED 'p'});
unblocked('prepared');

# ---------------------------------------------------------------------------
# A source, which has to be read
# ---------------------------------------------------------------------------

$sessions[0]->query_safe('BEGIN; LOCK b');
$sessions[1]->query_safe('BEGIN; LOCK s_join IN SHARE MODE; LOCK s_b IN SHARE MODE');
$node->safe_psql('postgres', 'INSERT INTO a VALUES (14, 14)');
blocked('b', $pids[0], 'a source');
$sessions[0]->query_safe('COMMIT');
blocked('s_join', $pids[1], 'then the sink, and not the one that nothing is written to');
$sessions[1]->query_safe('COMMIT');
unblocked('a source');

# ---------------------------------------------------------------------------
# The filler
# ---------------------------------------------------------------------------

$node->append_conf('postgresql.conf', 'freshet.fill_threshold = 0');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT current_setting('freshet.fill_threshold') = '0'}), 'all sinks are filled by the filler');
$sessions[0]->query_safe('BEGIN; LOCK s_a IN SHARE MODE');
# its rows of then have no log
$node->safe_psql('postgres', 'BEGIN; ALTER TABLE a SET UNLOGGED; ALTER TABLE a SET LOGGED; COMMIT');
blocked('s_a', $pids[0], 'the filler');
$node->safe_psql('postgres', q{INSERT INTO b VALUES (100, 100); SELECT freshet.wait('60 s')});
is($node->safe_psql('postgres', 'SELECT max(v) FROM s_b'), '100', 'the others are maintained');
blocked('s_a', $pids[0], 'it is still in the way');
$sessions[0]->query_safe('COMMIT');
ok($node->poll_query_until('postgres', q{SELECT state = 'live' FROM freshet.status WHERE sink::text = 's_a'}), 'it is filled');
unblocked('the filler');

$_->quit foreach @sessions;
is_deeply([ worker_errors($node) ], [], 'no error was logged');
$node->stop;
done_testing();
