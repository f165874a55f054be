# QueryGenerator: random queries over the tables of a test.
#
#	my $generator = QueryGenerator->new(\@relations);
#	srand($seed);
#	my $query = $generator->query;			# { sql, columns, views }
#
# A relation is { name, columns }, a column { e, t }: how it is written, and its
# type, one of i (integers), n (numeric), t (text), z (timestamptz).
#
# What a query yields has to be determined by the rows of the tables, or it could
# not be compared.  So LIMIT, and what depends on an order, come with an order of
# all columns; sums are of exact types; what can fail for a row stands behind a
# guard that PostgreSQL heeds.  Equal values that look different (1.0 and 1.00)
# are the exception: which of them a group shows is anybody's choice.  A column
# that has been through such a choice is "loose": its text is never asked for,
# and a query that shows one is compared by equality alone.
package QueryGenerator;

use strict;
use warnings;

# ---------------------------------------------------------------------------
# Dice
# ---------------------------------------------------------------------------

sub chance { return rand() < $_[0] }
sub pick { return $_[ int(rand(@_)) ] }
sub between { return $_[0] + int(rand($_[1] - $_[0] + 1)) }

# weighted(3 => sub {...}, 1 => sub {...}): call one of them
sub weighted
{
	my (@choices) = @_;
	my $total = 0;

	$total += $choices[ 2 * $_ ] foreach 0 .. $#choices / 2;
	my $dice = rand($total);
	while (@choices > 2)
	{
		last if ($dice -= $choices[0]) < 0;
		splice(@choices, 0, 2);
	}
	return $choices[1]->();
}

sub some_of
{
	my ($most, @list) = @_;
	my @result;

	while (@list && @result < $most)
	{
		push @result, splice(@list, int(rand(@list)), 1);
		last if chance(0.4);
	}
	return @result;
}

sub new
{
	my ($class, $relations) = @_;
	return bless({ relations => $relations, serial => 0, views => [] }, $class);
}

# One whole query.  "views" are the statements that make the views it reads.
sub query
{
	my ($self) = @_;

	@$self{qw(serial views)} = (0, []);
	# many that are simple, as most that people write, and of which the changes alone
	# may be enough
	local $self->{simple} = chance(0.4);
	my $select = chance(0.2) ? $self->staged : !$self->{simple} ? $self->any_select(pick(0, 1, 1, 2, 2), [])
	  : chance(0.5) ? $self->plain(0, []) : $self->grouped(0, []);
	return {
		sql => $select->{sql},
		columns => $select->{columns},
		loose => scalar(grep { $_->{loose} } @{ $select->{columns} }),
		views => $self->{views} };
}

# Names are unique within a query, so that nothing is ever ambiguous.
sub name
{
	my ($self, $prefix) = @_;
	return $prefix . ++$self->{serial};
}

# ---------------------------------------------------------------------------
# Expressions over the columns of @$cols.  $depth is how many levels of
# subqueries may come.
# ---------------------------------------------------------------------------

sub of_type
{
	my ($types, @columns) = @_;
	return grep { index($types, $_->{t}) >= 0 } @columns;
}

sub literal
{
	my ($type) = @_;

	return pick(-1, 0, 1, 2, 3, 5, 10) if $type eq 'i';
	return pick('0.0', '1', '1.0', '1.00', '2.50', '-3') . '::numeric' if $type eq 'n';
	return pick(map { "'$_'::text" } 'a', 'b', 'B', 'cc', '') if $type eq 't';
	return "'2024-01-01 0" . between(0, 9) . ":30:00+00'::timestamptz";
}

# { e, t, loose }
sub column_of
{
	my ($self, $type, $cols) = @_;
	my @columns = of_type($type, @$cols);

	return @columns ? pick(@columns) : { e => literal($type), t => $type };
}

# What fails for x = 0, but is not asked for it.
sub guarded
{
	my ($x) = @_;
	return pick(
		"CASE WHEN $x <> 0 THEN 100 / $x END",
		"CASE $x WHEN 0 THEN NULL ELSE 60 / $x END",
		"60 / nullif($x, 0)");
}

sub integer
{
	my ($self, $cols, $depth) = @_;
	my $x = $self->column_of('i', $cols);

	return weighted(
		8 => sub { $x->{e} },
		1 => sub { literal('i') },
		1 => sub { "$x->{e} " . pick('+', '-', '*') . ' ' . pick(1, 2, 3) },
		1 => sub { "coalesce($x->{e}, " . pick(0, -1) . ')' },
		1 => sub { "abs($x->{e}) % 3" },
		1 => sub { guarded($x->{e}) },
		1 => sub { 'length(' . $self->text($cols, 0)->{e} . ')' },
		1 => sub {
			'CASE WHEN ' . $self->condition($cols, 0) . " THEN $x->{e} ELSE "
			  . $self->column_of('i', $cols)->{e} . ' END';
		},
		1 => sub { $depth > 0 ? $self->scalar_subquery($cols, $depth - 1) : $x->{e} });
}

sub text
{
	my ($self, $cols, $depth) = @_;
	my $g = $self->column_of('t', $cols);
	my @strict = grep { !$_->{loose} } of_type('in', @$cols);
	my $x = @strict ? pick(@strict)->{e} : '7';

	return {
		t => 't',
		e => weighted(
			8 => sub { $g->{e} },
			1 => sub { literal('t') },
			1 => sub { "upper($g->{e})" },
			1 => sub { "$g->{e} || '-'" },
			1 => sub { "coalesce($g->{e}, 'none')" },
			1 => sub { "($x)::text" },
			1 => sub { "CASE WHEN " . $self->condition($cols, 0) . " THEN $g->{e} END" }) };
}

sub number
{
	my ($self, $cols) = @_;
	my $n = $self->column_of('n', $cols);
	my $x = $self->column_of('i', $cols);

	return weighted(
		6 => sub { $n },
		1 => sub { +{ %$n, e => "$n->{e} * 2" } },
		1 => sub { +{ %$n, e => "$n->{e} + $x->{e}" } },
		1 => sub { +{ t => 'n', e => "($x->{e})::numeric" } });
}

# An expression with its type: { e, t, loose }
sub expression
{
	my ($self, $cols, $depth) = @_;

	return weighted(
		6 => sub { +{ t => 'i', e => $self->integer($cols, $depth) } },
		3 => sub { $self->text($cols, $depth) },
		2 => sub { $self->number($cols) },
		1 => sub {
			my @times = of_type('z', @$cols);
			@times ? { t => 'z', e => pick('%s', "date_trunc('hour', %s)") =~ s/%s/pick(@times)->{e}/er }
			  : { t => 'i', e => $self->integer($cols, 0) };
		});
}

# ---------------------------------------------------------------------------
# Conditions
# ---------------------------------------------------------------------------

sub comparison
{
	my ($self, $cols) = @_;
	my $type = pick('i', 'i', 'i', 'n', 't');
	my ($a, $b) = map { $self->column_of($type, $cols)->{e} } 1, 2;

	$b = literal($type) if $a eq $b || chance(0.5);
	return "$a " . pick('=', '=', '<', '>=', '<>', 'IS DISTINCT FROM', 'IS NOT DISTINCT FROM') . " $b";
}

sub condition
{
	my ($self, $cols, $depth) = @_;
	my $c = pick(@$cols) // { e => '1', t => 'i' };

	return weighted(
		6 => sub { $self->comparison($cols) },
		1 => sub { "$c->{e} IS " . pick('', 'NOT ') . 'NULL' },
		1 => sub { $self->column_of('i', $cols)->{e} . pick('', ' NOT') . ' IN (1, 2, ' . pick(0, 3, 'NULL') . ')' },
		1 => sub { $self->column_of('i', $cols)->{e} . ' BETWEEN ' . pick(0, 1) . ' AND ' . pick(2, 4) },
		1 => sub { $self->column_of('t', $cols)->{e} . pick(' LIKE ', ' NOT LIKE ') . "'%" . pick('a', 'b', 'c') . "%'" },
		1 => sub { '(' . $self->condition($cols, 0) . pick(' AND ', ' OR ') . $self->condition($cols, $depth) . ')' },
		1 => sub { 'NOT (' . $self->condition($cols, 0) . ')' },
		1 => sub { guarded($self->column_of('i', $cols)->{e}) . ' > 10' },
		($depth > 0 ? 3 : 0) => sub { $self->subquery_condition($cols, $depth - 1) });
}

# EXISTS, IN and their like, correlated or not.
sub subquery_condition
{
	my ($self, $cols, $depth) = @_;
	my $type = pick('i', 'i', 'n', 't');
	my $x = $self->column_of($type, $cols)->{e};
	my $not = pick('', 'NOT ');

	return weighted(
		3 => sub { $not . 'EXISTS (' . $self->correlated($cols, $depth) . ')' },
		3 => sub { "$x ${not}IN (" . $self->correlated($cols, $depth, $type) . ')' },
		1 => sub {
			"$x " . pick('=', '<', '>=') . pick(' ANY', ' ALL') . ' (' . $self->correlated($cols, $depth, $type) . ')';
		},
		1 => sub {
			"($x, " . $self->column_of('i', $cols)->{e} . ") ${not}IN (" . $self->correlated($cols, $depth, $type, 'i') . ')';
		},
		1 => sub { $self->column_of('i', $cols)->{e} . ' ' . pick('=', '>', '<=') . ' ' . $self->scalar_subquery($cols, $depth) });
}

# SELECT of columns of these types, mostly with a condition on the outer row.
sub correlated
{
	my ($self, $outer, $depth, @types) = @_;
	my $from = $self->from($depth > 0 && chance(0.3) ? 1 : 0, $outer);
	my @where;

	push @where, $self->correlation($from->{columns}, $outer) if chance(@types ? 0.4 : 0.9);
	push @where, $self->condition([ @{ $from->{columns} } ], $depth) if chance(0.4);
	return 'SELECT ' . (join(', ', map { $self->column_of($_, $from->{columns})->{e} } @types) || '1')
	  . " FROM $from->{sql}" . (@where ? ' WHERE ' . join(' AND ', @where) : '');
}

sub correlation
{
	my ($self, $inner, $outer) = @_;
	my $type = pick('i', 'i', 'i', 'n', 't');
	my $op = pick('=', '=', '=', '=', '<', 'IS NOT DISTINCT FROM');

	return $self->column_of($type, $inner)->{e} . " $op " . $self->column_of($type, $outer)->{e};
}

# One value, an integer.
sub scalar_subquery
{
	my ($self, $outer, $depth) = @_;
	my $from = $self->from(0, $outer);
	my $x = $self->column_of('i', $from->{columns})->{e};
	my $where = chance(0.7) ? ' WHERE ' . $self->correlation($from->{columns}, $outer) : '';

	return '(SELECT ' . pick("max($x)", "count(*)", "count($x)", "sum($x)::bigint") . " FROM $from->{sql}$where)"
	  if chance(0.8);
	return "(SELECT $x FROM $from->{sql}$where ORDER BY 1 LIMIT 1)";
}

# ---------------------------------------------------------------------------
# FROM: { sql, columns }.  $outer are the columns that LATERAL may use.
# ---------------------------------------------------------------------------

sub table
{
	my ($self) = @_;
	my $relation = pick(@{ $self->{relations} });
	my $alias = $self->name('t');

	return {
		sql => "$relation->{name} AS $alias",
		columns => [ map { +{ %$_, e => "$alias.$_->{e}" } } @{ $relation->{columns} } ] };
}

sub constant_rows
{
	my ($self) = @_;
	my $alias = $self->name('v');
	my ($i, $g) = ($self->name('i'), $self->name('g'));

	return {
		sql => "generate_series(" . pick(0, 1) . ', ' . between(1, 3) . ") AS $alias($i)",
		columns => [ { e => "$alias.$i", t => 'i' } ] } if chance(0.4);
	return {
		sql => '(VALUES ' . join(', ', map { "($_, " . literal('t') . ')' } some_of(3, 0 .. 3))
		  . ", (NULL, 'a')) AS $alias($i, $g)",
		columns => [ { e => "$alias.$i", t => 'i' }, { e => "$alias.$g", t => 't' } ] };
}

# A subquery in FROM: as it is, or a view.
sub derived
{
	my ($self, $depth, $outer) = @_;
	my $select = $self->any_select($depth - 1, $outer);
	my $alias = $self->name('q');
	my $sql = "($select->{sql})";

	if (!@$outer && chance(0.2))
	{
		$sql = $self->name('gen_view_');
		push @{ $self->{views} }, [ $sql, $select->{sql} ];
	}
	return {
		sql => "$sql AS $alias",
		columns => [ map { +{ %$_, e => "$alias.$_->{e}" } } @{ $select->{columns} } ] };
}

# Two sides joined by USING or NATURAL, within a SELECT that names the result.
sub merged
{
	my ($self) = @_;
	my @sides = map { pick(@{ $self->{relations} }) } 1, 2;
	my @types = map { my %t = map { $_->{e} => $_ } @{ $_->{columns} }; \%t } @sides;
	my @common = grep { exists $types[1]{$_} && $types[0]{$_}{t} eq $types[1]{$_}{t} } map { $_->{e} } @{ $sides[0]{columns} };
	my @using = some_of(2, @common);

	return $self->table unless @using;

	my $alias = $self->name('q');
	my @names = map { $self->name('t') } @sides;
	my $join = pick('JOIN', 'LEFT JOIN', 'RIGHT JOIN', 'FULL JOIN');
	my (@outputs, @columns);

	foreach my $column (@using)
	{
		my $loose = grep { $_->{$column}{vary} } @types;
		push @outputs, "$column AS " . $self->name('k');
		push @columns, { e => "$alias.k$self->{serial}", t => $types[0]{$column}{t}, loose => $loose };
	}
	foreach my $i (0, 1)
	{
		foreach my $column (some_of(2, map { $_->{e} } @{ $sides[$i]{columns} }))
		{
			push @outputs, "$names[$i].$column AS " . $self->name('c');
			push @columns, { %{ $types[$i]{$column} }, e => "$alias.c$self->{serial}" };
		}
	}
	my $tables = "$sides[0]{name} AS $names[0] $join $sides[1]{name} AS $names[1] USING (" . join(', ', @using) . ')';
	if (chance(0.2))
	{
		# the same columns, by their names alone
		my ($a, $b) = map {
			my $i = $_;
			my @others = map { "$_->{e} AS $_->{e}_$i" } @{ $sides[$i]{columns} };
			'(SELECT ' . join(', ', @using, @others) . " FROM $sides[$i]{name}) AS $names[$i]"
		} 0, 1;
		$tables = "$a NATURAL $join $b";
		s/^(\Q$names[0]\E|\Q$names[1]\E)\.(\w+)/"$1.$2_" . ($1 eq $names[0] ? 0 : 1)/e foreach @outputs;
	}
	return { sql => '(SELECT ' . join(', ', @outputs) . " FROM $tables) AS $alias", columns => \@columns };
}

sub item
{
	my ($self, $depth, $outer) = @_;

	return $self->table if $self->{simple} && chance(0.95);
	return weighted(
		12 => sub { $self->table },
		1 => sub { $self->constant_rows },
		1 => sub { $self->merged },
		($depth > 0 ? 4 : 0) => sub { $self->derived($depth, $outer) });
}

sub lateral
{
	my ($self, $left) = @_;
	my $alias = $self->name('l');
	my $from = $self->table;
	my $x = $self->column_of('i', $from->{columns})->{e};
	my $where = $self->correlation($from->{columns}, $left->{columns});
	my @names = map { $self->name('c') } 1, 2;
	my $what = chance(0.5) ? "count(*) AS $names[0], max($x) AS $names[1] FROM $from->{sql} WHERE $where"
	  : "$x AS $names[0], $x + 1 AS $names[1] FROM $from->{sql} WHERE $where ORDER BY 1 LIMIT 2";

	return {
		sql => "$left->{sql} " . (chance(0.5) ? "CROSS JOIN LATERAL (SELECT $what) AS $alias"
			: "LEFT JOIN LATERAL (SELECT $what) AS $alias ON true"),
		columns => [ @{ $left->{columns} }, map { +{ e => "$alias.$_", t => 'i' } } @names ] };
}

# The windows of a time, as many as it is in.
sub windows
{
	my ($self, $left, $time) = @_;
	my $alias = $self->name('w');
	my $function = pick("tumble($time, '1 hour')", "hop($time, '1 hour', '2 hours')");

	return {
		sql => "$left->{sql} CROSS JOIN freshet.$function AS $alias",
		columns => [ @{ $left->{columns} }, { e => "$alias.window_start", t => 'z' }, { e => "$alias.window_end", t => 'z' } ] };
}

# $joins: how many at most
sub from
{
	my ($self, $joins, $outer, $depth) = @_;
	my $left = $self->item($depth // 0, $outer);

	foreach (1 .. $joins)
	{
		my $kind = $self->{simple} ? pick('JOIN', 'JOIN', 'JOIN', 'CROSS JOIN', 'windows') : weighted(
			4 => sub { 'JOIN' },
			3 => sub { 'LEFT JOIN' },
			1 => sub { 'RIGHT JOIN' },
			1 => sub { 'FULL JOIN' },
			1 => sub { 'CROSS JOIN' },
			1 => sub { 'LATERAL' },
			1 => sub { 'nest' },
			1 => sub { 'windows' });

		if ($kind eq 'LATERAL')
		{
			$left = $self->lateral($left);
			next;
		}
		if ($kind eq 'windows')
		{
			my @times = of_type('z', @{ $left->{columns} });
			$left = $self->windows($left, pick(@times)->{e}) if @times;
			next;
		}
		my $right = $kind eq 'nest' ? $self->nested($outer) : $self->item(($depth // 0) - 1, $outer);
		$kind = pick('JOIN', 'LEFT JOIN') if $kind eq 'nest';
		$left = $self->join_of($left, $kind, $right);
	}
	return $left;
}

sub nested
{
	my ($self, $outer) = @_;
	my $join = $self->join_of($self->table, pick('JOIN', 'LEFT JOIN', 'FULL JOIN'), $self->table);

	return { %$join, sql => "($join->{sql})" };
}

sub join_of
{
	my ($self, $left, $kind, $right) = @_;
	my @columns = (@{ $left->{columns} }, @{ $right->{columns} });
	my $on = '';

	if ($kind ne 'CROSS JOIN')
	{
		# of a type that both sides have
		my @types = grep { of_type($_, @{ $left->{columns} }) && of_type($_, @{ $right->{columns} }) } 'i', 'i', 'i', 'n', 't';
		my $type = pick(@types) // 'i';
		my ($a, $b) = map { $self->column_of($type, $_->{columns})->{e} } $left, $right;

		$kind = 'LEFT JOIN' if !@types;

		# PostgreSQL needs an equality for FULL JOIN
		$on = " ON $a = $b";
		$on .= ' AND ' . $self->condition(\@columns, 0) if $kind ne 'FULL JOIN' && chance(0.25);
		$on = ' ON ' . $self->condition(\@columns, 0) if $kind ne 'FULL JOIN' && chance(0.08);
	}
	return { sql => "$left->{sql} $kind $right->{sql}$on", columns => \@columns };
}

# ---------------------------------------------------------------------------
# SELECT: { sql, columns }, the columns named as they come out.
# ---------------------------------------------------------------------------

sub where
{
	my ($self, $columns, $outer, $depth) = @_;
	my @conditions;

	push @conditions, $self->condition($columns, $depth) if chance(0.5);
	push @conditions, $self->condition($columns, $depth) if chance(0.2);
	push @conditions, $self->correlation($columns, $outer) if @$outer;
	return @conditions ? ' WHERE ' . join(' AND ', @conditions) : '';
}

# Name the expressions, and return "e AS name, …" and the columns.
sub outputs
{
	my ($self, @expressions) = @_;
	my @columns;
	my @items;

	foreach my $e (@expressions)
	{
		my $name = $self->name('c');
		push @items, "$e->{e} AS $name";
		push @columns, { t => $e->{t}, e => $name, loose => $e->{loose}, vary => $e->{vary} };
	}
	return (join(', ', @items), \@columns);
}

# What has been chosen among equals.
sub chosen
{
	my (@columns) = @_;
	return map { +{ %$_, loose => $_->{loose} || $_->{vary}, vary => 0 } } @columns;
}

sub any_select
{
	my ($self, $depth, $outer) = @_;

	return weighted(
		5 => sub { $self->plain($depth, $outer) },
		5 => sub { $self->grouped($depth, $outer) },
		1 => sub { $self->distinct($depth, $outer) },
		1 => sub { $self->distinct_on($depth, $outer) },
		2 => sub { $self->windowed($depth, $outer) },
		1 => sub { $self->limited($depth, $outer) },
		($depth > 0 ? 2 : 0) => sub { $self->set_operation($depth - 1, $outer) },
		($depth > 0 ? 1 : 0) => sub { $self->with($depth - 1, $outer) },
		($depth > 0 && !@$outer ? 1 : 0) => sub { $self->recursive });
}

sub plain
{
	my ($self, $depth, $outer, $select) = @_;
	my $from = $self->from(pick(0, 0, 1, 1, 2, 3), [], $depth);
	my @expressions = map { $self->expression($from->{columns}, $depth) } 1 .. between(1, 4);

	# often with a column that may be a key
	unshift @expressions, $from->{columns}[0] if chance(0.5);
	my ($list, $columns) = $self->outputs(@expressions);
	return {
		sql => 'SELECT ' . ($select // '') . "$list FROM $from->{sql}" . $self->where($from->{columns}, $outer, $depth),
		columns => $columns };
}

sub distinct
{
	my ($self, $depth, $outer) = @_;
	my $plain = $self->plain($depth, $outer, 'DISTINCT ');

	$plain->{columns} = [ chosen(@{ $plain->{columns} }) ];
	return $plain;
}

# Of equal keys the first row in an order of all columns.
sub distinct_on
{
	my ($self, $depth, $outer) = @_;
	my $plain = $self->plain($depth, $outer);
	my $alias = $self->name('q');
	my ($list, $columns) = $self->outputs(map { +{ %$_, e => "$alias.$_->{e}" } } @{ $plain->{columns} });
	my @numbers = 1 .. @$columns;
	my $keys = between(1, scalar @numbers > 2 ? 2 : 1);

	return {
		sql => 'SELECT DISTINCT ON (' . join(', ', map { "$alias.$plain->{columns}[$_ - 1]{e}" } 1 .. $keys)
		  . ") $list FROM ($plain->{sql}) AS $alias ORDER BY " . join(', ', @numbers),
		columns => [ chosen(@$columns) ] };
}

sub limited
{
	my ($self, $depth, $outer) = @_;
	my $select = $self->any_select($depth > 0 ? $depth - 1 : 0, $outer);
	my $alias = $self->name('q');
	my ($list, $columns) = $self->outputs(map { +{ %$_, e => "$alias.$_->{e}" } } @{ $select->{columns} });

	return {
		sql => "SELECT $list FROM ($select->{sql}) AS $alias ORDER BY "
		  . join(', ', map { $_ . pick('', ' DESC', ' NULLS FIRST') } 1 .. @$columns)
		  . pick(' LIMIT 3', ' LIMIT 5', ' OFFSET 2', ' LIMIT 4 OFFSET 1'),
		columns => [ chosen(@$columns) ] };
}

sub set_operation
{
	my ($self, $depth, $outer) = @_;
	my @types = map { pick('i', 'i', 't', 'n') } 1 .. between(1, 3);
	my (@branches, @first);

	foreach my $i (0 .. pick(1, 1, 2))
	{
		my $from = $self->from(pick(0, 0, 1), [], $depth);
		my @expressions = map { $self->column_of($_, $from->{columns}) } @types;
		my ($list, $columns) = $self->outputs(@expressions);

		@first = map { +{ t => $types[$_], e => $columns->[$_]{e}, loose => $types[$_] eq 'n' } } 0 .. $#types if !$i;
		push @branches, "SELECT $list FROM $from->{sql}" . $self->where($from->{columns}, $outer, $depth);
	}
	my $sql = shift @branches;
	$sql = "($sql) " . pick('UNION', 'UNION ALL', 'UNION ALL', 'INTERSECT', 'INTERSECT ALL', 'EXCEPT', 'EXCEPT ALL') . " ($_)"
	  foreach @branches;
	return { sql => $sql, columns => \@first };
}

sub with
{
	my ($self, $depth, $outer) = @_;
	my $inner = $self->any_select($depth, []);
	my $name = $self->name('w');
	my $relation = { name => $name, columns => $inner->{columns} };

	# read once or several times
	local $self->{relations} = [ @{ $self->{relations} }, ($relation) x 6 ];
	my $views = @{ $self->{views} };
	my $select = $self->plain_over($relation, $depth, $outer);
	return {
		sql => "WITH $name AS " . pick('', '', 'MATERIALIZED ', 'NOT MATERIALIZED ') . "($inner->{sql}) $select->{sql}",
		columns => $select->{columns} };
}

# A SELECT that reads this relation, and maybe another table.  No views are made
# of it: they would not know the name.
sub plain_over
{
	my ($self, $relation, $depth, $outer) = @_;
	my $alias = $self->name('t');
	my $left = {
		sql => "$relation->{name} AS $alias",
		columns => [ map { +{ %$_, e => "$alias.$_->{e}" } } @{ $relation->{columns} } ] };

	$left = $self->join_of($left, pick('JOIN', 'LEFT JOIN'), $self->table) if chance(0.6);
	my ($list, $columns) = $self->outputs(map { $self->expression($left->{columns}, 0) } 1 .. between(1, 3));
	return {
		sql => "SELECT $list FROM $left->{sql}" . $self->where($left->{columns}, $outer, 0),
		columns => $columns };
}

# A walk from one number to the next, of which there are few.
sub recursive
{
	my ($self) = @_;
	my ($start, $step) = ($self->table, $self->table);
	my ($name, $i) = ($self->name('r'), $self->name('c'));
	my ($a, $b, $c) = ($self->column_of('i', $start->{columns}), map { $self->column_of('i', $step->{columns}) } 1, 2);

	return {
		sql => "WITH RECURSIVE $name($i) AS (SELECT ($a->{e})::numeric FROM $start->{sql} UNION "
		  . "SELECT least(($c->{e})::numeric, 50) FROM $name JOIN $step->{sql} ON $b->{e} = $name.$i) SELECT $i FROM $name",
		columns => [ { e => $i, t => 'n' } ] };
}

# ---------------------------------------------------------------------------
# Groups and windows
# ---------------------------------------------------------------------------

sub aggregate
{
	my ($self, $cols) = @_;
	my $x = $self->column_of('i', $cols)->{e};
	my $n = $self->column_of('n', $cols);
	my $g = $self->column_of('t', $cols)->{e};
	my $z = $self->column_of('z', $cols)->{e};
	my $loose = $n->{loose} || $n->{vary};
	my $simple = $self->{simple} && chance(0.8) ? 0 : 1;
	my $filter = chance(0.2) ? ' FILTER (WHERE ' . $self->condition($cols, 0) . ')' : '';

	return weighted(
		4 => sub { +{ t => 'i', e => "count(*)$filter" } },
		2 => sub { +{ t => 'i', e => pick("count($x)", "count($g)") . $filter } },
		4 => sub { +{ t => 'n', e => "sum($x)$filter", vary => 1 } },
		2 => sub { +{ t => 'n', e => "sum($n->{e})$filter", loose => $n->{loose}, vary => 1 } },
		1 => sub { +{ t => 'n', e => "avg($n->{e})$filter", loose => $n->{loose}, vary => 1 } },
		2 => sub { +{ t => 'n', e => "avg($x)$filter", vary => 1 } },
		3 => sub { +{ t => 'i', e => pick('min', 'max') . "($x)$filter" } },
		1 => sub { +{ t => 'n', e => pick('min', 'max') . "($n->{e})$filter", loose => $loose } },
		1 => sub { +{ t => 't', e => pick('min', 'max') . "($g)$filter" } },
		1 => sub { +{ t => 'z', e => pick('min', 'max') . "($z)$filter" } },
		1 => sub { +{ t => 'n', e => "sum(100 / $x) FILTER (WHERE $x <> 0)", vary => 1 } },
		1 => sub { +{ t => 'i', e => '(' . pick('bool_and', 'bool_or', 'every') . "($x > 1)$filter)::int" } },
		($self->{staged} ? 2 : $simple) => sub {
			+{ t => 'n', e => pick('count', 'sum', 'max') . "(DISTINCT $x)" . ($self->{staged} ? '' : $filter), vary => 1 };
		},
		$simple => sub { +{ t => 'i', e => pick('bit_and', 'bit_or', 'bit_xor') . "(($x)::bigint)$filter" } },
		$simple => sub { +{ t => 't', e => "string_agg(" . pick('', 'DISTINCT ') . "$g, ',' ORDER BY $g)$filter" } },
		$simple => sub { +{ t => 't', e => "array_agg($x ORDER BY $x)$filter\::text" } },
		$simple => sub { +{ t => 'n', e => 'round(' . pick('stddev', 'var_pop', 'variance', 'stddev_pop') . "($x)$filter, 6)" } },
		$simple => sub { +{ t => 'i', e => "percentile_disc(0.5) WITHIN GROUP (ORDER BY $x)$filter" } },
		$simple => sub { +{ t => 'i', e => "mode() WITHIN GROUP (ORDER BY $x)$filter" } },
		$simple => sub { +{ t => 'i', e => 'rank(' . pick(1, 3) . ") WITHIN GROUP (ORDER BY $x)$filter" } },
		$simple => sub { +{ t => 't', e => "jsonb_agg($x ORDER BY $x)$filter\::text" } });
}

# GROUP BY, with keys or none, HAVING or none.
sub grouped
{
	my ($self, $depth, $outer) = @_;
	my $from = $self->from(pick(0, 0, 1, 1, 2, 3), [], $depth);
	my $cols = $from->{columns};
	my @keys = map { chance(0.8) ? pick(@$cols) : $self->expression($cols, 0) } 1 .. pick(0, 1, 1, 1, 2, 2, 3);
	my @aggregates = map { $self->aggregate($cols) } 1 .. between(1, 3);

	# a constant in GROUP BY would be a column's number
	@keys = grep { $_->{e} =~ /\b[a-z]+\d+\./ } @keys;
	my $shown = @keys && chance(0.1) ? [] : \@keys;
	my ($list, $columns) = $self->outputs(chosen(@$shown), @aggregates);
	my $sql = "SELECT $list FROM $from->{sql}" . $self->where($cols, $outer, $depth);

	$sql .= ' GROUP BY ' . $self->grouping(map { $_->{e} } @keys) if @keys;
	$sql .= ' HAVING ' . $self->having($cols) if !$self->{simple} && chance(0.2);
	return { sql => $sql, columns => $columns };
}

sub grouping
{
	my ($self, @keys) = @_;
	my $list = join(', ', @keys);

	return $list if @keys < 2 || $self->{simple} || chance(0.75);
	return pick("ROLLUP ($list)", "CUBE ($list)", "GROUPING SETS (($list), ($keys[0]), ())",
		"DISTINCT ROLLUP ($list), ROLLUP ($list)");
}

sub having
{
	my ($self, $cols) = @_;
	my $x = $self->column_of('i', $cols)->{e};

	return pick("count(*) > 1", "sum($x) > 2", "max($x) IS NOT NULL", "count(DISTINCT $x) < 3",
		"sum($x) <> 0 AND 100 / nullif(sum($x), 0) < 40", 'count(*) % 2 = 1');
}

# What asks something of groups, or of the rows of a join with them: it may be taken
# apart into stages.
sub staged
{
	my ($self) = @_;
	local @$self{qw(simple staged)} = (1, 1);
	my $select = $self->over($self->from(pick(0, 0, 1), [], 0));

	foreach (1 .. pick(1, 1, 1, 2))
	{
		my $with = chance(0.25) ? $self->name('w') : '';
		my ($a, $b) = map {
			my $alias = $self->name('q');
			+{
				sql => ($with || "($select->{sql})") . " AS $alias",
				columns => [ map { +{ %$_, e => "$alias.$_->{e}" } } @{ $select->{columns} } ] };
		} 1, 2;
		my $from = $with ? $self->join_of($a, 'JOIN', $b) : chance(0.3) ? $self->join_of($a, 'JOIN', $self->table) : $a;
		my $over = $self->over($from);

		$over->{sql} = "WITH $with AS ($select->{sql}) $over->{sql}" if $with;
		$select = $over;
	}
	return $select;
}

sub over
{
	my ($self, $from) = @_;
	my $cols = $from->{columns};
	my $where = $self->where($cols, [], 0);
	my @keys = map { pick(@$cols) } 1 .. pick(0, 1, 1, 2);

	if (chance(0.25))
	{
		my $distinct = chance(0.4);
		my @expressions = map { $self->expression($cols, 0) } 1 .. between(1, 3);
		my ($list, $columns) = $self->outputs($distinct ? chosen(@expressions) : @expressions);
		return { sql => 'SELECT ' . ($distinct ? 'DISTINCT ' : '') . "$list FROM $from->{sql}$where", columns => $columns };
	}
	my ($list, $columns) = $self->outputs(chosen(@keys), map { $self->aggregate($cols) } 1 .. between(1, 3));
	my $sql = "SELECT $list FROM $from->{sql}$where";

	$sql .= ' GROUP BY ' . join(', ', map { $_->{e} } @keys) if @keys;
	$sql .= ' HAVING ' . $self->having($cols) if chance(0.3);
	return { sql => $sql, columns => $columns };
}

sub windowed
{
	my ($self, $depth, $outer) = @_;
	my $plain = $self->plain($depth > 0 ? 1 : 0, $outer);
	my $alias = $self->name('q');
	my @inner = map { +{ %$_, e => "$alias.$_->{e}" } } @{ $plain->{columns} };
	my @partition = chance(0.7) ? some_of(2, map { $_->{e} } @inner) : ();
	my $total = join(', ', map { $_->{e} . pick('', ' DESC') } @inner);
	my $x = $self->column_of('i', \@inner)->{e};
	my $over = 'OVER (' . (@partition ? 'PARTITION BY ' . join(', ', @partition) . ' ' : '') . "ORDER BY $total";
	my @functions = map {
		weighted(
			3 => sub { "row_number() $over)" },
			1 => sub { pick('rank', 'dense_rank') . "() $over)" },
			1 => sub { "ntile(2) $over)" },
			1 => sub { pick('lag', 'lead') . "($x) $over)" },
			1 => sub { pick('first_value', 'last_value') . "($x) $over)" },
			2 => sub { pick('sum', 'count', 'max') . "($x) $over)" },
			1 => sub { pick('sum', 'count', 'max') . "($x) $over ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)" },
			1 => sub { "count(*) OVER (" . (@partition ? "PARTITION BY $partition[0]" : '') . ')' })
	} 1 .. between(1, 2);
	my @results = map { +{ t => /^sum/ ? 'n' : 'i', e => $_, vary => /^sum/ ? 1 : 0 } } @functions;
	my ($list, $columns) = $self->outputs(chosen(@inner), @results);
	my $sql = "SELECT $list FROM ($plain->{sql}) AS $alias";

	return { sql => $sql, columns => $columns } if chance(0.5);

	# the first rows of each partition
	my $top = $self->name('q');
	my $number = $columns->[-1]{e};
	my ($outer_list, $outer_columns) = $self->outputs(map { +{ %$_, e => "$top.$_->{e}" } } @$columns);
	return {
		sql => "SELECT $outer_list FROM ($sql) AS $top WHERE $top.$number " . pick('<= 2', '= 1', '<= 1'),
		columns => $outer_columns };
}

1;
