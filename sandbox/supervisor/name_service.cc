#include "sandbox/supervisor/name_service.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "sandbox/supervisor/name_request.h"

namespace capbroker::sandbox {

UniqueFd NameService::Open() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
    return UniqueFd();
  }
  if (conversations_.size() == kMost) conversations_.erase(conversations_.begin());
  conversations_.push_back({.socket = UniqueFd(ends[0]), .request = ""});
  return UniqueFd(ends[1]);
}

void NameService::AppendTo(std::vector<pollfd>& polled) const {
  for (const Conversation& conversation : conversations_) {
    polled.push_back({.fd = conversation.socket.get(), .events = POLLIN, .revents = 0});
  }
}

void NameService::Read(const std::vector<pollfd>& polled) {
  std::erase_if(conversations_, [&](Conversation& conversation) {
    return std::any_of(polled.begin(), polled.end(),
                       [&](const pollfd& each) {
                         return each.fd == conversation.socket.get() && each.revents != 0;
                       }) &&
           !Read(conversation);
  });
}

bool NameService::Read(Conversation& conversation) {
  char buffer[kMostRequestBytes + 1];
  const ssize_t size = recv(conversation.socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (size < 0 && errno == EAGAIN) return true;
  if (size <= 0) return false;
  conversation.request.append(buffer, static_cast<size_t>(size));
  NameReply reply = AnswerNameRequest(conversation.request, outside_);
  if (reply.host.has_value()) hosts_.push_back(*std::move(reply.host));
  if (reply.incomplete) return true;
  (void)!send(conversation.socket.get(), reply.bytes.data(), reply.bytes.size(),
              MSG_DONTWAIT | MSG_NOSIGNAL);
  return false;
}

}  // namespace capbroker::sandbox
