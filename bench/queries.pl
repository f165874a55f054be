# Sinks of random queries under random changes, for as long as wanted: see
# queries.sh, which starts the server.
#
#	queries.pl LOG FIRST_SEED CASES DIRECTORY PSQL...
#
# Each fault is printed with its seed, and a script to repeat it, shrunk to what
# is needed, is left in the directory.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../t";
use File::Temp ();
use QueryJudge;

my ($log, $seed, $cases, $dir, @psql) = @ARGV;
my $psql = sub {
	my ($sql) = @_;
	my $in = File::Temp->new;
	my $err = File::Temp->new;

	binmode($in);
	print $in $sql;
	close($in);
	my $pid = open(my $out, '-|') // die "fork: $!";
	if (!$pid)
	{
		open(STDIN, '<', $in->filename) or die $!;
		open(STDERR, '>', $err->filename) or die $!;
		exec(@psql, qw(-X -A -t -q -v ON_ERROR_STOP=0 -v VERBOSITY=verbose)) or die $!;
	}
	my $result = join('', <$out>);
	close($out);
	seek($err, 0, 0);
	return ($result, join('', <$err>));
};
my $judge = QueryJudge->new(psql => $psql, log => $log);
my $faults = 0;

$| = 1;
$judge->prepare;
foreach my $n (1 .. $cases)
{
	my $case = $judge->make_case($seed + $n - 1);
	my @faults = $judge->try_case($case);

	print "$n cases, $faults with faults: ", join(', ', map { "$judge->{count}{$_} $_" } sort keys %{ $judge->{count} }), "\n"
	  if $n % 100 == 0 || $n == $cases;
	next unless @faults;
	$faults++;
	print "seed $case->{seed}: $_->{sink}, batch $_->{batch}: $_->{text}\n" foreach @faults;
	open(my $file, '>', "$dir/$case->{seed}.sql") or die "$dir: $!";
	print $file $judge->script($judge->shrink($case, $faults[0]), $faults[0]);
	close($file);
	print "  $dir/$case->{seed}.sql repeats it\n";
}
foreach my $what (qw(refusals errors))
{
	my $seen = $judge->{$what} // next;
	print "$what:\n", map { sprintf("%6d  %s\n", $seen->{$_}, $_) } sort { $seen->{$b} <=> $seen->{$a} } keys %$seen;
}
exit($faults ? 1 : 0);
