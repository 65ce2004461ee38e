#include "tests/hostile_worker/scene.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"

namespace capbroker::hostile {
namespace {

constexpr char kAppended[] = "abc";

int OrDie(long result, const char* what) {
  if (result >= 0) return static_cast<int>(result);
  perror(what);
  abort();
}

void Put(char (&field)[64], const std::string& text) {
  if (text.size() >= sizeof field) abort();
  memcpy(field, text.c_str(), text.size() + 1);
}

std::string Content(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

int Bound(int family, int type, const sockaddr* address, socklen_t size, bool listening) {
  const int fd = OrDie(socket(family, type | SOCK_CLOEXEC, 0), "socket");
  OrDie(bind(fd, address, size), "bind");
  if (listening) OrDie(listen(fd, 4), "listen");
  return fd;
}

int BoundUnix(const char* path, bool abstract) {
  sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = {}};
  strcpy(name.sun_path + abstract, path);
  const size_t size = offsetof(sockaddr_un, sun_path) + abstract + strlen(path);
  return Bound(AF_UNIX, SOCK_STREAM, reinterpret_cast<const sockaddr*>(&name),
               static_cast<socklen_t>(size), true);
}

// On a port of the kernel's choice.
int BoundInet(int type, int& port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = Bound(AF_INET, type, reinterpret_cast<const sockaddr*>(&name), sizeof name,
                       type == SOCK_STREAM);
  socklen_t size = sizeof name;
  OrDie(getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size), "getsockname");
  port = ntohs(name.sin_port);
  return fd;
}

// A port that the system gives to nobody else; whoever names it may listen there.
int KeptFree(int& port) {
  const int fd = OrDie(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  const int on = 1;
  OrDie(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "setsockopt");
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  OrDie(bind(fd, reinterpret_cast<const sockaddr*>(&name), size), "bind");
  OrDie(getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size), "getsockname");
  port = ntohs(name.sin_port);
  return fd;
}

int ConnectedTo(int type, int port) {
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  name.sin_port = htons(static_cast<uint16_t>(port));
  const int fd = OrDie(socket(AF_INET, type | SOCK_CLOEXEC, 0), "socket");
  OrDie(connect(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name), "connect");
  return fd;
}

pid_t StartBystander() {
  const pid_t child = OrDie(fork(), "fork");
  if (child != 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) pause();
}

std::string HostName() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

bool SomethingCame(int fd) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, 0) > 0;
}

}  // namespace

SceneOwner::SceneOwner() {
  const auto own = [this](int fd) {
    owned_.emplace_back(fd);
    return fd;
  };
  std::string directory = "/tmp/hostile.XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) abort();
  OrDie(chmod(directory.c_str(), 0777), "chmod");
  Put(scene_.directory, directory);
  Put(scene_.file, directory + "/file");
  Put(scene_.program, directory + "/program");
  Put(scene_.socket, directory + "/socket");
  Put(scene_.abstract_name, "capbroker-hostile-" + directory.substr(directory.size() - 6));
  Put(scene_.message_queue, "/hostile." + directory.substr(directory.size() - 6));
  std::ofstream(scene_.file) << kContent;
  OrDie(chmod(scene_.file, 0666), "chmod");
  std::filesystem::copy_file("/bin/true", scene_.program);
  OrDie(chmod(scene_.program, 0777), "chmod");
  unix_listener_ = own(BoundUnix(scene_.socket, false));
  OrDie(chmod(scene_.socket, 0777), "chmod");
  abstract_listener_ = own(BoundUnix(scene_.abstract_name, true));
  tcp_listener_ = own(BoundInet(SOCK_STREAM, scene_.tcp_port));
  udp_ = own(BoundInet(SOCK_DGRAM, scene_.udp_port));
  own(KeptFree(scene_.free_port));
  scene_.shared_memory = OrDie(shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666), "shmget");
  scene_.semaphore = OrDie(semget(IPC_PRIVATE, 1, IPC_CREAT | 0666), "semget");
  scene_.message_id = OrDie(msgget(IPC_PRIVATE, IPC_CREAT | 0666), "msgget");
  const mode_t mask = umask(0);
  mq_attr small = {};
  small.mq_maxmsg = 1;
  small.mq_msgsize = 16;
  const mqd_t queue = mq_open(scene_.message_queue, O_CREAT | O_RDWR | O_CLOEXEC, 0666, &small);
  umask(mask);
  own(OrDie(queue, "mq_open"));
  scene_.application = getpid();
  scene_.bystander = StartBystander();
  scene_.lane = -1;
  host_name_ = HostName();

  smuggled_.directory = own(open(scene_.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  smuggled_.path = own(open(scene_.file, O_PATH | O_CLOEXEC));
  const std::string log = directory + "/log";
  smuggled_.append =
      own(open(log.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666));
  OrDie(fchmod(smuggled_.append, 0666), "chmod");
  if (write(smuggled_.append, kAppended, 3) != 3) abort();
  smuggled_.read_only = own(open(scene_.file, O_RDONLY | O_CLOEXEC));
  smuggled_.tcp = own(ConnectedTo(SOCK_STREAM, scene_.tcp_port));
  own(OrDie(accept4(tcp_listener_, nullptr, nullptr, SOCK_CLOEXEC), "accept"));
  smuggled_.udp = own(ConnectedTo(SOCK_DGRAM, 9));
  smuggled_.raw_unix = own(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  smuggled_.process = own(static_cast<int>(syscall(SYS_pidfd_open, scene_.bystander, 0)));
  smuggled_.proc = own(open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  smuggled_.name_space = own(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC));
  const int master = own(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  unlockpt(master);
  smuggled_.terminal = own(open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC));
  const int memory = own(memfd_create("hostile", MFD_CLOEXEC));
  OrDie(ftruncate(memory, 4096), "ftruncate");
  smuggled_.memory =
      own(open(absl::StrCat("/proc/self/fd/", memory).c_str(), O_RDONLY | O_CLOEXEC));
  int ends[2];
  OrDie(pipe2(ends, O_CLOEXEC), "pipe");
  smuggled_.pipe = own(ends[0]);
  own(ends[1]);
  for (const UniqueFd& fd : owned_) {
    if (!fd.valid()) OrDie(-1, "scene");
  }
}

SceneOwner::~SceneOwner() {
  kill(scene_.bystander, SIGKILL);
  waitpid(scene_.bystander, nullptr, 0);
  shmctl(scene_.shared_memory, IPC_RMID, nullptr);
  semctl(scene_.semaphore, 0, IPC_RMID);
  msgctl(scene_.message_id, IPC_RMID, nullptr);
  mq_unlink(scene_.message_queue);
  std::error_code ignored;
  std::filesystem::remove_all(scene_.directory, ignored);
}

UniqueFd SceneOwner::OpenFile() const { return UniqueFd(open(scene_.file, O_RDONLY | O_CLOEXEC)); }

UniqueFd SceneOwner::Connection(UniqueFd& kept) const {
  int ends[2];
  OrDie(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "socketpair");
  kept.Reset(ends[0]);
  if (!SendSmuggled(ends[0], smuggled_)) OrDie(-1, "smuggle");
  return UniqueFd(ends[1]);
}

std::string SceneOwner::Harm() const {
  if (Content(scene_.file) != kContent) return "the file was changed";
  struct stat status;
  if (stat(scene_.file, &status) != 0) return "the file is gone";
  if ((status.st_mode & 07777) != 0666 || status.st_uid != geteuid())
    return "the file's mode was changed";
  if (status.st_nlink != 1) return "the file has another name";
  int entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(scene_.directory)) {
    ++entries;
  }
  if (entries != 4) return "the directory was changed";
  const std::string log = Content(absl::StrCat(scene_.directory, "/log").c_str());
  if (log.rfind(kAppended, 0) != 0) return "the log was overwritten";
  if ((fcntl(smuggled_.append, F_GETFL) & O_APPEND) == 0) return "the log is for writing anywhere";
  for (const int fd : {unix_listener_, abstract_listener_, tcp_listener_}) {
    if (SomethingCame(fd)) return "somebody has connected";
  }
  if (SomethingCame(udp_)) return "a datagram came";
  if (waitpid(scene_.bystander, nullptr, WNOHANG) != 0) return "the bystander is dead";
  rlimit limit;
  if (prlimit(scene_.bystander, RLIMIT_NOFILE, nullptr, &limit) != 0 || limit.rlim_cur < 10) {
    return "the bystander's limits were changed";
  }
  if (HostName() != host_name_) return "the host has another name";
  shmid_ds memory;
  if (shmctl(scene_.shared_memory, IPC_STAT, &memory) != 0) return "the shared memory is gone";
  return "";
}

}  // namespace capbroker::hostile
