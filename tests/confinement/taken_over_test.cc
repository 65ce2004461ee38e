// Service processes that hostile bytes have taken over: what they can still do is what their
// service has declared, as root and as an ordinary user, with Landlock and without.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "broker/testing/probe.dispatch.h"
#include "broker/testing/probe_client.h"
#include "client/broker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "sandbox/layers/identity.h"
#include "services/service.h"
#include "serving/service_needs.h"
#include "tests/confinement/attacks.h"

namespace capbroker {
namespace {

using ::testing::HasSubstr;
using testing::ProbeClient;
using testing::StatusIs;
using v1::AuditEvent;

constexpr uid_t kOrdinaryUser = 4711;

// Does what the word says: its code is the attacker's.
class TakenOver : public testing::v1::Probe::Service {
 public:
  static constexpr char kInstance[] = "taken over";
  grpc::Status Say(grpc::ServerContext*, const testing::v1::SayRequest* request,
                   testing::v1::SayResponse* response) override {
    response->set_process(testing::RunAttack(request->word()));
    return grpc::Status::OK;
  }
};

// Serves the files that the application named, as the FileOpener does.
class ServingFiles : public TakenOver {
 public:
  static constexpr char kInstance[] = "serving files";
  static serving::ServiceNeeds Needs() {
    return {.serves_files = true, .as_opened = &FilesOfSettings, .as_user = true};
  }

 private:
  static serving::ServiceReach FilesOfSettings(const google::protobuf::Any& /*limits*/,
                                               const google::protobuf::Any& settings) {
    serving::ServiceReach reach;
    testing::v1::ProbeLimits files;
    if (!settings.UnpackTo(&files)) return reach;
    for (const std::string& path : files.words()) {
      reach.files.push_back({.path = path, .read = true});
    }
    return reach;
  }
};

int g_port = 0;  // of the one TCP port that it needs; set before the broker is forked

class Networked : public TakenOver {
 public:
  static constexpr char kInstance[] = "networked";
  static serving::ServiceNeeds Needs() {
    return {.tcp = true, .tcp_ports = {static_cast<uint16_t>(g_port)}, .udp = true};
  }
};

class FullyNetworked : public TakenOver {
 public:
  static constexpr char kInstance[] = "fully networked";
  static serving::ServiceNeeds Needs() {
    return {.tcp = true, .as_opened = [](const auto&, const auto&) {
              return serving::ServiceReach{.all_tcp_ports = true};
            }};
  }
};

class Serving : public TakenOver {
 public:
  static constexpr char kInstance[] = "serving";
  static serving::ServiceNeeds Needs() {
    return {.tcp_servers = true, .as_opened = [](const auto&, const auto&) {
              return serving::ServiceReach{.tcp_server_ports = {static_cast<uint16_t>(g_port)}};
            }};
  }
};

class FullyServing : public TakenOver {
 public:
  static constexpr char kInstance[] = "fully serving";
  static serving::ServiceNeeds Needs() {
    return {.tcp_servers = true, .as_opened = [](const auto&, const auto&) {
              return serving::ServiceReach{.all_tcp_server_ports = true};
            }};
  }
};

class Free : public TakenOver {
 public:
  static constexpr char kInstance[] = "free";
  static serving::ServiceNeeds Needs() {
    return serving::ServiceNeeds::Unconfined("what the attacks do where nothing confines");
  }
};

testing::v1::ProbeLimits Words(const std::vector<std::string>& words) {
  testing::v1::ProbeLimits limits;
  for (const std::string& word : words) limits.add_words(word);
  return limits;
}

struct Host {
  const char* name;
  bool root;
  bool landlock;
};

// As on a kernel that has none.
bool ForbidLandlock() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_landlock_create_ruleset, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EOPNOTSUPP),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {.len = 4, .filter = program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

bool HasLandlock() { return syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) > 0; }

class TakenOverTest : public ::testing::TestWithParam<Host> {
 protected:
  void SetUp() override {
    if (GetParam().root && geteuid() != 0) GTEST_SKIP() << "not root here";
    if (!GetParam().root && geteuid() == 0 && !sandbox::MayAssignIds()) {
      GTEST_SKIP() << "no other user here";
    }
    if (GetParam().landlock && !HasLandlock()) GTEST_SKIP() << "no Landlock here";
    // The port that the Networked service needs, and another one.
    needed_ = Listen(&g_port);
    other_ = Listen(&other_port_);
    char name[] = "/tmp/taken_over_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    root_ = name;
    ASSERT_EQ(chmod(name, 0755), 0);
    ASSERT_EQ(mkdir((root_ + "/granted").c_str(), 0755), 0);
    ASSERT_EQ(mkdir((root_ + "/other").c_str(), 0755), 0);
    std::ofstream(root_ + "/granted/file") << "x";
    std::ofstream(root_ + "/other/file") << "x";
    ASSERT_EQ(chmod((root_ + "/other/file").c_str(), 0666), 0);
    ASSERT_EQ(symlink("../other/file", (root_ + "/granted/link").c_str()), 0);
    ListenLocally();
  }
  void TearDown() override {
    if (!root_.empty()) (void)!system(("rm -rf " + root_).c_str());
  }

  static UniqueFd Listen(int* port) {
    UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(fd.get(), 100), 0);
    EXPECT_EQ(getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    *port = ntohs(address.sin_port);
    return fd;
  }

  void ListenLocally() {
    socket_path_ = root_ + "/socket";
    local_.Reset(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path_.c_str());
    ASSERT_EQ(bind(local_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(listen(local_.get(), 100), 0);
    ASSERT_EQ(chmod(socket_path_.c_str(), 0666), 0);
  }

  // Runs `body` with a broker on such a host, in a process of its own.
  void Run(const std::function<void(Broker&)>& body) {
    Run([&body] {
      ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
      body(broker);
    });
  }
  void Run(const std::function<void()>& body) {
    fflush(nullptr);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      alarm(50);
      if (!GetParam().landlock && !ForbidLandlock()) _exit(2);
      if (!GetParam().root && geteuid() == 0 &&
          (syscall(SYS_setgroups, 0, nullptr) != 0 ||
           setresgid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) != 0 ||
           setresuid(kOrdinaryUser, kOrdinaryUser, kOrdinaryUser) != 0)) {
        _exit(3);
      }
      body();
      fflush(nullptr);
      _exit(HasFailure() ? 1 : 0);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0) << "see above";
  }

  template <typename Service>
  static ProbeClient Open(Broker& broker, const std::vector<std::string>& files = {}) {
    const testing::v1::ProbeLimits settings = Words(files);
    absl::StatusOr<std::shared_ptr<Channel>> channel =
        broker.Open(Serve<Service>(Words({"*"}), {.settings = &settings}));
    EXPECT_OK(channel);
    return ProbeClient(*channel);
  }

  std::string Outside() const { return root_ + "/other/file"; }

  std::string root_;
  std::string socket_path_;
  UniqueFd needed_, other_, local_;
  int other_port_ = 0;
};

// What the tests below find refused is possible where nothing refuses it.
TEST_P(TakenOverTest, AttacksSucceedWhereNothingConfines) {
  Run([this](Broker& broker) {
    ProbeClient free = Open<Free>(broker);
    for (const std::string& attack :
         {absl::StrCat("read ", Outside()), absl::StrCat("write ", Outside()),
          absl::StrCat("create ", root_, GetParam().root ? "/new" : "/../taken_over_new"),
          absl::StrCat("tcp ", other_port_), absl::StrCat("udp ", other_port_),
          absl::StrCat("listen ", other_port_), absl::StrCat("local ", socket_path_),
          std::string("map memfd"), std::string("make code"), std::string("fork"),
          std::string("filter")}) {
      const absl::StatusOr<int> result = free.Say(attack);
      // A filter without a program is refused for what it is.
      EXPECT_EQ(result.value_or(-1), attack == "filter" ? EFAULT : 0) << attack << result.status();
    }
    unlink("/tmp/taken_over_new");
  });
}

// INVARIANT(service-confined)
TEST_P(TakenOverTest, OneThatDeclaresNothingReachesNothing) {
  Run([this](Broker& broker) {
    ProbeClient service = Open<TakenOver>(broker);
    const std::string layers = broker.Inspect()->families(0).layers();
    EXPECT_THAT(layers, HasSubstr("system call table"));
    EXPECT_EQ(layers.find("landlock") != std::string::npos, GetParam().landlock) << layers;
    const int zygote = broker.Inspect()->zygote_process();
    const int broker_process = broker.Inspect()->broker_process();
    const struct {
      std::string attack;
      int error;
    } cases[] = {
        {"read /etc/shadow", EACCES},
        {"read /etc/hosts", EACCES},
        {absl::StrCat("read ", Outside()), EACCES},
        {absl::StrCat("write ", Outside()), EACCES},
        {absl::StrCat("create ", root_, "/new"), EACCES},
        {absl::StrCat("unlink ", Outside()), EACCES},
        {absl::StrCat("chmod ", Outside()), EACCES},
        {absl::StrCat("tcp ", other_port_), EACCES},
        {absl::StrCat("mptcp ", other_port_), EACCES},
        {absl::StrCat("listen ", other_port_), EACCES},
        {"listen 0", EACCES},
        {absl::StrCat("udp ", other_port_), EACCES},
        {"raw", EACCES},
        {absl::StrCat("local ", socket_path_), EACCES},
        {"local @capbroker", EACCES},
        {absl::StrCat("kill ", zygote), EPERM},
        {absl::StrCat("kill ", broker_process), EPERM},
        {absl::StrCat("kill ", getpid()), EPERM},
        {absl::StrCat("own ", zygote), EPERM},
        {"map memfd", EPERM},
        {"make code", EACCES},
    };
    for (const auto& c : cases) {
      EXPECT_EQ(service.Say(c.attack).value_or(-1), c.error) << c.attack;
    }
    if (sandbox::MayAssignIds()) {
      EXPECT_GE(service.Say("uid").value_or(-1), 0x70000000);
    }
    EXPECT_EQ(service.Say("capabilities").value_or(-1), 0);
    EXPECT_EQ(broker.Inspect()->zygote_process(), zygote);
  });
}

TEST_P(TakenOverTest, WhatNobodyTriesInnocentlyEndsItAndIsTold) {
  Run([](Broker& broker) {
    ASSERT_OK_AND_ASSIGN(Audit audit, broker.StartAudit({}));
    ProbeClient other = Open<Networked>(broker);
    ASSERT_OK(other.Say("uid"));
    const int zygote = broker.Inspect()->zygote_process();
    // Four of a family in ten seconds: the fifth would end it.
    const std::vector<std::vector<std::pair<std::string, std::string>>> families = {
        {{"execute /bin/true", "execve"},
         {"fork", "clone"},
         {"unshare", "unshare"},
         {"bpf", "bpf"}},
        {{absl::StrCat("trace ", zygote), "ptrace"},
         {absl::StrCat("peek ", zygote), "process_vm_readv"},
         {"uring", "io_uring_setup"},
         {"setuid", "setuid"}},
        {{"filter", "seccomp"}, {"x32", "call 1073741863 of architecture 0xc000003e"}},
    };
    for (const auto& attacks : families) {
      ProbeClient service = Open<TakenOver>(broker);
      for (const auto& [attack, call] : attacks) {
        ASSERT_OK(service.Say("uid")) << "before " << attack;
        EXPECT_THAT(service.Say(attack), StatusIs(absl::StatusCode::kUnavailable)) << attack;
        std::string told;
        const absl::Time deadline = absl::Now() + absl::Seconds(10);
        while (told.empty() && absl::Now() < deadline) {
          ASSERT_OK_AND_ASSIGN(const std::vector<AuditEvent> events, audit.Next(absl::Seconds(1)));
          for (const AuditEvent& event : events) {
            if (event.kind() == AuditEvent::VIOLATION) told = event.ShortDebugString();
          }
        }
        EXPECT_THAT(told, HasSubstr(absl::StrCat(call, "("))) << attack;
        EXPECT_THAT(told, HasSubstr("taken over")) << "which service";
      }
    }
    EXPECT_OK(other.Say("uid")) << "others go on";
    EXPECT_EQ(broker.Inspect()->zygote_process(), zygote);
  });
}

TEST_P(TakenOverTest, OneThatServesFilesReachesThoseOfItsLimits) {
  Run([this](Broker& broker) {
    ProbeClient service = Open<ServingFiles>(broker, {root_ + "/granted"});
    const std::string outside = Outside();
    EXPECT_EQ(service.Say(absl::StrCat("read ", root_, "/granted/file")).value_or(-1), 0);
    EXPECT_EQ(service.Say(absl::StrCat("tcp ", other_port_)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("local ", socket_path_)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("chmod ", outside)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say("capabilities").value_or(-1),
              GetParam().root ? 1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH : 0);
    if (!GetParam().landlock) return;  // which paths is Landlock's to say
    for (const std::string& attack :
         {absl::StrCat("read ", outside), absl::StrCat("read ", root_, "/granted/link"),
          absl::StrCat("read ", root_, "/granted/../other/file"), std::string("read /etc/hosts"),
          absl::StrCat("write ", root_, "/granted/file"), absl::StrCat("write ", outside),
          absl::StrCat("create ", root_, "/granted/new"),
          absl::StrCat("create ", root_, "/other/new"),
          absl::StrCat("read /proc/", getpid(), "/environ"),
          absl::StrCat("read /proc/self/root", outside)}) {
      EXPECT_EQ(service.Say(attack).value_or(-1), EACCES) << attack;
    }
    EXPECT_THAT(service.Say("execute /bin/true"), StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_EQ(service.Say(absl::StrCat("read ", root_, "/granted/file")).value_or(-1), 0)
        << "the successor has the same";
    EXPECT_EQ(service.Say(absl::StrCat("read ", outside)).value_or(-1), EACCES);
  });
}

TEST_P(TakenOverTest, OneThatConnectsReachesThePortsThatItDeclares) {
  Run([this](Broker& broker) {
    ProbeClient service = Open<Networked>(broker);
    EXPECT_EQ(service.Say(absl::StrCat("tcp ", g_port)).value_or(-1), 0);
    EXPECT_EQ(service.Say(absl::StrCat("udp ", other_port_)).value_or(-1), 0);
    EXPECT_EQ(service.Say(absl::StrCat("local ", socket_path_)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say("read /etc/hosts").value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("listen ", g_port)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("mptcp ", other_port_)).value_or(-1), EACCES);
    ProbeClient full = Open<FullyNetworked>(broker);
    EXPECT_EQ(full.Say(absl::StrCat("tcp ", other_port_)).value_or(-1), 0);
    EXPECT_EQ(full.Say(absl::StrCat("udp ", other_port_)).value_or(-1), EACCES);
    EXPECT_EQ(full.Say(absl::StrCat("read ", Outside())).value_or(-1), EACCES);
    if (!GetParam().landlock) return;  // which port is Landlock's to say
    EXPECT_EQ(service.Say(absl::StrCat("tcp ", other_port_)).value_or(-1), EACCES);
  });
}

TEST_P(TakenOverTest, OneThatServesListensAtItsPorts) {
  Run([this](Broker& broker) {
    ProbeClient service = Open<Serving>(broker);
    EXPECT_EQ(service.Say(absl::StrCat("listen ", g_port)).value_or(-1), 0);
    EXPECT_EQ(service.Say(absl::StrCat("tcp ", g_port)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("udp ", other_port_)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say(absl::StrCat("local ", socket_path_)).value_or(-1), EACCES);
    ProbeClient full = Open<FullyServing>(broker);
    EXPECT_EQ(full.Say(absl::StrCat("listen ", other_port_)).value_or(-1), 0);
    EXPECT_EQ(full.Say("listen 0").value_or(-1), 0);
    EXPECT_EQ(full.Say(absl::StrCat("tcp ", other_port_)).value_or(-1), EACCES);
    if (!GetParam().landlock) return;  // which port is Landlock's to say
    EXPECT_EQ(service.Say(absl::StrCat("listen ", other_port_)).value_or(-1), EACCES);
    EXPECT_EQ(service.Say("listen 0").value_or(-1), EACCES);
  });
}

// As in a container whose manager answers some calls. The kernel takes no second listener.
TEST_P(TakenOverTest, BelowAnotherListenerTheTableStillEndsIt) {
  Run([] {
    sock_filter program[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog filter = {.len = 1, .filter = program};
    ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    ASSERT_GE(
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter),
        0);
    ASSERT_OK_AND_ASSIGN(Broker broker, Broker::Start());
    ProbeClient service = Open<TakenOver>(broker);
    EXPECT_EQ(service.Say("read /etc/hosts").value_or(-1), EACCES);
    EXPECT_THAT(service.Say("unshare"), StatusIs(absl::StatusCode::kUnavailable));
    EXPECT_OK(service.Say("uid"));
  });
}

INSTANTIATE_TEST_SUITE_P(Hosts, TakenOverTest,
                         ::testing::Values(Host{"Root", true, true}, Host{"User", false, true},
                                           Host{"RootWithoutLandlock", true, false},
                                           Host{"UserWithoutLandlock", false, false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace capbroker
