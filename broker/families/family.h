// The broker's record of a family: a channel and all its clones.
//
// This record is what is true. A service process has a copy of it on its hot path, and
// may have been taken over by what it serves: whatever it says is looked up in its own
// family and met with what is recorded, so that the worst that it can do is narrow.
//
// Beside limits the record has a duplicate of the service end of every channel: what
// a successor is given when the process crashes. While the duplicates are open, holders do
// not notice a crash.
//
// Lives in: the broker. No system calls but the closing of descriptors.
#ifndef BROKER_FAMILIES_FAMILY_H_
#define BROKER_FAMILIES_FAMILY_H_

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "authority/budget.h"
#include "authority/channel_upkeep.h"
#include "authority/limits.h"
#include "authority/schema.h"
#include "base/unique_fd.h"
#include "broker/families/delivered.h"
#include "capbroker/v1/control.pb.h"
#include "google/protobuf/any.pb.h"
#include "serving/service.h"

namespace capbroker::broker {

inline constexpr uint64_t kFirstChannel = 1;
// Serialised limits of a channel: so many fit into a packet that installs them.
inline constexpr size_t kMaxLimitsSize = 48u << 10;
// Channels of a family, whatever its budget of clones: each keeps a descriptor open.
inline constexpr size_t kMaxChannels = 1024;

// Channels that are gone whose holders are still known, for what is told of them late.
inline constexpr size_t kMaxDeparted = 1024;

// Who was granted a channel, or the one that it was cloned from.
struct Holder {
  uint64_t worker = 0;
  std::string grant;
};

struct ChannelRecord {
  uint64_t id = 0;
  uint64_t parent = 0;  // 0: the family's first, or that is gone
  std::shared_ptr<const authority::Limits> limits;
  bool revoked = false;
  // Its holder is gone. The record stays while it is pinned: it stands for its clones.
  bool closed = false;
  int pins = 0;
  UniqueFd service_end;
  authority::HeldCharge charge;          // of a clone
  std::shared_ptr<const Holder> holder;  // null: the application
  // On clones of it that are gone, and on itself once it is closed.
  Delivered delivered;
  // Of use to the process alone that has it now: no successor is given it.
  bool ends_with_process = false;
};

class Family {
 public:
  // What its processes are started with beside the record.
  struct Inputs {
    // A channel that the service calls, kept for each successor: never used here.
    // INVARIANT(one-holder-per-end)
    UniqueFd upstream;
    std::optional<google::protobuf::Any> settings;
  };

  // With one channel, whose number is 1. INVALID_ARGUMENT: limits or budget are
  // malformed, or of another service.
  static absl::StatusOr<std::unique_ptr<Family>> Create(uint64_t id,
                                                        const serving::ServiceDefinition& service,
                                                        const authority::ServiceSchema& schema,
                                                        const google::protobuf::Any& limits,
                                                        const google::protobuf::Any* budget,
                                                        bool wire, UniqueFd service_end);

  uint64_t id() const { return id_; }
  const serving::ServiceDefinition& service() const { return service_; }
  bool wire() const { return wire_; }
  const std::map<uint64_t, ChannelRecord>& channels() const { return channels_; }

  // Narrows the record of `channel` to the meet with `limits`; what is in force now.
  // NOT_FOUND: not of this family. PERMISSION_DENIED: revoked. RESOURCE_EXHAUSTED:
  // too large, or twice as many changes in a minute as an honest process lets pass.
  absl::StatusOr<google::protobuf::Any> CommitLimits(uint64_t channel,
                                                     const google::protobuf::Any& limits);

  // Records a clone of `parent`, with the meet of its limits and `limits`, if given.
  // RESOURCE_EXHAUSTED: the family's budget of clones or its changes are used up.
  absl::StatusOr<const ChannelRecord*> RegisterClone(uint64_t parent,
                                                     const google::protobuf::Any* limits,
                                                     UniqueFd service_end,
                                                     bool ends_with_process = false);

  // Closes the channels that end with the process that served them: their holders see the
  // end of the lane.
  void EndWithProcess();

  // Its clones, and what was delivered on it, are its parent's from now on, unless it is pinned.
  // `said`: by its process, of what was delivered.
  absl::Status Forget(uint64_t channel, const Delivered::Said& said = {});

  // Keeps a channel's number good for Revoke() after its holder has closed it: a worker
  // adopts what it is granted, by a clone.
  absl::Status Pin(uint64_t channel);
  void Unpin(uint64_t channel);

  // Marks a channel and what was cloned from it, at any remove (the first channel: every
  // channel); the numbers of those that were alive and not marked. NOT_FOUND: gone.
  absl::StatusOr<std::vector<uint64_t>> Revoke(uint64_t channel);

  // By channel, what had been delivered on the channels that revoking this one revokes, as far
  // as these are gone.
  std::map<uint64_t, Delivered> LeftBehind(uint64_t channel) const;

  // Channels that have a holder.
  size_t open() const;

  // What it is granted to. Does nothing if it is gone.
  void SetHolder(uint64_t channel, std::shared_ptr<const Holder> holder);
  // Null: the application's, or nobody knows any more.
  std::shared_ptr<const Holder> HolderOf(uint64_t channel) const;
  // Whether there is, or was, such a channel.
  bool Knows(uint64_t channel) const { return channel != 0 && channel < next_channel_; }

  void RecordUsage(v1::BudgetUsage usage) { usage_ = std::move(usage); }

  // What installs the family in a process: channels in batches that fit into a
  // packet, each with the descriptors that it names, in order.
  struct Installation {
    v1::InstallRequest request;  // `more` if another batch follows
    std::vector<FdRef> descriptors;
    uint64_t last = 0;  // channel of the batch
  };
  // Sealed memory of what comes with the first batch, if there is any.
  struct Memories {
    FdRef usage;
    FdRef settings;
    FdRef opened_with = FdRef();
  };
  // The channels after `after` (0: the first batch), up to `last`: what was registered since is
  // known to the process that did.
  Installation Install(uint64_t after, uint64_t last, bool successor,
                       const Memories& memories) const;
  uint64_t last_channel() const { return next_channel_ - 1; }
  const std::optional<v1::BudgetUsage>& usage() const { return usage_; }
  // The limits that the family was opened with, to which its processes are confined, each alike;
  // nothing if those of the first channel to be installed say the same.
  std::optional<google::protobuf::Any> opened_with() const;
  void SetInputs(Inputs inputs) { inputs_ = std::move(inputs); }
  const Inputs& inputs() const { return inputs_; }

 private:
  Family(uint64_t id, const serving::ServiceDefinition& service,
         const authority::ServiceSchema& schema)
      : id_(id), service_(service), schema_(schema) {}
  absl::StatusOr<ChannelRecord*> Find(uint64_t channel);
  void Drop(std::map<uint64_t, ChannelRecord>::iterator gone);
  // The channel and what was cloned from it, at any remove. The first channel: every channel.
  std::vector<uint64_t> Below(uint64_t channel) const;
  absl::StatusOr<std::shared_ptr<const authority::Limits>> MeetWith(
      const ChannelRecord& record, const google::protobuf::Any& limits) const;

  const uint64_t id_;
  const serving::ServiceDefinition& service_;
  const authority::ServiceSchema& schema_;
  bool wire_ = false;
  std::shared_ptr<const authority::Limits> opened_with_;
  google::protobuf::Any budget_;               // as installed; empty: the service has none
  std::shared_ptr<authority::Budget> clones_;  // charged for clones alone
  // Twice the rate, so that only a process that was taken over comes to feel it: one
  // that is started anew in the middle of a minute counts from zero.
  authority::UpkeepRate changes_{"channel_changes_per_minute",
                                 2 * authority::kChannelChangesPerMinute};
  std::optional<v1::BudgetUsage> usage_;
  Inputs inputs_;
  uint64_t next_channel_ = 1;
  std::map<uint64_t, ChannelRecord> channels_;
  Delivered delivered_;  // on channels that are gone, and so are those they were cloned from
  std::deque<std::pair<uint64_t, std::shared_ptr<const Holder>>> departed_;  // with a holder
};

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_FAMILY_H_
