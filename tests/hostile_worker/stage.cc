#include "tests/hostile_worker/stage.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace capbroker::hostile {
namespace {

constexpr size_t kMostSaid = 64 << 10;
constexpr char kCannot[] = "cannot";
constexpr absl::string_view kSeparator("\0", 1);  // in an answer

std::string Receive(int fd) {
  std::string text(kMostSaid, '\0');
  const ssize_t got = recv(fd, text.data(), text.size(), 0);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

void Send(int fd, const std::string& text) {
  (void)!send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

[[noreturn]] void Live(int lane, bool (*enter)(),
                       absl::FunctionRef<std::unique_ptr<Arena>()> make) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // So that objects of System V and message queues go with it, whatever its end. Without the right
  // to it they stay if it is killed.
  (void)unshare(CLONE_NEWIPC);
  if (!enter()) {
    Send(lane, kCannot);
    _exit(0);
  }
  std::unique_ptr<Arena> arena = make();
  Send(lane, arena->Layers());
  while (true) {
    const std::string name = Receive(lane);
    if (name.empty()) break;
    const Attack* const attack = FindAttack(name);
    const Record record = attack == nullptr ? Record() : arena->Play(*attack);
    Send(lane, absl::StrJoin({record.outcome, record.harm, record.said}, kSeparator));
  }
  arena.reset();  // and with it what it has made for others to see
  _exit(0);
}

}  // namespace

Stage::Stage(bool (*enter)(), absl::FunctionRef<std::unique_ptr<Arena>()> make) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  process_ = fork();
  if (process_ == 0) {
    close(ends[0]);
    Live(ends[1], enter, make);
  }
  close(ends[1]);
  lane_.Reset(ends[0]);
  layers_ = Receive(lane_.get());
  can_be_had_ = layers_ != kCannot;
}

Stage::~Stage() {
  // Not by closing: later stages have duplicates.
  shutdown(lane_.get(), SHUT_RDWR);
  // It removes its surroundings.
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (waitpid(process_, nullptr, WNOHANG) == 0) {
    if (absl::Now() > deadline) kill(process_, SIGKILL);
    usleep(1000);
  }
}

Record Stage::Play(const Attack& attack) {
  Send(lane_.get(), attack.name);
  const std::string answer = Receive(lane_.get());
  const std::vector<std::string> parts = absl::StrSplit(answer, absl::MaxSplits(kSeparator, 2));
  if (parts.size() < 3) return {"", "the application is dead", ""};
  return {parts[0], parts[1], parts[2]};
}

std::string OutcomeOf(const std::string& said, int exit_code, int signal,
                      const std::string& violation, const std::string& reason) {
  if (!violation.empty()) return absl::StrCat("dies of ", violation);
  if (!reason.empty()) return absl::StrCat("ended by ", reason);
  if (signal != 0) return absl::StrCat("killed by SIG", sigabbrev_np(signal));
  if (exit_code != 0) return absl::StrCat("exits with ", exit_code);
  return said;
}

std::string ReadSome(FdRef fd, int milliseconds) {
  const absl::Time deadline = absl::Now() + absl::Milliseconds(milliseconds);
  std::string said;
  char buffer[4096];
  while (true) {
    pollfd p = {fd.get(), POLLIN, 0};
    const int64_t left = std::max<int64_t>(absl::ToInt64Milliseconds(deadline - absl::Now()), 0);
    if (poll(&p, 1, static_cast<int>(left)) <= 0) break;
    const ssize_t got = read(fd.get(), buffer, sizeof buffer);
    if (got <= 0) break;
    if (said.size() < kMostSaid) said.append(buffer, static_cast<size_t>(got));
  }
  return said;
}

bool IsAsStated(const std::string& outcome, const std::string& stated, bool reported) {
  for (const absl::string_view alternative : absl::StrSplit(stated, " or ")) {
    if (outcome == alternative) return true;
    if (!reported && absl::StartsWith(alternative, "dies of ") && outcome == "killed by SIGSYS") {
      return true;
    }
  }
  return false;
}

}  // namespace capbroker::hostile
