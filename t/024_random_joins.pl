# Random queries: inner joins of tables, partitioned tables, views and subqueries, one of
# them several times, grouped or not, over tables with NULLs and duplicates; then
# random changes of all of them, in one transaction and in several, after each of which
# every sink is compared with its query.
#
# FRESHET_SEED chooses other queries and changes, FRESHET_TEST_SCALE more of the latter.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{FRESHET_SEED} // 1;
my $queries = 30;
my $rounds = scaled(8);
srand($seed);
note("FRESHET_SEED=$seed");

my $node = new_freshet_node('random', 'freshet.batch_interval' => '1ms');
$node->safe_psql('postgres', q{
	CREATE TABLE keyed (id int PRIMARY KEY, k int, v int, s text);
	CREATE TABLE bag (id int, k int, v int, s text);
	CREATE TABLE parted (id int, k int, v int, s text) PARTITION BY LIST (k);
	CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (0, 1);
	CREATE TABLE parted_2 (s text, v int, k int, id int);
	ALTER TABLE parted ATTACH PARTITION parted_2 DEFAULT;
	CREATE VIEW filtered AS SELECT id, k, v + 1 AS v, upper(s) AS s FROM keyed WHERE v > 1;
	CREATE VIEW joined AS SELECT b.id, b.k, p.v, p.s FROM bag b JOIN parted p ON p.k = b.k WHERE b.v < 5;
	INSERT INTO keyed SELECT i, nullif(i % 6, 5), i % 4, 's' || i % 3 FROM generate_series(1, 14) i;
	INSERT INTO bag SELECT i % 7, nullif(i % 5, 4), nullif(i % 4, 3), 's' || i % 3 FROM generate_series(1, 14) i;
	INSERT INTO parted SELECT i, i % 4, i % 5, 's' || i % 2 FROM generate_series(1, 14) i;
});

sub pick { return $_[ int(rand(@_)) ]; }

# An item of FROM with the columns id, k, v and s.
sub random_item
{
	return pick('keyed', 'keyed', 'bag', 'bag', 'parted', 'filtered', 'joined',
		'(SELECT id, v AS k, k AS v, s FROM bag WHERE id > 1)',
		'(SELECT x.id, y.k, x.v, y.s FROM keyed x, bag y WHERE x.k = y.v)');
}

sub random_condition
{
	my ($a, $b) = @_;
	return pick("$a.k = $b.k", "$a.k = $b.k", "$a.v = $b.k", "$a.id = $b.id", "$a.k = $b.v AND $a.s = $b.s",
		"$a.id BETWEEN $b.v AND $b.v + 1", "$a.k + 1 = $b.k", "$a.k IS NOT DISTINCT FROM $b.k AND $a.v = $b.v",
		"lower($a.s) = $b.s AND $a.v = $b.v", "$a.id = $b.v AND $b.k <> 1");
}

sub random_query
{
	my $n = pick(1, 2, 2, 2, 3, 3);
	my @aliases = map { "t$_" } (1 .. $n);
	my $from = random_item() . ' t1';
	my @where;
	foreach my $i (2 .. $n)
	{
		my $condition = random_condition("t$i", 't' . pick(1 .. $i - 1));
		my $item = random_item() . " t$i";
		if (rand() < 0.5) { $from .= " JOIN $item ON $condition"; }
		else { $from .= " CROSS JOIN $item"; push @where, $condition; }
	}
	push @where, pick(@aliases) . '.v ' . pick('<', '>', '<>') . ' ' . pick(1, 2, 3) if rand() < 0.4;
	my $tail = " FROM $from" . (@where ? ' WHERE ' . join(' AND ', @where) : '');
	my @columns = map { my $i = $_; my $t = pick(@aliases); pick("$t.id", "$t.k", "$t.v", "$t.s", "$t.v + 1") . " AS c$i" } (1 .. pick(1, 2, 3));
	push @columns, map { "$_.id AS id_$_" } @aliases if rand() < 0.3;
	return 'SELECT ' . join(', ', @columns) . $tail if rand() < 0.4;
	my ($x, $y, $g, $h) = map { pick(@aliases) } (1 .. 4);
	my $aggregates = join(', ', 'count(*) AS n', pick("sum($x.v) AS a", "avg($x.id) AS a", "count($x.k) AS a"),
		pick("min($y.v) AS b", "max($y.s) AS b", "sum($y.k) FILTER (WHERE $x.v > 1) AS b"));
	return "SELECT $aggregates$tail" if rand() < 0.2;
	return "SELECT $g.k AS g, $aggregates$tail GROUP BY $g.k" if rand() < 0.5;
	return "SELECT $g.s AS g, $h.v AS h, $aggregates$tail GROUP BY $g.s, $h.v";
}

my %sinks = map { (sprintf('q%03d', $_), random_query()) } (1 .. $queries);
create_sinks($node, 'postgres', \%sinks);
is($node->safe_psql('postgres', q{SELECT string_agg(sink::text, ' ') FROM freshet.status WHERE strategy <> 'delta'}),
	'', 'all of them by single changes');

my $next = 100;

sub random_change
{
	my $table = pick('keyed', 'bag', 'parted');
	my ($a, $b, $c) = (int(rand(8)), int(rand(6)), int(rand(15)));
	my $which = pick("id = $c", "id = $c", "k = $b", "v = $a AND id % 2 = 0", "k IS NULL", "id BETWEEN $c AND $c + 2");
	$next++;
	return pick(
		"INSERT INTO $table VALUES (" . ($table eq 'keyed' ? $next : $c) . ", nullif($b, 5), nullif($a, 7), 's" . $a % 3 . "')",
		"INSERT INTO $table SELECT " . ($table eq 'keyed' ? "$next * 1000 + id" : 'id') . ", v, k, s FROM $table WHERE id = $c",
		"DELETE FROM $table WHERE $which",
		"UPDATE $table SET k = nullif($b, 5) WHERE $which",
		"UPDATE $table SET v = nullif($a, 7), s = 's' || $b % 3 WHERE $which",
		"UPDATE $table SET k = v, v = k WHERE $which",
		"UPDATE $table SET " . ($table eq 'keyed' ? 's = upper(s)' : 'id = id + 1') . " WHERE $which",
		"DELETE FROM $table WHERE id > 16");
}

sub random_transaction
{
	my @changes = map { random_change() } (1 .. pick(1, 2, 4, 8));
	splice(@changes, int(rand(@changes)), 0, 'SAVEPOINT s', random_change(), 'ROLLBACK TO SAVEPOINT s') if rand() < 0.2;
	return join(";\n", 'BEGIN', @changes, 'COMMIT') . ";\n";
}

# Names and queries of the sinks that differ, all compared in one statement.
sub differing
{
	wait_for_freshet($node);
	my $all = join(' UNION ALL ',
		map { "SELECT '$_' AS sink, (SELECT count(*) FROM (($sinks{$_}) EXCEPT ALL (TABLE $_)) x) + "
			  . "(SELECT count(*) FROM ((TABLE $_) EXCEPT ALL ($sinks{$_})) x) AS n" } sort keys %sinks);
	return map { "$_: $sinks{$_}" } split /\n/, $node->safe_psql('postgres', "SELECT sink FROM ($all) a WHERE n > 0");
}

is_deeply([ differing() ], [], 'filled');
foreach my $round (1 .. $rounds)
{
	my $sql = join('', map { random_transaction() } (1 .. pick(1, 1, 2, 4)));
	$sql .= 'TRUNCATE ' . pick('bag', 'parted') . ";\n" . random_transaction() if rand() < 0.05;
	$node->safe_psql('postgres', $sql);
	my @bad = differing();
	is_deeply(\@bad, [], "round $round") or note($sql), last;
}
is_deeply([ verify_all($node) ], [], 'verify_sink() in the end');
is($node->safe_psql('postgres', q{SELECT string_agg(sink || ': ' || coalesce(error, state), ', ')
	FROM freshet.status WHERE state <> 'live'}), '', 'all live');
ok(!worker_errors($node), 'the worker met no error');

$node->stop;
done_testing();
