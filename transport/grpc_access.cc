#include "transport/grpc_access.h"

#include <grpc/grpc.h>
#include <grpc/support/time.h>

#include <algorithm>
#include <utility>

#include "transport/lane_client.h"

namespace grpc::testing {
namespace {

using Refs = std::multimap<grpc::string_ref, grpc::string_ref>;
using Entries = google::protobuf::RepeatedPtrField<capbroker::v1::MetadataEntry>;

void Refer(const std::string& key, const std::string& value, Refs& refs) {
  refs.emplace(grpc::string_ref(key.data(), key.size()),
               grpc::string_ref(value.data(), value.size()));
}

}  // namespace

const std::multimap<std::string, std::string>& InteropClientContextInspector::SentMetadata(
    const ClientContext& context) {
  return context.send_initial_metadata_;
}

bool InteropClientContextInspector::IsCancelled(ClientContext& context) {
  grpc::internal::MutexLock lock(&context.mu_);
  return context.call_canceled_;
}

void InteropClientContextInspector::SetServerMetadata(ClientContext& context,
                                                      const capbroker::v1::ReplyMetadata& reply) {
  // The context has no place of its own for received strings, but the metadata
  // that it sent are no longer needed: the nodes of that map keep them.
  const auto store = [&context](const Entries& entries, Refs& refs) {
    for (const capbroker::v1::MetadataEntry& entry : entries) {
      const auto kept = context.send_initial_metadata_.emplace(entry.key(), entry.value());
      Refer(kept->first, kept->second, refs);
    }
  };
  store(reply.initial(), *context.recv_initial_metadata_.map());
  store(reply.trailing(), *context.trailing_metadata_.map());
  context.initial_metadata_received_ = true;
}

void InteropServerContextInspector::SetDeadline(ServerContextBase& context, int64_t deadline_ns) {
  if (deadline_ns == 0) return;
  const int64_t left = deadline_ns - capbroker::transport::MonotonicNowNs();
  context.deadline_ =
      gpr_time_add(gpr_now(GPR_CLOCK_REALTIME), gpr_time_from_nanos(left, GPR_TIMESPAN));
}

void InteropServerContextInspector::SetClientMetadata(
    ServerContextBase& context, const capbroker::v1::RequestMetadata& metadata) {
  for (const capbroker::v1::MetadataEntry& entry : metadata.entries()) {
    Refer(entry.key(), entry.value(), *context.client_metadata_.map());
  }
}

void InteropServerContextInspector::Cancel(ServerContextBase& context) {
  context.marked_cancelled_.store(true, std::memory_order_release);
}

const std::multimap<std::string, std::string>& InteropServerContextInspector::InitialMetadata(
    const ServerContextBase& context) {
  return context.initial_metadata_;
}

const std::multimap<std::string, std::string>& InteropServerContextInspector::TrailingMetadata(
    const ServerContextBase& context) {
  return context.trailing_metadata_;
}

}  // namespace grpc::testing

namespace capbroker::transport {

int64_t DeadlineNs(const grpc::ClientContext& context) {
  const gpr_timespec deadline = context.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) >= 0) return 0;
  const gpr_timespec left = deadline.clock_type == GPR_TIMESPAN
                                ? deadline
                                : gpr_time_sub(deadline, gpr_now(deadline.clock_type));
  const int64_t left_ns = int64_t{left.tv_sec} * 1'000'000'000 + left.tv_nsec;
  // Never 0, which would be none.
  return std::max<int64_t>(MonotonicNowNs() + left_ns, 1);
}

}  // namespace capbroker::transport
