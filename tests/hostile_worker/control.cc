#include "tests/hostile_worker/control.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "tests/hostile_worker/scene.h"
#include "tests/hostile_worker/stage.h"

namespace capbroker::hostile {
namespace {

constexpr int kPatience = 20000;  // milliseconds

// The end of a child.
int WaitFor(pid_t child) {
  int status = 0;
  while (waitpid(child, &status, __WALL) != child && errno == EINTR) {
  }
  return status;
}

// In the init of a namespace: what has outlived the victim, be it the attacker, which says how it
// went, or what the victim's scene had started, which has nobody to end it.
void EndOrphans() {
  constexpr int kStep = 10;  // milliseconds
  for (int waited = 0; waited < kPatience / 10; waited += kStep) {
    const pid_t ended = waitpid(-1, nullptr, WNOHANG | __WALL);
    if (ended < 0) return;
    if (ended == 0) usleep(kStep * 1000);
  }
  kill(-1, SIGKILL);
}

// Makes the surroundings and starts the attacker, whose output is `output`.
int RunVictim(const Attack& attack, int output) {
  const SceneOwner owner;
  Scene scene = owner.scene();
  std::strcpy(scene.attack, attack.name.c_str());
  UniqueFd connection;
  const UniqueFd input = owner.OpenFile(), smuggled = owner.Connection(connection);
  const pid_t attacker = fork();
  if (attacker == 0) {
    if (dup2(input.get(), 0) < 0 || dup2(output, 1) < 0 || dup2(smuggled.get(), 2) < 0) _exit(1);
    // Nothing else, as in a worker.
    if (close_range(3, ~0u, 0) != 0) _exit(1);
    alarm(kPatience / 2000);
    _exit(MakeAttack(scene));
  }
  const int status = WaitFor(attacker);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

std::string MakeUnconfined(const Attack& attack) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) abort();
  const UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  const pid_t outer = fork();
  if (outer == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) != 0) _exit(101);
    const pid_t init = fork();
    if (init != 0) _exit(WEXITSTATUS(WaitFor(init)));
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("proc", "/proc", "proc", 0, nullptr) != 0 ||
        mount("tmpfs", "/tmp", "tmpfs", 0, nullptr) != 0) {
      _exit(102);
    }
    // The init of a namespace is no victim: it is immune to much.
    const pid_t victim = fork();
    if (victim == 0) _exit(RunVictim(attack, writer.get()));
    const int status = WaitFor(victim);
    EndOrphans();
    // A victim that was killed is an attack that has succeeded, and says so itself.
    _exit(WIFSIGNALED(status) ? 0 : WEXITSTATUS(status));
  }
  writer.Reset();
  const std::string said = ReadSome(reader, kPatience);
  const int status = WaitFor(outer);
  if (WEXITSTATUS(status) > 100) return "the surroundings could not be made";
  return OutcomeOf(said, 0, WEXITSTATUS(status), "", "");
}

}  // namespace capbroker::hostile
