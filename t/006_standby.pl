# Failover: a physical standby has the sinks' rows but not the slot.  Promoted,
# it builds its sinks anew, and they are exact.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = new_freshet_node('primary', synchronous_commit => 'on', hot_standby => 'on');
$primary->safe_psql(
	'postgres', q{
	CREATE TABLE src (id serial PRIMARY KEY, k int, v numeric);
	INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 1000) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, max(v) AS high FROM src GROUP BY k',
	b_total => 'SELECT count(*) AS count, sum(v) AS total FROM src',
	c_copy => 'SELECT id, v FROM src WHERE k = 1',
	d_on_copy => 'SELECT count(*) AS count, sum(v) AS total FROM c_copy');
create_sinks($primary, 'postgres', \%sinks);
wait_for_freshet($primary);

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

my $write = q{
\set k random(0, 9)
\set id random(1, 3000)
INSERT INTO src (k, v) VALUES (:k, :id);
UPDATE src SET k = :k WHERE id = :id;
DELETE FROM src WHERE id = :id + 1;
};
my $writers = start_pgbench($primary, clients => 4, seconds => 4, script => $write);

# On a standby the sinks are read, and agree with each other.
my $agree = 1;
foreach (1 .. 20)
{
	my $result = $standby->safe_psql('postgres',
		'SELECT (SELECT sum(count) FROM a_groups) = (SELECT count FROM b_total)');
	$agree = 0 if $result ne 't';
}
ok($agree, 'sinks on a standby agree with each other');
is($standby->safe_psql('postgres', q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet worker'}),
	'0', 'no worker runs on a standby');
foreach my $call (q{freshet.wait('1 s')}, q{freshet.verify_sink('b_total')},
	q{freshet.create_sink('x', 'SELECT count(*) FROM src')}, q{freshet.rebuild_sink('b_total')})
{
	my ($ret, $out, $err) = $standby->psql('postgres', "SELECT $call");
	isnt($ret, 0, "no $call on a standby");
	like($err, qr/recovery|read-only|not running|standby/, 'with a reason');
}
is($standby->safe_psql('postgres', 'SELECT count(*) FROM freshet.status'), '4', 'status works there');

# The primary dies while writers write.
$primary->stop('immediate');
eval { IPC::Run::finish($writers->{harness}) };
$standby->promote;
wait_for_worker($standby);
is_deeply([ finish_background(start_pgbench($standby, clients => 2, seconds => 2, script => $write)) ],
	[], 'writers on the new primary');
wait_for_freshet($standby);
is_deeply([ differing_sinks($standby, 'postgres', \%sinks) ], [], 'plain SQL on the new primary');
is_deeply([ verify_all($standby) ], [], 'verify_sink() on the new primary');
ok(wait_for_state($standby, 'postgres', 'd_on_copy', 'live'), 'live again');

# The old primary starts on its own: it has its slot, and goes on.
$primary->start;
wait_for_freshet($primary);
is_deeply([ differing_sinks($primary, 'postgres', \%sinks) ], [], 'the old primary goes on too');
$primary->stop;

# A base backup that is started as a server of its own has the same system
# identifier and the progress of the original, but no slot.
my $clone = PostgreSQL::Test::Cluster->new('clone');
$clone->init_from_backup($primary, 'backup');
$clone->start;
$clone->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (1, 1)');
wait_for_freshet($clone);
is_deeply([ differing_sinks($clone, 'postgres', \%sinks) ], [], 'a base backup is rebuilt');
is_deeply([ verify_all($clone) ], [], 'a base backup is rebuilt: verify_sink()');
$clone->stop;

# Back to a point in time that the log says nothing about: the progress row is
# in the future or in the past of the slot's log.
$standby->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (2, 2)');
wait_for_freshet($standby);
is_deeply([ differing_sinks($standby, 'postgres', \%sinks) ], [], 'in the end');
$standby->stop;
done_testing();
