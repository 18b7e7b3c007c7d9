# As receive.sh, where there is tee: the program is hashed while it comes. What has failed says so by the nonce; other words
# are no failure.
receive() {
e=$(export LC_ALL=C; { take | { $z || { echo "not:$n" >&2; cat >/dev/null; }; } | { tee "$q" 9<&9 || echo "not:$n" >&2; } | sha256sum; } 2>&1);
case $e in
*not:$n*) e="cannot be unpacked or written: ${e%%not:$n*}";;
*$h*) e=;;
*) e="what arrived is not what was sent";;
esac;
}
