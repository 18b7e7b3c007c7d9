# Receives a program into sealed memory and becomes it. Arguments: nonce, size, number of memfd_create, its own.
($n, $s, $i, @a) = @ARGV;
$p = "offshoot";
$f = syscall($i + 0, $p, 3);
$e = "memfd_create: $!" if $f < 0;
open(F, "+<&=", $f) or $e = "$!" unless $e;
while ($s > 0) {
    $r = sysread(STDIN, $b, $s < 65536 ? $s : 65536) or exit 1;
    $s -= $r;
    for ($o = 0; !$e && $o < $r; $o += $w) { $w = syswrite(F, $b, $r - $o, $o) or $e = "$!"; }
}
fcntl(F, 1033, 15) or $e = "sealing: $!" unless $e;
$| = 1;
if ($e) { print "offshoot0 $n failed memory: $e\n"; exit 1; }
print "offshoot0 $n run\n";
exec {"/proc/self/fd/$f"} $p, @a or print STDERR "exec: /proc/self/fd/$f: $!\n";
exit 126;
