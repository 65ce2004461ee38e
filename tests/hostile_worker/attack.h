// Attacks on what a worker is confined by: one file each, in attacks/, whose name is the attack's.
//
// An attack is a function that wants one thing which no worker may have, tries to get it, and says
// what became of that: "succeeded", or how it was refused. It runs
//
// - in a process that nothing confines, as root, where it must succeed, so that an attack that
//   cannot succeed anywhere is not taken for one that was refused;
// - in workers, on every kind of host (stage.h), where the outcome must be the one that it states,
//   and where nothing outside may have changed.
//
//   // Reads a file by its name.
//   #include "tests/hostile_worker/attack.h"
//
//   namespace capbroker::hostile {
//   const Registered attack({
//       .aims_at = "files by name",
//       .run = [](const Scene& scene) { return Result(open(scene.file, O_RDONLY)); },
//       .refused = "EACCES",
//   });
//   }  // namespace capbroker::hostile
//
// Lives in: tests, and the workers and programs that they start. Values without pointers into the
// heap, because a worker may be another program.
#ifndef TESTS_HOSTILE_WORKER_ATTACK_H_
#define TESTS_HOSTILE_WORKER_ATTACK_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace capbroker::hostile {

// What there is to attack, as somebody tells the attacker who wants it to succeed. Everything in it
// belongs to the application; files and sockets are open to everybody.
struct Scene {
  char attack[64];         // the attack's name
  char directory[64];      // mode 0777
  char file[64];           // in it, mode 0666; reads kContent
  char program[64];        // in it, mode 0777: a copy of /bin/true
  char socket[64];         // in it, of a listening AF_UNIX stream socket
  char abstract_name[64];  // of another one, without the leading zero
  char message_queue[64];  // of POSIX
  int tcp_port;            // of a listening socket on 127.0.0.1
  int udp_port;
  int free_port;  // at 127.0.0.1, where nobody listens: what is granted to servers
  int shared_memory, semaphore, message_id;  // of System V
  pid_t application;
  pid_t bystander;  // a child of the application, of the same user
  // Of the attacker: descriptors beside 0, the file for reading, and 2, a connection over which the
  // application is so mad as to send it more (Smuggled below).
  int lane;  // to a service; -1 where there is none
};
inline constexpr char kContent[] = "content\n";

// Descriptors that no worker is granted. They come over the attacker's descriptor 2, as from
// somebody outside who helps it.
struct Smuggled {
  int directory;   // Scene::directory, for reading
  int path;        // Scene::file, O_PATH
  int append;      // another file, O_WRONLY | O_APPEND, with "abc" in it
  int read_only;   // Scene::file, O_RDONLY
  int tcp;         // connected
  int udp;         // connected to a port where nobody is
  int raw_unix;    // AF_UNIX, SOCK_DGRAM, unconnected
  int process;     // a pidfd of Scene::bystander
  int proc;        // /proc of the application, for reading
  int name_space;  // of the application's mounts
  int terminal;    // a pseudo terminal's slave
  int memory;      // a memfd, for reading
  int pipe;        // a pipe's reading end
};
Smuggled TakeSmuggled();
// The application's side. False if the kernel does not send it.
bool SendSmuggled(int connection, const Smuggled& descriptors);

struct Attack {
  std::string name = {};          // of its file
  const char* aims_at = nullptr;  // in a few words
  std::string (*run)(const Scene&) = nullptr;
  // How a forked worker is refused: the name of an errno or of a status code, "dies of ptrace",
  // "ended by wall_time". Alternatives, for different layers, have " or " between them.
  const char* refused = nullptr;
  // The same for an executed program, and for a worker with a supervisor, where that differs. The
  // last three: for a program with a supervisor, as `capbroker run` has it, one that may fork, and
  // one that may be a server.
  const char* executed = nullptr;
  const char* supervised = nullptr;
  const char* run_alone = nullptr;
  const char* run_with_processes = nullptr;
  const char* run_serving = nullptr;
  // Why it cannot be seen to succeed without confinement.
  const char* no_control = nullptr;
  // Needs a lane to a service.
  bool on_lane = false;
  // What the worker may use up, where the attack is to run into that.
  int wall_milliseconds = 20000;
  int cpu_seconds = 20;
};

inline constexpr char kSucceeded[] = "succeeded";

// Of a call that returns -1 and sets errno.
std::string Result(long result);
// "EACCES".
std::string ErrnoName(int error_number);
// The first that is not "succeeded", of what only together is a success.
std::string FirstRefusal(const std::vector<std::string>& results);

class Registered {
 public:
  // The file is the attack's name.
  explicit Registered(Attack attack, const char* file = __builtin_FILE());
};

// In the order of their names.
const std::vector<Attack>& AllAttacks();
const Attack* FindAttack(const std::string& name);

// In a worker: makes the attack of `scene`, writes the outcome to standard output, and gives the
// exit code.
int MakeAttack(const Scene& scene);

}  // namespace capbroker::hostile

#endif  // TESTS_HOSTILE_WORKER_ATTACK_H_
