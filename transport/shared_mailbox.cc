#include "transport/shared_mailbox.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/bulk.h"

namespace capbroker::transport {
namespace {

using Word = std::atomic<uint32_t>;
using Bits = std::atomic<uint64_t>;
static_assert(Word::is_always_lock_free && Bits::is_always_lock_free);

constexpr int kBits = 64;
constexpr int kWords = SharedMailbox::kSlots / kBits;

constexpr uint64_t Bit(int slot) { return uint64_t{1} << (slot % kBits); }

// Of a slot.
constexpr uint32_t kLeft = 0;      // the service does nothing more there
constexpr uint32_t kCalled = 1;    // it has a call
constexpr uint32_t kAnswered = 2;  // it has an answer, which the client is to take

// An end that rests has said an odd number, another one each time.
constexpr bool Rests(uint32_t said) { return said % 2 == 1; }

struct Slot {
  alignas(64) Word word;
  uint32_t lane;
  PostedPacket<SharedMailbox::kCapacity> packet;  // the request, and then its answer
};
static_assert(sizeof(Slot) == 512);

}  // namespace

// A slot's pages are touched when it is used, the lowest ones first.
struct SharedMailbox::Memory {
  struct {
    alignas(64) Word said;  // by the end that takes
    alignas(64) Bits full[kWords];
  } ways[2];
  Slot slots[kSlots];
};

absl::StatusOr<std::unique_ptr<SharedMailbox>> SharedMailbox::MapMemory(FdRef memfd) {
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map shared mailbox");
  return std::unique_ptr<SharedMailbox>(new SharedMailbox(static_cast<Memory*>(memory)));
}

absl::StatusOr<std::unique_ptr<SharedMailbox>> SharedMailbox::Make(UniqueFd& shared) {
  CB_ASSIGN_OR_RETURN(shared, MakeRequestBuffer(sizeof(Memory)));
  CB_ASSIGN_OR_RETURN(std::unique_ptr<SharedMailbox> made, MapMemory(shared));
  for (auto& way : made->memory_.ways) way.said.store(1);
  return made;
}

absl::StatusOr<std::unique_ptr<SharedMailbox>> SharedMailbox::Map(FdRef memfd) {
  CB_RETURN_IF_ERROR(FixedSize(memfd, sizeof(Memory)).status());
  return MapMemory(memfd);
}

SharedMailbox::~SharedMailbox() { munmap(&memory_, sizeof(Memory)); }

SharedMailbox::Resting SharedMailbox::RestOf(Way way) const {
  const uint32_t said = memory_.ways[way].said.load();
  return Rests(said) ? Resting(said) : std::nullopt;
}

// Not if it was awake meanwhile and rests again: it may have received that packet.
void SharedMailbox::Rouse(Way way, Resting resting) {
  if (resting) memory_.ways[way].said.compare_exchange_strong(*resting, *resting + 1);
}

bool SharedMailbox::Rest(Way way) {
  const uint32_t said = said_.fetch_add(2) + 2;
  memory_.ways[way].said.store(said);
  if (!Any(way)) return true;
  memory_.ways[way].said.store(said + 1);
  return false;
}

// Each end writes before it reads: either this one sees that the other rests, or that one sees
// what was put.
bool SharedMailbox::Put(Way way, int slot) {
  memory_.ways[way].full[slot / kBits].fetch_or(Bit(slot));
  return !Rests(memory_.ways[way].said.load()) || !TakeBack(way, slot);
}

bool SharedMailbox::TakeBack(Way way, int slot) {
  return (memory_.ways[way].full[slot / kBits].fetch_and(~Bit(slot)) & Bit(slot)) != 0;
}

std::optional<int> SharedMailbox::Take(Way way) {
  const int turn = turn_.load(std::memory_order_relaxed);
  for (int i = 0; i <= kWords; ++i) {
    const int word = (turn / kBits + i) % kWords;
    uint64_t full = memory_.ways[way].full[word].load();
    // Those before the turn come last.
    if (i == 0) full = full >> turn % kBits << turn % kBits;
    // A peer that sets and takes back all the time is not waited for.
    if (full == 0) continue;
    const int slot = word * kBits + __builtin_ctzll(full);
    turn_.store((slot + 1) % kSlots, std::memory_order_relaxed);
    if (TakeBack(way, slot)) return slot;
  }
  return std::nullopt;
}

bool SharedMailbox::Any(Way way) const {
  return std::any_of(std::begin(memory_.ways[way].full), std::end(memory_.ways[way].full),
                     [](const Bits& full) { return full.load() != 0; });
}

size_t SharedMailbox::ReadRequest(int slot, uint32_t& lane, char* bytes) const {
  lane = *static_cast<const volatile uint32_t*>(&memory_.slots[slot].lane);
  return memory_.slots[slot].packet.Copy(bytes);
}

size_t SharedMailbox::ReadAnswer(int slot, char* bytes) const {
  return memory_.slots[slot].packet.Copy(bytes);
}

bool SharedMailbox::PutRequest(int slot, uint32_t lane, const OutgoingPacket& request) {
  Slot& to = memory_.slots[slot];
  to.packet.Write(request);
  to.lane = lane;
  to.word.store(kCalled, std::memory_order_relaxed);
  if (Put(kToService, slot)) return true;
  to.word.store(kLeft, std::memory_order_relaxed);
  return false;
}

bool SharedMailbox::Withdraw(int slot) {
  if (!TakeBack(kToService, slot)) return false;
  Leave(slot);
  return true;
}

bool SharedMailbox::IsLeft(int slot) const {
  return memory_.slots[slot].word.load(std::memory_order_acquire) == kLeft;
}

// Not left before the client has the answer: another request in its place would be taken for it.
bool SharedMailbox::PutAnswer(int slot, const OutgoingPacket& answer) {
  Slot& to = memory_.slots[slot];
  to.packet.Write(answer);
  to.word.store(kAnswered, std::memory_order_relaxed);
  called_[static_cast<size_t>(slot)].store(false);
  if (Put(kToClient, slot)) return true;
  Leave(slot);
  return false;
}

void SharedMailbox::Leave(int slot) {
  called_[static_cast<size_t>(slot)].store(false);
  memory_.slots[slot].word.store(kLeft, std::memory_order_release);
}

}  // namespace capbroker::transport
