# The change stream, read by pg_recvlogical: through crashes of the consumer and
# of the server, nothing is lost, and what comes twice can be told.  What is
# rebuilt from the stream alone equals the tables and the sinks.

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

my $node = new_freshet_node('stream', wal_sender_timeout => 0, autovacuum => 'off');
my $limit = $PostgreSQL::Test::Utils::timeout_default || 120;
my $parser = JSON::PP->new->utf8;
my $dir = PostgreSQL::Test::Utils::tempdir();

# ---------------------------------------------------------------------------
# Consumers
# ---------------------------------------------------------------------------

# Start pg_recvlogical, into a file of its own; options of the plugin are given
# as a hash.  It ends when the connection does, or at "endpos".
my $runs = 0;

sub start_consumer
{
	my ($slot, $options, %opt) = @_;
	my $file = "$dir/run" . ++$runs;
	my @cmd = (
		'pg_recvlogical', '-d', $opt{connstr} // $node->connstr('postgres'), '-S', $slot, '--start',
		'--no-loop', '-s', '1', '-F', '1', '-f', $file);
	push @cmd, '-o', "$_=$options->{$_}" foreach sort keys %$options;
	push @cmd, '-E', $opt{endpos} if $opt{endpos};
	my $run = { file => $file, err => '' };
	$run->{harness} = IPC::Run::start(\@cmd, '<', \undef, '>', '/dev/null', '2>', \$run->{err},
		IPC::Run::timeout($limit));
	return $run;
}

# Wait until a consumer has written as many bytes.
sub wait_for_bytes
{
	my ($run, $bytes) = @_;
	my $end = time() + $limit;
	while ((-s $run->{file} // 0) < $bytes)
	{
		die "the consumer gets nothing: $run->{err}" if time() > $end;
		sleep(0.05);
	}
	return;
}

# The lines of a run.  A crash may have cut the last one.
sub lines_of
{
	my ($run) = @_;
	my $text = PostgreSQL::Test::Utils::slurp_file($run->{file});
	$text =~ s/[^\n]*\z//;
	return split /\n/, $text;
}

sub finish_consumer
{
	my ($run) = @_;
	return eval { IPC::Run::finish($run->{harness}) };
}

sub make_slot
{
	my ($slot, $db) = @_;
	$node->safe_psql($db // 'postgres',
		"SELECT pg_create_logical_replication_slot('$slot', 'freshet')");
	return;
}

# The end of the log, flushed.
sub end_of_log
{
	return $node->safe_psql(
		'postgres', q{
		SELECT pg_logical_emit_message(true, 'flush', '');
		SELECT pg_current_wal_flush_lsn()}) =~ s/.*\n//sr;
}

# ---------------------------------------------------------------------------
# Tables, sinks, writers
# ---------------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL, price numeric(12,3), weight float8,
		note text, at timestamptz DEFAULT clock_timestamp(), tags text[], doc jsonb);
	ALTER TABLE orders REPLICA IDENTITY FULL;
	CREATE TABLE lines (id int, n int, big text, small int, PRIMARY KEY (id, n));
	CREATE TABLE scratch (id int PRIMARY KEY, v int);
	CREATE SEQUENCE ids});
my %sinks = (
	by_customer => 'SELECT customer, count(*) AS n, sum(price) AS price, avg(weight) AS weight, max(at) AS newest FROM orders GROUP BY customer',
	cheap => 'SELECT id, price, note FROM orders WHERE price < 100',
	total => 'SELECT count(*) AS n, sum(price) AS price FROM orders');
make_slot('tables_and_sinks');
make_slot('sinks_only');
create_sinks($node, 'postgres', \%sinks);
$node->safe_psql('postgres', "SELECT freshet.wait('$_', '60 s')") foreach keys %sinks;

my @scripts = (
	[   q{
		\set c random(1, 50)
		INSERT INTO orders (id, customer, price, weight, note, tags, doc)
			VALUES (nextval('ids'), NULLIF(:c, 0), random() * 1000, exp(random() * 20),
			repeat(E'"\\\\\n\t ä€𝄞', (random() * 5)::int), ARRAY['a', NULL, 'b,"c'], '{"k": [1, 2.50, null]}')}, 6
	],
	[   q{
		\set id random(1, 400)
		UPDATE orders SET price = -price, note = NULL WHERE id = :id}, 4
	],
	[   q{
		\set id random(1, 400)
		DELETE FROM orders WHERE id = :id}, 1
	],
	# keys that change
	[   q{
		\set id random(1, 400)
		UPDATE orders SET id = nextval('ids'), customer = customer + 1 WHERE id = :id}, 1
	],
	[   q{
		BEGIN;
		SELECT nextval('ids') AS id \gset
		INSERT INTO lines SELECT :id, i, (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 100) j), 0 FROM generate_series(1, 3) i;
		SAVEPOINT a;
		UPDATE lines SET small = 99 WHERE id = :id;
		ROLLBACK TO a;
		UPDATE lines SET small = small + 1 WHERE id = :id AND n < 3;
		DELETE FROM lines WHERE id = :id AND n = 1;
		END}, 2
	],
	[   q{
		BEGIN;
		INSERT INTO scratch SELECT nextval('ids'), i FROM generate_series(1, 20) i;
		ROLLBACK}, 1
	],
	[   q{
		BEGIN;
		TRUNCATE scratch;
		INSERT INTO scratch SELECT nextval('ids'), i FROM generate_series(1, 5) i;
		END}, 1
	]);

sub start_load
{
	return start_pgbench(
		$node,
		clients => 4,
		seconds => scaled(4),
		rate => 250,
		scripts => [ map { [ "$_->[0];\n", $_->[1] ] } @scripts ]);
}

# ---------------------------------------------------------------------------
# Consumers crash, the server crashes
# ---------------------------------------------------------------------------

my %options = (
	tables_and_sinks => { tables => 'orders,lines,scratch', sinks => '*', transactions => 'on' },
	sinks_only => { sinks => '*', transactions => 'on' });
my %runs = map { $_ => [] } keys %options;

sub start_both
{
	my (%opt) = @_;
	push @{ $runs{$_} }, start_consumer($_, $options{$_}, %opt) foreach sort keys %options;
	return;
}

my $load = start_load();
for my $crash (1 .. 3)
{
	start_both();
	wait_for_bytes($runs{$_}[-1], 20000 * $crash) foreach keys %runs;
	$runs{$_}[-1]{harness}->signal('KILL') foreach keys %runs;
	finish_consumer($runs{$_}[-1]) foreach keys %runs;
}
is_deeply([ finish_background($load) ], [], 'writers, while consumers crash');

# One that stopped reading is seen.
is( $node->safe_psql(
		'postgres', q{SELECT count(*) FROM freshet.consumers WHERE NOT active AND lag_bytes > 0
		AND options LIKE '%sinks=*%'}),
	'2', 'the consumers are known, and behind');

$load = start_load();
start_both();
wait_for_bytes($runs{$_}[-1], 50000) foreach keys %runs;
is($node->safe_psql('postgres', 'SELECT count(*) FROM freshet.consumers WHERE active AND pid IS NOT NULL'),
	'2', 'both are active');
$node->stop('immediate');
finish_consumer($runs{$_}[-1]) foreach keys %runs;
finish_background($load);
$node->start;

$load = start_load();
start_both();
wait_for_bytes($runs{$_}[-1], 50000) foreach keys %runs;
# a restart in good order: the consumers are sent what there is
is_deeply([ finish_background($load) ], [], 'writers, after the restart');
$node->restart;
finish_consumer($runs{$_}[-1]) foreach keys %runs;

$load = start_load();
is_deeply([ finish_background($load) ], [], 'writers, without a consumer');
wait_for_freshet($node);
my $end = end_of_log();
start_both(endpos => $end);
ok(finish_consumer($runs{$_}[-1]), "consumer of $_ has read to the end") foreach sort keys %runs;

# ---------------------------------------------------------------------------
# What came
# ---------------------------------------------------------------------------

# Parse every line, and keep each transaction once: those whose commit ends
# behind the newest that is kept.
sub lsn_number
{
	my ($high, $low) = split m{/}, shift;
	return hex($high) * 2**32 + hex($low);
}

sub read_runs
{
	my ($slot) = @_;
	my $applied = 0;
	my %seen = (lines => 0, twice => 0, wrong => 0, batches => 0);
	my @kept;

	foreach my $run (@{ $runs{$slot} })
	{
		my (@open, $last);
		foreach my $line (lines_of($run))
		{
			my $d = eval { $parser->decode($line) };
			$seen{lines}++;
			if (!defined $d || ref $d ne 'HASH')
			{
				note("not JSON: $line");
				$seen{wrong}++;
				next;
			}
			if ($d->{op} eq 'begin')
			{
				@open = ();
				$last = 0;
			}
			elsif ($d->{op} eq 'commit')
			{
				my $lsn = lsn_number($d->{end_lsn});
				$seen{wrong}++ if !$last;
				if ($lsn > $applied)
				{
					push @kept, @open;
					$applied = $lsn;
				}
				else
				{
					$seen{twice}++;
				}
				@open = ();
			}
			elsif ($d->{op} eq 'batch')
			{
				$seen{wrong}++ if !$last || !exists $d->{applied_lsn};
				$seen{batches}++;
			}
			else
			{
				# the last change says so, and no other
				$seen{wrong}++ if $last;
				$last = $d->{last};
				push @open, $line;
			}
		}
	}
	return (\%seen, @kept);
}

# A replica, as a table of documents: the newest line of each key, unless it is
# a deletion or older than the newest TRUNCATE.
sub rebuild
{
	my ($slot, @lines) = @_;
	my $file = "$dir/$slot.lines";
	my $n = 0;
	# text format of COPY: backslashes are doubled
	PostgreSQL::Test::Utils::append_to_file($file,
		join('', map { $n++ . "\t" . (s/\\/\\\\/gr) . "\n" } @lines));
	$node->safe_psql(
		'postgres', qq{
		CREATE TABLE raw_$slot (n int, d jsonb);
		COPY raw_$slot FROM '$file';
		CREATE TABLE replica_$slot AS
		WITH events AS (
			SELECT n::numeric, d->>'table' AS relation, coalesce(d->'key', '{}') AS key, nullif(d->'after', 'null') AS doc, d->'unchanged' AS unchanged
			FROM raw_$slot WHERE d->>'op' <> 'truncate'
			UNION ALL
			SELECT n - 0.5, d->>'table', k.key, NULL, NULL
			FROM raw_$slot, LATERAL (SELECT jsonb_object_agg(c, d->'before'->c) AS key FROM jsonb_object_keys(d->'key') c) k
			WHERE d->>'op' = 'update' AND d->'before' <> 'null' AND k.key <> d->'key'),
		newest AS (SELECT DISTINCT ON (relation, key) * FROM events ORDER BY relation, key, n DESC)
		SELECT e.relation, e.key,
			-- an unchanged value is that of the newest line that has it
			e.doc || coalesce((SELECT jsonb_object_agg(u, (SELECT o.doc->u FROM events o WHERE o.relation = e.relation AND o.key = e.key AND o.doc ? u ORDER BY o.n DESC LIMIT 1))
				FROM jsonb_array_elements_text(e.unchanged) u), '{}') AS doc
		FROM newest e
		WHERE doc IS NOT NULL AND n > coalesce((SELECT max(t.n) FROM raw_$slot t WHERE t.d->>'op' = 'truncate' AND t.d->>'table' = e.relation), -1)});
	return;
}

# Rows that the replica of a relation lacks, and has too many.
sub compare
{
	my ($slot, $relation) = @_;
	my $columns = $node->safe_psql('postgres',
		"SELECT string_agg('r.' || quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute "
		  . "WHERE attrelid = '$relation'::regclass AND attnum > 0 AND NOT attisdropped "
		  . "AND attname NOT LIKE '\\_freshet\\_%'");
	return $node->safe_psql(
		'postgres', qq{
		WITH stream AS (SELECT $columns FROM replica_$slot, jsonb_populate_record(NULL::$relation, doc) r WHERE relation = '$relation'),
			really AS (SELECT $columns FROM $relation r)
		SELECT (SELECT count(*) FROM (TABLE really EXCEPT ALL TABLE stream) x),
			(SELECT count(*) FROM (TABLE stream EXCEPT ALL TABLE really) x),
			(SELECT count(*) > 0 FROM really)});
}

my $twice = 0;
foreach my $slot (sort keys %runs)
{
	my ($seen, @kept) = read_runs($slot);
	$twice += $seen->{twice};
	note("$slot: " . join(', ', map { "$_ $seen->{$_}" } sort keys %$seen) . ', kept ' . @kept);
	is($seen->{wrong}, 0, "$slot: every line is JSON, in its place");
	cmp_ok(scalar @kept, '>', 500, "$slot: there are lines");
	rebuild($slot, @kept);
	foreach my $relation (sort keys %sinks)
	{
		is(compare($slot, $relation), '0|0|t', "$slot: sink $relation is rebuilt");
	}
	next if $slot eq 'sinks_only';
	foreach my $relation (qw(orders lines scratch))
	{
		is(compare($slot, $relation), '0|0|t', "$slot: table $relation is rebuilt");
	}
}
cmp_ok($twice, '>', 0, 'what was not confirmed came twice');
is_deeply([ verify_all($node) ], [], 'the sinks equal their queries');

# ---------------------------------------------------------------------------
# Rights of a consumer that is no superuser
# ---------------------------------------------------------------------------

$node->safe_psql('postgres',
	'CREATE ROLE consumer LOGIN REPLICATION; CREATE TABLE closed (id int PRIMARY KEY)');
make_slot('rights');
$node->safe_psql('postgres', 'INSERT INTO closed VALUES (1)');
$end = end_of_log();
my %as_consumer = (connstr => $node->connstr('postgres') . ' user=consumer', endpos => $end);
my $run = start_consumer('rights', { tables => 'closed' }, %as_consumer);
ok(!finish_consumer($run), 'without SELECT there is no stream');
like($run->{err}, qr/permission denied to stream the changes of table "public\.closed"/, 'it says why');
is(scalar lines_of($run), 0, 'and gives no row');
$run = start_consumer('rights', { tables => 'closed' }, %as_consumer,
	connstr => $node->connstr('postgres') . " user=consumer options='-c freshet.check_stream_privileges=off'");
ok(!finish_consumer($run), 'the check cannot be switched off');
like($run->{err}, qr/permission denied to set parameter/, 'not by options of the connection');
$node->safe_psql('postgres', 'GRANT SELECT ON closed TO consumer');
$run = start_consumer('rights', { tables => 'closed' }, %as_consumer);
ok(finish_consumer($run), 'with it, it goes on');
is(scalar lines_of($run), 1, 'where it had stopped');
# while it reads: what is revoked, it gets no more
$run = start_consumer('rights', { tables => 'closed' }, %as_consumer, endpos => undef);
$node->safe_psql('postgres', 'INSERT INTO closed VALUES (2)');
wait_for_bytes($run, 10);
$node->safe_psql('postgres', 'REVOKE SELECT ON closed FROM consumer');
$node->safe_psql('postgres', 'INSERT INTO closed VALUES (3)');
ok(!finish_consumer($run), 'a REVOKE ends the stream');
like($run->{err}, qr/permission denied to stream/, 'with its reason');
is(scalar lines_of($run), 1, 'before the next row');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('rights')});

# ---------------------------------------------------------------------------
# Databases of other encodings
# ---------------------------------------------------------------------------

$node->safe_psql('postgres',
	q{CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0});
make_slot('latin', 'latin');
$node->safe_psql(
	'latin', qq{
	SET client_encoding = 'UTF8';
	CREATE TABLE "k\xc3\xa4se" (id int PRIMARY KEY, t text);
	INSERT INTO "k\xc3\xa4se" VALUES (1, '\xc3\xa9"\xc3\xbf'), (2, 'ascii')});
$end = end_of_log();
$run = start_consumer('latin', { tables => 'k*' }, connstr => $node->connstr('latin'), endpos => $end);
ok(finish_consumer($run), 'a database in LATIN1');
my @latin = map { $parser->decode($_) } lines_of($run);
is($latin[0]{table}, "k\x{e4}se", 'names in UTF-8');
is($latin[0]{after}{t}, "\x{e9}\"\x{ff}", 'values in UTF-8');
is(scalar @latin, 2, 'all of them');
$node->safe_psql('latin', q{SELECT pg_drop_replication_slot('latin')});

# ---------------------------------------------------------------------------
# A consumer that stopped reading
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', "SET client_min_messages = warning; SELECT freshet.drop_sink('$_')")
  foreach sort keys %sinks;
$node->safe_psql('postgres',
	q{SELECT pg_drop_replication_slot('sinks_only');
	CREATE TABLE much AS SELECT repeat('x', 1000) FROM generate_series(1, 5000)});
my $offset = -s $node->logfile;
$node->safe_psql('postgres', q{ALTER SYSTEM SET freshet.max_wal_lag = '1MB'});
$node->reload;
my $warning = qr/WARNING: .*replication slot "tables_and_sinks" of a consumer holds back \d+ MB/;
my $until = time() + $limit;
sleep(0.2) until log_says($node, $warning, $offset) || time() > $until;
ok(log_says($node, $warning, $offset), 'a slot that keeps too much log is warned of');
$offset = -s $node->logfile;
$node->reload;
sleep(1);
ok(!log_says($node, $warning, $offset), 'not over and over');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'tables_and_sinks'}),
	'1', 'and not dropped');
$node->safe_psql('postgres', q{SELECT pg_drop_replication_slot('tables_and_sinks')});

# who is behind the end of freshet itself can still read what was before
$node->safe_psql('postgres', 'CREATE DATABASE left_behind');
$node->safe_psql('left_behind', $_) foreach (
	'CREATE EXTENSION freshet',
	'CREATE TABLE seen (id int PRIMARY KEY)',
	q{SELECT pg_create_logical_replication_slot('left_behind', 'freshet')},
	q{SELECT freshet.create_sink('counted', 'SELECT count(*) AS n FROM seen')},
	q{SELECT freshet.wait('counted', '60 s')},
	'INSERT INTO seen VALUES (1)',
	q{SELECT freshet.wait('60 s')},
	'DROP EXTENSION freshet CASCADE',
	'INSERT INTO seen VALUES (2)');
is( $node->safe_psql('left_behind',
		q{SELECT data::jsonb->>'table', data::jsonb->'after' FROM pg_logical_slot_peek_changes('left_behind', NULL, NULL, 'batches', 'off')}),
	'counted|{"n": 0}
seen|{"id": 1}
counted|{"n": 1}
seen|{"id": 2}',
	'changes from before DROP EXTENSION');
is( $node->safe_psql('left_behind',
		q{SELECT count(*) FROM pg_logical_slot_peek_changes('left_behind', NULL, NULL, 'sinks', '*', 'batches', 'off')}),
	'2', 'and the sinks of then are sinks');
$node->safe_psql('left_behind', q{SELECT pg_drop_replication_slot('left_behind')});
$node->stop;

done_testing();
