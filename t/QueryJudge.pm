# QueryJudge: sinks of random queries under random changes, compared with
# PostgreSQL's own results.
#
#	my $judge = QueryJudge->new(psql => \&run_psql, log => $file);
#	$judge->prepare;						# once in a database
#	my $case = $judge->make_case($seed);	# all that happens, decided beforehand
#	my @faults = $judge->try_case($case);	# strings, none if all is well
#	print $judge->script(...)				# SQL to repeat it by hand
#
# run_psql->($sql) feeds psql (-X -A -t -q, without ON_ERROR_STOP) and returns its
# output and its errors.  "log" is the server's log.
#
# A case depends on its seed alone (but for the order of what two sessions do at
# the same time): the tables' rows, a few sinks, batches of changes.  After each
# batch every live sink is compared with its query, by equality and as text, and in
# the end by verify_sink(), too.  Changes may fail, of a key that is there twice for
# instance; a sink may not, unless its query does.  A refusal has to be one that the
# README knows, and to lead on by a hint.
package QueryJudge;

use strict;
use warnings;

use POSIX ();
use QueryGenerator;

# What may be refused, as the README has it.
my @refusals = (
	qr/^.* is not supported in the definition of a sink whose query is expensive$/,
	qr/^function (?:random|now|clock_timestamp)\(\) is not supported in the definition of a sink$/,
	qr/^(?:TABLESAMPLE|FOR UPDATE or FOR SHARE|system column "ctid") is not supported in the definition of a sink$/);

# Queries that have no meaning as a table that is kept equal to them.
my @refused = (
	'SELECT id, random() AS r FROM gen_a',
	'SELECT id FROM gen_a WHERE at < now()',
	'SELECT id, ctid AS place FROM gen_a',
	'SELECT id FROM gen_a TABLESAMPLE SYSTEM (50)',
	'SELECT id FROM gen_a FOR UPDATE',
	'SELECT a.id, b.k FROM gen_a a LEFT JOIN gen_b b ON clock_timestamp() > a.at');

my $columns = 'id:i k:i x:i g:t n:n! at:z';
my %tables = (
	gen_a => $columns,
	gen_b => 'k:i x:i g:t n:n!',
	gen_p => $columns,
	gen_n => 'id:i n:n! x:i',
	gen_sink => 'k:i c:i x:i',
	gen_bag => 'k:i g:t x:i');

# Seconds that anything may take.
my $patience = 60;

sub new
{
	my ($class, %self) = @_;
	my @relations;

	foreach my $table (sort keys %tables)
	{
		my @columns = map { my ($e, $t, $vary) = /(\w+):(\w)(!?)/; +{ e => $e, t => $t, vary => $vary ? 1 : 0 } }
		  split / /, $tables{$table};
		push @relations, { name => $table, columns => \@columns };
	}
	$self{relations} = \@relations;
	$self{count} = {};
	return bless(\%self, $class);
}

# ---------------------------------------------------------------------------
# The tables, and what the comparisons need
# ---------------------------------------------------------------------------

sub setup
{
	return <<'SQL';
CREATE TABLE gen_a (id int PRIMARY KEY, k int, x int, g text, n numeric, at timestamptz);
CREATE TABLE gen_b (k int, x int, g text, n numeric);
CREATE TABLE gen_n (id int PRIMARY KEY, n numeric, x int);
CREATE TABLE gen_p (id int, k int, x int, g text, n numeric, at timestamptz) PARTITION BY LIST (k);
CREATE TABLE gen_p1 PARTITION OF gen_p FOR VALUES IN (0, 1);
CREATE TABLE gen_p2 (n numeric, gone int, at timestamptz, x int, k int, id int, g text);
ALTER TABLE gen_p2 DROP COLUMN gone;
ALTER TABLE gen_p ATTACH PARTITION gen_p2 FOR VALUES IN (2);
CREATE TABLE gen_p0 PARTITION OF gen_p DEFAULT;
ALTER TABLE gen_p0 ADD CONSTRAINT not_the_second CHECK (k IS NULL OR k <> 2);
CREATE TABLE gen_noise (filler text);
SELECT freshet.create_sink('gen_sink', 'SELECT k, count(*) AS c, sum(x) AS x FROM gen_a GROUP BY k');
SELECT freshet.create_sink('gen_bag', 'SELECT k, g, x FROM gen_b WHERE x > 0');
SQL
}

sub helpers
{
	return <<'SQL';
CREATE TABLE gen_query (name text, query text, loose boolean);

-- "taken: strategy", or why not
CREATE FUNCTION gen_create(sink text, query text, loose boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	hint text;
BEGIN
	PERFORM freshet.create_sink(sink, query);
	INSERT INTO gen_query VALUES (sink, query, loose);
	RETURN 'taken: ' || (SELECT s.strategy FROM freshet.status s WHERE s.sink = gen_create.sink::regclass) ||
		CASE WHEN EXISTS (SELECT FROM freshet.sink s WHERE s.stage_of = gen_create.sink::regclass) THEN ' over stages' ELSE '' END;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	BEGIN
		EXECUTE 'SELECT count(q::text) FROM (' || query || ') q';
	EXCEPTION WHEN OTHERS THEN
		IF state <> 'XX000' THEN
			RETURN 'no query: ' || message;
		END IF;
	END;
	RETURN 'refused: ' || state || '|' || coalesce(hint, '') || '|' || message;
END $$;

CREATE FUNCTION gen_drop() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	r record;
BEGIN
	FOR r IN SELECT name FROM gen_query LOOP
		IF to_regclass(r.name) IS NOT NULL THEN
			PERFORM freshet.drop_sink(r.name::regclass, true);
		END IF;
	END LOOP;
	FOR r IN SELECT relname FROM pg_class WHERE relname LIKE 'gen\_view%' LOOP
		EXECUTE format('DROP VIEW IF EXISTS %I CASCADE', r.relname);
	END LOOP;
	DELETE FROM gen_query;
END $$;

CREATE FUNCTION gen_settle(patience interval) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	started timestamptz := clock_timestamp();
BEGIN
	WHILE EXISTS (SELECT FROM freshet.status WHERE state NOT IN ('live', 'failed')) LOOP
		IF clock_timestamp() > started + patience THEN
			RETURN (SELECT 'hang: ' || string_agg(sink::text || ' is ' || state, ', ') FROM freshet.status
				WHERE state NOT IN ('live', 'failed'));
		END IF;
		PERFORM pg_sleep(0.002);
	END LOOP;
	RETURN '';
END $$;

CREATE FUNCTION gen_check(sink text, query text, loose boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	failure text := (SELECT s.error FROM freshet.status s WHERE s.sink = gen_check.sink::regclass AND s.state = 'failed');
	result text;
BEGIN
	EXECUTE format('WITH q AS MATERIALIZED (%s), s AS MATERIALIZED (SELECT * FROM %I)
		SELECT concat_ws(''|'',
			(SELECT count(*) FROM (TABLE q EXCEPT ALL TABLE s) x), (SELECT count(*) FROM (TABLE s EXCEPT ALL TABLE q) x),
			(SELECT count(*) FROM (SELECT q::text FROM q EXCEPT ALL SELECT s::text FROM s) x WHERE %L))',
		query, sink, NOT loose) INTO result;
	IF failure IS NOT NULL THEN
		RETURN 'failed, and its query does not: ' || failure;
	END IF;
	RETURN CASE result WHEN '0|0|0' THEN '' ELSE 'missing|unexpected|other text: ' || result END;
EXCEPTION WHEN OTHERS THEN
	-- the sink may fail, too
	RETURN CASE WHEN SQLSTATE = 'XX000' THEN 'internal error: ' || SQLERRM ELSE '' END;
END $$;
SQL
}

sub prepare
{
	my ($self) = @_;
	my ($out, $err) = $self->{psql}->(setup() . helpers());

	die "the tables could not be made: $err" if $err =~ /ERROR/;
	return;
}

# ---------------------------------------------------------------------------
# Rows and changes
# ---------------------------------------------------------------------------

sub pick { return QueryGenerator::pick(@_) }
sub chance { return QueryGenerator::chance(@_) }
sub between { return QueryGenerator::between(@_) }

sub value
{
	my ($column) = @_;

	return between(1, 20) if $column eq 'id';
	return 'NULL' if chance(0.2);
	return between(0, 3) if $column eq 'k';
	return pick(-1, 0, 0, 1, 1, 2, 3, 5) if $column eq 'x' || $column eq 'c';
	return pick(map { "'$_'" } 'a', 'a', 'b', 'B', 'cc', '') if $column eq 'g';
	return pick('0', '0.0', '1', '1.0', '1.00', '2.5', '2.50', '-3') if $column eq 'n';
	return "'2024-01-01 0" . between(0, 9) . ':' . pick('00', '30') . ":00+00'";
}

my @written = qw(gen_a gen_b gen_p gen_n);

sub column_names { return map { /(\w+):/g } $tables{ $_[0] } }

sub insert
{
	my ($table, $n) = @_;
	my @columns = column_names($table);

	# gen_n has a key, and twice the same one is no news
	my $conflict = $table eq 'gen_p' || $table eq 'gen_b' ? '' : ' ON CONFLICT DO NOTHING';
	return "INSERT INTO $table (" . join(', ', @columns) . ') VALUES '
	  . join(', ', map { '(' . join(', ', map { value($_) } @columns) . ')' } 1 .. $n) . $conflict;
}

sub some_rows
{
	my ($table) = @_;
	my @columns = column_names($table);
	my $column = pick(@columns);
	my $value = value($column);

	return ' WHERE ' . ($value eq 'NULL' ? "$column IS NULL" : "$column " . pick('=', '=', '<', '>=') . " $value");
}

sub update
{
	my ($table) = @_;
	my @columns = grep { $_ ne 'id' } column_names($table);
	my $column = pick(@columns);

	return "UPDATE $table SET $column = " . value($column) . some_rows($table) if chance(0.6);
	return "UPDATE $table SET " . join(', ', map { "$_ = " . value($_) } @columns) . some_rows($table) if chance(0.3);

	# values change places
	return "UPDATE $table SET k = CASE k WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE 1 - k END" if chance(0.4);
	return "UPDATE $table SET x = -x" . some_rows($table) if chance(0.3);
	return "UPDATE gen_n SET n = n * 1.00" . some_rows('gen_n') if chance(0.5);
	# of rows with a key, too
	return "UPDATE gen_a SET id = -id; UPDATE gen_a SET id = CASE WHEN id % 2 = 0 THEN -id - 1 ELSE -id + 1 END";
}

sub change
{
	my $table = pick(@written);
	my $dice = rand();

	return insert($table, between(1, 3)) if $dice < 0.3;
	return update($table) if $dice < 0.7;
	return "DELETE FROM $table" . (chance(0.1) ? '' : some_rows($table)) if $dice < 0.88;
	return "TRUNCATE $table" if $dice < 0.9;
	return "TRUNCATE " . pick('gen_p1', 'gen_p2') if $dice < 0.91;
	return 'ALTER TABLE gen_p DETACH PARTITION gen_p2' if $dice < 0.94;
	return 'ALTER TABLE gen_p ATTACH PARTITION gen_p2 FOR VALUES IN (2)' if $dice < 0.97;
	return "UPDATE gen_p2 SET x = " . value('x') . some_rows('gen_p') if $dice < 0.98;
	# what nobody reads
	return "UPDATE $table SET x = x";
}

# Statements, some of them in transactions with savepoints.
sub batch
{
	my @statements = map { change() } 1 .. pick(1, 1, 2, 3, 4, 6);

	return join(";\n", @statements) . ';' if chance(0.3);
	for (my $i = 1; $i < @statements; $i++)
	{
		$statements[$i] = "SAVEPOINT s;\n$statements[$i];\n" . pick('ROLLBACK TO s', 'RELEASE s') if chance(0.2);
	}
	return "BEGIN;\n" . join(";\n", @statements) . ";\n" . (chance(0.05) ? 'ROLLBACK;' : 'COMMIT;');
}

# A sink of this query, as another may read it.
sub as_relation
{
	my ($name, $query) = @_;
	return { name => $name, columns => [ map { +{ %$_, vary => $_->{loose} || $_->{vary} } } @{ $query->{columns} } ] };
}

# { seed, rows, sinks => [{ name, sql, loose, views }], batches => [text] }
sub make_case
{
	my ($self, $seed) = @_;
	my (@sinks, @batches, @above);

	srand($seed);
	foreach my $i (1 .. $self->{sinks} // 6)
	{
		my $generator = QueryGenerator->new([ @{ $self->{relations} }, @above ]);
		my $query = $generator->query;

		foreach my $view (@{ $query->{views} })
		{
			# names are unique within a query; here among all
			my ($old, $new) = ($view->[0], "$view->[0]_of_$i");
			s/\b$old\b/$new/g foreach $query->{sql}, map { $_->[1] } @{ $query->{views} };
			$view->[0] = $new;
		}
		push @sinks, { name => "gen_q$i", sql => $query->{sql}, loose => $query->{loose} ? 1 : 0, views => $query->{views} };
		push @above, as_relation("gen_q$i", $query) if chance(0.15);
	}
	push @sinks, { name => 'gen_refused', sql => pick(@refused), loose => 0, views => [], refused => 1 } if chance(0.1);
	@batches = map { +{ sql => batch(), behind => chance($self->{behind} // 0.03), beside => chance(0.15) ? batch() : undef } }
	  1 .. $self->{batches} // 5;
	return {
		seed => $seed,
		rows => [ map { insert($_, between(3, 12)) } @written ],
		sinks => \@sinks,
		batches => \@batches };
}

# ---------------------------------------------------------------------------
# Running
# ---------------------------------------------------------------------------

sub begin_sql
{
	my ($case) = @_;
	my $sql = "ALTER TABLE gen_p ATTACH PARTITION gen_p2 FOR VALUES IN (2);\nTRUNCATE " . join(', ', @written) . ";\n";

	# costs of tables that nobody has analyzed are those of large ones
	return $sql . join('', map { "$_;\n" } @{ $case->{rows} }, 'ANALYZE ' . join(', ', @written, 'gen_sink', 'gen_bag'));
}

sub views_sql
{
	my ($sink) = @_;
	return join('', map { "CREATE VIEW $_->[0] AS $_->[1];\n" } @{ $sink->{views} });
}

# Sinks and views stand on each other.
sub end_sql
{
	return "SELECT gen_drop();\n";
}

sub create_sql
{
	my ($case) = @_;
	my $sql = '';

	foreach my $sink (@{ $case->{sinks} })
	{
		$sql .= views_sql($sink)
		  . "SELECT 'create', '$sink->{name}', gen_create('$sink->{name}', \$q\$$sink->{sql}\$q\$, '$sink->{loose}');\n";
	}
	return $sql;
}

sub check_sql
{
	my ($verify) = @_;
	my $sql = <<"SQL";
SELECT 'wait', freshet.wait('$patience s');
SELECT 'settle', '', gen_settle('$patience s');
SELECT 'wait', freshet.wait('$patience s');
SELECT 'check', name, gen_check(name, query, loose) FROM gen_query ORDER BY name;
SQL
	$sql .= <<'SQL' if $verify;
SELECT 'verify', name, v.missing || '|' || v.unexpected FROM gen_query JOIN freshet.status s ON s.sink = name::regclass
	CROSS JOIN LATERAL freshet.verify_sink(s.sink) v WHERE s.state = 'live' AND v.missing + v.unexpected > 0;
SQL
	return $sql;
}

# What psql said: [what, sink, text]
sub answers
{
	my ($out) = @_;
	my @answers;

	foreach my $line (split /\n(?=(?:create|settle|check|verify|wait)\|)/, $out)
	{
		push @answers, [ split /\|/, $line =~ s/\n+$//r, 3 ];
	}
	return @answers;
}

sub judge_refusal
{
	my ($self, $sink, $text) = @_;

	if ($text =~ /^taken: (.*)/)
	{
		$self->{count}{$1}++;
		return $sink->{refused} ? 'taken, and it has no meaning' : '';
	}
	if ($text =~ /^no query: (.*)/)
	{
		$self->{count}{'no query'}++;
		$self->{errors}{$1}++;
		return '';
	}
	my ($state, $hint, $message) = $text =~ /^refused: (\w+)\|([^|]*)\|(.*)/s;
	return "internal error: $text" unless defined $state;
	$self->{count}{refused}++;
	$self->{refusals}{$message}++;
	return '' if $state eq '0A000' && $hint ne '' && grep { $message =~ $_ } @refusals;
	# a sink below is not there
	return '' if $state eq '42P01';
	return "refused, $state, hint \"$hint\": $message";
}

sub log_size { return -s $_[0]->{log} // 0 }

# What background processes complain of.
sub log_faults
{
	my ($self, $offset) = @_;

	open(my $log, '<', $self->{log}) or die "$self->{log}: $!";
	seek($log, $offset, 0);
	my $text = join('', <$log>);
	close($log);
	my @lines = $text =~ /^([^\[\n]*\[\d+\] (?:ERROR|FATAL|PANIC): .*|.*terminated by signal.*|.*TRAP:.*)$/mg;

	return grep { !/due to administrator command|canceling autovacuum task|division by zero/ } @lines;
}

# After a crash.
sub await_server
{
	my ($self) = @_;

	foreach (1 .. $patience)
	{
		return if ($self->{psql}->('SELECT 1'))[0] =~ /^1/;
		sleep(1);
	}
	die 'the server does not come back';
}

# A case from its beginning to its end, until the first fault.  Each is
# { sink, text, batch }.
sub try_case
{
	my ($self, $case) = @_;
	my $offset = $self->log_size;
	my %sinks = map { $_->{name} => $_ } @{ $case->{sinks} };
	my @faults;
	my $last = @{ $case->{batches} };

	foreach my $batch (0 .. $last)
	{
		my $sql = $batch == 0 ? begin_sql($case) . create_sql($case) : $case->{batches}[ $batch - 1 ]{sql} . "\n";
		my $check = check_sql($batch == $last);
		my $behind = $batch > 0 && $case->{batches}[ $batch - 1 ]{behind};
		my $other = $batch > 0 ? $self->begin_beside($case->{batches}[ $batch - 1 ]{beside}) : undef;
		my ($out, $err) = $behind ? $self->from_behind($sql) : $self->{psql}->($sql);
		waitpid($other, 0) if $other;
		my ($answers, $complaints) = $self->{psql}->($check);

		foreach my $answer (answers("$out\n$answers"))
		{
			my ($what, $name, $text) = @$answer;

			next if !defined $name || $what eq 'wait';
			$self->{count}{compared}++ if $what eq 'check';
			$text = $self->judge_refusal($sinks{$name}, $text) if $what eq 'create';
			$text = "verify_sink(): $text" if $what eq 'verify';
			push @faults, { sink => $name, batch => $batch, text => $text } if $text ne '';
		}
		push @faults, { sink => '', batch => $batch, text => $_ }
		  foreach $err =~ /((?:ERROR:  XX|.*connection to server|.*server closed).*)/g,
		  $complaints =~ /(.*(?:ERROR|FATAL|error): .*)/g;
		push @faults, { sink => '', batch => $batch, text => "log: $_" } foreach $self->log_faults($offset);
		$self->{count}{batches}++;
		last if @faults;
	}
	$self->await_server if grep { $_->{text} =~ /connection|server closed/ } @faults;
	my (undef, $err) = $self->{psql}->(end_sql());
	push @faults, { sink => '', batch => $last, text => "cannot be dropped: $err" } if $err =~ /ERROR/;
	return @faults;
}

# What another session does at the same time.  Returns its process.
sub begin_beside
{
	my ($self, $sql) = @_;

	return unless defined $sql;
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;
	$self->{psql}->($sql);
	# what ends with this process is the parent's
	POSIX::_exit(0);
}

# A worker that finds more log than one batch may have.  (freshet.max_batch_size
# is small.)
sub from_behind
{
	my ($self, $sql) = @_;
	my ($pid) = ($self->{psql}->('SELECT pid FROM freshet.worker'))[0] =~ /(\d+)/;
	my $noise = "INSERT INTO gen_noise SELECT repeat('x', 1000) FROM generate_series(1, 1500);\n";

	# not within a batch, whose locks the changes would wait for
	foreach (1 .. $pid ? 100 : 0)
	{
		kill 'STOP', $pid;
		last if ($self->{psql}->("SELECT count(*) FROM pg_locks WHERE pid = $pid AND relation IS NOT NULL"))[0] =~ /^0/;
		kill 'CONT', $pid;
	}
	my @said = $self->{psql}->("$sql${noise}TRUNCATE gen_noise;\n");
	kill 'CONT', $pid if $pid;
	return @said;
}

# ---------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------

# The case with what has no part in the fault left out, by trying.
sub shrink
{
	my ($self, $case, $fault) = @_;
	my %case = %$case;
	my $still = sub {
		my (%smaller) = @_;
		local $self->{count} = {};
		my ($same) = grep { $_->{sink} eq $fault->{sink} } $self->try_case(\%smaller);
		return $same;
	};

	foreach my $list (qw(sinks batches rows))
	{
		for (my $i = $#{ $case{$list} }; $i >= 0; $i--)
		{
			my @less = @{ $case{$list} };
			splice(@less, $i, 1);
			%case = (%case, $list => \@less) if $still->(%case, $list => \@less);
		}
	}
	foreach my $batch (0 .. $#{ $case{batches} })
	{
		my @batches = map { +{%$_} } @{ $case{batches} };
		next unless defined delete $batches[$batch]{beside};
		%case = (%case, batches => \@batches) if $still->(%case, batches => \@batches);
	}
	# statement by statement
	foreach my $batch (0 .. $#{ $case{batches} })
	{
		my @statements = split /(?<=;)\n/, $case{batches}[$batch]{sql};
		for (my $i = $#statements; $i >= 0; $i--)
		{
			next if $statements[$i] =~ /^(?:BEGIN|COMMIT)/;
			my @less = @statements;
			splice(@less, $i, 1);
			my @batches = map { +{%$_} } @{ $case{batches} };
			$batches[$batch]{sql} = join("\n", @less);
			next unless $still->(%case, batches => \@batches);
			%case = (%case, batches => \@batches);
			@statements = @less;
		}
	}
	return \%case;
}

# The case as SQL, for a fresh database.
sub script
{
	my ($self, $case, $fault) = @_;
	my $sql = "-- seed $case->{seed}, $fault->{sink}: $fault->{text}\nCREATE EXTENSION freshet;\n" . setup() . begin_sql($case);

	foreach my $sink (@{ $case->{sinks} })
	{
		$sql .= views_sql($sink) . "SELECT freshet.create_sink('$sink->{name}', \$q\$$sink->{sql}\$q\$);\n";
	}
	foreach my $batch (@{ $case->{batches} })
	{
		$sql .= "SELECT freshet.wait();\n" . ($batch->{behind} ? "-- the worker is far behind\n" : '') . "$batch->{sql}\n";
		$sql .= "-- by another session, at the same time\n$batch->{beside}\n" if defined $batch->{beside};
	}
	$sql .= "SELECT freshet.wait();\n";
	foreach my $sink (grep { $_->{name} eq $fault->{sink} } @{ $case->{sinks} })
	{
		$sql .= "TABLE $sink->{name} EXCEPT ALL ($sink->{sql});\n($sink->{sql}) EXCEPT ALL TABLE $sink->{name};\n";
	}
	return $sql;
}

1;
