# What the shell on the far side is told once it has spoken: receive a program, put it where it can run, become it.
# Set before it: n a nonce, t the machine that the program is for, s its size as sent, h the SHA-256 of the program,
# z what unpacks it, k whether its file is kept while it runs, and p its name then; x the folders that have failed, with a colon before and
# after each; c is empty, or a folder in which the program is kept. The arguments are the folders to try; u is what machine it is, a runs
# "$@" with the program's own arguments, and receive is that of receive.sh or checked.sh. Sent as one line: a line end here is a
# space there, and a comment is left out.

# As it comes where dd can count so, else whole, else byte by byte: which of them it knows is seen before anything is read.
take() { dd bs=64k count=$s iflag=fullblock,count_bytes 2>/dev/null || dd bs=$s count=1 iflag=fullblock 2>/dev/null || dd bs=1 count=$s 2>/dev/null; };

# What is said of a folder is known by its words. They are English in these subshells alone: the program has what the user has.
# The first folder in which a file can be made and run. Its name holds the nonce: nobody can have made it before.
f= w=;
set -f;
# Whoever was to hear an answer may be gone by now, and a terminal hangs up with him: what is here is put away all the same.
b() { rm -rf "$f" ${c:+"$c/$n.part"}; exit 1; };
trap "" PIPE;
trap b HUP INT TERM;
if [ "$u" = "$t" ]; then
for d do
case $x in *":$d:"*) continue;; esac;
f=$d/.offshoot-$n;
w="$w$d: $({ export LC_ALL=C; umask 077; mkdir "$f" && echo "#!/bin/sh" >"$f/x" && chmod 700 "$f/x" && "$f/x" && echo "+"; } 2>&1), ";
case $w in *"+, ") break;; esac;
rm -rf "$f" 2>/dev/null;
f=;
done;
else w="machine";
fi;

if [ "$f" ]; then
o $n at "$d";

# By its descriptor it needs no name, and so leaves none behind wherever it is cut off.
q=$f/x;
exec 9<"$q";
if [ $k = no ] && [ -e /proc/self/fd/9 ]; then rm -rf "$f" & k=; q=/proc/self/fd/9; fi;
receive;
wait;
[ "$k" ] || f=;
if [ -z "$e" ]; then
# Aside first: two may come at once. A folder with many programs in it is of no use any more.
if [ "$c" ]; then
set +f;
set -- "$c"/*;
if [ $# -gt 8 ]; then rm -f "$@"; fi;
(umask 077; cat <"$q" >"$c/$n.part" && chmod 700 "$c/$n.part" && mv -f "$c/$n.part" "$c/$h" || rm -f "$c/$n.part") 2>/dev/null;
fi;
o $n run;
trap - PIPE;
if [ "$f" ]; then exec 9<&-; trap : HUP INT TERM; mv -f "$q" "$f/$p"; a "$f/$p"; e=$?; rm -rf "$f"; exit $e; fi;
a exec "$q";
exit 126;
fi;
rm -rf "$f";
o $n failed "$d:" $e;
else

# It has been sent already, and is no line.
take >/dev/null;
o $n none $w;
fi
