# Wide views under load: concurrent writers of all six tables, with a checker
# that compares the documents with their definition at the worker's snapshot
# meanwhile; crashes; a worker that is far behind; a fill beside writers.  In the
# end documents are compared with a query written by hand.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seed = $ENV{FRESHET_TEST_SEED} // time();
srand($seed);
note("FRESHET_TEST_SEED=$seed");

my $node = new_freshet_node(
	'wide',
	deadlock_timeout => '20ms',
	jit => 'off',
	max_connections => 60,
	max_wal_size => '200MB',
	restart_after_crash => 'on',
	'freshet.batch_interval' => '2ms',
	# sets of affected keys, and changes, are more than that now and then
	'freshet.work_mem' => '64kB');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (order_id int PRIMARY KEY, customer_id int, status text NOT NULL,
		bought_at timestamptz NOT NULL, note text);
	CREATE TABLE customers (customer_id int PRIMARY KEY, name text NOT NULL);
	CREATE TABLE payments (order_id int, n int, kind text, value numeric(10, 2), PRIMARY KEY (order_id, n));
	CREATE TABLE items (order_id int, n int, product_id text, seller_id int, price numeric(10, 2), PRIMARY KEY (order_id, n));
	CREATE TABLE products (product_id text PRIMARY KEY, name text, weight int);
	CREATE TABLE sellers (seller_id int PRIMARY KEY, name text, city text);
	CREATE INDEX ON orders (customer_id);
	CREATE INDEX ON items (product_id);
	CREATE INDEX ON items (seller_id);
	CREATE SEQUENCE numbers START 10000;
	-- nobody but fill_up() and the changes of keys makes new numbers above 400
	CREATE PROCEDURE fill_up() LANGUAGE sql AS $$
		INSERT INTO customers SELECT i, 'c' || i FROM generate_series(1, 80) i ON CONFLICT DO NOTHING;
		INSERT INTO products SELECT 'p' || i, 'product ' || i, i FROM generate_series(1, 50) i ON CONFLICT DO NOTHING;
		INSERT INTO sellers SELECT i, 's' || i, 'city' FROM generate_series(1, 12) i ON CONFLICT DO NOTHING;
		INSERT INTO orders SELECT i, 1 + i % 90, 'new', timestamptz '2026-01-01' + i * interval '1 hour', NULL
			FROM generate_series(1, 300) i ON CONFLICT DO NOTHING;
		INSERT INTO items SELECT 1 + i % 330, i % 7, 'p' || i % 55, 1 + i % 14, i / 4.0 FROM generate_series(1, 700) i ON CONFLICT DO NOTHING;
		INSERT INTO payments SELECT 1 + i % 330, i % 5, 'card', i / 4.0 FROM generate_series(1, 500) i ON CONFLICT DO NOTHING;
	$$;
	CALL fill_up();
	-- One change of kind k; a and b are random.  Those that meet a row which is
	-- there already come to nothing, in a subtransaction of their own.
	CREATE FUNCTION act(k int, a int, b int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
		o int := 1 + a % 330;
		p int := 1 + b % 330;
	BEGIN
		CASE k
			WHEN 0 THEN
				INSERT INTO orders VALUES (o, b % 90, 'new', now(), NULL);
				INSERT INTO items SELECT o, i, 'p' || (a + i) % 55, b % 14, i FROM generate_series(1, a % 3) i ON CONFLICT DO NOTHING;
				INSERT INTO payments VALUES (o, b % 5, 'cash', a) ON CONFLICT DO NOTHING;
			WHEN 1 THEN UPDATE orders SET status = (ARRAY['new', 'paid', 'shipped', 'gone'])[1 + b % 4] WHERE order_id BETWEEN o AND o + 2;
			WHEN 2 THEN UPDATE payments SET value = b / 4.0, kind = 'k' || b % 3 WHERE order_id = o;
			WHEN 3 THEN UPDATE items SET price = price + 1, product_id = nullif('p' || b % 55, 'p0') WHERE order_id = o;
			WHEN 4 THEN UPDATE items SET order_id = p, n = b % 7 WHERE order_id = o AND n = a % 7;
			WHEN 5 THEN UPDATE payments SET order_id = p, n = b % 5 WHERE order_id = o AND n = a % 5;
			WHEN 6 THEN UPDATE orders SET customer_id = nullif(b % 90, 0) WHERE order_id = o;
			WHEN 7 THEN UPDATE orders SET order_id = CASE WHEN b % 2 = 0 THEN p ELSE nextval('numbers') END WHERE order_id = o;
			WHEN 8 THEN UPDATE items SET seller_id = nullif(b % 14, 0) WHERE order_id = o;
			WHEN 9 THEN INSERT INTO products VALUES ('p' || a % 55, 'again', b);
			WHEN 10 THEN DELETE FROM products WHERE product_id = 'p' || a % 55;
			WHEN 11 THEN UPDATE products SET product_id = 'p' || b % 55, weight = a WHERE product_id = 'p' || a % 55;
			WHEN 12 THEN UPDATE products SET name = 'name ' || b WHERE product_id = 'p' || a % 55;
			WHEN 13 THEN INSERT INTO sellers VALUES (a % 14, 'again', b);
			WHEN 14 THEN DELETE FROM sellers WHERE seller_id = a % 14;
			WHEN 15 THEN UPDATE sellers SET seller_id = b % 14 WHERE seller_id = a % 14;
			WHEN 16 THEN UPDATE customers SET customer_id = b % 90, name = 'n' || a WHERE customer_id = a % 90;
			WHEN 17 THEN DELETE FROM customers WHERE customer_id = a % 90; INSERT INTO customers VALUES (b % 90, 'back');
			WHEN 18 THEN DELETE FROM orders WHERE order_id = o OR order_id > 10000 AND order_id % 50 = b % 50;
			WHEN 19 THEN DELETE FROM items WHERE order_id = o; DELETE FROM payments WHERE order_id = p;
			WHEN 20 THEN INSERT INTO items SELECT o, i, 'p' || (b + i) % 55, a % 14, b FROM generate_series(1, 3) i;
			WHEN 21 THEN INSERT INTO payments SELECT o, i, 'late', b FROM generate_series(1, 2) i;
			WHEN 22 THEN
				-- an order takes its items and payments along
				UPDATE orders SET order_id = p WHERE order_id = o;
				DELETE FROM items WHERE order_id = p;
				UPDATE items SET order_id = p WHERE order_id = o;
				UPDATE payments SET order_id = p WHERE order_id = o;
			WHEN 23 THEN UPDATE sellers SET city = 'city ' || b WHERE seller_id = a % 14;
		END CASE;
	EXCEPTION WHEN unique_violation THEN NULL;
	END $$;
});

# The documents, written by hand.
my $by_hand = q{
	SELECT o.order_id, to_jsonb(o) || jsonb_build_object(
		'customer_info', (SELECT to_jsonb(c) FROM customers c WHERE c.customer_id = o.customer_id),
		'order_payments', coalesce((SELECT jsonb_agg(to_jsonb(p) ORDER BY p.n) FROM payments p WHERE p.order_id = o.order_id), '[]'),
		'order_items', coalesce((SELECT jsonb_agg(to_jsonb(i) || jsonb_build_object(
					'product', (SELECT to_jsonb(d) FROM products d WHERE d.product_id = i.product_id),
					'seller', (SELECT to_jsonb(s) FROM sellers s WHERE s.seller_id = i.seller_id))
				ORDER BY i.n)
			FROM items i WHERE i.order_id = o.order_id), '[]')) AS doc
	FROM orders o};
my $lookups = q{[
	{"table": "customers", "path": "customer_info", "type": "object", "relation": [["customer_id", "customer_id"]]},
	{"table": "payments", "path": "order_payments", "type": "array", "relation": [["order_id", "order_id"]]},
	{"table": "items", "path": "order_items", "type": "array", "relation": [["order_id", "order_id"]]},
	{"table": "products", "path": "order_items.product", "type": "object", "relation": [["order_items.product_id", "product_id"]]},
	{"table": "sellers", "path": "order_items.seller", "type": "object", "relation": [["order_items.seller_id", "seller_id"]]}]};

# Another root: a product, with the orders that it is in and their customers.
my $products_by_hand = q{
	SELECT d.product_id, to_jsonb(d) || jsonb_build_object(
		'sold', coalesce((SELECT jsonb_agg(jsonb_build_object('order_id', i.order_id, 'price', i.price,
					'order', (SELECT to_jsonb(o) || jsonb_build_object(
							'customer', (SELECT to_jsonb(c) FROM customers c WHERE c.customer_id = o.customer_id))
						FROM orders o WHERE o.order_id = i.order_id))
				ORDER BY i.price DESC, i.order_id, i.n)
			FROM items i WHERE i.product_id = d.product_id), '[]')) AS doc
	FROM products d};
my $product_lookups = q{[
	{"table": "items", "path": "sold", "type": "array", "relation": [["product_id", "product_id"]],
	 "columns": ["order_id", "price"], "order_by": ["price desc"]},
	{"table": "orders", "path": "sold.order", "type": "object", "relation": [["sold.order_id", "order_id"]]},
	{"table": "customers", "path": "sold.order.customer", "type": "object", "relation": [["sold.order.customer_id", "customer_id"]]}]};
my %documents = (wide => $by_hand, wide_products => $products_by_hand);

# Rollups and a copy over the wide views, said of the tables at the bottom.
my %rollups = (
	of_status => 'SELECT status, count(*) AS n FROM orders GROUP BY status',
	of_items => q{SELECT items, count(*) AS n FROM (SELECT (SELECT count(*)::int FROM items i
		WHERE i.order_id = o.order_id) AS items FROM orders o) x GROUP BY items},
	of_sold => q{SELECT count(*) AS n, sum((SELECT count(*) FROM items i WHERE i.product_id = p.product_id)) AS sold FROM products p});

$node->safe_psql('postgres', qq{
	SET client_min_messages = warning;
	SELECT freshet.create_wide_view('wide', 'orders', '$lookups');
	SELECT freshet.create_wide_view('wide_products', 'products', '$product_lookups');
	SELECT freshet.create_sink('of_status', \$\$SELECT doc->>'status' AS status, count(*) AS n FROM wide GROUP BY 1\$\$);
	SELECT freshet.create_sink('of_items', \$\$SELECT jsonb_array_length(doc->'order_items') AS items, count(*) AS n FROM wide GROUP BY 1\$\$);
	SELECT freshet.create_sink('of_sold', \$\$SELECT count(*) AS n, sum(jsonb_array_length(doc->'sold')) AS sold FROM wide_products\$\$);
	SELECT freshet.wait(s, '60 s') FROM unnest('{wide, wide_products}'::regclass[]) s});

# Which documents differ from those written by hand?  At most one of each sink.
sub differing_documents
{
	my @bad;
	foreach my $sink (sort keys %documents)
	{
		my $result = $node->safe_psql('postgres', qq{
			WITH h AS (SELECT to_jsonb(x) - 'doc' AS key, doc::text FROM ($documents{$sink}) x),
				s AS (SELECT to_jsonb(x) - 'doc' AS key, doc::text FROM $sink x)
			SELECT concat_ws(' ', '$sink', key, 'is', s.doc, 'not', h.doc)
			FROM h FULL JOIN s USING (key) WHERE h.doc IS DISTINCT FROM s.doc ORDER BY key LIMIT 1});
		push @bad, $result if $result ne '';
	}
	return @bad;
}

# As verify_all(); but it reads several tables, and so may meet a deadlock with
# somebody who locks several.
sub verify
{
	my ($skip) = @_;
	my @bad;
	foreach my $sink (split /\n/, $node->safe_psql('postgres', 'SELECT sink FROM freshet.status ORDER BY sink::text'))
	{
		next if $sink eq ($skip // '');
		my ($out, $err);
		for my $try (1 .. 50)
		{
			$node->psql('postgres', "SELECT missing, unexpected FROM freshet.verify_sink('$sink')",
				stdout => \$out, stderr => \$err);
			last unless $err =~ /deadlock detected/;
		}
		push @bad, "$sink: $out$err" if $out ne '0|0';
	}
	return @bad;
}

sub exact
{
	my ($when) = @_;
	wait_for_freshet($node);
	is_deeply([ differing_documents() ], [], "$when: documents as written by hand");
	is_deeply([ differing_sinks($node, 'postgres', \%rollups) ], [], "$when: sinks over them");
	is_deeply([ verify() ], [], "$when: verify_sink()");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ': ' || coalesce(error, state), ', ')
		FROM freshet.status WHERE state <> 'live'}), '', "$when: all live");
	return;
}

exact('filled');

# ---------------------------------------------------------------------------
# Under load
# ---------------------------------------------------------------------------

my $act = 'SELECT act((random() * 23)::int, (random() * 1000000)::int, (random() * 1000000)::int);';
my $one = "$act\n";
my $several = qq{
BEGIN;
$act
SAVEPOINT a;
$act
$act
ROLLBACK TO SAVEPOINT a;
$act
SAVEPOINT b;
$act
RELEASE SAVEPOINT b;
COMMIT;
};
my $undone = "BEGIN;\n$act\n$act\nROLLBACK;\n";
# held back: it commits late
my $slow = "BEGIN;\n$act\n$act\n\\sleep 20 ms\n$act\nCOMMIT;\n";
# many of one kind at once
my $bulk = q{
\set k random(0, 4)
\if :k = 0
UPDATE products SET name = 'bulk' WHERE weight % 3 = :k % 3;
\elif :k = 1
UPDATE items SET seller_id = 1 + (coalesce(seller_id, 0) + 1) % 14 WHERE order_id % 4 = 1;
\elif :k = 2
UPDATE sellers SET city = 'bulk ' || random();
\elif :k = 3
DELETE FROM orders WHERE order_id % 10 = 3;
\else
CALL fill_up();
\endif
};
my $truncate = q{
\set k random(0, 6)
BEGIN;
\if :k = 0
TRUNCATE payments;
\elif :k = 1
TRUNCATE sellers;
INSERT INTO sellers SELECT i, 'truncated', 'x' FROM generate_series(1, 5) i;
\elif :k = 2
TRUNCATE items, products;
\elif :k = 3
TRUNCATE orders;
INSERT INTO orders SELECT i, i % 90, 'truncated', now(), NULL FROM generate_series(1, 100) i;
\elif :k = 4
-- written anew: to older snapshots it is empty
ALTER TABLE sellers ADD COLUMN rnd float8 DEFAULT random();
ALTER TABLE sellers DROP COLUMN rnd;
\else
ALTER TABLE items ADD COLUMN rnd float8 DEFAULT random();
ALTER TABLE items DROP COLUMN rnd;
\endif
COMMIT;
CALL fill_up();
};
my $dir = PostgreSQL::Test::Utils::tempdir();
my $stop = "$dir/stop";

# Writers that come again when the server is back, until $stop is there.
sub writers
{
	my ($name, $clients, $rate, @scripts) = @_;
	my $n = 0;
	my @files;
	foreach my $script (@scripts)
	{
		my $file = "$dir/$name" . $n++ . '.sql';
		PostgreSQL::Test::Utils::append_to_file($file, $script) unless -e $file;
		push @files, "-f $file";
	}
	my $limit = $rate ? "-R $rate" : '';
	my $connstr = $node->connstr('postgres');
	return start_loop($name, $stop,
		"pgbench -n -c $clients -T 1 $limit --max-tries 100 @files \"$connstr\"; sleep 0.05");
}

sub all_writers
{
	unlink $stop;
	return (
		writers('writers', 5, 600, $one, $several, $undone),
		writers('slow', 2, 40, $slow),
		writers('bulk', 1, 4, $bulk),
		writers('truncater', 1, 3, $truncate));
}

sub end_writers
{
	my ($what, @writers) = @_;
	PostgreSQL::Test::Utils::append_to_file($stop, '');
	is_deeply([ finish_background(@writers) ], [], "$what: writers ended");
	return;
}

my @conditions = (
	'(SELECT coalesce(sum(n), 0) FROM of_status) = (SELECT count(*) FROM wide)',
	'(SELECT coalesce(sum(n), 0) FROM of_items) = (SELECT count(*) FROM wide)',
	q{(SELECT coalesce(sum(items * n), 0) FROM of_items) = (SELECT coalesce(sum(jsonb_array_length(doc->'order_items')), 0) FROM wide)},
	# both wide views are of one snapshot
	q{NOT EXISTS (SELECT FROM wide, jsonb_array_elements(doc->'order_items') i LEFT JOIN wide_products p ON p.product_id = i->>'product_id'
		WHERE i->'product'->>'name' IS DISTINCT FROM p.doc->>'name')});

my $checker = start_checker($node, seconds => scaled(5), sinks => [ 'wide', 'of_status', 'wide_products', 'of_sold' ],
	conditions => \@conditions);
my @background = all_writers();
is_deeply([ finish_background($checker) ], [], 'exact while others write');
cmp_ok(checks_made($checker), '>', 0, 'checked ' . checks_made($checker) . ' times');
end_writers('under load', @background);
exact('after the load');

# ---------------------------------------------------------------------------
# Crashes
# ---------------------------------------------------------------------------

my %blows = (
	'kill -9 of the worker' => sub { kill_worker($node) },
	'immediate stop' => sub { $node->stop('immediate'); $node->start },
	'termination of the worker' => sub {
		my $pid = wait_for_worker($node);
		$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
		wait_for_worker($node, 'postgres', $pid) });
@background = all_writers();
foreach my $round (1 .. scaled(2))
{
	foreach my $blow (sort keys %blows)
	{
		wait_for_worker($node) if rand() < 0.7;
		sleep(rand(0.8));
		$blows{$blow}->();
	}
	wait_for_worker($node);
	is_deeply([ verify() ], [], "exact while others write, after crashes ($round)");
}
end_writers('crashes', @background);
exact('after crashes');

# ---------------------------------------------------------------------------
# Far behind: batches that end where no snapshot does
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{ALTER SYSTEM SET "freshet.max_batch_size" = '1MB'});
$node->safe_psql('postgres', 'SELECT pg_reload_conf()');
$node->safe_psql('postgres', 'CALL fill_up()');
wait_for_freshet($node);
my $worker = wait_for_worker($node);
kill 'STOP', $worker;
my @load = (
	start_pgbench($node, name => 'writers', clients => 6, transactions => 500, scripts => [ $one, $several, $undone ]),
	start_pgbench($node, name => 'bulk', clients => 1, transactions => 40, script => $bulk),
	start_pgbench($node, name => 'truncater', clients => 1, transactions => 4, script => $truncate));
is_deeply([ finish_background(@load) ], [], 'writers do not wait for the worker');
cmp_ok($node->safe_psql('postgres', 'SELECT wal_lag_bytes FROM freshet.worker'), '>', 2_000_000, 'far behind');
@background = all_writers();
kill 'CONT', $worker;
$checker = start_checker($node, seconds => 2, conditions => [ @conditions[ 0, 1, 2 ] ]);
is_deeply([ finish_background($checker) ], [], 'sinks agree with each other while they catch up');
end_writers('catching up', @background);
exact('caught up');

# ---------------------------------------------------------------------------
# A fill by the second worker, beside writers
# ---------------------------------------------------------------------------

my $rows = scaled(6_000);
$node->safe_psql(
	'postgres', qq{
	ALTER SYSTEM SET "freshet.fill_threshold" = 0;
	ALTER SYSTEM RESET "freshet.max_batch_size"});
$node->safe_psql(
	'postgres', qq{
	SELECT pg_reload_conf();
	CREATE TABLE many (id int PRIMARY KEY, product_id text, v int);
	CREATE TABLE many_lines (many_id int, n int, v int, PRIMARY KEY (many_id, n)) PARTITION BY HASH (many_id);
	CREATE TABLE many_lines_0 PARTITION OF many_lines FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE many_lines_1 PARTITION OF many_lines FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	INSERT INTO many SELECT i, 'p' || i % 40, i FROM generate_series(1, $rows) i;
	INSERT INTO many_lines SELECT i, n, 1 FROM generate_series(1, $rows) i, generate_series(1, 2) n;
	CREATE INDEX ON many (product_id);
	CREATE TABLE ledger (id serial PRIMARY KEY, v int);
	SELECT freshet.create_sink('ledger_total', 'SELECT count(*) AS count FROM ledger');
	-- a fill that takes its time: 2 s for all documents
	CREATE TYPE delayed AS ENUM ('d');
	CREATE FUNCTION delayed_json(delayed) RETURNS json IMMUTABLE LANGUAGE plpgsql AS '
		BEGIN PERFORM pg_sleep(0.004); RETURN to_json(1); END';
	CREATE CAST (delayed AS json) WITH FUNCTION delayed_json(delayed);
	CREATE TABLE slow_root (id int PRIMARY KEY, s delayed, line int);
	INSERT INTO slow_root SELECT i, 'd', i FROM generate_series(1, 500) i;
	ANALYZE});
my $write_many = qq{
\\set id random(1, $rows)
\\set v random(1, 1000000)
BEGIN;
UPDATE many SET v = :v WHERE id = :id;
UPDATE many_lines SET v = :v WHERE many_id = :id + 1;
DELETE FROM many_lines WHERE many_id = :id + 2 AND n = 1;
INSERT INTO many VALUES ($rows + :v, 'p' || :v % 40, :v) ON CONFLICT DO NOTHING;
INSERT INTO many_lines VALUES ($rows + :v, 1, :v), (:id, 3, :v) ON CONFLICT DO NOTHING;
UPDATE many SET product_id = 'p' || :v % 45 WHERE id = :id + 3;
UPDATE slow_root SET line = :v WHERE id = 1 + :v % 500 AND :v % 20 = 0;
COMMIT;
};
$documents{wide_many} = q{
	SELECT m.id, to_jsonb(m) || jsonb_build_object(
		'product', (SELECT to_jsonb(d) FROM products d WHERE d.product_id = m.product_id),
		'lines', coalesce((SELECT jsonb_agg(to_jsonb(l) ORDER BY l.n) FROM many_lines l WHERE l.many_id = m.id), '[]')) AS doc
	FROM many m};
unlink $stop;
@background = (writers('fill-writers', 3, 200, $write_many), writers('writers', 3, 200, $one, $several));
sleep(0.3);
$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	SELECT freshet.create_wide_view('slow', 'slow_root', '[{"table": "ledger", "path": "l", "type": "object", "relation": [["line", "id"]]}]');
	SELECT freshet.create_wide_view('wide_many', 'many', '[
		{"table": "products", "path": "product", "type": "object", "relation": [["product_id", "product_id"]]},
		{"table": "many_lines", "path": "lines", "type": "array", "relation": [["id", "many_id"]]}]')});
my ($looks, $fresh, $fillers, $progress, $half, $grew) = (0, 0, 0, 0, 0, 0);
my $last = 0;
my $end = time() + 60;
while (time() < $end)
{
	my ($building, $filler, $seen, $done, $rows_seen) = split(/\|/, $node->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM freshet.status WHERE state <> 'live'),
			(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'freshet filler'),
			p.seen, p.done, (SELECT count(*) FROM slow)
		FROM (SELECT count(*) AS seen, coalesce(max(rows_done), 0) AS done FROM freshet.progress
			WHERE sink::text = 'slow' AND rows_done BETWEEN 0 AND 500 AND rows_total > 0
				AND percent BETWEEN 0 AND 100 AND started_at <= now()
				AND (rows_done = 0 OR eta BETWEEN started_at AND now() + interval '1 minute')) p}), -1);
	$looks++;
	$fillers += $filler;
	$progress += $seen;
	$grew++ if $done > $last && $done < 500;
	$last = $done;
	$half++ if $rows_seen > 0 && $rows_seen < 500;
	last if $building == 0;

	# others are fresh meanwhile
	$node->safe_psql('postgres', q{INSERT INTO ledger (v) VALUES (1); SELECT freshet.wait('10 s')});
	$fresh++ if $node->safe_psql('postgres',
		q{SELECT state FROM freshet.status WHERE sink::text = 'slow'}) eq 'building';
}
cmp_ok($fresh, '>=', 3, "other sinks were fresh $fresh times while a wide view was filled");
cmp_ok($fillers, '>', 0, 'a second worker filled it');
cmp_ok($progress, '>', 2, "freshet.progress showed rows, percent and time $progress times");
cmp_ok($grew, '>', 1, 'rows grew on the way');
is($half, 0, "nobody saw half a wide view in $looks looks");
is($node->safe_psql('postgres', q{SELECT count(*) FROM slow WHERE doc->'s' = '1'}), '500', 'the slow one is complete');
is_deeply([ verify('slow') ], [], 'exact while others write, after the fill');

$node->safe_psql('postgres', q{SELECT freshet.drop_sink('slow')});

# Under fire: whatever happens while it is filled anew, it comes out right.
$node->safe_psql('postgres', q{
	BEGIN;
	UPDATE many SET v = -1 WHERE id % 1000 = 7;
	DELETE FROM many_lines WHERE many_id % 1000 = 8;
	PREPARE TRANSACTION 'p'});
sub terminate
{
	my ($type) = @_;
	$node->safe_psql('postgres',
		"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE backend_type = '$type'");
	return;
}
my @fire = (
	[ 'the filler is terminated', sub { terminate('freshet filler') for 1 .. 2 } ],
	[ 'the worker is terminated', sub { terminate('freshet worker') } ],
	[ 'pause and resume', sub {
			$node->safe_psql('postgres', q{SELECT freshet.pause_sink('wide_many')});
			$node->safe_psql('postgres', q{SELECT freshet.resume_sink('wide_many')}) } ],
	[ 'a prepared transaction is committed', sub {
			$node->safe_psql('postgres', q{COMMIT PREPARED 'p'}) } ],
	[ 'a lookup is written anew', sub {
			$node->safe_psql('postgres', 'ALTER TABLE products ADD COLUMN rnd float8 DEFAULT random(); '
				  . 'VACUUM FULL many_lines; ALTER TABLE products DROP COLUMN rnd') } ],
	[ 'DETACH and ATTACH', sub {
			$node->safe_psql('postgres', q{
			BEGIN;
			ALTER TABLE many_lines DETACH PARTITION many_lines_1;
			UPDATE many_lines_1 SET v = v + 10 WHERE many_id % 100 = 1;
			ALTER TABLE many_lines ATTACH PARTITION many_lines_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
			COMMIT}) } ],
	[ 'TRUNCATE of a lookup', sub {
			$node->safe_psql('postgres', 'TRUNCATE many_lines; '
				  . 'INSERT INTO many_lines SELECT i, 1, i FROM generate_series(1, 2000) i') } ],
	[ 'kill -9 of the worker', sub { kill_worker($node) } ]);
foreach my $fire (@fire)
{
	my ($what, $sub) = @$fire;
	$node->safe_psql('postgres', q{SELECT freshet.rebuild_sink('wide_many')});
	sleep(rand(0.4));
	$sub->();
	# what came of it shows when the batch that sees it is over
	wait_for_freshet($node);
	ok( $node->poll_query_until('postgres',
			q{SELECT count(*) = 0 FROM freshet.status WHERE state NOT IN ('live', 'catching up')}),
		"$what: all live")
	  or diag($node->safe_psql('postgres', 'SELECT sink, state, error FROM freshet.status'));
	is_deeply([ verify() ], [], "$what: exact while others write");
}

# more keys than memory for them
my $bulk_error;
for my $try (1 .. 50)
{
	# all or nothing, again after a deadlock with the writers
	$node->psql('postgres', q{BEGIN; UPDATE products SET weight = coalesce(weight, 0) + 1;
		UPDATE many SET v = v + 1 WHERE id % 3 = 0; COMMIT}, stderr => \$bulk_error, on_error_stop => 1);
	last unless $bulk_error =~ /deadlock detected/;
}
is($bulk_error, '', 'a bulk of changes');
is_deeply([ verify() ], [], 'a product of many: exact while others write');
end_writers('fill', @background);
exact('after a fill');
is($node->safe_psql('postgres', 'SELECT count(*) FROM freshet.progress'), '0', 'no progress is left');

ok(!worker_errors($node), 'the worker met no error');
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
unlike($log, qr/retracted from a group|vanished|could not read the write-ahead/, 'no complaint in the log');

$node->stop;
done_testing();
