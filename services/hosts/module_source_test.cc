#include "services/hosts/module_source.h"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "services/hosts/host_database.h"
#include "services/hosts/nss_module.h"
#include "services/hosts/testing/scripted_dns_server.h"

namespace capbroker::hosts {
namespace {

using ::capbroker::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

// Where the build puts libnss_cbtest.so.2.
constexpr char kModuleFolder[] = "services/hosts/testing";

HostQuestion QuestionFor(absl::string_view name) {
  HostQuestion question;
  question.name = *ParseHostName(name);
  question.v4 = question.v6 = true;
  question.may_ask = [](absl::string_view) { return true; };
  return question;
}

std::vector<std::string> Texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> texts;
  for (const IpAddress& address : addresses) texts.push_back(address.ToText());
  return texts;
}

std::shared_ptr<const NssModule> TestModule() {
  auto module = NssModule::Load("cbtest", std::filesystem::absolute(kModuleFolder));
  EXPECT_NE(module, nullptr);
  return module;
}

TEST(NssModuleTest, FindsAddressesWithScopeAndCanonicalName) {
  const HostAnswer answer = TestModule()->Ask(QuestionFor("found.cbtest"));
  EXPECT_EQ(answer.outcome, SourceOutcome::kSuccess);
  EXPECT_THAT(Texts(answer.addresses), ElementsAre("192.0.2.200", "fe80::200%1"));
  EXPECT_EQ(answer.canonical_name, "canonical.cbtest");
}

TEST(NssModuleTest, AsksInLowerCaseWhateverTheCallerWrote) {
  // The module of the test knows the name in this case only.
  EXPECT_EQ(TestModule()->Ask(QuestionFor("FouNd.CBTEST")).outcome, SourceOutcome::kSuccess);
}

TEST(NssModuleTest, GivesOnlyTheFamiliesThatAreWanted) {
  HostQuestion question = QuestionFor("found.cbtest");
  question.v4 = false;
  EXPECT_THAT(Texts(TestModule()->Ask(question).addresses), ElementsAre("fe80::200%1"));
}

TEST(NssModuleTest, PassesOnWhatTheModuleSays) {
  const auto module = TestModule();
  EXPECT_EQ(module->Ask(QuestionFor("missing.cbtest")).outcome, SourceOutcome::kNotFound);
  EXPECT_EQ(module->Ask(QuestionFor("again.cbtest")).outcome, SourceOutcome::kTryAgain);
  EXPECT_EQ(module->Ask(QuestionFor("other.test")).outcome, SourceOutcome::kUnavailable);
}

TEST(NssModuleTest, GivesTheModuleAsMuchRoomAsItNeeds) {
  EXPECT_EQ(TestModule()->Ask(QuestionFor("large.cbtest")).outcome, SourceOutcome::kSuccess);
}

TEST(NssModuleTest, FindsTheNamesOfAddress) {
  HostQuestion question;
  question.address = IpAddress::Parse("192.0.2.200");
  EXPECT_THAT(TestModule()->Ask(question).names, ElementsAre("canonical.cbtest", "alias.cbtest"));
  question.address = IpAddress::Parse("192.0.2.201");
  EXPECT_EQ(TestModule()->Ask(question).outcome, SourceOutcome::kNotFound);
}

TEST(NssModuleTest, LoadsNothingThatIsNotThere) {
  EXPECT_EQ(NssModule::Load("nosuchmodule"), nullptr);
  EXPECT_EQ(NssModule::Load("cbtest", "/nonexistent"), nullptr);
}

// The database with the module among its sources.
class ModuleLookupTest : public ::testing::Test {
 protected:
  ModuleLookupTest() {
    std::filesystem::create_directories(folder_);
    Write("resolv.conf", server_.ResolvConf());
  }
  ~ModuleLookupTest() override {
    database_.reset();
    std::filesystem::remove_all(folder_);
  }

  void Write(const std::string& file, const std::string& text) {
    std::ofstream(folder_ + "/" + file) << text;
  }

  HostDatabase& database() {
    if (database_ == nullptr) {
      HostDatabaseOptions options;
      options.hosts_path = folder_ + "/hosts";
      options.nsswitch_path = folder_ + "/nsswitch.conf";
      options.resolv_conf_path = folder_ + "/resolv.conf";
      options.module_folder = std::filesystem::absolute(kModuleFolder);
      options.timeout = timeout_;
      database_ = std::make_unique<HostDatabase>(options);
    }
    return *database_;
  }

  absl::StatusOr<HostAnswer> Ask(absl::string_view name) {
    absl::Notification done;
    absl::StatusOr<HostAnswer> result;
    database().Ask(QuestionFor(name), std::stop_token(), [&](absl::StatusOr<HostAnswer> answer) {
      result = std::move(answer);
      done.Notify();
    });
    done.WaitForNotification();
    return result;
  }

  std::vector<std::string> AddressesOf(absl::string_view name) {
    const absl::StatusOr<HostAnswer> answer = Ask(name);
    EXPECT_OK(answer);
    return answer.ok() ? Texts(answer->addresses) : std::vector<std::string>();
  }

  const std::string folder_ = absl::StrCat(::testing::TempDir(), "/module_source_test.", getpid());
  absl::Duration timeout_ = absl::Seconds(30);
  // Knows "a.test" and "again.cbtest", and no other name.
  ScriptedDnsServer server_{[](const ScriptedDnsServer::Query& query) {
    const std::string address = std::string(IpAddress::Parse("192.0.2.1")->packed());
    const bool known = query.name == "a.test" || query.name == "again.cbtest";
    if (!known) return MakeReply(query, 3);
    if (query.type != static_cast<uint16_t>(RecordType::kA)) return MakeReply(query, 0);
    return MakeReply(query, 0, {MakeRecord(RecordType::kA, 60, address)});
  }};
  std::unique_ptr<HostDatabase> database_;
};

TEST_F(ModuleLookupTest, AsksModulesInTheOrderOfNsswitch) {
  Write("nsswitch.conf", "hosts: files cbtest dns\n");
  EXPECT_THAT(AddressesOf("a.test"), ElementsAre("192.0.2.200", "fe80::200%1"));
  EXPECT_THAT(server_.Queries(), IsEmpty());
  Write("nsswitch.conf", "hosts: files dns cbtest\n");
  EXPECT_THAT(AddressesOf("a.test"), ElementsAre("192.0.2.1"));
  EXPECT_THAT(AddressesOf("found.cbtest"), ElementsAre("192.0.2.200", "fe80::200%1"));
}

TEST_F(ModuleLookupTest, HonoursTheActionsAfterModule) {
  Write("nsswitch.conf", "hosts: cbtest [NOTFOUND=return] dns\n");
  EXPECT_THAT(Ask("missing.cbtest"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(server_.Queries(), IsEmpty());
  EXPECT_THAT(Ask("other.test"), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(server_.Queries(), Not(IsEmpty())) << "unavailable is not \"not found\"";
  EXPECT_THAT(AddressesOf("again.cbtest"), ElementsAre("192.0.2.1"));
  Write("nsswitch.conf", "hosts: cbtest [!UNAVAIL=return] dns\n");
  EXPECT_THAT(Ask("again.cbtest"), StatusIs(absl::StatusCode::kUnavailable));
}

TEST_F(ModuleLookupTest, GoesOnWithoutModuleThatCannotBeLoaded) {
  Write("nsswitch.conf", "hosts: files nosuchmodule [!UNAVAIL=return] dns\n");
  EXPECT_THAT(AddressesOf("a.test"), ElementsAre("192.0.2.1"));
  Write("nsswitch.conf", "hosts: files nosuchmodule\n");
  EXPECT_THAT(Ask("a.test"), StatusIs(absl::StatusCode::kUnavailable))
      << "whoever could know was not asked";
}

TEST_F(ModuleLookupTest, BlockedModuleDelaysNobodyElse) {
  Write("nsswitch.conf", "hosts: cbtest dns\n");
  std::atomic<int> answers{0};
  // More than there are threads.
  for (int i = 0; i < kModuleThreads; ++i) {
    database().Ask(QuestionFor("slow.cbtest"), std::stop_token(),
                   [&](absl::StatusOr<HostAnswer>) { ++answers; });
  }
  Write("nsswitch.conf", "hosts: dns\n");
  EXPECT_THAT(AddressesOf("a.test"), ElementsAre("192.0.2.1"));
  EXPECT_EQ(answers, 0);
  const absl::Time start = absl::Now();
  database_.reset();
  EXPECT_LT(absl::Now() - start, absl::Seconds(5)) << "blocked threads are not waited for";
  EXPECT_EQ(answers, 0);
}

TEST_F(ModuleLookupTest, EndsLookupWhoseModuleBlocksAfterItsTime) {
  timeout_ = absl::Milliseconds(200);
  Write("nsswitch.conf", "hosts: cbtest\n");
  database();  // before there are threads
  const absl::Time start = absl::Now();
  std::vector<std::thread> threads;
  // Those beyond the number of threads never get one.
  for (int i = 0; i < kModuleThreads + 2; ++i) {
    threads.emplace_back(
        [this] { EXPECT_THAT(Ask("slow.cbtest"), StatusIs(absl::StatusCode::kUnavailable)); });
    absl::SleepFor(absl::Milliseconds(5));
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
}

TEST_F(ModuleLookupTest, FreesLookupThatIsCancelledWhileItWaitsForThread) {
  Write("nsswitch.conf", "hosts: cbtest\n");
  std::vector<std::stop_source> stops(kModuleThreads + 3);
  std::atomic<int> answers{0};
  for (std::stop_source& stop : stops) {
    database().Ask(QuestionFor("slow.cbtest"), stop.get_token(),
                   [&](absl::StatusOr<HostAnswer>) { ++answers; });
  }
  EXPECT_EQ(database().lookups(), kModuleThreads + 3);
  for (std::stop_source& stop : stops) stop.request_stop();
  // The next one sweeps.
  std::stop_source stop;
  database().Ask(QuestionFor("slow.cbtest"), stop.get_token(), [](absl::StatusOr<HostAnswer>) {});
  EXPECT_LE(database().lookups(), kModuleThreads + 1);
  EXPECT_EQ(answers, 0);
}

}  // namespace
}  // namespace capbroker::hosts
