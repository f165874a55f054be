# freshet-tail: options, output, slots; and following a sink under load through
# restarts of the server and the death of freshet-tail itself, with nothing lost.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use IPC::Run ();
use JSON::PP ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# An independent reader of JSON, which loses no digits.
my $json = JSON::PP->new->utf8->canonical->allow_nonref->allow_bignum;
my $timeout = $FreshetTest::timeout;
my $dir = PostgreSQL::Test::Utils::tempdir();

my $node = new_freshet_node(
	'tail',
	'freshet.batch_interval' => '2ms',
	log_min_messages => 'fatal');
my $connstr = $node->connstr('postgres');

# ---------------------------------------------------------------------------
# Running it
# ---------------------------------------------------------------------------

# Run to the end; returns exit code, standard output, standard error.
sub tail
{
	my (@args) = @_;
	my ($out, $err) = ('', '');
	note("freshet-tail @args");
	IPC::Run::run([ 'freshet-tail', '-w', '-d', $connstr, @args ],
		'<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout($timeout));
	return ($? >> 8, $out, $err);
}

# The same up to what is committed now.
sub tail_to_now
{
	my (@args) = @_;
	my $end = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
	return tail(@args, '--endpos', $end);
}

# Start one that writes to a file.
sub start_tail
{
	my ($name, @args) = @_;
	my %tail = (name => $name, file => "$dir/$name.out", err => "$dir/$name.err");
	note("starting $name: freshet-tail @args");
	$tail{harness} = IPC::Run::start([ 'freshet-tail', '-w', '-d', $connstr, @args ],
		'<', '/dev/null', '>', $tail{file}, '2>', $tail{err});
	return \%tail;
}

# Send a signal and wait for the end; returns the status as wait() has it.
sub stop_tail
{
	my ($tail, $signal) = @_;
	$tail->{harness}->signal($signal) if $signal;
	IPC::Run::finish($tail->{harness});
	my $status = $?;
	my $err = slurp_file($tail->{err});
	note("$tail->{name} said: $err") if $err ne '';
	return $status;
}

sub wait_for_file
{
	my ($file, $regexp) = @_;
	my $end = time() + $timeout;
	while (time() < $end)
	{
		return 1 if -e $file && slurp_file($file) =~ $regexp;
		sleep(0.05);
	}
	return 0;
}

sub lines_of
{
	my ($text) = @_;
	return map { $json->decode($_) } split /\n/, $text;
}

sub slot_exists
{
	my ($slot) = @_;
	return $node->safe_psql('postgres',
		"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '$slot'");
}

# ---------------------------------------------------------------------------
# Options
# ---------------------------------------------------------------------------

program_help_ok('freshet-tail');
program_version_ok('freshet-tail');
program_options_handling_ok('freshet-tail');

foreach my $case (
	[ [], qr/no replication slot specified/ ],
	[ [ '--slot', 's', 'extra' ], qr/too many command-line arguments \(first is "extra"\)/ ],
	[ [ '--slot', 's', '--format', 'xml' ], qr/invalid value "xml" for option --format/ ],
	[ [ '--slot', 's', '--from', '12' ], qr/invalid value "12" for option -I\/--from/ ],
	[ [ '--slot', 's', '--endpos', '0/12345678z' ], qr/invalid value .* -E\/--endpos/ ],
	[ [ '--slot', 's', '--endpos', '0/0' ], qr/invalid value "0\/0" for option -E\/--endpos/ ],
	[ [ '--slot', 's', '-s', '-1' ], qr/invalid value "-1" for option -s\/--status-interval/ ],
	[ [ '--slot', 's', '--sink', '' ], qr/an empty name or pattern/ ],
	[ [ '--slot', 's', '-o', 'stream=on' ], qr/chosen by freshet-tail itself/ ],
	[ [ '--slot', 's', '-o', 'sinks=a' ], qr/is set by --sink/ ],
	[ [ '--slot', 's', '--no-start' ], qr/--no-start needs --create-slot/ ],
	[ [ '--slot', 's', '--if-not-exists' ], qr/--if-not-exists needs --create-slot/ ],
	[ [ '--slot', 's', '--transactions' ], qr/--transactions needs --format=json/ ],
	[ [ '--temporary', '--create-slot' ], qr/--temporary cannot be used with/ ],
	[ [ '--slot', 's', '--drop-slot', '--create-slot' ], qr/--drop-slot cannot be used with/ ])
{
	my ($args, $message) = @$case;
	my ($code, $out, $err) = tail(@$args);
	is_deeply([ $code, $out ], [ 1, '' ], "refused: @$args");
	like($err, qr/^freshet-tail: error: .*$message/m, '... with its message');
}

# ---------------------------------------------------------------------------
# Slots
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('other', 'test_decoding')");
my ($code, $out, $err) = tail('--slot', 'nobody');
is($code, 1, 'a slot that does not exist');
like($err, qr/error: replication slot "nobody" does not exist\n.*hint: .*--create-slot/,
	'... is told');
($code, $out, $err) = tail('--slot', 'other');
is($code, 1, 'a slot with another plugin');
like($err, qr/has the output plugin "test_decoding", not "freshet"/, '... is told');
$node->safe_psql('postgres', "SELECT pg_drop_replication_slot('other')");

is_deeply([ tail('--slot', 's', '--create-slot', '--no-start') ], [ 0, '', '' ], 'made a slot');
is(slot_exists('s'), 1, 'it is there');
($code, $out, $err) = tail('--slot', 's', '--create-slot', '--no-start');
is($code, 1, 'not made twice');
like($err, qr/could not create replication slot "s": .*already exists/, '... with a message');
is((tail('--slot', 's', '--create-slot', '--if-not-exists', '--no-start'))[0],
	0, '--if-not-exists takes it as it is');
($code, $out, $err) = tail('--slot', 's', '-o', 'nonsense=1');
is($code, 1, 'an option that the plugin does not know');
like($err, qr/could not stream from replication slot "s": .*nonsense/, '... ends it');
is_deeply([ tail('--slot', 's', '--drop-slot') ], [ 0, '', '' ], 'dropped it');
is(slot_exists('s'), 0, 'it is gone');
is((tail('--slot', 's', '--drop-slot'))[0], 1, 'not dropped twice');

my $nowhere = "$dir/nowhere";
($code, $out, $err) = tail('--slot', 's', '-h', $nowhere);
is($code, 2, 'no server');
like($err, qr/^freshet-tail: error: connection to server/m, '... is told');

# ---------------------------------------------------------------------------
# Tables, compared exactly
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE TABLE item (id int PRIMARY KEY, name text, price numeric, note text);
	ALTER TABLE item REPLICA IDENTITY FULL;
	CREATE TABLE tag (id int PRIMARY KEY, "a ""quoted"" name" text);
	CREATE TABLE big (id bigint PRIMARY KEY, n numeric, r double precision, doc jsonb);
});
tail('--slot', 's', '--create-slot', '--no-start');
my $start = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
$node->safe_psql(
	'postgres', q{
	BEGIN;
	INSERT INTO item VALUES (1, 'apple', 0.50, NULL), (2, 'pear', 12.25, 'NULL');
	INSERT INTO tag VALUES (7, E'two\nlines\tand \x1b[1m');
	UPDATE item SET price = 0.75 WHERE id = 1;
	COMMIT;
	DELETE FROM item WHERE id = 2;
	UPDATE tag SET id = 8;
	DELETE FROM tag;
	INSERT INTO item VALUES (1000, 'größer: 日本', -1, 'wider');
	TRUNCATE item, tag CASCADE;
	INSERT INTO item VALUES (3, 'plum', 3, 'x');
});
my $aligned = <<'EOT';
public.item
   | id | name  | price | note
---+----+-------+-------+------
 + |  1 | apple |  0.50 | ∅
 + |  2 | pear  | 12.25 | NULL

public.tag
   | id | a "quoted" name
---+----+-------------------------
 + |  7 | two\nlines\tand \x1B[1m

public.item
   | id | name  | price | note
---+----+-------+-------+------
 < |  1 | apple |  0.50 | ∅
 > |  1 | apple |  0.75 | ∅
 - |  2 | pear  | 12.25 | NULL

public.tag
   | id | a "quoted" name
---+----+-------------------------
 < |  7 |
 > |  8 | two\nlines\tand \x1B[1m
 - |  8 |

public.item
   |   id | name         | price | note
---+------+--------------+-------+-------
 + | 1000 | größer: 日本 |    -1 | wider

public.item: truncated, cascade

public.tag: truncated, cascade

public.item
   |   id | name         | price | note
---+------+--------------+-------+-------
 + |    3 | plum         |     3 | x
EOT
is_deeply(
	[ tail_to_now('--slot', 's', '--table', 'item', '--table', 'public.tag', '--null', '∅') ],
	[ 0, $aligned, '' ],
	'aligned output');

# What was printed was confirmed.
is_deeply([ tail_to_now('--slot', 's', '--table', 'item,tag') ],
	[ 0, '', '' ], 'printed once');
($code, $out, $err) = tail_to_now('--slot', 's', '--table', 'item', '--from', $start);
is($code, 0, 'a start before what was confirmed');
like($err, qr/warning: cannot start at .*\n.*detail: .* has been confirmed up to/,
	'... is warned of');

# What is unchanged and not in the log; columns that come and go.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE doc (id int PRIMARY KEY, body text, n int);
	ALTER TABLE doc ALTER body SET STORAGE EXTERNAL;
	INSERT INTO doc VALUES (1, repeat('x', 5000), 1);
	UPDATE doc SET n = 2;
	ALTER TABLE doc ADD added text DEFAULT 'a';
	UPDATE doc SET n = 3;
	ALTER TABLE doc DROP n;
	UPDATE doc SET body = 'short';
	UPDATE doc SET id = 2;
	DELETE FROM doc;
});
($code, $out, $err) = tail_to_now('--slot', 's', '--table', 'doc');
my $long = 'x' x 5000;
my $wide = '-' x 62;
my $blank = ' ' x 49;
is($out, <<"EOT", 'aligned output of a table that changes');
public.doc
   | id | body                                                         | n
---+----+$wide+---
 + |  1 | $long | 1
 > |  1 | (unchanged) $blank| 2

public.doc
   | id | body                                                         | n | added
---+----+$wide+---+-------
 > |  1 | (unchanged) $blank| 3 | a

public.doc
   | id | body                                                         | added
---+----+$wide+-------
 > |  1 | short       $blank| a
 < |  1 |             $blank|
 > |  2 | short       $blank| a
 - |  2 |             $blank|
EOT

# ---------------------------------------------------------------------------
# Numbers
# ---------------------------------------------------------------------------

my $digits = '1234567890123456789012345678901234567890.0100';
$node->safe_psql('postgres', qq{
	INSERT INTO big VALUES (9007199254740993, $digits, 'NaN',
		'{"n": $digits, "a": [9007199254740993]}');
	INSERT INTO big VALUES (-9223372036854775808, 'Infinity', 1e-300, '$digits');
});
$start = $node->safe_psql('postgres',
	"SELECT confirmed_flush_lsn FROM pg_replication_slots WHERE slot_name = 's'");
($code, $out) = tail_to_now('--slot', 's', '--table', 'big', '--columns', 'id,n,doc');
is($code, 0, 'numbers');
like($out, qr/^ \+ \| +9007199254740993 \| $digits \|/m, 'bigint and numeric are exact in tables');
like($out, qr/\{"a": \[9007199254740993\], "n": $digits\}/, '... and within documents');
like($out, qr/^ \+ \| -9223372036854775808 \| +Infinity \|/m, 'the smallest bigint, and infinity');

$node->safe_psql('postgres', 'UPDATE big SET r = 0.1 WHERE id > 0');
($code, $out) = tail_to_now('--slot', 's', '--table', 'big', '--format', 'json');
like($out, qr/"id":9007199254740993\b/, 'bigint is exact in JSON');
like($out, qr/"n":"?$digits"?,/, 'numeric is exact in JSON');
my ($line) = lines_of($out);
is("$line->{after}{id}", '9007199254740993', '... for another reader too');
is("$line->{op} $line->{schema}.$line->{table}", 'update public.big', 'its names');
ok($line->{last}, 'the last of its transaction');

# ---------------------------------------------------------------------------
# Transactions: whole, large, from a position
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{
	CREATE TABLE load (id int PRIMARY KEY, pad text);
	INSERT INTO load SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i});
($code, $out) = tail_to_now('--slot', 's', '--table', 'load', '--format', 'json', '--transactions');
my @ops = map { /^\{"op":"(\w+)"/ ? $1 : $_ } split /\n/, $out;
is_deeply([ @ops[ 0, 1, -2, -1 ], scalar(@ops) ],
	[ 'begin', 'insert', 'insert', 'commit', 30002 ],
	'a transaction larger than memory');
my @last = grep { /"last":true/ } split /\n/, $out;
is(scalar(@last), 1, 'one last change');
@ops = @last = ();

$node->safe_psql('postgres', "UPDATE load SET pad = 'a' WHERE id = 1");
my $between = $node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()');
$node->safe_psql('postgres', "UPDATE load SET pad = 'b' WHERE id = 1");
($code, $out) = tail('--slot', 's', '--table', 'load', '--format', 'json', '--endpos', $start);
is_deeply([ $code, $out ], [ 0, '' ], 'an end before the beginning');
($code, $out) =
  tail_to_now('--slot', 's', '--table', 'load', '--format', 'json', '--from', $between);
is_deeply([ map { $_->{after}{pad} } lines_of($out) ], ['b'], 'from a position');

# ---------------------------------------------------------------------------
# The end of the reader
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', "UPDATE load SET pad = repeat('y', 1000) WHERE id <= 2000");
my $script = "freshet-tail -d '$connstr' --slot s --table load --format json; echo \$? >$dir/code";
IPC::Run::run([ 'sh', '-c', "{ $script; } | head -n 1" ], '<', \undef, '>', \$out, '2>', \$err,
	IPC::Run::timeout($timeout));
is($out =~ tr/\n//, 1, 'a reader who wants one line');
ok(wait_for_file("$dir/code", qr/\n/), 'ends it');
is_deeply([ slurp_file("$dir/code"), $err ], [ "3\n", '' ], '... in silence');
($code, $out) = tail_to_now('--slot', 's', '--table', 'load', '--format', 'json');
is($out =~ tr/\n//, 2000, 'and nothing of it was confirmed');

# also one who leaves while there is nothing to say
foreach my $reader ('true', 'sleep 1')
{
	unlink "$dir/code";
	IPC::Run::run([ 'sh', '-c', "{ $script; } | $reader" ], '<', \undef, '>', \$out, '2>', \$err,
		IPC::Run::timeout($timeout));
	ok(wait_for_file("$dir/code", qr/\n/), "a reader who leaves meanwhile ($reader)");
	is_deeply([ slurp_file("$dir/code"), $err ], [ "3\n", '' ], '... is noticed');
}

# ---------------------------------------------------------------------------
# A temporary slot, and signals
# ---------------------------------------------------------------------------

foreach my $signal ('INT', 'TERM')
{
	my $name = lc "temporary_$signal";
	my $tail = start_tail($name, '--temporary', '--slot', $name, '--table', 'tag', '-v');
	ok(wait_for_file($tail->{err}, qr/following/), "follows with a temporary slot");
	$node->safe_psql('postgres', "INSERT INTO tag VALUES (1, '$signal')");
	ok(wait_for_file($tail->{file}, qr/^ \+ \|  1 \| $signal\n-- .*1 change, [-0-9.]+ ms after/m),
		'prints what comes, and how late');
	is(stop_tail($tail, $signal), 0, "SIG$signal ends it with success");
	$node->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_replication_slots WHERE slot_name = '$name'");
	$node->safe_psql('postgres', 'DELETE FROM tag');
}

# ---------------------------------------------------------------------------
# What passes, and what does not
# ---------------------------------------------------------------------------

my $first = start_tail('first', '--slot', 's', '--table', 'tag', '-v');
ok(wait_for_file($first->{err}, qr/following/), 'a slot in use');
my $second = start_tail('second', '--slot', 's', '--table', 'tag', '-v');
ok(wait_for_file($second->{err}, qr/error: .*"s" is active.*\n.*trying again/),
	'... is waited for');
is(stop_tail($first, 'INT'), 0, 'its reader ends');
ok(wait_for_file($second->{err}, qr/following/), '... and the next one reads it');
is(stop_tail($second, 'INT'), 0, '... until it is stopped');
is((tail('--slot', 's', '--table', 'tag', '--no-loop', '--endpos', $start))[0],
	0, 'the slot was released');

$node->safe_psql('postgres', q{
	CREATE ROLE follower LOGIN REPLICATION;
	INSERT INTO tag VALUES (2, 'secret')});
($code, $out, $err) = tail_to_now('-U', 'follower', '--slot', 's', '--table', 'tag');
is_deeply([ $code, $out ], [ 1, '' ], 'without SELECT on the table');
like($err, qr/error: .*permission denied/, '... that is final');

# ---------------------------------------------------------------------------
# Following a sink under load
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id bigserial PRIMARY KEY, user_id int, price numeric(12, 2), at timestamptz);
	INSERT INTO orders (user_id, price, at)
		SELECT i % 30, i / 4.0, timestamptz '2026-01-01' + i * interval '1 second'
		FROM generate_series(1, 500) i;
});
my %sinks = (
	by_user => q{SELECT user_id, count(*) AS count, sum(price) AS total, max(price) AS high
		FROM orders GROUP BY user_id},
	copied => q{SELECT id, user_id, price FROM orders WHERE user_id % 3 = 0});
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);
tail('--slot', 's', '--drop-slot');

# What the sinks hold before the slot is made: the base of the replica.
my %replica;
foreach my $sink (sort keys %sinks)
{
	my $key = $sink eq 'copied' ? 'id' : 'user_id';
	$replica{$sink}{ $json->encode($_->{$key}) } = $json->encode($_)
	  foreach lines_of($node->safe_psql('postgres',
		"SELECT row_to_json(q) FROM ($sinks{$sink}) q"));
}
tail('--slot', 's', '--create-slot', '--no-start');

# Take over the transactions of a file of JSON lines with begin and commit.
# Returns how many were new, how many had been there before, and how many lines
# at the end are of no whole transaction.
my $applied = 0;

sub lsn_number
{
	my ($hi, $lo) = $_[0] =~ m!^([0-9A-F]+)/([0-9A-F]+)$! or die "not a position: $_[0]";
	return hex($hi) * 2**32 + hex($lo);
}

sub apply_change
{
	my ($change) = @_;
	my $rows = $replica{ $change->{table} };
	if ($change->{op} eq 'truncate')
	{
		%$rows = ();
		return;
	}
	my ($column) = keys %{ $change->{key} };
	my $old = $change->{before} // $change->{key};
	delete $rows->{ $json->encode($old->{$column}) };
	$rows->{ $json->encode($change->{after}{$column}) } = $json->encode($change->{after})
	  if $change->{after};
	return;
}

sub apply_file
{
	my ($tail) = @_;
	my ($new, $again) = (0, 0);
	my @changes;
	foreach my $text (split /\n/, slurp_file($tail->{file}))
	{
		my $line = eval { $json->decode($text) };
		push @changes, $line;
		# half a line: the end, if it was killed
		next if !defined $line;
		@changes = ($line) if $line->{op} eq 'begin';
		next if $line->{op} ne 'commit';
		my $end = lsn_number($line->{end_lsn});
		if ($end > $applied)
		{
			apply_change($_) foreach grep { $_->{table} } @changes;
			$applied = $end;
			$new++;
		}
		else
		{
			$again++;
		}
		@changes = ();
	}
	note("$tail->{name}: $new transactions, $again again, " . scalar(@changes) . ' lines left');
	return ($new, $again, scalar(@changes));
}

my @follow = ('--slot', 's', '--sink', 'by_user', '--sink', 'public.copied', '--format', 'json',
	'--transactions', '-s', '1');
my $stop = "$dir/stop";
my $write = "$dir/write.sql";
append_to_file($write, q{
\set u random(0, 34)
\set i random(1, 800)
INSERT INTO orders (user_id, price, at) VALUES (:u, :i / 3.0, now());
UPDATE orders SET user_id = :u, price = price + 1 WHERE id = :i;
DELETE FROM orders WHERE id = :i + 7;
});
# comes again when the server is back
my $writer = start_loop('writer', $stop,
	"pgbench -n -c 3 -R 150 -T 2 --max-tries 100 -f $write '$connstr'; sleep 0.1");

# killed in the midst of it
my $tail = start_tail('killed', @follow);
ok(wait_for_file($tail->{file}, qr/"op":"commit"/), 'follows two sinks');
sleep(1.5);
is(stop_tail($tail, 'KILL') & 127, 9, 'killed');
my ($new, $again, $left) = apply_file($tail);
cmp_ok($new, '>', 0, 'it had printed transactions');
is($again, 0, 'each once');

# through a crash and a restart of the server
$tail = start_tail('restart', @follow, '-v');
ok(wait_for_file($tail->{file}, qr/"op":"commit"/), 'another goes on');
foreach my $mode ('immediate', 'fast')
{
	$node->stop($mode);
	sleep(0.5);
	$node->start;
	wait_for_worker($node);
	my $size = -s $tail->{file};
	my $end = time() + $timeout;
	sleep(0.1) while -s $tail->{file} <= $size + 1000 && time() < $end;
	cmp_ok(-s $tail->{file}, '>', $size, "it goes on after a stop in mode $mode");
}
is(stop_tail($tail, 'INT'), 0, 'SIGINT under load');
like(slurp_file($tail->{err}), qr/trying again in/, 'it had lost its connections');
my $repeated;
($new, $repeated, $left) = apply_file($tail);
cmp_ok($new, '>', 0, 'new transactions');
is($left, 0, 'the output ends with a whole one');

# within one run nothing is printed twice, whatever the server sends again
my @ends = map { lsn_number($_) }
  slurp_file($tail->{file}) =~ /"op":"commit".*"end_lsn":"([^"]+)"/g;
is(scalar(grep { $ends[ $_ - 1 ] >= $ends[$_] } 1 .. $#ends), 0, 'each commit once, in order');

# the rest
append_to_file($stop, '');
is_deeply([ finish_background($writer) ], [], 'the writer ends');
wait_for_freshet($node);
$tail = start_tail('rest', @follow, '--endpos',
	$node->safe_psql('postgres', 'SELECT pg_current_wal_lsn()'));
is(stop_tail($tail), 0, 'a third prints the rest');
($new, $again, $left) = apply_file($tail);
is("$again, $left", '0, 0', 'after SIGINT nothing comes again');

is_deeply([ verify_all($node) ], [], 'the sinks equal their queries');
foreach my $sink (sort keys %sinks)
{
	my @rows = map { $json->encode($_) } lines_of($node->safe_psql('postgres',
		"SELECT row_to_json(q) FROM ($sinks{$sink}) q"));
	cmp_ok(scalar(@rows), '>', 10, "$sink has rows");
	is(join("\n", sort values %{ $replica{$sink} }), join("\n", sort @rows),
		"the replica of $sink, made of JSON lines alone, equals it");
}

# ---------------------------------------------------------------------------
# The delay
# ---------------------------------------------------------------------------

my @batches = grep { $_->{op} eq 'batch' } lines_of(slurp_file($tail->{file}));
cmp_ok(scalar(@batches), '>', 0, 'batches are told');
is(scalar(grep { $_->{applied_lsn} && $_->{applied_commit_time} } @batches),
	scalar(@batches), '... with what they have applied');

$tail = start_tail('delay', '--temporary', '--sink', 'by_user', '-v');
ok(wait_for_file($tail->{err}, qr/following/), 'follows the sink');
$node->safe_psql('postgres', 'INSERT INTO orders (user_id, price) VALUES (1, 1)');
ok(wait_for_file($tail->{file}, qr/, 1 change, ([-0-9.]+) ms after the source's commit\n/),
	'--verbose tells the delay');
my ($delay) = slurp_file($tail->{file}) =~ /, ([-0-9.]+) ms after/;
cmp_ok($delay, '>', 0, "the delay is positive: $delay ms");
cmp_ok($delay, '<', 1000 * $timeout, '... and sensible');
is(stop_tail($tail, 'INT'), 0, 'stopped');

# ---------------------------------------------------------------------------
# --no-loop
# ---------------------------------------------------------------------------

$tail = start_tail('no_loop', @follow, '--no-loop', '-v');
ok(wait_for_file($tail->{err}, qr/following/), 'with --no-loop');
$node->stop('immediate');
is(stop_tail($tail) >> 8, 2, 'a lost connection ends it');
$node->start;

$node->stop;
done_testing();
