#!/bin/sh
# The worker counts what it may, and is refused what it may not.
set -eu
out=$("$1")
want='en: 6
de: count words "de": not in limits.languages'
test "$out" = "$want" || { echo "printed: $out"; exit 1; }
