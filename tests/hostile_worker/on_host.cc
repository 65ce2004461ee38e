// on_host KIND PROGRAM ARGUMENTS...: executes a program as on such a host. Status 77: that cannot
// be had here.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "tests/hostile_worker/hosts.h"

namespace {

using namespace capbroker::hostile;

constexpr int kCannotBeHad = 77;

constexpr struct {
  const char* name;
  bool (*become)();
} kKinds[] = {
    {"root", AsRoot},
    {"user", AsOrdinaryUser},
    {"root-without-user-namespaces", AsRootWithoutUserNamespaces},
    {"user-without-user-namespaces", AsOrdinaryUserWithoutUserNamespaces},
    {"user-without-landlock", AsOrdinaryUserWithoutLandlock},
    {"root-without-reports", AsRootWithoutReports},
    {"root-in-docker", AsRootInDocker},
    {"user-in-docker", AsOrdinaryUserInDocker},
    {"user-in-docker-without-landlock", AsOrdinaryUserInDockerWithoutLandlock},
};

}  // namespace

int main(int argc, char** argv) {
  for (const auto& kind : kKinds) {
    if (argc < 3 || std::strcmp(argv[1], kind.name) != 0) continue;
    if (!kind.become()) return kCannotBeHad;
    // A listener, of which there can be one while it is open.
    for (int fd = 3; fd < 16; ++fd) fcntl(fd, F_SETFD, 0);
    execv(argv[2], argv + 2);
    std::perror(argv[2]);
    return 127;
  }
  std::fprintf(stderr, "usage: on_host KIND PROGRAM ARGUMENTS...\n");
  return 2;
}
