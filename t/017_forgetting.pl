# What the worker knows of relations does not grow with those that are gone, and
# partitions that nothing happens to are not looked at.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node('forgetting', autovacuum => 'off', 'freshet.batch_interval' => '1ms');

# Bytes in use in the worker's memory contexts whose names match, those that are
# summed up by PostgreSQL included.
sub memory_of_relations
{
	# what a batch leaves is swept at the beginning of the next
	foreach (1 .. 2)
	{
		$node->safe_psql('postgres', 'UPDATE src SET v = v + 1 WHERE id = 1');
		wait_for_freshet($node);
	}
	my $offset = -s $node->logfile;
	my $pid = wait_for_worker($node);

	$node->safe_psql('postgres', "SELECT pg_log_backend_memory_contexts($pid)");
	# the report is made when the worker looks at its interrupts
	$node->safe_psql('postgres', "INSERT INTO src VALUES (0, 0, 0) ON CONFLICT (id) DO UPDATE SET v = 0");
	$node->wait_for_log(qr/Grand total:/, $offset);
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset);
	my $bytes = 0;
	my $inside = undef;
	foreach my $line (split /\n/, $log)
	{
		next unless $line =~ /level: (\d+); (.*?): \d+ total.*; (\d+) used/;
		my ($level, $name, $used) = ($1, $2, $3);
		$inside = undef if defined $inside && $level <= $inside;
		$inside //= $level if $name =~ /freshet (decoder|layouts|partitions)/;
		$bytes += $used if defined $inside;
	}
	die 'no report of memory' if $bytes == 0;
	return $bytes;
}

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, g int, v int);
	INSERT INTO src SELECT i, i % 3, i FROM generate_series(1, 10) i;
	SELECT freshet.create_sink('groups', 'SELECT g, count(*) AS n, sum(v) AS v FROM src GROUP BY g');
	SELECT freshet.wait('groups', '90 s')});

# Tables that are made, filled and dropped.
my $churn = q{
	DO $$ BEGIN
		FOR i IN 1..250 LOOP
			EXECUTE format('CREATE TABLE scratch_%s AS SELECT 1 AS a', i);
			EXECUTE format('DROP TABLE scratch_%s', i);
		END LOOP;
	END $$;
};
$node->safe_psql('postgres', $churn) for 1 .. 2;
my $before = memory_of_relations();
$node->safe_psql('postgres', $churn) for 1 .. 8;
my $after = memory_of_relations();
note("tables: $before, then $after bytes");
cmp_ok($after - $before, '<', 200_000, '2,000 tables that are gone are forgotten');

# Versions of a source.
my $alter = join '', map { qq{
	ALTER TABLE src ADD COLUMN c$_ int;
	UPDATE src SET v = v + 1 WHERE id = 5;
	ALTER TABLE src DROP COLUMN c$_;
	UPDATE src SET v = v + 1 WHERE id = 5;
} } 1 .. 100;
$node->safe_psql('postgres', $alter);
$after = memory_of_relations();
note("alters: $after bytes");
# a row's description is 20 kB in the end, and some are in use
cmp_ok($after - $before, '<', 1_000_000, '200 ways in which rows were laid out are forgotten');
is_deeply([ verify_all($node) ], [], 'every sink equals its query');

# ---------------------------------------------------------------------------
# A partitioned source, with partitions that come and go between changes.  Each
# change is the first after an attachment, when what was kept is out of date.
# ---------------------------------------------------------------------------

my %sinks = (
	by_partition => 'SELECT p, count(*) AS n, sum(v) AS v FROM parts GROUP BY p',
	parts_total => 'SELECT count(*) AS n, max(v) AS v FROM parts');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE parts (p int, id int, v int, PRIMARY KEY (p, id)) PARTITION BY LIST (p);
	SELECT format('CREATE TABLE parts_%s PARTITION OF parts FOR VALUES IN (%s)', i, i)
	FROM generate_series(1, 100) i \gexec
	INSERT INTO parts SELECT 1 + i % 100, i, i FROM generate_series(1, 300) i;
});
create_sinks($node, 'postgres', \%sinks);
$node->safe_psql('postgres', "SELECT freshet.wait('$_', '90 s')") foreach sort keys %sinks;

my $writer = start_pgbench(
	$node, name => 'writer', clients => 2, seconds => scaled(5), rate => 300,
	script => q{
\set p random(1, 100)
\set id random(1, 300)
INSERT INTO parts VALUES (:p, :id, 1) ON CONFLICT (p, id) DO UPDATE SET v = parts.v + 1;
});
my $mover = start_pgbench(
	$node, name => 'mover', clients => 1, seconds => scaled(5), max_tries => 1,
	script => q{
CREATE TABLE next (LIKE parts INCLUDING ALL);
INSERT INTO next SELECT 200, i, i FROM generate_series(1, 3) i;
ALTER TABLE parts ATTACH PARTITION next FOR VALUES IN (200);
INSERT INTO parts VALUES (200, 7, 1000);
UPDATE parts SET v = v + 1 WHERE p = 200;
ALTER TABLE parts DETACH PARTITION next;
DROP TABLE next;
CREATE TABLE made PARTITION OF parts FOR VALUES IN (201);
INSERT INTO parts VALUES (201, 1, 2000);
DELETE FROM parts WHERE p = 201;
DROP TABLE made;
});
my $checker = start_checker($node, seconds => scaled(5), sinks => [ sort keys %sinks ]);
is_deeply([ finish_background($writer, $mover, $checker) ], [], 'exact while partitions come and go');
wait_for_freshet($node);
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'and afterwards');

$node->stop;
done_testing();
