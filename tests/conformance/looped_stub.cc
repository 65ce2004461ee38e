#include "tests/conformance/looped_stub.h"

#include "base/status_matchers.h"
#include "gtest/gtest.h"
#include "transport/stub.h"

namespace capbroker::testing {

LoopedStub::LoopedStub(std::shared_ptr<Channel> channel) {
  absl::StatusOr<std::shared_ptr<CallbackLoop>> loop = CallbackLoop::Create();
  EXPECT_OK(loop);
  loop_ = *std::move(loop);
  absl::StatusOr<std::shared_ptr<Channel>> other = channel->Clone();
  EXPECT_OK(other);
  other_ = *std::move(other);
  EXPECT_OK(other_->CompleteIn(loop_));
  EXPECT_OK(channel->CompleteIn(loop_));
  other_stub_ = NewStub<v1::Conformance>(other_);
  stub_ = NewStub<v1::Conformance>(channel);
  thread_ = std::thread([this] {
    while (!stop_.load()) loop_->RunOnce();
  });
  v1::FailRequest denied;
  denied.set_word("no");
  for (int i = 0; i < 5000 && channel->lane().posted_calls() == 0; ++i) {
    grpc::ClientContext context;
    v1::FailResponse response;
    (void)Fail(&context, denied, &response);
  }
  EXPECT_GT(channel->lane().posted_calls(), 0u);
}

LoopedStub::~LoopedStub() {
  while (waking_.load() > 0) std::this_thread::yield();
  stop_.store(true);
  loop_->Wake();
  thread_.join();
}

// By calls that are denied, and are no handler's.
void LoopedStub::WakeService() {
  struct Waking {
    grpc::ClientContext context;
    v1::FailRequest request;
    v1::FailResponse response;
  };
  for (int i = 0; i < 3; ++i) {
    waking_.fetch_add(1);
    auto* const waking = new Waking;
    waking->request.set_word("no");
    other_stub_->async()->Fail(&waking->context, &waking->request, &waking->response,
                               [this, waking](const grpc::Status&) {
                                 delete waking;
                                 waking_.fetch_sub(1);
                               });
  }
}

}  // namespace capbroker::testing
