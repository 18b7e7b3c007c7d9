# Enters the namespaces of a process, as `nsenter -a` does, and becomes a program there: as root, but with no capability that
# the process itself could not have, and with no new privileges if it may get none. Arguments: the process, the program, its own.
($p, @a) = @ARGV;
sub f { print STDERR "cannot enter process $p: @_: $!\n"; exit 1 }

# The numbers of setns and prctl.
chomp($m = `uname -m`);
%n = (x86_64 => [308, 157], aarch64 => [268, 167], riscv64 => [268, 167], armv7l => [375, 172], i686 => [346, 172]);
$n = $n{$m} or f "$m is not known here";
sub status { open(S, "<", "/proc/$_[0]/status") or f "cannot open /proc/$_[0]/status"; %s = map { /^(\w+):\s*(\w+)$/ } <S>; close S; %s }
%it = status($p);
%me = status("self");
length($it{CapBnd}) == 16 or f "its capabilities are not told";
$me{CapInh} =~ /[^0]/ and f "capabilities are inherited here";

# Those that are the same are left out: a user namespace cannot be entered twice.
for (qw(cgroup ipc uts net pid mnt time user)) {
    next unless defined($l = readlink "/proc/$p/ns/$_") && $l ne readlink "/proc/self/ns/$_";
    open($h{$_}, "<", "/proc/$p/ns/$_") or f "cannot open /proc/$p/ns/$_";
    push @o, $_;
}
sub enter { syscall($n->[0], fileno($h{$_[0]}), 0) == 0 }

# What the own rights do not allow is tried again with those of root in its user namespace.
@o = grep { $_ eq "user" || !enter($_) } @o;
for (sort { ($b eq "user") <=> ($a eq "user") } @o) { enter($_) or f "its $_ namespace" }
if ($h{user}) { $) = "0 0"; $( = 0; $< = $> = 0; }

# Its child is in the namespace of processes.
defined($c = fork) or f "fork";
if ($c) { waitpid($c, 0); exit($? & 127 ? 128 + ($? & 127) : $? >> 8) }
for $i (0 .. 63) {
    next if hex(substr($it{CapBnd}, 15 - int($i / 4), 1)) >> ($i % 4) & 1;
    syscall($n->[1], 24, $i, 0, 0, 0) == 0 or $! == 22 or f "capability $i";
}
if ($it{NoNewPrivs}) { syscall($n->[1], 38, 1, 0, 0, 0) == 0 or f "no new privileges" }
exec { $a[0] } @a or f $a[0];
