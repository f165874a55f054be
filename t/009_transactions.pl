# Transactions of the rarer kinds, and what is replicated into and out of sinks.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_freshet_node('transactions', deadlock_timeout => '100ms');
$node->safe_psql(
	'postgres', q{
	CREATE TABLE src (id serial PRIMARY KEY, k int, v numeric);
	ALTER TABLE src REPLICA IDENTITY FULL;
	INSERT INTO src (k, v) SELECT i % 10, i FROM generate_series(1, 100) i});
my %sinks = (
	a_groups => 'SELECT k, count(*) AS count, sum(v) AS total, max(v) AS high FROM src GROUP BY k',
	b_total => 'SELECT count(*) AS count, sum(v) AS total FROM src',
	c_copy => 'SELECT id, v FROM src WHERE k = 1');

sub is_exact
{
	my ($what) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	return;
}

# ---------------------------------------------------------------------------
# Sinks that are made by a prepared transaction
# ---------------------------------------------------------------------------

# Either PREPARE says no, or COMMIT PREPARED makes the sink live.
my ($ret, $out, $err) = $node->psql('postgres', q{
	BEGIN;
	SELECT freshet.create_sink('p', 'SELECT count(*) AS count FROM src');
	PREPARE TRANSACTION 'create'});
if ($ret == 0)
{
	$node->safe_psql('postgres', q{COMMIT PREPARED 'create'});
	my $state = '';
	for (1 .. 50)
	{
		$state = $node->safe_psql('postgres', q{SELECT state, rows FROM freshet.status WHERE sink::text = 'p'});
		last if $state eq 'live|1';
		sleep(0.2);
	}
	is($state, 'live|1', 'create_sink() in a prepared transaction');
}
else
{
	pass('PREPARE TRANSACTION of create_sink() is refused');
	is($node->safe_psql('postgres', q{SELECT to_regclass('p') IS NULL}), 't', 'and nothing is left of it');
}
create_sinks($node, 'postgres', \%sinks);
is_exact('filled');
if ($ret == 0)
{
	($ret, $out, $err) = $node->psql('postgres', q{
		BEGIN;
		SELECT freshet.drop_sink('p');
		PREPARE TRANSACTION 'drop'});
	$node->safe_psql('postgres', q{COMMIT PREPARED 'drop'}) if $ret == 0;
	$node->safe_psql('postgres', q{SELECT freshet.drop_sink('p')}) if $ret != 0;
}
is($node->safe_psql('postgres', q{SELECT count(*) FROM freshet.status WHERE sink::text = 'p'}), '0', 'it is dropped');
is_exact('a prepared transaction with DDL');

# A transaction prepared before a slot is made holds the slot's making up, not
# longer; nothing of it is lost.
$node->safe_psql('postgres', q{
	BEGIN; INSERT INTO src (k, v) VALUES (77, 77); PREPARE TRANSACTION 'early'});
$node->safe_psql('postgres', q{INSERT INTO src (k, v) VALUES (78, 78)});
is_exact('before it is committed');
$node->safe_psql('postgres', q{COMMIT PREPARED 'early'});
is_exact('after it is committed');

# ---------------------------------------------------------------------------
# Subtransactions, more than a snapshot holds
# ---------------------------------------------------------------------------

my $deep = q{
\set k random(0, 20)
DO $$
BEGIN
	FOR i IN 1 .. 100 LOOP
		BEGIN
			INSERT INTO src (k, v) VALUES (:k, i);
			UPDATE src SET k = k + 1 WHERE id = i AND v = i;
			IF i % 3 = 0 THEN RAISE EXCEPTION 'no'; END IF;
		EXCEPTION WHEN raise_exception THEN NULL;
		END;
	END LOOP;
	PERFORM pg_sleep(0.05);
END $$;
};
my $load = start_pgbench($node, clients => 8, seconds => scaled(3), script => $deep);
my $checker = start_checker($node, seconds => scaled(3), sinks => [ sort keys %sinks ],
	conditions => ['(SELECT sum(count) FROM a_groups) = (SELECT count FROM b_total)']);
is_deeply([ finish_background($load, $checker) ], [], 'snapshots with too many subtransactions');
is_exact('snapshots with too many subtransactions');

# Everything at once: one transaction that does all and takes half of it back.
$node->safe_psql('postgres', q{
	BEGIN;
	CREATE TABLE made (id int PRIMARY KEY, v int);
	INSERT INTO made SELECT i, i FROM generate_series(1, 100) i;
	SELECT freshet.create_sink('of_made', 'SELECT count(*) AS count, sum(v) AS total FROM made');
	SAVEPOINT s;
	SELECT freshet.create_sink('taken_back', 'SELECT count(*) FROM made');
	UPDATE src SET v = v + 1;
	TRUNCATE src;
	ROLLBACK TO s;
	DELETE FROM made WHERE id > 50;
	SELECT freshet.create_sink('on_of_made', 'SELECT total, count(*) AS count FROM of_made GROUP BY total');
	ALTER TABLE src ADD COLUMN more int DEFAULT 3;
	INSERT INTO src (k, v, more) VALUES (5, 5, 5);
	COMMIT});
$sinks{of_made} = 'SELECT count(*) AS count, sum(v) AS total FROM made';
$sinks{on_of_made} = 'SELECT total, count(*) AS count FROM of_made GROUP BY total';
is_exact('a table, its rows and its sinks in one transaction');
$node->safe_psql('postgres', q{
	BEGIN;
	TRUNCATE made;
	INSERT INTO made VALUES (1, 1);
	DROP TABLE made CASCADE;
	ROLLBACK;
	INSERT INTO made VALUES (1000, 1000)});
is_exact('DROP TABLE that was rolled back');

# ---------------------------------------------------------------------------
# Locks
# ---------------------------------------------------------------------------

# A sink that is locked holds the worker up, not the writers; afterwards all is
# well.  Readers at REPEATABLE READ see their state to the end.
my $reader = start_background_sql($node, 'postgres', q{
	BEGIN ISOLATION LEVEL REPEATABLE READ;
	SELECT count FROM b_total;
	SELECT pg_sleep(2);
	SELECT (SELECT sum(count) FROM a_groups) - (SELECT count FROM b_total);
	COMMIT;
}, name => 'reader');
my $locker = start_background_sql($node, 'postgres', q{
	BEGIN;
	LOCK TABLE a_groups IN ACCESS EXCLUSIVE MODE;
	SELECT pg_sleep(1.5);
	ROLLBACK;
}, name => 'locker');
sleep(0.3);
my $started = time();
$node->safe_psql('postgres', 'INSERT INTO src (k, v) VALUES (1, 1); DELETE FROM src WHERE k = 3');
cmp_ok(time() - $started, '<', 1.2, 'writers do not wait');
is_exact('a sink that was locked');
is_deeply([ finish_background($reader, $locker) ], [], 'a reader with an old snapshot');
like($reader->{out}, qr/^0(\.0+)?$/m, 'sees sinks that agree');

# The same with a source.
$locker = start_background_sql($node, 'postgres', q{
	BEGIN;
	LOCK TABLE src IN ACCESS EXCLUSIVE MODE;
	DELETE FROM src WHERE k = 4;
	SELECT pg_sleep(1.5);
	COMMIT;
}, name => 'locker');
sleep(0.3);
$node->safe_psql('postgres', 'INSERT INTO made VALUES (2000, 1)');
ok( $node->poll_query_until('postgres', 'SELECT count = (SELECT count(*) FROM made) FROM of_made'),
	'a locked source does not hold up the sinks of others');
is_deeply([ finish_background($locker) ], [], 'the lock ends');
is_exact('a source that was locked');

# ---------------------------------------------------------------------------
# Replication, in and out
# ---------------------------------------------------------------------------

my $far = new_freshet_node('far');
$far->safe_psql('postgres', q{
	CREATE TABLE src (id int PRIMARY KEY, k int, v numeric, more int);
	CREATE TABLE a_groups (k int UNIQUE, count bigint, total numeric, high numeric);
	ALTER TABLE a_groups REPLICA IDENTITY FULL;
	ALTER TABLE src REPLICA IDENTITY FULL});
my $columns = $node->safe_psql('postgres',
	q{SELECT string_agg(quote_ident(attname) || ' ' || format_type(atttypid, atttypmod), ', ') FROM pg_attribute
	WHERE attrelid = 'a_groups'::regclass AND attnum > 0 AND attname LIKE '\_freshet\_%'});
$far->safe_psql('postgres', "ALTER TABLE a_groups ADD COLUMN $_") foreach split /, /, $columns;
my %far_sinks = (groups_there => 'SELECT k, count(*) AS count, sum(v) AS total FROM src GROUP BY k',
	of_sink => 'SELECT count, sum(total) AS total FROM a_groups GROUP BY count');
create_sinks($far, 'postgres', \%far_sinks);
$node->safe_psql('postgres', 'CREATE PUBLICATION p FOR TABLE src, a_groups');
my $connstr = $node->connstr('postgres');
$far->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION \$c\$$connstr\$c\$ PUBLICATION p WITH (streaming = on)");
$load = start_pgbench($node, clients => 4, transactions => 100, script => q{
\set k random(0, 9)
\set id random(1, 500)
INSERT INTO src (k, v) VALUES (:k, :id);
UPDATE src SET k = :k WHERE id = :id;
DELETE FROM src WHERE id = :id + 1;
});
is_deeply([ finish_background($load) ], [], 'writers');
is_exact('a published source');
my $digest = q{SELECT count(*), sum(k), sum(v) FROM src};
my $there = $node->safe_psql('postgres', $digest);
ok($far->poll_query_until('postgres', $digest, $there), 'the source is replicated');
$digest = q{SELECT sum(k), sum(count), sum(total), sum(high) FROM a_groups};
$there = $node->safe_psql('postgres', $digest);
ok($far->poll_query_until('postgres', $digest, $there), 'a sink is replicated like any table');
wait_for_freshet($far);
is_deeply([ differing_sinks($far, 'postgres', \%far_sinks) ], [],
	'sinks of replicated tables, one of them a sink: plain SQL');
is_deeply([ verify_all($far) ], [], 'sinks of replicated tables: verify_sink()');
$far->safe_psql('postgres', 'DROP SUBSCRIPTION s');
$far->stop;

ok(!worker_errors($node), 'the worker met no error');
$node->stop;
done_testing();
