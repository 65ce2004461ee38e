#include "bench/raw_files.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include "base/descriptor_packet.h"
#include "base/unique_fd.h"
#include "bench/must.h"
#include "bench/payload.h"

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)  // Linux 6.6
#endif

namespace capbroker::bench {
namespace {

constexpr size_t kPage = 4096;
constexpr uint64_t kSyncWakeUp = 1;  // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP

UniqueFd OpenForReading(const char* path) { return UniqueFd(open(path, O_RDONLY | O_CLOEXEC)); }

UniqueFd ReceiveDescriptor(FdRef socket) {
  char data[kPayload];
  PacketDescriptors descriptors;
  Must(ReceiveDescriptorPacket(socket, data, sizeof data, descriptors) > 0, "receive");
  Must(descriptors[0].valid(), "a descriptor");
  return std::move(descriptors[0]);
}

void SendDescriptor(FdRef socket, FdRef descriptor) {
  const char data[kPayload] = {};
  Must(SendDescriptorPacket(socket, data, sizeof data, {descriptor}), "send a descriptor");
}

// Of this process, from now on: its listener.
UniqueFd HaveOpensAnswered() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {std::size(filter), filter};
  Must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no new privileges");
  // For process_vm_readv(2) by a sibling, where Yama asks for it.
  (void)prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
  const long listener =
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
  Must(listener >= 0, "seccomp");
  return UniqueFd(static_cast<int>(listener));
}

void AnswerOpen(FdRef listener, const seccomp_notif& call) {
  char path[kPage];
  const uint64_t where = call.data.args[1];
  iovec here = {path, sizeof path};
  // No further than its page: the next one may be none.
  iovec there = {reinterpret_cast<void*>(where), kPage - where % kPage};
  Must(process_vm_readv(static_cast<pid_t>(call.pid), &here, 1, &there, 1, 0) > 0, "read a path");
  Must(ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id) == 0, "a call that waits");
  const UniqueFd opened = OpenForReading(path);
  seccomp_notif_addfd answer = {};
  answer.id = call.id;
  answer.flags = SECCOMP_ADDFD_FLAG_SEND;
  answer.srcfd = static_cast<uint32_t>(opened.get());
  answer.newfd_flags = O_CLOEXEC;
  Must(ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_ADDFD, &answer) >= 0, "give a descriptor");
}

void AnswerOpens(FdRef listener) {
  (void)!ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_SET_FLAGS, kSyncWakeUp);
  seccomp_notif call = {};
  while (ioctl(listener.get(), SECCOMP_IOCTL_NOTIF_RECV, &call) == 0) {
    AnswerOpen(listener, call);
    call = {};
  }
}

}  // namespace

ForkedPeers RawDescriptor(const std::string& path) {
  return ForkedPeers(
      SOCK_SEQPACKET, 1,
      [&path](std::vector<UniqueFd> sockets) {
        char data[kPayload];
        while (recv(sockets[0].get(), data, sizeof data, 0) > 0) {
          SendDescriptor(sockets[0], OpenForReading(path.c_str()));
        }
      },
      [](std::vector<UniqueFd> sockets) -> RunCalls {
        return [socket = std::make_shared<UniqueFd>(std::move(sockets[0]))](
                   int calls, std::vector<double>& times) {
          TimeCalls(calls, times, [&socket] {
            const char data[kPayload] = {};
            Must(send(socket->get(), data, sizeof data, MSG_NOSIGNAL) > 0, "send");
            (void)ReceiveDescriptor(*socket);
          });
        };
      });
}

ForkedPeers RawNotifiedOpen(const std::string& path) {
  return ForkedPeers(
      SOCK_SEQPACKET, 1,
      [](std::vector<UniqueFd> sockets) { AnswerOpens(ReceiveDescriptor(sockets[0])); },
      [&path](std::vector<UniqueFd> sockets) -> RunCalls {
        SendDescriptor(sockets[0], HaveOpensAnswered());
        return [path](int calls, std::vector<double>& times) {
          TimeCalls(calls, times, [&path] { Must(OpenForReading(path.c_str()).valid(), "open"); });
        };
      });
}

}  // namespace capbroker::bench
