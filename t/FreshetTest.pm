# FreshetTest: helpers of the TAP tests, over PostgreSQL::Test::Cluster.
#
#	use FindBin;
#	use lib $FindBin::RealBin;
#	use FreshetTest;
#
#	my $node = new_freshet_node('main', 'freshet.batch_interval' => '1ms');
#	my @writers = start_pgbench($node, clients => 8, seconds => 10, script => $sql);
#	my $checker = start_checker($node, seconds => 10, sinks => [...]);
#	... checks while they run ...
#	finish_background(@writers);
#	wait_for_freshet($node);
#	is_deeply([ verify_all($node) ], [], 'every sink equals its query');
package FreshetTest;

use strict;
use warnings;

use Exporter 'import';
use File::Temp ();
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

our @EXPORT = qw(
  append_freshet_conf
  checks_made
  create_database
  create_sinks
  differing_sinks
  finish_background
  hold_sink
  kill_worker
  log_says
  new_freshet_node
  scaled
  server_knows_setting
  start_background_sql
  start_checker
  start_loop
  start_pgbench
  verify_all
  wait_for_freshet
  wait_for_server
  wait_for_state
  wait_for_worker
  worker_errors
  worker_pid
);

# Seconds that anything may take before the test gives up on it.
our $timeout = $PostgreSQL::Test::Utils::timeout_default || 120;

# Seconds or rounds, times FRESHET_TEST_SCALE: for longer runs.
sub scaled
{
	my ($amount) = @_;
	my $result = $amount * ($ENV{FRESHET_TEST_SCALE} // 1);
	return $result < 1 ? 1 : int($result);
}

# ---------------------------------------------------------------------------
# Nodes
# ---------------------------------------------------------------------------

# Does the server know this setting?  Some come with minor versions, and a
# server refuses to start with one that it does not know.
sub server_knows_setting
{
	my ($name) = @_;
	my $settings = `postgres --describe-config`;
	return $settings =~ /^\Q$name\E\t/m;
}

# Add what freshet needs, and the given settings, to a node that is initialised.
sub append_freshet_conf
{
	my ($node, %conf) = @_;
	my %all = (
		shared_preload_libraries => "'freshet'",
		wal_level => 'logical',
		max_worker_processes => 32,
		max_replication_slots => 20,
		max_wal_senders => 20,
		max_prepared_transactions => 20,
		log_min_messages => 'warning',
		# the default of a node, 'all', drowns the log of a test under load
		log_statement => 'ddl',
		# a node's default is off, and a killed worker would end the server
		restart_after_crash => 'on',
		%conf);

	if (server_knows_setting('output_plugin_libraries'))
	{
		$all{output_plugin_libraries} //= "'pgoutput, test_decoding, freshet'";
	}
	# undef leaves a setting out
	$node->append_conf('postgresql.conf', "$_ = $all{$_}")
	  foreach grep { defined $all{$_} } sort keys %all;
	return;
}

# A node that is set up for freshet and runs, with the extension in the
# database postgres.  Settings come last in %conf and win.
sub new_freshet_node
{
	my ($name, %conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init(allows_streaming => 'logical');
	append_freshet_conf($node, %conf);
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION freshet');
	return $node;
}

# A database more, with the extension.
sub create_database
{
	my ($node, $db) = @_;
	$node->safe_psql('postgres', qq(CREATE DATABASE "$db"));
	$node->safe_psql($db, 'CREATE EXTENSION freshet');
	return;
}

# ---------------------------------------------------------------------------
# Sinks and the worker
# ---------------------------------------------------------------------------

# Wait until all that is committed now is in every live sink.
sub wait_for_freshet
{
	my ($node, $db) = @_;
	$db //= 'postgres';
	$node->safe_psql($db, "SELECT freshet.wait('$timeout s')");
	return;
}

# Make sinks from a hash of name => query.  (Their order is that of the names: a
# sink on a sink must come after it.)
sub create_sinks
{
	my ($node, $db, $sinks) = @_;
	$node->safe_psql($db,
		join "\n",
		'SET client_min_messages = warning;',
		map { "SELECT freshet.create_sink('$_', \$s\$$sinks->{$_}\$s\$);" } sort keys %$sinks);
	return;
}

# Compare sinks with their queries in plain SQL, of which freshet knows nothing.
# Returns a list of strings "sink: rows missing|rows unexpected", empty if all is
# well.  The writers must have ended, and freshet.wait() must have returned.
sub differing_sinks
{
	my ($node, $db, $sinks) = @_;
	my @bad;

	foreach my $sink (sort keys %$sinks)
	{
		my $columns = $node->safe_psql($db,
			"SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
			  . "WHERE attrelid = '$sink'::regclass AND attnum > 0 AND NOT attisdropped "
			  . "AND attname NOT LIKE '\\_freshet\\_%'");
		my $result = $node->safe_psql($db, qq{
			WITH q AS ($sinks->{$sink}), s AS (SELECT $columns FROM $sink)
			SELECT (SELECT count(*) FROM (TABLE q EXCEPT ALL TABLE s) x),
				(SELECT count(*) FROM (TABLE s EXCEPT ALL TABLE q) x)});
		push @bad, "$sink: $result" if $result ne '0|0';
	}
	return @bad;
}

# Compare every sink with its query (but those of which $skip is a list).
# Returns a list of strings "sink: missing|unexpected", empty if all is well.
sub verify_all
{
	my ($node, $db, @skip) = @_;
	$db //= 'postgres';
	my %skip = map { $_ => 1 } @skip;
	my @bad;

	foreach my $sink (split /\n/,
		$node->safe_psql($db, 'SELECT sink FROM freshet.status ORDER BY sink::text'))
	{
		next if $skip{$sink};
		my $result = $node->safe_psql($db,
			"SELECT missing, unexpected FROM freshet.verify_sink(\$s\$$sink\$s\$)");
		push @bad, "$sink: $result" if $result ne '0|0';
	}
	return @bad;
}

# Wait until a sink has this state.  True if it came to that.
sub wait_for_state
{
	my ($node, $db, $sink, $state) = @_;
	return $node->poll_query_until($db,
		"SELECT state FROM freshet.status WHERE sink::text = \$s\$$sink\$s\$", $state);
}

# Process of the database's worker, or '' if none runs.
sub worker_pid
{
	my ($node, $db) = @_;
	$db //= 'postgres';
	return $node->safe_psql($db, 'SELECT pid FROM freshet.worker WHERE pid IS NOT NULL');
}

# Wait until a worker runs that is not $old, and return its process.
sub wait_for_worker
{
	my ($node, $db, $old) = @_;
	$db //= 'postgres';
	$old //= 0;
	my $end = time() + $timeout;
	while (time() < $end)
	{
		my $pid = worker_pid($node, $db);
		return $pid if $pid ne '' && $pid != $old;
		sleep(0.1);
	}
	die "no worker in database $db";
}

# kill -9 the worker, which makes the server restart, and wait until it accepts
# connections again.
sub kill_worker
{
	my ($node, $db) = @_;
	my $pid = wait_for_worker($node, $db);

	PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid);
	# It is gone when the postmaster has noticed; asked before that, the server
	# would answer as if nothing had happened.
	my $end = time() + $timeout;
	sleep(0.05) while kill(0, $pid) && time() < $end;
	sleep(0.2);
	wait_for_server($node);
	return $pid;
}

# Wait until the server accepts connections again after a crash.  (Methods of
# the node that run SQL won't do: they write to psql's standard input, and die
# of it if psql has ended because it could not connect.)
sub wait_for_server
{
	my ($node) = @_;
	my $end = time() + $timeout;
	while (time() < $end)
	{
		my ($out, $err) = ('', '');
		return
		  if IPC::Run::run(
			[ 'psql', '-X', '-A', '-t', '-c', 'SELECT 1', $node->connstr('postgres') ],
			'<', \undef, '>', \$out, '2>', \$err);
		sleep(0.1);
	}
	die "the server does not accept connections";
}

# Does the server's log say this, from the offset on?
sub log_says
{
	my ($node, $regexp, $offset) = @_;
	my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile, $offset // 0);
	return $log =~ $regexp;
}

# The errors that background processes of the server have logged: the prefix of a
# session's lines has the name of its application, theirs has not.  (What is
# tried again at once, as after a TRUNCATE, is not logged.)
sub worker_errors
{
	my ($node) = @_;
	my @errors = PostgreSQL::Test::Utils::slurp_file($node->logfile) =~ /^[^\[]*\[\d+\] (?:ERROR|FATAL|PANIC): .*$/mg;

	@errors = grep { !/due to administrator command|canceling autovacuum task/ } @errors;
	note($_) foreach @errors;
	return @errors;
}

# ---------------------------------------------------------------------------
# Writers in the background
#
# A handle is a hash: name, harness (IPC::Run), out, err.  Pass every one to
# finish_background.
# ---------------------------------------------------------------------------

sub start_command
{
	my ($name, $cmd) = @_;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my %bg = (name => $name, out => '', err => '', dir => $dir);
	note("starting $name: @$cmd");
	# files, not pipes, which would have to be emptied meanwhile
	$bg{harness} = IPC::Run::start($cmd, '<', '/dev/null', '>', "$dir/out", '2>', "$dir/err");
	return \%bg;
}

# Run a shell command over and over, until the file $stop is there: writers that
# come again when the server is back.  It ends with the test, too, however that ends.
sub start_loop
{
	my ($name, $stop, $command) = @_;
	return start_command($name,
		[ 'sh', '-c', "while [ ! -e $stop ] && kill -0 $$ 2>/dev/null; do $command; done; true" ]);
}

# Start psql on a script; one session each call.
sub start_background_sql
{
	my ($node, $db, $sql, %opt) = @_;
	my @stop = $opt{ignore_errors} ? () : ('-v', 'ON_ERROR_STOP=1');
	my $file = PostgreSQL::Test::Utils::tempdir() . '/script.sql';
	PostgreSQL::Test::Utils::append_to_file($file, $sql);
	return start_command($opt{name} // 'psql',
		[ 'psql', '-X', '-q', '-A', '-t', @stop, '-d', $node->connstr($db), '-f', $file ]);
}

# Start one pgbench with "clients" connections on the text "script" (or several:
# "scripts" => [...], each as likely), for "seconds", or for "transactions" of
# each client.  "rate" limits the transactions per second of all together.
# Deadlocks and serialization failures are tried again; other errors end the
# client, and make finish_background fail.
sub start_pgbench
{
	my ($node, %opt) = @_;
	my $clients = $opt{clients} // 8;
	my $dir = PostgreSQL::Test::Utils::tempdir();
	my @scripts = $opt{scripts} ? @{ $opt{scripts} } : ($opt{script});
	my @cmd = (
		'pgbench', '-n', '-c', $clients, '-j', $opt{jobs} // 2,
		'--max-tries', $opt{max_tries} // 100);
	my $n = 0;

	foreach my $script (@scripts)
	{
		my ($text, $weight) = ref $script ? @$script : ($script, 1);
		my $file = "$dir/script" . $n++ . '.sql';
		PostgreSQL::Test::Utils::append_to_file($file, $text);
		push @cmd, '-f', "$file\@$weight";
	}
	push @cmd, $opt{transactions} ? ('-t', $opt{transactions}) : ('-T', $opt{seconds} // 10);
	push @cmd, '-R', $opt{rate} if $opt{rate};
	push @cmd, '-M', $opt{mode} if $opt{mode};
	push @cmd, '--random-seed', $opt{seed} if defined $opt{seed};
	push @cmd, @{ $opt{options} // [] };
	push @cmd, $node->connstr($opt{db} // 'postgres');
	return start_command($opt{name} // 'pgbench', \@cmd);
}

# Compare sinks with their queries over and over, and evaluate conditions (SQL
# expressions that must be true in every snapshot), while others write.  The
# first difference ends it, and makes finish_background fail.
sub start_checker
{
	my ($node, %opt) = @_;
	my $db = $opt{db} // 'postgres';
	my @scripts;

	$node->safe_psql($db, q{
		CREATE OR REPLACE FUNCTION check_that(condition boolean, what text) RETURNS void
		LANGUAGE plpgsql AS $$
		BEGIN
			IF condition IS NOT TRUE THEN
				RAISE EXCEPTION 'check failed: %', what;
			END IF;
		END $$});
	push @scripts, "SELECT check_that(v.missing = 0 AND v.unexpected = 0, '$_: ' || v) FROM freshet.verify_sink('$_') v;\n"
	  foreach @{ $opt{sinks} // [] };
	push @scripts, "SELECT check_that(($_), \$c\$$_\$c\$);\n" foreach @{ $opt{conditions} // [] };
	return start_pgbench($node, name => 'checker', clients => 1, jobs => 1, %opt,
		scripts => \@scripts);
}

# Whoever writes this sink from now on waits in a function of its table's.  Returns what
# to call to let them go on.
sub hold_sink
{
	my ($node, $sink) = @_;
	my $go = $node->basedir . '/go';

	$node->safe_psql(
		'postgres', qq{
		CREATE FUNCTION hold() RETURNS boolean LANGUAGE plpgsql AS \$\$
		BEGIN
			WHILE pg_stat_file('$go', true) IS NULL LOOP
				PERFORM pg_sleep(0.01);
			END LOOP;
			RETURN true;
		END \$\$;
		ALTER TABLE $sink ADD CHECK (hold()) NOT VALID});
	wait_for_freshet($node);
	return sub { PostgreSQL::Test::Utils::append_to_file($go, '') };
}

# How often has a checker that has finished looked?
sub checks_made
{
	my ($bg) = @_;
	return $bg->{out} =~ /transactions actually processed: (\d+)/ ? $1 : 0;
}

# Wait for all to end.  Returns the names of those that failed (with notes that
# say why): none, unless the server was stopped meanwhile.
sub finish_background
{
	my @failed;
	foreach my $bg (@_)
	{
		my $ok = eval { IPC::Run::finish($bg->{harness}) };
		$bg->{$_} = PostgreSQL::Test::Utils::slurp_file("$bg->{dir}/$_") foreach qw(out err);
		next if $ok;
		push @failed, $bg->{name};
		note("$bg->{name} failed: " . ($@ || $bg->{err}));
	}
	return @failed;
}

1;
