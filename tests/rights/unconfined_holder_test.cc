// What rights on a descriptor do not stop in a holder that is not confined: every statement of
// docs/design/descriptor_rights.md, tried. As root and as an ordinary user who owns the file,
// each in a child.
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_matchers.h"
#include "base/unique_fd.h"
#include "capbroker/v1/authority.pb.h"
#include "gtest/gtest.h"
#include "transport/descriptor_rights.h"
#include "transport/reduce_access.h"

namespace capbroker {
namespace {

using Rights = v1::DescriptorRights;
using testing::StatusIs;

constexpr uid_t kOrdinary = 65534;

Rights Declared(Rights::Kind kind, Rights::Access access) {
  Rights rights;
  rights.add_kinds(kind);
  rights.set_access(access);
  return rights;
}

std::string OwnLink(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

enum class Holder { kRoot, kOwner };

class UnconfinedHolderTest : public ::testing::TestWithParam<Holder> {
 protected:
  UnconfinedHolderTest() {
    char path[] = "/tmp/unconfined.XXXXXX";
    UniqueFd(mkstemp(path)).Reset();
    path_ = path;
    UniqueFd file = Open(O_WRONLY);
    EXPECT_EQ(write(file.get(), "content", 7), 7);
    changes_user_ = chown(path, kOrdinary, kOrdinary) == 0;
  }
  ~UnconfinedHolderTest() override {
    unlink(path_.c_str());
    unlink((path_ + ".link").c_str());
  }

  UniqueFd Open(int flags) const { return UniqueFd(open(path_.c_str(), flags | O_CLOEXEC)); }

  void GiveToHolder(FdRef object) const {
    if (changes_user_) {
      EXPECT_EQ(fchown(object.get(), kOrdinary, kOrdinary), 0);
    }
  }

  // In a child that is the holder; what it returns must be true.
  void Holds(const std::function<bool()>& attempt) const {
    if (GetParam() == Holder::kRoot && geteuid() != 0) GTEST_SKIP() << "this is no root";
    const pid_t child = fork();
    if (child == 0) {
      if (GetParam() == Holder::kOwner && !BecomeOwner()) _exit(2);
      _exit(attempt() ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }

  bool BecomeOwner() const {
    if (changes_user_) return setgid(kOrdinary) == 0 && setuid(kOrdinary) == 0;
    // The only user of a user namespace: without capabilities, root is one like any other.
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    return syscall(SYS_capset, &header, none) == 0;
  }

  std::string path_;
  bool changes_user_ = false;
};

// READ
TEST_P(UnconfinedHolderTest, OfAReadOnlyFileChangesWhatIsNotItsContent) {
  const UniqueFd file = Open(O_RDONLY);
  ASSERT_OK(transport::CheckRights(file, Declared(Rights::REGULAR_FILE, Rights::READ)));
  Holds([&] { return fchmod(file.get(), 0666) == 0; });
  Holds([&] { return futimens(file.get(), nullptr) == 0; });
  Holds([&] { return flock(file.get(), LOCK_EX | LOCK_NB) == 0; });
  Holds([&] { return write(file.get(), "x", 1) < 0 && errno == EBADF; });
  Holds([&] { return ftruncate(file.get(), 0) < 0; });
  Holds([&] {
    return mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0) == MAP_FAILED;
  });
}

TEST_P(UnconfinedHolderTest, OfAReadOnlyFileReopensItForWriting) {
  const UniqueFd file = Open(O_RDONLY);
  Holds([&] {
    const UniqueFd writable(open(OwnLink(file.get()).c_str(), O_WRONLY));
    return write(writable.get(), "x", 1) == 1;
  });
}

TEST_P(UnconfinedHolderTest, OfAFileGivesItAnotherName) {
  const UniqueFd file = Open(O_RDONLY);
  Holds([&] {
    return linkat(AT_FDCWD, OwnLink(file.get()).c_str(), AT_FDCWD, (path_ + ".link").c_str(),
                  AT_SYMLINK_FOLLOW) == 0;
  });
}

// WRITE
TEST_P(UnconfinedHolderTest, OfAWriteOnlyFileReopensItForReading) {
  const UniqueFd file = Open(O_WRONLY);
  Holds([&] {
    char byte;
    return read(file.get(), &byte, 1) < 0 &&
           read(UniqueFd(open(OwnLink(file.get()).c_str(), O_RDONLY)).get(), &byte, 1) == 1;
  });
}

// PATH
TEST_P(UnconfinedHolderTest, OfANamedFileOpensIt) {
  const UniqueFd file = Open(O_PATH);
  ASSERT_OK(transport::CheckRights(file, Declared(Rights::REGULAR_FILE, Rights::PATH)));
  Holds([&] { return UniqueFd(open(OwnLink(file.get()).c_str(), O_RDWR)).valid(); });
}

// append_only
TEST_P(UnconfinedHolderTest, OfAnAppendOnlyFileOverwritesAndTruncatesIt) {
  const UniqueFd file = Open(O_WRONLY | O_APPEND);
  Rights rights = Declared(Rights::REGULAR_FILE, Rights::WRITE);
  rights.set_append_only(true);
  ASSERT_OK(transport::CheckRights(file, rights));
  Holds([&] {
    return fcntl(file.get(), F_SETFL, 0) == 0 && pwrite(file.get(), "X", 1, 0) == 1 &&
           ftruncate(file.get(), 1) == 0;
  });
  char start = 0;
  EXPECT_EQ(pread(Open(O_RDONLY).get(), &start, 1, 0), 1);
  EXPECT_EQ(start, 'X');
}

// max_size
TEST_P(UnconfinedHolderTest, OfAFileThatWasSmallSeesItGrow) {
  const UniqueFd file = Open(O_RDONLY);
  Rights rights = Declared(Rights::REGULAR_FILE, Rights::READ);
  rights.set_max_size(7);
  ASSERT_OK(transport::CheckRights(file, rights));
  ASSERT_EQ(write(Open(O_WRONLY | O_APPEND).get(), "more", 4), 4);
  Holds([&] {
    char content[16];
    return read(file.get(), content, sizeof content) == 11;
  });
}

// The position is the open file's, which sender and receiver share, unless it was reduced.
TEST_P(UnconfinedHolderTest, OfAFileThatWasNotReducedMovesItsSender) {
  const UniqueFd own = Open(O_RDWR);
  ASSERT_EQ(lseek(own.get(), 2, SEEK_SET), 2);
  ASSERT_OK_AND_ASSIGN(const UniqueFd reduced,
                       transport::ReduceAccess(own, Declared(Rights::REGULAR_FILE, Rights::READ)));
  Holds([&] { return lseek(reduced.get(), 3, SEEK_CUR) == 5; });
  EXPECT_EQ(lseek(own.get(), 0, SEEK_CUR), 2);
  Holds([&] { return lseek(own.get(), 3, SEEK_CUR) == 5; });
  EXPECT_EQ(lseek(own.get(), 0, SEEK_CUR), 5);
}

// seals: what holds everywhere.
TEST_P(UnconfinedHolderTest, OfASealedMemfdChangesNothingOfIt) {
  const UniqueFd memory(memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(write(memory.get(), "content", 7), 7);
  ASSERT_EQ(
      fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
      0);
  Holds([&] { return pwrite(memory.get(), "x", 1, 0) < 0 && errno == EPERM; });
  Holds([&] { return ftruncate(memory.get(), 0) < 0 && ftruncate(memory.get(), 100) < 0; });
  Holds([&] {
    return mmap(nullptr, 1, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0) == MAP_FAILED;
  });
  Holds([&] {
    const UniqueFd again(open(OwnLink(memory.get()).c_str(), O_RDWR));
    return !again.valid() || pwrite(again.get(), "x", 1, 0) < 0;
  });
}

// A memfd's access mode alone.
TEST_P(UnconfinedHolderTest, OfAMemfdForReadingReopensItForWriting) {
  const UniqueFd memory(memfd_create("open", MFD_CLOEXEC));
  ASSERT_EQ(write(memory.get(), "content", 7), 7);
  GiveToHolder(memory);
  ASSERT_OK_AND_ASSIGN(const UniqueFd readable,
                       transport::ReduceAccess(memory, Declared(Rights::MEMFD, Rights::READ)));
  ASSERT_OK(transport::CheckRights(readable, Declared(Rights::MEMFD, Rights::READ)));
  Holds([&] {
    return pwrite(readable.get(), "x", 1, 0) < 0 &&
           pwrite(UniqueFd(open(OwnLink(readable.get()).c_str(), O_RDWR)).get(), "x", 1, 0) == 1;
  });
}

// PIPE
TEST_P(UnconfinedHolderTest, OfAPipesReadingEndWritesIt) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const UniqueFd reader(ends[0]);
  const UniqueFd writer(ends[1]);
  GiveToHolder(reader);
  ASSERT_OK(transport::CheckRights(reader, Declared(Rights::PIPE, Rights::READ)));
  Holds([&] {
    return write(reader.get(), "x", 1) < 0 &&
           write(UniqueFd(open(OwnLink(reader.get()).c_str(), O_WRONLY)).get(), "x", 1) == 1;
  });
}

// STREAM_SOCKET
TEST_P(UnconfinedHolderTest, OfAConnectionConnectsItElsewhere) {
  const auto listen_somewhere = [](sockaddr_in& address) {
    UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener.get(), 1), 0);
    EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    return listener;
  };
  sockaddr_in first;
  sockaddr_in second;
  const UniqueFd here = listen_somewhere(first);
  const UniqueFd there = listen_somewhere(second);
  const UniqueFd socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&first), sizeof first), 0);
  ASSERT_EQ(shutdown(socket_.get(), SHUT_RDWR), 0);
  ASSERT_OK(transport::CheckRights(socket_, Declared(Rights::STREAM_SOCKET, Rights::READ_WRITE)));
  Holds([&] {
    sockaddr nowhere = {};
    nowhere.sa_family = AF_UNSPEC;
    return connect(socket_.get(), &nowhere, sizeof nowhere) == 0 &&
           connect(socket_.get(), reinterpret_cast<sockaddr*>(&second), sizeof second) == 0;
  });
}

// LISTENING_SOCKET, whose lease has ended.
TEST_P(UnconfinedHolderTest, OfAServerLetsItListenAgain) {
  const UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name = {};
  name.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof name;
  ASSERT_EQ(bind(server.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(server.get(), 1), 0);
  ASSERT_EQ(getsockname(server.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  ASSERT_OK(transport::CheckRights(server, Declared(Rights::LISTENING_SOCKET, Rights::READ_WRITE)));
  ASSERT_EQ(shutdown(server.get(), SHUT_RDWR), 0);
  const auto connects = [&] {
    const UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(client.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0;
  };
  ASSERT_FALSE(connects());
  Holds([&] {
    return listen(server.get(), 1) == 0 &&
           getsockname(server.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0 && connects();
  });
}

// STREAM_SOCKET, of AF_UNIX: its end is one.
TEST_P(UnconfinedHolderTest, OfAUnixConnectionCannotUndoItsEnd) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd held(ends[0]);
  const UniqueFd peer(ends[1]);
  const UniqueFd listener(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  socklen_t size = offsetof(sockaddr_un, sun_path);
  // Of the abstract ones that the kernel chooses.
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&name), size), 0);
  ASSERT_EQ(listen(listener.get(), 1), 0);
  size = sizeof name;
  ASSERT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&name), &size), 0);
  ASSERT_EQ(shutdown(held.get(), SHUT_RDWR), 0);
  Holds([&] {
    sockaddr nowhere = {};
    nowhere.sa_family = AF_UNSPEC;
    (void)connect(held.get(), &nowhere, sizeof nowhere);
    return connect(held.get(), reinterpret_cast<sockaddr*>(&name), size) != 0 &&
           listen(held.get(), 1) != 0 && send(held.get(), "x", 1, MSG_NOSIGNAL) < 0 &&
           errno == EPIPE;
  });
}

// PIDFD
TEST_P(UnconfinedHolderTest, OfAPidfdKillsAProcessOfTheSameUser) {
  Holds([] {
    const pid_t victim = fork();
    if (victim == 0) {
      pause();
      _exit(0);
    }
    const UniqueFd process(static_cast<int>(syscall(SYS_pidfd_open, victim, 0)));
    if (!transport::CheckRights(process, Declared(Rights::PIDFD, Rights::NO_ACCESS)).ok()) {
      return false;
    }
    int status = 0;
    return syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0) == 0 &&
           waitpid(victim, &status, 0) == victim && WIFSIGNALED(status);
  });
}

// reduced: what it needs, and what it never does.
TEST_P(UnconfinedHolderTest, ReducesNothingWithoutProc) {
  const UniqueFd file = Open(O_RDWR);
  char empty[] = "/tmp/empty.XXXXXX";
  ASSERT_NE(mkdtemp(empty), nullptr);
  ASSERT_EQ(chmod(empty, 0755), 0);
  Holds([&] {
    if (chroot("/") != 0 && unshare(CLONE_NEWUSER) != 0) return true;  // cannot be tried here
    return chroot(empty) == 0 &&
           absl::IsFailedPrecondition(
               transport::ReduceAccess(file, Declared(Rights::REGULAR_FILE, Rights::READ))
                   .status());
  });
  rmdir(empty);
}

TEST_P(UnconfinedHolderTest, ReducesOnlyWhatHasMore) {
  const auto reduces = [&](int flags, Rights::Access access, bool append) {
    Rights rights = Declared(Rights::REGULAR_FILE, access);
    rights.set_append_only(append);
    const absl::StatusOr<UniqueFd> reduced = transport::ReduceAccess(Open(flags), rights);
    EXPECT_OK(reduced);
    return reduced.ok() && reduced->valid();
  };
  EXPECT_TRUE(reduces(O_RDWR, Rights::READ, false));
  EXPECT_TRUE(reduces(O_RDWR, Rights::WRITE, true));
  EXPECT_TRUE(reduces(O_WRONLY, Rights::WRITE, true));
  EXPECT_FALSE(reduces(O_RDONLY, Rights::READ, false)) << "nothing to reduce";
  EXPECT_FALSE(reduces(O_WRONLY | O_APPEND, Rights::WRITE, true)) << "nothing to reduce";
  EXPECT_FALSE(reduces(O_RDONLY, Rights::WRITE, false)) << "would be more";
  EXPECT_FALSE(reduces(O_WRONLY, Rights::READ, false)) << "would be something else";
  EXPECT_FALSE(reduces(O_PATH, Rights::READ, false)) << "would be more";
}

INSTANTIATE_TEST_SUITE_P(As, UnconfinedHolderTest, ::testing::Values(Holder::kRoot, Holder::kOwner),
                         [](const auto& info) {
                           return info.param == Holder::kRoot ? "Root" : "Owner";
                         });

}  // namespace
}  // namespace capbroker
