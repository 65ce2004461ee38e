// Confined workers that do real work through a real broker: names over a real DNS
// server, files, a directory over the wire with gRPC's core inside the worker.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_matchers.h"
#include "capbroker/dns/v1/resolver.capbroker.h"
#include "capbroker/dns/v1/resolver.dispatch.h"
#include "capbroker/file/v1/file_opener.capbroker.h"
#include "client/broker.h"
#include "services/dns/resolver_client.h"
#include "services/dns/resolver_limits.h"
#include "services/dns/resolver_service.h"
#include "services/file/file_client.h"
#include "services/file/grants.h"
#include "services/hosts/testing/dns_server.h"
#include "services/service.h"
#include "transport/channel.h"
#include "transport/grpc_status.h"
#include "transport/stub.h"

namespace capbroker {
namespace {

std::string InTempDir(const std::string& name) {
  return (std::filesystem::path(::testing::TempDir()) / name).lexically_normal();
}

// Set before the broker is forked: service processes have the same image.
std::string* const resolv_conf = new std::string;

// The Resolver, asking the test's own server.
class TestResolver : public dns::v1::Resolver::CallbackService {
 public:
  TestResolver() : resolver_(Options()) {}
  static serving::ServiceNeeds Needs() {
    serving::ServiceNeeds needs = dns::ResolverService::Needs(Options());
    needs.as_user = true;  // the test's files are
    return needs;
  }
  grpc::ServerUnaryReactor* Resolve(grpc::CallbackServerContext* context,
                                    const dns::v1::ResolveRequest* request,
                                    dns::v1::ResolveResponse* response) override {
    return resolver_.Resolve(context, request, response);
  }
  grpc::ServerUnaryReactor* ReverseResolve(grpc::CallbackServerContext* context,
                                           const dns::v1::ReverseResolveRequest* request,
                                           dns::v1::ReverseResolveResponse* response) override {
    return resolver_.ReverseResolve(context, request, response);
  }

 private:
  static dns::ResolverOptions Options() {
    dns::ResolverOptions options;
    options.hosts.resolv_conf_path = *resolv_conf;
    return options;
  }
  dns::ResolverService resolver_;
};

class EndToEndTest : public ::testing::Test {
 protected:
  EndToEndTest() {
    absl::StatusOr<std::unique_ptr<hosts::DnsServer>> server = hosts::DnsServer::Start(
        {"host-record=a.test,192.0.2.1,300", "host-record=b.test,192.0.2.2,300",
         "cname=alias.test,a.test", "host-record=rebound.test,10.1.2.3,300"});
    EXPECT_OK(server);
    server_ = *std::move(server);
    *resolv_conf = InTempDir("resolv.conf");
    std::ofstream(*resolv_conf) << server_->ResolvConf();
    absl::StatusOr<Broker> broker = Broker::Start();
    EXPECT_OK(broker);
    broker_.emplace(*std::move(broker));
  }

  // What the worker wrote, and how it ended.
  std::string Run(WorkerOptions options) {
    int ends[2];
    EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]);
    options.standard_output = UniqueFd(ends[1]);
    absl::StatusOr<Worker> worker = broker_->Launch(std::move(options));
    EXPECT_OK(worker);
    std::string said;
    char buffer[4096];
    ssize_t got;
    while ((got = read(reader.get(), buffer, sizeof buffer)) > 0) {
      said.append(buffer, static_cast<size_t>(got));
    }
    const WorkerEnd end = worker->Wait();
    EXPECT_EQ(end.exit_code(), 0) << end.ToString();
    return said;
  }

  std::unique_ptr<hosts::DnsServer> server_;
  std::optional<Broker> broker_;
};

int Say(const std::string& text) {
  return write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                             : 1;
}

std::string Outcome(const absl::StatusOr<dns::Resolution>& found) {
  if (found.ok()) return found->endpoints.front().ToText();
  const std::optional<v1::Denial> denial = DenialOf(found.status());
  return denial ? v1::Denial::Reason_Name(denial->reason())
                : absl::StatusCodeToString(found.status().code());
}

int ResolveNames(Grants grants) {
  const auto stub = grants.Stub<dns::v1::Resolver>("dns");
  std::vector<std::string> outcomes;
  for (const char* name : {"a.test", "alias.test", "missing.test", "rebound.test", "b.test"}) {
    outcomes.push_back(Outcome(dns::Resolve(*stub, name, {.timeout = absl::Seconds(10)})));
  }
  return Say(absl::StrJoin(outcomes, " "));
}

TEST_F(EndToEndTest, WorkerResolvesItsNamesOverARealServer) {
  // 192.0.2.0/24 is for documentation: not public, so the ranges are the test's own.
  dns::v1::ResolverLimits limits =
      dns::LimitsForNames({"a.test", "alias.test", "missing.test", "rebound.test"});
  limits.clear_address_ranges();
  limits.add_address_ranges("192.0.2.0/24");
  EXPECT_EQ(Run({.entry = ResolveNames, .grants = {{"dns", Serve<TestResolver>(limits)}}}),
            "192.0.2.1 192.0.2.1 NOT_FOUND OBJECT_REFUSED NOT_IN_LIMITS");
  // INVARIANT(name-checked-before-look): the denied name never left the host.
  for (const std::string& query : server_->Queries()) {
    EXPECT_EQ(query.find("b.test"), std::string::npos) << query;
  }
}

int ListOverWire(Grants grants) {
  const auto stub = grants.Stub<file::v1::FileOpener>("files");
  const file::Files files(*stub, absl::Seconds(20));
  const auto entries = files.List(grants.input());
  if (!entries.ok()) return Say(std::string(entries.status().message()));
  std::vector<std::string> names;
  for (const auto& entry : *entries) names.push_back(entry.name());
  std::sort(names.begin(), names.end());
  const auto denied = files.List("/etc");
  return Say(absl::StrCat(absl::StrJoin(names, " "), " ",
                          absl::StatusCodeToString(denied.status().code())));
}

TEST_F(EndToEndTest, WorkerListsADirectoryOverTheWire) {
  const std::string directory = InTempDir("listed");
  ASSERT_EQ(mkdir(directory.c_str(), 0755), 0);
  for (const char* name : {"one", "two"}) std::ofstream(absl::StrCat(directory, "/", name)) << name;
  EXPECT_EQ(Run({.entry = ListOverWire,
                 .grants = {{"files", ReadOnlyDirectory(directory)}},
                 .input = directory}),
            "one two PERMISSION_DENIED");
}

// Until calls are posted to the lane's mailbox.
int CallBackToBack(Grants grants) {
  const std::shared_ptr<Channel> channel = *grants.Channel("files");
  const auto stub = NewStub<file::v1::FileOpener>(channel);
  file::v1::StatRequest request;
  request.set_path(grants.input());
  int calls = 0;
  for (; calls < 20'000 && channel->lane().posted_calls() < 100; ++calls) {
    grpc::ClientContext context;
    file::v1::StatResponse response;
    if (!stub->Stat(&context, request, &response).ok()) return Say("a call failed");
  }
  return Say(channel->lane().posted_calls() < 100 ? "none is posted" : "posted");
}

TEST_F(EndToEndTest, CallsOfABusyWorkerAreInSharedMemory) {
  const std::string path = InTempDir("looked at");
  std::ofstream(path) << "content";
  EXPECT_EQ(
      Run({.entry = CallBackToBack, .grants = {{"files", ReadOnlyFile(path)}}, .input = path}),
      "posted");
}

int CallBack(Grants grants) {
  const auto stub = grants.Stub<dns::v1::Resolver>("dns");
  std::mutex mutex;
  std::condition_variable ready;
  std::optional<grpc::Status> ended;
  grpc::ClientContext context;
  dns::v1::ResolveRequest request;
  request.set_name("a.test");
  dns::v1::ResolveResponse response;
  stub->async()->Resolve(&context, &request, &response, [&](grpc::Status status) {
    const std::lock_guard<std::mutex> lock(mutex);
    ended = std::move(status);
    ready.notify_one();
  });
  std::unique_lock<std::mutex> lock(mutex);
  ready.wait(lock, [&ended] { return ended.has_value(); });
  return Say(absl::StrCat(ended->ok() ? "ok " : ended->error_message(), response.endpoints_size()));
}

TEST_F(EndToEndTest, WorkerMayCallAsynchronously) {
  EXPECT_EQ(Run({.entry = CallBack,
                 .grants = {{"dns", Serve<TestResolver>(dns::LimitsForNames({"a.test"}))}}}),
            "ok 1");
}

// Reads again and again; says what the last attempt came to, and what a descriptor that it has
// still gives then.
int ReadUntilRevoked(Grants grants) {
  const auto stub = grants.Stub<file::v1::FileOpener>("revocable");
  const auto open_stub = grants.Stub<file::v1::FileOpener>("open");
  const file::Files files(*stub, absl::Seconds(20));
  const absl::StatusOr<UniqueFd> kept =
      file::Files(*open_stub, absl::Seconds(20)).OpenForReading(grants.input());
  if (!kept.ok()) return 1;
  bool told = false;
  while (true) {
    const absl::StatusOr<std::string> content = files.ReadAll(grants.input());
    if (!content.ok()) {
      char text[16] = {};
      const ssize_t got = read(kept->get(), text, sizeof text);
      const std::optional<v1::Denial> denial = DenialOf(content.status());
      return Say(absl::StrCat(absl::StatusCodeToString(content.status().code()), " ",
                              v1::Denial::Reason_Name(denial.value_or(v1::Denial()).reason()), " ",
                              absl::string_view(text, got < 0 ? 0 : static_cast<size_t>(got))));
    }
    if (*content != "content") return 2;
    if (!std::exchange(told, true) && Say("reading ") != 0) return 3;
  }
}

TEST_F(EndToEndTest, RevocationTakesFilesBackThatAreReadInMessages) {
  const std::string path = InTempDir("read in messages");
  std::ofstream(path) << "content";
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  ASSERT_OK_AND_ASSIGN(Worker worker,
                       broker_->Launch({.entry = ReadUntilRevoked,
                                        .grants = {{"revocable", RevocableReadOnlyFile(path)},
                                                   {"open", ReadOnlyFile(path)}},
                                        .input = path,
                                        .standard_output = UniqueFd(ends[1])}));
  char text[100] = {};
  ASSERT_EQ(read(reader.get(), text, 8), 8);
  ASSERT_OK_AND_ASSIGN(const Revocation open, broker_->RevokeGrant(worker, "open"));
  ASSERT_EQ(open.not_taken_back.size(), 1u);
  EXPECT_EQ(open.not_taken_back[0].method, "Open");
  EXPECT_EQ(open.not_taken_back[0].field, "file");
  EXPECT_EQ(open.not_taken_back[0].descriptors, 1u);
  ASSERT_OK_AND_ASSIGN(const Revocation revocable, broker_->RevokeGrant(worker, "revocable"));
  EXPECT_EQ(revocable.channels, 1);
  EXPECT_TRUE(revocable.not_taken_back.empty());
  EXPECT_EQ(worker.Wait().exit_code(), 0);
  const ssize_t said = read(reader.get(), text, sizeof text);
  EXPECT_EQ(std::string(text, said < 0 ? 0 : static_cast<size_t>(said)),
            "PERMISSION_DENIED REVOKED content")
      << "what was opened stays with the worker";
}

TEST_F(EndToEndTest, RevocationTellsWhatItCannotTakeBack) {
  const std::string path = absl::StrCat(::testing::TempDir(), "revoked.", getpid());
  std::ofstream(path) << "content";
  ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
  ASSERT_OK_AND_ASSIGN(const std::shared_ptr<Channel> channel, broker.Open(ReadOnlyFile(path)));
  const auto stub = NewStub<file::v1::FileOpener>(channel);
  const file::Files files(*stub);
  ASSERT_OK_AND_ASSIGN(const UniqueFd opened, files.OpenForReading(path));
  ASSERT_OK(files.OpenForReading(path));
  ASSERT_OK_AND_ASSIGN(const Revocation revocation, broker.Revoke(*channel));
  EXPECT_EQ(revocation.channels, 1);
  ASSERT_EQ(revocation.not_taken_back.size(), 1u);
  EXPECT_EQ(revocation.not_taken_back[0].service, "capbroker.file.v1.FileOpener");
  EXPECT_EQ(revocation.not_taken_back[0].method, "Open");
  EXPECT_EQ(revocation.not_taken_back[0].field, "file");
  EXPECT_EQ(revocation.not_taken_back[0].descriptors, 2u);
  EXPECT_FALSE(files.OpenForReading(path).ok());
  char text[8] = {};
  EXPECT_EQ(read(opened.get(), text, sizeof text), 7) << "what was delivered stays";
  unlink(path.c_str());
}

}  // namespace
}  // namespace capbroker
