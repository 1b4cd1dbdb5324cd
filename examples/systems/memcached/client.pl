# A client of memcached: calls as lines of JSON on standard input, answers as lines of JSON on standard output.
use strict;
use warnings;
use IO::Socket::INET;
use JSON::PP;

$| = 1;
my $json = JSON::PP->new->allow_nonref->canonical;
my $memcached;

# Sends a line, and data behind it if there is any, and reads one line. What goes wrong here may have happened.
sub ask {
    my ($line, $data) = @_;
    my $sent = print $memcached $line, "\r\n", defined $data ? ($data, "\r\n") : ();
    my $answer = $sent ? <$memcached> : undef;
    die { type => 'info', error => 'the connection was lost' } unless defined $answer;
    $answer =~ s/\r\n$//;
    return $answer;
}

# What a key holds, and the number that a cas compares.
sub get {
    my ($key) = @_;
    my $head = ask("gets $key");
    return (undef, undef) if $head eq 'END';
    my (undef, undef, undef, $length, $unique) = split / /, $head;
    read $memcached, my $data, $length + 2;
    <$memcached>;
    return ($json->decode(substr $data, 0, $length), $unique);
}

sub put {
    my ($command, $key, $value, @more) = @_;
    my $data = $json->encode($value);
    return ask(join(' ', $command, $key, 0, 0, length $data, @more), $data);
}

sub perform {
    my ($f, $key, $value) = @_;
    return { type => 'ok', value => (get($key))[0] } if $f eq 'read';
    if ($f eq 'write') {
        # A set that finds no room may have taken away what was there.
        my $said = put('set', $key, $value);
        return $said eq 'STORED' ? { type => 'ok' } : { type => 'info', error => $said };
    }
    my ($expected, $new) = @$value;
    my ($held, $unique) = get($key);
    return { type => 'ok', applied => JSON::PP::false, observed => $held } if !defined $held || $held != $expected;
    my $said = put('cas', $key, $new, $unique);
    # Changed between the two lines, or gone: it was not done, and what stands there now was not seen.
    return $said eq 'STORED' ? { type => 'ok', applied => JSON::PP::true } : { type => 'fail', error => $said };
}

print $json->encode({ ready => JSON::PP::true }), "\n";
while (my $line = <STDIN>) {
    my $call = $json->decode($line);
    (my $key = $json->encode($call->{key})) =~ s/[^\w-]/_/g;
    $memcached //= IO::Socket::INET->new(PeerAddr => $ARGV[0], PeerPort => $ARGV[1], Timeout => 10);
    my $answer = $memcached
        ? eval { perform($call->{f}, $key, $call->{value}) } // (ref $@ ? $@ : die $@)
        : { type => 'fail', error => "connecting: $!" };
    print $json->encode({ %$answer, id => $call->{id} }), "\n";
}
