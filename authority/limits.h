// Limits: what a channel may do.
//
// A limits message, checked against its service's schema, brought into canonical
// form and compiled for fast matching. Three rules make it an authority that can
// only shrink:
//   - empty grants nothing: a field that is not set allows nothing, and
//     "everything" is a value that somebody wrote ("*", "/", "0.0.0.0/0");
//   - Meet(a, b) allows exactly what both allow; narrowing a channel is nothing
//     but installing a meet, so no message, whatever it holds or leaves out, widens;
//   - a message that is not understood completely (an unknown field, a malformed
//     value) is refused as a whole.
//
//   std::shared_ptr<const Limits> in_force = ...;
//   if (std::optional<Refusal> refusal = in_force->Check(method, request)) {
//     return ToStatus(*refusal);
//   }
//
// Lives in: the service process (hot path) and the broker (the record that
// survives a crash). Immutable and shared: thread-safe. The schema must outlive it.
#ifndef AUTHORITY_LIMITS_H_
#define AUTHORITY_LIMITS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "authority/denial.h"
#include "authority/limit_value.h"
#include "authority/path_set.h"
#include "authority/request_values.h"
#include "authority/schema.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/message.h"

namespace capbroker::authority {

// Of the serialized message; fits into a packet of the default size.
inline constexpr size_t kMaxLimitsBytes = 4'000'000;

class Limits {
 public:
  // INVALID_ARGUMENT: a message of another type, an unknown field, a malformed
  // value (named by its field), more than kMaxLimitEntries entries in a field, an
  // entry longer than kMaxLimitEntryBytes, or more than kMaxLimitsBytes in all.
  static absl::StatusOr<std::shared_ptr<const Limits>> Compile(
      const ServiceSchema& schema, const google::protobuf::Message& limits);
  // The same from what a peer sent; also INVALID_ARGUMENT when it doesn't parse.
  static absl::StatusOr<std::shared_ptr<const Limits>> Compile(const ServiceSchema& schema,
                                                               const google::protobuf::Any& limits);
  static absl::StatusOr<std::shared_ptr<const Limits>> CompileBytes(const ServiceSchema& schema,
                                                                    absl::string_view serialized);
  // The same from text format: `names: "example.org" families: ADDRESS_FAMILY_INET`.
  static absl::StatusOr<std::shared_ptr<const Limits>> CompileText(const ServiceSchema& schema,
                                                                   absl::string_view text);
  // The bottom: what an empty message compiles to.
  static std::shared_ptr<const Limits> Nothing(const ServiceSchema& schema);

  // Nothing when the request is allowed. Otherwise METHOD_NOT_ALLOWED,
  // UNKNOWN_FIELD, TOO_LONG (`field` is the request's) or NOT_IN_LIMITS (`field`
  // is the limits'). `request` is a message of the method's request type, also
  // each message of a stream; any other message is refused.
  std::optional<Refusal> Check(const MethodSchema& method,
                               const google::protobuf::Message& request) const;

  // In canonical form: sorted, without what other entries cover. Null only for
  // a service that declares no limits.
  const google::protobuf::Message* message() const { return message_.get(); }
  google::protobuf::Any ToAny() const;
  const ServiceSchema& schema() const { return *schema_; }

  // For what only the object tells, checked on the object itself. A field that
  // the service doesn't have, or has with another kind, allows nothing.
  bool MatchesName(absl::string_view field, absl::string_view name) const;
  bool ContainsAddress(absl::string_view field, absl::string_view packed) const;
  bool SetContains(absl::string_view field, absl::string_view value) const;  // text
  bool SetContains(absl::string_view field, int64_t value) const;  // enum, integer, or its text
  bool WithinMaximum(absl::string_view field, uint64_t value) const;
  bool HasFlags(absl::string_view field, uint64_t flags) const;
  // Whether `path` and everything beneath it is allowed.
  bool CoversDirectory(absl::string_view field, absl::string_view path) const;
  // Which entry allows a path that Check() was asked about.
  const PathSet& paths(absl::string_view field) const;

  // The same limits, that tell `watcher` every value that a check has allowed: of requests, and
  // of objects by the functions above. What is made of them by Meet or Narrow tells nobody.
  using Watcher = std::function<void(const LimitField&, const RequestValue&)>;
  std::shared_ptr<const Limits> Watched(std::shared_ptr<const Watcher> watcher) const;

  // Refuses `method` if no request of it can be allowed: its needs are not met. For a call whose
  // requests are yet to come.
  std::optional<Refusal> CheckMethod(const MethodSchema& method) const;

  // Whether both allow the same: of one service, with the same canonical form.
  friend bool operator==(const Limits& a, const Limits& b) {
    return a.schema_ == b.schema_ && a.values_ == b.values_;
  }

  friend std::shared_ptr<const Limits> Meet(const Limits& a, const Limits& b);
  friend std::vector<std::string> WithoutEffect(const Limits& requested, const Limits& in_force);

 private:
  Limits(const ServiceSchema& schema, std::vector<LimitValue> values);
  const LimitValue* Find(absl::string_view field) const;
  template <typename Kind>
  bool AllowsObject(absl::string_view field, const RequestValue& value) const;
  bool AllowsMethod(const MethodSchema& method) const;
  std::optional<Refusal> RefuseMethod(const MethodSchema& method) const;
  const ServiceSchema* schema_;
  std::vector<LimitValue> values_;  // in the order of schema_->limit_fields()
  std::vector<int> unmet_need_;     // by method: index of the first one, or -1
  std::unique_ptr<google::protobuf::Message> message_;
  std::shared_ptr<const Watcher> watcher_;  // null: nobody
};

// What both allow. Of two different services: nothing.
std::shared_ptr<const Limits> Meet(const Limits& a, const Limits& b);

// The meet, to be installed in place of `in_force`. RESOURCE_EXHAUSTED when it is
// larger than limits may be (each side can cut the other's entries into pieces).
absl::StatusOr<std::shared_ptr<const Limits>> Narrow(const Limits& in_force,
                                                     const Limits& requested);

// The fields of which `requested` has something that `in_force` does not allow,
// so that narrowing to it has no effect for that part.
std::vector<std::string> WithoutEffect(const Limits& requested, const Limits& in_force);

}  // namespace capbroker::authority

#endif  // AUTHORITY_LIMITS_H_
