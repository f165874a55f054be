# Transactions far larger than freshet.work_mem: changes and groups spill, and
# nothing of that stays behind.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $n = scaled(100_000);
my $few = int($n / 5);
my $node = new_freshet_node('spill',
	'freshet.work_mem' => '64kB',
	log_temp_files => 0,
	'freshet.max_batch_size' => '1GB');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, k int, v numeric, note text);
	CREATE TABLE small (id serial PRIMARY KEY, v int)});
my %sinks = (
	a_many => 'SELECT k, count(*) AS count, sum(v) AS total FROM src GROUP BY k',
	b_extremes => 'SELECT k % 100 AS k, min(v) AS low, max(note) AS high FROM src GROUP BY k % 100',
	c_total => 'SELECT count(*) AS count, sum(v) AS total, avg(v) AS mean FROM src',
	d_copy => 'SELECT id, k, v FROM src WHERE id % 3 = 0',
	e_on_many => 'SELECT count, count(*) AS groups, sum(total) AS total FROM a_many GROUP BY count',
	f_on_copy => 'SELECT k % 10 AS k, sum(v) AS total, count(*) AS count FROM d_copy GROUP BY k % 10',
	g_small => 'SELECT count(*) AS count FROM small');
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);

sub temporary_files
{
	my $dir = $node->data_dir . '/base/pgsql_tmp';
	return -d $dir ? join(' ', grep { !/^\.\.?$/ } PostgreSQL::Test::Utils::slurp_dir($dir)) : '';
}

sub is_exact
{
	my ($what) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ' ' || coalesce(error, state), ', ')
		FROM freshet.status WHERE state <> 'live'}), '', "$what: all live");
	is(temporary_files(), '', "$what: no temporary file is left");
	return;
}

my $offset = -s $node->logfile;
$node->safe_psql('postgres',
	qq{INSERT INTO src SELECT i, i, i / 4.0, repeat('x', i % 100) FROM generate_series(1, $n) i});
is_exact("$n groups in one transaction");
ok(log_says($node, qr/temporary file: path "base\/pgsql_tmp/, $offset), 'temporary files were used');

$node->safe_psql('postgres', 'UPDATE src SET k = k + 1, v = v + 1 WHERE id % 2 = 0');
is_exact('every second row to another group');

# The rest with fewer rows: most of them spill all the same.
$node->safe_psql('postgres', "DELETE FROM src WHERE id > $few");
is_exact('most of them gone');

$node->safe_psql('postgres', qq{
	BEGIN;
	UPDATE src SET k = k % 100;
	SAVEPOINT s;
	DELETE FROM src;
	ROLLBACK TO SAVEPOINT s;
	DELETE FROM src WHERE id % 5 = 0;
	INSERT INTO src SELECT i, -i, i, NULL FROM generate_series(5, $few, 5) i;
	COMMIT});
is_exact('into few groups');

# rows exchange their keys: a copy must not meet one before the other
$node->safe_psql('postgres', qq{
	BEGIN;
	UPDATE src SET id = -id WHERE id % 3 = 0;
	UPDATE src SET id = -id + 3 WHERE id < 0 AND id % 2 = 0;
	UPDATE src SET id = -id + 300003 WHERE id < 0;
	COMMIT});
is_exact('changed primary keys');

# Values that are out of line, unchanged and changed
$node->safe_psql('postgres', q{
	ALTER TABLE src ALTER COLUMN note SET STORAGE EXTERNAL;
	UPDATE src SET note = repeat('long', 2000) || id WHERE id % 100 = 0});
is_exact('values out of line');
$node->safe_psql('postgres', 'UPDATE src SET v = v - 1 WHERE id % 50 = 0');
is_exact('unchanged values out of line');

# TRUNCATE amid a transaction that has spilled
$node->safe_psql('postgres', qq{
	BEGIN;
	UPDATE src SET v = v + 1;
	TRUNCATE src;
	INSERT INTO src SELECT i, i % 7, 1 FROM generate_series(1, 5000) i;
	UPDATE src SET k = i FROM generate_series(1, 2000) i WHERE id = i;
	COMMIT});
is_exact('TRUNCATE amid');

# Held back and spilled: commits that come all at once, and a sink that is made
# while transactions are under way.
my @many = map {
	my $from = 1_000_000 + $_ * 100_000;
	start_background_sql($node, 'postgres', qq{
		BEGIN;
		INSERT INTO src SELECT i, i, 1, 'x' FROM generate_series($from, $from + 3000) i;
		SELECT pg_sleep(0.5);
		COMMIT;
		BEGIN;
		DELETE FROM src WHERE id BETWEEN $from AND $from + 1500;
		UPDATE src SET k = k - 1 WHERE id BETWEEN $from AND $from + 2500;
		COMMIT}, name => "background $_")
} (1 .. 6);
my %new = (h_new => 'SELECT k % 10 AS k, sum(v) AS total FROM src GROUP BY k % 10');
create_sinks($node, 'postgres', \%new);
%sinks = (%sinks, %new);
my $pid = wait_for_worker($node);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
is_deeply([ finish_background(@many) ], [], 'many large transactions at once');
is_exact('many large transactions at once');

# A fill that spills its groups, and one that finds its rows there.
$node->safe_psql('postgres', q{SELECT freshet.rebuild_sink('a_many'), freshet.rebuild_sink('d_copy')});
is_exact('rebuilt');
is( $node->safe_psql('postgres',
		q{SELECT total = (SELECT sum(total) FROM a_many) FROM c_total}),
	't', 'sinks agree');

# Catching up in slices of the log, more than one per transaction.
$node->append_conf('postgresql.conf', "freshet.max_batch_size = '1MB'\nfreshet.work_mem = '1MB'");
$node->reload;
my $load = start_pgbench($node, name => 'load', clients => 4, transactions => 25, script => q{
\set k random(0, 1000)
UPDATE src SET v = v + 1, k = k + 1 WHERE k % 1000 BETWEEN :k AND :k + 50;
INSERT INTO small (v) VALUES (1);
});
is_deeply([ finish_background($load) ], [], 'writers');
is_exact('caught up in slices');
is( $node->safe_psql('postgres',
		q{SELECT changes FROM freshet.status WHERE sink = 'g_small'::regclass}),
	'100', 'each change was applied once');

# A crash while there are temporary files
$load = start_pgbench($node, name => 'load', clients => 2, seconds => 3, script => q{
UPDATE src SET v = v + 1;
});
sleep(2);
$node->stop('immediate');
finish_background($load);
$node->start;
is_exact('after a crash amid large transactions');

# ---------------------------------------------------------------------------
# What it is at, and what it takes, is told.
# ---------------------------------------------------------------------------

my $let_go = hold_sink($node, 'a_many');
$node->safe_psql('postgres',
	qq{INSERT INTO src SELECT i, i, i / 4.0, NULL FROM generate_series(10000000, 10000000 + $n) i});
ok( $node->poll_query_until('postgres',
		q{SELECT batch_phase = 'writing' AND batch_sink = 'a_many'::regclass FROM freshet.worker}),
	'the phase of the batch, and the sink that it writes');
my $files = 0;
$files += -s $node->data_dir . "/base/pgsql_tmp/$_" foreach split ' ', temporary_files();
cmp_ok($files, '>', 0, 'it has spilled');
is( $node->safe_psql('postgres', qq{
		SELECT spilled_bytes = $files, memory_bytes > 100000, retained_bytes > 100000,
			batch_age >= batch_phase_age AND batch_phase_age > '0' FROM freshet.worker}),
	't|t|t|t',
	'how much, its memory, the log that its slot retains, its age');
$let_go->();
wait_for_freshet($node);
ok( $node->poll_query_until('postgres', q{
		SELECT (batch_phase, batch_sink, batch_age, batch_phase_age) IS NOT DISTINCT FROM
			(NULL::text, NULL::regclass, NULL::interval, NULL::interval) AND spilled_bytes = 0
		FROM freshet.worker}),
	'nothing of that is told between batches');
is_exact('after that');

$node->stop;
done_testing();
