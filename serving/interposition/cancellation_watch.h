// Hands on a caller's cancellation to the call that is made for it.
//
// gRPC tells a synchronous handler that its caller no longer waits only when it asks. One
// thread asks for all calls of a proxy, every kCancelTickMs, and only while there are any.
// INVARIANT(nobody-spins-for-a-stranger)
//
// Lives in: service processes of proxies. Thread-safe.
#ifndef SERVING_INTERPOSITION_CANCELLATION_WATCH_H_
#define SERVING_INTERPOSITION_CANCELLATION_WATCH_H_

#include <grpcpp/client_context.h>
#include <grpcpp/server_context.h>

#include <list>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace capbroker::serving {

class CancellationWatch {
 public:
  CancellationWatch() = default;
  // After the last scope.
  ~CancellationWatch();
  CancellationWatch(const CancellationWatch&) = delete;
  CancellationWatch& operator=(const CancellationWatch&) = delete;

 private:
  struct Watched {
    const grpc::ServerContextBase* caller;
    grpc::ClientContext* call;
  };

 public:
  // While it lives, the end of `caller` cancels `call`. Both outlive it.
  class Scope {
   public:
    Scope(CancellationWatch& watch, const grpc::ServerContextBase& caller,
          grpc::ClientContext& call);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    CancellationWatch& watch_;
    std::list<Watched>::iterator watched_;
  };

 private:
  void Run();

  absl::Mutex mutex_;
  absl::CondVar wake_;
  std::list<Watched> watched_ ABSL_GUARDED_BY(mutex_);
  bool asleep_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace capbroker::serving

#endif  // SERVING_INTERPOSITION_CANCELLATION_WATCH_H_
