# What is between two snapshots is never judged: rows that are inserted wrong and
# corrected, or deleted, before anybody sees them; groups halfway through a
# change that does not fit the memory.  Expressions would fail on them, and
# constraints and triggers on sinks refuse them.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = scaled(5);
my $node = new_freshet_node(
	'between',
	'freshet.work_mem' => '64kB',
	'freshet.max_batch_size' => '1GB',
	'deadlock_timeout' => '50ms');

# Whatever is committed has v <> 0, sums of v above 0 in each group, and a number
# in t; g is up to 1500.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id bigserial PRIMARY KEY, g int NOT NULL, v int NOT NULL, t text NOT NULL);
	CREATE TABLE look (g int PRIMARY KEY, d int NOT NULL);
	CREATE INDEX ON src (g);
	INSERT INTO src (g, v, t) SELECT i % 1500, 1 + i % 9, i::text FROM generate_series(1, 6000) i;
	INSERT INTO look SELECT i, 1 + i % 5 FROM generate_series(0, 1499) i});
my %sinks = (
	a_argument => 'SELECT g, sum(100 / v) AS share, max(t::int) AS high, count(*) AS count FROM src GROUP BY g',
	b_output => 'SELECT g, 100000 / sum(v) AS share, avg(v) AS mean FROM src GROUP BY g',
	c_key => 'SELECT 100 / v AS k, count(*) AS count, min(v) AS low FROM src GROUP BY 1',
	d_where => 'SELECT count(*) AS count, sum(v) AS total FROM src WHERE 1000 / v > 5',
	e_window => q{SELECT window_start, sum(v) AS total
		FROM src, freshet.tumble(to_timestamp(6000 / v), interval '1 minute') GROUP BY 1},
	f_copy => 'SELECT id, g, t::int AS n, 100 / v AS share FROM src',
	g_bag => 'SELECT g, t::int AS n FROM src WHERE v > 2',
	h_filter => 'SELECT g % 10 AS g, sum(100 / (v - 3)) FILTER (WHERE v > 3) AS share FROM src GROUP BY 1',
	i_above => 'SELECT count, sum(100000 / share) AS total FROM a_argument WHERE share > 0 GROUP BY count',
	j_over_copy => 'SELECT n % 10 AS n, sum(100 / n) AS share FROM f_copy WHERE n > 0 GROUP BY 1',
	k_copy_above => 'SELECT g, 100 / (share + 1) AS share FROM b_output',
	l_grouped_above => 'SELECT share, count(*) AS count FROM k_copy_above GROUP BY share');
create_sinks($node, 'postgres', \%sinks);
$node->safe_psql('postgres', q{
	SELECT freshet.create_wide_view('wide', 'src',
		'[{"table": "look", "path": "look", "type": "object", "relation": [["g", "g"]]}]');
	SELECT freshet.create_wide_view('wide_looks', 'look',
		'[{"table": "src", "path": "rows", "type": "array", "relation": [["g", "g"]]}]');
	SELECT freshet.create_sink('wide_above', $$
		SELECT (doc->'look'->>'d')::int AS d, sum(100 / (doc->>'v')::int) AS share, count(*) AS count
		FROM wide GROUP BY 1 $$)});
wait_for_freshet($node);
$node->safe_psql('postgres', q{
	ALTER TABLE a_argument ADD CHECK (count > 0);
	ALTER TABLE b_output ADD CHECK (share >= 0), ADD CHECK (mean > 0);
	ALTER TABLE c_key ADD CHECK (low <> 0);
	ALTER TABLE f_copy ADD CHECK (share <> 0 AND n >= 0);
	ALTER TABLE g_bag ADD CHECK (n >= 0);
	ALTER TABLE k_copy_above ADD CHECK (share >= 0);
	ALTER TABLE wide ADD CHECK ((doc->>'v')::int <> 0), ADD CHECK ((doc->>'t')::int >= 0);
	CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF NEW.mean <= 0 OR NEW.share < 0 THEN
			RAISE EXCEPTION 'the trigger has seen %', NEW;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON b_output FOR EACH ROW EXECUTE FUNCTION refuse();
	ALTER TABLE b_output ENABLE ALWAYS TRIGGER refuse});

my $corrected = q{
\set g random(0, 1499)
\set v random(1, 9)
BEGIN;
INSERT INTO src (g, v, t) VALUES (:g, 0, 'none') RETURNING id \gset
UPDATE src SET t = '' WHERE id = :id;
UPDATE src SET v = :v, t = :v || '0' WHERE id = :id;
COMMIT;
};
my $withdrawn = q{
\set g random(0, 1499)
BEGIN;
INSERT INTO src (g, v, t) VALUES (:g, 0, 'none'), (:g, -1000, '-1');
DELETE FROM src WHERE v IN (0, -1000) AND g = :g;
COMMIT;
};
my $to_and_fro = q{
\set a random(1, 5990)
BEGIN;
UPDATE src SET v = 0, t = 'x' || t WHERE id BETWEEN :a AND :a + 3;
SAVEPOINT s;
UPDATE src SET t = 'y' WHERE id BETWEEN :a AND :a + 3;
ROLLBACK TO SAVEPOINT s;
UPDATE src SET v = 1 + id % 7, t = substr(t, 2), g = (g + 1) % 1500 WHERE id BETWEEN :a AND :a + 3;
COMMIT;
};
my $ordinary = q{
\set a random(1, 7000)
\set v random(1, 9)
UPDATE src SET v = :v WHERE id = :a;
DELETE FROM src WHERE id = :a + 1;
};
# every group passes through a sum below 0
my $large = q{
BEGIN;
LOCK TABLE src IN SHARE ROW EXCLUSIVE MODE;
UPDATE src SET v = v - 1000 WHERE id > 0;
UPDATE src SET v = v + 1000, t = t || '1' WHERE id > 0 AND length(t) < 8;
UPDATE src SET v = v + 1000, t = '1' WHERE id > 0 AND v < -900;
COMMIT;
\sleep 300 ms
};
my @writers = (
	start_pgbench($node, name => 'writers', clients => 4, seconds => $seconds, rate => 300,
		scripts => [ [ $corrected, 4 ], [ $withdrawn, 2 ], [ $to_and_fro, 3 ], [ $ordinary, 3 ] ]),
	start_pgbench($node, name => 'large', clients => 1, seconds => $seconds, script => $large));
my $checker = start_checker($node, seconds => $seconds, sinks => [ sort(keys %sinks), 'wide', 'wide_looks', 'wide_above' ]);
is_deeply([ finish_background(@writers) ], [], 'no writer failed');
is_deeply([ finish_background($checker) ], [], 'sinks equal their queries at every look');

sub is_exact
{
	my ($what) = @_;
	wait_for_freshet($node);
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ' ' || concat_ws(': ', state, error), ', ')
		FROM freshet.status WHERE state <> 'live'}), '', "$what: all live");
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	return;
}
is_exact('under load');

# Far behind: what is applied ends at no snapshot, again and again.  A min is then
# already that of the end, while a sum is still that of some time before.
$node->safe_psql('postgres', q{
	CREATE TABLE late (id int PRIMARY KEY, v int);
	CREATE TABLE padding (id serial PRIMARY KEY, t text);
	ALTER TABLE padding REPLICA IDENTITY FULL;
	INSERT INTO late VALUES (1, 5), (2, 7);
	SELECT freshet.create_sink('n_padding', 'SELECT count(*) AS count FROM padding');
	SELECT freshet.create_sink('n_late', 'SELECT min(v) AS low, sum(v) AS total FROM late');
	SELECT freshet.wait('n_late', '60 s');
	ALTER TABLE n_late ADD CHECK (low <= total)});
$sinks{n_late} = 'SELECT min(v) AS low, sum(v) AS total FROM late';
my $offset = -s $node->logfile;
$node->append_conf('postgresql.conf', "freshet.max_batch_size = '1MB'");
$node->reload;
my $pid = worker_pid($node);
kill 'STOP', $pid;
$node->safe_psql('postgres', 'DELETE FROM late WHERE id = 1');
$node->safe_psql('postgres', "INSERT INTO padding (t) SELECT repeat('x', 1000) FROM generate_series(1, 4000)");
$node->safe_psql('postgres', 'INSERT INTO late VALUES (3, 100); DELETE FROM late WHERE id = 2');
is_deeply([ finish_background(start_pgbench($node, name => 'writers of a backlog', clients => 4,
	transactions => 500, scripts => [ [ $corrected, 4 ], [ $withdrawn, 2 ], [ $to_and_fro, 3 ], [ $ordinary, 3 ] ])) ], [],
	'a backlog');
$node->safe_psql('postgres', $large =~ s/\\sleep.*\n//r) for 1 .. 3;
kill 'CONT', $pid;
is_exact('after a backlog');
ok(log_says($node, qr/violates check constraint "n_late_check"/, $offset),
	'a constraint was violated on the way');

$node->stop;
done_testing();
