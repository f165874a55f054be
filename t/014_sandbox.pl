# A filler's process, and what is left over after batches: code of the sink's
# owner runs as the owner there too, and nothing is leaked.

use strict;
use warnings;
use FindBin;
use lib $FindBin::RealBin;
use FreshetTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_freshet_node(
	'sandbox',
	# every source that has a page is large
	'freshet.fill_threshold' => 0);

$node->safe_psql(
	'postgres', q{
	CREATE ROLE heir;
	CREATE SCHEMA heir AUTHORIZATION heir;
	CREATE TABLE source (id int PRIMARY KEY, k int, v int);
	ALTER TABLE source REPLICA IDENTITY FULL;
	CREATE TABLE child (id int PRIMARY KEY, source_id int);
	CREATE INDEX ON child (source_id);
	INSERT INTO source SELECT i, i % 10, i FROM generate_series(1, 1000) i;
	INSERT INTO child SELECT i, 1 + i % 1000 FROM generate_series(1, 2000) i;
	GRANT SELECT ON source, child TO heir;
	SELECT freshet.create_sink('heir.rollup', 'SELECT k, count(*) AS n, sum(v) AS s, min(v) AS m FROM source GROUP BY k');
	SELECT freshet.create_sink('heir.copy', 'SELECT id, v FROM source');
	SELECT freshet.create_wide_view('heir.wide', 'source',
		'[{"table": "child", "path": "c", "type": "array", "relation": [["id", "source_id"]]}]');
	SET SESSION AUTHORIZATION heir;
	CREATE FUNCTION heir.mine(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN
		IF current_user <> 'heir' THEN RAISE EXCEPTION 'evaluated as %', current_user; END IF;
		RETURN $1;
	END $$;
	CREATE FUNCTION heir.fired() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM heir.mine(1);
		IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
		RETURN NEW;
	END $$});
my %keys = (rollup => 'k', copy => 'id', wide => 'id');
$node->poll_query_until('postgres',
	"SELECT bool_and(state = 'live') FROM freshet.status WHERE sink::text ~ '^heir'")
  or die 'the sinks were not filled';
foreach my $sink (sort keys %keys)
{
	$node->safe_psql(
		'postgres', qq{
		ALTER TABLE heir.$sink OWNER TO heir;
		SET SESSION AUTHORIZATION heir;
		ALTER TABLE heir.$sink ADD a int DEFAULT heir.mine(2);
		ALTER TABLE heir.$sink ADD CHECK (heir.mine($keys{$sink}) = heir.mine($keys{$sink}) AND heir.mine(3) = 3);
		CREATE INDEX ON heir.$sink (heir.mine($keys{$sink}), heir.mine(4)) WHERE heir.mine(5) = 5;
		CREATE TRIGGER row_before BEFORE INSERT OR UPDATE OR DELETE ON heir.$sink
			FOR EACH ROW WHEN (heir.mine(6) = 6) EXECUTE FUNCTION heir.fired();
		CREATE TRIGGER row_after AFTER INSERT OR UPDATE OR DELETE ON heir.$sink
			FOR EACH ROW EXECUTE FUNCTION heir.fired();
		CREATE TRIGGER whole AFTER INSERT OR UPDATE OR DELETE ON heir.$sink
			EXECUTE FUNCTION heir.fired();
		CREATE TRIGGER transition AFTER UPDATE ON heir.$sink REFERENCING OLD TABLE AS o
			EXECUTE FUNCTION heir.fired();
		CREATE CONSTRAINT TRIGGER later AFTER INSERT OR UPDATE OR DELETE ON heir.$sink
			DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION heir.fired();
		ALTER TABLE heir.$sink ENABLE ALWAYS TRIGGER row_before, ENABLE REPLICA TRIGGER row_after,
			ENABLE ALWAYS TRIGGER whole, ENABLE ALWAYS TRIGGER transition, ENABLE ALWAYS TRIGGER later});
}

sub check
{
	my ($what) = @_;

	foreach my $sink (sort keys %keys)
	{
		is( $node->safe_psql(
				'postgres',
				"SELECT freshet.wait('heir.$sink', '$FreshetTest::timeout s') IS NOT NULL;
				SELECT * FROM freshet.verify_sink('heir.$sink')"),
			"t\n0|0",
			"$what: $sink");
	}
}

check('given away');
foreach my $i (1 .. 3)
{
	$node->safe_psql(
		'postgres', qq{
		INSERT INTO source SELECT 10000 + 10 * $i + j, j, j FROM generate_series(1, 5) j;
		UPDATE source SET v = v + 1 WHERE id % 100 = $i;
		DELETE FROM source WHERE id % 200 = 10 + $i;
		UPDATE child SET source_id = source_id + 1 WHERE id % 50 = $i});
	check("batch $i");
}
$node->safe_psql('postgres', "SELECT freshet.rebuild_sink(relid) FROM freshet.sink");
check('filled by a second process');
$node->safe_psql('postgres', 'TRUNCATE source');
check('emptied');

unlike(slurp_file($node->logfile), qr/ERROR:  evaluated as|WARNING: .*leak/,
	'nothing ran as somebody else, nothing was leaked');

$node->stop;
done_testing();
