# What is left behind: nothing.  Replica identities that freshet has set are set
# back, beside writers, after a crash, in a restored dump; and when the extension
# is dropped, the server is as it was before.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node('leavings', 'freshet.batch_interval' => '1ms');

$node->safe_psql('postgres', 'CREATE DATABASE shop');

sub identity_of
{
	my ($db, $table) = @_;
	return $node->safe_psql($db,
		"SELECT relreplident FROM pg_class WHERE oid = '$table'::regclass");
}

sub wait_for_identity
{
	my ($db, $table, $identity) = @_;
	return $node->poll_query_until($db,
		"SELECT relreplident = '$identity' FROM pg_class WHERE oid = '$table'::regclass");
}

# All that a database and the server have.
sub inventory
{
	my @queries = (
		(map { "SELECT '$_', count(*)::text FROM $_" }
			qw(pg_class pg_attribute pg_type pg_proc pg_namespace pg_trigger pg_event_trigger
			pg_rewrite pg_constraint pg_index pg_aggregate pg_extension pg_init_privs
			pg_default_acl pg_description pg_publication pg_seclabel
			pg_replication_origin pg_replication_slots)),
		# statistics of tables and of columns come and go by themselves
		"SELECT 'depend', count(*)::text FROM pg_depend",
		"SELECT 'shdepend', count(*)::text FROM pg_shdepend",
		"SELECT 'identities', string_agg(format('%s %s', relname, relreplident), ' ' ORDER BY relname) " .
		  "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')",
		"SELECT 'files of slots', string_agg(f, ' ' ORDER BY f) FROM pg_ls_dir('pg_replslot') f",
		"SELECT 'temporary files', count(*)::text FROM pg_ls_tmpdir()",
		"SELECT 'workers', count(*)::text FROM pg_stat_activity " .
		  "WHERE datname = current_database() AND backend_type LIKE 'freshet%'");

	return $node->safe_psql('shop', join("\nUNION ALL ", @queries) . "\nORDER BY 1");
}

$node->safe_psql(
	'shop', q{
	CREATE TABLE orders (id int PRIMARY KEY, customer int, amount int);
	CREATE TABLE items (id int NOT NULL, order_id int, product text);
	CREATE UNIQUE INDEX items_id ON items (id);
	ALTER TABLE items REPLICA IDENTITY USING INDEX items_id;
	CREATE TABLE log (id int PRIMARY KEY, at timestamptz) PARTITION BY RANGE (id);
	CREATE TABLE log_1 PARTITION OF log FOR VALUES FROM (0) TO (1000);
	INSERT INTO orders SELECT i, i % 10, i FROM generate_series(1, 1000) i;
	INSERT INTO items SELECT i, i % 1000, 'p' || i % 7 FROM generate_series(1, 3000) i;
	INSERT INTO log SELECT i, now() FROM generate_series(1, 900) i});
my $before = inventory();

my %queries = (
	rollup => 'SELECT customer, sum(amount), min(amount) FROM orders GROUP BY customer',
	totals => 'SELECT customer, avg(amount)::text AS a FROM orders GROUP BY customer',
	bag => 'SELECT product FROM items WHERE order_id > 3',
	joined => 'SELECT o.customer, count(*) FROM orders o JOIN items i ON i.order_id = o.id ' .
	  'GROUP BY o.customer',
	refreshed => 'SELECT id, rank() OVER (ORDER BY amount) FROM orders',
	failing => 'SELECT customer, sum(1 / (amount - 5000)) FROM orders GROUP BY customer',
	logged => 'SELECT date_trunc(\'day\', at, \'UTC\') AS d, count(*) FROM log GROUP BY 1',
	above => 'SELECT sum(sum) FROM rollup');

sub make_sinks
{
	my ($db) = @_;
	create_sinks($node, $db, { map { $_ => $queries{$_} } grep { $_ ne 'above' } keys %queries });
	create_sinks($node, $db, { above => $queries{above} });
	$node->safe_psql($db,
		    q{SET client_min_messages = warning;
		SELECT freshet.create_wide_view('wide', 'orders', '[{"table": "items", "path": "items",
			"type": "array", "relation": [["id", "order_id"]]}]')});
	$node->safe_psql($db, 'CREATE TABLE log_2 PARTITION OF log FOR VALUES FROM (1000) TO (2000)')
	  unless $node->safe_psql($db, "SELECT to_regclass('log_2')");
	$node->poll_query_until($db, "SELECT bool_and(state = 'live') FROM freshet.status")
	  or die 'the sinks were not filled';
	return;
}

# A whole life, ended by DROP EXTENSION beside writers.
$node->safe_psql('shop', 'CREATE EXTENSION freshet');
make_sinks('shop');
$node->safe_psql('shop', 'SELECT freshet.pause_sink(\'bag\')');
$node->safe_psql('shop', 'UPDATE orders SET amount = 5000 WHERE id = 7');
ok(wait_for_state($node, 'shop', 'failing', 'failed'), 'one has failed');
is(identity_of('shop', $_), 'f', "$_ has REPLICA IDENTITY FULL")
  foreach qw(orders items log log_1 log_2);
$node->safe_psql('shop', 'CREATE SEQUENCE item_ids START 10000');
my @writers = start_pgbench(
	$node,
	db => 'shop',
	clients => 4,
	seconds => 3,
	script => q{
	\set id random(1, 1000)
	UPDATE orders SET amount = amount + 1 WHERE id = :id AND amount < 4000;
	INSERT INTO items VALUES (nextval('item_ids'), :id, 'new');
	});
my ($ret, $stdout, $stderr) = $node->psql('shop', 'DROP EXTENSION freshet CASCADE');
is($ret, 0, 'the extension is dropped beside writers');
unlike($stderr, qr/stays FULL/, 'each replica identity was set back, beside them');
is_deeply([ finish_background(@writers) ], [], 'which fails none of them');
$node->safe_psql('shop', 'DROP TABLE log_2; DROP SEQUENCE item_ids');
$node->poll_query_until('shop', q{
	SELECT NOT EXISTS (SELECT FROM pg_replication_slots) AND
		NOT EXISTS (SELECT FROM pg_replication_origin) AND
		NOT EXISTS (SELECT FROM pg_stat_activity
			WHERE datname = current_database() AND backend_type LIKE 'freshet%')})
  or die 'the worker did not end';
is(inventory(), $before, 'nothing is left of it');
$node->safe_psql('shop', 'UPDATE orders SET amount = 7 WHERE id = 7');

# The last sink goes beside writers who hardly leave a moment; the worker follows.
$node->safe_psql('shop', 'CREATE EXTENSION freshet');
make_sinks('shop');
@writers = start_pgbench(
	$node,
	db => 'shop',
	clients => 4,
	seconds => 600,
	script => q{
	\set id random(1, 1000)
	UPDATE orders SET amount = amount + 1 WHERE id = :id AND amount < 4000;
	});
$node->safe_psql('shop',
	'SELECT freshet.drop_sink(s.relid, true) FROM freshet.sink s ' .
	"WHERE s.relid::text NOT IN ('refreshed', 'rollup') ORDER BY s.relid::text = 'rollup'");
ok(wait_for_identity('shop', 'items', 'i'), 'what no sink needs is set back');
is(identity_of('shop', 'orders'), 'f', 'what one needs is not');
$node->safe_psql('shop', q{SELECT freshet.drop_sink('rollup')});
ok(wait_for_identity('shop', 'orders', 'd'), 'beside writers who hardly leave a moment');
is($node->safe_psql('shop', 'SELECT freshet.wait(\'refreshed\', \'100 s\') IS NOT NULL'), 't',
	'and the sink that does without it goes on');
$node->safe_psql('shop', q{DROP TABLE refreshed});
ok( $node->poll_query_until('shop',
		'SELECT NOT EXISTS (SELECT FROM pg_replication_slots) AND ' .
		  'NOT EXISTS (SELECT FROM pg_replication_origin)'),
	'with the last sink the slot goes');
$_->{harness}->kill_kill foreach @writers;

# Sinks that come and go, while the replica identity goes to and fro: none of them
# lacks an old value.
my @comers = start_pgbench(
	$node,
	name => 'comers',
	db => 'shop',
	clients => 3,
	jobs => 1,
	transactions => 15,
	script => q{
	\set id random(1, 1000)
	SELECT freshet.create_sink('coming_' || :client_id,
		'SELECT customer, sum(amount) FROM orders GROUP BY customer');
	UPDATE orders SET amount = amount + 1, customer = customer % 5 WHERE id = :id;
	SELECT freshet.wait('coming_' || :client_id);
	UPDATE orders SET amount = amount - 1, customer = customer + 1 WHERE id = :id;
	DELETE FROM orders WHERE id = :id + 500;
	SELECT 1 / (missing + unexpected = 0)::int FROM freshet.verify_sink('coming_' || :client_id);
	SELECT freshet.drop_sink('coming_' || :client_id);
	\sleep 20 ms
	});
is_deeply([ finish_background(@comers) ], [], 'sinks come and go');
ok(wait_for_identity('shop', 'orders', 'd'), 'and with the last one it is set back');

# One that is made while a batch runs whose snapshot does not see it, though the list
# of sinks is read anew in the middle of that batch.
my $hold = $node->basedir . '/hold';
$node->safe_psql(
	'shop', qq{
	CREATE TABLE held (id int PRIMARY KEY, pad text);
	ALTER TABLE held REPLICA IDENTITY FULL;
	CREATE FUNCTION while_held(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS \$\$
	BEGIN
		WHILE pg_stat_file('$hold', true) IS NOT NULL LOOP
			PERFORM pg_sleep(0.01);
		END LOOP;
		RETURN \$1;
	END \$\$});
create_sinks($node, 'shop',
	{ first => $queries{rollup}, holding => 'SELECT id, while_held(id) AS h, pad FROM held' });
$node->safe_psql('shop', "SELECT freshet.wait('first'), freshet.wait('holding')");
my $writer = $node->background_psql('shop');
$writer->query_safe('BEGIN; UPDATE orders SET amount = amount + 1 WHERE id = 1');
$node->safe_psql('shop', q{SELECT freshet.drop_sink('first')});
wait_for_freshet($node, 'shop');
PostgreSQL::Test::Utils::append_to_file($hold, '');
# several transactions, which are decoded in parts
my $worker = wait_for_worker($node, 'shop');
kill 'STOP', $worker;
$node->safe_psql('shop',
	"INSERT INTO held SELECT i, repeat('x', 200) FROM generate_series($_ * 20000, $_ * 20000 + 19999) i")
  foreach 1 .. 3;
kill 'CONT', $worker;
$node->poll_query_until('shop', q{SELECT batch_phase = 'maintaining' FROM freshet.worker})
  or die 'the batch does not wait';
create_sinks($node, 'shop', { second => $queries{rollup} });
$writer->query_safe('COMMIT');
$writer->quit;
unlink $hold;
$node->safe_psql('shop', q{SELECT freshet.wait('second')});
$node->safe_psql('shop', 'UPDATE orders SET amount = amount + 1, customer = 3 WHERE id % 7 = 0');
is_deeply([ verify_all($node, 'shop') ], [], 'a sink that the batch did not see');
is(identity_of('shop', 'orders'), 'f', '... has the old values that it needs');
$node->safe_psql('shop', q{DROP TABLE second; DROP TABLE held CASCADE});
ok(wait_for_identity('shop', 'orders', 'd'), '... as long as it is there');

# Somebody who has the table locked is waited for, and nobody behind him for long.
create_sinks($node, 'shop', { rollup => $queries{rollup} });
$node->safe_psql('shop', "SELECT freshet.wait('rollup')");
my $holder = $node->background_psql('shop');
$holder->query_safe('BEGIN; UPDATE orders SET amount = amount + 1 WHERE id = 1');
$node->safe_psql('shop', q{SELECT freshet.drop_sink('rollup')});
$node->safe_psql('shop',
	"SET statement_timeout = '60s'; UPDATE orders SET amount = amount + 1 WHERE id = 2");
is(identity_of('shop', 'orders'), 'f', 'it is not set back while the table is being written');
is($node->safe_psql('shop', 'SELECT relid FROM freshet.source_identity'),
	'orders', 'but not forgotten');

# ... not by a crash, either
$node->stop('immediate');
eval { $holder->quit };
$node->start;
ok(wait_for_identity('shop', 'orders', 'd'), 'a crash forgets nothing');

# DROP EXTENSION does not wait for ever, and says so.
create_sinks($node, 'shop', { rollup => $queries{rollup} });
$node->safe_psql('shop', "SELECT freshet.wait('rollup')");
$holder = $node->background_psql('shop');
$holder->query_safe('BEGIN; UPDATE orders SET amount = amount + 1 WHERE id = 1');
($ret, $stdout, $stderr) = $node->psql('shop', 'DROP EXTENSION freshet CASCADE');
is($ret, 0, 'the extension is dropped beside a transaction that has written');
like(
	$stderr,
	qr/replica identity of table public.orders stays FULL\nDETAIL:  The table was in use/,
	'which leaves something, and says so');
$holder->query_safe('COMMIT');
$holder->quit;
$node->safe_psql('shop', 'ALTER TABLE orders REPLICA IDENTITY DEFAULT');

# A dump carries what is to be set back.
$node->safe_psql('shop', 'CREATE EXTENSION freshet; ALTER INDEX items_id RENAME TO items_renamed');
make_sinks('shop');
my $dump = $node->basedir . '/shop.sql';
$node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr('shop') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump,
		$node->connstr('restored') ], 'restore');
is(identity_of('restored', 'items'), 'f', 'the restored table is FULL');
$node->safe_psql('restored', 'DROP TABLE wide, bag, joined CASCADE');
ok(wait_for_identity('restored', 'items', 'i'),
	'and is set back with its sinks, though these were never started');
$node->safe_psql('restored', 'DROP EXTENSION freshet CASCADE');
is(identity_of('restored', $_), 'd', "so is $_") foreach qw(orders log log_1 log_2);

$node->stop;
done_testing();
