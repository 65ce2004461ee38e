// A program whose authority is a channel of another program's broker. It starts a broker of
// its own and hands a narrowed part of that on to a worker.
//
//   inner_program lane    descriptor 3 is the channel
//   inner_program socket  descriptor 3 is a UNIX socket, on which the channel comes
//
// Says on 1 what its worker may do, before and after a byte has come on 0.
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "broker/testing/probe.proxy.h"
#include "broker/testing/probe_client.h"
#include "client/broker.h"
#include "services/interpose.h"
#include "tests/interposition/interposers.h"
#include "transport/grpc_status.h"

namespace capbroker::testing {
namespace {

UniqueFd ReceiveOn(const UniqueFd& socket) {
  char byte;
  iovec bytes = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC) != 1) return UniqueFd();
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return UniqueFd();
  int fd;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

std::string Outcome(const absl::StatusOr<int>& said) {
  if (said.ok()) return *said < 0 ? "faked" : "ok";
  const auto denial = DenialOf(said.status());
  return denial ? ::capbroker::v1::Denial::Reason_Name(denial->reason())
                : absl::StatusCodeToString(said.status().code());
}

// In the worker.
int Say(Grants grants) {
  ProbeClient probe(*grants.Channel("probe"));
  std::string said;
  // c: not this program's to give; d: not given on.
  for (const char* word : {"a", "fake", "c", "d"}) {
    absl::StrAppend(&said, word, " ", Outcome(probe.Say(word)), "\n");
  }
  (void)!write(STDOUT_FILENO, said.data(), said.size());
  char byte;
  (void)!read(STDIN_FILENO, &byte, 1);
  said = absl::StrCat("a ", Outcome(probe.Say("a")), "\n");
  (void)!write(STDOUT_FILENO, said.data(), said.size());
  return 0;
}

int Main(absl::string_view how) {
  Broker broker = Broker::StartOrDie();
  UniqueFd given(3);
  if (how == "socket") given = ReceiveOn(given);
  // INVARIANT(one-holder-per-end): whoever gave it may have kept a duplicate.
  absl::StatusOr<std::shared_ptr<Channel>> channel = Channel::Adopt(std::move(given));
  if (!channel.ok()) return 2;
  v1::ProbeLimits limits;
  for (const char* word : {"a", "fake", "c"}) limits.add_words(word);
  absl::StatusOr<Worker> worker = broker.Launch({
      .entry = Say,
      .grants = {{"probe", Interpose<v1::Probe, Faker>(*channel, limits)}},
      .standard_input = UniqueFd(dup(STDIN_FILENO)),
      .standard_output = UniqueFd(dup(STDOUT_FILENO)),
  });
  return worker.ok() ? worker->Wait().exit_code() : 3;
}

}  // namespace
}  // namespace capbroker::testing

int main(int argc, char** argv) { return argc == 2 ? capbroker::testing::Main(argv[1]) : 1; }
