#include "bench/library_rivals.h"
#include "bench/must.h"

namespace capbroker::bench {

std::vector<LibraryRival> LibraryRivals() {
  Fail("--peers", "built without them: ./bazelw run -c opt //bench -- --peers");
}

}  // namespace capbroker::bench
