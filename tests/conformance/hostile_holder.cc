#include "tests/conformance/hostile_holder.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "tests/conformance/conformance.pb.h"
#include "tests/conformance/raw_packets.h"

namespace capbroker::testing {
namespace {

using transport::Mailbox;
using transport::SharedMailbox;

// Few, so that calls meet.
constexpr uint64_t kCallIds = 32;
// Until it does without a mailbox.
constexpr uint64_t kBusyCalls = 20'000;
constexpr size_t kMostMemories = 8;
// As much of a memory's beginning as has its words.
constexpr size_t kWords = 512;
constexpr char kEcho[] = "/capbroker.testing.v1.Conformance/Echo";
constexpr const char* kMethods[] = {
    kEcho,
    "/capbroker.testing.v1.Conformance/Wait",
    "/capbroker.testing.v1.Conformance/Fail",
    "/capbroker.testing.v1.Conformance/Exchange",
    "/capbroker.testing.v1.Conformance/Count",
    "/capbroker.v1.Capability/GetLimits",
    "/capbroker.v1.Capability/Narrow",
    "/capbroker.v1.Capability/Close",
    "/no.such/Method",
};

}  // namespace

HostileHolder::Memory::Memory(UniqueFd file) : file_(std::move(file)) {
  struct stat status;
  if (fstat(file_.get(), &status) != 0 || status.st_size <= 0) return;
  const size_t size = static_cast<size_t>(status.st_size);
  void* bytes = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
  if (bytes == MAP_FAILED) return;
  bytes_ = static_cast<char*>(bytes);
  size_ = size;
}

HostileHolder::Memory::~Memory() {
  if (bytes_ != nullptr) munmap(bytes_, size_);
}

HostileHolder::HostileHolder(uint64_t seed, size_t lanes, std::function<UniqueFd()> lane)
    : random_(seed),
      new_lane_(std::move(lane)),
      lanes_(lanes),
      some_file_(open("/dev/null", O_RDWR | O_CLOEXEC)),
      some_memory_(memfd_create("hostile", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  for (Lane& each : lanes_) GiveUp(each);
}

// How often each is done, beside the others.
const std::vector<HostileHolder::Weighted>& HostileHolder::Moves() {
  static const auto* const moves = new std::vector<Weighted>{
      {160, &HostileHolder::SendHonest},  {32, &HostileHolder::SendControl},
      {4, &HostileHolder::SendDamaged},   {16, &HostileHolder::Join},
      {40, &HostileHolder::Put},          {40, &HostileHolder::Post},
      {96, &HostileHolder::Receive},      {32, &HostileHolder::Scribble},
      {16, &HostileHolder::CopyARequest}, {16, &HostileHolder::Misuse},
      {1, &HostileHolder::GiveUp},
  };
  return *moves;
}

void HostileHolder::Move() {
  uint64_t sum = 0;
  for (const Weighted& weighted : Moves()) sum += weighted.weight;
  uint64_t drawn = Below(sum);
  auto move = Moves().begin();
  for (; drawn >= move->weight; ++move) drawn -= move->weight;
  (this->*move->move)(lanes_[Below(lanes_.size())]);
}

std::string HostileHolder::AnyMessage() {
  v1::WaitRequest request;  // its word has the number that it has in the others
  request.set_word(Below(4) == 0 ? "no" : "yes");
  if (Below(2) == 0) request.set_milliseconds(static_cast<uint32_t>(Below(3)));
  return request.SerializeAsString();
}

PacketHeader HostileHolder::AnyHeader(size_t message_size) {
  const size_t method = Below(3) == 0 ? Below(std::size(kMethods)) : 0;
  PacketHeader header = Request(kMethods[method], Below(kCallIds), message_size);
  if (Below(2) == 0) header.flags = transport::kFlagWouldPost;
  if (Below(2) == 0) header.flags |= transport::kFlagNoMailbox;
  if (Below(8) == 0) header.deadline_ns = transport::MonotonicNowNs() + 100'000;
  return header;
}

// Of a message that is in no packet.
uint32_t HostileHolder::AnyLargeSize() {
  const size_t most = Below(8) == 0 ? 2 * transport::kMaxMessageSize : 1u << 20;
  return static_cast<uint32_t>(transport::kMaxInlineMessage + 1 + Below(most));
}

std::string HostileHolder::AnyPacket() {
  const std::string message = AnyMessage();
  return Packet(AnyHeader(message.size()), message);
}

void HostileHolder::SendHonest(Lane& lane) { Send(lane, AnyPacket(), {}); }

void HostileHolder::SendDamaged(Lane& lane) {
  std::vector<int> descriptors;
  for (uint64_t i = Below(3); i > 0; --i) {
    descriptors.push_back(Below(2) == 0 ? some_file_.get() : some_memory_.get());
  }
  std::string packet = random_.Mutate(AnyPacket(), AnyPacket(), 4096);
  // Else nearly all would fail at the first look.
  if (packet.size() >= sizeof(PacketHeader) && Below(2) == 0) {
    const uint16_t count = static_cast<uint16_t>(descriptors.size());
    std::memcpy(packet.data() + offsetof(PacketHeader, magic), &transport::kPacketMagic, 4);
    std::memcpy(packet.data() + offsetof(PacketHeader, descriptor_count), &count, sizeof count);
  }
  Send(lane, packet, descriptors);
}

void HostileHolder::SendControl(Lane& lane) {
  constexpr PacketType kTypes[] = {PacketType::kCancel, PacketType::kBufferRequest,
                                   PacketType::kLeave, PacketType::kRequest};
  PacketHeader header = HeaderOf(kTypes[Below(std::size(kTypes))]);
  header.call = Below(kCallIds);
  if (header.type == PacketType::kBufferRequest) {
    header.message_size = AnyLargeSize();
    header.flags = Below(2) == 0 ? transport::kFlagKept : 0;
  } else if (header.type == PacketType::kRequest) {
    // In memory that it has, or not.
    header = AnyHeader(AnyLargeSize());
    header.flags =
        Below(2) == 0 ? transport::kFlagBulk : transport::kFlagKept | transport::kFlagInKept;
    header.memory = static_cast<uint32_t>(Below(4));
  }
  Send(lane, Packet(header), {});
}

void HostileHolder::Join(Lane& lane) {
  std::string keys;
  for (uint64_t i = Below(4); i > 0; --i) {
    const std::string& key = lanes_[Below(lanes_.size())].key;
    keys += key.empty() || Below(4) == 0 ? std::string(transport::kJoinKeySize, 'x') : key;
  }
  if (Below(64) == 0) keys += "x";
  PacketHeader header = HeaderOf(PacketType::kJoin);
  header.message_size = static_cast<uint32_t>(keys.size());
  Send(lane, Packet(header, keys), {});
}

void HostileHolder::Put(Lane& lane) {
  if (lane.shared == nullptr) return Join(lane);
  const SharedMailbox::Resting resting = lane.shared->service_rests();
  if (resting && Below(2) == 0) {
    // Perhaps it has been sent something, and perhaps this is a lie.
    if (Below(4) != 0) SendHonest(lane);
    lane.shared->RouseService(resting);
  }
  const std::string message = AnyMessage();
  const uint32_t number = Below(8) == 0 ? lanes_[Below(lanes_.size())].number : lane.number;
  const int slot = static_cast<int>(Below(Below(4) == 0 ? SharedMailbox::kSlots : 4));
  counts_.put += lane.shared->PutRequest(slot, number, {AnyHeader(0), {}, message, {}});
  if (Below(8) == 0) (void)lane.shared->Withdraw(slot);
}

void HostileHolder::Post(Lane& lane) {
  if (lane.mailbox == nullptr) return Put(lane);
  const std::optional<int> slot =
      Below(4) == 0 ? std::optional<int>(Below(Mailbox::kSlots)) : lane.mailbox->TakeSlot();
  if (!slot) return;
  constexpr Mailbox::Wait kWaits[] = {Mailbox::Wait::kLooking, Mailbox::Wait::kSleeping,
                                      Mailbox::Wait::kAtBell};
  const std::string message = AnyMessage();
  counts_.put +=
      lane.mailbox->Post(*slot, {AnyHeader(0), {}, message, {}}, kWaits[Below(std::size(kWaits))]);
  if (Below(8) == 0) (void)lane.mailbox->Withdraw(*slot);
}

void HostileHolder::Receive(Lane& lane) {
  for (int i = 0; i < 8; ++i) {
    absl::StatusOr<std::optional<transport::ReceivedPacket>> packet =
        transport::ReceivePacket(lane.socket, buffer_, transport::PacketDirection::kToClient,
                                 transport::Blocking::kDontWait);
    if (!packet.ok()) {
      ++counts_.ended;
      return GiveUp(lane);
    }
    if (!packet->has_value()) break;
    Take(lane, **packet);
  }
  TakeAnswers(lane);
}

// From memory.
void HostileHolder::TakeAnswers(Lane& lane) {
  if (lane.shared != nullptr) {
    if (const std::optional<int> slot = lane.shared->TakeAnswer()) {
      char bytes[SharedMailbox::kCapacity];
      (void)lane.shared->ReadAnswer(*slot, bytes);
      ++counts_.answers;
    } else if (Below(2) == 0) {
      (void)lane.shared->RestClient();
    }
  }
  for (int slot = 0; lane.mailbox != nullptr && slot < Mailbox::kSlots; ++slot) {
    if (lane.mailbox->LookForAnswer(slot) == Mailbox::Answer::kNone) continue;
    char bytes[Mailbox::kCapacity];
    (void)lane.mailbox->ReadAnswer(slot, bytes);
    lane.mailbox->FreeSlot(slot);
  }
}

void HostileHolder::Take(Lane& lane, transport::ReceivedPacket& packet) {
  const PacketHeader& header = packet.view.header;
  counts_.answers += header.type == PacketType::kResponse;
  if (header.type == PacketType::kShared) {
    lane.number = static_cast<uint32_t>(header.method);
    lane.key = std::string(packet.view.message);
    lane.shared = nullptr;
    if (!packet.descriptors.empty()) {
      absl::StatusOr<std::unique_ptr<SharedMailbox>> shared =
          SharedMailbox::Map(packet.descriptors.front());
      if (shared.ok()) lane.shared = *std::move(shared);
    }
  }
  if (header.type == PacketType::kMailbox) {
    absl::StatusOr<std::unique_ptr<Mailbox>> mailbox = Mailbox::Map(packet.descriptors.front());
    if (mailbox.ok()) lane.mailbox = *std::move(mailbox);
    ++counts_.mailboxes;
  }
  for (UniqueFd& descriptor : packet.descriptors) {
    ++counts_.memories;
    if (memories_.size() == kMostMemories) memories_.erase(memories_.begin());
    memories_.push_back(std::make_unique<Memory>(std::move(descriptor)));
  }
}

// Words where there are some, and anything anywhere.
void HostileHolder::Scribble(Lane&) {
  if (memories_.empty()) return;
  const Memory& memory = *memories_[Below(memories_.size())];
  if (memory.size() < kWords) return;
  for (uint64_t i = 1 + Below(4); i > 0; --i) {
    const uint64_t at = Below(Below(2) == 0 ? kWords : memory.size() - 8);
    const uint64_t value = Below(2) == 0 ? Below(8) : Below(~uint64_t{0});
    std::memcpy(memory.bytes() + at, &value, Below(2) == 0 ? 4 : 8);
  }
}

// A packet to where one might be, with its words set.
void HostileHolder::CopyARequest(Lane&) {
  if (memories_.empty()) return;
  const Memory& memory = *memories_[Below(memories_.size())];
  const std::string packet = Below(2) == 0 ? AnyPacket() : random_.Mutate(AnyPacket(), {}, 400);
  if (memory.size() < (4u << 10)) return;
  const uint64_t at = Below(memory.size() / 64 - 64) * 64;
  const uint32_t size = static_cast<uint32_t>(packet.size());
  std::memcpy(memory.bytes() + at, &size, sizeof size);
  std::memcpy(memory.bytes() + at + (Below(2) == 0 ? 8 : 12), packet.data(),
              std::min<size_t>(packet.size(), memory.size() - at - 12));
  const uint64_t all = ~uint64_t{0};
  std::memcpy(memory.bytes() + Below(kWords / 64) * 64, &all, 4);
}

// Of what it was given: none of this is to be possible, or to matter.
void HostileHolder::Misuse(Lane&) {
  if (memories_.empty()) return;
  const FdRef file = memories_[Below(memories_.size())]->file();
  switch (Below(3)) {
    case 0:
      (void)!ftruncate(file.get(), 0);
      break;
    case 1:
      (void)fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE);
      break;
    default:
      (void)!fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20);
  }
}

void HostileHolder::GiveUp(Lane& lane) {
  lane = Lane();  // its place is needed
  lane.socket = new_lane_();
  if (lanes_.size() == 1) BeBusy(lane);
}

void HostileHolder::BeBusy(Lane& lane) {
  v1::EchoRequest request;
  request.set_word("yes");
  const std::string message = request.SerializeAsString();
  for (uint64_t call = 0; call < kBusyCalls && lane.mailbox == nullptr; ++call) {
    PacketHeader header = Request(kEcho, kCallIds + call, message.size());
    header.flags = transport::kFlagWouldPost | transport::kFlagNoMailbox;
    Send(lane, Packet(header, message), {});
    bool answered = false;
    while (!answered) {
      absl::StatusOr<std::optional<transport::ReceivedPacket>> packet = transport::ReceivePacket(
          lane.socket, buffer_, transport::PacketDirection::kToClient, transport::Blocking::kWait);
      if (!packet.ok()) return;
      if (!packet->has_value()) continue;
      answered = (*packet)->view.header.type == PacketType::kResponse;
      Take(lane, **packet);
    }
  }
}

void HostileHolder::Send(Lane& lane, const std::string& bytes,
                         const std::vector<int>& descriptors) {
  if (bytes.empty()) return;
  // Full, or ended: Receive() finds out.
  (void)SendBytes(lane.socket, bytes, descriptors, MSG_DONTWAIT);
}

}  // namespace capbroker::testing
