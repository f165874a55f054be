#!/usr/bin/env perl
#
# check_rooms.pl: do the includes of src/ keep to the floors of the house?
#
# An include points to a lower floor, and there to a header that the room's
# README.md names in its line "Contract:"; within a room, to any header, but
# not in a circle.  Between rooms the include names the room, "room/file.h".
#
# Prints what does not, a line each, and "ok rooms" if there is nothing;
# exits with 1 if there is.

use strict;
use warnings;

my $src = shift // 'src';

# An arrow goes down; rooms of one floor do not know each other.
my %floor = (
	base => 0, compile => 1, catalog => 2, maintain => 3,
	api => 4, engine => 4, stream => 4,
	'' => 5,    # the roof, src/ itself
);
my %apart = (tail => 1);    # a program of its own, which includes nothing of the rest

my (%contract, @faults, %files);

foreach my $room (sort grep { $_ ne '' } keys %floor)
{
	my $readme = "$src/$room/README.md";
	open my $fh, '<', $readme or die "$readme: $!\n";
	my ($line) = grep { /^Contract:/ } <$fh>;
	die "$readme: no line that begins with \"Contract:\"\n" unless defined $line;
	$contract{$room} = { map { $_ => 1 } $line =~ /`([a-z_]+\.h)`/g };
	foreach my $header (sort keys %{ $contract{$room} })
	{
		push @faults, "$readme names $header, which is not there"
		  unless -e "$src/$room/$header";
	}
}

foreach my $path (glob("$src/*.[ch] $src/*/*.[ch]"))
{
	my ($room, $file) = $path =~ m{^\Q$src\E/(?:([a-z]+)/)?([a-z_]+\.[ch])$} or next;
	$room //= '';
	next if $apart{$room};
	push @faults, "$path: no floor is known for the room $room" and next
	  unless exists $floor{$room};

	open my $fh, '<', $path or die "$path: $!\n";
	while (my $text = <$fh>)
	{
		my ($include) = $text =~ /^\s*#\s*include\s+"([^"]+)"/ or next;
		my $where = "$path:$.";

		if ($include =~ m{^([a-z]+)/([a-z_]+\.h)$} && -e "$src/$include")
		{
			my ($other, $header) = ($1, $2);
			if ($other eq $room)
			{
				push @faults, "$where: \"$include\" is in its own room: \"$header\" will do";
			}
			elsif ($floor{$other} > $floor{$room})
			{
				push @faults, "$where: \"$include\" points upward, from $room to $other";
			}
			elsif ($floor{$other} == $floor{$room})
			{
				push @faults, "$where: \"$include\" points sideways, from $room to $other";
			}
			elsif (!$contract{$other}{$header})
			{
				push @faults, "$where: \"$include\" is private to $other";
			}
		}
		elsif ($include !~ m{/} && -e "$src/$room/$include")
		{
			push @{ $files{"$room/$file"} }, "$room/$include";
		}
	}
}

# Circles of headers and the files that implement them: a.c stands for a.h.
my %edges;
foreach my $file (keys %files)
{
	(my $unit = $file) =~ s/\.[ch]$//;
	foreach my $header (@{ $files{$file} })
	{
		(my $other = $header) =~ s/\.h$//;
		$edges{$unit}{$other} = 1 if $other ne $unit;
	}
}

my (%state, %seen);

sub visit
{
	my ($unit, @path) = @_;
	$state{$unit} = 1;
	foreach my $other (sort keys %{ $edges{$unit} // {} })
	{
		if (($state{$other} // 0) == 1)
		{
			my @circle = @path;
			shift @circle while @circle && $circle[0] ne $other;
			push @faults, 'a circle: ' . join(' -> ', @circle, $other);
		}
		elsif (!$state{$other})
		{
			visit($other, @path, $other);
		}
	}
	$state{$unit} = 2;
	return;
}
visit($_, $_) foreach grep { !$state{$_} } sort keys %edges;

print "not ok rooms: $_\n" foreach @faults;
print "ok     rooms\n" unless @faults;
exit(@faults ? 1 : 0);
