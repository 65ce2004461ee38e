// A Call for tests of handlers without a channel: limits as the test says,
// descriptors kept for the test to look at.
#ifndef SERVING_FAKE_CALL_H_
#define SERVING_FAKE_CALL_H_

#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

#include "serving/call.h"

namespace capbroker::serving {

class FakeCall : public Call {
 public:
  explicit FakeCall(std::shared_ptr<const authority::Limits> limits) : limits_(std::move(limits)) {}

  const std::shared_ptr<const authority::Limits>& limits() const override { return limits_; }

  bool CanAttach() const override { return can_attach; }

  grpc::Status Attach(UniqueFd fd, v1::Descriptor* field) override {
    if (!can_attach) {
      return grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "no descriptors here");
    }
    sent.push_back(std::move(fd));
    field->set_slot(static_cast<uint32_t>(sent.size()));
    return grpc::Status::OK;
  }

  absl::StatusOr<UniqueFd> Take(const v1::Descriptor& field) override {
    if (field.slot() == 0 || field.slot() > received.size()) {
      return absl::InvalidArgumentError("no such descriptor");
    }
    return std::move(received[field.slot() - 1]);
  }

  grpc::Status AttachBoundChannel(const google::protobuf::Message& limits, v1::Descriptor* field,
                                  std::shared_ptr<void>) override {
    channels.emplace_back(limits.New())->CopyFrom(limits);
    field->set_slot(1);
    return grpc::Status::OK;
  }

  grpc::Status Refuse(absl::string_view field) const override {
    return grpc::Status(grpc::StatusCode::PERMISSION_DENIED, std::string(field));
  }

  ChannelState& channel() override { std::abort(); }
  grpc::Status EndChannel() override { std::abort(); }

  // The descriptor that the handler sent in `field`.
  UniqueFd TakeSent(const v1::Descriptor& field) { return std::move(sent.at(field.slot() - 1)); }

  bool can_attach = true;          // false: as on a wire
  std::vector<UniqueFd> received;  // what comes with the request
  std::vector<UniqueFd> sent;
  std::vector<std::unique_ptr<google::protobuf::Message>> channels;  // limits of each

 private:
  const std::shared_ptr<const authority::Limits> limits_;
};

}  // namespace capbroker::serving

#endif  // SERVING_FAKE_CALL_H_
