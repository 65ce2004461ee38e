// A channel as its holder has it: the capability.
//
// Whoever has the descriptor may do what the channel's limits allow, and nothing
// else is asked. INVARIANT(one-descriptor-one-capability). One user per end:
// handing a channel on consumes it, and whoever receives one adopts it first.
// INVARIANT(one-holder-per-end)
//
// Lives in: application, workers. Thread-safe. May be used in a compromised
// process.
#ifndef TRANSPORT_CHANNEL_H_
#define TRANSPORT_CHANNEL_H_

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/unique_fd.h"
#include "capbroker/v1/capability.pb.h"
#include "transport/callback_loop.h"
#include "transport/lane_client.h"

namespace capbroker {

class Channel {
 public:
  // Which channel of which broker's families this is, for the application that opened it:
  // what it revokes it by. All 0 where nobody knows: a channel that was adopted.
  struct Origin {
    uint64_t broker = 0;
    uint64_t family = 0;
    uint64_t number = 0;
  };

  // Takes a lane end that nobody else uses: one that the broker has just made.
  explicit Channel(UniqueFd lane) : Channel(std::move(lane), Origin()) {}
  Channel(UniqueFd lane, const Origin& origin);

  // Takes a lane end that came in a message, whose sender may have kept a duplicate:
  // clones it and ends the original, so that nobody can take this holder's
  // answers, and a duplicate is worth nothing. DEADLINE_EXCEEDED: nobody has answered, or who kept
  // a duplicate has taken the one answer that this needs: then it has no more than it had, and this
  // holder nothing.
  static absl::StatusOr<std::shared_ptr<Channel>> Adopt(UniqueFd lane,
                                                        absl::Duration timeout = kAdoptionTime);
  static constexpr absl::Duration kAdoptionTime = absl::Seconds(10);

  // The same for the number of a descriptor that this program was executed with. INVALID_ARGUMENT,
  // and nothing is closed: no lane is open there.
  static absl::StatusOr<std::shared_ptr<Channel>> Unwrap(int number,
                                                         absl::Duration timeout = kAdoptionTime);

  // The other side of that: the number of a lane end from Release(), which a program that is
  // executed next inherits. In the child, between fork and exec: everywhere else another
  // thread's exec would inherit it, too. Async-signal-safe.
  static absl::StatusOr<int> Wrap(UniqueFd lane);

  // A channel with the same limits, which narrows independently of this one and
  // shares its family's budget.
  absl::StatusOr<std::shared_ptr<Channel>> Clone();

  // Installs the meet of the limits in force and `limits`; gives what is in force
  // now and what of `limits` had no effect. INVARIANT(limits-never-widen)
  absl::StatusOr<v1::NarrowResponse> Narrow(const google::protobuf::Message& limits);

  // The limits in force, unpacked into `limits`.
  absl::Status GetLimits(google::protobuf::Message* limits);

  // What the channel is to, and whether its process is the first. `with_schema`: together with
  // the protos of its limits message.
  absl::StatusOr<v1::DescribeResponse> Describe(bool with_schema = false);

  // A stock gRPC channel over the wire, opened at first use: for streams,
  // completion queues and generic stubs. Starts gRPC's core in this process.
  // FAILED_PRECONDITION: the grant allows no wire.
  absl::StatusOr<std::shared_ptr<grpc::Channel>> Grpc() ABSL_LOCKS_EXCLUDED(wire_mutex_);

  // The same; in place of an error, a channel whose every call fails with it.
  std::shared_ptr<grpc::Channel> GrpcOrFailing();

  // The wire's own descriptor, for a gRPC client without any of this code.
  // Nonblocking, as gRPC wants it.
  absl::StatusOr<UniqueFd> OpenWire();

  // Callbacks of calls on this channel run in `loop`, on its owner's thread. Before the first such
  // call, and once: FAILED_PRECONDITION otherwise.
  absl::Status CompleteIn(std::shared_ptr<CallbackLoop> loop);

  // Gives up the channel's descriptor, to send it or to execute with it; close-on-exec.
  // FAILED_PRECONDITION with calls in flight.
  absl::StatusOr<UniqueFd> Release();

  // Ends calls in flight, now and later ones, with UNAVAILABLE.
  void Close();

  const Origin& origin() const { return origin_; }

  transport::LaneClient& lane() { return lane_; }

 private:
  absl::StatusOr<std::shared_ptr<Channel>> CloneUntil(absl::Time deadline);

  const Origin origin_;
  transport::LaneClient lane_;
  absl::Mutex wire_mutex_;
  std::shared_ptr<grpc::Channel> wire_ ABSL_GUARDED_BY(wire_mutex_);
  // A duplicate of the wire's descriptor, to see whether its server is gone.
  UniqueFd wire_socket_ ABSL_GUARDED_BY(wire_mutex_);
};

}  // namespace capbroker

#endif  // TRANSPORT_CHANNEL_H_
