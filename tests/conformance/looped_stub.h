// A stub whose blocking unary calls are callback calls of a loop (transport/callback_loop.h), which
// a thread runs. Calls of another channel of the loop come before each of them and wake the
// service, so that most of the stub's go by the loop's mailbox.
#ifndef TESTS_CONFORMANCE_LOOPED_STUB_H_
#define TESTS_CONFORMANCE_LOOPED_STUB_H_

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>

#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "tests/conformance/conformance.capbroker.h"
#include "transport/callback_loop.h"
#include "transport/channel.h"

namespace capbroker::testing {

class LoopedStub final : public v1::Conformance::StubInterface {
 public:
  explicit LoopedStub(std::shared_ptr<Channel> channel);
  ~LoopedStub() override;

  grpc::Status Echo(grpc::ClientContext* context, const v1::EchoRequest& request,
                    v1::EchoResponse* response) override {
    return Block(&async_interface::Echo, context, request, response);
  }
  grpc::Status Fail(grpc::ClientContext* context, const v1::FailRequest& request,
                    v1::FailResponse* response) override {
    return Block(&async_interface::Fail, context, request, response);
  }
  grpc::Status Wait(grpc::ClientContext* context, const v1::WaitRequest& request,
                    v1::WaitResponse* response) override {
    return Block(&async_interface::Wait, context, request, response);
  }
  grpc::Status Exchange(grpc::ClientContext* context, const v1::ExchangeRequest& request,
                        v1::ExchangeResponse* response) override {
    return Block(&async_interface::Exchange, context, request, response);
  }
  async_interface* async() override { return stub_->async(); }

 private:
  // Waits for the callback of `method`.
  template <typename Request, typename Response>
  grpc::Status Block(void (async_interface::*method)(grpc::ClientContext*, const Request*,
                                                     Response*, std::function<void(grpc::Status)>),
                     grpc::ClientContext* context, const Request& request, Response* response) {
    WakeService();
    grpc::Status status;
    absl::Notification ended;
    (stub_->async()->*method)(context, &request, response, [&](grpc::Status answer) {
      status = std::move(answer);
      ended.Notify();
    });
    ended.WaitForNotification();
    return status;
  }
  void WakeService();

  // Everything else is the channel's own stub's.
  grpc::ClientAsyncResponseReaderInterface<v1::EchoResponse>* AsyncEchoRaw(
      grpc::ClientContext* context, const v1::EchoRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->AsyncEcho(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::EchoResponse>* PrepareAsyncEchoRaw(
      grpc::ClientContext* context, const v1::EchoRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncEcho(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::FailResponse>* AsyncFailRaw(
      grpc::ClientContext* context, const v1::FailRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->AsyncFail(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::FailResponse>* PrepareAsyncFailRaw(
      grpc::ClientContext* context, const v1::FailRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncFail(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::WaitResponse>* AsyncWaitRaw(
      grpc::ClientContext* context, const v1::WaitRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->AsyncWait(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::WaitResponse>* PrepareAsyncWaitRaw(
      grpc::ClientContext* context, const v1::WaitRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncWait(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::ExchangeResponse>* AsyncExchangeRaw(
      grpc::ClientContext* context, const v1::ExchangeRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->AsyncExchange(context, request, queue).release();
  }
  grpc::ClientAsyncResponseReaderInterface<v1::ExchangeResponse>* PrepareAsyncExchangeRaw(
      grpc::ClientContext* context, const v1::ExchangeRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncExchange(context, request, queue).release();
  }
  grpc::ClientReaderInterface<v1::CountResponse>* CountRaw(
      grpc::ClientContext* context, const v1::CountRequest& request) override {
    return stub_->Count(context, request).release();
  }
  grpc::ClientAsyncReaderInterface<v1::CountResponse>* AsyncCountRaw(
      grpc::ClientContext* context, const v1::CountRequest& request, grpc::CompletionQueue* queue,
      void* tag) override {
    return stub_->AsyncCount(context, request, queue, tag).release();
  }
  grpc::ClientAsyncReaderInterface<v1::CountResponse>* PrepareAsyncCountRaw(
      grpc::ClientContext* context, const v1::CountRequest& request,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncCount(context, request, queue).release();
  }
  grpc::ClientWriterInterface<v1::SumRequest>* SumRaw(grpc::ClientContext* context,
                                                      v1::SumResponse* response) override {
    return stub_->Sum(context, response).release();
  }
  grpc::ClientAsyncWriterInterface<v1::SumRequest>* AsyncSumRaw(grpc::ClientContext* context,
                                                                v1::SumResponse* response,
                                                                grpc::CompletionQueue* queue,
                                                                void* tag) override {
    return stub_->AsyncSum(context, response, queue, tag).release();
  }
  grpc::ClientAsyncWriterInterface<v1::SumRequest>* PrepareAsyncSumRaw(
      grpc::ClientContext* context, v1::SumResponse* response,
      grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncSum(context, response, queue).release();
  }
  grpc::ClientReaderWriterInterface<v1::ChatRequest, v1::ChatResponse>* ChatRaw(
      grpc::ClientContext* context) override {
    return stub_->Chat(context).release();
  }
  grpc::ClientAsyncReaderWriterInterface<v1::ChatRequest, v1::ChatResponse>* AsyncChatRaw(
      grpc::ClientContext* context, grpc::CompletionQueue* queue, void* tag) override {
    return stub_->AsyncChat(context, queue, tag).release();
  }
  grpc::ClientAsyncReaderWriterInterface<v1::ChatRequest, v1::ChatResponse>* PrepareAsyncChatRaw(
      grpc::ClientContext* context, grpc::CompletionQueue* queue) override {
    return stub_->PrepareAsyncChat(context, queue).release();
  }

  std::shared_ptr<CallbackLoop> loop_;
  std::unique_ptr<v1::Conformance::StubInterface> stub_;
  std::shared_ptr<Channel> other_;
  std::unique_ptr<v1::Conformance::StubInterface> other_stub_;
  std::atomic<int> waking_{0};  // calls in flight
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_LOOPED_STUB_H_
