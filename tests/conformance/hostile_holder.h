// Somebody who does to the lanes that it holds whatever it likes, drawn from a seed: packets of
// every type, well formed, damaged and out of turn, and every word of the memory that the service
// shares with it.
//
// Lives in: test programs.
#ifndef TESTS_CONFORMANCE_HOSTILE_HOLDER_H_
#define TESTS_CONFORMANCE_HOSTILE_HOLDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "tools/fuzz/mutation.h"
#include "transport/lane_socket.h"
#include "transport/mailbox.h"
#include "transport/packet.h"
#include "transport/shared_mailbox.h"

namespace capbroker::testing {

class HostileHolder {
 public:
  // `lane` gives a further lane. Of `lanes` at a time; of one it makes itself so busy, before it
  // does anything else, that the service offers the lane a mailbox.
  HostileHolder(uint64_t seed, size_t lanes, std::function<UniqueFd()> lane);

  // Does one thing.
  void Move();

  // How often a thing was done, or met.
  struct Counts {
    int answers = 0;    // that were calls' ends
    int memories = 0;   // that the service has sent
    int put = 0;        // requests, in such a memory
    int mailboxes = 0;  // of one lane
    int ended = 0;      // lanes, by the service
  };
  const Counts& counts() const { return counts_; }

 private:
  // Mapped, as the service has sent it.
  class Memory {
   public:
    explicit Memory(UniqueFd file);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;
    FdRef file() const { return file_; }
    char* bytes() const { return bytes_; }
    size_t size() const { return size_; }

   private:
    UniqueFd file_;
    char* bytes_ = nullptr;
    size_t size_ = 0;
  };
  struct Lane {
    UniqueFd socket;
    std::unique_ptr<transport::Mailbox> mailbox;
    std::unique_ptr<transport::SharedMailbox> shared;
    std::string key;
    uint32_t number = 0;
  };

  // What it does, with one of its lanes or what it has of them.
  void SendHonest(Lane& lane);
  void SendDamaged(Lane& lane);
  void SendControl(Lane& lane);
  void Join(Lane& lane);
  void Put(Lane& lane);
  void Post(Lane& lane);
  void Receive(Lane& lane);
  void Scribble(Lane&);
  void CopyARequest(Lane&);
  void Misuse(Lane&);
  void GiveUp(Lane& lane);
  void BeBusy(Lane& lane);
  struct Weighted {
    uint64_t weight;
    void (HostileHolder::*move)(Lane&);
  };
  static const std::vector<Weighted>& Moves();

  uint64_t Below(uint64_t bound) { return random_.Below(bound); }
  transport::PacketHeader AnyHeader(size_t message_size);
  std::string AnyMessage();
  uint32_t AnyLargeSize();
  std::string AnyPacket();
  void Send(Lane& lane, const std::string& bytes, const std::vector<int>& descriptors);
  void Take(Lane& lane, transport::ReceivedPacket& packet);
  void TakeAnswers(Lane& lane);

  fuzz::Mutation random_;
  const std::function<UniqueFd()> new_lane_;
  std::vector<Lane> lanes_;
  std::vector<std::unique_ptr<Memory>> memories_;
  transport::ReceiveBuffer buffer_;
  UniqueFd some_file_, some_memory_;
  Counts counts_;
};

}  // namespace capbroker::testing

#endif  // TESTS_CONFORMANCE_HOSTILE_HOLDER_H_
