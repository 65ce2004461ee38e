#include "tests/hostile_worker/attack.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/hostile_worker/interfaces.h"

namespace capbroker::hostile {
namespace {

// Of the errors of capability mode (sandbox/capability_errno.h).
constexpr int kEcapmode = 134, kEnotcapable = 135;

std::vector<Attack>& Attacks() {
  static auto* const attacks = new std::vector<Attack>;
  return *attacks;
}

constexpr size_t kSmuggledCount = sizeof(Smuggled) / sizeof(int);

}  // namespace

std::string ErrnoName(int error_number) {
  if (error_number == kEcapmode) return "ECAPMODE";
  if (error_number == kEnotcapable) return "ENOTCAPABLE";
  const char* name = strerrorname_np(error_number);
  return name == nullptr ? absl::StrCat("errno ", error_number) : name;
}

std::string Result(long result) { return result < 0 ? ErrnoName(errno) : kSucceeded; }

std::string FirstRefusal(const std::vector<std::string>& results) {
  for (const std::string& result : results) {
    if (result != kSucceeded) return result;
  }
  return kSucceeded;
}

bool SendSmuggled(int connection, const Smuggled& descriptors) {
  char byte = 's';
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptors)] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&packet);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptors);
  std::memcpy(CMSG_DATA(header), &descriptors, sizeof descriptors);
  return sendmsg(connection, &packet, MSG_NOSIGNAL) == 1;
}

Smuggled TakeSmuggled() {
  static Smuggled taken;
  static bool received = false;
  if (std::exchange(received, true)) return taken;
  std::memset(&taken, 0xff, sizeof taken);
  char byte;
  iovec data = {.iov_base = &byte, .iov_len = 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof taken)] = {};
  msghdr packet = {};
  packet.msg_iov = &data;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof control;
  if (recvmsg(STDERR_FILENO, &packet, 0) == 1 && CMSG_FIRSTHDR(&packet) != nullptr) {
    std::memcpy(&taken, CMSG_DATA(CMSG_FIRSTHDR(&packet)), sizeof(int) * kSmuggledCount);
  }
  return taken;
}

Registered::Registered(Attack attack, const char* file) {
  std::string name = file;
  name = name.substr(name.rfind('/') + 1);
  attack.name = name.substr(0, name.rfind('.'));
  std::vector<Attack>& attacks = Attacks();
  const auto after =
      std::upper_bound(attacks.begin(), attacks.end(), attack,
                       [](const Attack& a, const Attack& b) { return a.name < b.name; });
  attacks.insert(after, std::move(attack));
}

const std::vector<Attack>& AllAttacks() { return Attacks(); }

const Attack* FindAttack(const std::string& name) {
  for (const Attack& attack : Attacks()) {
    if (attack.name == name) return &attack;
  }
  for (const Attack& interface : AllInterfaces()) {
    if (interface.name == name) return &interface;
  }
  static auto* const from = new std::map<std::string, Attack>;
  for (size_t i = 0; i < AllInterfaces().size(); ++i) {
    const Attack probes = InterfacesFrom(i);
    if (probes.name == name) return &(from->emplace(name, probes).first->second);
  }
  return nullptr;
}

int MakeAttack(const Scene& scene) {
  const Attack* const attack = FindAttack(scene.attack);
  const std::string outcome = attack == nullptr ? "no such attack" : attack->run(scene);
  return write(STDOUT_FILENO, outcome.data(), outcome.size()) ==
                 static_cast<ssize_t>(outcome.size())
             ? 0
             : 1;
}

}  // namespace capbroker::hostile
