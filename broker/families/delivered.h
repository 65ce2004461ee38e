// Descriptors that stay with who was given them: what a service process says of one channel.
//
// Lives in: the broker. Plain data.
#ifndef BROKER_FAMILIES_DELIVERED_H_
#define BROKER_FAMILIES_DELIVERED_H_

#include <google/protobuf/descriptor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "capbroker/v1/control.pb.h"

namespace capbroker::broker {

class Delivered {
 public:
  // Methods and fields that are told apart; the rest is one sum, of no method.
  static constexpr size_t kMostSources = 64;

  using Source = std::pair<std::string, std::string>;  // method, field of its response
  using Said = google::protobuf::RepeatedPtrField<v1::Delivery>;

  // TRUST(worker): said by a process that may have been taken over. It can lie about how many,
  // and name what `service` has.
  void Add(const google::protobuf::ServiceDescriptor& service, const Said& said);
  void Add(const Delivered& other);

  const std::map<Source, uint64_t>& counts() const { return counts_; }

 private:
  void Count(const Source& source, uint64_t descriptors);
  std::map<Source, uint64_t> counts_;
};

// Counts that others say do not wrap around.
uint64_t SaturatingAdd(uint64_t a, uint64_t b);

}  // namespace capbroker::broker

#endif  // BROKER_FAMILIES_DELIVERED_H_
