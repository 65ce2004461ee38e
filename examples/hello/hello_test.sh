#!/bin/sh
# The README's command: everything granted is answered, everything else refused.
set -eu
hello=$1
out=$("$hello" localhost ./README.md file:///etc/hosts no-such-name.invalid)
printf '%s\n' "$out"
sum=$(sha256sum README.md | cut -d' ' -f1)
for want in "127.0.0.1" "$sum" "none: no" "killed"; do
  case $out in *"$want"*) ;; *) echo "missing: $want"; exit 1 ;; esac
done
case $out in *ALLOWED*|*SURVIVED*|*FAILED*|*"$(printf '\033')"*) echo "not refused, or coloured"; exit 1 ;; esac
status=0
"$hello" 2>/dev/null || status=$?
test "$status" = 2
status=0
"$hello" 'a b' 2>/dev/null || status=$?
test "$status" = 2
