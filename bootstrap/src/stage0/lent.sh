# What a shell on our own machine is told: become the program that lies in our memory. Set before it: n a nonce, g where a
# file lies there that holds it, q where the program lies; a as in place.sh. Whatever else may be at g, since the processes
# there are others or are not shown, does not hold the nonce. It is read only if it is a file: a pipe would lose what is read.
if [ -f "$g" ] && [ -x "$g" ] && { read -r w v <"$g"; } 2>/dev/null && [ "$v" = $n ] && "$g" 2>/dev/null && [ -r "$q" ] && exec 9<"$q" && [ -x /proc/self/fd/9 ]; then
o $n run;
a exec /proc/self/fd/9;
exit 126;
fi;
o $n missing
