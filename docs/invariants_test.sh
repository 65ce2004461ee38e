#!/bin/sh
# docs/invariants.md against the tree: every id that the code names is listed, every
# file named has its comment, every test named exists.
set -eu
cd "$(dirname "$(readlink -f "$1")")"
bad=0
complain() { echo "$1"; bad=1; }

listed=$(sed -n 's/^| \([a-z-]*\) | .*/\1/p' docs/invariants.md | grep -v '^id$' | sort)
test "$(echo "$listed" | wc -l)" -ge 18 || complain "the table cannot be read"
used=$(git ls-files '*.cc' '*.h' | xargs grep -hoE 'INVARIANT\([a-z-]+\)' | sed 's/.*(\(.*\))/\1/' | sort -u)
for id in $used; do
  echo "$listed" | grep -qx "$id" || complain "INVARIANT($id) is not in docs/invariants.md"
done
sed -n 's/^| \([a-z-]*\) | .* | \([^ ]*\) | \([^ ]*\) `\(.*\)` |$/\1 \2 \3 \4/p' docs/invariants.md |
while read -r id file test name; do
  grep -q "INVARIANT($id)" "$file" || echo "$file does not name INVARIANT($id)"
  grep -qE "TEST(_F|_P)?\\([A-Za-z]+, $name\\)" "$test" || echo "$test has no test $name (of $id)"
done > "${TEST_TMPDIR:-/tmp}/invariants.out"
if test -s "${TEST_TMPDIR:-/tmp}/invariants.out"; then cat "${TEST_TMPDIR:-/tmp}/invariants.out"; bad=1; fi
exit $bad
