#include "serving/call.h"

#include "absl/base/internal/raw_logging.h"

namespace capbroker::serving {
namespace {

thread_local const CallScope* innermost = nullptr;

}  // namespace

Call& Call::Of(const grpc::ServerContextBase* context) {
  for (const CallScope* scope = innermost; scope != nullptr; scope = scope->outer_) {
    if (scope->context_ == context) return *scope->call_;
  }
  ABSL_RAW_LOG(FATAL, "serving::Call::Of outside of the handler of that call");
  __builtin_unreachable();
}

CallScope::CallScope(const grpc::ServerContextBase* context, Call* call)
    : context_(context), call_(call), outer_(innermost) {
  innermost = this;
}

CallScope::~CallScope() { innermost = outer_; }

}  // namespace capbroker::serving
