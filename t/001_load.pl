# Exactness under load: concurrent writers of every kind, and meanwhile a
# checker that compares every sink with its query at the worker's snapshot, and
# a reader that joins sinks with each other.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = scaled(10);
my $node = new_freshet_node(
	'load',
	'deadlock_timeout' => '50ms',
	'freshet.batch_interval' => '2ms',
	'max_connections' => 60);

# Prices are multiples of 1/4, so that sums in double precision are exact in
# any order, and plain SQL can be compared with to the last bit.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE orders (
		id bigserial PRIMARY KEY,
		user_id int,
		price numeric(12, 2) NOT NULL,
		weight double precision NOT NULL,
		qty int,
		at timestamptz NOT NULL,
		state text NOT NULL DEFAULT 'new'
	);
	CREATE INDEX ON orders (user_id);
	CREATE TABLE events (id bigserial, kind int NOT NULL, v numeric, note text, PRIMARY KEY (kind, id))
		PARTITION BY RANGE (kind);
	-- leaves that do not look like their root
	CREATE TABLE events_a (dropped int, note text, v numeric, id bigint NOT NULL, kind int NOT NULL);
	ALTER TABLE events_a DROP COLUMN dropped;
	ALTER TABLE events ATTACH PARTITION events_a FOR VALUES FROM (0) TO (5);
	CREATE TABLE events_b PARTITION OF events FOR VALUES FROM (5) TO (10) PARTITION BY HASH (kind);
	CREATE TABLE events_b1 PARTITION OF events_b FOR VALUES WITH (MODULUS 2, REMAINDER 0);
	CREATE TABLE events_b2 PARTITION OF events_b FOR VALUES WITH (MODULUS 2, REMAINDER 1);
	CREATE TABLE events_rest PARTITION OF events DEFAULT;
	-- only ever inserted into
	CREATE TABLE ledger (id bigserial PRIMARY KEY, amount bigint NOT NULL);
	CREATE TABLE scratch (id bigserial PRIMARY KEY, k int, v int);
	INSERT INTO orders (user_id, price, weight, qty, at)
		SELECT i % 40, (i % 1000) / 4.0, (i % 512) / 4.0, i % 7,
			timestamptz '2026-01-01' + i * interval '1 second'
		FROM generate_series(1, 3000) i;
	INSERT INTO events (kind, v, note) SELECT i % 12, i, repeat('x', i % 50) FROM generate_series(1, 1000) i;
	INSERT INTO ledger (amount) SELECT 1 FROM generate_series(1, 100);
});

my %sinks = (
	a_window => q{SELECT w.window_start AS "begin", w.window_end AS "end", count(*) AS count,
		sum(o.price) AS total FROM orders o, freshet.tumble(o.at, '1 minute') w GROUP BY 1, 2},
	b_hop => q{SELECT w.window_start, count(*) AS count, sum(o.qty) AS qty
		FROM orders o, freshet.hop(o.at, '30 seconds', '2 minutes') w GROUP BY w.window_start},
	c_user => q{SELECT user_id, count(*) AS count, sum(price) AS total, sum(weight) AS weight
		FROM orders GROUP BY user_id},
	d_total => q{SELECT count(*) AS count, sum(price) AS total, avg(price) AS mean,
		sum(weight) AS weight, count(*) FILTER (WHERE state = 'paid') AS paid,
		sum(qty) FILTER (WHERE user_id IS NULL) AS nobodys FROM orders},
	e_extremes => q{SELECT user_id, min(price) AS low, max(price) AS high, min(at) AS first,
		max(qty) AS most, max(state) AS state FROM orders GROUP BY user_id},
	f_copy => q{SELECT id, user_id, price * 2 AS twice FROM orders WHERE state = 'paid'},
	g_kinds => q{SELECT kind, count(*) AS count, sum(v) AS total, avg(v) AS mean, max(v) AS high
		FROM events GROUP BY kind},
	h_events => q{SELECT kind, id, upper(note) AS note FROM events WHERE v > 100},
	i_ledger => q{SELECT count(*) AS count, sum(amount) AS total FROM ledger},
	j_scratch => q{SELECT k, count(*) AS count, sum(v) AS total FROM scratch GROUP BY k},
	k_on_copy => q{SELECT user_id, count(*) AS count, sum(twice) AS twice, max(twice) AS high
		FROM f_copy GROUP BY user_id},
	l_on_user => q{SELECT count AS orders, count(*) AS users, sum(total) AS total
		FROM c_user GROUP BY count},
	m_on_on => q{SELECT count(*) AS sizes, sum(orders * users) AS orders FROM l_on_user},
	n_stages => q{SELECT n, count(*) AS users, max(total) AS high FROM (
		SELECT user_id, count(*) AS n, sum(price) AS total FROM orders GROUP BY user_id HAVING sum(qty) > 0) x GROUP BY n},
	o_distinct => q{SELECT state, count(DISTINCT user_id) AS users, count(*) AS count, avg(price) AS mean, max(at) AS last
		FROM orders GROUP BY state},
	p_twice => q{WITH t AS (SELECT kind, count(*) AS n, sum(v) AS v FROM events GROUP BY kind)
		SELECT a.kind, b.n, a.v - b.v AS more FROM t a JOIN t b ON b.kind = a.kind + 1},
);
create_sinks($node, 'postgres', \%sinks);
wait_for_freshet($node);
is_deeply([ verify_all($node) ], [], 'filled');

# ---------------------------------------------------------------------------
# Writers
# ---------------------------------------------------------------------------

my $insert = q{
\set u random(0, 44)
\set p random(0, 4000)
\set s random(0, 3600)
INSERT INTO orders (user_id, price, weight, qty, at) VALUES
	(nullif(:u, 0), :p / 4.0, :p / 4.0, nullif(:p % 9, 0), timestamptz '2026-01-01' + :s * interval '1 second');
INSERT INTO ledger (amount) VALUES (1);
};
my $move = q{
\set a random(1, 4000)
\set u random(0, 44)
\set s random(0, 3600)
UPDATE orders SET user_id = nullif(:u, 0), at = timestamptz '2026-01-01' + :s * interval '1 second'
	WHERE id = :a;
\set b random(1, 4000)
UPDATE orders SET price = price + 0.25, weight = weight - 0.25,
	state = CASE state WHEN 'new' THEN 'paid' WHEN 'paid' THEN 'sent' ELSE 'new' END
	WHERE id BETWEEN :b AND :b + 3;
};
my $delete = q{
\set a random(1, 4000)
DELETE FROM orders WHERE id BETWEEN :a AND :a + 2;
};
my $savepoints = q{
\set a random(1, 4000)
\set k random(0, 12)
\set l random(0, 12)
BEGIN;
INSERT INTO ledger (amount) VALUES (10);
SAVEPOINT one;
UPDATE orders SET qty = qty + 1 WHERE id = :a;
INSERT INTO ledger (amount) VALUES (1000000);
SAVEPOINT two;
INSERT INTO events (kind, v, note) VALUES (:k, :a, 'nested');
ROLLBACK TO SAVEPOINT one;
INSERT INTO events (kind, v, note) VALUES (:k, :a, 'kept');
SAVEPOINT three;
UPDATE events SET kind = :l WHERE kind = :k AND id % 10 = :a % 10 AND v < 5000;
RELEASE SAVEPOINT three;
COMMIT;
};
my $subtransactions = q{
\set a random(1, 4000)
\set k random(0, 12)
DO $$
BEGIN
	FOR i IN 1 .. 4 LOOP
		BEGIN
			INSERT INTO ledger (amount) VALUES (100);
			INSERT INTO events (kind, v) VALUES (:k, i);
			PERFORM 1 / (i % 2);
			UPDATE events SET v = v + 1 WHERE kind = :k AND id % 50 = i;
		EXCEPTION WHEN division_by_zero THEN
			INSERT INTO events (kind, v, note) VALUES (:k, NULL, 'in the handler');
		END;
	END LOOP;
END $$;
};
my $rolled_back = q{
\set a random(1, 4000)
BEGIN;
INSERT INTO ledger (amount) VALUES (7777777);
DELETE FROM orders WHERE id BETWEEN :a AND :a + 9;
ROLLBACK;
};
my $truncate = q{
\set k random(0, 20)
BEGIN;
INSERT INTO scratch (k, v) SELECT i % 11, :k FROM generate_series(1, 50) i;
TRUNCATE scratch;
INSERT INTO scratch (k, v) SELECT i % 13, i FROM generate_series(1, :k) i;
COMMIT;
\sleep 100 ms
TRUNCATE events, scratch;
\sleep 700 ms
BEGIN;
TRUNCATE scratch;
SAVEPOINT s;
TRUNCATE events;
ROLLBACK TO SAVEPOINT s;
COMMIT;
\sleep 900 ms
};
my $scratch = q{
\set k random(0, 20)
INSERT INTO scratch (k, v) VALUES (:k, 1), (:k + 1, 2);
DELETE FROM scratch WHERE k = 20 - :k AND v = 2;
};

# Committed or rolled back later, by the same client: at most six are pending.
# Their rows are of users whom nobody else touches.
my $prepared = q{
\set g random(1, 1000000000)
\set u random(100, 105)
BEGIN;
INSERT INTO orders (user_id, price, weight, at, state)
	VALUES (:u, 1, 1, timestamptz '2026-01-01', 'paid');
INSERT INTO ledger (amount) VALUES (10000);
SAVEPOINT s;
DELETE FROM orders WHERE user_id = :u AND price = 1 AND id = (SELECT min(id) FROM orders WHERE user_id = :u);
RELEASE SAVEPOINT s;
PREPARE TRANSACTION 'g-:g';
SELECT count(*) > 5 AS many, coalesce(min(gid), 'none') AS gid FROM pg_prepared_xacts \gset
\if :many
\if :g % 3 = 0
ROLLBACK PREPARED ':gid';
\else
COMMIT PREPARED ':gid';
\endif
\endif
};

# The same row over and over: chains of dependent transactions.
my $hot = q{
UPDATE orders SET price = price + 1 WHERE id = 5000000000;
};
$node->safe_psql('postgres',
	q{INSERT INTO orders VALUES (5000000000, 200, 0, 0, 0, '2026-01-01', 'paid')});

my @background = (
	start_pgbench($node, name => 'writers', clients => 8, seconds => $seconds,
		scripts => [ [ $insert, 5 ], [ $move, 5 ], [ $delete, 3 ], [ $savepoints, 2 ],
			[ $subtransactions, 1 ], [ $rolled_back, 1 ], [ $scratch, 2 ], [ $hot, 2 ] ]),
	# commits become visible before they are flushed
	start_pgbench($node, name => 'asynchronous writers', clients => 2, seconds => $seconds,
		rate => 200, script => "SET synchronous_commit = off;\n$insert$hot"),
	start_pgbench($node, name => 'truncater', clients => 1, seconds => $seconds,
		script => $truncate),
	start_pgbench($node, name => 'preparer', clients => 1, seconds => $seconds, rate => 20,
		script => $prepared));

my $checker = start_checker($node, seconds => $seconds, sinks => [ sort keys %sinks ]);
my $reader = start_checker(
	$node,
	name => 'reader',
	seconds => $seconds,
	rate => 50,
	conditions => [
		'(SELECT sum(count) FROM c_user) = (SELECT count FROM d_total)',
		'(SELECT sum(total) FROM a_window) = (SELECT sum(total) FROM c_user)',
		'(SELECT sum(count) FROM b_hop) = (SELECT 4 * count FROM d_total)',
		'(SELECT count(*) FROM f_copy) = (SELECT paid FROM d_total)',
		'(SELECT coalesce(sum(count), 0) FROM k_on_copy) = (SELECT paid FROM d_total)',
		'(SELECT sum(orders * users) FROM l_on_user) = (SELECT count FROM d_total)',
		'(SELECT orders FROM m_on_on) = (SELECT count FROM d_total)',
		'(SELECT count(*) FROM e_extremes) = (SELECT count(*) FROM c_user)',
	]);

is_deeply([ finish_background(@background) ], [], 'no writer failed');
is_deeply([ finish_background($checker) ], [], 'sinks equal their queries at every look');
cmp_ok(checks_made($checker), '>=', 1, 'the checker looked: ' . checks_made($checker));
is_deeply([ finish_background($reader) ], [], 'sinks agree with each other at every look');
cmp_ok(checks_made($reader), '>=', 1, 'the reader looked: ' . checks_made($reader));

# ---------------------------------------------------------------------------
# The end
# ---------------------------------------------------------------------------

# What is prepared is in no sink before it is committed; then it is, without
# any other commit to wake the worker.
wait_for_freshet($node);
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [],
	'all sinks equal, with transactions prepared');
my @gids = split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
cmp_ok(scalar @gids, '>', 0, 'transactions are prepared');
$node->safe_psql('postgres', "COMMIT PREPARED '$_'") foreach @gids;
ok( $node->poll_query_until(
		'postgres',
		'SELECT (SELECT sum(amount) FROM ledger) = (SELECT total FROM i_ledger)'),
	'COMMIT PREPARED wakes the worker');

wait_for_freshet($node);
is_deeply([ verify_all($node) ], [], 'verify_sink() in the end');
is_deeply([ differing_sinks($node, 'postgres', \%sinks) ], [], 'plain SQL in the end');
is( $node->safe_psql('postgres',
		q{SELECT changes = (SELECT count(*) - 100 FROM ledger) FROM freshet.status
		WHERE sink = 'i_ledger'::regclass}),
	't',
	'each insert was counted once');
is($node->safe_psql('postgres', q{SELECT string_agg(sink || ' ' || state, ', ')
	FROM freshet.status WHERE state <> 'live' OR error IS NOT NULL}), '', 'all sinks are live');
is($node->safe_psql('postgres', 'SELECT held_back FROM freshet.worker'), '0',
	'nothing is held back in the end');
ok(!worker_errors($node), 'the worker met no error');

# Counters of rows are of this very state.
is( $node->safe_psql(
		'postgres',
		join(' UNION ALL ',
			map { "SELECT '$_' FROM freshet.status WHERE sink = '$_'::regclass "
				  . "AND rows <> (SELECT count(*) FROM $_)" } sort keys %sinks)),
	'',
	'status tells the number of rows');

# ---------------------------------------------------------------------------
# A transaction of a million rows, some of them changed and taken back
# ---------------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE TABLE bulk (id int PRIMARY KEY, k int, v int, pad text)');
my %bulk_sinks = (
	bulk_groups => 'SELECT k, count(*) AS count, sum(v) AS total FROM bulk GROUP BY k',
	bulk_total => 'SELECT count(*) AS count, sum(v) AS total, avg(v) AS mean FROM bulk');
create_sinks($node, 'postgres', \%bulk_sinks);
my $bulk = start_background_sql(
	$node, 'postgres', q{
	BEGIN;
	INSERT INTO bulk SELECT i, i % 1000, i, 'x' FROM generate_series(1, 900000) i;
	SAVEPOINT s;
	INSERT INTO bulk SELECT i, i % 1000, i, 'y' FROM generate_series(900001, 950000) i;
	ROLLBACK TO SAVEPOINT s;
	SAVEPOINT s;
	UPDATE bulk SET k = k + 1, v = v + 1 WHERE id % 20 = 0;
	DELETE FROM bulk WHERE id % 18 = 1;
	RELEASE SAVEPOINT s;
	COMMIT;
}, name => 'bulk');
my $beside = start_pgbench($node, name => 'writers beside', clients => 4, transactions => 300,
	rate => 100, scripts => [ $insert, $move ]);
is_deeply([ finish_background($bulk, $beside) ], [], 'a large transaction, others beside it');
wait_for_freshet($node);
is($node->safe_psql('postgres', 'SELECT count FROM bulk_total'), '850000', 'its rows are there');
is_deeply([ differing_sinks($node, 'postgres', { %bulk_sinks, %sinks }) ], [],
	'plain SQL after it');
is_deeply([ verify_all($node) ], [], 'verify_sink() after it');
is( $node->safe_psql('postgres',
		q{SELECT changes FROM freshet.status WHERE sink = 'bulk_total'::regclass}),
	'995000', 'its changes were counted once');

$node->stop;
done_testing();
