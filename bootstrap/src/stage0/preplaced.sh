# What the shell on the far side is told where somebody else has put the program: become it, if it is the one with this hash.
# Set before it: n a nonce, h the SHA-256 of the program, q its path; a as in place.sh. Nothing is written.
e="is not there, or may not be read and run";
if [ -f "$q" ] && [ -r "$q" ] && [ -x "$q" ] && exec 9<"$q"; then
e="cannot be checked: there is no sha256sum";
if command -v sha256sum >/dev/null; then
e="is another program than the one that was to be there";
case $(sha256sum <&9) in
$h*)
# What was checked is what runs, where there is a way to name it.
p=$q;
if [ -x /proc/self/fd/9 ]; then p=/proc/self/fd/9; fi;
o $n run;
a exec "$p";
exit 126;;
esac;
fi;
exec 9<&-;
fi;
o $n missing "$e"
