# The benchmark's small call, for Cap'n Proto.
@0xb4c1f0e2a7d96853;
using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("capbroker::bench::capnp_echo");

interface Echo {
  ping @0 (payload :Data) -> (payload :Data);
}
