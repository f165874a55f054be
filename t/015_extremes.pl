# How a stale min or max is computed again: by an index that begins with the
# group's keys, else by the group's rows or one pass over the source; never through
# an index on the value alone, in which the group's rows may be at the far end.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use Test::More;

my $node = new_freshet_node('extremes', autovacuum => 'off');
my $rows = 50_000;

# the groups follow the values: those of group 1 are the smallest
$node->safe_psql(
	'postgres', qq{
	CREATE TABLE source (id int PRIMARY KEY, k int, x int, w timestamptz);
	ALTER TABLE source REPLICA IDENTITY FULL;
	INSERT INTO source SELECT i, nullif(1 + i / 10000, 3), i, timestamptz '2026-01-01 UTC' + i * interval '1 s'
		FROM generate_series(1, $rows) i;
	VACUUM ANALYZE source;
	SELECT freshet.create_sink('by_key', 'SELECT k, min(x), max(x) FROM source WHERE w IS NOT NULL GROUP BY k');
	SELECT freshet.create_sink('total', 'SELECT min(x), max(x) FROM source')});
$node->safe_psql('postgres', "SELECT freshet.wait(s, '60 s') FROM unnest('{by_key, total}'::regclass[]) s");

# Run SQL, and have the server count at once what it has read.
sub run_counted
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', "$sql; SELECT pg_stat_force_next_flush()");
}

# [rows read in passes, rows read by the index "scanned"], as the server has
# counted them for everybody; the sessions here find rows by the primary key.
sub counted
{
	my $result = $node->safe_psql(
		'postgres', q{
		SELECT seq_tup_read, (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_all_indexes i
			WHERE i.relid = t.relid AND indexrelname = 'scanned')
		FROM pg_stat_all_tables t WHERE relid = 'source'::regclass});
	return split /\|/, $result;
}

# Take away the greatest value of a group and return what was read.
sub retract
{
	my ($group) = @_;
	my ($pass, $index);
	my ($before_pass, $before_index) = counted();

	run_counted("DELETE FROM source WHERE id = (SELECT max FROM by_key WHERE k IS NOT DISTINCT FROM $group)");
	wait_for_freshet($node);
	for (my $i = 0; $i < 10 * $FreshetTest::timeout; $i++)
	{
		($pass, $index) = counted();
		last if $pass > $before_pass || $index > $before_index;
		Time::HiRes::sleep(0.1);
	}
	return ($pass - $before_pass, $index - $before_index);
}

foreach my $case (
	[ 'the value', '(x)', 0 ],
	[ 'the key', '(k)', 0 ],
	[ 'the value, then the key', '(x, k)', 0 ],
	[ 'the key, then the value', '(k, x)', 1 ],
	[ 'the value within the key', '(k, x) WHERE w IS NOT NULL', 1 ])
{
	my ($what, $columns, $probe) = @$case;

	run_counted("CREATE INDEX scanned ON source $columns");
	$node->safe_psql('postgres', 'VACUUM ANALYZE source');
	foreach my $group ('1', '4', 'NULL')
	{
		my ($pass, $index) = retract($group);

		note "index on $what, group $group: $pass rows in passes, $index by the index";
		if ($probe && $group eq 'NULL')
		{
			# the server takes IS NULL for no equality: the group's rows
			is($pass, 0, "index on $what, group $group: no pass");
			cmp_ok($index, '<=', 11_000, "index on $what, group $group: its rows alone");
		}
		elsif ($probe)
		{
			is($pass, 0, "index on $what, group $group: no pass");
			cmp_ok($index, '<', 1000, "index on $what, group $group: few rows are looked at");
		}
		else
		{
			cmp_ok($pass, '<=', $rows, "index on $what, group $group: one pass at most");
			cmp_ok($index, '<=', 11_000, "index on $what, group $group: not the whole index");
		}
	}
	unlike(run_counted("SELECT * FROM freshet.verify_sink('by_key'); SELECT * FROM freshet.verify_sink('total')"),
		qr/[1-9]/, "index on $what: right");
	$node->safe_psql('postgres', 'DROP INDEX scanned');
}

# Many groups, one query each: nothing is kept from one to the next.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE many (id int PRIMARY KEY, k int, x int);
	ALTER TABLE many REPLICA IDENTITY FULL;
	INSERT INTO many SELECT i, i / 3, i FROM generate_series(1, 60000) i;
	CREATE INDEX ON many (k, x);
	VACUUM ANALYZE many;
	SELECT freshet.create_sink('of_many', 'SELECT k, max(x) FROM many GROUP BY k')});
$node->safe_psql('postgres', "SELECT freshet.wait('of_many', '60 s')");

sub memory_kb
{
	my $pid = worker_pid($node);
	open my $status, '<', "/proc/$pid/status" or return undef;
	my ($kb) = map { /^VmHWM:\s*(\d+)/ ? $1 : () } <$status>;
	return $kb;
}

SKIP:
{
	my $before = memory_kb();

	skip 'the system does not tell the memory of a process', 1 if !defined $before;
	$node->safe_psql('postgres', 'DELETE FROM many WHERE id % 3 = 2');
	wait_for_freshet($node);
	cmp_ok(memory_kb() - $before, '<', 40_000, '20,000 groups leave no 5 kB each');
}
is_deeply([ verify_all($node) ], [], 'right');

$node->stop;
done_testing();
