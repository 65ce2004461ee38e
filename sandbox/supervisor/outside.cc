#include "sandbox/supervisor/outside.h"

namespace capbroker::sandbox {
namespace {

MakeOutside& Registered() {
  static MakeOutside make = nullptr;
  return make;
}

}  // namespace

void RegisterOutside(MakeOutside make) { Registered() = make; }
MakeOutside RegisteredOutside() { return Registered(); }

}  // namespace capbroker::sandbox
