# A sink that somebody has locked, or whose source, for longer than freshet.lock_patience
# stands still, and the others go on.  When the lock is let go it follows by the changes
# that were kept for it, and is not computed anew; unless they are not to be had.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node(
	'left_out',
	autovacuum => 'off',
	'freshet.lock_patience' => '200ms',
	'freshet.work_mem' => '64kB');

# The rows of a sink that was filled anew have another xmin, but for those of a rollup.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE a (id int PRIMARY KEY, g int, v int, t text);
	CREATE TABLE b (id int PRIMARY KEY, g int, v int);
	CREATE TABLE p (id int, g int, v int, PRIMARY KEY (id, g)) PARTITION BY LIST (g);
	CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
	CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2);
	CREATE TABLE p3 (LIKE p INCLUDING ALL);
	INSERT INTO a SELECT i, nullif(i % 5, 0), i, CASE WHEN i % 50 = 0 THEN repeat(md5(i::text), 200) END
	FROM generate_series(1, 200) i;
	INSERT INTO b SELECT i, i % 5, i FROM generate_series(1, 200) i;
	INSERT INTO p SELECT i, 1 + i % 2, i FROM generate_series(1, 200) i;
	INSERT INTO p3 VALUES (1000, 3, 1000);
	INSERT INTO a VALUES (-5, 1, 0);
	INSERT INTO b VALUES (-5, 1, 0);
	INSERT INTO p VALUES (-5, 1, 0);
	SELECT freshet.create_sink('s_copy', 'SELECT id, g, v, t FROM a');
	SELECT freshet.create_sink('s_sum', 'SELECT g, count(*) AS n, sum(v) AS v, max(v) AS high FROM a GROUP BY g');
	SELECT freshet.create_sink('s_other', 'SELECT count(*) AS n, sum(v) AS v FROM b');
	SELECT freshet.create_sink('s_max', 'SELECT g, max(v) AS v FROM b GROUP BY g');
	SELECT freshet.create_sink('s_join', 'SELECT a.id, a.v, b.v AS w FROM a JOIN b USING (id)');
	SELECT freshet.create_sink('s_query', 'SELECT a.id, b.v FROM a LEFT JOIN b USING (id) WHERE a.id < 50');
	SELECT freshet.create_sink('s_parts', 'SELECT id, g, v FROM p');
	SELECT freshet.create_sink('s_over', 'SELECT id % 3 AS k, count(*) AS n, min(v) AS v FROM s_copy GROUP BY 1');
	SELECT freshet.create_wide_view('s_wide', 'b', '[{"table": "a", "path": "aa", "type": "object", "relation": [["id", "id"]]}]')});
my @sinks = split /\n/, $node->safe_psql('postgres', 'SELECT sink FROM freshet.status ORDER BY 1');
is(scalar @sinks, 9, 'sinks of each strategy');
$node->safe_psql('postgres', "SELECT freshet.wait('$_', '90 s')") foreach @sinks;
my $locker = $node->background_psql('postgres');

# What is done to the sources: rows that come, go, move, come back, twice.
my $round = 0;

sub change
{
	$round++;
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO a SELECT i, i % 5, i FROM generate_series(1000 * $round, 1000 * $round + 5) i;
		UPDATE a SET g = (g + 1) % 6, v = v + 1 WHERE id % 10 = $round % 10;
		UPDATE a SET v = -v WHERE id % 50 = 0;
		DELETE FROM a WHERE id = 10 + $round;
		DELETE FROM a WHERE v = (SELECT max(v) FROM a);
		INSERT INTO a VALUES (10 + $round, NULL, $round);
		UPDATE a SET id = id + 100000 WHERE id = 40 + $round;
		UPDATE b SET v = v + 1, g = (g + 1) % 5 WHERE id % 7 = $round % 7;
		DELETE FROM b WHERE id = 100 + $round;
		INSERT INTO b VALUES (100000 + 40 + $round, 1, $round);
		UPDATE p SET g = 3 - g WHERE id % 9 = $round % 9 AND g < 3;
		INSERT INTO p VALUES (1000 + $round, 1, 0)});
	return;
}

# The sinks that stand still, when those that need not do not.
sub stand_still
{
	my ($expected, $what) = @_;
	ok( $node->poll_query_until('postgres', qq{
			SELECT coalesce(string_agg(sink::text, ' ' ORDER BY sink::text), '') = '$expected'
			FROM freshet.status WHERE state <> 'live'}),
		"$what: these stand still: $expected")
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	is($node->safe_psql('postgres', q{
			SELECT freshet.wait('60 s') IS NOT NULL; INSERT INTO b VALUES (-1, 1, 7); SELECT freshet.wait('60 s') IS NOT NULL;
			SELECT n = (SELECT count(*) FROM b) FROM s_other; DELETE FROM b WHERE id = -1}), "t\nt\nt", "$what: the others go on")
	  if $expected !~ /s_other/;
	return;
}

sub follows
{
	my ($what) = @_;
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM freshet.status WHERE state <> 'live'}), "$what: all follow")
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	is($node->safe_psql('postgres', join ';', map { "SELECT missing, unexpected FROM freshet.verify_sink('$_')" } @sinks),
		join("\n", ('0|0') x @sinks), "$what: exact");
	is($node->safe_psql('postgres', 'SELECT blocked_on FROM freshet.worker'), '', "$what: nothing is in the way");
	return;
}

# A row of each copy that nothing changes.
sub untouched
{
	return $node->safe_psql('postgres', q{
		SELECT (SELECT xmin FROM s_copy WHERE id = -5), (SELECT xmin FROM s_join WHERE id = -5),
			(SELECT xmin FROM s_parts WHERE id = -5)});
}

# ---------------------------------------------------------------------------
# A sink, a source, a sink that is a source
# ---------------------------------------------------------------------------

change();
follows('at first');
foreach my $case (
	[ 's_copy', 's_copy' ],
	[ 's_copy IN SHARE MODE', 's_copy' ],
	[ 's_sum', 's_sum' ],
	[ 's_join', 's_join' ],
	[ 's_query', 's_query' ],
	[ 's_wide', 's_wide' ],
	[ 's_parts', 's_parts' ],
	[ 's_over', 's_over' ],
	[ 's_copy, s_join, s_max', 's_copy s_join s_max' ])
{
	my ($lock, $still) = @$case;
	my $rows = untouched();
	$locker->query_safe("BEGIN; LOCK $lock");
	change();
	stand_still($still, "LOCK $lock");
	change();
	$node->safe_psql('postgres', q{SELECT freshet.wait('60 s')});
	change();
	$locker->query_safe('COMMIT');
	follows("LOCK $lock");
	is(untouched(), $rows, "LOCK $lock: nothing was computed anew");
}

# Whoever holds a source locks out those who have to read it alone.  (An unaligned
# batch is none of a lock's matters.)
my $rows = untouched();
$locker->query_safe('BEGIN; LOCK b');
$node->safe_psql('postgres', q{UPDATE a SET v = v + 1 WHERE id BETWEEN 1 AND 20; DELETE FROM a WHERE id = 30});
ok( $node->poll_query_until('postgres', q{
		SELECT string_agg(sink::text, ' ' ORDER BY sink::text) = 's_join s_query s_wide' FROM freshet.status WHERE state <> 'live'}),
	'LOCK b: what reads b stands still');
is($node->safe_psql('postgres', q{
		SELECT freshet.wait('60 s') IS NOT NULL; SELECT (SELECT sum(v) FROM s_sum) = (SELECT sum(v) FROM a)}), "t\nt", 'LOCK b: the others go on');
is($node->safe_psql('postgres', q{
		SELECT state, delay > '0 s', hint ~ 'blocked_by' FROM freshet.status WHERE sink::text = 's_join'}), 'catching up|t|t', 'LOCK b: so it is told');
$locker->query_safe('UPDATE b SET v = v + 1 WHERE id > 100; COMMIT');
follows('LOCK b');
is(untouched(), $rows, 'LOCK b: nothing was computed anew');

# ---------------------------------------------------------------------------
# What has no changes that could be kept
# ---------------------------------------------------------------------------

sub under_lock
{
	my ($lock, $still, $what, $sub) = @_;
	$locker->query_safe("BEGIN; LOCK $lock");
	change();
	stand_still($still, $what);
	$sub->();
	$node->safe_psql('postgres', q{SELECT freshet.wait('60 s')});
	change();
	$locker->query_safe('COMMIT');
	follows($what);
	return;
}
under_lock('s_copy, s_sum', 's_copy s_sum', 'TRUNCATE', sub {
		$node->safe_psql('postgres', 'TRUNCATE a; INSERT INTO a SELECT i, i % 5, i FROM generate_series(-5, 300) i') });
under_lock('s_join', 's_join', 'TRUNCATE under a join', sub {
		$node->safe_psql('postgres', 'TRUNCATE a; INSERT INTO a SELECT i, i % 5, i FROM generate_series(-5, 300) i') });
under_lock('s_parts', 's_parts', 'a partition comes', sub {
		$node->safe_psql('postgres', 'ALTER TABLE p ATTACH PARTITION p3 FOR VALUES IN (3); UPDATE p SET v = v + 1 WHERE g = 3') });
under_lock('s_parts', 's_parts', 'a partition goes', sub {
		$node->safe_psql('postgres', 'ALTER TABLE p DETACH PARTITION p3; UPDATE p3 SET v = 0') });
under_lock('s_copy', 's_copy', 'rows without a log', sub {
		$node->safe_psql('postgres', 'BEGIN; ALTER TABLE a SET UNLOGGED; UPDATE a SET v = v + 5; ALTER TABLE a SET LOGGED; COMMIT') });
under_lock('s_copy', 's_copy', 'another column', sub {
		$node->safe_psql('postgres', 'ALTER TABLE a ADD COLUMN extra int DEFAULT 7; ALTER TABLE a DROP COLUMN extra') });
under_lock('s_copy, s_sum', 's_copy s_sum', 'the worker is terminated', sub {
		my $pid = worker_pid($node);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		wait_for_worker($node, 'postgres', $pid);
		# nothing was kept: they are to be filled
		stand_still('s_copy s_sum', 'a new worker') });
under_lock('s_copy', 's_copy', 'more than one batch of log', sub {
		$node->safe_psql('postgres', q{INSERT INTO a SELECT i, 1, i, repeat('x', 100) FROM generate_series(200000, 230000) i; DELETE FROM a WHERE id > 210000}) });

$node->append_conf('postgresql.conf', 'freshet.max_fill_backlog = 0');
$node->reload;
ok($node->poll_query_until('postgres', q{SELECT current_setting('freshet.max_fill_backlog') = '0'}), 'nothing may be kept');
under_lock('s_copy', 's_copy', 'no place to keep', sub { change() });
$node->append_conf('postgresql.conf', 'freshet.max_fill_backlog = 1GB');
$node->reload;

# ---------------------------------------------------------------------------
# What the holder of the lock does
# ---------------------------------------------------------------------------

foreach my $command (
	'ALTER TABLE s_copy ADD COLUMN note text',
	'CREATE INDEX ON s_copy (v)',
	"SELECT freshet.rebuild_sink('s_copy')",
	"SELECT freshet.pause_sink('s_copy'); SELECT freshet.resume_sink('s_copy')",
	'ROLLBACK; BEGIN')
{
	$locker->query_safe('BEGIN; LOCK s_copy');
	change();
	stand_still('s_copy', $command);
	$locker->query_safe("$command; COMMIT");
	follows($command);
}
$locker->query_safe('BEGIN; LOCK s_copy');
change();
stand_still('s_copy', 'pause');
$locker->query_safe("SELECT freshet.pause_sink('s_copy'); COMMIT");
change();
$node->safe_psql('postgres', q{SELECT freshet.wait('60 s'); SELECT freshet.resume_sink('s_copy')});
follows('paused and resumed');
$locker->query_safe('BEGIN; LOCK s_sum');
change();
stand_still('s_sum', 'drop');
$locker->query_safe('DROP TABLE s_sum; COMMIT');
@sinks = grep { $_ ne 's_sum' } @sinks;
change();
follows('dropped');

# ---------------------------------------------------------------------------
# A fill: whoever has locked its sink holds up nobody else
# ---------------------------------------------------------------------------

foreach my $threshold ('0', '1GB')
{
	$node->append_conf('postgresql.conf', "freshet.fill_threshold = '$threshold'");
	$node->reload;
	ok($node->poll_query_until('postgres', "SELECT current_setting('freshet.fill_threshold') = '$threshold'"), "fill_threshold $threshold");
	$locker->query_safe('BEGIN; LOCK s_copy IN SHARE MODE');
	$node->safe_psql('postgres', 'BEGIN; ALTER TABLE a SET UNLOGGED; UPDATE a SET v = v + 5; ALTER TABLE a SET LOGGED; COMMIT');
	ok( $node->poll_query_until('postgres', q{
			SELECT count(*) FILTER (WHERE sink::text = 's_copy') = 1 AND count(*) = 1 FROM freshet.status WHERE state <> 'live'}),
		'only the locked one waits to be filled')
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	change();
	stand_still('s_copy', 'a fill that waits');
	$locker->query_safe('COMMIT');
	follows('a fill that waited');
}

$locker->quit;
is_deeply([ worker_errors($node) ], [], 'no error was logged');
$node->stop;
done_testing();
