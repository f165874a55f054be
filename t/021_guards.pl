# Sinks that were spoiled where nothing could refuse it: in a server without the
# library, followed by a crash.  And a subscription that would write to one.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node('guards');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE source (id int PRIMARY KEY, g int);
	ALTER TABLE source REPLICA IDENTITY FULL;
	INSERT INTO source SELECT i, i % 3 FROM generate_series(1, 30) i;
	CREATE TABLE parent (g int, n bigint)});
my @names = qw(unlogged guarded linked referred replaced child parted dropped plain);
foreach my $name (@names)
{
	$node->safe_psql('postgres',
		"SELECT freshet.create_sink('$name', 'SELECT g, count(*) AS n FROM source GROUP BY g')");
}
$node->poll_query_until('postgres',
	"SELECT count(*) = @{[scalar @names]} AND bool_and(state = 'live') FROM freshet.status")
  or die 'the sinks were not filled';

# With the library nothing of it is possible.
my $view = $node->safe_psql('postgres',
	"SELECT definition FROM freshet.sink WHERE relid = 'replaced'::regclass");
my @spoilers = (
	[ unlogged => 'ALTER TABLE unlogged SET UNLOGGED', qr/cannot be unlogged/ ],
	[ guarded => 'ALTER TABLE guarded DISABLE TRIGGER ALL', qr/keep the trigger/ ],
	[
		linked => 'ALTER TABLE linked ADD COLUMN s int REFERENCES source',
		qr/cannot have a foreign key/
	],
	[ referred => 'CREATE TABLE refers (g int REFERENCES referred (g))', qr/foreign key cannot/ ],
	[ child => 'ALTER TABLE child INHERIT parent', qr/cannot be a partition or inherit/ ],
	[ parted => 'CREATE TABLE heir () INHERITS (parted)', qr/no table can inherit/ ]);
foreach my $spoiler (@spoilers)
{
	my ($ret, $stdout, $stderr) = $node->psql('postgres', $spoiler->[1]);
	like($stderr, $spoiler->[2], "refused: $spoiler->[1]");
}

# In a server that was started without it, there is nobody to refuse.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$node->restart;
foreach my $spoiler (@spoilers)
{
	$node->safe_psql('postgres', $spoiler->[1]);
}
$node->safe_psql('postgres',
	"CREATE OR REPLACE VIEW $view AS SELECT g, count(*) AS n FROM source WHERE id > 3 GROUP BY g");
$node->safe_psql('postgres', 'DROP TABLE dropped');
$node->safe_psql('postgres', 'INSERT INTO source VALUES (100, 1)');
$node->stop('immediate');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'freshet'");
$node->start;
wait_for_worker($node);
$node->safe_psql('postgres', 'INSERT INTO source VALUES (101, 1)');
$node->safe_psql('postgres', 'SELECT freshet.wait()');

foreach my $spoiler (@spoilers)
{
	like(
		$node->safe_psql(
			'postgres',
			"SELECT concat_ws(' ', state, error) FROM freshet.status WHERE sink = '$spoiler->[0]'::regclass"
		),
		qr/^failed .*$spoiler->[2]/,
		"sink $spoiler->[0] has failed");
}
is( $node->safe_psql('postgres', "SELECT string_agg(g || ':' || n, ' ' ORDER BY g) FROM plain"),
	'0:10 1:12 2:10', 'a sink that was left alone goes on');
$node->poll_query_until('postgres',
	"SELECT state = 'live' FROM freshet.status WHERE sink = 'replaced'::regclass")
  or die 'the sink with another query is not live';
is( $node->safe_psql(
		'postgres',
		"SELECT string_agg(g || ':' || n, ' ' ORDER BY g) FROM replaced; SELECT * FROM freshet.verify_sink('replaced')"
	),
	"0:9 1:11 2:9\n0|0",
	'a sink with another query was built anew');
is($node->safe_psql('postgres', 'SELECT count(*) FROM freshet.sink'),
	@names - 1, 'a dropped sink is forgotten');

# Mended, they live.
$node->safe_psql(
	'postgres', q{
	ALTER TABLE unlogged SET LOGGED;
	ALTER TABLE guarded ENABLE ALWAYS TRIGGER _freshet_refuse_write;
	ALTER TABLE linked DROP COLUMN s;
	DROP TABLE refers, heir;
	ALTER TABLE child NO INHERIT parent});
$node->safe_psql('postgres', "SELECT freshet.rebuild_sink('$_->[0]')") foreach @spoilers;
foreach my $spoiler (@spoilers)
{
	$node->safe_psql('postgres', "SELECT freshet.wait('$spoiler->[0]', '1 minute')");
	is( $node->safe_psql(
			'postgres',
			"SELECT string_agg(g || ':' || n, ' ' ORDER BY g) FROM $spoiler->[0]"),
		'0:10 1:12 2:10',
		"sink $spoiler->[0] is mended");
}

# A subscription that would write to a sink
$node->safe_psql('postgres', 'CREATE DATABASE publisher');
$node->safe_psql(
	'publisher', q{
	CREATE TABLE plain (g int PRIMARY KEY, n bigint);
	CREATE PUBLICATION pub FOR TABLE plain});
$node->safe_psql('publisher', "SELECT pg_create_logical_replication_slot('sub', 'pgoutput')");
my $connstr = $node->connstr('publisher');
my ($ret, $stdout, $stderr) = $node->psql('postgres',
	"CREATE SUBSCRIPTION sub CONNECTION \$c\$$connstr\$c\$ PUBLICATION pub WITH (create_slot = false, copy_data = false)"
);
like($stderr, qr/cannot be the target of a subscription/, 'a subscription to a sink is refused');
$node->safe_psql('postgres',
	"CREATE SUBSCRIPTION sub CONNECTION \$c\$$connstr\$c\$ PUBLICATION pub WITH (connect = false, slot_name = 'sub')"
);
($ret, $stdout, $stderr) =
  $node->psql('postgres', 'ALTER SUBSCRIPTION sub REFRESH PUBLICATION');
isnt($ret, 0, 'as is what adds it to one that is disabled');
$node->safe_psql('postgres', 'ALTER SUBSCRIPTION sub ENABLE');
($ret, $stdout, $stderr) =
  $node->psql('postgres', 'ALTER SUBSCRIPTION sub REFRESH PUBLICATION WITH (copy_data = false)');
like($stderr, qr/cannot be the target of a subscription/, 'or to one that is enabled');
$node->safe_psql('postgres',
	'ALTER SUBSCRIPTION sub DISABLE; ALTER SUBSCRIPTION sub SET (slot_name = NONE); DROP SUBSCRIPTION sub');
is( $node->safe_psql('postgres', "SELECT * FROM freshet.verify_sink('plain')"),
	'0|0', 'nothing came of it');

$node->stop;
done_testing();
