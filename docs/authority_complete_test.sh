#!/bin/sh
# Every service of proto/ has its table in docs/authority.md.
set -eu
cd "$(dirname "$(readlink -f "$1")")"
bad=0
services=$(git ls-files 'proto/*.proto' | while read -r file; do
  package=$(sed -n 's/^package \(.*\);$/\1/p' "$file")
  sed -n "s/^service \([A-Za-z]*\) .*/$package.\1/p" "$file"
done)
test "$(echo "$services" | wc -l)" -ge 6 || { echo "the protos cannot be read"; bad=1; }
for service in $services; do
  grep -qx "## $service" docs/authority.md || { echo "docs/authority.md has no $service: see docs/BUILD"; bad=1; }
done
exit $bad
