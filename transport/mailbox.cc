#include "transport/mailbox.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/bulk.h"

namespace capbroker::transport {
namespace {

using Word = std::atomic<uint32_t>;
static_assert(Word::is_always_lock_free);

// What the door says of the service, and the word of a slot of the client: who sleeps is woken.
constexpr uint32_t kAway = 0;    // the mailbox is closed; no call is in the slot
constexpr uint32_t kAwake = 1;   // looks
constexpr uint32_t kAsleep = 2;  // sleeps, or is about to
// And of a slot that has been answered:
constexpr uint32_t kFull = 3;    // the answer is there
constexpr uint32_t kOnLane = 4;  // it is on the socket
// The bell is rung.
constexpr uint32_t kAtBell = 5;

bool IsWaiting(uint32_t word) { return word == kAwake || word == kAsleep || word == kAtBell; }

using Packet = PostedPacket<Mailbox::kCapacity>;

struct Slot {
  alignas(64) Word word;
  Packet request;
  alignas(64) Packet answer;
};

// False: `most_ns` have passed. True says nothing about the word.
bool Sleep(Word& word, uint32_t unless_changed, int64_t most_ns) {
  const timespec most = {static_cast<time_t>(most_ns / 1'000'000'000),
                         static_cast<long>(most_ns % 1'000'000'000)};
  return syscall(SYS_futex, &word, FUTEX_WAIT, unless_changed, &most, nullptr, 0) == 0 ||
         errno != ETIMEDOUT;
}

void WakeSleeper(Word& word) { syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }

}  // namespace

// A client with one call at a time uses the first page alone.
struct Mailbox::Memory {
  alignas(64) Word door;
  Word posted;  // a bit for each slot whose request nobody has claimed
  Word bell;
  Slot slots[kSlots];
};

namespace {

constexpr uint32_t kEverySlot = (uint32_t{1} << Mailbox::kSlots) - 1;

}  // namespace

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::MapMemory(FdRef memfd) {
  void* memory = mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map mailbox");
  return std::unique_ptr<Mailbox>(new Mailbox(UniqueFd(), static_cast<Memory*>(memory)));
}

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Make() {
  CB_ASSIGN_OR_RETURN(UniqueFd memfd, MakeRequestBuffer(sizeof(Memory)));
  CB_ASSIGN_OR_RETURN(std::unique_ptr<Mailbox> made, MapMemory(memfd));
  made->memfd_ = std::move(memfd);
  return made;
}

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Map(FdRef memfd) {
  CB_RETURN_IF_ERROR(FixedSize(memfd, sizeof(Memory)).status());
  return MapMemory(memfd);
}

Mailbox::~Mailbox() { munmap(&memory_, sizeof(Memory)); }

std::optional<int> Mailbox::TakeSlot() {
  for (int slot = 0; slot < kSlots; ++slot) {
    if ((taken_ & Bit(slot)) != 0) continue;
    Word& word = memory_.slots[slot].word;
    if (IsWaiting(word.load(std::memory_order_acquire))) continue;
    word.store(kAway, std::memory_order_relaxed);  // the last answer was to another call
    taken_ |= Bit(slot);
    return slot;
  }
  return std::nullopt;
}

// Either this end sees that the service has gone, or the service sees what was posted: each writes
// before it reads.
bool Mailbox::Post(int slot, const OutgoingPacket& request, Wait wait) {
  if (memory_.door.load(std::memory_order_acquire) == kAway) return false;
  Slot& s = memory_.slots[slot];
  s.request.Write(request);
  s.word.store(wait == Wait::kLooking    ? kAwake
               : wait == Wait::kSleeping ? kAsleep
                                         : kAtBell,
               std::memory_order_relaxed);
  memory_.posted.fetch_or(Bit(slot));
  uint32_t found = kAsleep;
  if (memory_.door.compare_exchange_strong(found, kAwake)) {
    WakeSleeper(memory_.door);
    return true;
  }
  return found == kAwake || !Withdraw(slot);
}

Mailbox::Answer Mailbox::LookForAnswer(int slot) const {
  switch (memory_.slots[slot].word.load(std::memory_order_acquire)) {
    case kFull:
      return Answer::kHere;
    case kOnLane:
      return Answer::kOnLane;
    default:
      return Answer::kNone;
  }
}

Mailbox::Answer Mailbox::WaitForAnswer(int slot, int64_t most_ns) {
  Word& word = memory_.slots[slot].word;
  uint32_t found = kAwake;
  if (word.compare_exchange_strong(found, kAsleep)) found = kAsleep;
  // On whatever else a service has written, too, or it could keep its caller busy for nothing.
  if (found != kFull && found != kOnLane) Sleep(word, found, most_ns);
  return LookForAnswer(slot);
}

void Mailbox::ListenForBell() { memory_.bell.store(kAsleep); }

bool Mailbox::WaitForBell(int64_t most_ns) {
  const bool rung = Sleep(memory_.bell, kAsleep, most_ns);
  memory_.bell.store(kAwake, std::memory_order_relaxed);
  return rung;
}

void Mailbox::RingBell() {
  uint32_t found = kAsleep;
  if (memory_.bell.compare_exchange_strong(found, kAwake)) WakeSleeper(memory_.bell);
}

size_t Mailbox::ReadAnswer(int slot, char* bytes) const {
  return memory_.slots[slot].answer.Copy(bytes);
}

bool Mailbox::Withdraw(int slot) {
  if ((memory_.posted.fetch_and(~Bit(slot)) & Bit(slot)) == 0) return false;
  memory_.slots[slot].word.store(kAway, std::memory_order_relaxed);
  return true;
}

void Mailbox::Open() { memory_.door.store(kAwake); }

void Mailbox::Close() {
  if (memory_.door.exchange(kAway) == kAsleep) WakeSleeper(memory_.door);
}

bool Mailbox::LookForRequest() const { return (memory_.posted.load() & kEverySlot) != 0; }

bool Mailbox::WaitForRequest() {
  if (LookForRequest()) return true;
  uint32_t found = kAwake;
  if (memory_.door.compare_exchange_strong(found, kAsleep)) found = kAsleep;
  // A door that another thread has closed is not waited at.
  if (found == kAsleep && !LookForRequest()) {
    Sleep(memory_.door, kAsleep, int64_t{kCancelTickMs} * 1'000'000);
  }
  found = kAsleep;
  memory_.door.compare_exchange_strong(found, kAwake);
  return LookForRequest();
}

std::optional<int> Mailbox::Claim() {
  // A client that sets and takes back all the time is not waited for.
  for (int tries = 0; tries < kSlots; ++tries) {
    const uint32_t posted = memory_.posted.load() & kEverySlot;
    if (posted == 0) break;
    const uint32_t turn = static_cast<uint32_t>(turn_.load(std::memory_order_relaxed));
    const uint32_t from_turn = posted >> turn << turn;
    const int slot = __builtin_ctz(from_turn != 0 ? from_turn : posted);
    if ((memory_.posted.fetch_and(~Bit(slot)) & Bit(slot)) == 0) continue;
    turn_.store((slot + 1) % kSlots, std::memory_order_relaxed);
    return slot;
  }
  return std::nullopt;
}

size_t Mailbox::ReadRequest(int slot, char* bytes) const {
  return memory_.slots[slot].request.Copy(bytes);
}

void Mailbox::PutAnswer(int slot, const OutgoingPacket& answer) {
  memory_.slots[slot].answer.Write(answer);
  EndCall(slot, kFull);
}

void Mailbox::AnswerOnLane(int slot) { EndCall(slot, kOnLane); }

void Mailbox::EndCall(int slot, uint32_t answer) {
  Word& word = memory_.slots[slot].word;
  const uint32_t found = word.exchange(answer);
  if (found == kAsleep) WakeSleeper(word);
  if (found == kAtBell) RingBell();
}

}  // namespace capbroker::transport
