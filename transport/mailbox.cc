#include "transport/mailbox.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errno_status.h"
#include "base/status_macros.h"
#include "transport/bulk.h"

namespace capbroker::transport {
namespace {

constexpr size_t kPageSize = 4096;

using Word = std::atomic<uint32_t>;
static_assert(Word::is_always_lock_free);

// What the words say: of the request, about the service; of the answer, about the client.
constexpr uint32_t kAway = 0;    // the mailbox is closed
constexpr uint32_t kAwake = 1;   // looks
constexpr uint32_t kAsleep = 2;  // sleeps, or is about to
constexpr uint32_t kFull = 3;    // a packet is there
constexpr uint32_t kTaken = 4;   // the service works on the request
constexpr uint32_t kOnLane = 5;  // the answer is on the socket

// One way: a word, and a packet's bytes.
struct Half {
  alignas(64) Word word;
  uint32_t size;
  alignas(64) char bytes[Mailbox::kCapacity];
};

// False: `most_ns` have passed. True says nothing about the word.
bool Sleep(Word& word, uint32_t unless_changed, int64_t most_ns) {
  const timespec most = {static_cast<time_t>(most_ns / 1'000'000'000),
                         static_cast<long>(most_ns % 1'000'000'000)};
  return syscall(SYS_futex, &word, FUTEX_WAIT, unless_changed, &most, nullptr, 0) == 0 ||
         errno != ETIMEDOUT;
}

void WakeSleeper(Word& word) { syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }

void Write(const OutgoingPacket& packet, Half& half) {
  const PacketHeader header = CompleteHeader(packet);
  char* end = half.bytes;
  const auto append = [&end](const void* from, size_t size) {
    if (size != 0) std::memcpy(end, from, size);
    end += size;
  };
  append(&header, sizeof header);
  append(packet.metadata.data(), packet.metadata.size());
  append(packet.message.data(), packet.message.size());
  half.size = static_cast<uint32_t>(end - half.bytes);
}

// TRUST(worker): the size is the peer's, and can change. INVARIANT(read-once)
size_t Copy(const Half& half, char* bytes) {
  const uint32_t claimed = *static_cast<const volatile uint32_t*>(&half.size);
  const size_t size = std::min<size_t>(claimed, Mailbox::kCapacity);
  std::memcpy(bytes, half.bytes, size);
  return size;
}

}  // namespace

struct Mailbox::Page {
  Half request;
  Half answer;
};

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::MapPage(FdRef memfd) {
  static_assert(sizeof(Page) <= kPageSize);
  void* memory = mmap(nullptr, kPageSize, PROT_READ | PROT_WRITE, MAP_SHARED, memfd.get(), 0);
  if (memory == MAP_FAILED) return ErrnoToStatus(errno, "map mailbox");
  return std::unique_ptr<Mailbox>(new Mailbox(UniqueFd(), static_cast<Page*>(memory)));
}

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Make() {
  CB_ASSIGN_OR_RETURN(UniqueFd memfd, MakeRequestBuffer(kPageSize));
  CB_ASSIGN_OR_RETURN(std::unique_ptr<Mailbox> made, MapPage(memfd));
  made->memfd_ = std::move(memfd);
  return made;
}

absl::StatusOr<std::unique_ptr<Mailbox>> Mailbox::Map(FdRef memfd) {
  CB_RETURN_IF_ERROR(FixedSize(memfd, kPageSize).status());
  return MapPage(memfd);
}

Mailbox::~Mailbox() { munmap(&page_, kPageSize); }

bool Mailbox::Post(const OutgoingPacket& request, bool sleeps) {
  Word& word = page_.request.word;
  uint32_t found = word.load(std::memory_order_acquire);
  if (found != kAwake && found != kAsleep) return false;
  Write(request, page_.request);
  page_.answer.word.store(sleeps ? kAsleep : kAwake, std::memory_order_relaxed);
  // It falls asleep meanwhile, or goes away.
  while (!word.compare_exchange_weak(found, kFull)) {
    if (found != kAwake && found != kAsleep) return false;
  }
  if (found == kAsleep) WakeSleeper(word);
  return true;
}

Mailbox::Answer Mailbox::LookForAnswer() const {
  switch (page_.answer.word.load(std::memory_order_acquire)) {
    case kFull:
      return Answer::kHere;
    case kOnLane:
      return Answer::kOnLane;
    default:
      return Answer::kNone;
  }
}

Mailbox::Answer Mailbox::WaitForAnswer(int64_t most_ns) {
  Word& word = page_.answer.word;
  uint32_t found = kAwake;
  if (word.compare_exchange_strong(found, kAsleep)) found = kAsleep;
  // On whatever else a service has written, too, or it could keep its caller busy for nothing.
  if (found != kFull && found != kOnLane) Sleep(word, found, most_ns);
  return LookForAnswer();
}

size_t Mailbox::ReadAnswer(char* bytes) const { return Copy(page_.answer, bytes); }

bool Mailbox::Withdraw() {
  uint32_t posted = kFull;
  return page_.request.word.compare_exchange_strong(posted, kAway);
}

void Mailbox::Open() { page_.request.word.store(kAsleep, std::memory_order_release); }

bool Mailbox::Close() {
  Word& word = page_.request.word;
  uint32_t found = word.load();
  while (found == kAwake || found == kAsleep) {
    if (word.compare_exchange_weak(found, kAway)) return true;
  }
  return found != kFull;
}

bool Mailbox::LookForRequest() const {
  return page_.request.word.load(std::memory_order_acquire) == kFull;
}

bool Mailbox::WaitForRequest() {
  Word& word = page_.request.word;
  uint32_t found = kAwake;
  if (word.compare_exchange_strong(found, kAsleep)) found = kAsleep;
  if (found != kFull) Sleep(word, found, int64_t{kCancelTickMs} * 1'000'000);
  return LookForRequest();
}

size_t Mailbox::TakeRequest(char* bytes) {
  const size_t size = Copy(page_.request, bytes);
  page_.request.word.store(kTaken, std::memory_order_release);
  return size;
}

void Mailbox::PutAnswer(const OutgoingPacket& answer, Next next) {
  Write(answer, page_.answer);
  EndCall(kFull, next);
}

void Mailbox::AnswerOnLane(Next next) { EndCall(kOnLane, next); }

// Who finds the mailbox open finds it without an answer of an earlier call to come.
void Mailbox::EndCall(uint32_t answer, Next next) {
  const uint32_t found = page_.answer.word.exchange(answer);
  page_.request.word.store(next == Next::kAwake    ? kAwake
                           : next == Next::kAsleep ? kAsleep
                                                   : kAway,
                           std::memory_order_release);
  if (found == kAsleep) WakeSleeper(page_.answer.word);
}

}  // namespace capbroker::transport
