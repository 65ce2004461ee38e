#include "serving/lane/lane_memory.h"

#include <utility>

#include "base/status_macros.h"
#include "transport/bulk.h"

namespace capbroker::serving {

absl::StatusOr<LaneMemory::Offer> LaneMemory::OfferFor(const transport::PacketHeader& header) {
  Offer offer;
  Offered offered = {.memory = {}, .size = header.message_size};
  if ((header.flags & transport::kFlagKept) != 0) {
    disposes_ = header.call;
    // Never what another may have: who asks may not be who has asked before.
    offer.number = Enlarge(header.call, offered.memory.loan, header.message_size);
  }
  if (offer.number != 0) {
    CB_ASSIGN_OR_RETURN(offer.memory, offered.memory.loan.memory().Share());
    offered.memory.in_loan = true;
    offered.number = offer.number;
  } else {
    CB_ASSIGN_OR_RETURN(offered.memory.once, transport::MakeRequestBuffer(header.message_size));
    CB_ASSIGN_OR_RETURN(offer.memory, Duplicate(offered.memory.once));
  }
  offered_[header.call] = std::move(offered);
  return offer;
}

size_t LaneMemory::Withdraw(uint64_t call) {
  const auto found = offered_.find(call);
  if (found == offered_.end()) return 0;
  const size_t size = found->second.size;
  offered_.erase(found);
  return size;
}

absl::StatusOr<RequestMemory> LaneMemory::Take(const transport::PacketHeader& header,
                                               size_t& offered) {
  offered = 0;
  const bool in_loan = (header.flags & transport::kFlagInKept) != 0;
  RequestMemory memory;
  if (const auto found = offered_.find(header.call); found != offered_.end()) {
    memory = std::move(found->second.memory);
    const uint32_t size = found->second.size;
    const uint32_t number = found->second.number;
    offered = Withdraw(header.call);
    if (!transport::IsInMemory(header.flags) || memory.in_loan != in_loan ||
        size != header.message_size || number != header.memory) {
      return absl::InvalidArgumentError("request in other memory than it asked for");
    }
    return memory;
  }
  if ((header.flags & transport::kFlagBulk) != 0) {
    return absl::InvalidArgumentError("request names no buffer of its size");
  }
  if ((header.flags & transport::kFlagKept) != 0) {
    disposes_ = header.call;
    if (kept_ != nullptr && header.memory != 0 && header.memory == number_) {
      memory.loan = kept_->Lend(place_);
    }
  }
  memory.in_loan = in_loan;
  if (!in_loan) return memory;
  if (!memory.loan.valid()) return absl::UnavailableError("the service has no such memory");
  if (header.message_size > memory.loan.memory().capacity()) {
    return absl::InvalidArgumentError("request larger than its memory");
  }
  return memory;
}

uint32_t LaneMemory::Enlarge(uint64_t call, KeptMemory::Loan& loan, size_t size) {
  if (loan.valid() && loan.memory().capacity() >= size) return 0;
  loan = KeptMemory::Loan();
  if (kept_ == nullptr || disposes_ != call) return 0;
  loan = kept_->Replace(place_, size);
  if (!loan.valid()) return 0;
  if (++number_ == 0) ++number_;
  return number_;
}

absl::Status WriteLarge(size_t size, absl::FunctionRef<bool(char*)> serialize,
                        KeptMemory::Loan& loan, uint32_t number, transport::PacketHeader& header,
                        std::vector<UniqueFd>& descriptors) {
  header.message_size = static_cast<uint32_t>(size);
  header.memory = number;
  header.flags &= static_cast<uint8_t>(~transport::kFlagKept);
  if (!loan.valid()) {
    CB_ASSIGN_OR_RETURN(UniqueFd memory, transport::MakeSealedMessage(size, serialize));
    header.flags |= transport::kFlagBulk;
    descriptors.push_back(std::move(memory));
    return absl::OkStatus();
  }
  header.flags |= transport::kFlagKept;
  if (number == 0) {
    header.flags |= transport::kFlagInKept;
  } else {
    CB_ASSIGN_OR_RETURN(UniqueFd memory, loan.memory().Share());
    header.flags |= transport::kFlagBulk;
    descriptors.push_back(std::move(memory));
  }
  return loan.memory().Write(size, serialize);
}

void LaneMemory::Clear() {
  offered_.clear();
  place_.Clear();
}

}  // namespace capbroker::serving
