# Sinks of random queries under random changes equal PostgreSQL's own results.
# FRESHET_TEST_SEED repeats a run; bench/queries.sh makes longer ones.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use QueryJudge;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{FRESHET_TEST_SEED} // int(time()) % 1000000;
note "FRESHET_TEST_SEED=$seed";

my $node = new_freshet_node(
	'queries',
	autovacuum => 'off',
	jit => 'off',
	fsync => 'off',
	'freshet.batch_interval' => '1ms',
	'freshet.max_batch_size' => '1MB');
my $psql = sub {
	my ($sql) = @_;
	my ($out, $err) = ('', '');

	$node->psql(
		'postgres', $sql,
		stdout => \$out,
		stderr => \$err,
		on_error_stop => 0,
		extra_params => [ '-v', 'VERBOSITY=verbose' ]);
	return ($out, $err);
};
my $judge = QueryJudge->new(psql => $psql, log => $node->logfile);
my $end = time() + scaled(20);
my $cases = 0;
my $failed = 0;

$judge->prepare;
# at least some, however slow the machine
while ($failed < 3 && ($cases < 10 || time() < $end))
{
	my $case = $judge->make_case($seed + $cases++);
	my @faults = $judge->try_case($case);

	next unless @faults;
	$failed++;
	fail("seed $case->{seed}: $faults[0]{sink}: $faults[0]{text}");
	diag($judge->script($judge->shrink($case, $faults[0]), $faults[0]));
}
is($failed, 0, 'sinks equal their queries');
note(join(', ', "$cases cases", map { "$_ $judge->{count}{$_}" } sort keys %{ $judge->{count} }));
cmp_ok($judge->{count}{compared}, '>', 100, 'sinks were compared');
$node->stop;
done_testing();
