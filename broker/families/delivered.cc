#include "broker/families/delivered.h"

#include <algorithm>
#include <limits>

namespace capbroker::broker {
namespace {

constexpr size_t kMostFieldBytes = 64;

bool IsFieldName(const std::string& text) {
  return text.size() <= kMostFieldBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_';
         });
}

}  // namespace

uint64_t SaturatingAdd(uint64_t a, uint64_t b) {
  return b > std::numeric_limits<uint64_t>::max() - a ? std::numeric_limits<uint64_t>::max()
                                                      : a + b;
}

void Delivered::Add(const google::protobuf::ServiceDescriptor& service, const Said& said) {
  for (const v1::Delivery& delivery : said) {
    const bool known =
        service.FindMethodByName(delivery.method()) != nullptr && IsFieldName(delivery.field());
    Count(known ? Source(delivery.method(), delivery.field()) : Source(), delivery.descriptors());
  }
}

void Delivered::Add(const Delivered& other) {
  for (const auto& [source, descriptors] : other.counts_) Count(source, descriptors);
}

void Delivered::Count(const Source& source, uint64_t descriptors) {
  if (descriptors == 0) return;
  const bool full = counts_.size() >= kMostSources && !counts_.contains(source);
  uint64_t& count = counts_[full ? Source() : source];
  count = SaturatingAdd(count, descriptors);
}

}  // namespace capbroker::broker
