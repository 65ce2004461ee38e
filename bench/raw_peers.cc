#include "bench/raw_peers.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "bench/must.h"
#include "bench/payload.h"

namespace capbroker::bench {
namespace {

// False at the end of the stream.
bool Receive(FdRef socket, char* data) {
  return recv(socket.get(), data, kPayload, 0) == static_cast<ssize_t>(kPayload);
}
bool Send(FdRef socket, const char* data) {
  return send(socket.get(), data, kPayload, MSG_NOSIGNAL) == static_cast<ssize_t>(kPayload);
}

class Epoll {
 public:
  explicit Epoll(std::vector<UniqueFd> sockets)
      : sockets_(std::move(sockets)), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    Must(epoll_.valid(), "epoll");
    for (const UniqueFd& socket : sockets_) {
      epoll_event event = {.events = EPOLLIN, .data = {.fd = socket.get()}};
      Must(epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket.get(), &event) == 0, "epoll_ctl");
    }
  }

  const std::vector<UniqueFd>& sockets() const { return sockets_; }

  // `ready` of each socket that has something, until it is false.
  void Run(const std::function<bool(FdRef)>& ready) {
    epoll_event events[64];
    for (;;) {
      const int count = epoll_wait(epoll_.get(), events, 64, -1);
      for (int i = 0; i < count; ++i) {
        if (!ready(FdRef::FromRaw(events[i].data.fd))) return;
      }
    }
  }

 private:
  std::vector<UniqueFd> sockets_;
  UniqueFd epoll_;
};

void MakeCalls(Epoll& epoll, int calls) {
  char data[kPayload] = {};
  int started = 0;
  int done = 0;
  for (const UniqueFd& socket : epoll.sockets()) {
    if (started == calls) break;
    Must(Send(socket, data), "send");
    ++started;
  }
  epoll.Run([&](FdRef socket) {
    Must(Receive(socket, data), "receive");
    ++done;
    if (started < calls) {
      Must(Send(socket, data), "send");
      ++started;
    }
    return done < calls;
  });
}

}  // namespace

RawSeqpacket::RawSeqpacket() {
  SocketPair pair = MakeSocketPair(SOCK_SEQPACKET);
  socket_ = std::move(pair.ours);
  server_ = Fork([&pair] {
    char data[kPayload];
    while (Receive(pair.theirs, data) && Send(pair.theirs, data)) {
    }
  });
}

void RawSeqpacket::Call() {
  char data[kPayload] = {};
  Must(Send(socket_, data) && Receive(socket_, data), "seqpacket round trip");
}

ForkedPeers RawEpoll(int count) {
  return ForkedPeers(
      SOCK_SEQPACKET, count,
      [](std::vector<UniqueFd> sockets) {
        Epoll(std::move(sockets)).Run([](FdRef socket) {
          char data[kPayload];
          return Receive(socket, data) && Send(socket, data);
        });
      },
      [](std::vector<UniqueFd> sockets) -> RunCalls {
        return [epoll = std::make_shared<Epoll>(std::move(sockets))](
                   int calls, std::vector<double>&) { MakeCalls(*epoll, calls); };
      });
}

}  // namespace capbroker::bench
