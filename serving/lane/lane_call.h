// One unary call on a lane, from its request to its answer.
//
// Lives in: service processes, the broker. Owned by the lane's table of calls in
// flight and by the thread or the reactor that answers it.
#ifndef SERVING_LANE_LANE_CALL_H_
#define SERVING_LANE_LANE_CALL_H_

#include <google/protobuf/arena.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "capbroker/v1/lane.pb.h"
#include "serving/call.h"
#include "serving/channel/channel_state.h"
#include "serving/dispatch.h"
#include "serving/lane/lane_memory.h"
#include "serving/lane/method_table.h"
#include "transport/lane_socket.h"

namespace capbroker::serving {

class ServedLane;

class LaneCall final : public Call,
                       public UnaryInvocation,
                       public std::enable_shared_from_this<LaneCall> {
 public:
  LaneCall(std::shared_ptr<ServedLane> lane, const ServedMethod& method, uint64_t id,
           size_t request_bytes, RequestMemory memory);
  ~LaneCall() override;

  uint64_t id() const { return id_; }
  const ServedMethod& method() const { return method_; }
  // Bytes that the call's request holds of the lane's bound.
  size_t request_bytes() const { return request_bytes_; }

  // TRUST(worker): takes the request out of a packet. INVALID_ARGUMENT: it is
  // malformed in a way that ends this call, and not the channel.
  absl::Status Read(transport::ReceivedPacket packet);

  // Checks and runs the handler; answers.
  void Run();

  // The caller no longer waits. Any thread.
  void Cancel() ABSL_LOCKS_EXCLUDED(mutex_);

  // Answers in place of the handler, whose own answer is dropped. Any thread.
  void Fail(const absl::Status& status);

  // Call:
  const std::shared_ptr<const authority::Limits>& limits() const override { return limits_; }
  bool CanAttach() const override { return true; }
  grpc::Status Attach(UniqueFd fd, v1::Descriptor* field) override;
  absl::StatusOr<UniqueFd> Take(const v1::Descriptor& field) override;
  grpc::Status AttachBoundChannel(const google::protobuf::Message& limits, v1::Descriptor* field,
                                  std::shared_ptr<void> bound) override;
  grpc::Status Refuse(absl::string_view field) const override;
  ChannelState& channel() override;
  grpc::Status EndChannel() override;

  // UnaryInvocation:
  Call* call() override { return this; }
  const google::protobuf::Message* request() const override { return request_; }
  google::protobuf::Message* response() override { return response_; }
  grpc::ServerContext* sync_context() override;
  grpc::CallbackServerContext* callback_context() override;
  void Answer(const grpc::Status& status) override;
  void Bind(grpc::ServerUnaryReactor* reactor) override;

 private:
  class Reaction;

  // Null on the broker's own lanes.
  ChannelState* state() const;

  absl::Status ParseLarge();
  absl::Status CheckRequest();
  absl::Status CheckResponse(size_t size);
  absl::Status Deliver();
  bool Awaited() ABSL_LOCKS_EXCLUDED(mutex_);
  void PrepareContext(grpc::ServerContextBase& context);
  const grpc::ServerContextBase* context() const;
  void Send(const grpc::Status& status);

  const std::shared_ptr<ServedLane> lane_;
  const ServedMethod& method_;
  const uint64_t id_;
  const size_t request_bytes_;
  int64_t deadline_ns_ = 0;
  // Room for the messages of most calls.
  alignas(8) char arena_block_[1024];
  google::protobuf::Arena arena_{arena_block_, sizeof arena_block_};
  google::protobuf::Message* request_ = nullptr;
  google::protobuf::Message* response_ = nullptr;
  RequestMemory memory_;
  v1::RequestMetadata metadata_;
  std::vector<UniqueFd> received_;
  std::vector<UniqueFd> sent_;
  std::vector<uint32_t> channel_slots_;  // of those: further channels
  bool ends_channel_ = false;
  std::shared_ptr<const authority::Limits> limits_;
  std::optional<grpc::ServerContext> sync_context_;
  std::optional<grpc::CallbackServerContext> callback_context_;
  std::atomic<bool> answered_{false};
  absl::Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  grpc::ServerContextBase* live_context_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Reaction* reaction_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_CALL_H_
