#include "services/hosts/testing/scripted_dns_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/base/internal/raw_logging.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace capbroker::hosts {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxMessageBytes = 65535;

void AppendNumber(std::string& bytes, uint32_t value, int count) {
  for (int shift = 8 * (count - 1); shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

// The end of the question of `message`, or 0.
size_t ReadQuestion(absl::string_view message, ScriptedDnsServer::Query& query) {
  size_t at = kHeaderBytes;
  while (at < message.size() && message[at] != 0) {
    const size_t length = static_cast<uint8_t>(message[at]);
    absl::StrAppend(&query.asked, query.asked.empty() ? "" : ".", message.substr(at + 1, length));
    at += 1 + length;
  }
  query.name = absl::AsciiStrToLower(query.asked);
  if (at + 5 > message.size()) return 0;
  query.type = static_cast<uint16_t>(static_cast<uint8_t>(message[at + 1]) << 8 |
                                     static_cast<uint8_t>(message[at + 2]));
  return at + 5;
}

}  // namespace

ScriptedDnsServer::ScriptedDnsServer(Script script) : script_(std::move(script)) {
  // Whether the port of the one is free for the other is a matter of luck.
  for (int attempt = 0; attempt < 50 && port_ == 0; ++attempt) {
    udp_ = UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    tcp_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(udp_.get(), generic, length) == 0 && getsockname(udp_.get(), generic, &length) == 0 &&
        bind(tcp_.get(), generic, length) == 0 && listen(tcp_.get(), 8) == 0) {
      port_ = ntohs(address.sin_port);
    }
  }
  ABSL_RAW_CHECK(port_ != 0, "no port for the server");
  stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  thread_ = std::thread([this] { Run(); });
}

ScriptedDnsServer::~ScriptedDnsServer() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

std::string ScriptedDnsServer::ResolvConf() const {
  return absl::StrCat("nameserver [127.0.0.1]:", port_, "\n");
}

std::vector<ScriptedDnsServer::Query> ScriptedDnsServer::Queries() const {
  absl::MutexLock lock(&mutex_);
  return queries_;
}

void ScriptedDnsServer::Run() {
  while (true) {
    pollfd polls[] = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
                      {.fd = udp_.get(), .events = POLLIN, .revents = 0},
                      {.fd = tcp_.get(), .events = POLLIN, .revents = 0}};
    poll(polls, 3, -1);
    if (polls[0].revents != 0) return;
    if (polls[1].revents != 0) AnswerDatagram();
    if (polls[2].revents != 0) AnswerStream();
  }
}

std::optional<std::string> ScriptedDnsServer::Answer(absl::string_view message, bool tcp) {
  Query query = {.message = std::string(message), .name = "", .asked = "", .tcp = tcp};
  if (ReadQuestion(message, query) == 0) return std::nullopt;
  {
    absl::MutexLock lock(&mutex_);
    queries_.push_back(query);
  }
  return script_(query);
}

void ScriptedDnsServer::AnswerDatagram() {
  std::string buffer(kMaxMessageBytes, '\0');
  sockaddr_in peer = {};
  socklen_t length = sizeof(peer);
  auto* const generic = reinterpret_cast<sockaddr*>(&peer);
  const ssize_t got = recvfrom(udp_.get(), buffer.data(), buffer.size(), 0, generic, &length);
  if (got < 0) return;
  buffer.resize(static_cast<size_t>(got));
  if (const std::optional<std::string> reply = Answer(buffer, /*tcp=*/false)) {
    sendto(udp_.get(), reply->data(), reply->size(), 0, generic, length);
  }
}

void ScriptedDnsServer::AnswerStream() {
  const UniqueFd stream(accept4(tcp_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::string buffer(kMaxMessageBytes + 2, '\0');
  size_t got = 0;
  while (true) {
    const ssize_t more = recv(stream.get(), buffer.data() + got, buffer.size() - got, 0);
    if (more <= 0) return;
    got += static_cast<size_t>(more);
    const size_t wanted =
        got < 2 ? 2 : 2u + (static_cast<uint8_t>(buffer[0]) << 8 | static_cast<uint8_t>(buffer[1]));
    if (got < wanted || wanted == 2) continue;
    const std::optional<std::string> reply =
        Answer(absl::string_view(buffer).substr(2, wanted - 2), /*tcp=*/true);
    if (!reply.has_value()) return;
    std::string framed;
    AppendNumber(framed, static_cast<uint32_t>(reply->size()), 2);
    framed += *reply;
    send(stream.get(), framed.data(), framed.size(), MSG_NOSIGNAL);
    buffer.erase(0, wanted);
    buffer.resize(kMaxMessageBytes + 2);
    got -= wanted;
  }
}

std::string EncodeName(absl::string_view name) {
  std::string encoded;
  for (absl::string_view label : absl::StrSplit(name, '.', absl::SkipEmpty())) {
    encoded.push_back(static_cast<char>(label.size()));
    encoded.append(label.data(), label.size());
  }
  encoded.push_back('\0');
  return encoded;
}

std::string MakeRecord(RecordType type, uint32_t ttl, absl::string_view data,
                       absl::string_view owner) {
  std::string record = owner.empty() ? std::string("\xc0\x0c", 2) : EncodeName(owner);
  AppendNumber(record, static_cast<uint32_t>(type), 2);
  AppendNumber(record, 1, 2);  // class IN
  AppendNumber(record, ttl, 4);
  AppendNumber(record, static_cast<uint32_t>(data.size()), 2);
  return absl::StrCat(record, data);
}

std::string MakeReply(const ScriptedDnsServer::Query& query, uint8_t rcode,
                      const std::vector<std::string>& records, bool truncated) {
  ScriptedDnsServer::Query unused;
  const size_t question_end = ReadQuestion(query.message, unused);
  std::string reply = query.message.substr(0, 2);
  constexpr uint32_t kResponse = 0x8180;  // and recursion was wanted and is there
  constexpr uint32_t kTruncated = 0x0200;
  AppendNumber(reply, kResponse | (truncated ? kTruncated : 0) | rcode, 2);
  AppendNumber(reply, 1, 2);
  AppendNumber(reply, static_cast<uint32_t>(records.size()), 2);
  AppendNumber(reply, 0, 4);
  reply += query.message.substr(kHeaderBytes, question_end - kHeaderBytes);
  for (const std::string& record : records) reply += record;
  return reply;
}

}  // namespace capbroker::hosts
