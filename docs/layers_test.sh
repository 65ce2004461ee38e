#!/bin/sh
# The arrows between the folders: what each may include, and nothing else. Tests may
# include more, and what two processes must agree on may be shared upwards (named below).
set -eu
cd "$(dirname "$(readlink -f "$1")")"
bad=0

# folder: the folders that its files may include.
check() {
  folder=$1
  allowed=$2
  found=$(git ls-files "$folder" | grep -E '\.(cc|h)$' | grep -vE '_(test|benchmark)\.cc$|/testing/|_fixture\.(cc|h)$|fake_call\.h$' |
    xargs grep -HoE '^#include "(authority|base|broker|cli|client|examples|sandbox|serving|services|tests|tools|transport)/[^"]*"' |
    grep -vE "#include \"($allowed)/" | grep -vE "$3" || true)
  if test -n "$found"; then
    echo "$folder may include $allowed only:"
    echo "$found"
    bad=1
  fi
}

none='^$'
check base 'base' "$none"
check transport 'transport|base' "$none"
check authority 'authority|base' "$none"
check sandbox 'sandbox|base' "$none"
check client 'client|transport|authority|base' "$none"
check serving 'serving|transport|authority|base' "$none"
# The birth message of a worker and the broker's start are formats of both sides.
check broker 'broker|serving|sandbox|transport|authority|base' '"client/(worker_birth|broker_main)\.h"'
check services/hosts 'services/hosts|base' '"serving/(service_needs|succession)\.h"'
check services/dns 'services/dns|services/hosts|serving|client|transport|authority|base' '"services/service\.h"'
check services/file 'services/file|serving|client|transport|authority|base' '"services/service\.h"'
# What a supervisor asks of it is the supervisor's to say.
check services/net 'services/net|services/hosts|serving|client|transport|authority|base' '"(services/service|sandbox/supervisor/(outside|capability_errno))\.h"'
check services/group 'services/group|serving|client|transport|authority|base' '"services/service\.h"'
# A host is asked what it offers by trying.
check cli 'cli|services|client|transport|authority|base' '"sandbox/host_facts\.h"'
check examples 'examples|client|services|transport|base' "$none"

# The folders within a folder: which of the others' each never includes.
inside() {
  found=$(git ls-files "$1" | grep -E '\.(cc|h)$' | grep -vE '_test\.cc$' | xargs grep -HE "^#include \"($2)/" || true)
  if test -n "$found"; then
    echo "$1 may not include $2:"
    echo "$found"
    bad=1
  fi
}

inside serving/events 'serving/([^e]|e[^v])'
inside serving/channel 'serving/(lane|wire|interposition|process)'
inside serving/lane 'serving/(wire|interposition|process)'
inside serving/wire 'serving/(lane|interposition|process)'
inside serving/interposition 'serving/(lane|process)'
inside broker/zygote 'broker/(families|workers)'
inside broker/families 'broker/workers'
inside sandbox/layers 'sandbox/(table|policies|supervisor)'
inside sandbox/table 'sandbox/(layers|policies|supervisor)'

# Neither gRPC nor protobuf below transport/.
if git ls-files base sandbox | grep -E '\.(cc|h)$' | xargs grep -lE '#include [<"](grpc|google/protobuf|capbroker/)'; then
  echo "base/ and sandbox/ know neither gRPC nor protobuf"
  bad=1
fi
if git ls-files authority | grep -E '\.(cc|h)$' | xargs grep -lE '#include [<"]grpc'; then
  echo "authority/ knows no gRPC"
  bad=1
fi
exit $bad
