#include "serving/lane/served_lane.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <optional>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "capbroker/v1/lane.pb.h"
#include "serving/lane/lane_call.h"
#include "transport/grpc_status.h"
#include "transport/packet.h"

namespace capbroker::serving {
namespace {

using transport::PacketHeader;
using transport::PacketType;

constexpr uint32_t kWatched = EPOLLIN | EPOLLRDHUP;
// What a peer may send at once before it is another's turn.
// INVARIANT(nobody-spins-for-a-stranger)
constexpr int kPacketsInATurn = 16;
// A larger response is serialised on the heap.
constexpr size_t kStackMessage = 4096;

PacketHeader ResponseHeader(uint64_t call, const grpc::Status& status) {
  PacketHeader header = {};
  header.type = PacketType::kResponse;
  header.call = call;
  header.status = static_cast<int32_t>(status.error_code());
  return header;
}

void Append(const std::multimap<std::string, std::string>& from,
            google::protobuf::RepeatedPtrField<v1::MetadataEntry>* to) {
  for (const auto& [key, value] : from) {
    v1::MetadataEntry* entry = to->Add();
    entry->set_key(key);
    entry->set_value(value);
  }
}

// Empty, as of most replies, when there is nothing to tell.
std::string ReplyMetadata(const grpc::Status& status,
                          const std::multimap<std::string, std::string>& initial,
                          const std::multimap<std::string, std::string>& trailing) {
  if (status.ok() && initial.empty() && trailing.empty()) return {};
  v1::ReplyMetadata metadata;
  metadata.set_status_message(status.error_message());
  metadata.set_status_details(status.error_details());
  Append(initial, metadata.mutable_initial());
  Append(trailing, metadata.mutable_trailing());
  return metadata.SerializeAsString();
}

}  // namespace

ServedLane::ServedLane(LaneServer* server, UniqueFd lane,
                       std::shared_ptr<const MethodTable> methods,
                       std::shared_ptr<ChannelState> state, std::function<void()> closed)
    : server_(server),
      lanes_(server->lanes_),
      lane_(std::move(lane)),
      descriptors_(transport::DescriptorsOn(lane_)),
      methods_(std::move(methods)),
      state_(std::move(state)),
      on_closed_(std::move(closed)),
      // The broker, which has such lanes, makes and maps little.
      memory_(state_ == nullptr ? nullptr : server->kept_) {
  lanes_->fetch_add(1);
}

ServedLane::~ServedLane() { lanes_->fetch_sub(1); }

transport::ReceiveBuffer& ServedLane::Received() {
  thread_local transport::ReceiveBuffer buffer;
  return buffer;
}

absl::Status ServedLane::Start() {
  CB_ASSIGN_OR_RETURN(const uint64_t watch,
                      server_->loop_->Add(lane_, kWatched, shared_from_this()));
  absl::MutexLock lock(&mutex_);
  if (closed_) {
    server_->loop_->Remove(watch, lane_);
  } else {
    watch_ = watch;
    if (!outbox_.empty()) (void)server_->loop_->Modify(watch_, kWatched | EPOLLOUT);
  }
  return absl::OkStatus();
}

void ServedLane::BeginEpoch() {
  std::vector<CallPtr> found;
  std::string survivors;
  // Before the first packet is taken: what is sent later finds this process.
  const int64_t since_ns = transport::MonotonicNowNs();
  while (true) {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> packet =
        transport::ReceivePacket(lane_, Received(), transport::PacketDirection::kToService,
                                 transport::Blocking::kDontWait, descriptors_);
    if (!packet.ok()) return Close();
    if (!packet->has_value()) break;
    const uint64_t id = (*packet)->view.header.call;
    survivors.append(reinterpret_cast<const char*>(&id), sizeof id);
    if (CallPtr call = Accept(*std::move(*packet))) found.push_back(std::move(call));
    // As many as a client may have in flight, and more than a packet holds of no
    // honest one.
    if (survivors.size() > transport::kMaxInlineMessage - sizeof id) return Close();
  }
  PacketHeader header = {};
  header.type = PacketType::kEpoch;
  header.deadline_ns = since_ns;
  Transmit(header, {}, survivors, {});
  for (CallPtr& call : found) Schedule(std::move(call));
}

Left ServedLane::OnReady(uint32_t events) {
  looks_next_.store(false, std::memory_order_relaxed);
  if ((events & EPOLLOUT) != 0) Flush();
  return Drain();
}

// Whether the call's handler may hold the thread up that reads: it does not wait for
// anything, or there is no other thread anyhow.
bool ServedLane::RunsHere(const LaneCall& call) const {
  return call.method().dispatch->quick() || !server_->options_.grow;
}

void ServedLane::Rearm() {
  absl::MutexLock lock(&mutex_);
  if (closed_ || watch_ == 0) return;
  const uint32_t room = outbox_.empty() ? 0u : uint32_t{EPOLLOUT};
  (void)server_->loop_->Modify(watch_, kWatched | room);
}

// One turn: up to the first call that runs here, or the packets that are there. Of
// those the first call runs on this thread: only further ones are worth another's
// waking.
Left ServedLane::Drain() {
  CallPtr first;
  int packets = 0;
  for (; packets < kPacketsInATurn; ++packets) {
    std::optional<transport::ReceivedPacket> packet = Receive(transport::Blocking::kDontWait);
    if (!packet) break;
    CallPtr call = Accept(*std::move(packet));
    if (call == nullptr) continue;
    if (first != nullptr) {
      Schedule(std::move(call));
    } else if (RunsHere(*call)) {
      call->Run();
      return Left::kMaybeMore;
    } else {
      first = std::move(call);
    }
  }
  const bool more = packets == kPacketsInATurn;
  if (first == nullptr) return more ? Left::kMaybeMore : Left::kNothing;
  // Other threads go on with the lane while this one is held up.
  if (more) Rearm();
  RunCall(std::move(first));
  return Left::kNothing;
}

// None: there is none now, or the lane has ended.
std::optional<transport::ReceivedPacket> ServedLane::Receive(transport::Blocking blocking) {
  absl::StatusOr<std::optional<transport::ReceivedPacket>> packet = transport::ReceivePacket(
      lane_, Received(), transport::PacketDirection::kToService, blocking, descriptors_);
  if (packet.ok()) return *std::move(packet);
  // INVARIANT(hostile-bytes-end-the-channel)
  Close();
  return std::nullopt;
}

// TRUST(worker). Gives a call to run, or null.
ServedLane::CallPtr ServedLane::Accept(transport::ReceivedPacket packet) {
  const PacketHeader header = packet.view.header;
  switch (header.type) {
    case PacketType::kCancel:
      CancelCall(header.call);
      return nullptr;
    case PacketType::kBufferRequest:
      MakeBuffer(header);
      return nullptr;
    case PacketType::kJoin:
      JoinGroup(packet.view.message);
      return nullptr;
    case PacketType::kLeave:
      LeaveGroup();
      return nullptr;
    default:
      mailbox_.NoteRequest(header.flags);
  }
  absl::StatusOr<CallPtr> call = Admit(header);
  if (!call.ok()) {
    SendFailure(header.call, ToGrpcStatus(call.status()));
    return nullptr;
  }
  if (const absl::Status read = (*call)->Read(std::move(packet)); !read.ok()) {
    (*call)->Answer(ToGrpcStatus(read));
    return nullptr;
  }
  return *std::move(call);
}

absl::StatusOr<ServedLane::CallPtr> ServedLane::Admit(const PacketHeader& header) {
  absl::MutexLock lock(&mutex_);
  const size_t bytes = header.message_size;
  size_t offered = 0;
  absl::StatusOr<RequestMemory> memory = memory_.Take(header, offered);
  bytes_in_flight_ -= offered;  // reserved again below, for the call
  if (!memory.ok()) return memory.status();
  const ServedMethod* method = methods_->Find(header.method);
  if (method == nullptr) return absl::UnimplementedError("unknown method");
  if (!method->method->unary) {
    return absl::UnimplementedError("a streaming method is called on the wire");
  }
  if (bytes > method->max_message_bytes) {
    return absl::ResourceExhaustedError("request larger than its bound");
  }
  if (header.descriptor_count != 0 && !method->request_descriptors) {
    return absl::InvalidArgumentError("request with an undeclared descriptor");
  }
  CB_RETURN_IF_ERROR(Reserve(header.call, bytes));
  auto call = std::make_shared<LaneCall>(shared_from_this(), *method, header.call, bytes,
                                         *std::move(memory));
  calls_.emplace(header.call, call);
  return call;
}

absl::Status ServedLane::Reserve(uint64_t call, size_t bytes) {
  const LaneServerOptions& bounds = server_->options_;
  if (closed_) return absl::UnavailableError("the channel is closed");
  if (calls_.contains(call) || memory_.HasOffered(call)) {
    return absl::InvalidArgumentError("call id is in use");
  }
  const size_t in_flight = calls_.size() + memory_.offers();
  if (in_flight >= static_cast<size_t>(bounds.max_calls_in_flight)) {
    return absl::ResourceExhaustedError("too many calls in flight on the channel");
  }
  // One message of the largest size always fits.
  if (bytes_in_flight_ != 0 && bytes_in_flight_ + bytes > bounds.max_bytes_in_flight) {
    return absl::ResourceExhaustedError("too many bytes in flight on the channel");
  }
  bytes_in_flight_ += bytes;
  return absl::OkStatus();
}

void ServedLane::MakeBuffer(const PacketHeader& header) {
  absl::StatusOr<LaneMemory::Offer> offer = [&]() -> absl::StatusOr<LaneMemory::Offer> {
    if (header.message_size > methods_->max_message_bytes() || header.message_size == 0) {
      return absl::ResourceExhaustedError("request larger than its bound");
    }
    absl::MutexLock lock(&mutex_);
    CB_RETURN_IF_ERROR(Reserve(header.call, header.message_size));
    absl::StatusOr<LaneMemory::Offer> made = memory_.OfferFor(header);
    if (made.ok()) return made;
    bytes_in_flight_ -= header.message_size;
    return absl::ResourceExhaustedError("no memory for the request");
  }();
  if (!offer.ok()) return SendFailure(header.call, ToGrpcStatus(offer.status()));
  PacketHeader answer = {};
  answer.flags = offer->number == 0 ? uint8_t{0} : transport::kFlagKept;
  answer.memory = offer->number;
  answer.type = PacketType::kBuffer;
  answer.call = header.call;
  std::vector<UniqueFd> descriptors;
  descriptors.push_back(std::move(offer->memory));
  Transmit(answer, {}, {}, std::move(descriptors));
}

void ServedLane::CancelCall(uint64_t id) {
  CallPtr call;
  {
    absl::MutexLock lock(&mutex_);
    bytes_in_flight_ -= memory_.Withdraw(id);
    const auto found = calls_.find(id);
    if (found == calls_.end()) return;
    call = found->second;
  }
  call->Cancel();
}

void ServedLane::Schedule(CallPtr call) {
  {
    absl::MutexLock lock(&mutex_);
    queue_.push_back(std::move(call));
  }
  server_->loop_->Post([lane = shared_from_this()] { lane->RunQueued(); });
}

void ServedLane::RunCall(CallPtr call) {
  {
    absl::MutexLock lock(&mutex_);
    if (running_ >= server_->options_.max_running) {
      queue_.push_back(std::move(call));
      return;
    }
    ++running_;
  }
  RunNow(*call);
  call.reset();
  RunQueued();
}

void ServedLane::RunNow(LaneCall& call) {
  if (RunsHere(call)) {
    call.Run();
  } else {
    const LoopThreads::Held held(server_->threads_);
    call.Run();
  }
  absl::MutexLock lock(&mutex_);
  --running_;
}

// Runs what waits for room on this lane. The caller's own call, if any, has ended.
void ServedLane::RunQueued() {
  while (const CallPtr call = NextQueued()) RunNow(*call);
}

ServedLane::CallPtr ServedLane::NextQueued() {
  absl::MutexLock lock(&mutex_);
  if (queue_.empty() || running_ >= server_->options_.max_running) return nullptr;
  CallPtr call = std::move(queue_.front());
  queue_.pop_front();
  ++running_;
  return call;
}

void ServedLane::Forget(LaneCall& call) {
  absl::MutexLock lock(&mutex_);
  calls_.erase(call.id());
  bytes_in_flight_ -= call.request_bytes();
}

void ServedLane::SendFailure(uint64_t call, const grpc::Status& status) {
  static const std::multimap<std::string, std::string> kNone;
  Transmit(ResponseHeader(call, status), ReplyMetadata(status, kNone, kNone), {}, {});
}

void ServedLane::SendReply(uint64_t call, const grpc::Status& status,
                           const std::multimap<std::string, std::string>& initial,
                           const std::multimap<std::string, std::string>& trailing,
                           const google::protobuf::Message& response,
                           std::vector<UniqueFd> descriptors, KeptMemory::Loan& loan) {
  std::string metadata = ReplyMetadata(status, initial, trailing);
  if (metadata.size() > transport::kMaxMetadataSize) {
    return SendFailure(call, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                          "reply metadata larger than its bound"));
  }
  PacketHeader header = ResponseHeader(call, status);
  if (looks_next_.load(std::memory_order_relaxed)) header.flags = transport::kFlagAwake;
  if (loan.valid()) header.flags |= transport::kFlagKept;
  if (!status.ok()) {
    loan.GiveBack();
    return Transmit(header, metadata, {}, {});
  }
  const size_t size = static_cast<size_t>(response.GetCachedSize());
  const auto serialize = [&response](char* bytes) {
    response.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes));
    return true;
  };
  if (size > transport::kMaxInlineMessage) {
    uint32_t number;
    {
      absl::MutexLock lock(&mutex_);
      number = memory_.Enlarge(call, loan, size);
    }
    if (!WriteLarge(size, serialize, loan, number, header, descriptors).ok()) {
      return SendFailure(
          call, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "no memory for the response"));
    }
    loan.GiveBack();
    return Transmit(header, metadata, {}, std::move(descriptors));
  }
  // Before the client learns of it: it may lend the memory again at once.
  loan.GiveBack();
  if (size <= kStackMessage) {
    char bytes[kStackMessage];
    serialize(bytes);
    return Transmit(header, metadata, absl::string_view(bytes, size), std::move(descriptors));
  }
  std::string bytes(size, '\0');
  serialize(bytes.data());
  Transmit(header, metadata, bytes, std::move(descriptors));
}

// Never blocks: what has no room waits in the outbox, and a full outbox ends the
// channel of a client that asks and does not read. What cannot be sent at all fails its
// call: the kernel refuses descriptors when too many of this user's are on their way.
void ServedLane::Transmit(const PacketHeader& header, absl::string_view metadata,
                          absl::string_view message, std::vector<UniqueFd> descriptors) {
  const absl::InlinedVector<FdRef, 4> refs(descriptors.begin(), descriptors.end());
  bool full = false;
  absl::Status refused;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    const transport::OutgoingPacket packet = {header, metadata, message, refs};
    if (mailbox_.Answer(packet)) return;
    LaneGroup::Answered grouped;
    if (const std::optional<int> slot = grouped_.TakeSlot(header.call)) {
      grouped = grouped_.group->Answer(*slot, packet);
      if (grouped.put) return;
    }
    if (outbox_.empty()) {
      const transport::SendResult result = transport::SendPacket(lane_, packet);
      if (result.status.ok() && grouped.client_rests) {
        grouped_.group->RouseClient(grouped.client_rests);
      }
      if (result.status.ok()) return;
      if (!result.would_block) refused = result.status;
    }
    if (refused.ok()) {
      outbox_.Add(header, metadata, message, std::move(descriptors));
      full = outbox_.bytes() > server_->options_.max_outbox_bytes;
      if (watch_ != 0) (void)server_->loop_->Modify(watch_, kWatched | EPOLLOUT);
    }
  }
  if (!refused.ok() && !absl::IsUnavailable(refused))
    FailUnsent(header.call, refused, refs.empty());
  if (full) Close();
}

// INVARIANT(no-hang): a caller whose answer cannot be sent learns that.
void ServedLane::FailUnsent(uint64_t call, const absl::Status& refused, bool bare) {
  // Without descriptors there is nothing left that could be refused.
  if (bare) return Close();
  SendFailure(call, grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED,
                                 absl::StrCat("send answer: ", refused.message())));
}

void ServedLane::Flush() {
  std::vector<LaneOutbox::Refused> refused;
  bool closing = false;
  {
    absl::MutexLock lock(&mutex_);
    if (closed_) return;
    if (outbox_.Send(lane_, refused)) {
      if (watch_ != 0) (void)server_->loop_->Modify(watch_, kWatched);
      closing = closing_;
    }
  }
  for (const LaneOutbox::Refused& answer : refused) FailUnsent(answer.call, answer.why, false);
  if (closing) Close();
}

void ServedLane::FailCalls(const absl::Status& status) {
  std::vector<CallPtr> failed;
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [id, call] : calls_) failed.push_back(call);
    queue_.clear();
  }
  for (const CallPtr& call : failed) call->Fail(status);
}

void ServedLane::CloseWhenSent() {
  {
    absl::MutexLock lock(&mutex_);
    closing_ = true;
    if (!outbox_.empty()) return;
  }
  Close();
}

void ServedLane::Close() {
  const std::shared_ptr<ServedLane> self = shared_from_this();
  std::vector<CallPtr> orphaned;
  std::function<void()> on_closed;
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(closed_, true)) return;
    if (watch_ != 0) server_->loop_->Remove(watch_, lane_);
    for (auto& [id, call] : calls_) orphaned.push_back(call);
    queue_.clear();
    outbox_.Clear();
    memory_.Clear();
    mailbox_.Abandon();
    on_closed = std::move(on_closed_);
  }
  // Others may hold duplicates of this end: the client learns of it all the same.
  shutdown(lane_.get(), SHUT_RDWR);
  LeaveGroup();
  for (const CallPtr& call : orphaned) call->Fail(absl::CancelledError("the caller is gone"));
  if (on_closed != nullptr) on_closed();
}

}  // namespace capbroker::serving
