# Joins, inner and outer, under load, far behind, and filled under fire: writers change all sides
# of them at once, while a checker compares every sink with its query at the
# worker's snapshot.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = scaled(5);
my $node = new_freshet_node(
	'joins',
	'deadlock_timeout' => '50ms',
	'freshet.batch_interval' => '2ms',
	'freshet.max_batch_size' => '1MB',
	'freshet.work_mem' => '1MB',
	'max_connections' => 60);

$node->safe_psql(
	'postgres', q{
	CREATE TABLE customers (id int PRIMARY KEY, region int, name text);
	CREATE TABLE products (id int PRIMARY KEY, category int, price numeric(12, 2));
	CREATE TABLE orders (id bigserial PRIMARY KEY, customer int, product int, qty int NOT NULL, at timestamptz NOT NULL);
	CREATE INDEX ON orders (customer);
	CREATE INDEX ON orders (product);
	-- without keys, with duplicates and NULLs
	CREATE TABLE tags (product int, tag text);
	CREATE TABLE parts (k int, id int, v int, PRIMARY KEY (k, id)) PARTITION BY LIST (k);
	CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1, 2);
	CREATE TABLE parts_rest (v int, id int NOT NULL, k int NOT NULL, PRIMARY KEY (k, id));
	ALTER TABLE parts ATTACH PARTITION parts_rest DEFAULT;
	INSERT INTO customers SELECT i, i % 8, 'c' || i FROM generate_series(1, 60) i;
	INSERT INTO products SELECT i, i % 5, i / 4.0 FROM generate_series(1, 40) i;
	INSERT INTO orders (customer, product, qty, at) SELECT i % 70, i % 44, i % 9, timestamptz '2026-01-01' + i * interval '1 second'
		FROM generate_series(1, 2000) i;
	INSERT INTO tags SELECT nullif(i % 40, 0), 't' || i % 3 FROM generate_series(1, 90) i;
	INSERT INTO parts SELECT i % 5, i, i % 20 FROM generate_series(1, 100) i});

my %sinks = (
	a_groups => q{SELECT c.region, p.category, count(*) AS count, sum(o.qty * p.price) AS total
		FROM orders o JOIN products p ON p.id = o.product JOIN customers c ON c.id = o.customer GROUP BY 1, 2},
	b_rows => q{SELECT o.id, c.id AS customer, c.name, p.id AS product, p.price * o.qty AS amount
		FROM orders o, products p, customers c WHERE p.id = o.product AND c.id = o.customer AND o.qty > 2},
	c_bag => q{SELECT c.name, t.tag FROM orders o JOIN customers c ON c.id = o.customer JOIN tags t USING (product) WHERE o.qty = 5},
	d_extremes => q{SELECT c.region, min(p.price) AS low, max(o.qty * p.price) AS high, max(o.at) AS last
		FROM orders o JOIN products p ON p.id = o.product JOIN customers c ON c.id = o.customer GROUP BY c.region},
	e_self => q{SELECT a.region, count(*) AS count, sum(b.id - c.id) AS total
		FROM customers a JOIN customers b USING (region) JOIN customers c ON c.region = b.region AND c.id > a.id GROUP BY 1},
	f_window => q{SELECT window_start, c.region, count(*) AS count, sum(o.qty) AS qty
		FROM orders o JOIN customers c ON c.id = o.customer, freshet.tumble(o.at, '5 minutes') GROUP BY 1, 2},
	g_parts => q{SELECT a.k AS k, b.k AS l, count(*) AS count, max(a.id + b.id) AS high FROM parts a JOIN parts b USING (v) GROUP BY 1, 2},
	h_range => q{SELECT a.id, a.k, b.id AS b, b.k AS l FROM parts a JOIN parts b ON b.id BETWEEN a.id - a.v AND a.id - 1},
	i_counts => q{SELECT customer, count(*) AS count FROM orders GROUP BY customer},
	j_own => q{SELECT c.region, sum(n.count) AS orders, max(o.id) AS last FROM customers c
		JOIN i_counts n ON n.customer = c.id JOIN orders o ON o.customer = c.id GROUP BY c.region},
	l_stages => q{WITH n AS (SELECT o.customer, count(DISTINCT o.product) AS products, sum(o.qty * p.price) AS total
			FROM orders o JOIN products p ON p.id = o.product GROUP BY 1)
		SELECT c.region, count(*) AS count, sum(n.total) AS total, max(n.products) AS most
		FROM customers c JOIN n ON n.customer = c.id GROUP BY c.region HAVING count(*) > 1},
	k_over => q{SELECT r.product, count(*) AS count, sum(r.amount * g.count) AS total FROM b_rows r
		JOIN a_groups g ON g.region = r.customer % 8 GROUP BY r.product},
	# by key
	l_left => q{SELECT o.id, p.price * o.qty AS amount, t.tag FROM orders o LEFT JOIN products p ON p.id = o.product
		LEFT JOIN tags t ON t.product = p.id AND o.qty < 3},
	m_full => q{SELECT c.id, c.name, o.id AS o, o.qty FROM customers c FULL JOIN orders o ON o.customer = c.id AND o.qty = 1},
	n_not_in => q{SELECT id, category FROM products WHERE id NOT IN (SELECT product FROM tags WHERE tag = 't1')},
	o_anti => q{SELECT c.id, c.region FROM customers c WHERE NOT EXISTS (SELECT FROM orders o JOIN tags t USING (product)
		WHERE o.customer = c.id AND o.qty = 3)},
	p_latest => q{SELECT * FROM (SELECT customer, id, qty, row_number() OVER (PARTITION BY customer ORDER BY at DESC, id) AS n
		FROM orders) o WHERE n <= 2},
	q_counts => q{SELECT c.region, count(o.id) AS orders, count(DISTINCT o.product) AS products
		FROM customers c LEFT JOIN orders o ON o.customer = c.id GROUP BY c.region},
	r_over => q{SELECT tag, count(*) AS count, sum(amount) AS amount FROM l_left GROUP BY tag},
);
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);
is_deeply([ verify_all($node) ], [], 'filled');
is($node->safe_psql('postgres', q{SELECT string_agg(sink::text, ' ' ORDER BY sink::text) FROM freshet.status WHERE strategy <> 'delta'}),
	'l_left m_full n_not_in o_anti p_latest q_counts', 'single changes serve, or keys');

# ---------------------------------------------------------------------------
# Under load
# ---------------------------------------------------------------------------

my $order = q{
\set c random(0, 75)
\set p random(0, 44)
\set a random(1, 2500)
INSERT INTO orders (customer, product, qty, at) VALUES (nullif(:c, 0), :p, :a % 9, timestamptz '2026-01-01' + :a * interval '1 second');
UPDATE orders SET qty = :p % 9, customer = :c WHERE id = :a;
DELETE FROM orders WHERE id BETWEEN :a + 1 AND :a + 2;
};
# all sides in one transaction, some of it rolled back
my $sides = q{
\set c random(1, 60)
\set p random(1, 40)
\set a random(1, 2500)
BEGIN;
UPDATE orders SET customer = :c, product = :p WHERE id BETWEEN :a AND :a + 3;
UPDATE products SET price = price + 0.25, category = :c % 5 WHERE id = :p;
SAVEPOINT s;
DELETE FROM customers WHERE id = :c;
INSERT INTO orders (customer, product, qty, at) VALUES (:c, :p, 5, '2026-01-01');
ROLLBACK TO SAVEPOINT s;
UPDATE customers SET region = :p % 8, name = 'd' || :a WHERE id = :c;
COMMIT;
};
my $come_and_go = q{
\set c random(1, 75)
\set p random(1, 40)
BEGIN;
DELETE FROM customers WHERE id = :c;
DELETE FROM orders WHERE customer = :c AND product = :p;
INSERT INTO customers VALUES (:c, :p % 8, 'e' || :p) ON CONFLICT DO NOTHING;
INSERT INTO tags VALUES (:p, 't' || :c % 3);
DELETE FROM tags WHERE ctid = (SELECT min(ctid) FROM tags WHERE product = :p);
UPDATE tags SET product = nullif(:p % 39, 0) WHERE product = :p - 1 OR product IS NULL;
COMMIT;
};
my $parts = q{
\set i random(1, 100)
\set k random(0, 4)
UPDATE parts SET k = :k, v = (v + 1) % 20 WHERE id = :i;
UPDATE parts SET v = :k WHERE id BETWEEN :i + 1 AND :i + 2;
};
my $truncate = q{
\sleep 500 ms
BEGIN;
CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE tags;
TRUNCATE tags;
INSERT INTO tags SELECT * FROM kept LIMIT 90;
COMMIT;
};
my $prepared = q{
\set g random(1, 1000000000)
BEGIN;
INSERT INTO orders (customer, product, qty, at) VALUES (3, 3, 5, '2026-01-01');
PREPARE TRANSACTION 'j-:g';
COMMIT PREPARED 'j-:g';
};
my @scripts = ([ $order, 5 ], [ $sides, 3 ], [ $come_and_go, 2 ], [ $parts, 2 ]);
my @background = (
	start_pgbench($node, name => 'writers', clients => 8, seconds => $seconds, rate => 1500, scripts => \@scripts),
	start_pgbench($node, name => 'asynchronous', clients => 2, seconds => $seconds, rate => 200,
		script => "SET synchronous_commit = off;\n$order"),
	start_pgbench($node, name => 'preparer', clients => 1, seconds => $seconds, rate => 20, script => $prepared),
	start_pgbench($node, name => 'truncater', clients => 1, seconds => $seconds, script => $truncate));
my $checker = start_checker($node, seconds => $seconds, sinks => [ sort keys %sinks ]);
is_deeply([ finish_background(@background) ], [], 'no writer failed');
is_deeply([ finish_background($checker) ], [], 'sinks equal their queries at every look');
cmp_ok(checks_made($checker), '>=', 1, 'the checker looked: ' . checks_made($checker));

sub arrive
{
	my ($what) = @_;
	# wait() says nothing about a sink that is being filled
	ok($node->poll_query_until('postgres', q{SELECT count(*) = 0 FROM freshet.status WHERE state NOT IN ('live', 'failed')}),
		"$what: filled");
	wait_for_freshet($node);
	is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], "$what: plain SQL");
	is_deeply([ verify_all($node) ], [], "$what: verify_sink()");
	is($node->safe_psql('postgres', q{SELECT string_agg(sink || ': ' || coalesce(error, state), ', ')
		FROM freshet.status WHERE state <> 'live'}), '', "$what: all live");
	return;
}
arrive('after the load');
ok(!worker_errors($node), 'the worker met no error');

# ---------------------------------------------------------------------------
# Far behind: the snapshot is ahead of what has been decoded
# ---------------------------------------------------------------------------

# They stand still meanwhile, and are not filled anew.
my $worker = wait_for_worker($node);
kill 'STOP', $worker;
is_deeply([ finish_background(start_pgbench($node, name => 'load', clients => 6, transactions => 150,
			scripts => \@scripts)) ], [], 'writers do not wait for the worker');
my $load = start_pgbench($node, name => 'load', clients => 3, transactions => 200, scripts => \@scripts);
my $watcher = start_pgbench($node, name => 'watcher', clients => 1, transactions => 2000, script =>
	q{SELECT check_that(count(*) = 0, 'not up: ' || string_agg(sink || ' is ' || state, ', '))
	FROM freshet.status WHERE state NOT IN ('live', 'catching up');});
kill 'CONT', $worker;
is_deeply([ finish_background($load) ], [], 'nor while it catches up');
is_deeply([ finish_background($watcher) ], [], 'no sink is built anew');
arrive('caught up');

# a batch of several parts, in the middle of which the plans are made anew
$worker = wait_for_worker($node);
$node->safe_psql('postgres', q{ALTER SYSTEM SET freshet.max_batch_size = '64MB'; SELECT pg_reload_conf()});
kill 'STOP', $worker;
$node->safe_psql('postgres', $_) foreach (
	q{INSERT INTO orders (customer, product, qty, at) SELECT i % 70, i % 44, i % 9, '2026-01-01' FROM generate_series(1, 30000) i},
	'ALTER TABLE customers ADD COLUMN more int',
	q{UPDATE customers SET name = 'x' || id},
	'DELETE FROM orders WHERE id % 3 = 0',
	'CREATE INDEX ON tags (product)',
	q{UPDATE products SET category = 9 - category});
kill 'CONT', $worker;
arrive('a batch of several parts');

# ---------------------------------------------------------------------------
# Filled by the filler, under fire
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', q{ALTER SYSTEM SET freshet.fill_threshold = 0; SELECT pg_reload_conf()});
foreach my $round (1 .. scaled(1))
{
	my @fire = (
		start_pgbench($node, name => 'writers', clients => 4, transactions => 300, rate => 300, scripts => \@scripts));
	$node->safe_psql('postgres', "SELECT freshet.rebuild_sink('$_')") foreach (sort keys %sinks);
	is_deeply([ finish_background(@fire) ], [], 'writers go on beside fills');
	arrive("filled under fire ($round)");
}
ok(!worker_errors($node), 'the worker met no error');

# ... and after a crash
my $crash_load = start_pgbench($node, name => 'crashed', clients => 4, seconds => 60, rate => 300, scripts => \@scripts);
$node->safe_psql('postgres', "SELECT freshet.rebuild_sink('$_')") foreach (qw(a_groups b_rows g_parts));
kill_worker($node);
finish_background($crash_load);
arrive('after a crash');

$node->stop;
done_testing();
