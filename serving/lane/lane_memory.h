// The memory in which the large messages of one lane travel.
//
// Lives in: service processes, the broker. Not thread-safe: a lane holds its mutex.
#ifndef SERVING_LANE_LANE_MEMORY_H_
#define SERVING_LANE_LANE_MEMORY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/unique_fd.h"
#include "serving/lane/kept_memory.h"
#include "transport/packet.h"

namespace capbroker::serving {

// What a request came in, and what is lent to its call.
struct RequestMemory {
  UniqueFd once;          // of this request alone
  KeptMemory::Loan loan;  // for the response, too
  bool in_loan = false;   // the request is there
};

class LaneMemory {
 public:
  // Null: the lane keeps none.
  explicit LaneMemory(std::shared_ptr<KeptMemory> kept) : kept_(std::move(kept)) {}

  // Memory to be sent to the client, for the request of `call`.
  struct Offer {
    UniqueFd memory;
    uint32_t number = 0;  // of memory to keep
  };
  absl::StatusOr<Offer> OfferFor(const transport::PacketHeader& header);
  bool HasOffered(uint64_t call) const { return offered_.contains(call); }
  size_t offers() const { return offered_.size(); }
  // Gives the bytes that were offered.
  size_t Withdraw(uint64_t call);

  // TRUST(worker): what a request says that it came in. INVALID_ARGUMENT: it was not offered so;
  // UNAVAILABLE: it was, by a process that has died perhaps. `offered`: bytes that were, and are
  // not any more.
  absl::StatusOr<RequestMemory> Take(const transport::PacketHeader& header, size_t& offered);

  // Makes `loan`, which `call` has, one for `size` bytes. Gives its number if the client does not
  // have it yet. An invalid one: there is none.
  uint32_t Enlarge(uint64_t call, KeptMemory::Loan& loan, size_t size);

  void Clear();

 private:
  struct Offered {
    RequestMemory memory;
    uint32_t size = 0;
    uint32_t number = 0;
  };

  const std::shared_ptr<KeptMemory> kept_;
  // What the client has, or had: it may have been without it since.
  KeptMemory::Place place_;
  uint32_t number_ = 0;
  // The call at whose disposal it was last. Only for that one the client expects other memory.
  std::optional<uint64_t> disposes_;
  absl::flat_hash_map<uint64_t, Offered> offered_;
};

// Writes a response where `loan` lends room, of which Enlarge() gave `number`, or in memory of its
// own; says so in `header`, and adds what is to be sent along. Without the lane's mutex.
absl::Status WriteLarge(size_t size, absl::FunctionRef<bool(char*)> serialize,
                        KeptMemory::Loan& loan, uint32_t number, transport::PacketHeader& header,
                        std::vector<UniqueFd>& descriptors);

}  // namespace capbroker::serving

#endif  // SERVING_LANE_LANE_MEMORY_H_
