# What the shell on the far side is told where programs may stay there: become the one with this hash, if it is there. Set
# before it: n a nonce, t the machine that the program is for, h the SHA-256 of the program; u what machine it is, k, p and a as
# in place.sh. It leaves in c the folder in which place.sh is to put the program too; it is empty if there is none to be trusted.
c=${XDG_CACHE_HOME:-${HOME:+"$HOME/.cache"}};
# What is no path from the root might be taken for an option.
case $c in /*) ;; *) c=;; esac;
if [ "$c" ] && [ "$u" = "$t" ]; then
c=$c/offshoot;
[ -d "$c" ] || (umask 077; mkdir "${c%/*}"; mkdir "$c") 2>/dev/null;
# Nobody else may have made it, or may change what is in it.
case $([ -d "$c" ] && [ ! -h "$c" ] && [ -O "$c" ] && ls -ldn "$c") in drwx------*) ;; *) c=;; esac;
else c=;
fi;

# What a shell has left here that was killed while it put a program here; nobody takes so many minutes for that.
if [ "$c" ]; then
for d in "$c"/*.part; do
if [ -f "$d" ]; then find "$d" -mmin +30 -exec rm -f {} \; 2>/dev/null; fi;
done;
fi;

# What was checked is what runs: both by one descriptor. If it is to have a file of its name, that is a copy from there.
if [ "$c" ] && [ -f "$c/$h" ] && [ -r "$c/$h" ] && [ -x "$c/$h" ] && exec 9<"$c/$h" && [ -x /proc/self/fd/9 ]; then
case $(sha256sum <&9) in
$h*)
if [ $k = no ]; then o $n run; a exec /proc/self/fd/9; exit 126; fi;
f=$c/.offshoot-$n;
trap "" PIPE;
trap "rm -rf \"\$f\"; exit 1" HUP INT TERM;
if (umask 077; mkdir "$f" && cat </proc/self/fd/9 >"$f/$p" && chmod 700 "$f/$p") 2>/dev/null; then
o $n run;
exec 9<&-;
trap - PIPE;
trap : HUP INT TERM;
a "$f/$p"; e=$?; rm -rf "$f"; exit $e;
fi;
rm -rf "$f";
trap - PIPE HUP INT TERM;;
*) rm -f "$c/$h";;
esac;
exec 9<&-;
fi;
o $n missing
