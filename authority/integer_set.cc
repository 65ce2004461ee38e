#include "authority/integer_set.h"

#include <algorithm>

namespace capbroker::authority {

void IntegerSet::Insert(int64_t value) {
  if (static_cast<uint64_t>(value) < 64) {
    small_ |= uint64_t{1} << value;
  } else {
    others_.insert(value);
  }
}

std::vector<int64_t> IntegerSet::Entries() const {
  std::vector<int64_t> entries(others_.begin(), others_.end());
  for (int64_t n = 0; n < 64; ++n) {
    if (Contains(n)) entries.push_back(n);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

IntegerSet Meet(const IntegerSet& a, const IntegerSet& b) {
  IntegerSet meet;
  meet.small_ = a.small_ & b.small_;
  const IntegerSet& smaller = a.others_.size() <= b.others_.size() ? a : b;
  const IntegerSet& larger = &smaller == &a ? b : a;
  for (int64_t value : smaller.others_) {
    if (larger.others_.contains(value)) meet.others_.insert(value);
  }
  return meet;
}

}  // namespace capbroker::authority
