// A service that outgrew the machine: a proxy that forwards to a gRPC server behind TLS,
// which knows nothing of capbroker. Limits are checked here.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "client/broker.h"
#include "services/interpose.h"
#include "tests/conformance/conformance.proxy.h"
#include "tests/interposition/certificates.h"
#include "transport/call_descriptors.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

using ::capbroker::v1::Denial;

// An ordinary gRPC service.
class Words final : public v1::Conformance::Service {
 public:
  std::atomic<int> calls{0};
  std::atomic<int> cancelled{0};

  grpc::Status Echo(grpc::ServerContext* context, const v1::EchoRequest* request,
                    v1::EchoResponse* response) override {
    ++calls;
    for (uint32_t i = 0; i < request->times(); ++i) response->mutable_payload()->append("words");
    for (const auto& [key, value] : context->client_metadata()) {
      if (key.starts_with("x-")) {
        context->AddTrailingMetadata(std::string(key.data(), key.size()), "seen");
      }
    }
    return grpc::Status::OK;
  }
  grpc::Status Fail(grpc::ServerContext*, const v1::FailRequest* request,
                    v1::FailResponse*) override {
    ++calls;
    return grpc::Status(static_cast<grpc::StatusCode>(request->code()), request->message(),
                        request->details());
  }
  grpc::Status Wait(grpc::ServerContext* context, const v1::WaitRequest* request,
                    v1::WaitResponse*) override {
    ++calls;
    for (uint32_t i = 0; i < request->milliseconds() && !context->IsCancelled(); ++i) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    if (context->IsCancelled()) ++cancelled;
    return grpc::Status::OK;
  }
  grpc::Status Exchange(grpc::ServerContext*, const v1::ExchangeRequest*,
                        v1::ExchangeResponse*) override {
    ++calls;
    return grpc::Status::OK;
  }
  grpc::Status Count(grpc::ServerContext*, const v1::CountRequest* request,
                     grpc::ServerWriter<v1::CountResponse>* writer) override {
    ++calls;
    v1::CountResponse response;
    for (uint32_t i = 1; i <= request->to(); ++i) {
      response.set_value(i);
      writer->Write(response);
    }
    return grpc::Status::OK;
  }
  grpc::Status Sum(grpc::ServerContext*, grpc::ServerReader<v1::SumRequest>* reader,
                   v1::SumResponse* response) override {
    ++calls;
    v1::SumRequest request;
    while (reader->Read(&request)) response->set_sum(response->sum() + request.value());
    return grpc::Status::OK;
  }
};

class RemoteTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    // Before gRPC's core is in this process.
    absl::StatusOr<Broker> started = Broker::Start();
    ASSERT_OK(started);
    broker_ = new Broker(*std::move(started));
  }
  static void TearDownTestSuite() { delete broker_; }

  // On a port of its own.
  void Serve(const Certificate& certificate, const std::string& clients = "") {
    grpc::SslServerCredentialsOptions options(
        clients.empty() ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
                        : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = clients;
    options.pem_key_cert_pairs.push_back({certificate.key, certificate.certificate});
    grpc::ServerBuilder builder;
    builder.SetMaxReceiveMessageSize(-1);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port);
    builder.RegisterService(&words_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    target_ = absl::StrCat("127.0.0.1:", port);
  }

  RemoteServer Remote() const {
    return {.target = target_,
            .root_certificates = authority_.certificate(),
            .server_name = "words.test"};
  }

  std::unique_ptr<v1::Conformance::StubInterface> Open(const RemoteServer& remote) {
    v1::ConformanceLimits limits;
    limits.add_words("yes");
    absl::StatusOr<std::shared_ptr<Channel>> channel =
        broker_->Open(InterposeRemote<v1::Conformance>(remote, limits, {.wire = true}));
    EXPECT_OK(channel);
    return NewStub<v1::Conformance>(*std::move(channel));
  }

  static grpc::Status Echo(v1::Conformance::StubInterface& stub, const std::string& word,
                           v1::EchoResponse* response = nullptr, uint32_t times = 1) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    v1::EchoRequest request;
    request.set_word(word);
    request.set_times(times);
    v1::EchoResponse unused;
    return stub.Echo(&context, request, response == nullptr ? &unused : response);
  }

  static inline Broker* broker_ = nullptr;
  CertificateAuthority authority_;
  Words words_;
  std::string target_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(RemoteTest, AnswersWithinTheLimitsThatAreCheckedHere) {
  Serve(authority_.Issue("words.test"));
  const auto stub = Open(Remote());
  v1::EchoResponse response;
  const grpc::Status status = Echo(*stub, "yes", &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.payload(), "words");
  const std::optional<Denial> denial = DenialOf(Echo(*stub, "no"));
  ASSERT_TRUE(denial.has_value());
  EXPECT_EQ(denial->reason(), Denial::NOT_IN_LIMITS);
  EXPECT_EQ(words_.calls, 1);
}

TEST_F(RemoteTest, StreamsBothWays) {
  Serve(authority_.Issue("words.test"));
  const auto stub = Open(Remote());
  {
    grpc::ClientContext context;
    v1::CountRequest request;
    request.set_word("yes");
    request.set_to(10);
    auto reader = stub->Count(&context, request);
    v1::CountResponse response;
    uint32_t count = 0;
    while (reader->Read(&response)) EXPECT_EQ(response.value(), ++count);
    EXPECT_TRUE(reader->Finish().ok());
    EXPECT_EQ(count, 10u);
  }
  grpc::ClientContext context;
  v1::SumResponse response;
  auto writer = stub->Sum(&context, &response);
  v1::SumRequest request;
  request.set_word("yes");
  request.set_value(21);
  writer->Write(request);
  writer->Write(request);
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  EXPECT_EQ(response.sum(), 42u);
}

TEST_F(RemoteTest, DescriptorsAreRefusedBeforeAnythingIsSent) {
  Serve(authority_.Issue("words.test"));
  const auto stub = Open(Remote());
  grpc::ClientContext context;
  v1::ExchangeRequest request;
  request.set_word("yes");
  v1::ExchangeResponse response;
  EXPECT_EQ(stub->Exchange(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(words_.calls, 0);
}

TEST_F(RemoteTest, CancelAndDeadlineReachTheServer) {
  Serve(authority_.Issue("words.test"));
  const auto stub = Open(Remote());
  v1::WaitRequest request;
  request.set_word("yes");
  request.set_milliseconds(20'000);
  v1::WaitResponse response;
  {
    grpc::ClientContext context;
    std::thread canceller([&context] {
      absl::SleepFor(absl::Milliseconds(300));
      context.TryCancel();
    });
    EXPECT_EQ(stub->Wait(&context, request, &response).error_code(), grpc::StatusCode::CANCELLED);
    canceller.join();
  }
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(200));
  EXPECT_EQ(stub->Wait(&context, request, &response).error_code(),
            grpc::StatusCode::DEADLINE_EXCEEDED);
  for (int i = 0; i < 3000 && words_.cancelled < 2; ++i) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_EQ(words_.cancelled, 2);
}

TEST_F(RemoteTest, OnlyMetadataThatIsNamedIsSent) {
  Serve(authority_.Issue("words.test"));
  RemoteServer remote = Remote();
  remote.metadata_keys = {"x-named"};
  const auto stub = Open(remote);
  grpc::ClientContext context;
  context.AddMetadata("x-named", "1");
  context.AddMetadata("x-other", "1");
  v1::EchoRequest request;
  request.set_word("yes");
  v1::EchoResponse response;
  ASSERT_TRUE(stub->Echo(&context, request, &response).ok());
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-named"), 1u);
  EXPECT_EQ(context.GetServerTrailingMetadata().count("x-other"), 0u);
}

// TRUST(worker): gRPC ends a process that sends what HTTP/2 does not allow.
TEST_F(RemoteTest, MetadataThatHttp2DoesNotAllowIsNotSent) {
  Serve(authority_.Issue("words.test"));
  RemoteServer remote = Remote();
  remote.metadata_keys = {"x-named", "Capital Letters", "x-other"};
  const auto stub = Open(remote);
  v1::EchoRequest request;
  request.set_word("yes");
  for (int i = 0; i < 3; ++i) {
    grpc::ClientContext context;
    context.AddMetadata("x-named", "\x01\n");
    context.AddMetadata("Capital Letters", "x");
    context.AddMetadata("x-other", "x");
    v1::EchoResponse response;
    const grpc::Status status = stub->Echo(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(context.GetServerTrailingMetadata().count("x-named"), 0u);
    EXPECT_EQ(context.GetServerTrailingMetadata().count("x-other"), 1u);
  }
}

// TRUST(network)
TEST_F(RemoteTest, WhatTheServerSaysIsBounded) {
  Serve(authority_.Issue("words.test"));
  const auto stub = Open(Remote());
  grpc::ClientContext context;
  v1::FailRequest request;
  request.set_word("yes");
  request.set_code(grpc::StatusCode::ABORTED);
  request.set_message(std::string(4000, 'x'));
  v1::FailResponse response;
  const grpc::Status failed = stub->Fail(&context, request, &response);
  EXPECT_EQ(failed.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_LT(failed.error_message().size(), 1100u);
  // The service's own bound is 64 MiB.
  EXPECT_EQ(Echo(*stub, "yes", nullptr, (65 << 20) / 5).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(Echo(*stub, "yes").ok());
}

TEST_F(RemoteTest, CertificateOfAnotherNameIsUnavailable) {
  Serve(authority_.Issue("other.test"));
  const grpc::Status status = Echo(*Open(Remote()), "yes");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(absl::StrContains(status.error_message(), "remote server")) << status.error_message();
  EXPECT_EQ(words_.calls, 0);
}

TEST_F(RemoteTest, CertificateOfAnUnknownAuthorityIsUnavailable) {
  Serve(CertificateAuthority().Issue("words.test"));
  const grpc::Status status = Echo(*Open(Remote()), "yes");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(absl::StrContains(status.error_message(), "CERTIFICATE_VERIFY_FAILED") ||
              absl::StrContains(status.error_message(), "certificate verify failed"))
      << status.error_message();
  EXPECT_EQ(words_.calls, 0);
}

TEST_F(RemoteTest, ServerThatIsNotThereIsUnavailable) {
  Serve(authority_.Issue("words.test"));
  server_->Shutdown();
  server_.reset();
  EXPECT_EQ(Echo(*Open(Remote()), "yes").error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RemoteTest, WithoutRootCertificatesNobodyIsTrusted) {
  Serve(authority_.Issue("words.test"));
  RemoteServer remote = Remote();
  remote.root_certificates.clear();
  EXPECT_EQ(Echo(*Open(remote), "yes").error_code(), grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(RemoteTest, ShowsItsOwnCertificateToAServerThatAsks) {
  Serve(authority_.Issue("words.test"), authority_.certificate());
  EXPECT_EQ(Echo(*Open(Remote()), "yes").error_code(), grpc::StatusCode::UNAVAILABLE);
  const Certificate own = authority_.Issue("proxy.test");
  RemoteServer remote = Remote();
  remote.client_certificate = own.certificate;
  remote.client_key = own.key;
  const grpc::Status status = Echo(*Open(remote), "yes");
  EXPECT_TRUE(status.ok()) << status.error_message();
}

}  // namespace
}  // namespace capbroker::testing
