#include "services/hosts/dns_message.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "services/hosts/host_name.h"

namespace capbroker::hosts {
namespace {

constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxWireNameBytes = 255;
constexpr uint16_t kClassIn = 1;
constexpr uint16_t kTypeOpt = 41;
constexpr uint8_t kRcodeSuccess = 0;
constexpr uint8_t kRcodeNoSuchName = 3;

// Reads a message from front to back; never beyond its end.
class Reader {
 public:
  Reader(absl::string_view message, size_t position) : message_(message), position_(position) {}

  std::optional<uint32_t> Number(size_t bytes) {
    const std::optional<absl::string_view> raw = Bytes(bytes);
    if (!raw.has_value()) return std::nullopt;
    uint32_t value = 0;
    for (char byte : *raw) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }

  std::optional<absl::string_view> Bytes(size_t count) {
    if (count > message_.size() - position_) return std::nullopt;
    const absl::string_view bytes = message_.substr(position_, count);
    position_ += count;
    return bytes;
  }

  // A name, canonical; empty when it is well-formed but no host name.
  std::optional<std::string> Name();

  size_t position() const { return position_; }

 private:
  const absl::string_view message_;
  size_t position_;  // at most message_.size()
};

std::optional<std::string> Reader::Name() {
  std::string name;
  bool is_text = true;
  size_t wire_bytes = 0;
  size_t at = position_;
  size_t after = 0;  // set at the first pointer
  // Pointers go backwards only, so that there is an end.
  size_t earlier_than = position_;
  while (true) {
    if (at >= message_.size()) return std::nullopt;
    const uint8_t length = static_cast<uint8_t>(message_[at]);
    if (length >= 0xc0) {
      if (at + 1 >= message_.size()) return std::nullopt;
      const size_t target = (length & 0x3fu) << 8 | static_cast<uint8_t>(message_[at + 1]);
      if (target >= earlier_than) return std::nullopt;
      if (after == 0) after = at + 2;
      earlier_than = target;
      at = target;
      continue;
    }
    if (length > kMaxLabelBytes) return std::nullopt;
    wire_bytes += length + 1u;
    if (wire_bytes > kMaxWireNameBytes || at + 1 + length > message_.size()) return std::nullopt;
    if (length == 0) break;
    const absl::string_view label = message_.substr(at + 1, length);
    // A dot within a label would make two labels of it.
    if (absl::StrContains(label, '.')) is_text = false;
    if (!name.empty()) name += '.';
    name.append(label.data(), label.size());
    at += 1 + length;
  }
  position_ = after != 0 ? after : at + 1;
  if (!is_text || !IsHostName(name)) return std::string();
  return CanonicalName(name);
}

struct Record {
  std::string owner;
  uint16_t type = 0;
  uint16_t record_class = 0;
  uint32_t ttl = 0;
  absl::string_view data;
  size_t data_position = 0;
};

std::optional<Record> ReadRecord(Reader& reader) {
  Record record;
  std::optional<std::string> owner = reader.Name();
  const std::optional<uint32_t> type = reader.Number(2);
  const std::optional<uint32_t> record_class = reader.Number(2);
  const std::optional<uint32_t> ttl = reader.Number(4);
  const std::optional<uint32_t> length = reader.Number(2);
  if (!owner.has_value() || !type.has_value() || !record_class.has_value() || !ttl.has_value() ||
      !length.has_value()) {
    return std::nullopt;
  }
  record.owner = *std::move(owner);
  record.type = static_cast<uint16_t>(*type);
  record.record_class = static_cast<uint16_t>(*record_class);
  // RFC 2181: with the highest bit set it counts as 0.
  record.ttl = *ttl > 0x7fff'ffff ? 0 : *ttl;
  record.data_position = reader.position();
  const std::optional<absl::string_view> data = reader.Bytes(*length);
  if (!data.has_value()) return std::nullopt;
  record.data = *data;
  return record;
}

// The name that a CNAME or PTR record holds; empty when it is no host name.
std::optional<std::string> NameIn(absl::string_view message, const Record& record) {
  // Up to the record's end, so that the name is not read from what follows.
  Reader reader(message.substr(0, record.data_position + record.data.size()), record.data_position);
  return reader.Name();
}

struct Answer {
  uint8_t rcode = 0;
  std::vector<Record> records;  // of the answer section, class IN
};

std::optional<Answer> ReadAnswer(absl::string_view message) {
  if (message.size() < kHeaderBytes) return std::nullopt;
  Reader header(message, 2);
  const uint32_t flags = *header.Number(2);
  const uint32_t questions = *header.Number(2);
  const uint32_t answers = *header.Number(2);
  constexpr uint32_t kIsResponse = 0x8000;
  if ((flags & kIsResponse) == 0) return std::nullopt;
  Answer answer = {.rcode = static_cast<uint8_t>(flags & 0xf), .records = {}};
  Reader reader(message, kHeaderBytes);
  for (uint32_t i = 0; i < questions; ++i) {
    if (!reader.Name().has_value() || !reader.Bytes(4).has_value()) return std::nullopt;
  }
  for (uint32_t i = 0; i < answers; ++i) {
    std::optional<Record> record = ReadRecord(reader);
    if (!record.has_value()) return std::nullopt;
    if (record->record_class == kClassIn) answer.records.push_back(*std::move(record));
  }
  return answer;
}

absl::Status Malformed() { return absl::UnavailableError("the name server's answer is malformed"); }

// Follows the CNAME records from records.canonical_name on.
absl::Status FollowAliases(absl::string_view message, const Answer& answer, DnsRecords& records) {
  for (size_t aliases = 0; aliases <= kMaxAliases; ++aliases) {
    const auto alias = std::find_if(
        answer.records.begin(), answer.records.end(), [&records](const Record& record) {
          return record.type == static_cast<uint16_t>(RecordType::kCname) &&
                 record.owner == records.canonical_name;
        });
    if (alias == answer.records.end()) return absl::OkStatus();
    const std::optional<std::string> target = NameIn(message, *alias);
    if (!target.has_value() || target->empty()) return Malformed();
    records.canonical_name = *target;
    records.ttl_seconds = std::min(records.ttl_seconds, alias->ttl);
  }
  return absl::UnavailableError("the name's aliases have no end");
}

}  // namespace

absl::StatusOr<DnsRecords> ParseDnsAnswer(absl::string_view message, absl::string_view name,
                                          RecordType type) {
  const std::optional<Answer> answer = ReadAnswer(message);
  if (!answer.has_value()) return Malformed();
  if (answer->rcode == kRcodeNoSuchName) return absl::NotFoundError("no such name");
  if (answer->rcode != kRcodeSuccess) {
    return absl::UnavailableError("the name server could not answer");
  }
  DnsRecords records;
  records.canonical_name = std::string(name);
  records.ttl_seconds = 0x7fff'ffff;
  if (absl::Status status = FollowAliases(message, *answer, records); !status.ok()) return status;
  for (const Record& record : answer->records) {
    if (record.type != static_cast<uint16_t>(type) || record.owner != records.canonical_name) {
      continue;
    }
    if (records.addresses.size() + records.names.size() == kMaxRecords) break;
    if (type == RecordType::kPtr) {
      const std::optional<std::string> target = NameIn(message, record);
      if (!target.has_value()) return Malformed();
      if (target->empty()) continue;
      records.names.push_back(*target);
    } else {
      const size_t bytes = type == RecordType::kA ? 4 : 16;
      const std::optional<IpAddress> address = IpAddress::FromPacked(record.data);
      if (record.data.size() != bytes || !address.has_value()) return Malformed();
      records.addresses.push_back(*address);
    }
    records.ttl_seconds = std::min(records.ttl_seconds, record.ttl);
  }
  if (records.addresses.empty() && records.names.empty()) {
    return absl::NotFoundError("no such record");
  }
  return records;
}

std::string MakeDnsQuery(uint16_t id, absl::string_view name, RecordType type,
                         uint16_t edns_bytes) {
  std::string query;
  const auto number = [&query](unsigned value) {
    query.push_back(static_cast<char>(value >> 8 & 0xff));
    query.push_back(static_cast<char>(value & 0xff));
  };
  constexpr unsigned kRecursionDesired = 0x0100;
  number(id);
  number(kRecursionDesired);
  number(1);  // questions
  number(0);
  number(0);
  number(edns_bytes != 0 ? 1 : 0);  // additional records
  for (absl::string_view label : absl::StrSplit(name, '.')) {
    query.push_back(static_cast<char>(label.size()));
    query.append(label.data(), label.size());
  }
  query.push_back('\0');
  number(static_cast<unsigned>(type));
  number(kClassIn);
  if (edns_bytes != 0) {
    query.push_back('\0');  // the root's name
    number(kTypeOpt);
    number(edns_bytes);
    number(0);  // extended return code and version
    number(0);  // flags
    number(0);  // no options
  }
  return query;
}

}  // namespace capbroker::hosts
